//! Whole callbacks over HTTP, from the request to the answer of a query.

use http::StatusCode;
use rollcall::{callback::Secret, endpoint::Endpoint, providers::zego, runtime};
use rollcall_players::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use serde_json::{Value, json};

use crate::support::{Moment, PREVIOUS_SECRET, SECRET, TestApp, names, timeless, zego_event};

/// The example bodies of ZEGO's pages, unsigned, with the types that each page shows.
fn documented(event: &str) -> Value {
    match event {
        "room_login" => json!({
            "event": "room_login", "appid": "1", "timestamp": "1499676978", "nonce": "350176",
            "signature": "signature", "room_id": "rid_1242649", "room_name": "room#123",
            "room_seq": "6085791336856668982", "user_account": "888120154",
            "user_nickname": "888120154", "session_id": "792148503087288320",
            "login_time": "1499676978027", "user_role": "2", "auth_level": "4", "relogin": "0",
            "user_update_seq": "1", "callback_data": "user login"
        }),
        "room_logout" => json!({
            "event": "room_logout", "appid": "1", "timestamp": "1499676978", "nonce": "350176",
            "signature": "signature", "room_id": "rid_1242649", "room_seq": "6085791336856668982",
            "user_account": "888120154", "user_nickname": "888120154",
            "session_id": "792462300429684736", "login_time": "1663740623660",
            "logout_time": "1663740627986", "reason": "0", "user_role": "1",
            "user_update_seq": "13"
        }),
        "room_create" => json!({
            "event": "room_create", "appid": 1, "timestamp": 1_499_676_978, "nonce": "350176",
            "signature": "signature", "room_id": "rid_1242649",
            "room_session_id": 858_012_925_204_410_400_u64, "room_create_time": "1499676978027",
            "id_name": "id123"
        }),
        "room_close" => json!({
            "event": "room_close", "appid": 1, "timestamp": 1_499_676_989, "nonce": "350176",
            "signature": "signature", "room_id": "rid_1242649",
            "room_session_id": 858_012_925_204_410_400_u64, "close_reason": 1,
            "room_close_time": "1499676989909"
        }),
        other => panic!("no page shows {other}"),
    }
}

/// Signs a body now, its timestamp of the type that it had.
fn signed(mut body: Value, secret: &str) -> Value {
    let now = runtime::now().seconds();
    let secret = Secret::new(secret.to_owned()).unwrap();
    let nonce = body["nonce"].as_str().unwrap().to_owned();
    body["timestamp"] = match body["timestamp"] {
        Value::Number(_) => json!(now.0),
        _ => json!(now.to_string()),
    };
    body["signature"] = json!(zego::sign(&secret, &now.to_string(), &nonce));
    body
}

/// The same body with every number a string, or every string that is a number one.
fn with_types(body: &Value, numbers: bool) -> Value {
    let convert = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_text = ["nonce", "signature", "room_id", "user_account", "session_id"]
            .contains(&name.as_str());
        let number = text.parse::<u64>().ok().filter(|_| numbers && !is_text);
        (name.clone(), number.map_or(json!(text), |number| json!(number)))
    };
    body.as_object().unwrap().iter().map(convert).collect()
}

fn as_form(body: &Value) -> String {
    let pairs = body.as_object().unwrap().iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(
            "{name}={}",
            percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC)
        )
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn route(event: &str) -> String {
    format!("/zego/{}", event.replace('_', "-"))
}

#[tokio::test]
async fn the_documented_examples_are_accepted_in_every_type_and_wrapping() {
    let events = ["room_login", "room_logout", "room_create", "room_close"];
    for event in events {
        let app = TestApp::start().await;
        let body = signed(documented(event), SECRET);
        let json = "application/json";
        let form = "application/x-www-form-urlencoded";
        let encoded = percent_encoding::utf8_percent_encode(
            &body.to_string(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let deliveries = [
            (json, body.to_string(), "applied"),
            (json, with_types(&body, true).to_string(), "duplicate"),
            (json, with_types(&body, false).to_string(), "duplicate"),
            (json, encoded.clone(), "duplicate"),
            (form, encoded, "duplicate"),
            (form, as_form(&body), "duplicate"),
            ("text/plain", body.to_string(), "duplicate"),
        ];
        for (content_type, body, outcome) in deliveries {
            let answer = app.post(&route(event), content_type, body.clone()).await;
            assert_eq!(answer.status, 200, "{event}: {body}: {}", answer.body);
            assert_eq!(answer.outcome.as_deref(), Some(outcome), "{event}: {body}");
        }
        assert_eq!(app.records().await.len(), 1, "{event}");
    }
}

#[tokio::test]
async fn the_documented_login_reads_as_the_contract_shows() {
    let app = TestApp::start().await;
    let mut body = documented("room_login");
    body["user_nickname"] = json!("Ada");
    body["term_type"] = json!("6");
    let answer =
        app.post("/zego/room-login", "application/json", signed(body, SECRET).to_string()).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"));

    let expected = json!({
        "provider": "zego", "app": "1", "user": "888120154", "online": true,
        "last_seen_at": 1_499_676_978_027_u64, "checked_at": null,
        "sessions": [{
            "room": "rid_1242649", "life": "6085791336856668982",
            "session": "792148503087288320", "device": null, "name": "Ada", "role": "audience",
            "entered_at": 1_499_676_978_027_u64, "entered_assumed": false, "left_at": null,
            "reason": null, "assumed": false
        }],
        "next": null
    });
    assert_eq!(timeless(app.user("888120154").await), expected);
    let expected = json!({
        "provider": "zego", "app": "1", "room": "rid_1242649", "life": "6085791336856668982",
        "open": true, "online": 1, "checked_at": null,
        "members": [{
            "user": "888120154", "name": "Ada", "role": "audience",
            "session": "792148503087288320", "entered_at": 1_499_676_978_027_u64,
            "entered_assumed": false
        }],
        "next": null
    });
    assert_eq!(timeless(app.room("rid_1242649").await), expected);

    let records = app.records().await;
    let seat = records.values().next().unwrap();
    let details = json!({
        "room_name": "room#123", "auth_level": "4", "relogin": "0",
        "callback_data": "user login", "term_type": "6"
    });
    assert_eq!(seat["details"], details, "the known fields are kept");
}

#[tokio::test]
async fn somebody_enters_and_leaves_a_room() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(0));
    assert_eq!(app.outcome(&login).await, "applied");
    assert_eq!(app.outcome(&login).await, "duplicate");
    assert_eq!(app.outcome(&login).await, "duplicate");
    assert_eq!(app.members("lobby").await, ["ada"]);

    let logout = Event { name: RoomLogout, at: start.plus(500), sequence: 2, reason: 1, ..login };
    assert_eq!(app.outcome(&logout).await, "applied");
    assert_eq!(app.members("lobby").await, [""; 0]);
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], false);
    assert_eq!(ada["sessions"][0]["entered_at"], start.0);
    assert_eq!(ada["sessions"][0]["left_at"], start.0 + 500);
    assert_eq!(ada["sessions"][0]["reason"], "heartbeat_timeout");
}

#[tokio::test]
async fn every_secret_of_an_app_is_accepted() {
    let app = TestApp::start().await;
    for (secret, outcome) in [(PREVIOUS_SECRET, "applied"), (SECRET, "duplicate")] {
        let body = signed(documented("room_login"), secret).to_string();
        let answer = app.post("/zego/room-login", "application/json", body).await;
        assert_eq!(answer.outcome.as_deref(), Some(outcome));
    }
}

#[tokio::test]
async fn a_logout_before_its_login_leaves_the_room_empty() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(0));
    let logout = Event { name: RoomLogout, at: start.plus(9), sequence: 2, ..login.clone() };
    assert_eq!(app.outcome(&logout).await, "applied");
    assert_eq!(app.members("lobby").await, [""; 0]);
    assert_eq!(app.outcome(&login).await, "stale");
    assert_eq!(app.members("lobby").await, [""; 0]);
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], false);
    assert_eq!(ada["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_sessions_late_logout_does_not_move_the_new_session() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let old = zego_event(RoomLogin, start.plus(0));
    let kicked =
        Event { name: RoomLogout, at: start.plus(10), sequence: 2, reason: 3, ..old.clone() };
    let new = Event {
        session: "100000000000000002".to_owned(),
        sequence: 3,
        relogin: true,
        ..zego_event(RoomLogin, start.plus(10))
    };
    assert_eq!(app.outcome(&old).await, "applied");
    assert_eq!(app.outcome(&new).await, "applied");
    assert_eq!(app.outcome(&kicked).await, "stale");
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], true);
    assert_eq!(ada["sessions"][0]["session"], "100000000000000002");
    assert_eq!(ada["sessions"][0]["left_at"], Value::Null);
    assert_eq!(ada["sessions"][1]["reason"], "kicked");
    assert_eq!(app.room("lobby").await["online"], 1);
}

#[tokio::test]
async fn a_relogin_may_keep_its_session() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(0));
    let out = Event { name: RoomLogout, at: start.plus(10), sequence: 2, ..login.clone() };
    let again = Event { sequence: 3, relogin: true, ..login.clone() };
    for event in [&again, &out, &login] {
        app.outcome(event).await;
    }
    assert_eq!(app.members("lobby").await, ["ada"]);
    // The final logout has the first login's time, or its own.
    let last = Event { name: RoomLogout, at: start.plus(20), sequence: 4, ..login };
    app.outcome(&last).await;
    assert_eq!(app.members("lobby").await, [""; 0]);
}

#[tokio::test]
async fn a_logout_with_a_higher_sequence_ends_a_relogin_of_a_later_time() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(0));
    let again = Event { login_time: start.plus(30), sequence: 2, ..login.clone() };
    let out = Event { name: RoomLogout, at: start.plus(40), sequence: 3, ..login.clone() };
    for (event, outcome) in [(&login, "applied"), (&again, "applied"), (&out, "stale")] {
        assert_eq!(app.outcome(event).await, outcome);
    }
    assert_eq!(
        app.members("lobby").await,
        [""; 0],
        "by the index she is in, by the marks she is out"
    );
    assert_eq!(app.room("lobby").await["online"], 0);
    assert_eq!(app.user("ada").await["online"], false);
}

#[tokio::test]
async fn a_lost_logout_ends_with_the_next_session() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let first = zego_event(RoomLogin, start.plus(0));
    let second = Event {
        session: "100000000000000002".to_owned(),
        sequence: 3,
        ..zego_event(RoomLogin, start.plus(50))
    };
    let out = Event { name: RoomLogout, at: start.plus(60), sequence: 4, ..second.clone() };
    for event in [&first, &second, &out] {
        app.outcome(event).await;
    }
    assert_eq!(app.members("lobby").await, [""; 0]);
    assert_eq!(app.user("ada").await["online"], false);
}

#[tokio::test]
async fn a_room_closed_before_its_logins_arrive_stays_closed() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(1));
    let create = zego_event(RoomCreate, start.plus(0));
    let close = zego_event(RoomClose, start.plus(100));
    assert_eq!(app.outcome(&close).await, "applied");
    assert_eq!(app.outcome(&login).await, "applied");
    assert_eq!(app.outcome(&create).await, "applied");
    assert_eq!(app.outcome(&close).await, "duplicate");
    assert_eq!(app.outcome(&create).await, "duplicate");
    let room = app.room("lobby").await;
    assert_eq!((&room["open"], &room["online"]), (&json!(false), &json!(0)));
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], false);
    let session = &ada["sessions"][0];
    assert_eq!(session["left_at"], start.0 + 100);
    assert_eq!((&session["reason"], &session["assumed"]), (&json!("room_closed"), &json!(true)));
}

#[tokio::test]
async fn a_new_life_of_a_room_ends_everybodys_stay_in_the_old_one() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    // The newer life has the smaller number.
    let ghost = Event { life: 900, ..zego_event(RoomLogin, start.plus(0)) };
    let bob = Event {
        life: 800,
        user: "bob".to_owned(),
        session: "100000000000000009".to_owned(),
        ..zego_event(RoomLogin, start.plus(1000))
    };
    app.outcome(&ghost).await;
    assert_eq!(app.members("lobby").await, ["ada"]);
    app.outcome(&bob).await;
    let room = app.room("lobby").await;
    assert_eq!(room["life"], "800");
    assert_eq!(names(&room), ["bob"]);
    let ada = app.user("ada").await;
    assert_eq!(ada["online"], false);
    assert_eq!(ada["sessions"][0]["reason"], "room_replaced");
    assert_eq!(ada["sessions"][0]["left_at"], start.0 + 1000);

    // After Bob has left, the old life does not come back.
    app.outcome(&Event { name: RoomLogout, at: start.plus(2000), sequence: 2, ..bob }).await;
    let room = app.room("lobby").await;
    assert_eq!((&room["life"], &room["online"]), (&json!("800"), &json!(0)));
    assert_eq!(app.user("ada").await["online"], false);
}

#[tokio::test]
async fn recorders_are_kept_but_not_counted() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let recorder =
        Event { user: "recorder".to_owned(), role: 4, ..zego_event(RoomLogin, start.plus(0)) };
    app.outcome(&recorder).await;
    app.outcome(&zego_event(RoomLogin, start.plus(1))).await;
    let room = app.room("lobby").await;
    assert_eq!(room["online"], 1);
    assert_eq!(names(&room), ["ada"]);
    assert_eq!(app.user("recorder").await["sessions"][0]["role"], "admin");
}

#[tokio::test]
async fn an_event_at_the_route_of_another_one_is_refused_with_its_own_route() {
    let app = TestApp::start().await;
    let endpoints = Endpoint::ALL.into_iter().filter(|one| one.function.starts_with("zego-"));
    let routes: Vec<&str> = endpoints.map(|endpoint| endpoint.routes[0]).collect();
    for own in &routes {
        let event = match *own {
            // It takes several events.
            "/zego/room-event" => "room_enter".to_owned(),
            own => own.strip_prefix("/zego/").unwrap().replace('-', "_"),
        };
        // RTC's creation and ZIM's differ in their fields.
        let like = if event == "room_create" { "room_create" } else { "room_login" };
        let mut body = documented(like);
        body["event"] = json!(event);
        let body = signed(body, SECRET).to_string();
        for other in routes.iter().filter(|route| *route != own) {
            let answer = app.post(other, "application/json", body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{event} at {other}");
            assert!(answer.body.contains(&format!("send it to {own}")), "{}", answer.body);
        }
    }
    assert!(app.records().await.is_empty());
}

#[tokio::test]
async fn an_event_without_a_route_is_acknowledged_and_not_stored() {
    let app = TestApp::start().await;
    let mut body = documented("room_login");
    body["event"] = json!("stream_create");
    let answer =
        app.post("/zego/room-login", "application/json", signed(body, SECRET).to_string()).await;
    assert_eq!((answer.status, answer.outcome.as_deref()), (StatusCode::OK, Some("ignored")));
    assert!(app.records().await.is_empty());
}

#[tokio::test]
async fn ids_of_64_bits_keep_every_digit() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    // As doubles, these two are equal.
    for (life, user) in [(858_012_925_204_410_400, "ada"), (858_012_925_204_410_401, "bob")] {
        let at = start.plus(life & 1);
        let login = Event { life, user: user.to_owned(), ..zego_event(RoomLogin, at) };
        app.outcome(&login).await;
    }
    assert_eq!(app.user("ada").await["sessions"][0]["life"], "858012925204410400");
    assert_eq!(app.room("lobby").await["life"], "858012925204410401");
    let close = Event { life: u64::MAX, ..zego_event(RoomClose, start.plus(9)) };
    app.outcome(&close).await;
    assert_eq!(app.room("lobby").await["life"], "18446744073709551615");
}

/// Promise 7: the same user, room and life in two apps, and an app's secret at another app.
#[tokio::test]
async fn promise_7_isolated_apps_never_see_each_other() {
    let app = TestApp::start().await;
    app.outcome(&zego_event(RoomLogin, Moment::recent().plus(0))).await;
    for path in ["users/ada", "rooms/lobby"] {
        let (status, _) = app.get(&format!("/presence/zego/2/{path}")).await;
        assert_eq!(status, 404);
    }
    let forged = Event { app: "2".to_owned(), ..zego_event(RoomLogin, Moment::recent().plus(0)) };
    assert_eq!(app.send(&forged).await.status, 401, "app 1's secret does not sign for app 2");
    assert_eq!(app.records().await.len(), 1);
}
