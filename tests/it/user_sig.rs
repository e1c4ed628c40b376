//! The routes of Tencent's `UserSig`, over HTTP.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use http::StatusCode;
use rollcall::{
    callback::Secret,
    domain::UnixSeconds,
    runtime,
    user_sig::{Claims, Lifetime, SdkAppId, UserId, UserSigs, verify},
};
use serde_json::{Value, json};

use crate::support::{
    OTHER_TENCENT_KEY, PREVIOUS_TENCENT_KEY, TENCENT_KEY, TestApp, apps, gateway_event,
};

const MINT: &str = "/tencent/user-sig";
const VERIFY: &str = "/tencent/user-sig/verify";
const APP: u64 = 1_400_000_000;

async fn ask(app: &TestApp, path: &str, body: &str) -> (StatusCode, Value) {
    let answer = app.post(path, "application/json", body.to_owned()).await;
    assert_eq!(answer.outcome, None, "only callbacks have an outcome");
    for key in [TENCENT_KEY, PREVIOUS_TENCENT_KEY, OTHER_TENCENT_KEY] {
        assert!(!answer.body.contains(key));
    }
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

async fn mint(app: &TestApp, body: &Value) -> Value {
    let (status, minted) = ask(app, MINT, &body.to_string()).await;
    assert_eq!(status, 200, "{minted}");
    minted
}

async fn code(app: &TestApp, sdk_app_id: u64, user: &str, ticket: &str) -> Value {
    let body = json!({ "sdk_app_id": sdk_app_id, "user_id": user, "user_sig": ticket });
    let (status, verdict) = ask(app, VERIFY, &body.to_string()).await;
    assert_eq!(status, 200, "{verdict}");
    assert_eq!(verdict["valid"], verdict["code"] == 0);
    assert_eq!(verdict["expires_at"].is_u64(), verdict["code"] == 0);
    assert_eq!(verdict["message"].is_string(), verdict["code"] != 0);
    verdict["code"].clone()
}

fn ticket(app: u64, key: &str, issued_at: UnixSeconds) -> String {
    let app: SdkAppId = app.try_into().unwrap();
    let user: UserId = "ada".parse().unwrap();
    let claims = Claims { app, user, issued_at, lifetime: Lifetime::from_seconds(60).unwrap() };
    let key = Secret::new(key.to_owned()).unwrap();
    claims.user_sig(&key).unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_ticket_is_minted_as_the_contract_says_and_verifies() {
    let app = TestApp::start().await;
    let before = runtime::now().seconds().0;
    let asked = json!({ "sdk_app_id": APP, "user_id": "ada", "expire_seconds": 86400 });
    let minted = mint(&app, &asked).await;
    let issued_at = minted["issued_at"].as_u64().unwrap();
    assert!((before..=before + 30).contains(&issued_at));
    let expected = json!({
        "user_sig": minted["user_sig"], "user_id": "ada", "sdk_app_id": APP,
        "issued_at": issued_at, "expires_at": issued_at + 86400
    });
    assert_eq!(minted, expected);

    let user_sig = minted["user_sig"].as_str().unwrap();
    let body = json!({ "sdk_app_id": APP, "user_id": "ada", "user_sig": user_sig });
    let (status, verdict) = ask(&app, VERIFY, &body.to_string()).await;
    let valid = json!({ "valid": true, "code": 0, "expires_at": issued_at + 86400 });
    assert_eq!((status, verdict), (StatusCode::OK, valid));

    let minted = mint(&app, &json!({ "sdk_app_id": APP, "user_id": "ada" })).await;
    let lifetime = minted["expires_at"].as_u64().unwrap() - minted["issued_at"].as_u64().unwrap();
    assert_eq!(lifetime, 7 * 24 * 3600);
}

#[tokio::test]
async fn a_room_gets_a_private_map_key() {
    let app = TestApp::start().await;
    for room in [json!({ "id": "lobby" }), json!({ "id": 10000 })] {
        let body = json!({ "sdk_app_id": APP, "user_id": "ada", "room": room, "privileges": 42 });
        let minted = mint(&app, &body).await;
        let (user_sig, key) = (&minted["user_sig"], &minted["private_map_key"]);
        assert_ne!(user_sig, key);
        assert_eq!(code(&app, APP, "ada", user_sig.as_str().unwrap()).await, 0);
        assert_eq!(code(&app, APP, "ada", key.as_str().unwrap()).await, 0);
    }
}

#[tokio::test]
async fn a_refused_ticket_is_answered_with_tencents_code() {
    let app = TestApp::start().await;
    let now = runtime::now().seconds();
    let good = ticket(APP, TENCENT_KEY, now);
    assert_eq!(code(&app, APP, "ada", &good).await, 0);
    assert_eq!(code(&app, APP, "ada", &ticket(APP, PREVIOUS_TENCENT_KEY, now)).await, 0);
    let long_ago = UnixSeconds(now.0 - 61);
    assert_eq!(code(&app, APP, "ada", &ticket(APP, TENCENT_KEY, long_ago)).await, 70001);
    assert_eq!(code(&app, APP, "ada", "").await, 70002);
    assert_eq!(code(&app, APP, "ada", &good[..good.len() - 9]).await, 70003);
    assert_eq!(code(&app, APP, "ada", "nonsense").await, 70003);
    assert_eq!(code(&app, APP, "ada", &format!("{good}\n")).await, 70003);
    let foreign = ticket(APP, OTHER_TENCENT_KEY, long_ago);
    assert_eq!(code(&app, APP, "ada", &foreign).await, 70009);
    assert_eq!(code(&app, APP, "bob", &good).await, 70013);
    let elsewhere = ticket(APP + 1, OTHER_TENCENT_KEY, now);
    assert_eq!(code(&app, APP + 1, "ada", &elsewhere).await, 0);
    assert_eq!(code(&app, APP, "ada", &elsewhere).await, 70014);
    assert_eq!(code(&app, APP + 1, "ada", &good).await, 70014);
}

#[tokio::test]
async fn a_wrong_character_of_a_ticket_is_named_and_the_ticket_is_not() {
    let app = TestApp::start().await;
    let good = ticket(APP, TENCENT_KEY, runtime::now().seconds());
    let body = json!({ "sdk_app_id": APP, "user_id": "ada", "user_sig": format!("{good}\n") });
    // A byte order mark before a body is not part of it.
    let (status, verdict) = ask(&app, VERIFY, &format!("\u{feff}{body}")).await;
    assert_eq!((status.as_u16(), &verdict["code"]), (200, &json!(70003)), "{verdict}");
    let says = verdict["message"].as_str().unwrap();
    let expected =
        format!(r"the character '\n' at position {} does not belong there", good.len() + 1);
    assert!(says.contains(&expected) && !says.contains(&good[..20]), "{says}");
}

#[tokio::test]
async fn the_first_key_signs() {
    let app = TestApp::start().await;
    let minted = mint(&app, &json!({ "sdk_app_id": APP, "user_id": "ada" })).await;
    let expected =
        rollcall::user_sig::Expected { app: APP.try_into().unwrap(), user: "ada".parse().unwrap() };
    let keys = [Secret::new(TENCENT_KEY.to_owned()).unwrap()];
    let user_sig = minted["user_sig"].as_str().unwrap();
    assert!(verify(user_sig, &expected, |_| &keys, runtime::now().seconds()).is_ok());
}

#[tokio::test]
async fn the_answer_to_a_bad_request_says_what_is_bad() {
    let app = TestApp::start().await;
    let ada = r#""sdk_app_id":1400000000,"user_id":"ada""#;
    let mut bad = vec![
        (MINT, "", "JSON object"),
        (MINT, "[]", "JSON object"),
        (MINT, r#"[1400000000,"ada",null,null,null]"#, "JSON object"),
        (MINT, r#"{"user_id":"ada"}"#, "`sdk_app_id` is missing"),
        (MINT, r#"{"sdk_app_id":1400000000}"#, "`user_id` is missing"),
        (MINT, r#"{"sdk_app_id":"1400000000","user_id":"ada"}"#, "`sdk_app_id`"),
        (MINT, r#"{"sdk_app_id":0,"user_id":"ada"}"#, "`sdk_app_id`"),
        (MINT, r#"{"sdk_app_id":-1,"user_id":"ada"}"#, "`sdk_app_id`"),
        (MINT, r#"{"sdk_app_id":1.4e9,"user_id":"ada"}"#, "`sdk_app_id`"),
        (MINT, r#"{"sdk_app_id":1400000000,"user_id":7}"#, "`user_id` is not a string"),
        (MINT, r#"{"sdk_app_id":1400000000,"user_id":"ada","user_id":"bob"}"#, "JSON object"),
        (VERIFY, r#"{"sdk_app_id":1400000000,"user_id":"ada"}"#, "`user_sig` is missing"),
        (VERIFY, r#"{"sdk_app_id":1400000000,"user_id":"","user_sig":"x"}"#, "`user_id`"),
        (VERIFY, r#"{"sdk_app_id":1400000000,"user_id":"ada","user_sig":1}"#, "`user_sig`"),
        (VERIFY, r#"{"sdk_app_id":1400000000,"user_id":"ada","user_sig":"x","x":1}"#, "JSON"),
    ];
    let users = ["", "a b", "ada@example", "é", "a".repeat(33).leak()];
    let users: Vec<String> = users
        .iter()
        .map(|user| json!({ "sdk_app_id": APP, "user_id": user }).to_string())
        .collect();
    bad.extend(users.iter().map(|body| (MINT, body.as_str(), "`user_id` is not 1 to 32")));
    let more = [
        (r#""expire_seconds":59"#, "`expire_seconds`"),
        (r#""expire_seconds":15552001"#, "`expire_seconds`"),
        (r#""expire_seconds":60.5"#, "`expire_seconds`"),
        (r#""expire_seconds":"86400""#, "`expire_seconds`"),
        (r#""expire_seconds":-60"#, "`expire_seconds`"),
        (r#""expire_second":60"#, "JSON object"),
        (r#""room":"lobby""#, "`room`"),
        (r#""room":{}"#, "`room`"),
        (r#""room":{"id":0}"#, "`room`"),
        (r#""room":{"id":4294967295}"#, "`room`"),
        (r#""room":{"id":1.5}"#, "`room`"),
        (r#""room":{"id":""}"#, "`room`"),
        (r#""room":{"id":null}"#, "`room`"),
        (r#""room":{"id":"a","name":"b"}"#, "`room`"),
        (r#""room":{"id":1},"privileges":256"#, "`privileges`"),
        (r#""room":{"id":1},"privileges":-1"#, "`privileges`"),
        (r#""privileges":1"#, "`privileges` needs a `room`"),
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

#[tokio::test]
async fn apps_that_cannot_sign_and_routes_that_are_not_there_are_not_found() {
    let app = TestApp::start().await;
    for (id, says) in [(APP + 2, "secret_keys"), (APP + 3, "ROLLCALL_APPS")] {
        for path in [MINT, VERIFY] {
            let mut body = json!({ "sdk_app_id": id, "user_id": "ada" });
            if path == VERIFY {
                body["user_sig"] = "x".into();
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
        assert_eq!(answer["error"]["code"], "not_found");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_and_a_bomb_below_it_is_harmless() {
    let app = TestApp::start().await;
    let body = json!({ "sdk_app_id": APP, "user_id": "ada", "user_sig": "" }).to_string();
    let filled = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
    assert_eq!(ask(&app, VERIFY, &filled(64 << 10)).await.0, 200);
    for path in [MINT, VERIFY] {
        let (status, answer) = ask(&app, path, &filled((64 << 10) + 1)).await;
        assert_eq!(status, 413);
        assert_eq!(answer["error"]["code"], "too_large");
    }
    // 40 MB in a body below the limit.
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&vec![b' '; 40 << 20]).unwrap();
    let base64 = BASE64_STANDARD.encode(zlib.finish().unwrap());
    let bomb = base64.replace('+', "*").replace('/', "-").replace('=', "_");
    let start = Instant::now();
    assert_eq!(code(&app, APP, "ada", &bomb).await, 70003);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_function_answers_an_http_api() {
    use lambda_http::{
        LambdaEvent,
        lambda_runtime::{Context, Service},
        request::LambdaRequest,
    };

    let mut function = runtime::service(UserSigs { apps: apps().into() });
    let body = json!({ "sdk_app_id": APP, "user_id": "ada" }).to_string();
    let event = gateway_event("POST", MINT, "", Some(&body));
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let answer = function.call(LambdaEvent::new(request, Context::default())).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert!(answer["body"].as_str().unwrap().contains("user_sig"));
}
