//! The samples of Tencent's pages, byte for byte but for their ids.

use std::collections::HashMap;

use rollcall::http::Reply;
use serde_json::{Value, json};

use super::{NOW, OK, ask, deliver_body, post, room, start, user};
use crate::support::{Handlers, TestApp, dump, names};

const ROOM_CREATE: &str = r#"{"CallbackCommand":"Room.CallbackAfterCreateRoom","Operator_Account":"admin","RoomInfo":{"RoomId":"room-7","RoomName":"Room 7","RoomType":"Meeting","Owner_Account":"user-7","MaxMemberCount":300,"MaxSeatCount":16,"IsVideoDisabled":false,"IsAudioDisabled":false,"IsMessageDisabled":false,"IsScreenSharingDisabled":false,"IsCloudRecordingDisabled":false,"CustomInfo":"","ScheduleStartTime":1700000000,"ScheduleEndTime":1700003600,"RoomStatus":"Running","IsSeatEnabled":true,"TakeSeatMode":"ApplyToTake","CreateTime":1700000000},"ScheduleInviteeList_Account":["user-8","user-9"],"EventTime":1700000000120}"#;
const ROOM_ENTER: &str = r#"{"CallbackCommand":"Room.CallbackAfterMemberEnter","Operator_Account":"user-7","RoomId":"room-7","MemberCount":1,"Type":"Enter","MemberList_Account":["user-7"],"EventTime":1700000001120}"#;
const ROOM_LEAVE: &str = r#"{"CallbackCommand":"Room.CallbackAfterMemberLeave","Operator_Account":"admin","RoomId":"room-7","MemberCount":0,"Type":"Kicked","MemberList_Account":["user-7"],"Reason":"free text","EventTime":1700000100120}"#;
const ROOM_UPDATE: &str = r#"{"CallbackCommand":"Room.CallbackAfterUpdateRoomInfo","Operator_Account":"user-7","RoomInfo":{"RoomId":"room-7","RoomName":"New","Owner_Account":"user-8","TakeSeatMode":"FreeToTake","MaxMemberCount":300,"IsCloudRecordingDisabled":"false"},"EventTime":1700000200120}"#;
const ROOM_DESTROY: &str = r#"{"CallbackCommand":"Room.CallbackAfterDestroyRoom","Operator_Account":"admin","RoomId":"room-7","EventTime":1700000300120}"#;
const LIVE_CREATE: &str = r#"{"CallbackCommand":"Live.CallbackAfterCreateRoom","Operator_Account":"user-7","RoomInfo":{"RoomId":"live-7","RoomName":"Live 7","RoomType":"Live","Owner_Account":"user-7","MaxMemberCount":300,"IsMessageDisabled":false,"CustomInfo":"","IsSeatEnabled":true,"TakeSeatMode":"ApplyToTake","MaxSeatCount":8,"CreateTime":1700000000,"IsPublicVisible":true,"CoverURL":"","Category":[1,2]},"EventTime":1700000000120}"#;
const LIVE_OFFLINE: &str = r#"{"CallbackCommand":"Live.CallbackAfterMemberStateChanged","RoomId":"live-7","EventType":"Offline","EventCause":"HeartbeatInterrupt","MemberList":[{"Member_Account":"user-8"},{"Member_Account":"user-9"}],"EventTime":1700000120780}"#;
const LIVE_DESTROY: &str = r#"{"CallbackCommand":"Live.CallbackAfterDestroyRoom","Operator_Account":"user-7","RoomId":"live-7","EventType":"DestroyByUser","EventTime":1700000300120,"RoomInfo":{"RoomName":"Live 7","RoomType":"Live","Owner_Account":144115216631667826,"ViewCount":0}}"#;

/// A sample with another state, cause and time.
fn live_state(state: &str, cause: &str, seconds: u64) -> String {
    let body = LIVE_OFFLINE.replace("Offline", state).replace("HeartbeatInterrupt", cause);
    body.replace("1700000120780", &format!("{}", 1_700_000_000_780 + seconds * 1000))
}

/// Of the sample with two people, only the second one.
fn of_one(body: &str) -> String {
    body.replace(r#"{"Member_Account":"user-8"},"#, "")
}

#[tokio::test]
async fn promise_2_idempotent_each_sample_is_applied_once_and_is_a_duplicate_after_that() {
    let samples = [
        (ROOM_CREATE, "applied"),
        (ROOM_ENTER, "applied"),
        (ROOM_LEAVE, "applied"),
        (ROOM_UPDATE, "ignored"),
        (ROOM_DESTROY, "applied"),
        (LIVE_CREATE, "applied"),
        (LIVE_OFFLINE, "applied"),
        (LIVE_DESTROY, "applied"),
    ];
    let app = TestApp::start().await;
    for (body, first) in samples {
        for expected in [first, if first == "ignored" { first } else { "duplicate" }] {
            let answer = post(&app, body).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, OK), "{body}");
            assert_eq!(answer.outcome.as_deref(), Some(expected), "{body}");
        }
    }
    // Each by itself, too.
    for (body, first) in samples {
        let app = TestApp::start().await;
        assert_eq!(post(&app, body).await.outcome.as_deref(), Some(first), "{body}");
        // Of the first one of an app, a note that there is a second track.
        let is_stored = first == "applied";
        let people = if body == LIVE_OFFLINE { 2 } else { 1 };
        let items = if is_stored { people + 1 } else { 0 };
        assert_eq!(app.records().await.len(), items, "{body}");
    }
}

/// All orders of some things.
fn orders<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for index in 0..of.len() {
        let mut others = of.to_vec();
        let first = others.remove(index);
        for mut order in orders(&others) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

async fn accept(handlers: &Handlers, body: &str) -> Reply {
    let reply = deliver_body(handlers, body).await;
    assert_eq!(reply.status, 200, "{body}: {}", reply.body);
    reply
}

/// What is stored after some bodies in some order, every one of them twice.
async fn stored(order: &[String]) -> (HashMap<String, Value>, Handlers, crate::support::Database) {
    let (database, handlers) = start().await;
    for body in order {
        accept(&handlers, body).await;
    }
    for body in order.iter().rev() {
        let outcome = accept(&handlers, body).await.outcome.unwrap();
        assert!(["duplicate", "ignored"].contains(&outcome), "{outcome}: {body}");
    }
    (dump(&database.client).await, handlers, database)
}

#[tokio::test]
async fn promise_3_convergent_every_order_of_the_room_samples_leaves_the_same() {
    let samples = [ROOM_CREATE, ROOM_ENTER, ROOM_LEAVE, ROOM_DESTROY].map(str::to_owned);
    let (expected, handlers, _database) = stored(&samples).await;
    let room = room(&handlers, "room-7").await;
    assert_eq!((&room["open"], &room["online"]), (&json!(false), &json!(0)));
    let known = user(&handlers, "user-7").await;
    let session = &known["sessions"][0];
    let expected_session = json!({
        "room": "room-7", "life": null, "session": null, "device": null, "name": null,
        "role": "unspecified", "entered_at": 1_700_000_001_120_u64, "entered_assumed": false,
        "left_at": 1_700_000_100_120_u64, "reason": "kicked", "assumed": false
    });
    assert_eq!(session, &expected_session);
    // Who kicked, owns or was invited was not in.
    for nobody in ["admin", "user-8", "user-9"] {
        let path = format!("/presence/tencent/1400000000/users/{nobody}");
        assert_eq!(handlers.get(&path, "", NOW).await.0, 404, "{nobody}");
    }
    for order in orders(&samples) {
        assert_eq!(stored(&order).await.0, expected, "{order:?}");
    }
}

#[tokio::test]
async fn promise_3_convergent_every_order_of_the_live_samples_leaves_the_same() {
    let samples = [
        LIVE_CREATE.to_owned(),
        live_state("Online", "Enter", 10),
        LIVE_OFFLINE.to_owned(),
        of_one(&live_state("Online", "HeartbeatRecover", 200)),
        LIVE_DESTROY.to_owned(),
    ];
    let (expected, handlers, _database) = stored(&samples[..4]).await;
    let live = room(&handlers, "live-7").await;
    assert_eq!((&live["open"], &live["online"]), (&json!(true), &json!(1)));
    assert_eq!(names(&live), ["user-9"], "the heartbeat came back");
    assert_eq!(user(&handlers, "user-8").await["sessions"][0]["reason"], "heartbeat_timeout");
    for order in orders(&samples[..4]) {
        assert_eq!(stored(&order).await.0, expected, "{order:?}");
    }
    // It reports nobody's leave: it ends the stays itself.
    let (expected, handlers, _database) = stored(&samples).await;
    let live = room(&handlers, "live-7").await;
    assert_eq!((&live["open"], &live["online"]), (&json!(false), &json!(0)));
    let ended = user(&handlers, "user-9").await;
    let stays = ask(&handlers, "attendance", "/users/user-9", "", NOW).await["sessions"].clone();
    assert_eq!(stays.as_array().unwrap().len(), 2, "{stays}");
    assert_eq!(
        (&ended["sessions"][0]["left_at"], &ended["sessions"][0]["reason"]),
        (&json!(1_700_000_300_120_u64), &json!("room_closed"))
    );
    for first in 0..samples.len() {
        let mut order = samples.clone();
        order.rotate_left(first);
        assert_eq!(stored(&order).await.0, expected, "{order:?}");
        order.reverse();
        assert_eq!(stored(&order).await.0, expected, "{order:?}");
    }
}
