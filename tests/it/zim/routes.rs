//! RTC and ZIM beside each other: each event at its own address, and rooms of one id that never meet.

use rollcall::{domain::UnixMillis, relay::touched_rooms, routes::RELAY, store::StreamRecord};
use rollcall_players::{
    zego::{
        self,
        EventName::{RoomCreate, RoomLogin, RoomLogout},
    },
    zim::EventName::{RoomDestroy, RoomEnter, RoomExit, ZimRoomCreate},
};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{ROOM_EVENT, USER_ACTION, World, outcome, post, signed};
use crate::{
    histories::relay::live_rooms,
    relay::events_of,
    support::{TestApp, iam, names, player_secrets, zego_event},
};

/// An event of each kind, with the address that takes it.
fn events() -> Vec<(&'static str, Value)> {
    let now = rollcall::runtime::now().0;
    let seat = |event: &str| {
        json!({
            "event": event, "room_id": "lobby", "room_seq": "7", "user_account": "ada",
            "session_id": "s1", "login_time": now.to_string(), "logout_time": now.to_string(),
            "user_role": "2", "user_update_seq": "1"
        })
    };
    let life = |event: &str| {
        json!({
            "event": event, "room_id": "lobby", "room_session_id": 7, "id_name": "ada",
            "room_create_time": now.to_string(), "room_close_time": now.to_string()
        })
    };
    let zim =
        |event: &str| json!({ "event": event, "room_id": "lobby", "operator_account": "ada" });
    let mut exit = zim("room_exit");
    exit["exit_user_ids"] = json!(["ada"]);
    let mut both = life("room_create");
    both["operator_account"] = json!("ada");
    vec![
        ("/zego/room-login", seat("room_login")),
        ("/zego/room-logout", seat("room_logout")),
        ("/zego/room-create", life("room_create")),
        ("/zego/room-close", life("room_close")),
        ("/zego/room-create", both),
        (
            USER_ACTION,
            json!({ "event": "user_action", "user_id": "ada", "session_id": "1", "action": 0 }),
        ),
        (ROOM_EVENT, zim("room_create")),
        (ROOM_EVENT, json!({ "event": "room_create", "room_id": "lobby", "room_name": "L" })),
        (ROOM_EVENT, json!({ "event": "room_create", "room_id": "lobby", "attributes": [] })),
        (ROOM_EVENT, zim("room_enter")),
        (ROOM_EVENT, exit),
        (ROOM_EVENT, zim("room_destroy")),
    ]
}

#[tokio::test]
async fn an_event_at_another_ones_address_is_refused_with_the_right_one() {
    let app = TestApp::start().await;
    let routes: std::collections::BTreeSet<&str> =
        events().iter().map(|(route, _)| *route).collect();
    assert_eq!(routes.len(), 6);
    for (own, body) in events() {
        for route in routes.iter().filter(|route| **route != own) {
            let answer = post(&app, route, &signed(body.clone())).await;
            let event = body["event"].as_str().unwrap();
            let expected = format!("this route does not take `{event}`: send it to {own}");
            assert_eq!(answer.status, 400, "{body} at {route}: {}", answer.body);
            let says: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(says, json!({ "code": 400, "message": expected }), "{body} at {route}");
            assert_eq!(answer.outcome.as_deref(), Some("rejected"));
        }
    }
    assert!(app.records().await.is_empty());
    for (own, body) in events() {
        let outcome = outcome(&app, own, &signed(body.clone())).await;
        assert!(["applied", "duplicate", "stale"].contains(&outcome.as_str()), "{body}: {outcome}");
    }
}

/// ZIM has many events that say nothing of who is there.
#[tokio::test]
async fn other_events_of_zims_are_acknowledged() {
    let app = TestApp::start().await;
    for route in [USER_ACTION, ROOM_EVENT] {
        for event in ["group_create", "call_invite", "send_msg", "user_info_update"] {
            let body = json!({ "event": event, "room_id": "lobby", "user_id": "ada" });
            assert_eq!(outcome(&app, route, &signed(body)).await, "ignored", "{event}");
        }
    }
    for action in [json!(3), json!("17")] {
        let body = json!({
            "event": "user_action", "user_id": "ada", "session_id": "1", "action": action
        });
        assert_eq!(outcome(&app, USER_ACTION, &signed(body)).await, "ignored");
    }
    assert!(app.records().await.is_empty());
}

/// RTC's rooms `r1`, `z:r1` and `r:r1`, and ZIM's, each with somebody of its own.
const ROOMS: [(&str, bool, &str); 6] = [
    ("r1", false, "r1"),
    ("z:r1", false, "r:z:r1"),
    ("r:z:r1", false, "r:r:z:r1"),
    ("r1", true, "z:r1"),
    ("z:r1", true, "z:z:r1"),
    ("r:z:r1", true, "z:r:z:r1"),
];

fn person(number: usize) -> String {
    format!("p{number}")
}

impl World {
    async fn rtc(&self, event: &zego::Event) -> Option<&'static str> {
        let secret = player_secrets().zego.unwrap();
        let callback = event.callback(&secret, self.now().seconds(), "1");
        self.handlers.deliver(&callback, self.now()).await.outcome
    }
}

async fn with_somebody_in_each() -> World {
    let world = World::new();
    world.store.set_time(world.now().0);
    for (number, (name, is_zims, _)) in ROOMS.into_iter().enumerate() {
        let (user, room) = (person(number), name.to_owned());
        if is_zims {
            let events = [ZimRoomCreate, RoomEnter].map(|name| rollcall_players::zim::Event {
                room: room.clone(),
                ..world.in_room(name, &user, 10)
            });
            world.apply(events).await;
        } else {
            for name in [RoomCreate, RoomLogin] {
                let of = zego_event(name, world.at(10));
                let event = zego::Event { room: room.clone(), user: user.clone(), ..of };
                assert_eq!(world.rtc(&event).await, Some("applied"));
            }
        }
    }
    world
}

#[tokio::test]
async fn promise_7_isolated_rooms_of_one_id_never_meet() {
    let world = with_somebody_in_each().await;
    for (number, (_, is_zims, id)) in ROOMS.into_iter().enumerate() {
        let user = person(number);
        let room = world.room(id).await;
        assert_eq!((&room["room"], names(&room)), (&json!(id), vec![user.clone()]), "{id}");
        assert_eq!(room["life"].is_null(), is_zims, "{id}");
        let by_path = world.ask(&format!("/presence/zego/1/rooms/{id}"), "").await;
        assert_eq!(by_path, room);
        let session =
            &world.ask(&format!("/presence/zego/1/users/{user}"), "").await["sessions"][0];
        assert_eq!(session["room"], id);
        for path in [format!("rooms/{id}"), format!("users/{user}")] {
            let visits = world.ask(&format!("/attendance/zego/1/{path}"), "").await;
            let visits = visits["sessions"].as_array().unwrap();
            assert_eq!(visits.len(), 1, "{path}");
            assert_eq!((&visits[0]["room"], &visits[0]["user"]), (&json!(id), &json!(user)));
        }
        let report = world.ask(&format!("/reports/zego/1/rooms/{id}"), "").await;
        assert_eq!((&report["room"], &report["rows"][0]["user"]), (&json!(id), &json!(user)));
        let days = world.ask(&format!("/reports/zego/1/users/{user}"), "").await;
        assert_eq!(days["rows"][0]["room"], id);
        let explained =
            world.ask(&format!("/explain/zego/1/users/{user}"), &format!("room={id}")).await;
        assert_eq!(explained["rooms"][0]["room"], id);
        let data = world.ask(&format!("/users/zego/1/{user}"), "").await;
        assert!(data.to_string().contains(&format!(r#""room":"{id}""#)), "{data}");
    }
    // Events name them so, too.
    let entered: Vec<Value> = events_of(&world.store.stream(0))
        .into_iter()
        .filter(|event| event["type"] == "presence.entered")
        .map(|event| json!([event["user"], event["room"]]))
        .collect();
    let expected: Vec<Value> =
        ROOMS.iter().enumerate().map(|(number, (.., id))| json!([person(number), id])).collect();
    assert_eq!(entered, expected);
    let records: Vec<StreamRecord> = world
        .store
        .stream(0)
        .into_iter()
        .map(|record| serde_json::from_value(record).unwrap())
        .collect();
    let listing = live_rooms(&world.store);
    let rooms = touched_rooms(records.iter().enumerate());
    let listing = listing.list(rooms, Instant::now() + Duration::from_secs(10));
    assert!(iam::acting_as(RELAY, listing).await.is_empty());
    let live = world.ask("/rooms/zego/1", "").await;
    let mut ids: Vec<&str> = live["rooms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|room| room["room"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected = ROOMS.map(|(.., id)| id);
    expected.sort_unstable();
    assert_eq!(ids, expected, "{live}");
}

/// What happens in one of them leaves the others.
#[tokio::test]
async fn promise_7_isolated_the_end_of_a_room_of_zims_leaves_rtcs_and_the_other_way_round() {
    for (ended, (name, is_zims, _)) in ROOMS.into_iter().enumerate() {
        let world = with_somebody_in_each().await;
        if is_zims {
            let of = world.in_room(RoomDestroy, "p", 20);
            world.apply([rollcall_players::zim::Event { room: name.to_owned(), ..of }]).await;
        } else {
            let of = zego_event(zego::EventName::RoomClose, world.at(20));
            let close = zego::Event { room: name.to_owned(), ..of };
            assert_eq!(world.rtc(&close).await, Some("applied"));
        }
        for (number, (.., id)) in ROOMS.into_iter().enumerate() {
            let is_in = number != ended;
            assert_eq!(world.room(id).await["online"], u64::from(is_in), "{id} after {name}");
        }
    }
}

/// A person in both is online once in each, and two visits.
#[tokio::test]
async fn somebody_in_a_room_of_each_is_in_both() {
    let world = World::new();
    let login = zego_event(RoomLogin, world.at(10));
    assert_eq!(world.rtc(&login).await, Some("applied"));
    world.apply([world.in_room(RoomEnter, "ada", 12), world.login("1", 11)]).await;
    let ada = world.ada().await;
    let places: Vec<Value> = ada["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| json!([of["room"], of["device"], of["entered_at"]]))
        .collect();
    assert_eq!(
        json!(places),
        json!([
            ["z:lobby", null, world.at(12)],
            [null, "ANDROID", world.at(11)],
            ["lobby", null, world.at(10)]
        ])
    );
    for room in ["lobby", "z:lobby"] {
        assert_eq!(world.room(room).await["online"], 1);
    }
    let logout =
        zego::Event { name: RoomLogout, sequence: 2, at: UnixMillis(world.at(20).0), ..login };
    assert_eq!(world.rtc(&logout).await, Some("applied"));
    assert_eq!(world.ada().await["online"], true, "in ZIM's room, and on a device");
    world.apply([world.in_room(RoomExit, "ada", 30)]).await;
    assert_eq!(world.ada().await["online"], true, "on a device");
    world.apply([world.action(rollcall_players::zim::Action::Logout, "1", 11, 40)]).await;
    assert_eq!(world.ada().await["online"], false);
}

/// An id and its prefix have 255 bytes at most.
#[tokio::test]
async fn the_longest_ids() {
    let app = TestApp::start().await;
    let create = |id: &str| {
        json!({ "event": "room_create", "room_id": id, "room_session_id": 7,
        "room_create_time": rollcall::runtime::now().0 })
    };
    let enter =
        |id: &str| json!({ "event": "room_enter", "room_id": id, "operator_account": "ada" });
    for (route, body, is_taken) in [
        (ROOM_EVENT, enter(&"x".repeat(253)), true),
        (ROOM_EVENT, enter(&"x".repeat(254)), false),
        ("/zego/room-create", create(&"x".repeat(255)), true),
        ("/zego/room-create", create(&format!("z:{}", "x".repeat(251))), true),
        ("/zego/room-create", create(&format!("z:{}", "x".repeat(252))), false),
    ] {
        let answer = post(&app, route, &signed(body.clone())).await;
        if is_taken {
            assert_eq!(answer.outcome.as_deref(), Some("applied"), "{body}: {}", answer.body);
        } else {
            assert_eq!(answer.status, 400, "{body}");
            assert!(answer.body.contains("`room_id` is longer than 255 bytes"), "{}", answer.body);
        }
    }
}
