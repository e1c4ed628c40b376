//! The queries of a backend: forms, pages, and answers to bad ones.

use futures::future::join_all;
use rollcall_players::zego::{
    Event,
    EventName::{RoomLogin, RoomLogout},
};
use serde_json::{Value, json};

use crate::support::{Moment, TestApp, names, timeless, zego_event};

async fn somebody(app: &TestApp, user: &str, room: &str, start: Moment, at: u64) -> Event {
    let event = Event {
        user: user.to_owned(),
        room: room.to_owned(),
        session: format!("{}", 100_000 + at),
        sequence: at + 1,
        ..zego_event(RoomLogin, start.plus(at))
    };
    assert_eq!(app.outcome(&event).await, "applied");
    event
}

#[tokio::test]
async fn a_path_and_a_query_parameter_mean_the_same() {
    let app = TestApp::start().await;
    somebody(&app, "ada lovelace", "tea room", Moment::recent(), 0).await;
    let forms = [
        ("/presence/zego/1/users/ada%20lovelace", "/presence/zego/1/users?user=ada%20lovelace"),
        ("/presence/zego/1/users/ada%20lovelace", "/presence/zego/1/users?user=ada+lovelace"),
        ("/presence/zego/1/rooms/tea%20room", "/presence/zego/1/rooms?room=tea%20room"),
    ];
    for (path, parameter) in forms {
        let (by_path, by_parameter) = (app.get(path).await, app.get(parameter).await);
        assert_eq!(by_path.0, 200, "{path}");
        assert_eq!(timeless(by_path.1), timeless(by_parameter.1));
    }
}

/// A replaced part would make it another id, time or cursor. U+FFFD that was sent is a character.
#[tokio::test]
async fn a_damaged_parameter_or_path_is_refused_by_its_name() {
    let app = TestApp::start().await;
    somebody(&app, "a\u{fffd}", "r\u{fffd}", Moment::recent(), 0).await;
    let by_path = |status, code| (status, code, "in the path");
    let not_known = (404, "not_found", "is not known");
    for (path, name, (status, code, says)) in [
        ("/presence/zego/1/users?user=a%FF", "user", (400, "bad_parameter", "`user` ")),
        ("/presence/zego/1/users?user=%F0%9F%98", "user", (400, "bad_parameter", "`user` ")),
        ("/presence/zego/1/users?x=%FF&user=nobody", "", not_known),
        ("/presence/zego/1/users?%FF=1&user=nobody", "", not_known),
        ("/presence/zego/1/rooms?room=%ED%A0%BD", "room", (400, "bad_parameter", "`room` ")),
        ("/presence/zego/1/rooms?room=r&changes=%FF", "changes", (400, "bad_parameter", "`")),
        ("/presence/zego/1/rooms?room=r&next=%FF", "next", (400, "bad_parameter", "cut")),
        ("/presence/zego/1/users?user=a&next=%FF", "next", (400, "bad_parameter", "cut")),
        ("/attendance/zego/1/rooms?room=%FF", "room", (400, "bad_parameter", "`room` ")),
        ("/attendance/zego/1/users?user=%FF", "user", (400, "bad_parameter", "`user` ")),
        ("/attendance/zego/1/users/a?from=%FF", "from", (400, "bad_parameter", "cut")),
        ("/attendance/zego/1/users/a?to=%FF", "to", (400, "bad_parameter", "cut")),
        ("/registrations/openim/main?limit=%FF", "limit", (400, "bad_parameter", "cut")),
        ("/registrations/openim/main?next=%FF", "next", (400, "bad_parameter", "cut")),
        ("/registrations/openim/main/users?user=%FF", "user", (400, "bad_parameter", "cut")),
        ("/usage/tencent/1400000000?month=%FF", "month", (400, "bad_parameter", "cut")),
        ("/presence/zego/1/users/a%FF", "user", by_path(400, "bad_parameter")),
        ("/presence/zego/1/rooms/r%FF", "room", by_path(400, "bad_parameter")),
        ("/attendance/zego/1/rooms/r%FF", "room", by_path(400, "bad_parameter")),
        ("/registrations/openim/main/users/a%FF", "user", by_path(400, "bad_parameter")),
        ("/presence/zego/%FF/users/a", "app", by_path(400, "bad_parameter")),
        ("/presence/%FF/1/users/a", "", (404, "not_found", "no such provider")),
    ] {
        let (answered, body) = app.get(path).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!((answered.as_u16(), &body["error"]["code"]), (status, &json!(code)), "{path}");
        assert!(message.contains(name) && message.contains(says), "{path}: {message}");
    }
    for path in ["/presence/zego/1/users?user=a%EF%BF%BD", "/presence/zego/1/rooms?room=r%EF%BF%BD"]
    {
        assert_eq!(app.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn the_body_of_a_query_is_one_object_with_or_without_a_byte_order_mark() {
    let app = TestApp::start().await;
    somebody(&app, "ada", "lobby", Moment::recent(), 0).await;
    let ask = async |body: &str| {
        let answer = app.post("/presence/zego/1/users", "application/json", body.to_owned()).await;
        (answer.status.as_u16(), serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let good = r#"{"users":["ada"]}"#;
    for body in [good.to_owned(), format!("\u{feff}{good}"), format!(" \n{good}")] {
        let (status, answer) = ask(&body).await;
        assert_eq!((status, &answer["users"][0]["online"]), (200, &json!(true)), "{body:?}");
    }
    let twice = format!("\u{feff}\u{feff}{good}");
    for body in [twice.as_str(), "\u{feff}", r#"[["ada"]]"#, r#"{"users":["\ud83d"]}"#] {
        let (status, answer) = ask(body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_parameter")), "{body}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("`users`"), "{answer}");
    }
}

#[tokio::test]
async fn a_slash_in_a_path_is_a_separator_as_in_an_api_gateway() {
    let app = TestApp::start().await;
    somebody(&app, "a/b", "lobby", Moment::recent(), 0).await;
    let (status, body) = app.get("/presence/zego/1/users/a%2Fb").await;
    assert_eq!(status, 404);
    assert!(body["error"]["message"].as_str().unwrap().contains("/users?user="));
    assert_eq!(app.get("/presence/zego/1/users?user=a%2Fb").await.0, 200);
}

#[tokio::test]
async fn a_room_is_paged_newest_first_and_every_page_knows_how_many_there_are() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let people: Vec<String> = (0..57).map(|number| format!("user{number:02}")).collect();
    for (at, user) in people.iter().enumerate() {
        somebody(&app, user, "lobby", start, at as u64).await;
    }
    let gone = Event {
        user: "user30".to_owned(),
        session: "100030".to_owned(),
        at: start.plus(99),
        login_time: start.plus(30),
        name: RoomLogout,
        sequence: 99,
        ..zego_event(RoomLogout, start.plus(99))
    };
    app.outcome(&gone).await;

    let (mut seen, mut pages, mut next) = (Vec::new(), 0, String::new());
    loop {
        let (_, page) = app.get(&format!("/presence/zego/1/rooms/lobby?limit=10{next}")).await;
        assert_eq!(page["online"], 56);
        let members = page["members"].as_array().unwrap();
        assert!(members.len() <= 10);
        seen.extend(members.iter().map(|member| member["user"].as_str().unwrap().to_owned()));
        pages += 1;
        assert!(pages <= 6, "a page comes again");
        match &page["next"] {
            Value::String(cursor) => next = format!("&next={cursor}"),
            none => {
                assert!(none.is_null());
                break;
            }
        }
    }
    let expected: Vec<String> = people.into_iter().rev().filter(|user| user != "user30").collect();
    assert_eq!(seen, expected);
    assert_eq!(pages, 6);
}

#[tokio::test]
async fn a_cursor_of_an_older_life_is_refused() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    for at in 0..3 {
        somebody(&app, &format!("user{at}"), "lobby", start, at).await;
    }
    let (_, page) = app.get("/presence/zego/1/rooms/lobby?limit=1").await;
    let next = page["next"].as_str().unwrap();
    app.outcome(&Event { life: 8, ..zego_event(RoomLogin, start.plus(1000)) }).await;
    let (status, body) = app.get(&format!("/presence/zego/1/rooms/lobby?next={next}")).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!("bad_parameter")));
}

#[tokio::test]
async fn up_to_100_people_are_queried_at_once() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let ada = somebody(&app, "ada", "lobby", start, 0).await;
    somebody(&app, "bob", "lobby", start, 1).await;
    app.outcome(&Event { name: RoomLogout, at: start.plus(50), sequence: 9, ..ada }).await;

    let ask = async |users: Vec<String>| {
        let body = json!({ "users": users }).to_string();
        let answer = app.post("/presence/zego/1/users", "application/json", body).await;
        let read: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status.as_u16(), read)
    };
    let (status, answer) =
        ask(vec!["ada".into(), "nobody".into(), "bob".into(), "ada".into()]).await;
    assert_eq!(status, 200);
    let ada = json!({ "user": "ada", "online": false, "last_seen_at": start.0 + 50 });
    let expected = json!({ "users": [
        ada,
        { "user": "nobody", "online": false, "last_seen_at": null },
        { "user": "bob", "online": true, "last_seen_at": start.0 + 1 },
        ada,
    ] });
    assert_eq!(timeless(answer), expected);
    let many = |count: usize| (0..count).map(|number| number.to_string()).collect();
    assert_eq!(ask(many(100)).await.1["users"].as_array().unwrap().len(), 100);
    assert_eq!(ask(many(101)).await.0, 400);
    assert_eq!(timeless(ask(Vec::new()).await.1), json!({ "users": [] }));
    assert_eq!(ask(vec![String::new()]).await.0, 400);
}

#[tokio::test]
async fn a_person_in_several_rooms_is_online_until_the_last_one_is_left() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let lobby = somebody(&app, "ada", "lobby", start, 0).await;
    let library = somebody(&app, "ada", "library", start, 10).await;
    let leave = |event: &Event, at| Event {
        name: RoomLogout,
        at: start.plus(at),
        sequence: 99,
        ..event.clone()
    };
    app.outcome(&leave(&lobby, 20)).await;
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], true);
    let rooms: Vec<_> =
        ada["sessions"].as_array().unwrap().iter().map(|session| &session["room"]).collect();
    assert_eq!(rooms, ["library", "lobby"], "open sessions come first");
    app.outcome(&leave(&library, 30)).await;
    assert_eq!(app.user("ada").await["online"], false);
}

#[tokio::test]
async fn the_answer_to_a_bad_query_says_what_is_wrong() {
    let app = TestApp::start().await;
    somebody(&app, "ada", "lobby", Moment::recent(), 0).await;
    let long = "x".repeat(256);
    let bad_queries = [
        ("/presence/zego/1/users/bob".to_owned(), 404, "not_found"),
        ("/presence/zego/1/rooms/attic".to_owned(), 404, "not_found"),
        ("/presence/zego/7/users/ada".to_owned(), 404, "not_found"),
        ("/presence/agora/1/users/ada".to_owned(), 404, "not_found"),
        ("/presence/ZEGO/1/users/ada".to_owned(), 404, "not_found"),
        ("/presence/zego/1/devices/ada".to_owned(), 404, "not_found"),
        ("/presence/zego/1".to_owned(), 404, "not_found"),
        ("/presence/zego/1/users/ada/rooms".to_owned(), 404, "not_found"),
        ("/presence/zego/1/users".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/users?user=".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/users/".to_owned(), 400, "bad_parameter"),
        ("/presence/zego//users/ada".to_owned(), 400, "bad_parameter"),
        (format!("/presence/zego/1/users/{long}"), 400, "bad_parameter"),
        (format!("/presence/zego/1/rooms?room={long}"), 400, "bad_parameter"),
        ("/presence/zego/1/rooms/lobby?limit=0".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/rooms/lobby?limit=1001".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/rooms/lobby?limit=ten".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/rooms/lobby?next=%21".to_owned(), 400, "bad_parameter"),
        ("/presence/zego/1/rooms/lobby?next=e30".to_owned(), 400, "bad_parameter"),
    ];
    for (path, status, code) in bad_queries {
        let (answered, body) = app.get(&path).await;
        assert_eq!((answered.as_u16(), &body["error"]["code"]), (status, &json!(code)), "{path}");
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    }
    for body in ["", "[]", "{}", r#"{"users":"ada"}"#, r#"{"users":[1]}"#, r#"{"users":[""]}"#] {
        let answer = app.post("/presence/zego/1/users", "application/json", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_not_found() {
    let app = TestApp::start().await;
    for path in ["/", "/zego", "/zego/room-login", "/zego/room-login/", "/favicon.ico", "/presence"]
    {
        let (status, _) = app.get(path).await;
        assert_eq!(status, 404, "GET {path}");
    }
    let answer = app.post("/zego/room-enter", "application/json", "{}").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_room_in_which_people_come_and_go_at_the_same_time_is_counted_right() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let people = (0..40_u64).map(async |at| {
        let user = format!("user{at}");
        let event = somebody(&app, &user, "lobby", start, at).await;
        if at % 2 == 0 {
            let out =
                Event { name: RoomLogout, at: start.plus(at + 100), sequence: at + 100, ..event };
            app.outcome(&out).await;
        }
    });
    join_all(people).await;
    let room = app.room("lobby").await;
    assert_eq!(room["online"], 20);
    assert_eq!(names(&room).len(), 20);
}
