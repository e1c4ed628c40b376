//! What the providers say of people outside rooms: their devices, and who is registered.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use rollcall::runtime;
use rollcall_local::provider::Behaviour;
use rollcall_players::{openim, tencent};
use serde_json::{Value, json};

use super::{World, found, post, post_at};
use crate::support::{openim_event, player_secrets, tencent_event};

#[tokio::test]
async fn devices_are_online_and_offline_as_the_providers_say() {
    let world = World::new();
    let secrets = player_secrets();
    let at = world.start.plus(0);
    // Ada's logout is lost, Bob's login is lost.
    for user in ["ada", "cyd"] {
        let mut event = tencent_event(tencent::EventName::ChatLogin, at);
        event.options.user = user.to_owned();
        let callback = event.callback(secrets.chat.as_ref().unwrap());
        assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }
    let platforms = |platforms: Value| json!({ "platforms": platforms });
    world.known.know(json!({ "chat": { "1400000000": {
        "ada": platforms(json!({})), "bob": platforms(json!({ "Web": "Online" })),
        "cyd": platforms(json!({ "iOS": "Online" })),
    } } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let path = |user: &str| format!("tencent/1400000000/users/{user}");
    assert_eq!(found(&post(&asks, &path("ada")).await), (0, 1, 1, false));
    assert_eq!(found(&post(&asks, &path("bob")).await), (1, 0, 1, false));
    assert_eq!(found(&post(&asks, &path("cyd")).await), (0, 0, 0, false));
    for (user, is_online) in [("ada", false), ("bob", true), ("cyd", true)] {
        let answer = world.get(&format!("/presence/tencent/1400000000/users/{user}")).await;
        assert_eq!(answer["online"], is_online, "{answer}");
        assert_ne!(answer["checked_at"], Value::Null, "{answer}");
    }
}

#[tokio::test]
async fn registrations_that_were_lost_are_recorded_and_who_was_erased_stays_erased() {
    let world = World::new();
    let at = world.start.plus(0);
    let event = openim_event(openim::EventName::UserRegister, at);
    let callback = event.callback(&player_secrets().openim);
    assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    let (status, _) = world.handlers.erase("/users/openim/main/eve", "", runtime::now()).await;
    assert_eq!(status, StatusCode::OK);
    let user = |name: &str, created: u64| {
        (name.to_owned(), json!({ "profile": { "nickname": name, "create_time": created } }))
    };
    let old = at.before(Duration::from_hours(10 * 24)).0;
    let users: BTreeMap<String, Value> =
        [user("ada", at.0), user("bob", at.0), user("cyd", old), user("eve", old)].into();
    world.known.know(json!({ "openim": { "main": users } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let path = "openim/main/registrations";
    let from = format!("from={}", at.before(Duration::from_hours(1)));
    let (_, answer) = post_at(&asks, path, &format!("{from}&dry_run=true"), runtime::now()).await;
    // And the administrator.
    let numbers = |answer: &Value| {
        ["users", "missing", "recorded"].map(|name| answer[name].as_u64().unwrap())
    };
    assert_eq!((numbers(&answer), &answer["next"]), ([5, 1, 0], &Value::Null), "{answer}");
    let (_, answer) = post_at(&asks, path, &from, runtime::now()).await;
    assert_eq!(numbers(&answer), [5, 1, 1], "{answer}");
    let bob = world.get("/registrations/openim/main/users/bob").await;
    assert_eq!((&bob["source"], &bob["registered_at"]), (&json!("reconciled"), &json!(at)));
    let (_, answer) = post_at(&asks, path, "", runtime::now()).await;
    assert_eq!(numbers(&answer), [5, 1, 1], "Cyd, and never Eve: {answer}");
    let eve = world.handlers.get("/registrations/openim/main/users/eve", "", runtime::now()).await;
    assert_eq!(eve.0, StatusCode::NOT_FOUND);
}
