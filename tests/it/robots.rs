//! Robots: users whom an app's patterns name are recorded in rooms, and are no people.

use std::num::NonZeroU32;

use http::StatusCode;
use rollcall::{
    callback::Secret,
    config::{Apps, ProviderApis},
    domain::UnixMillis,
    relay::touched_rooms,
    routes::{RELAY, SWEEP},
    runtime,
    sweep::Budget,
};
use rollcall_local::provider::{Behaviour, EXAMPLE_APIS, Provider, Truth};
use rollcall_players::{
    robots,
    servers::Servers,
    tencent,
    zego::{
        Event,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    histories::relay::live_rooms,
    support::{
        Handlers, Moment, Simulated, TestApp, iam, names, player_secrets, reconcile_on, sweep_on,
        tencent_event, tencent_secret, zego_event,
    },
};

/// One of `"robots": ["recorder_*", ...]`.
const ROBOT: &str = "recorder_1";

/// A store with handlers, and time.
struct World {
    store: Simulated,
    handlers: Handlers,
    start: Moment,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        let handlers = Handlers::with(store.client());
        Self { store, handlers, start: Moment(runtime::now().0 - 3_600_000) }
    }

    fn at(&self, second: u64) -> UnixMillis {
        self.start.plus(1000 * second)
    }

    async fn zego(&self, event: &Event) -> Option<&'static str> {
        let (secret, at) = (player_secrets().zego.unwrap(), event.at);
        self.handlers.deliver(&event.callback(&secret, at.seconds(), "1"), at).await.outcome
    }

    /// Somebody's callback of ZEGO's, of a life that began at second 0.
    fn event(&self, name: rollcall_players::zego::EventName, user: &str, second: u64) -> Event {
        let is_leave = name == RoomLogout;
        let login = if is_leave { 10 } else { second };
        Event {
            user: user.to_owned(),
            session: format!("s-{user}"),
            login_time: self.at(login),
            sequence: 1 + u64::from(is_leave),
            role: 2,
            ..zego_event(name, self.at(second))
        }
    }

    async fn trtc(&self, name: tencent::EventName, user: &str, second: u64) {
        let mut event = tencent_event(name, self.at(second));
        event.options.user = user.to_owned();
        event.options.role = 20;
        let callback = event.callback(&player_secrets().trtc.unwrap());
        assert_eq!(
            self.handlers.deliver(&callback, self.at(second)).await.outcome,
            Some("applied")
        );
    }

    async fn get(&self, path: &str, query: &str) -> Value {
        let (status, answer) = self.handlers.get(path, query, self.at(1000)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }
}

#[tokio::test]
async fn a_robot_of_zegos_is_kept_and_not_counted() {
    let world = World::new();
    world.zego(&world.event(RoomCreate, "ada", 0)).await;
    for user in ["ada", ROBOT] {
        assert_eq!(world.zego(&world.event(RoomLogin, user, 10)).await, Some("applied"));
        assert_eq!(world.zego(&world.event(RoomLogin, user, 10)).await, Some("duplicate"));
    }
    let room = world.get("/presence/zego/1/rooms/lobby", "").await;
    assert_eq!((&room["online"], names(&room)), (&json!(1), vec!["ada".to_owned()]));
    let robot = world.get(&format!("/presence/zego/1/users/{ROBOT}"), "").await;
    assert_eq!(robot["online"], true);
    assert_eq!(robot["sessions"][0]["role"], "admin", "{robot}");

    // The patterns are an app's own.
    let mut other = world.event(RoomLogin, ROBOT, 10);
    other.app = "2".to_owned();
    let secret = Secret::new(crate::support::OTHER_SECRET.to_owned()).unwrap();
    let callback = other.callback(&secret, other.at.seconds(), "1");
    world.handlers.deliver(&callback, other.at).await;
    assert_eq!(world.get("/presence/zego/2/rooms/lobby", "").await["online"], 1);

    // Minutes, and minutes together.
    for user in ["ada", ROBOT] {
        assert_eq!(world.zego(&world.event(RoomLogout, user, 110)).await, Some("applied"));
    }
    world.zego(&world.event(RoomClose, "ada", 120)).await;
    let report = world.get("/reports/zego/1/rooms/lobby", "").await;
    assert_eq!((&report["people"], &report["admins"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!((&report["person_ms"], &report["peak"]["online"]), (&json!(100_000), &json!(1)));
    assert_eq!(report["rows"][0]["user"], "ada");
    let path = "/reports/zego/1/rooms/lobby/together";
    let together = world.get(path, "a=role:admin&b=ada").await;
    assert_eq!(together["together_ms"], 100_000);
    let together = world.get(path, "a=role:audience&b=role:audience").await;
    assert_eq!(together["together_ms"], 0, "only Ada is in the audience");
    let attendance = world.get("/attendance/zego/1/rooms/lobby", "").await;
    let roles: Vec<_> = attendance["sessions"].as_array().unwrap().iter().collect();
    let role_of =
        |user: &str| roles.iter().find(|row| row["user"] == user).unwrap()["role"].clone();
    assert_eq!((role_of("ada"), role_of(ROBOT)), (json!("audience"), json!("admin")));
    let explained = world.get(&format!("/explain/zego/1/users/{ROBOT}"), "").await;
    let says = explained["rooms"][0]["marks"][0]["says"].as_str().unwrap();
    assert!(says.contains("entered as admin, which does not count as a person"), "{says}");
}

/// A leave whose enter was lost, and a change of role, are a robot's, too.
#[tokio::test]
async fn every_mark_of_a_robot_is_a_services_whatever_reports_it() {
    let world = World::new();
    let logout = Event { role: 1, ..world.event(RoomLogout, ROBOT, 110) };
    assert_eq!(world.zego(&logout).await, Some("applied"));
    world.trtc(tencent::EventName::TrtcRole, ROBOT, 20).await;
    world.trtc(tencent::EventName::TrtcExit, "recorder_2", 30).await;
    for (app, user) in
        [("zego/1", ROBOT), ("tencent/1400000000", ROBOT), ("tencent/1400000000", "recorder_2")]
    {
        let person = world.get(&format!("/presence/{app}/users/{user}"), "").await;
        assert_eq!(person["sessions"][0]["role"], "admin", "{person}");
    }
}

#[tokio::test]
async fn a_robot_of_trtcs_is_kept_and_not_counted() {
    let world = World::new();
    world.trtc(tencent::EventName::TrtcCreate, "ada", 0).await;
    for user in ["ada", ROBOT] {
        world.trtc(tencent::EventName::TrtcEnter, user, 10).await;
        world.trtc(tencent::EventName::TrtcRole, user, 20).await;
    }
    let path = "tencent/1400000000/rooms/lobby";
    let room = world.get(&format!("/presence/{path}"), "").await;
    assert_eq!((&room["online"], names(&room)), (&json!(1), vec!["ada".to_owned()]));
    let user = format!("tencent/1400000000/users/{ROBOT}");
    let robot = world.get(&format!("/presence/{user}"), "").await;
    assert_eq!((&robot["online"], &robot["sessions"][0]["role"]), (&json!(true), &json!("admin")));
    let explained = world.get(&format!("/explain/{user}"), "").await;
    let says = explained["rooms"][0]["marks"][0]["says"].as_str().unwrap();
    assert!(says.contains("admin (a robot, which does not count as a person)"), "{says}");
    for user in ["ada", ROBOT] {
        world.trtc(tencent::EventName::TrtcExit, user, 110).await;
    }
    let report = world.get(&format!("/reports/{path}"), "").await;
    assert_eq!((&report["people"], &report["admins"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!((&report["person_ms"], &report["peak"]["online"]), (&json!(100_000), &json!(1)));
    let together = world.get(&format!("/reports/{path}/together"), "a=role:admin&b=ada").await;
    assert_eq!(together["together_ms"], 100_000);

    // No callback of TRTC's names that role: its number is another one.
    let mut event = tencent_event(tencent::EventName::TrtcEnter, world.at(200));
    event.options.role = 4;
    let callback = event.callback(&player_secrets().trtc.unwrap());
    world.handlers.deliver(&callback, world.at(200)).await;
    let room = world.get(&format!("/presence/{path}"), "").await;
    assert_eq!(room["members"][0]["role"], "role_4", "{room}");
}

/// One callback of `RoomEngine`'s names several people, of whom some are robots.
#[tokio::test]
async fn of_several_members_only_the_robots_are_not_counted() {
    let world = World::new();
    for (name, second) in
        [(tencent::EventName::RoomEnter, 10), (tencent::EventName::RoomLeave, 110)]
    {
        let mut event = tencent_event(name, world.at(second));
        event.options.also = vec![ROBOT.to_owned(), "bob".to_owned()];
        let callback = event.callback(&tencent_secret(name));
        let answer = world.handlers.deliver(&callback, world.at(second)).await;
        assert_eq!(answer.outcome, Some("applied"));
        if name == tencent::EventName::RoomLeave {
            continue;
        }
        let room = world.get("/presence/tencent/1400000000/rooms/lobby", "").await;
        let people = ["ada", "bob"].map(str::to_owned).to_vec();
        assert_eq!((&room["online"], names(&room)), (&json!(2), people));
    }
    let user = format!("tencent/1400000000/users/{ROBOT}");
    let robot = world.get(&format!("/presence/{user}"), "").await;
    assert_eq!(robot["sessions"][0]["role"], "admin", "{robot}");
    let explained = world.get(&format!("/explain/{user}"), "").await;
    for mark in explained["rooms"][0]["marks"].as_array().unwrap() {
        let says = mark["says"].as_str().unwrap();
        assert!(says.contains("(a robot, which does not count as a person)"), "{says}");
    }
    let report = world.get("/reports/tencent/1400000000/rooms/lobby", "").await;
    assert_eq!((&report["people"], &report["admins"]), (&json!(2), &json!(1)), "{report}");
}

/// A robot in a room is no person in the list of live rooms, and in the samples of the sweep.
#[tokio::test]
async fn a_robot_counts_in_no_list_and_in_no_sample() {
    let world = World::new();
    for (room, user) in [("lobby", "ada"), ("lobby", ROBOT), ("recorded", ROBOT)] {
        let event = Event { room: room.to_owned(), ..world.event(RoomLogin, user, 10) };
        world.store.set_time(event.at.0);
        assert_eq!(world.zego(&event).await, Some("applied"));
    }
    let records: Vec<rollcall::store::StreamRecord> = world
        .store
        .stream(0)
        .into_iter()
        .map(|record| serde_json::from_value(record).unwrap())
        .collect();
    let rooms = touched_rooms(records.iter().enumerate());
    let listing = live_rooms(&world.store);
    let listing = listing.list(rooms, Instant::now() + std::time::Duration::from_secs(10));
    assert!(iam::acting_as(RELAY, listing).await.is_empty());
    let now = world.at(20);
    let (_, live) = world.handlers.get("/rooms/zego/1", "min_people=0", now).await;
    let online: Vec<_> = live["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| (room["room"].as_str().unwrap(), room["online"].as_u64().unwrap()))
        .collect();
    assert_eq!(online, [("lobby", 1), ("recorded", 0)], "{live}");
    let (_, live) = world.handlers.get("/rooms/zego/1", "", now).await;
    assert_eq!(live["rooms"].as_array().unwrap().len(), 1, "{live}");
    let plenty = Budget::ReadUnitsPerSecond(NonZeroU32::new(10_000).unwrap());
    let sweep = sweep_on(world.store.client(), plenty);
    let deadline = Instant::now() + std::time::Duration::from_secs(45);
    iam::acting_as(SWEEP, sweep.run("run", now, deadline)).await.unwrap();
    let (_, stats) = world.handlers.get("/stats/zego/1", "", now).await;
    let sample = &stats["samples"][0];
    assert_eq!((&sample["rooms"], &sample["online"]), (&json!(1), &json!(1)), "{stats}");
}

/// What a provider says of a robot when it is asked has the role of its callbacks.
#[tokio::test]
async fn a_robot_that_only_an_answer_shows_is_not_counted() {
    let world = World::new();
    assert_eq!(world.zego(&world.event(RoomLogin, "ada", 10)).await, Some("applied"));
    let mut apis: Value = serde_json::from_str(EXAMPLE_APIS).unwrap();
    apis["zego"]["1"]["robots"] = json!(robots::PATTERNS);
    let apis = ProviderApis::from_json(&apis.to_string()).unwrap();
    let occupant =
        |name: &str| json!({ "session": "s", "name": name, "role": 2, "login_time": world.at(10) });
    let servers: Servers = serde_json::from_value(json!({ "zego": { "1": { "lobby": {
        "life": 7, "people": { "ada": occupant("ada"), "bob": occupant("bob"), ROBOT: occupant(ROBOT) }
    } } } }))
    .unwrap();
    let provider = Provider::new(apis.clone(), Truth::always(servers), Behaviour::default(), 1);
    let now = world.at(600);
    let transport = rollcall::server_api::Transport::answered_by(
        move |request| Some(provider.answer(&request, now)?.map(bytes::Bytes::from)),
        rollcall::server_api::Patience::default(),
    );
    world.store.set_time(now.0);
    let clock = std::sync::Arc::new(move || now);
    let reconcile = reconcile_on(world.store.client(), apis, clock, transport);
    let request =
        rollcall::http::Request::post("/reconcile/zego/1/rooms/lobby", String::new(), now);
    let answering = Box::pin(reconcile.answer(&request, "run"));
    let reply = iam::acting_as(rollcall::routes::RECONCILE, answering).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&answer["found"]["in"], &answer["stored"]), (&json!(2), &json!(2)), "{answer}");
    let room = world.get("/presence/zego/1/rooms/lobby", "").await;
    assert_eq!(names(&room), ["ada", "bob"]);
    let robot = world.get(&format!("/presence/zego/1/users/{ROBOT}"), "").await;
    let session = &robot["sessions"][0];
    assert_eq!((&robot["online"], &session["role"]), (&json!(true), &json!("admin")), "{robot}");
}

/// What waits in the spill queue is marked already: who replays it has no patterns.
#[tokio::test]
async fn what_is_spilled_of_a_robot_is_marked() {
    let apps = Apps::from_json(
        r#"{"tencent":{"1":{"trtc_keys":["k"],"robots":["bot*"]}},
            "zego":{"1":{"callback_secrets":["k"]}}}"#,
    )
    .unwrap();
    let message = |user: &str| {
        let mark = json!({
            "order": { "time": 5, "session": null, "sequence": 3 }, "kind": "enter", "at": 5,
            "role": "audience", "reason": "unspecified"
        });
        json!({ "seat": {
            "app": { "provider": "tencent", "id": "1" }, "user": user, "room": "lobby",
            "life": null, "mark": mark, "roster": { "name": null, "details": {} }
        } })
    };
    // Several changes of one callback.
    let changes = json!(["bot1", "ada", "bot2"].map(message));
    let mut changes: Vec<rollcall::domain::Change> = serde_json::from_value(changes).unwrap();
    apps.mark_robots(&mut changes);
    let marked = serde_json::to_value(&changes).unwrap();
    let roles: Vec<_> =
        marked.as_array().unwrap().iter().map(|one| one["seat"]["mark"]["role"].clone()).collect();
    assert_eq!(roles, ["admin", "audience", "admin"]);
}

/// Over HTTP, as `cargo run` serves it.
#[tokio::test]
async fn a_robot_enters_and_leaves_over_http() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let robot = |name, ms| Event { user: ROBOT.to_owned(), ..zego_event(name, start.plus(ms)) };
    assert_eq!(app.outcome(&robot(RoomLogin, 0)).await, "applied");
    assert_eq!(app.room("lobby").await["online"], 0);
    let left = Event { sequence: 2, login_time: start.plus(0), ..robot(RoomLogout, 10) };
    assert_eq!(app.outcome(&left).await, "applied");
    let session = &app.user(ROBOT).await["sessions"][0];
    assert_eq!((&session["role"], &session["reason"]), (&json!("admin"), &json!("normal")));
}
