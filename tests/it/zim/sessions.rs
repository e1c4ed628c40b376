//! `user_action`: who is online, on which devices.

use rollcall::{
    domain::UnixMillis, http::Request, relay::events, routes::QUERY, runtime, store::StreamRecord,
};
use rollcall_players::zim::{Action, Event, Spelling};
use serde_json::{Value, json};

use super::{USER_ACTION, World, orders, outcome, signed};
use crate::{
    relay::events_of,
    support::{Handlers, TestApp, iam},
};

/// The samples of ZEGO's pages, with ids and times of another user.
fn samples() -> [Value; 4] {
    let of = |action: u8, session: &str, login: u64, times: Value| {
        let mut body = json!({
            "event": "user_action", "user_id": "user-7", "user_name": "User Seven",
            "os": "ANDROID", "action": action, "session_id": session, "login_time": login
        });
        body.as_object_mut().unwrap().extend(times.as_object().unwrap().clone());
        body
    };
    let (first, second) = ("940000000000000001", "940000000000000002");
    [
        of(0, first, 1_700_000_000, json!({ "relogin": "0" })),
        of(2, first, 1_700_000_000, json!({ "relogin": "0", "offline_time": 1_700_000_059 })),
        of(0, second, 1_700_000_600, json!({ "relogin": "1" })),
        of(
            1,
            second,
            1_700_000_600,
            json!({ "relogin": "1", "logout_time": 1_700_000_700, "logout_reason": "" }),
        ),
    ]
}

/// Of each session: its device, when it began, when it ended, and why. Presence has only the last one
/// of each device.
fn stays(explained: &Value) -> Value {
    let devices = explained["devices"].as_array().unwrap().iter();
    let row = |of: &Value| {
        let stay = &of["stays"][0];
        json!([of["session"], of["device"], stay["entered_at"], stay["left_at"], stay["reason"]])
    };
    devices.map(row).collect()
}

#[tokio::test]
async fn the_samples_are_applied_once_and_twice_are_duplicates() {
    let app = TestApp::start().await;
    for expected in ["applied", "duplicate"] {
        for body in samples() {
            assert_eq!(outcome(&app, USER_ACTION, &signed(body)).await, expected);
        }
    }
    let user = app.user("user-7").await;
    assert_eq!(
        (&user["online"], &user["last_seen_at"]),
        (&json!(false), &json!(1_700_000_700_000_u64))
    );
    assert_eq!(
        stays(&app.get("/explain/zego/1/users/user-7").await.1),
        json!([
            [
                "940000000000000001",
                "ANDROID",
                1_700_000_000_000_u64,
                1_700_000_059_000_u64,
                "disconnected"
            ],
            [
                "940000000000000002",
                "ANDROID",
                1_700_000_600_000_u64,
                1_700_000_700_000_u64,
                "normal"
            ],
        ])
    );
    let path = "/registrations/zego/1/users/user-7";
    let (_, registered) = app.get(path).await;
    assert_eq!(
        (&registered["source"], &registered["registered_at"]),
        (&json!("first_login"), &json!(1_700_000_000_000_u64))
    );
    let (_, usage) = app.get("/usage/zego/1?month=2023-11").await;
    assert_eq!((&usage["month"], &usage["active_users"]), (&json!("2023-11"), &json!(1)));
}

/// What is stored, and so every answer.
#[tokio::test]
async fn promise_3_convergent_the_samples_in_every_order() {
    let mut expected = None;
    for bodies in orders(&samples()) {
        let world = World::new();
        for body in bodies {
            let body = super::signed_at(body, world.now().seconds()).to_string();
            let request = Request::post(USER_ACTION, body, world.now());
            assert_eq!(
                world.handlers.receive(USER_ACTION, &request).await.outcome,
                Some("applied")
            );
        }
        let stored = world.stored();
        assert_eq!(expected.get_or_insert_with(|| stored.clone()), &stored);
    }
}

#[tokio::test]
async fn an_os_is_trimmed_and_an_unknown_one_is_kept() {
    for (os, device) in [
        (json!("PC "), "PC"),
        (json!("HarmonyOS"), "HarmonyOS"),
        (json!("iPad 17"), "iPad 17"),
        (json!(""), "Unknown"),
        (json!("  "), "Unknown"),
        (Value::Null, "Unknown"),
        (json!(7), "7"),
    ] {
        let app = TestApp::start().await;
        let mut body = samples()[0].clone();
        body["os"] = os.clone();
        assert_eq!(outcome(&app, USER_ACTION, &signed(body)).await, "applied");
        assert_eq!(app.user("user-7").await["sessions"][0]["device"], device, "{os}");
    }
}

#[tokio::test]
async fn times_are_seconds_or_milliseconds_numbers_or_texts_and_may_be_missing() {
    let now = runtime::now().seconds();
    let sent = now.0 * 1000;
    for (time, entered_at, is_assumed) in [
        (json!(1_700_000_000), 1_700_000_000_000, false),
        (json!("1700000000"), 1_700_000_000_000, false),
        (json!(1_700_000_000_123_u64), 1_700_000_000_123, false),
        (json!("1700000000123"), 1_700_000_000_123, false),
        // Then it was about when the callback was sent.
        (json!(0), sent, true),
        (json!("0"), sent, true),
        (json!(""), sent, true),
        (Value::Null, sent, true),
    ] {
        let app = TestApp::start().await;
        let mut body = samples()[0].clone();
        body["login_time"] = time.clone();
        assert_eq!(outcome(&app, USER_ACTION, &super::signed_at(body, now)).await, "applied");
        let session = &app.user("user-7").await["sessions"][0];
        assert_eq!(
            (&session["entered_at"], &session["entered_assumed"]),
            (&json!(entered_at), &json!(is_assumed)),
            "{time}"
        );
    }
}

/// A lost connection is not a logout: the session may go on, from the next second on.
#[tokio::test]
async fn promise_3_convergent_a_logout_is_final_and_a_lost_connection_yields_to_a_later_login() {
    type Case = (&'static [(Action, u64)], Option<(u64, &'static str)>);
    let cases: [Case; 8] = [
        (&[(Action::Login, 10), (Action::Offline, 20)], Some((20, "disconnected"))),
        (&[(Action::Login, 10), (Action::Logout, 20)], Some((20, "normal"))),
        (&[(Action::Login, 10), (Action::Offline, 10)], Some((10, "disconnected"))),
        (&[(Action::Login, 10), (Action::Logout, 10)], Some((10, "normal"))),
        (
            &[(Action::Login, 10), (Action::Offline, 20), (Action::Login, 20)],
            Some((20, "disconnected")),
        ),
        (&[(Action::Login, 10), (Action::Offline, 20), (Action::Login, 21)], None),
        (&[(Action::Login, 10), (Action::Logout, 20), (Action::Login, 30)], Some((20, "normal"))),
        (&[(Action::Login, 10), (Action::Offline, 25), (Action::Logout, 20)], Some((20, "normal"))),
    ];
    for (events, expected) in cases {
        for order in orders(events) {
            let world = World::new();
            for (action, second) in &order {
                // An end has the login that it is of only if that was the first.
                let login = if *action == Action::Login { *second } else { 10 };
                world.deliver(&world.action(*action, "1", login, *second)).await;
            }
            let ada = world.ada().await;
            let (left_at, reason) = match expected {
                Some((second, reason)) => (json!(world.at(second)), json!(reason)),
                None => (Value::Null, Value::Null),
            };
            let session = &ada["sessions"][0];
            assert_eq!(ada["sessions"].as_array().unwrap().len(), 1, "{order:?}: {ada}");
            assert_eq!((&session["left_at"], &session["reason"]), (&left_at, &reason), "{order:?}");
            assert_eq!(ada["online"], expected.is_none(), "{order:?}");
        }
    }
}

#[tokio::test]
async fn a_late_end_of_an_old_session_leaves_the_new_one_online() {
    let world = World::new();
    world.apply([world.login("1", 10), world.login("2", 30)]).await;
    for late in [Action::Offline, Action::Logout] {
        world.apply([world.action(late, "1", 10, 40)]).await;
        let ada = world.ada().await;
        assert_eq!(ada["online"], true, "{ada}");
        assert_eq!(ada["sessions"][0]["session"], "2", "{ada}");
    }
}

#[tokio::test]
async fn an_end_names_the_login_that_was_lost_and_registers_nobody() {
    let world = World::new();
    world.apply([world.action(Action::Logout, "1", 10, 40)]).await;
    let session = &world.ada().await["sessions"][0];
    assert_eq!(
        json!([session["entered_at"], session["left_at"], session["reason"]]),
        json!([world.at(10), world.at(40), "normal"])
    );
    let path = "/registrations/zego/1/users/ada";
    assert_eq!(world.handlers.get(path, "", world.now()).await.0, 404);
    assert_eq!(world.ask("/usage/zego/1", "month=2026-09").await["active_users"], 0);
    // An end without any time but its own.
    let spelling = Spelling { login_time_missing: true, os_missing: true, ..Spelling::default() };
    world.apply([Event { spelling, ..world.action(Action::Offline, "2", 10, 50) }]).await;
    let stays = stays(&world.ask("/explain/zego/1/users/ada", "").await);
    assert_eq!(stays[1], json!(["2", "Unknown", null, world.at(50), "disconnected"]), "{stays}");
}

#[tokio::test]
async fn the_first_login_registers_and_each_month_counts_a_user_once() {
    const DAY: u64 = 86_400;
    let world = World::new();
    let of = |user: &str, day: u64| {
        let event = world.login(&format!("{user}-{day}"), 0);
        let at = UnixMillis(1_780_000_000_000 + day * DAY * 1000);
        Event { user: user.to_owned(), login_time: at, at, ..event }
    };
    // 2026-05-28 and the days after it, out of order.
    for (user, day) in [("ada", 40), ("ada", 0), ("bob", 41), ("ada", 41), ("ada", 1), ("bob", 42)]
    {
        world.apply([of(user, day)]).await;
    }
    for (month, active) in [("2026-05", 1), ("2026-06", 0), ("2026-07", 2), ("2026-08", 0)] {
        let usage = world.ask("/usage/zego/1", &format!("month={month}")).await;
        assert_eq!(usage["active_users"], active, "{month}");
    }
    let first = world.ask("/registrations/zego/1/users/ada", "").await;
    assert_eq!(
        (&first["registered_at"], &first["source"]),
        (&json!(1_780_000_000_000_u64), &json!("first_login"))
    );
    let all = world.ask("/registrations/zego/1", "").await;
    let users: Vec<_> =
        all["registrations"].as_array().unwrap().iter().map(|one| one["user"].clone()).collect();
    assert_eq!(users, ["ada", "bob"]);
}

/// More events than one item of a kilobyte has room for. A callback is one request, and one that finds
/// the item too large moves the oldest marks.
#[tokio::test]
async fn a_user_of_many_sessions_is_one_request_for_each_callback() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let world = World { handlers, ..World::new() };
    let mut moves = 0;
    for number in 0..60 {
        let session = format!("9400000000000000{number:02}");
        for event in [
            world.login(&session, 2 * number),
            world.action(Action::Offline, &session, 2 * number, 2 * number + 1),
        ] {
            world.apply([event]).await;
            let seen = proxy.take();
            let operations: Vec<&str> = seen.iter().map(|one| one.operation.as_str()).collect();
            match operations[..] {
                ["UpdateItem"] => {}
                // The first login also registers the user, and counts them for its month.
                [.., "UpdateItem"] if number == 0 && seen.len() <= 4 => {}
                ["UpdateItem", "GetItem", "UpdateItem", "UpdateItem"] => moves += 1,
                _ => panic!("{number}: {operations:?}"),
            }
        }
    }
    assert!((3..10).contains(&moves), "{moves} moves of 120 events");
    let stays = stays(&world.ask("/explain/zego/1/users/ada", "limit=1000").await);
    let expected: Vec<Value> = (0..60)
        .map(|number| {
            let (login, lost) = (world.at(2 * number), world.at(2 * number + 1));
            let session = format!("9400000000000000{number:02}");
            json!([session, "ANDROID", login, lost, "disconnected"])
        })
        .collect();
    assert_eq!(stays, json!(expected));
    let ada = world.ada().await;
    assert_eq!((&ada["online"], &ada["last_seen_at"]), (&json!(false), &json!(world.at(119))));
}

/// What was moved away is not looked for, so that every callback is one request: it is written again,
/// and changes nothing.
#[tokio::test]
async fn promise_2_idempotent_a_repetition_of_what_was_moved_changes_nothing() {
    let world = World::new();
    let events: Vec<Event> =
        (0..60).map(|number| world.login(&format!("{number}"), number)).collect();
    world.apply(events.clone()).await;
    let (before, records) = (world.stored(), world.store.stream(0).len());
    let known = world.ask("/presence/zego/1/users/ada", "limit=1000").await;
    let outcomes = [world.deliver(&events[0]).await, world.deliver(&events[59]).await];
    assert_eq!(outcomes, ["applied", "duplicate"]);
    assert_eq!(world.stored(), before);
    assert_eq!(world.ask("/presence/zego/1/users/ada", "limit=1000").await, known);
    // It is reported once more.
    let facts = |records: &[Value]| -> Vec<Value> {
        let names = ["type", "user", "session", "device", "at"];
        let fact = |event: Value| json!(names.map(|name| event[name].clone()));
        let of_first = |event: &Value| event["session"] == "0" && event["type"] == "device.online";
        events_of(records).into_iter().filter(of_first).map(fact).collect()
    };
    let stream = world.store.stream(0);
    let (first, again) = (facts(&stream[..records]), facts(&stream[records..]));
    assert_eq!((first.len(), again.len()), (1, 1));
    assert_eq!(first, again);
}

#[tokio::test]
async fn promise_9_reported_a_session_is_reported_by_its_device_and_id() {
    let world = World::new();
    let lost = world.action(Action::Offline, "1", 10, 20);
    world.apply([world.login("1", 10), lost, world.login("1", 30)]).await;
    world.apply([world.action(Action::Logout, "1", 30, 40)]).await;
    let records = world.store.stream(0);
    let facts: Vec<Value> = records
        .iter()
        .flat_map(|record| {
            events(&serde_json::from_value::<StreamRecord>(record.clone()).unwrap()).unwrap()
        })
        .map(|event| serde_json::to_value(event).unwrap())
        .filter(|event| event["type"] != "user.registered")
        .map(|event| {
            json!(["type", "at", "device", "session", "reason", "late"].map(|name| &event[name]))
        })
        .collect();
    assert_eq!(
        json!(facts),
        json!([
            ["device.online", world.at(10), "ANDROID", "1", null, false],
            ["device.offline", world.at(20), "ANDROID", "1", "disconnected", false],
            ["device.online", world.at(30), "ANDROID", "1", null, false],
            ["device.offline", world.at(40), "ANDROID", "1", "normal", false],
        ])
    );
}

#[tokio::test]
async fn several_people_are_asked_about_at_once() {
    let world = World::new();
    let bob = Event { user: "bob".to_owned(), ..world.action(Action::Logout, "2", 10, 20) };
    world.apply([world.login("1", 10), bob]).await;
    let body = json!({ "users": ["ada", "bob", "nobody"] }).to_string();
    let request = Request::post("/presence/zego/1/users", body, world.now());
    let asking = world.handlers.queries.answer(&request);
    let reply = iam::acting_as(QUERY, asking).await;
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    let online: Vec<_> =
        answer["users"].as_array().unwrap().iter().map(|user| user["online"].clone()).collect();
    assert_eq!(online, [true, false, false], "{answer}");
}
