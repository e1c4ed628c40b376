//! Texts that were cut inside a character, and byte order marks. A damaged text that is only shown
//! loses no event, and a damaged id is refused.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{prelude::*, test_runner::Config};
use rollcall::{
    callback::{Callback, FieldError, ParseError, Provider, Rejection, Secret},
    domain::{Change, UnixMillis},
    http::Request,
    providers::{
        Configured,
        openim::Any,
        tencent::{ChatState, TrtcEvent, sign_chat, sign_trtc},
        zego::{self, RoomLogin},
    },
    runtime,
};
use serde_json::json;

use crate::support::{CHAT_TOKEN, OPENIM_PASSWORD, SECRET, TRTC_KEY, TestApp, apps};

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const MAX_AGE: Duration = Duration::from_mins(10);

/// Ways to damage a text: half an emoji as an escape, and bytes that are not UTF-8.
const DAMAGES: [&[u8]; 5] =
    [br"\ud83d", br"\ude00", b"\xf0\x9f\x98", b"\xff", b"\\ud83d\xc3\\ude00"];

const MARK: &str = "\u{feff}";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

/// The value for `@FIELD@` in a body.
type Spoilt<'a> = (&'a str, &'a [u8]);

/// A body with one damaged field, and `ada` in all other places.
fn spoil(body: &str, (field, with): Spoilt<'_>) -> Vec<u8> {
    let mut spoilt = Vec::new();
    for (index, part) in body.split('@').enumerate() {
        match part {
            part if index % 2 == 0 => spoilt.extend(part.as_bytes()),
            part if part == field => spoilt.extend(with),
            _ => spoilt.extend(b"ada"),
        }
    }
    spoilt
}

/// A callback of each provider, with the fields that are only shown and those that are ids.
struct Case {
    parse: fn(&[u8], UnixMillis) -> Result<Vec<Change>, Rejection>,
    body: String,
    shown: &'static [&'static str],
    ids: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let ms = NOW.0;
    let zego = json!({
        "event": "room_login", "appid": "1", "timestamp": NOW.seconds().to_string(), "nonce": "17",
        "signature": zego::sign(&secret(SECRET), &NOW.seconds().to_string(), "17"),
        "room_id": "@room_id@", "room_seq": "7", "user_account": "@user_account@",
        "user_nickname": "@user_nickname@", "session_id": "@session_id@", "room_name": "@room_name@",
        "callback_data": "@callback_data@", "login_time": ms, "user_role": 2,
        "user_update_seq": 1, "unknown": "@unknown@", "unknown@name@": 1, "deep": [{ "a": "@deep@" }],
    });
    let online = json!({
        "callbackCommand": "callbackAfterUserOnlineCommand", "operationID": "@operationID@",
        "platformID": 1, "platform": "@platform@", "userID": "@userID@", "seq": ms,
        "connID": "@connID@", "token": "@token@",
    });
    let register = json!({
        "callbackCommand": "callbackAfterUserRegisterCommand",
        "users": { "userID": "@userID@", "nickname": "@nickname@", "faceURL": "@faceURL@",
                   "ex": "@ex@", "createTime": ms, "@name@": 1 },
    });
    let chat = json!({
        "CallbackCommand": "State.StateChange", "EventTime": ms, "unknown": "@unknown@",
        "Info": { "Action": "Login", "To_Account": "@To_Account@", "Reason": "@Reason@" },
    });
    let trtc = json!({
        "EventGroupId": 1, "EventType": 103, "CallbackTs": ms,
        "EventInfo": { "RoomId": "@RoomId@", "EventTs": 1, "EventMsTs": ms, "UserId": "@UserId@",
                       "Role": 21, "Reason": 1, "unknown": "@unknown@" },
    });
    vec![
        Case {
            parse: parse::<RoomLogin>,
            body: zego.to_string(),
            shown: &["user_nickname", "room_name", "callback_data", "unknown", "name", "deep"],
            ids: &["room_id", "user_account", "session_id"],
        },
        Case {
            parse: parse::<Any>,
            body: online.to_string(),
            shown: &["operationID", "token"],
            ids: &["platform", "userID", "connID"],
        },
        Case {
            parse: parse::<Any>,
            body: register.to_string(),
            shown: &["nickname", "faceURL", "ex", "name"],
            ids: &["userID"],
        },
        Case {
            parse: parse::<ChatState>,
            body: chat.to_string(),
            shown: &["Reason", "unknown"],
            ids: &["To_Account"],
        },
        Case {
            parse: parse::<TrtcEvent>,
            body: trtc.to_string(),
            shown: &["unknown"],
            ids: &["RoomId", "UserId"],
        },
    ]
}

/// Verifies and parses a body with the signatures of all providers.
fn parse<C: Callback<Provider: Configured>>(
    body: &[u8],
    now: UnixMillis,
) -> Result<Vec<Change>, Rejection> {
    let time = now.seconds().to_string();
    let sign = sign_chat(&secret(CHAT_TOKEN), &time);
    let basic = BASE64_STANDARD.encode(format!("openim:{OPENIM_PASSWORD}"));
    let header = |name, value: &str| (HeaderName::from_static(name), value.parse().unwrap());
    let request = Request {
        headers: HeaderMap::<HeaderValue>::from_iter([
            header("authorization", &format!("Basic {basic}")),
            header("sdkappid", "1400000000"),
            header("sign", &sign_trtc(&secret(TRTC_KEY), body)),
        ]),
        query: format!("SdkAppid=1400000000&OptPlatform=iOS&RequestTime={time}&Sign={sign}"),
        ..Request::post("", Bytes::copy_from_slice(body), now)
    };
    let verified = C::Provider::verify(&request, C::Provider::of(&apps()), MAX_AGE)?;
    Ok(C::parse(&verified)?.changes)
}

/// The same change without the texts that are only shown.
fn without_texts(mut changes: Vec<Change>) -> Vec<Change> {
    for change in &mut changes {
        match change {
            Change::Seat(seat) => seat.roster = rollcall::domain::Roster::default(),
            Change::Registration(registration) => {
                registration.name = None;
                registration.details.retain(|_, detail| detail.as_text().is_none());
            }
            _ => {}
        }
    }
    changes
}

proptest! {
    #![proptest_config(Config { cases: 40, failure_persistence: None, ..Config::default() })]

    /// Promise 5, before anything is stored: no event is lost because of a damaged name.
    #[test]
    fn promise_5_never_lost_damage_in_what_is_only_shown_leaves_the_same_event(
        (before, after) in ("[a-zé€😀]{0,4}", "[a-zé€😀]{0,4}"),
        damages in prop::collection::vec(prop::sample::select(&DAMAGES[..]), 1..4),
        is_marked in any::<bool>(),
    ) {
        let with = [before.as_bytes(), &damages.concat(), after.as_bytes()].concat();
        for Case { parse, body, shown, .. } in cases() {
            let whole = parse(&spoil(&body, ("", b"")), NOW).unwrap();
            for field in shown {
                let mut spoilt = spoil(&body, (field, &with));
                if is_marked {
                    spoilt = [MARK.as_bytes(), &spoilt].concat();
                }
                let read = parse(&spoilt, NOW);
                prop_assert!(read.is_ok(), "{field}: {read:?}");
                prop_assert_eq!(without_texts(read.unwrap()), without_texts(whole.clone()));
            }
        }
    }

    /// A repaired id could be the id of another user.
    #[test]
    fn promise_7_isolated_a_damaged_id_is_nobodys_and_a_400(
        (before, after) in ("[a-zé\u{fffd}]{0,4}", "[a-zé\u{fffd}]{0,4}"),
        damage in prop::sample::select(&DAMAGES[..]),
    ) {
        let with = [before.as_bytes(), damage, after.as_bytes()].concat();
        for Case { parse, body, ids, .. } in cases() {
            for field in ids {
                let read = parse(&spoil(&body, (field, &with)), NOW);
                let Err(Rejection::Malformed(ParseError::Field(FieldError::Damaged(name)))) = read
                else {
                    return Err(TestCaseError::fail(format!("{field}: {read:?}")));
                };
                prop_assert_eq!(&name, field);
                // The same id, sent as it is.
                for sent in ["\u{fffd}".as_bytes(), br"\ufffd"] {
                    let with = [before.as_bytes(), sent, after.as_bytes()].concat();
                    // Even if another field is damaged.
                    let body = body.replacen('{', "{\"x\":\"@x@\",", 1);
                    let whole = String::from_utf8(spoil(&body, (field, &with))).unwrap();
                    for x in ["ada".as_bytes(), b"\xff", br"\ud83d"] {
                        let at = whole.find("ada").unwrap();
                        let (start, end) = (&whole.as_bytes()[..at], &whole.as_bytes()[at + 3..]);
                        let read = parse(&[start, x, end].concat(), NOW);
                        prop_assert!(read.is_ok(), "{field}: {read:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn half_an_emoji_in_a_nickname_is_shown_as_a_replacement() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let timestamp = now.seconds().to_string();
    let json = json!({
        "event": "room_login", "appid": "1", "timestamp": timestamp, "nonce": "17",
        "signature": zego::sign(&secret(SECRET), &timestamp, "17"), "room_id": "lobby",
        "room_seq": "7", "user_account": "@user@", "user_nickname": "@nickname@",
        "session_id": "@session@", "login_time": now.0, "user_role": 2, "user_update_seq": 1,
    });
    let json = json.to_string();
    let form = format!(
        "event=room_login&appid=1&timestamp={timestamp}&nonce=17&signature={}&room_id=lobby\
         &room_seq=7&user_account=form&user_nickname=Ada+%F0%9F%98&session_id=form\
         &login_time={now}&user_role=2&user_update_seq=9",
        zego::sign(&secret(SECRET), &timestamp, "17"),
    );
    let encoded = |body: &[u8]| {
        percent_encoding::percent_encode(body, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let body = |user: &str, nickname: &[u8]| {
        let body = json.replace("@user@", user).replace("@session@", user);
        let body = body.replace(r#""user_update_seq":1"#, r#""user_update_seq":3"#);
        spoil(&body, ("nickname", nickname))
    };
    let bodies = [
        ("escape", body("escape", br"Ada \ud83d")),
        ("bytes", body("bytes", b"Ada \xf0\x9f\x98")),
        ("encoded", encoded(&body("encoded", b"Ada \xf0\x9f\x98")).into_bytes()),
        ("marked", [MARK.as_bytes(), &body("marked", br"Ada \ud83d")].concat()),
        (
            "twice",
            encoded(&[MARK.as_bytes(), &body("twice", br"Ada \ud83d")].concat()).into_bytes(),
        ),
        ("form", form.clone().into_bytes()),
    ];
    for (user, body) in bodies {
        let answer = app.post("/zego/room-login", "application/json", body).await;
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{user}: {}", answer.body);
        assert_eq!(app.user(user).await["sessions"][0]["name"], "Ada \u{fffd}", "{user}");
    }
    let known = app.records().await.len();
    let form = form.replace("user_account=form", "user_account=%F0%9F");
    let answer = app.post("/zego/room-login", "application/json", form).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("`user_account` is not valid Unicode"), "{}", answer.body);
    // A field that ZEGO signs must not be repaired.
    let nonce = json.replace(r#""nonce":"17""#, r#""nonce":"17\ud83d""#);
    let answer = app.post("/zego/room-login", "application/json", nonce).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("`nonce` is not valid Unicode"), "{}", answer.body);
    assert_eq!(app.records().await.len(), known);
}

/// TRTC signs the body byte for byte: nothing is changed before the signature is verified.
#[tokio::test]
async fn promise_1_authentic_a_signature_is_over_the_bytes_that_were_sent() {
    let app = TestApp::start().await;
    let now = runtime::now().0;
    let body = json!({
        "EventGroupId": 1, "EventType": 103, "CallbackTs": now,
        "EventInfo": { "RoomId": "lobby", "EventMsTs": now, "UserId": "ada", "Role": 21, "x": "@x@" },
    });
    let body = body.to_string();
    let marked = [MARK.as_bytes(), &spoil(&body, ("x", b"\xff"))].concat();
    let repaired = spoil(&body, ("x", "\u{fffd}".as_bytes()));
    let without_mark = marked.strip_prefix(MARK.as_bytes()).unwrap().to_vec();
    let post = async |body: &[u8], signed: &[u8]| {
        let sign = sign_trtc(&secret(TRTC_KEY), signed);
        let headers = [("SdkAppId", "1400000000"), ("Sign", sign.as_str())];
        app.post_with("/tencent/trtc", &headers, body.to_vec()).await
    };
    for signed in [&without_mark, &repaired] {
        let answer = post(&marked, signed).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert!(answer.body.contains("signature does not match"), "{}", answer.body);
    }
    assert!(app.records().await.is_empty());
    assert_eq!(post(&marked, &marked).await.outcome.as_deref(), Some("applied"));
    assert_eq!(post(&without_mark, &without_mark).await.outcome.as_deref(), Some("duplicate"));
}

#[tokio::test]
async fn a_damaged_platform_in_the_query_string_is_a_400() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let time = now.seconds().to_string();
    let sign = sign_chat(&secret(CHAT_TOKEN), &time);
    let body = json!({
        "CallbackCommand": "State.StateChange", "EventTime": now.0,
        "Info": { "Action": "Login", "To_Account": "ada", "Reason": "Register" },
    });
    let post = async |platform: &str, body: String| {
        let query =
            format!("SdkAppid=1400000000&OptPlatform={platform}&Sign={sign}&RequestTime={time}");
        app.post(&format!("/tencent/chat?{query}"), "application/json", body).await
    };
    let answer = post("Visi%F0%9F", body.to_string()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("`OptPlatform` is not valid Unicode"), "{}", answer.body);
    assert!(app.records().await.is_empty());
    // And a mark in front of the body is not part of its text.
    let answer = post("Visi%EF%BF%BD", format!("{MARK}{body}")).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
    let (_, ada) = app.get("/presence/tencent/1400000000/users/ada").await;
    assert_eq!(ada["sessions"][0]["device"], "Visi\u{fffd}");
}

/// A login stays a login if one of the devices that it kicked cannot be read.
#[tokio::test]
async fn one_unreadable_kicked_device_costs_neither_the_others_nor_the_login() {
    let now = NOW;
    let body = json!({
        "CallbackCommand": "State.StateChange", "EventTime": now.0,
        "Info": { "Action": "Login", "To_Account": "ada", "Reason": "Register" },
        "KickedDevice": [{ "Platform": "Web" }, null, { "Platform": "@x@" }],
    });
    let body = spoil(&body.to_string(), ("x", br"\ud83d"));
    let changes = parse::<ChatState>(&body, now).unwrap();
    assert_eq!(changes.len(), 2, "{changes:?}");
}
