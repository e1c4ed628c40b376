//! One run at a time asks about an app; what one has not done is done by the next.

use std::{collections::BTreeSet, time::Duration};

use http::StatusCode;
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    domain::{App, ProviderName, UnixMillis},
    reconcile::LEASE,
    runtime,
};
use rollcall_local::provider::{Action, Behaviour, Fault, Faults};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{EventName, PATIENCE, RECONCILE, World, post, post_at};
use crate::support::iam;

/// Rooms whose person has left by the provider.
async fn rooms(world: &mut World, count: usize) -> Vec<String> {
    let rooms: Vec<String> = (0..count).map(|number| format!("r{number:02}")).collect();
    for room in &rooms {
        world.store(EventName::RoomLogin, room, "ada", world.start.plus(0)).await;
        world.store(EventName::RoomLogin, room, "bob", world.start.plus(0)).await;
    }
    world.relay().await;
    let occupant =
        json!({ "session": "s", "name": "x", "role": 2, "login_time": world.start.plus(0) });
    let of = |room: &String| (room.clone(), json!({ "life": 7, "people": { "bob": occupant } }));
    let known: Value = rooms.iter().map(of).collect();
    world.known.know(json!({ "zego": { "1": known } }));
    rooms
}

async fn repaired(world: &World, rooms: &[String]) -> BTreeSet<String> {
    let mut repaired = BTreeSet::new();
    for room in rooms {
        if world.members(room).await == ["bob"] {
            repaired.insert(room.clone());
        }
    }
    repaired
}

#[tokio::test]
async fn of_two_runs_at_once_one_asks_and_a_run_that_dies_leaves_a_lease_that_ends() {
    let mut world = World::new();
    let rooms = rooms(&mut world, 3).await;
    let (asks, provider) = world.asks(Behaviour::default()).await;
    let (log, _guard) = crate::support::Log::capture();
    let (now, deadline) = (runtime::now(), Instant::now() + Duration::from_secs(20));
    let both = async { tokio::join!(asks.run("a", now, deadline), asks.run("b", now, deadline)) };
    let (first, second) = iam::acting_as(RECONCILE, both).await;
    let asked = [first.unwrap(), second.unwrap()].map(|ran| ran.all.rooms);
    assert_eq!(asked.iter().sum::<u64>(), 3, "one has asked: {asked:?}");
    assert!(asked.contains(&0), "the other one has not: {asked:?}");
    assert!(log.text().contains("another run asks about an app"), "{}", log.text());
    let lists = provider.counts().into_iter().find(|(of, _)| *of == Action::DescribeUserList);
    assert_eq!(lists.unwrap().1.answered, 3, "each room was asked about once");
    assert_eq!(repaired(&world, &rooms).await.len(), 3);

    // A run dies while it waits for an answer.
    let faults = Faults { percent: 100.0, kinds: vec![Fault::Hang] };
    let (hangs, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
    let began = runtime::now();
    let run = iam::acting_as(RECONCILE, hangs.run("dies", began, deadline));
    assert!(tokio::time::timeout(Duration::from_millis(500), run).await.is_err(), "it is dropped");
    let run = async |id: &str, now: UnixMillis| {
        let run = asks.run(id, now, Instant::now() + Duration::from_secs(20));
        iam::acting_as(RECONCILE, run).await.unwrap().all.rooms
    };
    assert_eq!(run("next", began.after(LEASE.saturating_sub(Duration::from_secs(2)))).await, 0);
    let (status, answer) = {
        let mut asks = asks.clone();
        asks.request_limit = Duration::from_millis(2500);
        post_at(&asks, "zego/1", "", runtime::now()).await
    };
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("under way"), "{answer}");
    assert_eq!(run("later", began.after(LEASE).after(Duration::from_secs(1))).await, 3);
}

/// Rooms of which something came late are the first, whatever their names are.
#[tokio::test]
async fn rooms_with_late_events_are_asked_about_first() {
    let mut world = World::new();
    let mut rooms = rooms(&mut world, 40).await;
    let late = rooms.split_off(37);
    for room in &late {
        let until = world.start.plus(0).before(Duration::from_secs(30));
        world.report_earlier_visit(room, "ada", until).await;
        assert_eq!(world.members(room).await, ["ada", "bob"]);
    }
    // The time of a run is over while it asks about the second sixteen rooms: each takes two slow
    // answers. On a busy machine it may be over before.
    let slow = Duration::from_millis(700);
    let asks = world.asks_slowly(slow).await;
    let (mut asked, mut runs) = (0, 0);
    while repaired(&world, &late).await.len() < late.len() {
        assert!(asked < 30 && runs < 30, "{asked} rooms were asked about in {runs} runs");
        let id = runs.to_string();
        let run = asks.run(&id, runtime::now(), Instant::now() + slow * 7 / 2);
        asked += iam::acting_as(RECONCILE, run).await.unwrap().all.rooms;
        runs += 1;
    }
    assert!((3..37).contains(&asked), "{asked} rooms were asked about");
}

/// Each room is asked about once in a round, however many runs it takes.
#[tokio::test]
async fn a_round_goes_on_over_several_runs() {
    let mut world = World::new();
    let rooms = rooms(&mut world, 40).await;
    let slow = Duration::from_millis(500);
    let asks = world.asks_slowly(slow).await;
    let (mut asked, mut runs) = (0, 0);
    loop {
        let id = runs.to_string();
        let run = asks.run(&id, runtime::now(), Instant::now() + 5 * slow);
        let ran = iam::acting_as(RECONCILE, run).await.unwrap();
        asked += ran.all.rooms;
        runs += 1;
        assert!(runs < 20, "{ran:?}");
        // Two other providers have nobody.
        if ran.passes == 3 {
            break;
        }
    }
    assert!(runs > 1);
    assert_eq!(asked, 40, "in {runs} runs");
    assert_eq!(repaired(&world, &rooms).await.len(), 40);
}

/// From the event of the schedule to the answers.
#[tokio::test]
async fn the_function_takes_the_event_of_its_schedule() {
    let mut world = World::new();
    world.logins("lobby", &["ada", "bob"]).await;
    world.lobby(&["ada", "cyd"]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    let event = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "source": "aws.events",
        "detail-type": "Scheduled Event", "account": "123456789012", "region": "us-east-1",
        "time": "2026-11-26T05:00:00Z",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/rollcall"], "detail": {},
    });
    let mut context = Context::default();
    context.request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef".to_owned();
    let before = runtime::now();
    context.deadline = before.after(Duration::from_secs(20)).0;
    let mut function = runtime::reconcile_service(asks);
    let answer =
        iam::acting_as(RECONCILE, function.call(LambdaEvent::new(event, context))).await.unwrap();
    assert_eq!(answer, Value::Null);
    let room = world.get("/presence/zego/1/rooms/lobby").await;
    assert!(room["checked_at"].as_u64().unwrap() >= before.0, "{room}");
    assert_eq!(world.members("lobby").await, ["ada", "cyd"]);
    let bob = world.get("/presence/zego/1/users/bob").await;
    let end = ["reason", "assumed"].map(|name| bob["sessions"][0][name].clone());
    assert_eq!(end, [json!("reconciled"), json!(true)], "{bob}");
    let cyd = world.get("/presence/zego/1/users/cyd").await;
    assert_eq!(cyd["sessions"][0]["entered_assumed"], true, "{cyd}");
    // Of Cyd it asked by name, a moment after it began.
    assert!(cyd["checked_at"].as_u64() >= room["checked_at"].as_u64(), "{cyd}");
}

#[tokio::test]
async fn a_run_passes_over_all_live_rooms_and_goes_on_where_it_was_stopped() {
    let mut world = World::new();
    for room in ["lobby", "hall", "attic"] {
        world.logins(room, &["ada", "bob"]).await;
    }
    world.lobby(&["ada"]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    // There is no time.
    let now = runtime::now();
    let run = iam::acting_as(RECONCILE, asks.run("none", now, Instant::now()));
    let ran = run.await.unwrap();
    // Of the people of two other providers there are none.
    assert_eq!((ran.passes, ran.all.rooms), (2, 0), "{ran:?}");

    let deadline = Instant::now() + Duration::from_secs(20);
    let run = iam::acting_as(RECONCILE, asks.run("run", runtime::now(), deadline));
    let ran = run.await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms), (3, 3), "{ran:?}");
    assert_eq!(ran.all.braked, 1, "nobody knows the attic");
    assert_eq!(world.members("lobby").await, ["ada"]);
    assert_eq!(world.members("hall").await, ["zoe"]);
    assert_eq!(world.members("attic").await, ["ada", "bob"]);

    // Another round: the rooms are still live, and nothing differs but the attic.
    let run = asks.run("again", runtime::now(), Instant::now() + Duration::from_secs(20));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms, ran.all.stored), (3, 3, 0), "{ran:?}");
}

/// One run at a time asks about an app. A request that gets no turn is done by the next run.
#[tokio::test]
async fn a_request_that_gets_no_turn_is_the_first_of_the_next_run() {
    let mut world = World::new();
    for user in ["ada", "bob"] {
        world.store(EventName::RoomLogin, "lobby", user, world.start.plus(0)).await;
    }
    world.lobby(&["ada"]);
    let (mut asks, _) = world.asks(Behaviour::default()).await;
    asks.request_limit = Duration::from_secs(3);
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    let now = runtime::now();
    let taking = asks.passes.take(&app, "another", now, now.after(LEASE));
    let mut lease = iam::acting_as(RECONCILE, taking).await.unwrap().unwrap();

    let (status, answer) = post_at(&asks, "zego/1/rooms/lobby", "dry_run=true", now).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let (status, answer) = post_at(&asks, "zego/1/rooms/lobby", "", now).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "queued": true })));
    let run = asks.run("run", now, Instant::now() + Duration::from_secs(20));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!(ran.all.rooms, 0, "another run has the lease: {ran:?}");

    let giving_back = asks.passes.keep(&mut lease, None, now);
    assert!(iam::acting_as(RECONCILE, giving_back).await.unwrap());
    let run = asks.run("run", now, Instant::now() + Duration::from_secs(20));
    iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!(world.members("lobby").await, ["ada"]);
    let asked = asks.reader.asked_rooms(&app, now);
    assert!(iam::acting_as(RECONCILE, asked).await.unwrap().is_empty());
}

/// While a run asks about a slow app, a request gets its turn.
#[tokio::test]
async fn an_api_that_hangs_ends_a_run_and_holds_no_lease() {
    let mut world = World::new();
    for room in 0..30 {
        world.logins(&format!("r{room}"), &["ada"]).await;
    }
    let faults = Faults { percent: 100.0, kinds: vec![Fault::Hang] };
    let (hangs, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
    let began = Instant::now();
    let run = hangs.run("run", runtime::now(), Instant::now() + Duration::from_mins(5));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms), (2, 0), "{ran:?}");
    assert!(ran.all.failed >= 10, "{ran:?}");
    assert!(began.elapsed() < 4 * PATIENCE, "{:?}", began.elapsed());
    world.lobby(&[]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    post(&asks, "zego/1/rooms/r0").await;
}
