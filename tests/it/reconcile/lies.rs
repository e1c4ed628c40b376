//! APIs that lie or fail for a whole app: a pass does little harm, and honest ones repair it.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, http::StatusCode as Status};
use rollcall::{config::ProviderApis, domain::UnixMillis, reconcile::Ran, runtime};
use rollcall_local::provider::{Behaviour, DEFAULT_PORT, EXAMPLE_APIS, Fault, Faults, Lie};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};

use super::{PATIENCE, RECONCILE, Reconcile, World, post};
use crate::support::{iam, reconcile_on, transport};

/// How many people there are in each room: fewer than the brake lets a pass over one room end.
const EACH: usize = 6;

/// How many stays the brake lets a pass over an app end: those of so many of its rooms.
const BRAKE: usize = 50 / EACH * EACH;

fn room(number: usize) -> String {
    format!("r{number:02}")
}

/// Everybody is in their room, by the callbacks and by the provider.
async fn full(count: usize) -> (World, BTreeMap<String, Vec<String>>) {
    let mut world = World::new();
    let mut rooms = BTreeMap::new();
    for number in 0..count {
        let people: Vec<String> =
            (0..EACH).map(|person| format!("p{number:02}-{person}")).collect();
        for user in &people {
            let at = world.start.plus(0);
            world.store(super::EventName::RoomLogin, &room(number), user, at).await;
        }
        rooms.insert(room(number), people);
    }
    world.relay().await;
    let occupant =
        json!({ "session": "s", "name": "x", "role": 2, "login_time": world.start.plus(0) });
    let known = rooms.iter().map(|(room, people)| {
        let people = people.iter().map(|user| (user.clone(), occupant.clone()));
        (room.clone(), json!({ "life": 7, "people": people.collect::<Value>() }))
    });
    let known: Value = known.collect();
    world.known.know(json!({ "zego": { "1": known } }));
    (world, rooms)
}

/// How many people are not in their room, and how many are in one that is not theirs.
async fn wrong(
    world: &World,
    rooms: &BTreeMap<String, Vec<String>>,
    now: UnixMillis,
) -> (usize, usize) {
    let (mut missing, mut added) = (0, 0);
    for (room, people) in rooms {
        let (_, roster) =
            world.handlers.get(&format!("/presence/zego/1/rooms/{room}"), "", now).await;
        let members = roster["members"].as_array().unwrap().iter();
        let members: Vec<&str> = members.map(|one| one["user"].as_str().unwrap()).collect();
        missing += people.iter().filter(|user| !members.contains(&user.as_str())).count();
        added += members.iter().filter(|user| !people.iter().any(|one| one == *user)).count();
    }
    (missing, added)
}

async fn run(asks: &Reconcile, now: UnixMillis) -> Ran {
    let id = format!("run at {now}");
    let run = asks.run(&id, now, Instant::now() + Duration::from_mins(1));
    iam::acting_as(RECONCILE, run).await.unwrap()
}

/// What asks a server that answers everything with this.
async fn asks_a_server_that_says(world: &World, status: Status, body: String) -> Reconcile {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = move || async move { (status, body.clone()) };
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let apis = EXAMPLE_APIS.replace(&DEFAULT_PORT.to_string(), &port.to_string());
    let apis = ProviderApis::from_json(&apis).unwrap();
    let clock = std::sync::Arc::new(runtime::now);
    reconcile_on(world.store.client(), apis, clock, transport(PATIENCE))
}

/// The brake holds up most of what would remove people. Who is added is a difference like any other
/// to the honest passes.
#[tokio::test]
async fn a_pass_of_lies_over_an_app_removes_no_more_than_the_brake_allows_and_is_repaired() {
    let count = 10;
    let (world, rooms) = full(count).await;
    let mut now = runtime::now();
    for (lie, most_missing, most_added) in [
        (Lie::EmptyList, 0, 0),
        (Lie::UnknownRoom, 0, 0),
        (Lie::OtherUsers, 0, count * EACH),
        (Lie::EverybodyOut, BRAKE, 0),
        (Lie::OtherRoom, BRAKE, BRAKE),
    ] {
        let lies = world.asks_at(Behaviour { lie: Some(lie), ..Behaviour::default() }, now).await;
        let ran = run(&lies, now).await;
        assert_eq!(ran.all.rooms, u64::try_from(count).unwrap(), "{lie:?}: {ran:?}");
        let (missing, added) = wrong(&world, &rooms, now).await;
        for (found, most) in [(missing, most_missing), (added, most_added)] {
            assert!(found <= most, "{lie:?}: {found} of at most {most}: {ran:?}");
            assert_eq!(found > 0, most > 0, "{lie:?}: {found}: {ran:?}");
        }
        let is_braked = ran.all.braked > 0;
        assert_eq!(is_braked, lie != Lie::EmptyList && lie != Lie::OtherUsers, "{lie:?}: {ran:?}");
        for _ in 0..2 {
            now = now.after(Duration::from_secs(40));
            let honest = world.asks_at(Behaviour::default(), now).await;
            run(&honest, now).await;
        }
        assert_eq!(wrong(&world, &rooms, now).await, (0, 0), "after {lie:?}");
        now = now.after(Duration::from_mins(5));
    }
}

/// HTTP statuses, codes, no JSON, other JSON: nothing follows from them about anybody.
#[tokio::test]
async fn an_app_whose_api_fails_in_any_way_loses_nobody() {
    let (world, rooms) = full(3).await;
    let mut now = runtime::now();
    let code = |code: u64| json!({ "Code": code, "Message": "x", "RequestId": "1", "Data": {} });
    let data = |data: Value| json!({ "Code": 0, "Message": "x", "RequestId": "1", "Data": data });
    let mut bodies: Vec<(u16, String)> = Vec::new();
    for status in [301, 401, 403, 404, 429, 500, 502, 503] {
        bodies.push((status, data(json!({ "UserList": [], "UserStatusList": [] })).to_string()));
    }
    for number in [1, 2, 3, 206, 207, 50_011, 100_000_001, 100_000_005, 100_000_011, 999] {
        bodies.push((200, code(number).to_string()));
    }
    for text in ["", "null", "[]", "{}", "0", "<html>", "{\"Code\":0}", "{\"Code\":\"0\"", "\u{0}"]
    {
        bodies.push((200, text.to_owned()));
    }
    for odd in [
        json!({}),
        json!({ "UserList": null, "UserStatusList": null }),
        json!({ "UserList": {}, "UserStatusList": {} }),
        json!({ "UserList": [], "UserStatusList": [] }),
        json!({ "UserList": [{}], "UserStatusList": [{}, null, 7] }),
    ] {
        bodies.push((200, data(odd).to_string()));
    }
    for (status, body) in bodies {
        let said = format!("{status} {body}");
        let asks = asks_a_server_that_says(&world, Status::from_u16(status).unwrap(), body).await;
        let ran = run(&asks, now).await;
        assert_eq!(ran.all.stored, 0, "{said}: {ran:?}");
        assert_eq!(wrong(&world, &rooms, now).await, (0, 0), "{said}");
        now = now.after(Duration::from_secs(40));
    }
    for kinds in [vec![Fault::Hang], vec![Fault::Status, Fault::Code, Fault::Json]] {
        let faults = Faults { percent: 50.0, kinds };
        let (fails, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
        run(&fails, now).await;
        assert_eq!(wrong(&world, &rooms, now).await, (0, 0));
        now = now.after(Duration::from_secs(40));
    }
}

/// An API whose answers are about other people, or that says of nobody when they came.
#[tokio::test]
async fn an_api_that_lies_about_times_and_ids_does_no_harm() {
    let mut world = World::new();
    world.logins("lobby", &["ada", "bob"]).await;
    world.lobby(&["ada", "bob", "cyd"]);
    for lie in [Lie::LoginAtZero, Lie::LoginInFuture] {
        let (asks, _) = world.asks(Behaviour { lie: Some(lie), ..Behaviour::default() }).await;
        post(&asks, "zego/1/rooms/lobby").await;
        assert_eq!(world.members("lobby").await, ["ada", "bob", "cyd"], "{lie:?}");
    }
    let lie = Some(Lie::OtherUsers);
    let (asks, _) = world.asks(Behaviour { lie, ..Behaviour::default() }).await;
    post(&asks, "zego/1/rooms/lobby").await;
    let members = world.members("lobby").await;
    assert!(["ada", "bob", "cyd"].iter().all(|name| members.contains(&(*name).to_owned())));
}
