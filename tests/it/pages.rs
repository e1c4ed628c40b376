//! Pages have a limit in bytes as well as in rows. Whatever is stored, the answer is short enough
//! for Lambda, and over all pages every row comes once.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall::callback::Secret;
use rollcall_players::zego::{
    Event,
    EventName::{RoomLogin, RoomLogout},
};
use serde_json::{Value, json};

use crate::support::{Moment, OPENIM_PASSWORD, SECRET, TestApp, zego_event};

/// The longest answer of a query with several pages.
const MAX_ANSWER: usize = 5_000_000;

/// Characters that are much longer in JSON, and again in a text in JSON.
const NASTY: [char; 5] = ['"', '\\', '\u{1}', '\u{1f}', '😀'];

/// A text of nearly this many bytes. It begins with a number and continues with such characters.
fn nasty(number: usize, bytes: usize) -> String {
    let mut text = format!("{number}-");
    let mut all = NASTY.iter().cycle().skip(number % NASTY.len());
    while let Some(next) = all.next().filter(|next| text.len() + next.len_utf8() <= bytes) {
        text.push(*next);
    }
    text
}

fn encoded(id: &str) -> String {
    utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()
}

/// All rows of a list and the number of its pages. No page is too long or has no rows.
async fn rows(app: &TestApp, path: &str, list: &str) -> (Vec<Value>, usize) {
    let (mut rows, mut pages, mut next) = (Vec::new(), 0, String::new());
    loop {
        let url = format!("{}{path}{next}", app.url);
        let response = app.http.get(url).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 200, "{}", &text[..text.len().min(300)]);
        let in_json = serde_json::to_string(&text).unwrap().len();
        assert!(in_json < MAX_ANSWER, "{path}: {in_json} bytes");
        let mut page: Value = serde_json::from_str(&text).unwrap();
        let Value::Array(found) = page[list].take() else { panic!("{path} has no {list}") };
        assert!(!found.is_empty(), "{path}: a page without rows");
        rows.extend(found);
        pages += 1;
        match &page["next"] {
            Value::String(cursor) => next = format!("&next={cursor}"),
            none => {
                assert!(none.is_null());
                return (rows, pages);
            }
        }
    }
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

/// Each of some texts once, in any order.
fn assert_each_once(found: Vec<String>, expected: &[String]) {
    let count = found.len();
    let found: BTreeSet<String> = found.into_iter().collect();
    assert_eq!(found.len(), count, "a row came twice");
    assert!(found.iter().eq(expected.iter().collect::<BTreeSet<_>>()), "{count} rows");
}

async fn register(app: &TestApp, users: &[Value]) {
    let basic = BASE64_STANDARD.encode(format!("openim:{OPENIM_PASSWORD}"));
    let headers = [("authorization", format!("Basic {basic}"))];
    let body = json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "users": users });
    let path = "/openim/callbackAfterUserRegisterCommand";
    let answer = app.post_with(path, &headers, body.to_string()).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
}

/// Registrations of 8 KiB, and the largest that can be.
#[tokio::test]
async fn a_list_of_registrations_ends_before_lambda_s_limit_and_goes_on() {
    let app = TestApp::start().await;
    let ids: Vec<String> = (0..300).map(|number| nasty(number, 200)).collect();
    let users: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(number, id)| json!({ "userID": id, "ex": nasty(number, 8 << 10) }))
        .collect();
    for users in users.chunks(20) {
        register(&app, users).await;
    }
    let (found, pages) =
        rows(&app, "/registrations/openim/main?limit=1000&extra=true", "registrations").await;
    assert_each_once(texts(&found, "user"), &ids);
    assert!(pages > 1, "{pages} pages");
    let (found, pages) =
        rows(&app, "/registrations/openim/main?limit=7&extra=true", "registrations").await;
    assert_each_once(texts(&found, "user"), &ids);
    assert_eq!(pages, 300_usize.div_ceil(7));

    let app = TestApp::start().await;
    let worst = "\u{1}".repeat(40 << 10);
    let ids: Vec<String> = (100..140).map(|number| format!("{number}{}", &worst[..252])).collect();
    for id in &ids {
        let user = json!({ "userID": id, "nickname": worst, "faceURL": worst, "ex": worst });
        register(&app, &[user]).await;
    }
    let (found, pages) =
        rows(&app, "/registrations/openim/main?limit=1000&extra=true", "registrations").await;
    assert_each_once(texts(&found, "user"), &ids);
    assert!(pages > 2, "{pages} pages");
}

async fn log_in(app: &TestApp, events: &[Event]) {
    let sent = stream::iter(events).map(async |event| app.outcome(event).await);
    let outcomes: Vec<String> = sent.buffer_unordered(8).collect().await;
    assert!(outcomes.iter().all(|outcome| outcome == "applied"));
}

#[tokio::test]
async fn a_room_s_roster_and_attendance_have_every_row_once_page_by_page() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let ids: Vec<String> = (0..60).map(|number| nasty(number, 250)).collect();
    let event = |(number, id): (usize, &String)| Event {
        user: id.clone(),
        nickname: "\u{1}".repeat(256),
        session: (100_000 + number).to_string(),
        ..zego_event(RoomLogin, start.plus(number as u64 / 3))
    };
    let events: Vec<Event> = ids.iter().enumerate().map(event).collect();
    log_in(&app, &events).await;
    for (path, list) in [("presence", "members"), ("attendance", "sessions"), ("reports", "rows")] {
        for (limit, least) in [(1000, 1), (25, 3)] {
            let path = format!("/{path}/zego/1/rooms/lobby?limit={limit}");
            let (found, pages) = rows(&app, &path, list).await;
            assert_each_once(texts(&found, "user"), &ids);
            assert_eq!(pages, least, "{path}");
        }
    }
}

#[tokio::test]
async fn a_person_s_sessions_and_attendance_have_every_row_once_page_by_page() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let rooms: Vec<String> = (0..60).map(|number| nasty(number, 200)).collect();
    let event = |(number, id): (usize, &String)| Event {
        user: nasty(7, 200),
        room: id.clone(),
        nickname: "\u{1}".repeat(256),
        session: (100_000 + number).to_string(),
        ..zego_event(RoomLogin, start.plus(number as u64 / 3))
    };
    let events: Vec<Event> = rooms.iter().enumerate().map(event).collect();
    log_in(&app, &events).await;
    let ended: Vec<Event> = events[..30]
        .iter()
        .map(|event| Event { name: RoomLogout, at: start.plus(1000), sequence: 9, ..event.clone() })
        .collect();
    log_in(&app, &ended).await;
    let user = encoded(&nasty(7, 200));
    for (path, list) in [("presence", "sessions"), ("attendance", "sessions"), ("reports", "rows")]
    {
        for (limit, least) in [(1000, 1), (25, 3)] {
            // Before the next midnight: each day of a report has its own row.
            let to = start.plus(100).0;
            let asked = format!("/{path}/zego/1/users?user={user}&limit={limit}&to={to}");
            let (found, pages) = rows(&app, &asked, list).await;
            assert_each_once(texts(&found, "room"), &rooms);
            assert_eq!(pages, least, "{asked}");
            if path == "presence" {
                let over = found.iter().map(|session| session["left_at"].is_u64());
                assert!(over.is_sorted(), "open sessions come first");
            }
        }
    }
    let (_, page) = app.get(&format!("/presence/zego/1/users?user={user}")).await;
    assert!(page["next"].is_null(), "the default is 100");
}

/// The longest texts that can be, of seats in many rooms.
#[tokio::test]
async fn a_person_s_data_ends_before_lambda_s_limit_and_goes_on() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let worst = "\u{1}".repeat(256);
    let rooms: Vec<String> =
        (100..700).map(|number| format!("{number}{}", &worst[..250])).collect();
    let enter = async |room: &String| {
        let event = Event {
            room: room.clone(),
            nickname: worst.clone(),
            session: worst[..250].to_owned(),
            ..zego_event(RoomLogin, start.plus(0))
        };
        let now = rollcall::runtime::now();
        let mut callback = event.callback(&secret, now.seconds(), "1");
        let mut body: Value = serde_json::from_str(&callback.body).unwrap();
        for field in ["room_name", "callback_data"] {
            body[field] = json!(worst);
        }
        callback.body = body.to_string();
        let reply = app.handlers.deliver(&callback, now).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    stream::iter(&rooms).map(enter).buffer_unordered(8).collect::<Vec<()>>().await;
    let (found, pages) = rows(&app, "/users/zego/1/ada?limit=1000", "items").await;
    assert_each_once(texts(&found, "room"), &rooms);
    assert!(pages > 1, "{pages} pages");
}

/// The longest marks that can be, of sessions that follow each other in four rooms.
#[tokio::test]
async fn an_explanation_ends_before_lambda_s_limit_and_goes_on() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let worst = |number: usize| format!("{}{number}", "\u{1}".repeat(230));
    let sessions: Vec<String> = (100..450).map(worst).collect();
    let event = |(number, session): (usize, &String)| Event {
        user: worst(0),
        room: worst(number % 4),
        nickname: "\u{1}".repeat(256),
        session: session.clone(),
        ..zego_event(RoomLogin, start.plus(number as u64))
    };
    let events: Vec<Event> = sessions.iter().enumerate().map(event).collect();
    for event in &events {
        assert!(["applied", "stale"].contains(&app.outcome(event).await.as_str()));
    }
    let path = format!("/explain/zego/1/users?user={}&limit=1000", encoded(&worst(0)));
    let (found, pages) = rows(&app, &path, "rooms").await;
    let marks: Vec<Value> =
        found.iter().flat_map(|room| room["marks"].as_array().unwrap()).cloned().collect();
    assert_each_once(texts(&marks, "session"), &sessions);
    assert!(pages > 1, "{pages} pages");
}

/// On every page, `online` and `last_seen_at` describe the person as a whole. A person who leaves a
/// room meanwhile is not listed twice.
#[tokio::test]
async fn a_person_s_sessions_are_paged_in_an_order_that_stays() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let events: Vec<Event> = (0..30_u64)
        .map(|number| Event {
            room: format!("room{number:02}"),
            session: (100_000 + number).to_string(),
            ..zego_event(RoomLogin, start.plus(number / 2))
        })
        .collect();
    log_in(&app, &events).await;
    let leave = async |number: usize, at: u64| {
        let event = events[number].clone();
        let out = Event { name: RoomLogout, at: start.plus(at), sequence: 9, ..event };
        assert_eq!(app.outcome(&out).await, "applied");
    };
    // They leave in another order than they came, and the last one in a moment.
    for number in [3, 1, 2] {
        leave(number, 100 + number as u64).await;
    }
    let (whole, _) = rows(&app, "/presence/zego/1/users/ada?limit=1000", "sessions").await;
    let expected = texts(&whole, "room");
    assert_eq!(expected[27..], ["room02", "room03", "room01"], "the newest first");
    for limit in [2, 7, 30, 31] {
        let path = format!("/presence/zego/1/users/ada?limit={limit}");
        let (found, pages) = rows(&app, &path, "sessions").await;
        assert_eq!(texts(&found, "room"), expected);
        assert_eq!(pages, 30_usize.div_ceil(limit));
    }

    let (mut found, mut next) = (Vec::new(), String::new());
    let now = rollcall::runtime::now().0 - start.0;
    for page in 0_u64..10 {
        let path = format!("/presence/zego/1/users/ada?limit=3{next}");
        let (status, answer) = app.get(&path).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["online"], answer["sessions"].as_array().unwrap().len()),
            (&json!(true), 3)
        );
        assert_eq!(answer["last_seen_at"].as_u64() > Some(start.0 + 103), page > 0);
        found.extend(texts(answer["sessions"].as_array().unwrap(), "room"));
        if page == 0 {
            // Of a room that was listed, and of one that was not.
            leave(29, now + 5000).await;
            leave(10, now + 5001).await;
        }
        next = answer["next"].as_str().map_or_else(String::new, |next| format!("&next={next}"));
    }
    assert_eq!(next, "", "the tenth page is the last");
    assert_eq!(found, expected);

    for wrong in ["limit=0", "limit=1001", "next=%21", "next=e30"] {
        let (status, body) = app.get(&format!("/presence/zego/1/users/ada?{wrong}")).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!("bad_parameter")));
    }
}

/// API Gateway accepts 10 MB, and Lambda 6 MB of JSON that contains the body as a text.
#[tokio::test]
async fn a_request_that_lambda_cannot_carry_is_refused_by_the_gateway_itself() {
    let app = TestApp::start().await;
    let too_long: [(&str, String); 4] = [
        ("application/json", "x".repeat(7 << 20)),
        ("application/json", "x".repeat(12 << 20)),
        ("application/json; charset=utf-8", "\"".repeat(4 << 20)),
        // In base64 it takes a third more.
        ("application/octet-stream", "x".repeat(5 << 20)),
    ];
    for (content_type, body) in too_long {
        let answer = app.post("/zego/room-login", content_type, body).await;
        assert_eq!((answer.status.as_u16(), answer.outcome), (413, None));
        assert_eq!(answer.body, r#"{"message":"Request Too Long"}"#);
    }
    let answer = app.post("/zego/room-login", "application/json", "x".repeat(5 << 20)).await;
    assert_eq!((answer.status.as_u16(), answer.outcome.as_deref()), (413, Some("rejected")));
}
