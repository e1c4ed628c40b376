//! A person of whom providers said something is exported and erased with it.

use std::time::Duration;

use http::StatusCode;
use rollcall::{
    domain::{App, ProviderName, Role, Says, SeatObservation, Seen, UnixMillis},
    relay::{events_left, resync_events},
    routes::RELAY,
    runtime,
    store::StreamRecord,
};
use rollcall_local::provider::Behaviour;
use serde_json::{Value, json};

use super::{World, post_at};
use crate::{
    histories::relay::erasures,
    support::{Item, iam},
};

/// Ada was only ever seen, Bob logged in and is out by the provider; Ivy's device was only seen.
const PEOPLE: [&str; 3] = ["zego/1/ada", "zego/1/bob", "tencent/1400000000/ivy"];

fn names(item: &Item, user: &str) -> bool {
    serde_json::to_string(item).unwrap().contains(&format!("#user#{user}"))
}

/// The items about these people.
fn left(world: &World) -> Vec<Item> {
    let is_left = |item: &Item| ["ada", "bob", "ivy"].iter().any(|user| names(item, user));
    world.store.items().into_iter().filter(is_left).collect()
}

async fn pass(world: &World, at: UnixMillis) {
    let asks = world.asks_at(Behaviour::default(), at).await;
    for path in ["zego/1/rooms/lobby", "tencent/1400000000/users/ivy"] {
        let (status, answer) = post_at(&asks, path, "", at).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

async fn status(world: &World, path: &str) -> StatusCode {
    world.handlers.get(path, "", runtime::now()).await.0
}

#[tokio::test]
async fn who_was_observed_is_exported_and_erased_and_no_pass_and_no_record_brings_them_back() {
    let mut world = World::new();
    world.logins("lobby", &["bob", "zoe"]).await;
    let is_in =
        json!({ "session": "s", "name": "x", "role": 2, "login_time": world.start.plus(0) });
    let know = |is_ivy_online: bool| {
        let platforms = if is_ivy_online { json!({ "Web": "Online" }) } else { json!({}) };
        world.known.know(json!({
            "zego": { "1": { "lobby": { "life": 7, "people": { "ada": is_in, "zoe": is_in } } } },
            "chat": { "1400000000": { "ivy": { "platforms": platforms } } },
        }));
    };
    know(true);
    let asked = world.start.plus(20_000);
    pass(&world, asked).await;
    let of_before: Vec<Item> = left(&world);
    let records = world.store.stream(0).len();

    // Export.
    let seen = |data: &Value| data["items"][0]["observations"].as_array().unwrap().len();
    for user in ["ada", "bob"] {
        let data = world.get(&format!("/users/zego/1/{user}")).await;
        assert_eq!((data["items"].as_array().unwrap().len(), seen(&data)), (1, 1), "{data}");
        assert!(data.to_string().contains(&asked.to_string()), "{data}");
    }
    let data = world.get("/users/tencent/1400000000/ivy").await;
    assert!(data["items"][0].to_string().contains(&asked.to_string()), "{data}");

    // Erasure.
    let erased = world.start.plus(30_000);
    world.store.set_time(erased.0);
    for person in PEOPLE {
        let (status, answer) = world.handlers.erase(&format!("/users/{person}"), "", erased).await;
        assert_eq!((status, &answer["erased"]), (StatusCode::OK, &json!(1)), "{answer}");
    }
    assert_eq!(left(&world), Vec::<Item>::new());
    let check = async |world: &World| {
        for person in PEOPLE {
            let (app, user) = person.rsplit_once('/').unwrap();
            for path in [
                format!("/users/{person}"),
                format!("/presence/{app}/users/{user}"),
                format!("/attendance/{app}/users/{user}"),
            ] {
                assert_eq!(status(world, &path).await, StatusCode::NOT_FOUND, "{path}");
            }
        }
        assert_eq!(world.members("lobby").await, ["zoe"]);
    };
    check(&world).await;

    // The session is one of before, though the provider is asked later. Ivy has gone.
    know(false);
    pass(&world, world.start.plus(45_000)).await;
    assert_eq!(left(&world), Vec::<Item>::new());
    check(&world).await;

    // A pass that asked before stores what it found after the erasure.
    let observer = world.handlers.reconcile.observer.clone();
    let seat = |user: &str| SeatObservation {
        app: App { provider: ProviderName::Zego, id: "1".parse().unwrap() },
        user: user.parse().unwrap(),
        room: "lobby".parse().unwrap(),
        life: None,
        seen: Seen { at: asked, says: Says::In { login: None, role: Role(2) } },
        ends: None,
    };
    for user in ["ada", "bob"] {
        let seat = seat(user);
        let adding = observer.add(&seat);
        iam::acting_as(super::RECONCILE, adding).await.unwrap();
    }
    assert_eq!(left(&world).len(), 2);
    check(&world).await;
    let now = world.start.plus(30_000).after(Duration::from_mins(15));
    for repeat in world.handlers.take_repeats() {
        world.handlers.repeat(&repeat, now).await.unwrap();
    }
    assert_eq!(left(&world), Vec::<Item>::new());

    // The records of before come late, or an operator closes a gap.
    let erasures = erasures(&world.store);
    let mut reported = 0;
    for (number, record) in world.store.stream(0).into_iter().enumerate() {
        let record: StreamRecord = serde_json::from_value(record).unwrap();
        let now = runtime::now();
        let events = iam::acting_as(RELAY, events_left(&record, &erasures, now)).await.unwrap();
        for event in events {
            let event = serde_json::to_value(&event).unwrap();
            let is_erased = ["ada", "bob", "ivy"].iter().any(|user| event["user"] == **user);
            assert!(!is_erased || event["type"] == "user.erased", "{event}");
            reported += usize::from(is_erased);
        }
        if number < records {
            let facts = record.facts().unwrap();
            let asking = resync_events(&facts, erased, &erasures, now);
            for event in iam::acting_as(RELAY, asking).await.unwrap() {
                let event = serde_json::to_value(&event).unwrap();
                assert!(event["user"].is_null() || event["user"] == "zoe", "{event}");
            }
        }
    }
    assert_eq!(reported, of_before.len() + 2, "each item that was deleted");
}

/// Who comes back after an erasure is seen again.
#[tokio::test]
async fn who_logs_in_after_an_erasure_is_seen_again() {
    let mut world = World::new();
    world.logins("lobby", &["zoe", "ada"]).await;
    let erased = world.start.plus(20_000);
    let (status, _) = world.handlers.erase("/users/zego/1/ada", "", erased).await;
    assert_eq!(status, StatusCode::OK);
    let occupant = |after| {
        let login_time = world.start.plus(after);
        json!({ "session": "s", "name": "x", "role": 2, "login_time": login_time })
    };
    let people = json!({ "zoe": occupant(0), "ada": occupant(25_000) });
    world.known.know(json!({ "zego": { "1": { "lobby": { "life": 7, "people": people } } } }));
    pass(&world, world.start.plus(40_000)).await;
    assert_eq!(world.members("lobby").await, ["ada", "zoe"]);
}
