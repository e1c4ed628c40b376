//! Promise 1: unsigned requests, and signed ones that are malformed.

use rollcall::{callback::Secret, domain::UnixSeconds, http::Request, providers::zego, runtime};
use rollcall_players::openim::EventName;
use serde_json::{Value, json};

use crate::support::{
    BLANK, Database, Handlers, OTHER_SECRET, SECRET, TestApp, apps, names, openim_event,
};

const LOGIN: &str = "/zego/room-login";
const CREATE: &str = "/zego/room-create";
const CLOSE: &str = "/zego/room-close";
const LOGOUT: &str = "/zego/room-logout";
const NONCE: &str = "7301444403500000001";

/// A whole event for a route, without a signature.
fn event(route: &str) -> Value {
    let now = runtime::now().0;
    match route {
        LOGIN | LOGOUT => json!({
            "event": if route == LOGIN { "room_login" } else { "room_logout" },
            "appid": "1", "nonce": NONCE, "room_id": "lobby", "room_seq": "7",
            "user_account": "ada", "user_nickname": "Ada", "session_id": "s1",
            "login_time": now.to_string(), "logout_time": now.to_string(), "reason": "0",
            "user_role": "2", "user_update_seq": "1"
        }),
        _ => json!({
            "event": if route == CREATE { "room_create" } else { "room_close" },
            "appid": 1, "nonce": NONCE, "room_id": "lobby", "room_session_id": 7,
            "room_create_time": now.to_string(), "room_close_time": now.to_string(),
            "close_reason": 0, "id_name": "ada"
        }),
    }
}

fn signature(secret: &str, timestamp: &str, nonce: &str) -> String {
    zego::sign(&Secret::new(secret.to_owned()).unwrap(), timestamp, nonce)
}

/// Signs a body at a time, after all changes to it.
fn signed_at(mut body: Value, at: UnixSeconds) -> Value {
    body["timestamp"] = json!(at.to_string());
    body["signature"] = json!(signature(SECRET, &at.to_string(), NONCE));
    body
}

fn signed(body: Value) -> Value {
    signed_at(body, runtime::now().seconds())
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

/// A bad request: what is wrong with it, its route, its body, the expected status, and a part of
/// the expected message.
struct Bad(String, &'static str, Vec<u8>, u16, &'static str);

#[expect(clippy::needless_pass_by_value, reason = "so that the tables read well")]
fn bad(
    why: impl Into<String>,
    route: &'static str,
    body: impl ToString,
    status: u16,
    says: &'static str,
) -> Bad {
    Bad(why.into(), route, body.to_string().into_bytes(), status, says)
}

#[tokio::test]
async fn promise_1_authentic_a_bad_request_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await;
    let mut requests = unsigned();
    requests.extend(unreadable());
    requests.extend(malformed());
    assert!(requests.len() >= 100, "{} bad requests", requests.len());
    for Bad(why, route, body, status, says) in requests {
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        let answer = app.post(route, "application/json", body).await;
        assert_eq!(answer.status, status, "{why}: {shown}: {}", answer.body);
        assert_eq!(answer.outcome.as_deref(), Some("rejected"), "{why}");
        let read: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(read["code"], status, "{why}");
        assert!(read["message"].as_str().unwrap().contains(says), "{why}: {}", answer.body);
        for secret in [SECRET, OTHER_SECRET] {
            assert!(!answer.body.contains(secret), "{why}: {}", answer.body);
        }
    }
    assert!(app.records().await.is_empty());
    // And the gateway still runs.
    let login = signed(event(LOGIN)).to_string();
    assert_eq!(
        app.post(LOGIN, "application/json", login).await.outcome.as_deref(),
        Some("applied")
    );
}

fn unsigned() -> Vec<Bad> {
    let now = runtime::now().seconds();
    let good = signed(event(LOGIN));
    let with_signature = |value: &str| with(good.clone(), "signature", json!(value));
    let timestamp = now.to_string();
    let right = signature(SECRET, &timestamp, NONCE);
    let unsorted = {
        // A common bug: secret, timestamp and nonce without sorting.
        use sha1::Digest;
        hex::encode(sha1::Sha1::digest(format!("{SECRET}{timestamp}{NONCE}")))
    };
    let expired = |s: u64| signed_at(event(LOGIN), UnixSeconds(now.0 - s));
    let future = |s: u64| signed_at(event(LOGIN), UnixSeconds(now.0 + s));
    let wrong = "the signature does not match";
    let mut requests = vec![
        bad("a zero signature", LOGIN, with_signature(&"0".repeat(40)), 401, wrong),
        bad("one digit off", LOGIN, with_signature(&flip(&right)), 401, wrong),
        bad("half a signature", LOGIN, with_signature(&right[..20]), 401, wrong),
        bad("a prefix", LOGIN, with_signature(&right[..39]), 401, wrong),
        bad("one digit more", LOGIN, with_signature(&format!("{right}0")), 401, wrong),
        bad("a space behind", LOGIN, with_signature(&format!("{right} ")), 401, wrong),
        bad("two signatures", LOGIN, with_signature(&format!("{right},{right}")), 401, wrong),
        bad("unsorted", LOGIN, with_signature(&unsorted), 401, wrong),
        bad(
            "another app's secret",
            LOGIN,
            with_signature(&signature(OTHER_SECRET, &timestamp, NONCE)),
            401,
            wrong,
        ),
        bad("the secret itself", LOGIN, with_signature(SECRET), 401, wrong),
        bad("another nonce", LOGIN, with(good.clone(), "nonce", json!("1")), 401, wrong),
        bad(
            "a second later",
            LOGIN,
            with(good.clone(), "timestamp", json!((now.0 + 1).to_string())),
            401,
            wrong,
        ),
        bad("an empty signature", LOGIN, with_signature(""), 401, "`signature` is missing"),
        bad(
            "a null signature",
            LOGIN,
            with(good.clone(), "signature", Value::Null),
            401,
            "`signature` is missing",
        ),
        bad(
            "a list of signatures",
            LOGIN,
            with(good.clone(), "signature", json!([right])),
            401,
            "`signature`",
        ),
        bad(
            "an object",
            LOGIN,
            with(good.clone(), "signature", json!({"a": right})),
            401,
            "`signature`",
        ),
        bad("a boolean", LOGIN, with(good.clone(), "signature", json!(true)), 401, "`signature`"),
        bad("expired by a second", LOGIN, expired(601 + 2), 401, "in the past"),
        bad("expired by a day", LOGIN, expired(86_400), 401, "in the past"),
        bad(
            "the page's own time",
            LOGIN,
            signed_at(event(LOGIN), UnixSeconds(1_499_676_978)),
            401,
            "in the past",
        ),
        bad(
            "a time in ms",
            LOGIN,
            signed_at(event(LOGIN), UnixSeconds(now.0 * 1000)),
            401,
            "in the future",
        ),
        bad("11 minutes ahead", LOGIN, future(660), 401, "in the future"),
        bad(
            "at the end of time",
            LOGIN,
            signed_at(event(LOGIN), UnixSeconds(u64::MAX)),
            401,
            "in the future",
        ),
        bad("at the beginning", LOGIN, signed_at(event(LOGIN), UnixSeconds(0)), 401, "in the past"),
        bad(
            "an unknown app",
            LOGIN,
            signed(with(event(LOGIN), "appid", json!("9"))),
            401,
            "not configured",
        ),
        bad(
            "app 01",
            LOGIN,
            signed(with(event(LOGIN), "appid", json!("01"))),
            401,
            "not configured",
        ),
        bad(
            "app 1.0",
            LOGIN,
            signed(with(event(LOGIN), "appid", json!(1.0))),
            401,
            "not configured",
        ),
        bad(
            "an app too long",
            LOGIN,
            signed(with(event(LOGIN), "appid", json!("1".repeat(9999)))),
            401,
            "not configured",
        ),
        bad("another app", LOGIN, signed(with(event(LOGIN), "appid", json!("2"))), 401, wrong),
        bad("an app without secrets", LOGIN, blank_secret("4", ""), 401, "no callback secret"),
    ];
    for blank in BLANK {
        let (name, body) = (format!("the blank secret {blank:?}"), blank_secret("3", blank));
        requests.push(bad(name, LOGIN, body, 401, "no callback secret"));
    }
    for field in ["appid", "timestamp", "nonce", "signature"] {
        for route in [LOGIN, LOGOUT, CREATE, CLOSE] {
            let body = without(signed(event(route)), field);
            requests.push(bad(format!("no {field}"), route, body, 401, "is missing"));
        }
    }
    for timestamp in ["-1", "1e9", "0x10", "now", "1.5", "99999999999999999999", "+1700000000"] {
        let mut body = with(event(LOGIN), "timestamp", json!(timestamp));
        body["signature"] = json!(signature(SECRET, timestamp, NONCE));
        requests.push(bad(format!("time {timestamp}"), LOGIN, body, 401, "`timestamp`"));
    }
    requests
}

/// Signed as if this were the secret of an app.
fn blank_secret(app: &str, blank: &str) -> Value {
    use sha1::Digest;
    let timestamp = runtime::now().seconds().to_string();
    let mut parts = [blank, &timestamp, NONCE];
    parts.sort_unstable();
    let mut body = with(event(LOGIN), "appid", json!(app));
    body["signature"] = json!(hex::encode(sha1::Sha1::digest(parts.concat())));
    body["timestamp"] = json!(timestamp);
    body
}

/// An unreadable body has no signature, so its sender is not verified.
fn unreadable() -> Vec<Bad> {
    let good = signed(event(LOGIN)).to_string();
    let twice = good.replacen('{', r#"{"room_id":"kitchen","#, 1);
    let says = "the body cannot be read";
    let texts: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("spaces", "   ".to_owned()),
        ("text", "room_login".to_owned()),
        ("a list", "[]".to_owned()),
        ("a list of events", format!("[{good}]")),
        ("a string", format!("{good:?}")),
        ("a number", "17".to_owned()),
        ("null", "null".to_owned()),
        ("half an object", good[..good.len() / 2].to_owned()),
        ("two objects", format!("{good}{good}")),
        ("something behind", format!("{good}x")),
        ("a field twice", twice),
        ("deep lists", "[".repeat(100_000)),
        ("deep objects", r#"{"a":"#.repeat(100_000)),
        ("single quotes", good.replace('"', "'")),
        ("no quotes", good.replace('"', "")),
        ("a bad escape", good.replace("lobby", r"lo\xbby")),
        ("half a surrogate behind an open escape", good.replace("lobby", r"lo\\\ud800\")),
        ("a control character", good.replace("lobby", "lo\u{1}by")),
        ("percent, then nothing", "%".to_owned()),
        ("percent-encoded text", "%7Broom".to_owned()),
        ("percent-encoded list", "%5B%5D".to_owned()),
        ("bytes that are no UTF-8 outside of strings", "%7B%22a%22%3A%FF%7D".to_owned()),
        ("a form with a field twice", "event=room_login&event=room_login".to_owned()),
        ("XML", "<event>room_login</event>".to_owned()),
        ("NaN", r#"{"timestamp":NaN}"#.to_owned()),
        ("two byte order marks", format!("\u{feff}\u{feff}{good}")),
        ("a byte order mark behind", format!("{good}\u{feff}")),
        ("nothing but a byte order mark", "\u{feff}".to_owned()),
    ];
    let mut requests: Vec<Bad> =
        texts.into_iter().map(|(why, body)| bad(why, LOGIN, body, 401, says)).collect();
    let latin1 = |index: usize| {
        let mut latin1 = good.clone().into_bytes();
        latin1[index] = 0xE4;
        latin1
    };
    // In the name `appid`, which is then another name.
    requests.push(Bad("a name that is no UTF-8".to_owned(), LOGIN, latin1(3), 401, "is missing"));
    requests.push(Bad("no UTF-8 outside of strings".to_owned(), LOGIN, latin1(0), 401, says));
    requests.push(bad("a damaged name", LOGIN, "%7B%22%FF%22%3A1%7D", 401, "is missing"));
    requests.push(Bad("zeros".to_owned(), LOGIN, vec![0; 100], 401, says));
    requests.push(bad("an object without fields", LOGIN, "{}", 401, "is missing"));
    requests.push(bad("an empty form", LOGIN, "=", 401, "is missing"));
    requests
}

/// Signed, but not an event.
fn malformed() -> Vec<Bad> {
    let mut requests = Vec::new();
    let required: [(&str, &[&str]); 4] = [
        (
            LOGIN,
            &[
                "event",
                "room_id",
                "room_seq",
                "user_account",
                "session_id",
                "login_time",
                "user_update_seq",
            ],
        ),
        (
            LOGOUT,
            &[
                "event",
                "room_id",
                "room_seq",
                "user_account",
                "session_id",
                "login_time",
                "logout_time",
                "user_update_seq",
            ],
        ),
        (CREATE, &["event", "room_id", "room_session_id", "room_create_time"]),
        (CLOSE, &["event", "room_id", "room_session_id", "room_close_time"]),
    ];
    for (route, fields) in required {
        for &field in fields {
            let event = signed(event(route));
            requests.push(bad(
                format!("no {field}"),
                route,
                without(event.clone(), field),
                400,
                "is missing",
            ));
            requests.push(bad(
                format!("empty {field}"),
                route,
                with(event.clone(), field, json!("")),
                400,
                "is missing",
            ));
            requests.push(bad(
                format!("{field} a list"),
                route,
                with(event, field, json!(["x"])),
                400,
                field,
            ));
        }
    }
    let numbers = ["room_seq", "login_time", "user_update_seq", "user_role"];
    for field in numbers {
        for number in [
            json!("x"),
            json!(-1),
            json!(1.5),
            json!("1e3"),
            json!("99999999999999999999"),
            json!("+1"),
            json!(" 1"),
        ] {
            let body = signed(with(event(LOGIN), field, number.clone()));
            requests.push(bad(format!("{field} {number}"), LOGIN, body, 400, field));
        }
    }
    for field in ["room_id", "user_account", "session_id", "room_seq", "login_time"] {
        let body = signed(with(event(LOGIN), field, json!("1@"))).to_string();
        let half = body.replace('@', r"\ud800");
        requests.push(bad(format!("half a {field}"), LOGIN, half, 400, "is not valid Unicode"));
        let mut cut = body.into_bytes();
        if let Some(at) = cut.iter().position(|byte| *byte == b'@') {
            cut[at] = 0xE4;
        }
        requests.push(Bad(format!("a cut {field}"), LOGIN, cut, 400, "is not valid Unicode"));
    }
    for field in ["room_id", "user_account", "session_id"] {
        let body = signed(with(event(LOGIN), field, json!("x".repeat(256))));
        requests.push(bad(format!("long {field}"), LOGIN, body, 400, "longer than 255"));
    }
    let ahead = (runtime::now().0 + 660_000).to_string();
    let times = [
        (LOGIN, "login_time"),
        (LOGOUT, "login_time"),
        (LOGOUT, "logout_time"),
        (CREATE, "room_create_time"),
        (CLOSE, "room_close_time"),
    ];
    for (route, field) in times {
        let body = signed(with(event(route), field, json!(ahead)));
        requests.push(bad(format!("{field} ahead"), route, body, 400, "in the future"));
    }
    for route in [LOGIN, LOGOUT, CREATE, CLOSE] {
        for other in [LOGIN, LOGOUT, CREATE, CLOSE] {
            if route != other {
                requests.push(bad(
                    format!("{other} at {route}"),
                    route,
                    signed(event(other)),
                    400,
                    other,
                ));
            }
        }
    }
    requests
}

#[tokio::test]
async fn a_body_that_is_too_long_is_read_and_refused() {
    let app = TestApp::start().await;
    let padded = |length: usize| {
        let body = signed(event(LOGIN)).to_string();
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    for (length, status) in [(1 << 20, 200), ((1 << 20) + 1, 413), (2 << 20, 413), (5 << 20, 413)] {
        let answer = app.post(LOGIN, "application/json", padded(length)).await;
        assert_eq!(answer.status, status, "{length} bytes: {}", answer.body);
        if status == 413 {
            assert_eq!(answer.outcome.as_deref(), Some("rejected"));
            assert!(answer.body.contains("1048576 bytes"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn unknown_fields_are_accepted_however_deep() {
    let app = TestApp::start().await;
    let body = signed(event(LOGIN)).to_string();
    let deep = format!(r#"{{"later":{}{},"#, "[".repeat(5000), "]".repeat(5000));
    let answer = app.post(LOGIN, "application/json", body.replacen('{', &deep, 1)).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
}

#[tokio::test]
async fn ids_of_any_character_are_kept_apart() {
    let app = TestApp::start().await;
    let ids = ["#", "a#b", "a%23b", "a/b", "a b", "é", "😀", "\u{0}", "\"", "..", "s:1", "?x=1&y"];
    for (index, id) in ids.iter().enumerate() {
        let mut body = with(event(LOGIN), "user_account", json!(id));
        body["room_id"] = json!(id);
        body["session_id"] = json!(format!("s{index}"));
        let answer = app.post(LOGIN, "application/json", signed(body).to_string()).await;
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{id:?}: {}", answer.body);
    }
    for id in ids {
        let asked = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
        for (what, plural) in [("room", "rooms"), ("user", "users")] {
            let (status, answer) =
                app.get(&format!("/presence/zego/1/{plural}?{what}={asked}")).await;
            assert_eq!(status, 200, "{id:?}: {answer}");
            assert_eq!(answer[what], *id);
        }
        let (_, room) = app.get(&format!("/presence/zego/1/rooms?room={asked}")).await;
        assert_eq!(room["online"], 1, "{id:?}");
        assert_eq!(room["members"][0]["user"], *id);
    }
}

/// A thousand headers, a megabyte of query: everything that the server in front accepts is
/// answered.
#[tokio::test]
async fn floods_of_headers_and_parameters_are_answered() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let now = runtime::now();
    let deliver = async |path: &str, query: String, headers: http::HeaderMap, body: String| {
        let request = Request { headers, query, ..Request::post(path, body, now) };
        handlers.receive(path, &request).await
    };
    let mut many = http::HeaderMap::new();
    for number in 0..10_000 {
        let name: http::HeaderName = format!("x-{number}").parse().unwrap();
        many.append(name, "y".repeat(100).parse().unwrap());
    }
    let many_pairs = "a=b&".repeat(250_000);
    let one_long = format!("a={}", "%41".repeat(300_000));
    let broken = "%ff%fe&%=%&&&=%zz".repeat(10_000);
    for path in [LOGIN, "/openim", "/tencent/chat", "/tencent/trtc"] {
        for query in [&many_pairs, &one_long, &broken] {
            let reply = deliver(path, query.clone(), many.clone(), "{}".to_owned()).await;
            assert_eq!((reply.status.as_u16(), reply.outcome), (401, Some("rejected")), "{path}");
        }
    }
    // A valid request in the middle of it is accepted.
    let login = signed(event(LOGIN)).to_string();
    let reply = deliver(LOGIN, many_pairs, many, login).await;
    assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
}

#[tokio::test]
async fn promise_1_authentic_bytes_that_are_no_text_verify_nothing() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    for name in ["authorization", "sdkappid", "sign"] {
        for value in [&b"\xff\xfe"[..], b"Basic \xff", b"", b"Basic", b"Basic =", b" "] {
            for path in ["/openim", "/tencent/trtc"] {
                let mut headers = http::HeaderMap::new();
                headers.insert("sdkappid", "1400000000".parse().unwrap());
                headers.insert(name, http::HeaderValue::from_bytes(value).unwrap());
                let query = String::from("SdkAppid=%ff&Sign=%ff&RequestTime=%ff");
                let body = r#"{"callbackCommand":"x","secret":null}"#;
                let request =
                    Request { headers, query, ..Request::post(path, body, runtime::now()) };
                let reply = handlers.receive(path, &request).await;
                assert_eq!(reply.status, 401, "{path} {name} {value:?}");
            }
        }
    }
}

/// A cursor comes from a client, which may have made it up.
#[tokio::test]
async fn promise_7_isolated_a_made_up_cursor_shows_nothing_else() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    let app = TestApp::start().await;
    for (number, route) in [LOGIN, LOGIN, LOGIN, LOGOUT].into_iter().enumerate() {
        let mut body = with(event(route), "user_account", json!(format!("user{number}")));
        body["session_id"] = json!(format!("s{number}"));
        let answer = app.post(route, "application/json", signed(body).to_string()).await;
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
    }
    // So many sessions that older marks are moved to another item.
    for number in 0..40 {
        let mut body = with(event(LOGIN), "session_id", json!(format!("again{number:02}")));
        body["user_account"] = json!("user0");
        body["user_update_seq"] = json!(10 + number);
        let answer = app.post(LOGIN, "application/json", signed(body).to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(app.records().await.keys().any(|key| key.contains(" moved#")));
    let now = runtime::now();
    let registration = openim_event(EventName::UserRegister, now);
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let registered = registration.callback(&credentials).send(&app.http, &app.url).await.unwrap();
    assert_eq!(registered.outcome.as_deref(), Some("applied"), "{}", registered.body);
    let (_, first) = app.get("/presence/zego/1/rooms/lobby?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let real: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(next).unwrap()).unwrap();
    let cursor = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let made_up = [
        "",
        "\u{0}",
        "in#",
        "in",
        "left#",
        "moved#",
        "zzz",
        "zego#2#room#lobby",
        "\u{10ffff}",
        "in#9999999999999999#",
        "in#0",
        "#",
        "%",
    ];
    for after in
        made_up.map(str::to_owned).into_iter().chain(["z".repeat(1000), "in#5".repeat(250)])
    {
        let next = cursor(&with(real.clone(), "after", json!(after)));
        let (status, room) = app.get(&format!("/presence/zego/1/rooms/lobby?next={next}")).await;
        assert_eq!(status, 200, "{after:?}: {room}");
        let members = names(&room);
        for (index, user) in members.iter().enumerate() {
            assert!(["user0", "user1", "user2"].contains(&user.as_str()), "{after:?}: {user}");
            assert!(!members[..index].contains(user), "{after:?}: {user} is there twice");
        }
        let next = cursor(&json!({ "after": after }));
        let (_, first) = app.get("/explain/zego/1/users/user0?limit=1").await;
        let mut place: Value = serde_json::from_slice(
            &BASE64_URL_SAFE_NO_PAD.decode(first["next"].as_str().unwrap()).unwrap(),
        )
        .unwrap();
        let is_id = (1..=255).contains(&after.len());
        place["mark"]["room"] = json!(after);
        let path = format!("/explain/zego/1/users/user0?next={}", cursor(&place));
        let (status, explained) = app.get(&path).await;
        assert_eq!(status, if is_id { 200 } else { 400 }, "{after:?}: {explained}");
        let rooms = explained["rooms"].as_array().into_iter().flatten();
        for stay in rooms.flat_map(|room| room["stays"].as_array().unwrap()) {
            assert_eq!((&stay["room"], &stay["user"]), (&json!("lobby"), &json!("user0")));
        }
        let path = format!("/registrations/openim/main?from={}&next={next}", now.0 + 60_000);
        let (status, list) = app.get(&path).await;
        assert_eq!((status.as_u16(), list["registrations"].as_array().unwrap().len()), (200, 0));
    }
    let long = with(real.clone(), "after", json!("z".repeat(1001)));
    let number = with(real.clone(), "after", json!(7));
    let negative = with(real.clone(), "online", json!(-1));
    let other = with(real.clone(), "life", json!("8"));
    for cursor in
        [long, number, negative, other, json!(null), json!([]), json!("x")].map(|v| cursor(&v))
    {
        let (status, body) = app.get(&format!("/presence/zego/1/rooms/lobby?next={cursor}")).await;
        assert_eq!(status, 400, "{body}");
        assert_eq!(body["error"]["code"], "bad_parameter");
    }
    let deep = BASE64_URL_SAFE_NO_PAD.encode("[".repeat(30_000));
    for text in ["!", "%ff", "=", "e30=", "e30", &deep] {
        let (status, body) = app.get(&format!("/presence/zego/1/rooms/lobby?next={text}")).await;
        assert_eq!(status, 400, "{body}");
    }
}

fn flip(text: &str) -> String {
    let last = if text.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &text[..text.len() - 1])
}
