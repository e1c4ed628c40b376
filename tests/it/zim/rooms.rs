//! `room_create`, `room_enter`, `room_exit` and `room_destroy`: rooms beside those of RTC.

use rollcall::{http::Request, runtime};
use rollcall_players::zim::{
    Event,
    EventName::{RoomDestroy, RoomEnter, RoomExit, ZimRoomCreate},
    Spelling,
};
use serde_json::{Value, json};

use super::{ROOM_EVENT, World, orders, outcome, post, signed_at};
use crate::support::{Moment, TestApp, names};

/// The samples of ZEGO's pages, with ids and times of another room. Each has the second in which it
/// was sent.
fn samples() -> [(u64, Value); 5] {
    let of = |second: u64, event: &str, fields: Value| {
        let mut body = json!({ "event": event, "room_id": "room-7" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        (second, body)
    };
    [
        of(
            0,
            "room_create",
            json!({
                "operator_account": "user-7", "room_name": "Room 7",
                "attributes": [{ "key": "k", "value": "v", "auto_delete": 1 }]
            }),
        ),
        of(1, "room_enter", json!({ "operator_account": "user-7" })),
        of(2, "room_enter", json!({ "operator_account": "user-8" })),
        of(
            10,
            "room_exit",
            json!({
                "exit_type": "Kickout", "exit_user_ids": ["user-8"], "operator_account": "user-7"
            }),
        ),
        of(20, "room_destroy", json!({ "user_ids": ["user-7"], "operator_account": "user-7" })),
    ]
}

#[tokio::test]
async fn the_samples_are_applied_once_and_twice_are_duplicates() {
    let app = TestApp::start().await;
    let start = Moment(Moment::recent().0 / 1000 * 1000);
    for expected in ["applied", "duplicate"] {
        for (second, body) in samples() {
            let body = signed_at(body, start.plus(1000 * second).seconds());
            assert_eq!(outcome(&app, ROOM_EVENT, &body).await, expected, "{body}");
        }
    }
    let room = app.room("z:room-7").await;
    assert_eq!((&room["open"], &room["online"]), (&json!(false), &json!(0)), "{room}");
    let (_, answer) = app.get("/attendance/zego/1/rooms/z:room-7").await;
    let mut visits: Vec<Value> = answer["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            json!(
                ["user", "room", "life", "session", "role", "entered_at", "left_at", "reason"]
                    .map(|name| &of[name])
            )
        })
        .collect();
    visits.sort_by_key(ToString::to_string);
    let at = |second: u64| start.plus(1000 * second);
    assert_eq!(
        json!(visits),
        json!([
            ["user-7", "z:room-7", null, null, "unspecified", at(1), at(20), "room_closed"],
            ["user-8", "z:room-7", null, null, "unspecified", at(2), at(10), "kicked"],
        ])
    );
    assert_eq!(app.user("user-7").await["sessions"][0]["room"], "z:room-7");
}

#[tokio::test]
async fn promise_3_convergent_the_samples_in_every_order() {
    let mut expected = None;
    for order in orders(&samples()) {
        let world = World::new();
        for (second, body) in order {
            let body = signed_at(body, world.at(second).seconds()).to_string();
            let request = Request::post(ROOM_EVENT, body, world.now());
            let reply = world.handlers.receive(ROOM_EVENT, &request).await;
            assert!(["applied", "stale"].contains(&reply.outcome.unwrap()), "{}", reply.body);
        }
        let mut stored = world.stored();
        for (_, item) in &mut stored {
            item.as_object_mut().unwrap().remove("expires_at");
        }
        assert_eq!(expected.get_or_insert_with(|| stored.clone()), &stored);
        let room = world.room("z:room-7").await;
        assert_eq!((&room["open"], &room["online"]), (&json!(false), &json!(0)), "{room}");
    }
}

/// ZEGO's pages call it milliseconds, and their samples show seconds.
#[tokio::test]
async fn the_time_of_an_event_is_in_seconds_or_in_milliseconds() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let enter =
        |user: &str| json!({ "event": "room_enter", "room_id": "1", "operator_account": user });
    for (user, timestamp) in [("seconds", now.seconds().0), ("millis", now.0)] {
        let body = signed_at(enter(user), rollcall::domain::UnixSeconds(timestamp));
        assert_eq!(outcome(&app, ROOM_EVENT, &body).await, "applied", "{body}");
    }
    let at = async |user: &str| app.user(user).await["sessions"][0]["entered_at"].clone();
    assert_eq!(at("seconds").await, now.0 / 1000 * 1000);
    assert_eq!(at("millis").await, now.0);
}

#[tokio::test]
async fn several_leave_in_one_callback_and_who_kicked_them_stays() {
    let world = World::new();
    for user in ["ada", "bob", "eve"] {
        world.apply([world.in_room(RoomEnter, user, 10)]).await;
    }
    let kick = Event {
        others: vec!["bob".to_owned()],
        is_kicked: true,
        ..world.in_room(RoomExit, "ada", 20)
    };
    world.apply([kick.clone()]).await;
    assert_eq!(world.deliver(&kick).await, "duplicate");
    let room = world.room("z:lobby").await;
    assert_eq!((names(&room), &room["online"]), (vec!["eve".to_owned()], &json!(1)));
    assert_eq!(world.ada().await["sessions"][0]["reason"], "kicked");
    // The player names a moderator, who was never in.
    let nobody = world.handlers.get("/presence/zego/1/users/moderator", "", world.now()).await;
    assert_eq!(nobody.0, 404);
}

#[tokio::test]
async fn one_id_that_cannot_be_read_costs_no_other_one() {
    let app = TestApp::start().await;
    let start = Moment(Moment::recent().0 / 1000 * 1000);
    let exit = |users: Value| {
        let body = json!({
            "event": "room_exit", "room_id": "1", "exit_type": "Quit", "exit_user_ids": users
        });
        signed_at(body, start.plus(20_000).seconds())
    };
    for user in ["ada", "bob"] {
        let body = json!({ "event": "room_enter", "room_id": "1", "operator_account": user });
        let body = signed_at(body, start.plus(10_000).seconds());
        assert_eq!(outcome(&app, ROOM_EVENT, &body).await, "applied");
    }
    let answer = post(&app, ROOM_EVENT, &exit(json!(["ada", "x".repeat(256)]))).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.body.contains("1 of 2 users were not recorded, the others were"),
        "{}",
        answer.body
    );
    assert_eq!(app.members("z:1").await, ["bob"]);
    // Of a room that was destroyed, nobody's end depends on the names.
    let body = json!({ "event": "room_destroy", "room_id": "1", "user_ids": ["x".repeat(256), "bob", 7, null] });
    let body = signed_at(body, start.plus(30_000).seconds());
    assert_eq!(outcome(&app, ROOM_EVENT, &body).await, "applied");
    assert_eq!(app.members("z:1").await, [""; 0]);
}

/// The end of a life that is over hits no newer one.
#[tokio::test]
async fn a_late_destruction_leaves_the_next_room_open() {
    let destroy = |world: &World, second| Event {
        others: vec!["ada".to_owned()],
        ..world.in_room(RoomDestroy, "ada", second)
    };
    for destroyed in [20, 30] {
        let world = World::new();
        let events = [
            world.in_room(ZimRoomCreate, "ada", 10),
            world.in_room(RoomEnter, "ada", 10),
            world.in_room(ZimRoomCreate, "bob", 30),
            world.in_room(RoomEnter, "bob", 30),
        ];
        world.apply(events).await;
        world.deliver(&destroy(&world, destroyed)).await;
        let room = world.room("z:lobby").await;
        assert_eq!((&room["open"], names(&room)), (&json!(true), vec!["bob".to_owned()]));
        let ada = &world.ada().await["sessions"][0];
        assert_eq!(
            (&ada["left_at"], &ada["reason"]),
            (&json!(world.at(destroyed)), &json!("room_closed"))
        );
    }
}

/// Of an event of one second each order is possible, and the one counts that fits.
#[tokio::test]
async fn promise_3_convergent_within_a_second_the_order_is_the_one_that_fits() {
    for (before, is_in) in [(None, false), (Some(5), true)] {
        let world = World::new();
        let (enter, exit) =
            (world.in_room(RoomEnter, "ada", 10), world.in_room(RoomExit, "ada", 10));
        let before = before.map(|second| world.in_room(RoomEnter, "ada", second));
        for order in orders(&[enter, exit]) {
            let world = World::new();
            for event in before.iter().chain(&order) {
                world.deliver(event).await;
            }
            assert_eq!(world.ada().await["online"], is_in, "{order:?}");
            assert_eq!(world.room("z:lobby").await["online"], u64::from(is_in), "{order:?}");
        }
    }
}

#[tokio::test]
async fn a_robot_is_kept_and_not_counted() {
    const ROBOT: &str = "recorder_1";
    let world = World::new();
    for user in ["ada", ROBOT] {
        world.apply([world.in_room(RoomEnter, user, 10)]).await;
    }
    let room = world.room("z:lobby").await;
    assert_eq!((&room["online"], names(&room)), (&json!(1), vec!["ada".to_owned()]));
    let robot = world.ask(&format!("/presence/zego/1/users/{ROBOT}"), "").await;
    assert_eq!((&robot["online"], &robot["sessions"][0]["role"]), (&json!(true), &json!("admin")));
    let explained = world.ask(&format!("/explain/zego/1/users/{ROBOT}"), "").await;
    let says = explained["rooms"][0]["marks"][0]["says"].as_str().unwrap();
    assert!(says.contains("a robot, which does not count as a person"), "{says}");
    for user in ["ada", ROBOT] {
        world.apply([world.in_room(RoomExit, user, 110)]).await;
    }
    let report = world.ask("/reports/zego/1/rooms/z:lobby", "").await;
    assert_eq!((&report["people"], &report["admins"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!((&report["person_ms"], &report["peak"]["online"]), (&json!(100_000), &json!(1)));
    assert_eq!(report["rows"][0]["user"], "ada");
    let explained = world.ask(&format!("/explain/zego/1/users/{ROBOT}"), "").await;
    assert_eq!(explained["rooms"][0]["stays"][0]["reason"], "normal", "{explained}");
}

/// The oldest marks of such a seat were moved.
#[tokio::test]
async fn a_person_who_comes_and_goes_very_often_is_read_right() {
    let world = World::new();
    for visit in 0..60 {
        world.apply([world.in_room(RoomEnter, "ada", 4 * visit)]).await;
        world.apply([world.in_room(RoomExit, "ada", 4 * visit + 2)]).await;
    }
    assert_eq!(world.ada().await["online"], false);
    world.apply([world.in_room(RoomEnter, "ada", 300)]).await;
    let ada = world.ada().await;
    assert_eq!(
        (&ada["online"], &ada["sessions"][0]["entered_at"]),
        (&json!(true), &json!(world.at(300)))
    );
    let visits = world.ask("/attendance/zego/1/users/ada", "limit=1000").await;
    assert_eq!(visits["sessions"].as_array().unwrap().len(), 61);
}

#[tokio::test]
async fn an_event_in_a_room_is_one_request() {
    let (_database, proxy, handlers) = crate::support::Handlers::observed().await;
    let world = World { handlers, ..World::new() };
    for event in [
        world.in_room(ZimRoomCreate, "ada", 1),
        world.in_room(RoomEnter, "ada", 1),
        world.in_room(RoomExit, "ada", 9),
        world.in_room(RoomDestroy, "ada", 9),
    ] {
        for expected in ["applied", "duplicate"] {
            assert_eq!(world.deliver(&event).await, expected, "{event:?}");
            let seen = proxy.take();
            assert_eq!(seen.len(), 1, "{event:?}: {seen:?}");
        }
    }
    let spelling = Spelling { in_millis: true, ..Spelling::default() };
    world.apply([Event { spelling, ..world.in_room(RoomEnter, "ada", 20) }]).await;
}
