//! Callbacks whose sender is not verified change nothing.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall::{providers::tencent::sign_chat, runtime};

use super::{assert_failed, secret, signed};
use crate::support::{
    BLANK, CHAT_TOKEN, LIVE_TOKEN, OTHER_SECRET, PREVIOUS_ROOM_KEY, ROOM_KEY, TENCENT_KEY,
    TRTC_KEY, TestApp, secrets,
};

const ROOM: &str = r#"{"CallbackCommand":"Room.CallbackAfterMemberEnter","RoomId":"room-7","MemberList_Account":["ada"]}"#;
const LIVE: &str = r#"{"CallbackCommand":"Live.CallbackAfterMemberStateChanged","RoomId":"live-7","EventType":"Online","MemberList":[{"Member_Account":"ada"}]}"#;

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn refuse(app: &TestApp, address: &str, body: &str) -> String {
    let answer = app.post(address, "application/json", body.to_owned()).await;
    assert_eq!(answer.status, 401, "{address} {body}: {}", answer.body);
    assert_failed(&answer, "");
    assert_eq!(secrets::find(&answer.body), None, "{address}: {}", answer.body);
    answer.body
}

#[tokio::test]
async fn promise_1_authentic_a_room_callback_needs_the_key_of_its_app() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let mine = "SdkAppid=1400000000&CallbackCommand=Room.CallbackAfterMemberEnter";
    // No key, whatever else is right.
    for query in [mine.to_owned(), format!("{mine}&{}", signed(LIVE_TOKEN, now))] {
        let said = refuse(&app, &format!("/tencent/room?{query}"), ROOM).await;
        assert!(said.contains("/tencent/room/KEY"), "{said}");
    }
    let middle = ROOM_KEY.len() / 2;
    let mut almost = ROOM_KEY.to_owned();
    almost.replace_range(middle..=middle, "x");
    let keys = [
        ROOM_KEY[..ROOM_KEY.len() - 1].to_owned(),
        ROOM_KEY[1..].to_owned(),
        ROOM_KEY[..1].to_owned(),
        format!("{ROOM_KEY}x"),
        format!("{ROOM_KEY}{ROOM_KEY}"),
        format!("{ROOM_KEY},{PREVIOUS_ROOM_KEY}"),
        format!("x{ROOM_KEY}"),
        almost,
        ROOM_KEY.to_lowercase(),
        ROOM_KEY.to_uppercase(),
        ROOM_KEY.replace('-', "_"),
        ROOM_KEY.chars().rev().collect(),
        PREVIOUS_ROOM_KEY.to_uppercase(),
        "%20".to_owned(),
        format!("{ROOM_KEY}%20"),
        format!("%20{ROOM_KEY}"),
        format!("{ROOM_KEY}%00"),
        format!("{ROOM_KEY}%E2%80%8B"),
        format!("{ROOM_KEY}%FF"),
        format!("{ROOM_KEY}%3Fx"),
        "%7Bkey%7D".to_owned(),
        "KEY".to_owned(),
        "*".to_owned(),
        OTHER_SECRET.to_owned(),
        LIVE_TOKEN.to_owned(),
        CHAT_TOKEN.to_owned(),
        TRTC_KEY.to_owned(),
        TENCENT_KEY.to_owned(),
    ];
    for key in keys {
        let said = refuse(&app, &format!("/tencent/room/{key}?{mine}"), ROOM).await;
        assert!(said.contains("room_path_keys"), "{said}");
        // The signature of Live does not help.
        let query = format!("{mine}&{}", signed(LIVE_TOKEN, now));
        refuse(&app, &format!("/tencent/room/{key}?{query}"), ROOM).await;
    }
    // The key of another app, an app without keys, an app that is not there, no app.
    for (app_id, key) in [
        ("1400000001", ROOM_KEY),
        ("1400000001", PREVIOUS_ROOM_KEY),
        ("1400000002", ROOM_KEY),
        ("1400000002", OTHER_SECRET),
        ("14000000000", ROOM_KEY),
        ("01400000000", ROOM_KEY),
        ("9", ROOM_KEY),
        ("", ROOM_KEY),
        ("%20", ROOM_KEY),
        ("%FF", ROOM_KEY),
        ("1400000000%201400000001", OTHER_SECRET),
    ] {
        refuse(&app, &format!("/tencent/room/{key}?SdkAppid={app_id}"), ROOM).await;
    }
    refuse(&app, &format!("/tencent/room/{ROOM_KEY}"), ROOM).await;
    // The last app that a query names counts.
    let twice = "SdkAppid=1400000000&sdkappid=1400000001";
    refuse(&app, &format!("/tencent/room/{ROOM_KEY}?{twice}"), ROOM).await;
    for blank in BLANK.iter().filter(|blank| !blank.is_empty()) {
        let address = format!("/tencent/room/{}?SdkAppid=1400000002", encode(blank));
        let said = refuse(&app, &address, ROOM).await;
        assert!(said.contains("no callback secret"), "{said}");
    }
    // An address with more parts, or without one, is none.
    for path in
        ["/", "//", &format!("/{ROOM_KEY}/"), &format!("/{ROOM_KEY}/x"), &format!("//{ROOM_KEY}")]
    {
        let address = format!("/tencent/room{path}?{mine}");
        let answer = app.post(&address, "application/json", ROOM).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert_eq!(secrets::find(&answer.body), None, "{}", answer.body);
    }
    assert!(app.records().await.is_empty());
    let address = format!("/tencent/room/{ROOM_KEY}?{mine}");
    let answer = app.post(&address, "application/json", ROOM).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"));
}

#[tokio::test]
async fn promise_1_authentic_a_live_callback_needs_a_fresh_signature_by_the_token_of_its_app() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let seconds = now.seconds().0;
    let time = seconds.to_string();
    let right = sign_chat(&secret(LIVE_TOKEN), &time);
    let query = |app: &str, sign: &str, time: &str| {
        format!("SdkAppid={app}&Sign={sign}&RequestTime={time}")
    };
    let mine = |sign: &str, time: &str| query("1400000000", sign, time);
    let by = |token: &str, time: &str| sign_chat(&secret(token), time);
    let aged = |age: i64| {
        let time = seconds.saturating_add_signed(age).to_string();
        mine(&by(LIVE_TOKEN, &time), &time)
    };
    let odd = |time: &str| mine(&by(LIVE_TOKEN, time), &encode(time));
    let mut queries = vec![
        "SdkAppid=1400000000".to_owned(),
        format!("SdkAppid=1400000000&Sign={right}"),
        format!("SdkAppid=1400000000&RequestTime={time}"),
        format!("Sign={right}&RequestTime={time}"),
        mine("", &time),
        mine(&right, ""),
        mine(&"0".repeat(64), &time),
        mine(&right[..63], &time),
        mine(&right[1..], &time),
        mine(&format!("{right}0"), &time),
        mine(&format!("{right}%20"), &time),
        mine(&right.to_uppercase(), &time),
        mine(LIVE_TOKEN, &time),
        mine(&right, &(seconds - 1).to_string()),
        mine(&by(CHAT_TOKEN, &time), &time),
        mine(&by(OTHER_SECRET, &time), &time),
        mine(&by(ROOM_KEY, &time), &time),
        mine(&by(TRTC_KEY, &time), &time),
        query("1400000001", &right, &time),
        query("1400000002", &right, &time),
        query("9", &right, &time),
        query("", &right, &time),
        aged(-63),
        aged(-86_400),
        aged(63),
        odd("now"),
        odd("0"),
        odd("-1"),
        odd("1e9"),
        odd("99999999999999999999"),
        odd(&format!("{time}x")),
        odd(&format!("{time} ")),
        odd(&format!("+{time}")),
        odd(&format!("{}", seconds * 1000)),
    ];
    queries.extend(BLANK.map(|blank| {
        use sha2::Digest;
        let sign = hex::encode(sha2::Sha256::digest(format!("{blank}{time}")));
        query("1400000002", &sign, &time)
    }));
    for query in queries {
        refuse(&app, &format!("/tencent/room?{query}"), LIVE).await;
        // Who knows the key in the path cannot send what the token has to prove.
        refuse(&app, &format!("/tencent/room/{ROOM_KEY}?{query}"), LIVE).await;
    }
    assert!(app.records().await.is_empty());
    let address = format!("/tencent/room?{}", mine(&right, &time));
    let answer = app.post(&address, "application/json", LIVE).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"));
}

/// What one secret proves is not what the other one has to: whatever is written for the command.
#[tokio::test]
async fn promise_1_authentic_no_spelling_of_a_command_is_proved_by_the_other_secret() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let by_token = format!("/tencent/room?SdkAppid=1400000000&{}", signed(LIVE_TOKEN, now));
    let by_key = format!("/tencent/room/{ROOM_KEY}?SdkAppid=1400000000");
    for (address, body, own) in [(&by_token, ROOM, "Room."), (&by_key, LIVE, "Live.")] {
        refuse(&app, address, body).await;
        refuse(
            &app,
            address,
            &body.replace(own, &own.replace('o', "\\u006f").replace('i', "\\u0069")),
        )
        .await;
        refuse(&app, address, &format!("\u{feff}{body}")).await;
        for spelling in
            [own.to_lowercase(), own.to_uppercase(), format!(" {own}"), own.replace('.', ":")]
        {
            let answer = app.post(address, "application/json", body.replace(own, &spelling)).await;
            let outcome = (answer.status.as_u16(), answer.outcome.as_deref());
            assert_eq!(outcome, (200, Some("ignored")), "{spelling}: {}", answer.body);
        }
        let twice = body.replacen('{', r#"{"CallbackCommand":"Mic.X","#, 1);
        let answer = app.post(address, "application/json", twice).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    assert!(app.records().await.is_empty());
}
