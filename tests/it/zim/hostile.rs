//! Promise 1: forged callbacks of ZIM, and signed ones that are malformed.

use rollcall::{callback::Secret, providers::zego::sign, runtime};
use serde_json::{Value, json};

use super::{ROOM_EVENT, USER_ACTION, outcome, post, signed, signed_at};
use crate::support::{OTHER_SECRET, SECRET, TestApp};

/// What is wrong with a body, its route, the body, and what the answer says.
struct Bad {
    why: String,
    route: &'static str,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn action(action: u8) -> Value {
    let now = runtime::now().seconds().0;
    json!({
        "event": "user_action", "user_id": "ada", "user_name": "Ada", "os": "ANDROID",
        "action": action, "session_id": "940000000000000001", "login_time": now,
        "logout_time": now, "offline_time": now, "relogin": "0", "logout_reason": ""
    })
}

fn room(event: &str) -> Value {
    json!({
        "event": event, "room_id": "lobby", "operator_account": "ada", "room_name": "Lobby",
        "exit_type": "Quit", "exit_user_ids": ["ada"], "user_ids": ["ada"], "attributes": []
    })
}

/// Every whole event, with its route and the fields that it must have.
fn events() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let of_user: &[&str] = &["event", "action", "user_id", "session_id"];
    let mut events: Vec<_> = (0..3).map(|number| (USER_ACTION, action(number), of_user)).collect();
    events.extend([
        (ROOM_EVENT, room("room_create"), &["event", "room_id"][..]),
        (ROOM_EVENT, room("room_enter"), &["event", "room_id", "operator_account"]),
        (ROOM_EVENT, room("room_exit"), &["event", "room_id", "exit_user_ids"]),
        (ROOM_EVENT, room("room_destroy"), &["event", "room_id"]),
    ]);
    events
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

fn without(body: &Value, field: &str) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove(field);
    body
}

/// A body that is signed and refused, and what the answer says.
fn bad(why: String, route: &'static str, body: Value, says: &'static str) -> Bad {
    Bad { why, route, body: signed(body).to_string().into_bytes(), status: 400, says }
}

fn malformed() -> Vec<Bad> {
    let mut all = Vec::new();
    for (route, event, required) in events() {
        let name = event["event"].as_str().unwrap();
        for &field in required {
            let mut changes = vec![(Value::Null, "is missing")];
            let odd = [json!({ "x": 1 }), json!({}), json!([{}]), json!(true), json!(false)];
            changes.extend(odd.into_iter().map(|value| (value, field)));
            if field != "exit_user_ids" {
                changes.extend([(json!(""), "is missing"), (json!(["x"]), field)]);
            }
            if ["user_id", "session_id", "room_id", "operator_account"].contains(&field) {
                changes.push((json!("x".repeat(256)), "is longer than 255"));
                all.extend(damaged(route, &event, field));
            }
            all.push(bad(
                format!("{name}: no {field}"),
                route,
                without(&event, field),
                "is missing",
            ));
            for (value, says) in changes {
                let why = format!("{name}: {field} {value}");
                all.push(bad(why, route, with(&event, field, value), says));
            }
        }
    }
    all.extend(malformed_actions());
    all.extend(malformed_exits());
    all
}

/// An id of which a part cannot be read: it could be another one's.
fn damaged(route: &'static str, event: &Value, field: &'static str) -> [Bad; 2] {
    let body = signed(with(event, field, json!("1@"))).to_string();
    let half = body.replace('@', r"\ud800").into_bytes();
    let mut cut = body.into_bytes();
    let at = cut.iter().position(|byte| *byte == b'@').unwrap();
    cut[at] = 0xE4;
    [("half", half), ("cut", cut)].map(|(how, body)| Bad {
        why: format!("{how} {field} of {event}"),
        route,
        body,
        status: 400,
        says: "is not valid Unicode",
    })
}

fn malformed_actions() -> Vec<Bad> {
    let ahead = runtime::now().seconds().0 + 660;
    let mut all = Vec::new();
    for (number, own) in [(0, "login_time"), (1, "logout_time"), (2, "offline_time")] {
        let event = action(number);
        let texts = ["x", "-1", "1.5", "1e3", "99999999999999999999", "+1", " 1"];
        let mut changes: Vec<(&str, Value, &str)> = texts
            .into_iter()
            .flat_map(|text| ["action", "login_time", own].map(|field| (field, json!(text), field)))
            .collect();
        for field in ["login_time", own] {
            let times = [json!(ahead), json!(ahead * 1000), json!(u64::MAX)];
            changes.extend(times.into_iter().map(|time| (field, time, "in the future")));
            let times = [json!(1.5), json!(-1), json!([1])];
            changes.extend(times.into_iter().map(|time| (field, time, field)));
        }
        changes.push(("os", json!("x".repeat(256)), "is longer than 255"));
        let odd = [json!(["PC"]), json!({ "os": "PC" }), json!(true)];
        changes.extend(odd.into_iter().map(|os| ("os", os, "`os`")));
        for (field, value, says) in changes {
            let why = format!("action {number}: {field} {value}");
            all.push(bad(why, USER_ACTION, with(&event, field, value), says));
        }
    }
    all
}

fn malformed_exits() -> Vec<Bad> {
    let long = "x".repeat(256);
    let users = [
        (json!([]), "`exit_user_ids` is missing"),
        (json!("ada"), "`exit_user_ids`"),
        (json!(7), "`exit_user_ids`"),
        (json!([""]), "is missing"),
        (json!([null]), "is missing"),
        (json!([["ada"]]), "`exit_user_ids`"),
        (json!([long]), "is longer than 255"),
        (json!(["", ""]), "none of 2 users was recorded"),
        (json!([long, null, {}]), "none of 3 users was recorded"),
    ];
    let users = users.map(|(users, says)| ("exit_user_ids", users, says));
    let types = [json!(["Quit"]), json!({}), json!(false)];
    let types = types.map(|how| ("exit_type", how, "`exit_type`"));
    let change = |(field, value, says): (&str, Value, _)| {
        let why = format!("{field} {value}");
        bad(why, ROOM_EVENT, with(&room("room_exit"), field, value), says)
    };
    users.into_iter().chain(types).map(change).collect()
}

/// Whatever is wrong with the sender.
fn forged() -> Vec<Bad> {
    let mut all = Vec::new();
    let now = runtime::now().seconds();
    for (route, event, _) in events() {
        let good = signed(event.clone());
        let name = event["event"].as_str().unwrap().to_owned();
        let mut bad = |why: &str, body: String, says| {
            let (why, body) = (format!("{name}: {why}"), body.into_bytes());
            all.push(Bad { why, route, body, status: 401, says });
        };
        let wrong = "the signature does not match";
        // Only the events in rooms may have one in milliseconds.
        let in_ms = if route == ROOM_EVENT { wrong } else { "in the future" };
        let old_in_ms = if route == ROOM_EVENT { "in the past" } else { "in the future" };
        let other = Secret::new(OTHER_SECRET.to_owned()).unwrap();
        let others = sign(&other, &now.to_string(), good["nonce"].as_str().unwrap());
        for (why, body, says) in [
            ("another app's secret", with(&good, "signature", json!(others)), wrong),
            ("the secret itself", with(&good, "signature", json!(SECRET)), wrong),
            ("zeros", with(&good, "signature", json!("0".repeat(40))), wrong),
            ("another nonce", with(&good, "nonce", json!("1")), wrong),
            ("a second later", with(&good, "timestamp", json!(now.0 + 1)), wrong),
            ("its timestamp in ms", with(&good, "timestamp", json!(now.0 * 1000)), in_ms),
            ("another app", with(&good, "appid", json!("2")), wrong),
            ("an unknown app", with(&good, "appid", json!("9")), "not configured"),
            ("without secrets", with(&good, "appid", json!("4")), "no callback secret"),
            ("no signature", without(&good, "signature"), "is missing"),
            ("no nonce", without(&good, "nonce"), "is missing"),
            ("no timestamp", without(&good, "timestamp"), "is missing"),
            ("no app", without(&good, "appid"), "is missing"),
            ("a list as its signature", with(&good, "signature", json!(["x"])), "`signature`"),
        ] {
            bad(why, body.to_string(), says);
        }
        for (why, seconds, says) in [
            ("eleven minutes old", now.0 - 660, "in the past"),
            ("eleven minutes ahead", now.0 + 660, "in the future"),
            ("eleven minutes old, in ms", (now.0 - 660) * 1000, old_in_ms),
            ("eleven minutes ahead, in ms", (now.0 + 660) * 1000, "in the future"),
            ("at the beginning", 0, "in the past"),
            ("at the end of time", u64::MAX, "in the future"),
        ] {
            let body = signed_at(event.clone(), rollcall::domain::UnixSeconds(seconds));
            bad(why, body.to_string(), says);
        }
        let (text, says) = (good.to_string(), "the body cannot be read");
        bad("half of it", text[..text.len() / 2].to_owned(), says);
        bad("twice", format!("{text}{text}"), says);
        bad("a list", format!("[{text}]"), says);
        bad("a field twice", text.replacen('{', r#"{"room_id":"kitchen","room_id":"x","#, 1), says);
        bad("nothing", String::new(), says);
    }
    all
}

#[tokio::test]
async fn promise_1_authentic_a_bad_callback_of_zims_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await;
    let (malformed, forged) = (malformed(), forged());
    for route in [USER_ACTION, ROOM_EVENT] {
        let count = malformed.iter().filter(|bad| bad.route == route).count();
        assert!(count >= 100, "{count} malformed ones at {route}");
    }
    for Bad { why, route, body, status, says } in malformed.into_iter().chain(forged) {
        let answer = app.post(route, super::JSON, body).await;
        assert_eq!(answer.status, status, "{why}: {}", answer.body);
        assert_eq!(answer.outcome.as_deref(), Some("rejected"), "{why}");
        let read: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(read["code"], status, "{why}");
        assert!(read["message"].as_str().unwrap().contains(says), "{why}: {}", answer.body);
        assert!(!answer.body.contains(SECRET) && !answer.body.contains(OTHER_SECRET), "{why}");
    }
    assert!(app.records().await.is_empty());
    for (route, event, _) in events() {
        assert_ne!(outcome(&app, route, &signed(event)).await, "rejected");
    }
}

/// A body that is signed may say anything in fields that nobody reads.
#[tokio::test]
async fn fields_that_are_not_read_do_not_matter() {
    let app = TestApp::start().await;
    for (route, event, _) in events() {
        for odd in [json!([]), json!({ "x": [1] }), json!(1e300), json!("\u{0}")] {
            let mut body = event.clone();
            for field in ["user_name", "relogin", "logout_reason", "room_name", "new_field"] {
                body[field] = odd.clone();
            }
            assert_eq!(post(&app, route, &signed(body.clone())).await.status, 200, "{body}");
        }
    }
}
