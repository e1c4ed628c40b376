//! Callbacks that are verified, but are no whole events.

use std::fmt::Write;

use rollcall::runtime;
use serde_json::{Value, json};

use super::{START, assert_failed, post};
use crate::support::TestApp;

/// A whole event of each command, and the fields that it must have: ids, then lists.
struct Format {
    body: Value,
    ids: &'static [&'static str],
    list: Option<&'static str>,
}

fn formats() -> Vec<Format> {
    let member = |command: &str| {
        json!({
            "CallbackCommand": format!("Room.CallbackAfterMember{command}"), "RoomId": "room-7",
            "Operator_Account": "ada", "MemberCount": 1, "Type": command,
            "MemberList_Account": ["ada"], "EventTime": START
        })
    };
    let state = |state: &str| {
        json!({
            "CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": "live-7",
            "EventType": state, "EventCause": "Enter", "MemberList": [{ "Member_Account": "ada" }],
            "EventTime": START
        })
    };
    let created = |product: &str| {
        json!({
            "CallbackCommand": format!("{product}.CallbackAfterCreateRoom"),
            "Operator_Account": "ada", "EventTime": START, "RoomInfo": {
                "RoomId": "room-7", "Owner_Account": "ada", "CreateTime": START / 1000
            }
        })
    };
    let destroyed = |product: &str| {
        json!({
            "CallbackCommand": format!("{product}.CallbackAfterDestroyRoom"), "RoomId": "room-7",
            "EventTime": START, "RoomInfo": { "RoomName": "x" }
        })
    };
    let format = |body, ids, list| Format { body, ids, list };
    let in_info: &[&str] = &["/RoomInfo/RoomId"];
    vec![
        format(member("Enter"), &["/RoomId"], Some("/MemberList_Account")),
        format(member("Leave"), &["/RoomId"], Some("/MemberList_Account")),
        format(state("Online"), &["/RoomId", "/EventType"], Some("/MemberList")),
        format(state("Offline"), &["/RoomId", "/EventType"], Some("/MemberList")),
        format(created("Room"), in_info, None),
        format(created("Live"), in_info, None),
        format(destroyed("Room"), &["/RoomId"], None),
        format(destroyed("Live"), &["/RoomId"], None),
    ]
}

fn set(body: &Value, path: &str, value: Value) -> Value {
    let mut body = body.clone();
    if let Some(field) = body.pointer_mut(path) {
        *field = value;
    } else {
        body[path.trim_start_matches('/')] = value;
    }
    body
}

fn without(body: &Value, path: &str) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let mut body = body.clone();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    body
}

/// Texts in which no event can be read. Nobody's command is in them, so the key proves them all.
fn unreadable(good: &str) -> Vec<Vec<u8>> {
    let texts = [
        String::new(),
        "   ".to_owned(),
        "Room".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("[{good}]"),
        format!("{good:?}"),
        "17".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        good[..good.len() / 2].to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}{good}"),
        format!("{good}x"),
        good.replacen('{', r#"{"RoomId":"kitchen","RoomId":"attic","#, 1),
        good.replacen('{', r#"{"CallbackCommand":"Room.X","#, 1),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(100_000),
        good.replace('"', "'"),
        good.replace('"', ""),
        good.replace("CallbackCommand", r"Callback\xCommand"),
        good.replace(".Callback", ".\u{1}Callback"),
        "%7B%22CallbackCommand%22%3A%22x%22%7D".to_owned(),
        "CallbackCommand=Room.CallbackAfterMemberEnter&RoomId=7".to_owned(),
        "<CallbackCommand>Room</CallbackCommand>".to_owned(),
        r#"{"CallbackCommand":NaN}"#.to_owned(),
        format!("\u{feff}\u{feff}{good}"),
        format!("{good}\u{feff}"),
        "\u{feff}".to_owned(),
    ];
    let mut bodies: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    let mut latin1 = good.as_bytes().to_vec();
    latin1[0] = 0xE4;
    bodies.extend([latin1, vec![0; 100]]);
    bodies
}

/// Bodies with one wrong field, and a part of what the answer says.
fn wrong_fields(format: &Format, now: u64) -> Vec<(String, String)> {
    let mut bad = Vec::new();
    let mut add = |body: &Value, says: &str| bad.push((body.to_string(), says.to_owned()));
    let body = &format.body;
    for path in format.ids.iter().chain(&["/CallbackCommand"]) {
        let name = path.rsplit_once('/').unwrap().1;
        let says = format!("`{name}`");
        add(&without(body, path), &format!("`{name}` is missing"));
        for value in [json!(null), json!("")] {
            add(&set(body, path, value), &format!("`{name}` is missing"));
        }
        for value in [json!([]), json!({}), json!(true), json!(["a"]), json!({ "a": 1 })] {
            add(&set(body, path, value), &says);
        }
    }
    for path in format.ids.iter().filter(|path| path.ends_with("RoomId")) {
        for length in [256, 300, 5000] {
            add(&set(body, path, json!("x".repeat(length))), "`RoomId`");
        }
        add(&set(body, path, json!("9".repeat(255))), "`RoomId`");
    }
    // Half a surrogate pair: it could be another room.
    let damaged = body.to_string().replace("room-7", "room\\ud83d");
    let damaged = damaged.replace("live-7", "live\\ud83d");
    bad.push((damaged, "not valid Unicode".to_owned()));
    let mut add = |body: &Value, says: &str| bad.push((body.to_string(), says.to_owned()));
    for value in [
        json!("soon"),
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!("1e3"),
        json!("+5"),
        json!(" 5"),
        json!("0x10"),
        json!("99999999999999999999"),
        json!(true),
        json!([START]),
        json!({ "ms": START }),
    ] {
        add(&set(body, "/EventTime", value), "`EventTime`");
    }
    for ahead in [660_000, 86_400_000, 1 << 50] {
        add(&set(body, "/EventTime", json!(now + ahead)), "in the future");
    }
    add(&set(body, "/EventTime", json!(u64::MAX)), "in the future");
    if body["RoomInfo"].is_object() {
        for value in [json!([]), json!([{}]), json!(true)] {
            add(&set(body, "/RoomInfo", value), "`RoomInfo`");
        }
        for value in [json!("soon"), json!(-1), json!(now + 660_000), json!([])] {
            let mut other = without(body, "/EventTime");
            other["RoomInfo"]["EventTime"] = value;
            add(&other, "`EventTime`");
        }
        let twice = body.to_string().replace(r#""RoomInfo":{"#, r#""RoomInfo":{"a":1,"a":2,"#);
        bad.push((twice, "`RoomInfo` is not an object".to_owned()));
    }
    bad.extend(wrong_creations(format, now));
    bad.extend(wrong_lists(format));
    bad
}

fn wrong_creations(format: &Format, now: u64) -> Vec<(String, String)> {
    let mut bad = Vec::new();
    let mut add = |body: &Value, says: &str| bad.push((body.to_string(), says.to_owned()));
    let body = &format.body;
    if !body["RoomInfo"]["CreateTime"].is_null() {
        for value in [json!(null), json!("text"), json!(7)] {
            add(&set(body, "/RoomInfo", value), "`RoomInfo` is missing");
        }
        add(&without(body, "/RoomInfo"), "`RoomInfo` is missing");
        for value in [
            json!("soon"),
            json!(-1),
            json!(0.5),
            json!([]),
            // In milliseconds.
            json!(now),
            json!(now / 1000 + 660),
            json!(u64::MAX),
        ] {
            let body = set(&without(body, "/EventTime"), "/RoomInfo/CreateTime", value);
            add(&body, "`CreateTime`");
        }
        for value in [json!("x".repeat(256)), json!([]), json!({}), json!(true)] {
            add(&set(body, "/RoomInfo/Owner_Account", value.clone()), "`Owner_Account`");
            let ownerless = without(body, "/RoomInfo/Owner_Account");
            add(&set(&ownerless, "/Operator_Account", value), "`Operator_Account`");
        }
    }
    bad
}

fn wrong_lists(format: &Format) -> Vec<(String, String)> {
    let mut bad = Vec::new();
    let Some(list) = format.list else { return bad };
    let name = list.trim_start_matches('/');
    let mut add = |body: &Value, says: &str| bad.push((body.to_string(), says.to_owned()));
    let body = &format.body;
    add(&without(body, list), &format!("`{name}` is missing"));
    for value in [json!(null), json!([]), json!("ada"), json!(7), json!("")] {
        add(&set(body, list, value), &format!("`{name}` is missing"));
    }
    for value in [json!({}), json!(true), json!({ "0": "ada" })] {
        add(&set(body, list, value), &format!("`{name}` is not a list"));
    }
    let wrong = [
        json!(null),
        json!(""),
        json!([]),
        json!(["ada"]),
        json!(true),
        json!({}),
        json!("x".repeat(256)),
        json!({ "User": "ada" }),
    ];
    for id in wrong {
        let id = if name == "MemberList" { json!({ "Member_Account": id }) } else { id };
        add(&set(body, list, json!([id])), "Member");
        add(&set(body, list, json!([id, id])), "none of 2 members was recorded");
    }
    if name == "MemberList" {
        for member in [json!("ada"), json!(7), json!([]), json!(null), json!([["ada"]])] {
            add(&set(body, list, json!([member])), "`MemberList` is not a list");
        }
    }
    let text = body.to_string().replace("\"ada\"", "\"a\\ud83d\"");
    if !text.contains("Operator_Account") || name == "MemberList_Account" {
        bad.push((text, "not valid Unicode".to_owned()));
    }
    let mut deep = String::new();
    let _ = write!(deep, "{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let member = if name == "MemberList" { r#"{"Member_Account":"ada"}"# } else { r#""ada""# };
    bad.push((body.to_string().replace(&format!("[{member}]"), &deep), "Member".to_owned()));
    bad
}

#[tokio::test]
async fn promise_1_authentic_a_hundred_malformed_bodies_of_each_format_are_refused() {
    let app = TestApp::start().await;
    let now = runtime::now().0;
    for format in formats() {
        let good = format.body.to_string();
        let mut bodies: Vec<(Vec<u8>, String)> =
            unreadable(&good).into_iter().map(|body| (body, String::new())).collect();
        let wrong = wrong_fields(&format, now).into_iter();
        bodies.extend(wrong.map(|(body, says)| (body.into_bytes(), says)));
        // Each of them with spaces and a byte order mark in front, which change nothing.
        let spaced = bodies.iter().filter(|(_, says)| !says.is_empty());
        let spaced: Vec<_> = spaced
            .map(|(body, says)| ([b"\xef\xbb\xbf \n", &body[..]].concat(), says.clone()))
            .collect();
        bodies.extend(spaced);
        assert!(bodies.len() >= 100, "{good}: {}", bodies.len());
        for (body, says) in bodies {
            let answer = post(&app, body.clone()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            assert_eq!(answer.status, 400, "{shown}: {}", answer.body);
            assert_failed(&answer, &says);
        }
        assert!(app.records().await.is_empty(), "{good}");
    }
    // None of this was refused for another reason.
    for format in formats() {
        let good = format.body.to_string();
        let answer = post(&app, good.clone()).await;
        assert_eq!(answer.status, 200, "{good}: {}", answer.body);
        assert!(answer.outcome.as_deref() != Some("rejected"));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let app = TestApp::start().await;
    for format in formats() {
        for (length, status) in [((1 << 20) + 1, 413), (1 << 20, 200)] {
            let mut body = format.body.to_string();
            body.extend(std::iter::repeat_n(' ', length - body.len()));
            let answer = post(&app, body).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            if status == 413 {
                assert_failed(&answer, "longer than");
                assert!(app.records().await.len() <= 8);
            }
        }
    }
}
