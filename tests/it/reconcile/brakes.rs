//! The brake: what would end much is carried out when a later pass says the same.

use std::{collections::BTreeMap, time::Duration};

use rollcall::runtime;
use rollcall_local::provider::{Behaviour, Lie};
use rollcall_players::tencent;
use serde_json::{Value, json};

use super::{World, found, post_at};
use crate::support::{player_secrets, tencent_event};

#[tokio::test]
async fn a_pass_that_would_empty_a_room_is_carried_out_when_a_later_one_says_the_same() {
    let mut world = World::new();
    let people: Vec<String> = (0..20).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    world.logins("lobby", &names).await;
    world.lobby(&[]);
    let (asks, _) =
        world.asks(Behaviour { lie: Some(Lie::EverybodyOut), ..Behaviour::default() }).await;
    let path = "zego/1/rooms/lobby";
    let began = runtime::now();
    let (_, answer) = post_at(&asks, path, "", began).await;
    assert_eq!(found(&answer), (0, 20, 0, true), "{answer}");
    assert_eq!(world.members("lobby").await.len(), 20);
    // A dry run is no second pass, and neither is one that comes too early.
    let late = began.after(Duration::from_secs(40));
    let (_, answer) = post_at(&asks, path, "", began.after(Duration::from_secs(20))).await;
    assert_eq!(found(&answer), (0, 20, 0, true), "{answer}");
    let (_, answer) = post_at(&asks, path, "dry_run=true", late).await;
    assert_eq!(found(&answer), (0, 20, 0, false), "it would be carried out: {answer}");
    assert_eq!(world.members("lobby").await.len(), 20);

    // Somebody comes: the room lives, and the API is wrong.
    world.logins("lobby", &["zoe"]).await;
    let (_, answer) = post_at(&asks, path, "", late).await;
    assert_eq!(found(&answer), (0, 21, 0, true), "{answer}");
    // An honest pass makes the memory forget.
    let all: Vec<&str> = names.iter().copied().chain(["zoe"]).collect();
    world.lobby(&all);
    let (honest, _) = world.asks(Behaviour::default()).await;
    let (_, answer) = post_at(&honest, path, "", late).await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    let later = late.after(Duration::from_mins(5));
    let (_, answer) = post_at(&asks, path, "", later).await;
    assert_eq!(found(&answer), (0, 21, 0, true), "{answer}");
    assert_eq!(world.members("lobby").await.len(), 21);

    // The same answer, half a minute later.
    let (_, answer) = post_at(&asks, path, "", later.after(Duration::from_secs(31))).await;
    assert_eq!(found(&answer), (0, 21, 21, false), "{answer}");
    assert!(world.members("lobby").await.is_empty());
}

#[tokio::test]
async fn a_room_that_the_provider_does_not_know_is_emptied_by_the_second_pass() {
    let mut world = World::new();
    world.logins("lobby", &["ada"]).await;
    world.known.know(json!({}));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let began = runtime::now();
    let path = "zego/1/rooms/lobby";
    let (_, answer) = post_at(&asks, path, "", began).await;
    assert_eq!(found(&answer), (0, 1, 0, true), "{answer}");
    let (_, answer) = post_at(&asks, path, "", began.after(Duration::from_secs(31))).await;
    assert_eq!(found(&answer), (0, 1, 1, false), "{answer}");
    assert!(world.members("lobby").await.is_empty());
}

/// A pass over an app's people ends fifty stays at once, and the others when a later one says the same.
#[tokio::test]
async fn a_pass_over_people_is_braked_too() {
    let world = World::new();
    let at = world.start.plus(0);
    for number in 0..60 {
        let mut event = tencent_event(tencent::EventName::ChatLogin, at);
        event.options.user = format!("p{number:02}");
        let callback = event.callback(player_secrets().chat.as_ref().unwrap());
        assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }
    let people: BTreeMap<String, Value> =
        (0..60).map(|number| (format!("p{number:02}"), json!({ "platforms": {} }))).collect();
    world.known.know(json!({ "chat": { "1400000000": people } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let began = runtime::now();
    let (_, first) = post_at(&asks, "tencent/1400000000", "", began).await;
    assert_eq!((&first["people"], &first["complete"]), (&json!(60), &json!(true)), "{first}");
    let (_, found_out, stored, braked) = found(&first);
    assert!(found_out == 60 && stored <= 50 && braked, "{first}");
    let (_, second) =
        post_at(&asks, "tencent/1400000000", "", began.after(Duration::from_secs(40))).await;
    assert_eq!(found(&second), (0, 60 - stored, 60 - stored, false), "{second}");
}
