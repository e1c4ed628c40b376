//! The routes of ZEGO's tokens, over HTTP.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::StatusCode;
use rollcall::{
    callback::Secret,
    domain::UnixSeconds,
    providers::zego::ServerSecret,
    runtime,
    zego_token::{
        Claims, Expected, Lifetime, Permission, Room, UserId, ZegoAppId, ZegoTokens, verify,
    },
};
use serde_json::{Value, json};

use crate::support::{
    Log, OTHER_SERVER_SECRET, PREVIOUS_SERVER_SECRET, SERVER_SECRET, TestApp, apps, gateway_event,
};

const MINT: &str = "/zego/token";
const VERIFY: &str = "/zego/token/verify";

async fn ask(app: &TestApp, path: &str, body: &str) -> (StatusCode, Value) {
    let answer = app.post(path, "application/json", body.to_owned()).await;
    assert_eq!(answer.outcome, None, "only callbacks have an outcome");
    for key in [SERVER_SECRET, PREVIOUS_SERVER_SECRET, OTHER_SERVER_SECRET] {
        assert!(!answer.body.contains(key));
    }
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

async fn mint(app: &TestApp, body: &Value) -> Value {
    let (status, minted) = ask(app, MINT, &body.to_string()).await;
    assert_eq!(status, 200, "{minted}");
    minted
}

async fn verdict(app: &TestApp, app_id: u64, user: &str, token: &str) -> Value {
    let body = json!({ "app_id": app_id, "user_id": user, "token": token });
    let (status, verdict) = ask(app, VERIFY, &body.to_string()).await;
    assert_eq!(status, 200, "{verdict}");
    assert_eq!(verdict["valid"], verdict["code"] == 0);
    assert_eq!(verdict["expires_at"].is_u64(), verdict["code"] == 0);
    assert_eq!(verdict["message"].is_string(), verdict["code"] != 0);
    verdict
}

async fn code(app: &TestApp, app_id: u64, user: &str, token: &str) -> Value {
    verdict(app, app_id, user, token).await["code"].clone()
}

fn key(text: &str) -> ServerSecret {
    ServerSecret::new(&Secret::new(text.to_owned()).unwrap()).unwrap()
}

fn token(app: u64, secret: &str, issued_at: UnixSeconds) -> String {
    let app: ZegoAppId = app.try_into().unwrap();
    let user: UserId = "ada".parse().unwrap();
    let lifetime = Lifetime::from_seconds(60).unwrap();
    let claims = Claims { app, user, issued_at, lifetime, room: None };
    claims.token(&key(secret)).unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_token_is_minted_as_the_contract_says_and_verifies() {
    let app = TestApp::start().await;
    let before = runtime::now().seconds().0;
    let room = json!({ "id": "lobby", "login": true, "publish": false, "streams": null });
    let asked = json!({ "app_id": 1, "user_id": "ada", "expire_seconds": 7200, "room": room });
    let minted = mint(&app, &asked).await;
    let issued_at = minted["issued_at"].as_u64().unwrap();
    assert!((before..=before + 30).contains(&issued_at));
    let expected = json!({
        "token": minted["token"], "issued_at": issued_at, "expires_at": issued_at + 7200
    });
    assert_eq!(minted, expected);

    let text = minted["token"].as_str().unwrap();
    assert!(text.starts_with("04AAAAA"), "{text}");
    let valid = json!({ "valid": true, "code": 0, "expires_at": issued_at + 7200 });
    assert_eq!(verdict(&app, 1, "ada", text).await, valid);

    let minted = mint(&app, &json!({ "app_id": 1, "user_id": "ada" })).await;
    let lifetime = minted["expires_at"].as_u64().unwrap() - minted["issued_at"].as_u64().unwrap();
    assert_eq!(lifetime, 3600);
    assert_eq!(code(&app, 1, "ada", minted["token"].as_str().unwrap()).await, 0);
}

/// What is asked for is in the token, as the library writes it.
#[tokio::test]
async fn a_room_and_its_privileges_are_in_the_token() {
    let app = TestApp::start().await;
    let length = async |room: Value| {
        let body = json!({ "app_id": 1, "user_id": "ada", "room": room });
        let minted = mint(&app, &body).await;
        let text = minted["token"].as_str().unwrap().to_owned();
        assert_eq!(code(&app, 1, "ada", &text).await, 0);
        text.len()
    };
    let of = |login, publish, streams: &[&str]| {
        let streams: Vec<String> = streams.iter().map(|id| (*id).to_owned()).collect();
        let streams = (!streams.is_empty()).then_some(streams.as_slice());
        let room = Room::new("lobby", login, publish, streams).unwrap();
        let user = "ada".parse().unwrap();
        let (app, issued_at) = (ZegoAppId::try_from(1).unwrap(), runtime::now().seconds());
        let claims = Claims { app, user, issued_at, lifetime: Lifetime::DEFAULT, room: Some(room) };
        claims.token(&key(SERVER_SECRET)).unwrap().expose().len()
    };
    let (allowed, denied) = (Permission::Allowed, Permission::Denied);
    let basic = mint(&app, &json!({ "app_id": 1, "user_id": "ada", "room": null })).await;
    let basic = basic["token"].as_str().unwrap().len();
    let plain = length(json!({ "id": "lobby" })).await;
    assert!(plain > basic + 60);
    // A nonce has 1 to 11 characters, and blocks have 16.
    assert!(plain.abs_diff(of(allowed, denied, &[])) <= 24);
    let streams = ["a".repeat(100), "b".repeat(100)];
    let room = json!({ "id": "lobby", "publish": true, "streams": streams });
    let with_streams = length(room).await;
    let expected = of(allowed, allowed, &[&streams[0], &streams[1]]);
    assert!(with_streams > plain + 200 && with_streams.abs_diff(expected) <= 24);
}

#[tokio::test]
async fn a_refused_token_is_answered_with_the_code_of_zegos_clients() {
    let app = TestApp::start().await;
    let now = runtime::now().seconds();
    let good = token(1, SERVER_SECRET, now);
    assert_eq!(code(&app, 1, "ada", &good).await, 0);
    assert_eq!(code(&app, 1, "ada", &token(1, PREVIOUS_SERVER_SECRET, now)).await, 0);
    let long_ago = UnixSeconds(now.0 - 61);
    assert_eq!(code(&app, 1, "ada", &token(1, SERVER_SECRET, long_ago)).await, 1_002_078);
    assert_eq!(code(&app, 1, "ada", "").await, 1_002_067);
    assert_eq!(code(&app, 1, "ada", "nonsense").await, 1_002_079);
    assert_eq!(code(&app, 1, "ada", &format!("03{}", &good[2..])).await, 1_002_079);
    for length in [2, 3, 20, good.len() - 1, good.len() - 4] {
        assert_eq!(code(&app, 1, "ada", &good[..length]).await, 1_002_075, "{length}");
    }
    assert_eq!(code(&app, 1, "ada", &format!("{good}\n")).await, 1_002_075);
    // Whether it has expired or not.
    let foreign = token(1, OTHER_SERVER_SECRET, long_ago);
    assert_eq!(code(&app, 1, "ada", &foreign).await, 1_002_033);
    assert_eq!(code(&app, 1, "bob", &good).await, 1_002_077);
    let elsewhere = token(2, OTHER_SERVER_SECRET, now);
    assert_eq!(code(&app, 2, "ada", &elsewhere).await, 0);
    assert_eq!(code(&app, 1, "ada", &elsewhere).await, 1_002_076);
    assert_eq!(code(&app, 2, "ada", &good).await, 1_002_076);
    // Of an app that is not configured here, by its key.
    let unknown = token(9, &"x".repeat(32), now);
    assert_eq!(code(&app, 1, "ada", &unknown).await, 1_002_033);
}

/// Each byte of a token, changed: the answer never says whether a padding was right.
#[tokio::test]
async fn a_tampered_token_is_answered_as_one_of_another_key_in_every_part() {
    let app = TestApp::start().await;
    let now = runtime::now().seconds();
    let good = token(1, SERVER_SECRET, now);
    let foreign = verdict(&app, 1, "ada", &token(1, &"x".repeat(32), now)).await;
    assert_eq!(foreign["code"], 1_002_033);
    let bytes = BASE64_STANDARD.decode(&good[2..]).unwrap();
    // The last block, and the block before it, which decides the padding.
    for at in bytes.len() - 32..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        let changed = format!("04{}", BASE64_STANDARD.encode(changed));
        assert_eq!(verdict(&app, 1, "ada", &changed).await, foreign, "{at}");
    }
    // The end in front of the ciphertext.
    let mut renewed = bytes;
    renewed[4] ^= 1;
    let renewed = format!("04{}", BASE64_STANDARD.encode(renewed));
    assert_eq!(code(&app, 1, "ada", &renewed).await, 1_002_075);
}

#[tokio::test]
async fn the_first_key_mints() {
    let app = TestApp::start().await;
    let minted = mint(&app, &json!({ "app_id": 1, "user_id": "ada" })).await;
    let id = ZegoAppId::try_from(1).unwrap();
    let expected = Expected { app: id, user: "ada".parse().unwrap() };
    let text = minted["token"].as_str().unwrap();
    let by = |secret: &str| verify(text, &expected, [(id, &key(secret))], runtime::now().seconds());
    assert!(by(SERVER_SECRET).is_ok() && by(PREVIOUS_SERVER_SECRET).is_err());
}

#[tokio::test]
async fn the_answer_to_a_bad_request_says_what_is_bad() {
    let app = TestApp::start().await;
    let ada = r#""app_id":1,"user_id":"ada""#;
    let mut bad = vec![
        (MINT, "", "JSON object"),
        (MINT, "[]", "JSON object"),
        (MINT, r#"[1,"ada",null,null]"#, "JSON object"),
        (MINT, r#"{"user_id":"ada"}"#, "`app_id` is missing"),
        (MINT, r#"{"app_id":1}"#, "`user_id` is missing"),
        (MINT, r#"{"app_id":"1","user_id":"ada"}"#, "`app_id`"),
        (MINT, r#"{"app_id":0,"user_id":"ada"}"#, "`app_id`"),
        (MINT, r#"{"app_id":-1,"user_id":"ada"}"#, "`app_id`"),
        (MINT, r#"{"app_id":4294967296,"user_id":"ada"}"#, "`app_id`"),
        (MINT, r#"{"app_id":1,"user_id":7}"#, "`user_id` is not a string"),
        (MINT, r#"{"app_id":1,"user_id":""}"#, "`user_id` is not 1 to 64 bytes"),
        (MINT, r#"{"app_id":1,"user_id":"ada","user_id":"bob"}"#, "JSON object"),
        (VERIFY, r#"{"app_id":1,"user_id":"ada"}"#, "`token` is missing"),
        (VERIFY, r#"{"app_id":1,"user_id":"","token":"x"}"#, "`user_id`"),
        (VERIFY, r#"{"app_id":1,"user_id":"ada","token":1}"#, "`token` is not a string"),
        (VERIFY, r#"{"app_id":1,"user_id":"ada","token":"x","x":1}"#, "JSON object"),
    ];
    let (long_id, long_room) = ("u".repeat(65), "r".repeat(128));
    let long_user = json!({ "app_id": 1, "user_id": long_id }).to_string();
    bad.push((MINT, &long_user, "`user_id` is not 1 to 64"));
    let room_id = format!(r#""room":{{"id":"{long_room}"}}"#);
    let stream_id = format!(r#""room":{{"id":"a","streams":["{}"]}}"#, "s".repeat(256));
    let long = format!(r#""room":{{"id":"a","streams":{}}}"#, json!(vec!["s".repeat(255); 100]));
    let many = format!(r#""room":{{"id":"a","streams":{}}}"#, json!(vec!["s"; 101]));
    let more = [
        (r#""expire_seconds":59"#, "`expire_seconds` is not a whole number of seconds from 60"),
        (r#""expire_seconds":15552001"#, "`expire_seconds`"),
        (r#""expire_seconds":60.5"#, "`expire_seconds`"),
        (r#""expire_seconds":"3600""#, "`expire_seconds`"),
        (r#""expire_second":60"#, "JSON object"),
        (r#""room":"lobby""#, "`room` is not an object"),
        (r#""room":{}"#, "`room.id` is missing"),
        (r#""room":{"id":7}"#, "`room.id` is not a string"),
        (r#""room":{"id":""}"#, "`room.id` is not 1 to 127 bytes"),
        (&room_id, "`room.id`"),
        (r#""room":{"id":"a","login":1}"#, "`room.login` is not true or false"),
        (r#""room":{"id":"a","publish":"yes"}"#, "`room.publish`"),
        (r#""room":{"id":"a","streams":"s"}"#, "`room.streams` is not a list"),
        (r#""room":{"id":"a","streams":[1]}"#, "`room.streams` is not a list of strings"),
        (r#""room":{"id":"a","streams":[]}"#, "`room.streams` is not 1 to 100 streams"),
        (r#""room":{"id":"a","streams":[""]}"#, "`room.streams` has an id"),
        (&stream_id, "`room.streams` has an id"),
        (&many, "`room.streams` is not 1 to 100"),
        (&long, "`room` has more than 8192 bytes"),
        (r#""room":{"id":"a","stream":["s"]}"#, "`room` has other fields"),
    ];
    let more: Vec<(String, &str)> =
        more.iter().map(|(field, says)| (format!("{{{ada},{field}}}"), *says)).collect();
    bad.extend(more.iter().map(|(body, says)| (MINT, body.as_str(), *says)));
    for (path, body, says) in bad {
        let (status, answer) = ask(&app, path, body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert_eq!(answer["error"]["code"], "bad_parameter", "{body}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{body}: {message}");
    }
    let deep = format!(r#"{{{ada},"room":{}{}}}"#, "[".repeat(9999), "]".repeat(9999));
    assert_eq!(ask(&app, MINT, &deep).await.0, 400);
}

/// A body that was cut anywhere, or that lost any of its bytes: refused, or what is left is asked for.
#[tokio::test]
async fn hundreds_of_damaged_bodies_are_refused() {
    let app = TestApp::start().await;
    let room = json!({ "id": "lobby", "login": true, "publish": false, "streams": ["s"] });
    let mint = json!({ "app_id": 1, "user_id": "ada", "expire_seconds": 3600, "room": room });
    let good = token(1, SERVER_SECRET, runtime::now().seconds());
    let verify = json!({ "app_id": 1, "user_id": "ada", "token": &good[..40] });
    let mut refused = 0;
    for (path, body) in [(MINT, mint.to_string()), (VERIFY, verify.to_string())] {
        for at in 0..body.len() {
            let (status, answer) = ask(&app, path, &body[..at]).await;
            assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("bad_parameter")));
            let mut without = body.clone();
            without.remove(at);
            let (status, answer) = ask(&app, path, &without).await;
            assert!([200, 400, 404].contains(&status.as_u16()), "{without}: {answer}");
            refused += 1 + u32::from(status != 200);
        }
    }
    assert!(refused > 300, "{refused}");
}

#[tokio::test]
async fn apps_that_cannot_mint_and_routes_that_are_not_there_are_not_found() {
    let app = TestApp::start().await;
    for (id, says) in [(3, "server_secrets"), (4, "server_secrets"), (5, "ROLLCALL_APPS")] {
        for path in [MINT, VERIFY] {
            let mut body = json!({ "app_id": id, "user_id": "ada" });
            if path == VERIFY {
                body["token"] = "x".into();
            }
            let (status, answer) = ask(&app, path, &body.to_string()).await;
            assert_eq!(status, 404, "{answer}");
            assert_eq!(answer["error"]["code"], "not_found");
            assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{answer}");
        }
    }
    for path in [MINT, VERIFY] {
        let (status, answer) = app.get(path).await;
        assert_eq!(status, 404);
        assert!(answer["error"]["message"].as_str().unwrap().contains(MINT), "{answer}");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_and_a_long_token_in_a_shorter_one_is_not_decrypted() {
    let app = TestApp::start().await;
    let body = json!({ "app_id": 1, "user_id": "ada", "token": "" }).to_string();
    let filled = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    assert_eq!(ask(&app, VERIFY, &filled(64 << 10)).await.0, 200);
    for path in [MINT, VERIFY] {
        let (status, answer) = ask(&app, path, &filled((64 << 10) + 1)).await;
        assert_eq!(status, 413);
        assert_eq!(answer["error"]["code"], "too_large");
    }
    let long = verdict(&app, 1, "ada", &format!("04{}", "A".repeat(60_000))).await;
    assert_eq!(long["code"], 1_002_075);
    assert!(long["message"].as_str().unwrap().contains("longer than 32768"), "{long}");
}

/// Promise 8: a token is for its owner only, and nothing of it is in a log or in another answer.
#[tokio::test]
async fn promise_8_discreet_no_token_and_no_secret_is_logged_or_answered_elsewhere() {
    let (log, _guard) = Log::capture();
    let app = TestApp::start().await;
    let minted = mint(&app, &json!({ "app_id": 1, "user_id": "ada" })).await;
    let text = minted["token"].as_str().unwrap();
    let now = runtime::now().seconds();
    let mut answers = String::new();
    let tampered = format!("{}A{}", &text[..60], &text[61..]);
    let spoilt = [
        text.to_owned(),
        format!("{text}\n"),
        format!("03{}", &text[2..]),
        text[..text.len() - 7].to_owned(),
        tampered,
        token(1, &"x".repeat(32), now),
    ];
    for spoilt in &spoilt {
        for user in ["ada", "bob"] {
            answers += &verdict(&app, 1, user, spoilt).await.to_string();
        }
        // In a body that cannot be read.
        let broken = format!(r#"{{"app_id":1,"user_id":"ada","token":"{text}","x":"{spoilt}"}}"#);
        let (status, answer) = ask(&app, VERIFY, &broken).await;
        assert_eq!(status, 400);
        answers += &answer.to_string();
    }
    for place in [answers, log.text()] {
        for part in [&text[2..30], &text[40..80], &text[text.len() - 30..]] {
            assert!(!place.contains(part), "{place}");
        }
        for secret in [SERVER_SECRET, PREVIOUS_SERVER_SECRET, OTHER_SERVER_SECRET] {
            assert!(!place.contains(secret), "{place}");
        }
    }
}

#[tokio::test]
async fn the_function_answers_an_http_api() {
    use lambda_http::{
        LambdaEvent,
        lambda_runtime::{Context, Service},
        request::LambdaRequest,
    };

    let mut function = runtime::service(ZegoTokens { apps: apps().into() });
    let body = json!({ "app_id": 1, "user_id": "ada" }).to_string();
    let event = gateway_event("POST", MINT, "", Some(&body));
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let answer = function.call(LambdaEvent::new(request, Context::default())).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert!(answer["body"].as_str().unwrap().contains(r#""token":"04"#));
}
