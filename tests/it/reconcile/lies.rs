//! APIs that lie or fail for a whole app: a pass does little harm, and honest ones repair it.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, http::StatusCode as Status};
use rollcall::{config::ProviderApis, domain::UnixMillis, reconcile::Ran, runtime};
use rollcall_local::provider::{Behaviour, DEFAULT_PORT, EXAMPLE_APIS, Fault, Faults, Lie};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};

use super::{PATIENCE, RECONCILE, Reconcile, World};
use crate::support::{iam, reconcile_on, transport};

/// So many rooms with so many people each.
const ROOMS: usize = 40;
const EACH: usize = 3;

/// What the brake lets a pass over an app end.
const BRAKE: usize = 50;

fn room(number: usize) -> String {
    format!("r{number:02}")
}

/// Everybody is in their room, by the callbacks and by the provider.
async fn full() -> (World, BTreeMap<String, Vec<String>>) {
    let mut world = World::new();
    let mut rooms = BTreeMap::new();
    for number in 0..ROOMS {
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
async fn wrong(world: &World, rooms: &BTreeMap<String, Vec<String>>) -> (usize, usize) {
    let (mut missing, mut added) = (0, 0);
    for (room, people) in rooms {
        let members = world.members(room).await;
        missing += people.iter().filter(|user| !members.contains(user)).count();
        added += members.iter().filter(|user| !people.contains(user)).count();
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

#[tokio::test]
async fn a_pass_of_lies_over_an_app_removes_no_more_than_the_brake_allows() {
    let (world, rooms) = full().await;
    let mut now = runtime::now();
    for (lie, most) in [
        (Lie::EmptyList, 0),
        (Lie::UnknownRoom, 0),
        (Lie::OtherUsers, 0),
        (Lie::EverybodyOut, BRAKE),
        (Lie::OtherRoom, BRAKE),
    ] {
        let (lies, _) = world.asks(Behaviour { lie: Some(lie), ..Behaviour::default() }).await;
        let ran = run(&lies, now).await;
        assert_eq!(ran.all.rooms, u64::try_from(ROOMS).unwrap(), "{lie:?}: {ran:?}");
        let (missing, _) = wrong(&world, &rooms).await;
        assert!(missing <= most, "{lie:?} has removed {missing} of {}: {ran:?}", ROOMS * EACH);
        let is_braked = ran.all.braked > 0;
        assert_eq!(is_braked, lie != Lie::EmptyList && lie != Lie::OtherUsers, "{lie:?}: {ran:?}");
        // Two honest passes repair it: what was added is a difference like any other.
        for _ in 0..2 {
            now = now.after(Duration::from_secs(40));
            let (honest, _) = world.asks(Behaviour::default()).await;
            run(&honest, now).await;
        }
        let (missing, added) = wrong(&world, &rooms).await;
        assert_eq!(missing, 0, "after {lie:?}");
        assert!(added == 0 || matches!(lie, Lie::OtherRoom | Lie::OtherUsers), "{lie:?}: {added}");
        now = now.after(Duration::from_mins(5));
    }
}

/// HTTP statuses, codes, no JSON, other JSON: nothing follows from them about anybody.
#[tokio::test]
async fn an_app_whose_api_fails_in_any_way_loses_nobody() {
    let (world, rooms) = full().await;
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
        assert_eq!(wrong(&world, &rooms).await, (0, 0), "{said}");
        now = now.after(Duration::from_secs(40));
    }
    for kinds in [vec![Fault::Hang], vec![Fault::Status, Fault::Code, Fault::Json]] {
        let faults = Faults { percent: 50.0, kinds };
        let (fails, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
        run(&fails, now).await;
        assert_eq!(wrong(&world, &rooms).await, (0, 0));
        now = now.after(Duration::from_secs(40));
    }
}
