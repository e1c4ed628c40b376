//! An event of another of Tencent's products is not recorded at the wrong address, and the answer
//! says which one is right.

use rollcall::{
    providers::tencent::{sign_chat, sign_trtc},
    runtime,
};
use rollcall_players::tencent::EventName::{
    self, ChatLogin, LiveCreate, LiveOnline, RoomCreate, RoomEnter, TrtcCreate, TrtcEnter,
};
use serde_json::{Value, json};

use super::{secret, signed};
use crate::support::{
    CHAT_TOKEN, LIVE_TOKEN, ROOM_KEY, TRTC_KEY, TestApp, secrets, tencent_event, tencent_secret,
};

fn body(name: EventName) -> String {
    tencent_event(name, runtime::now()).callback(&tencent_secret(name)).body
}

/// Posts a body with what proves one product, and expects a refusal that names an address.
async fn refused(
    app: &TestApp,
    address: &str,
    headers: &[(&str, String)],
    body: &str,
) -> (u16, String) {
    let answer = app.post_with(address, headers, body.to_owned()).await;
    assert_eq!(answer.outcome.as_deref(), Some("rejected"), "{address} {body}: {}", answer.body);
    assert_eq!(secrets::find(&answer.body), None, "{}", answer.body);
    let read: Value = serde_json::from_str(&answer.body).unwrap();
    let message = read["ErrorInfo"].as_str().or(read["message"].as_str()).unwrap();
    (answer.status.as_u16(), message.to_owned())
}

#[tokio::test]
async fn an_event_of_trtc_at_room_engines_address_is_sent_to_its_own() {
    let app = TestApp::start().await;
    let now = runtime::now();
    for name in [TrtcEnter, TrtcCreate] {
        let body = body(name);
        let sign = sign_trtc(&secret(TRTC_KEY), body.as_bytes());
        let headers = [("SdkAppId", "1400000000".to_owned()), ("Sign", sign)];
        let own = "TRTC are sent to /tencent/trtc";
        for path in ["/tencent/room".to_owned(), format!("/tencent/room/{ROOM_KEY}")] {
            // As TRTC sends it: without parameters, so nothing proves it here.
            let (status, message) = refused(&app, &path, &headers, &body).await;
            assert!(status == 401 && message.contains(own), "{status} {message}");
        }
        // An address with parameters of its own.
        let by_key = format!("/tencent/room/{ROOM_KEY}?SdkAppid=1400000000");
        let by_token = format!("/tencent/room?SdkAppid=1400000000&{}", signed(LIVE_TOKEN, now));
        for path in [by_key, by_token] {
            let (status, message) = refused(&app, &path, &headers, &body).await;
            let says = "does not take `trtc_event`: send it to /tencent/trtc";
            assert!(status == 400 && message.contains(says), "{status} {message}");
        }
    }
    assert!(app.records().await.is_empty());
}

#[tokio::test]
async fn an_event_of_room_engine_or_live_at_trtcs_address_is_sent_to_its_own() {
    let app = TestApp::start().await;
    let now = runtime::now();
    for name in [RoomEnter, RoomCreate, LiveOnline, LiveCreate] {
        let body = body(name);
        for query in [
            "SdkAppid=1400000000".to_owned(),
            "sdkappid=1400000000&contenttype=json".to_owned(),
            format!("SdkAppId=1400000000&{}", signed(LIVE_TOKEN, now)),
        ] {
            let path = format!("/tencent/trtc?{query}");
            let (status, message) = refused(&app, &path, &[], &body).await;
            assert!(status == 401 && message.contains("sent to /tencent/room"), "{message}");
        }
        // Even if TRTC's key signed it, it is none of its events.
        let sign = sign_trtc(&secret(TRTC_KEY), body.as_bytes());
        let headers = [("SdkAppId", "1400000000".to_owned()), ("Sign", sign)];
        let (status, message) = refused(&app, "/tencent/trtc", &headers, &body).await;
        assert!(status == 401 && message.contains("`CallbackTs` is missing"), "{message}");
    }
    assert!(app.records().await.is_empty());
}

/// Chat has two tokens in one console, so an operator may choose the same text for both.
#[tokio::test]
async fn an_event_of_chat_and_one_of_rooms_are_not_acknowledged_at_each_others_address() {
    let app = TestApp::start().await;
    let now = runtime::now();
    let time = now.seconds().to_string();
    let sign = sign_chat(&secret(CHAT_TOKEN), &time);
    let at_chat =
        format!("/tencent/chat?SdkAppid=1400000000&OptPlatform=iOS&Sign={sign}&RequestTime={time}");
    for (name, says) in [
        (RoomEnter, "`Room.*`: send it to /tencent/room/{key}"),
        (RoomCreate, "`Room.*`: send it to /tencent/room/{key}"),
        (LiveOnline, "`Live.*`: send it to /tencent/room"),
        (LiveCreate, "`Live.*`: send it to /tencent/room"),
    ] {
        let (status, message) = refused(&app, &at_chat, &[], &body(name)).await;
        assert!(status == 400 && message.ends_with(says), "{status} {message}");
    }
    let at_room = [
        format!("/tencent/room/{ROOM_KEY}?SdkAppid=1400000000"),
        format!("/tencent/room?SdkAppid=1400000000&{}", signed(LIVE_TOKEN, now)),
    ];
    for path in &at_room {
        let (status, message) = refused(&app, path, &[], &body(ChatLogin)).await;
        let says = "`State.StateChange`: send it to /tencent/chat";
        assert!(status == 400 && message.ends_with(says), "{status} {message}");
    }
    // Of another app's secret nothing is read, so no address is named.
    let other = at_room[1].replace("1400000000", "1400000001");
    assert_eq!(refused(&app, &other, &[], &body(ChatLogin)).await.0, 401);
    // What nobody records is acknowledged at both.
    let other = json!({ "CallbackCommand": "Group.CallbackAfterSendMsg" }).to_string();
    for path in at_room.iter().chain([&at_chat]) {
        let answer = app.post(path, "application/json", other.clone()).await;
        assert_eq!(answer.outcome.as_deref(), Some("ignored"), "{}", answer.body);
    }
    assert!(app.records().await.is_empty());
}
