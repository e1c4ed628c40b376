//! What pages of different age, and fields of different types, say is the same.

use serde_json::{Value, json};

use super::{NOW, START, address, ask, deliver_body, event, of, outcome, post, room, start, user};
use crate::support::{Handlers, LIVE_TOKEN, ROOM_KEY, TestApp, dump, names};
use rollcall::http::Request;
use rollcall_players::tencent::EventName::{LiveOffline, LiveOnline, RoomEnter, RoomLeave};

/// When a room began, by its report.
async fn began_at(handlers: &Handlers, room: &str) -> Value {
    ask(handlers, "reports", "/rooms", &format!("room={room}"), NOW).await["began_at"].clone()
}

#[tokio::test]
async fn the_time_of_a_creation_is_found_where_each_page_has_it() {
    let (top, inner, seconds) = (START + 120, START + 240, START / 1000);
    for command in ["Room.CallbackAfterCreateRoom", "Live.CallbackAfterCreateRoom"] {
        let body = |info: Value, extra: Value| {
            let mut body =
                json!({ "CallbackCommand": command, "Operator_Account": "a", "RoomInfo": info });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            body.to_string()
        };
        let info = json!({ "RoomId": "r", "Owner_Account": "a", "CreateTime": seconds });
        let with = |value: Value| {
            let mut info = info.clone();
            info["EventTime"] = value;
            info
        };
        for (body, expected) in [
            (body(with(json!(inner)), json!({ "EventTime": top })), top),
            (body(info.clone(), json!({ "EventTime": top.to_string() })), top),
            (body(with(json!(inner)), json!({})), inner),
            (body(with(json!(inner.to_string())), json!({ "EventTime": null })), inner),
            (body(with(json!(inner)), json!({ "EventTime": 0 })), inner),
            (body(info.clone(), json!({})), START),
            (body(with(json!(0)), json!({ "EventTime": 0 })), START),
            (body(with(json!("")), json!({ "EventTime": "" })), START),
            (body(json!({ "RoomId": "r", "CreateTime": seconds.to_string() }), json!({})), START),
            (body(json!({ "RoomId": "r", "CreateTime": 0 }), json!({})), NOW.0),
            (body(json!({ "RoomId": "r" }), json!({})), NOW.0),
        ] {
            let (_database, handlers) = start().await;
            assert_eq!(deliver_body(&handlers, &body).await.outcome, Some("applied"), "{body}");
            assert_eq!(began_at(&handlers, "r").await, expected, "{body}");
        }
    }
}

#[tokio::test]
async fn an_event_about_people_without_a_time_has_the_time_of_its_arrival() {
    let bodies = [
        r#"{"CallbackCommand":"Room.CallbackAfterMemberEnter","RoomId":"r","MemberList_Account":["ada"]TIME}"#,
        r#"{"CallbackCommand":"Live.CallbackAfterMemberStateChanged","RoomId":"r","EventType":"Online","MemberList":[{"Member_Account":"ada"}]TIME}"#,
    ];
    for body in bodies {
        for (time, expected) in [
            (String::new(), NOW.0),
            (r#","EventTime":0"#.to_owned(), NOW.0),
            (r#","EventTime":null"#.to_owned(), NOW.0),
            (format!(r#","EventTime":{START}"#), START),
            (format!(r#","EventTime":"{START}""#), START),
        ] {
            let (_database, handlers) = start().await;
            let body = body.replace("TIME", &time);
            assert_eq!(deliver_body(&handlers, &body).await.outcome, Some("applied"), "{body}");
            assert_eq!(room(&handlers, "r").await["members"][0]["entered_at"], expected, "{body}");
        }
    }
}

#[tokio::test]
async fn the_time_of_an_end_is_found_where_each_page_has_it() {
    for command in ["Room.CallbackAfterDestroyRoom", "Live.CallbackAfterDestroyRoom"] {
        for (place, ended_at) in [
            (r#""Operator_Account":"admin""#.to_owned(), NOW.0),
            (r#""RoomInfo":{}"#.to_owned(), NOW.0),
            (format!(r#""RoomInfo":{{"EventTime":{}}}"#, START + 7), START + 7),
            (format!(r#""EventTime":{},"RoomInfo":{{"EventTime":1}}"#, START + 9), START + 9),
        ] {
            let (_database, handlers) = start().await;
            let body = format!(r#"{{"CallbackCommand":"{command}","RoomId":"r",{place}}}"#);
            assert_eq!(deliver_body(&handlers, &body).await.outcome, Some("applied"), "{body}");
            let report = ask(&handlers, "reports", "/rooms", "room=r", NOW).await;
            assert_eq!(report["ended_at"], ended_at, "{body}");
        }
    }
}

#[tokio::test]
async fn a_number_where_a_text_is_documented_is_that_text() {
    let bodies = [
        json!({ "CallbackCommand": "Room.CallbackAfterMemberEnter", "RoomId": "r", "EventTime": START, "MemberList_Account": [144_115_216_631_667_826_u64, "8"] }),
        json!({ "CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": "r", "EventTime": START, "EventType": "Online", "EventCause": "Enter", "MemberList": [{ "Member_Account": 144_115_216_631_667_826_u64 }, { "Member_Account": "8" }] }),
    ];
    for mut body in bodies {
        let (database, handlers) = start().await;
        assert_eq!(deliver_body(&handlers, &body.to_string()).await.outcome, Some("applied"));
        assert_eq!(names(&room(&handlers, "r").await), ["144115216631667826", "8"]);
        let stored = dump(&database.client).await;
        let as_texts = body.to_string().replace("144115216631667826", r#""144115216631667826""#);
        let as_texts = as_texts.replace(&START.to_string(), &format!("\"{START}\""));
        assert_eq!(deliver_body(&handlers, &as_texts).await.outcome, Some("duplicate"));
        assert_eq!(dump(&database.client).await, stored);
        // Its rooms are TRTC's string rooms, also if they look like a number or are written as one.
        for id in [json!("7"), json!(7)] {
            body["RoomId"] = id;
            deliver_body(&handlers, &body.to_string()).await;
            assert_eq!(room(&handlers, "s:7").await["online"], 2);
            assert_eq!(handlers.get("/presence/tencent/1400000000/rooms/7", "", NOW).await.0, 404);
        }
    }
    // The owner, as one page shows them. A creation does not end the stay of its creator.
    let (_database, handlers) = start().await;
    for body in [
        json!({ "CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": "r", "EventTime": START, "EventType": "Online", "MemberList": [{ "Member_Account": "17" }, { "Member_Account": "18" }] }),
        json!({ "CallbackCommand": "Live.CallbackAfterCreateRoom", "EventTime": START + 1, "RoomInfo": { "RoomId": "r", "Owner_Account": 17 } }),
    ] {
        assert_eq!(deliver_body(&handlers, &body.to_string()).await.outcome, Some("applied"));
    }
    assert_eq!(names(&room(&handlers, "r").await), ["17"]);
}

#[tokio::test]
async fn everyone_in_a_list_enters_and_leaves() {
    for (enter, leave) in [(RoomEnter, RoomLeave), (LiveOnline, LiveOffline)] {
        let (database, handlers) = start().await;
        let all = ["ada", "bob", "cyd"];
        let entry = of(&all, event(enter, 0));
        assert_eq!(outcome(&handlers, &entry).await, "applied");
        assert_eq!(outcome(&handlers, &entry).await, "duplicate");
        assert_eq!(names(&room(&handlers, "lobby").await), all);
        // One event for each of them: alone they are duplicates, too.
        for user in all {
            assert_eq!(outcome(&handlers, &of(&[user], event(enter, 0))).await, "duplicate");
        }
        let two = of(&["cyd", "ada", "cyd"], event(leave, 5));
        assert_eq!(outcome(&handlers, &two).await, "applied");
        assert_eq!(names(&room(&handlers, "lobby").await), ["bob"]);
        for (name, is_online) in [("ada", false), ("bob", true), ("cyd", false)] {
            assert_eq!(user(&handlers, name).await["online"], is_online, "{name}");
        }
        // A batch of old and new is answered with the first of applied, stale, duplicate.
        assert_eq!(outcome(&handlers, &of(&["ada", "dan"], event(enter, 0))).await, "applied");
        assert_eq!(outcome(&handlers, &of(&["ada", "bob"], event(enter, 0))).await, "duplicate");
        assert_eq!(outcome(&handlers, &of(&["ada", "bob"], event(leave, 1))).await, "applied");
        assert_eq!(dump(&database.client).await.len(), 4 + 1);
    }
}

/// Nothing is sent again, so one person who cannot be recorded does not cost the others.
#[tokio::test]
async fn somebody_who_cannot_be_read_does_not_affect_the_others() {
    let long = "x".repeat(300);
    let members = [
        (json!(["ada", "", "bob", long]), "2 of 4 members"),
        (json!(["ada", null, "bob", [], {}]), "3 of 5 members"),
        (json!(["ada", "bob", true]), "1 of 3 members"),
    ];
    for (list, says) in members {
        let live = list.as_array().unwrap().iter().map(|id| json!({ "Member_Account": id }));
        let bodies = [
            json!({ "CallbackCommand": "Room.CallbackAfterMemberEnter", "RoomId": "r", "EventTime": START, "MemberList_Account": list }),
            json!({ "CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": "r", "EventTime": START, "EventType": "Online", "MemberList": live.collect::<Vec<_>>() }),
        ];
        for body in bodies {
            let (_database, handlers) = start().await;
            let reply = deliver_body(&handlers, &body.to_string()).await;
            assert_eq!(reply.status, 400, "{body}");
            assert!(reply.body.contains(says), "{says}: {}", reply.body);
            assert_eq!(names(&room(&handlers, "r").await), ["ada", "bob"], "{body}");
        }
    }
}

#[tokio::test]
async fn every_cause_has_its_reason_and_what_is_new_is_harmless() {
    for (cause, reason) in [
        ("Leave", "normal"),
        ("leave", "normal"),
        ("Kicked", "kicked"),
        ("Expired", "heartbeat_timeout"),
        ("Evaporated", "unspecified"),
        ("", "unspecified"),
    ] {
        let (_database, handlers) = start().await;
        outcome(&handlers, &event(RoomEnter, 0)).await;
        let mut left = event(RoomLeave, 5);
        cause.clone_into(&mut left.options.leave_type);
        assert_eq!(outcome(&handlers, &left).await, "applied");
        assert_eq!(user(&handlers, "ada").await["sessions"][0]["reason"], reason, "{cause}");
    }
    for (cause, reason) in [
        ("Leave", "normal"),
        ("HeartbeatInterrupt", "heartbeat_timeout"),
        ("Kicked", "kicked"),
        ("Evaporated", "unspecified"),
    ] {
        let (_database, handlers) = start().await;
        for (name, seconds) in [(LiveOnline, 0), (LiveOffline, 5)] {
            let mut event = event(name, seconds);
            event.options.cause = Some(cause.to_owned());
            assert_eq!(outcome(&handlers, &event).await, "applied");
        }
        assert_eq!(user(&handlers, "ada").await["sessions"][0]["reason"], reason, "{cause}");
    }
    let app = TestApp::start().await;
    for body in [
        r#"{"CallbackCommand":"Live.CallbackAfterMemberStateChanged","RoomId":"r","EventType":"Dreaming","MemberList":[{"Member_Account":"a"}]}"#,
        r#"{"CallbackCommand":"Live.CallbackAfterUpdateRoomInfo","RoomInfo":{}}"#,
        r#"{"CallbackCommand":"Room.CallbackUpdateRoomInfo","RoomInfo":{}}"#,
        r#"{"CallbackCommand":"Mic.CallbackAfterSeatInfoChanged"}"#,
        r#"{"CallbackCommand":"Call.CallbackAfterMemberChanged","CallId":"1"}"#,
        r#"{"CallbackCommand":"Room.Something"}"#,
    ] {
        let answer = post(&app, body).await;
        assert_eq!((answer.status.as_u16(), answer.outcome.as_deref()), (200, Some("ignored")));
    }
    assert!(app.records().await.is_empty());
}

/// Pages differ in how they write the parameters, and in the command there.
#[tokio::test]
async fn the_body_names_the_command_and_parameters_are_written_in_any_case() {
    let (_database, handlers) = start().await;
    for (number, (name, path)) in [
        (LiveOnline, "/tencent/room".to_owned()),
        (RoomEnter, format!("/tencent/room/{ROOM_KEY}")),
        // A gateway may have its own path in front.
        (LiveOnline, "/stage/tencent/room".to_owned()),
        (RoomEnter, format!("/stage/tencent/room/{ROOM_KEY}")),
    ]
    .into_iter()
    .enumerate()
    {
        for (place, [app, time, sign]) in
            [["SdkAppid", "RequestTime", "Sign"], ["SdkAppId", "requesttime", "SIGN"]]
                .into_iter()
                .enumerate()
        {
            let seconds = 10 * number as u64 + place as u64;
            let body = event(name, seconds).callback(&super::secret(LIVE_TOKEN)).body;
            let (_, query) = address(&body, NOW);
            let query = query.replace("SdkAppid", app).replace("RequestTime", time);
            let query =
                query.replace("Sign", sign).replace("=x&", "=Live.CallbackMemberStateChanged&");
            let request = Request { query, ..Request::post(&path, body, NOW) };
            let reply = handlers.receive(path.trim_start_matches("/stage"), &request).await;
            assert_eq!(reply.outcome, Some("applied"), "{path}: {}", reply.body);
        }
    }
}
