//! A key or a token is replaced: both are accepted for a while, then only the new one.

use rollcall::{config::Apps, handler::Receiver};
use rollcall_players::tencent::EventName::{LiveOnline, RoomEnter};
use serde_json::{Value, json};

use super::{NOW, event, secret, start};
use crate::support::{Handlers, Log, secrets};

const OLD: &str = "old-0fd7b3c1a1f34a7f8f6d5f1b9a1c2d3e";
const NEW: &str = "new-7c2f1e0d9b8a47568c3b2a1d0e9f8a7b";

fn with(handlers: &Handlers, tencent: &Value) -> Handlers {
    let apps = json!({ "tencent": { "1400000000": tencent } }).to_string();
    let apps = Apps::from_json(&apps).unwrap().into();
    let receiver = Receiver { apps, ..handlers.receiver.clone() };
    Handlers { receiver, ..handlers.clone() }
}

#[tokio::test]
async fn promise_1_authentic_a_key_and_a_token_are_rotated_without_a_gap() {
    let (_database, handlers) = start().await;
    let mut seconds = 0;
    for (name, list) in [(RoomEnter, "room_path_keys"), (LiveOnline, "live_tokens")] {
        for (secrets, old, new) in [
            (vec![OLD], 200, 401),
            (vec![OLD, NEW], 200, 200),
            (vec![NEW, OLD], 200, 200),
            (vec![NEW], 401, 200),
            (vec![], 401, 401),
        ] {
            let handlers = with(&handlers, &json!({ list: secrets }));
            for (text, status) in [(OLD, old), (NEW, new)] {
                seconds += 1;
                let event = rollcall_players::tencent::Event { now: NOW, ..event(name, seconds) };
                let reply = handlers.deliver(&event.callback(&secret(text)), NOW).await;
                assert_eq!(reply.status, status, "{list} {secrets:?}: {}", reply.body);
                assert!(!reply.body.contains(OLD) && !reply.body.contains(NEW), "{}", reply.body);
            }
        }
    }
}

/// Anyone who can guess the address can send to it.
#[tokio::test]
async fn promise_1_authentic_a_key_that_can_be_guessed_is_not_used() {
    let (database, handlers) = start().await;
    let (log, guard) = Log::capture();
    let weak = ["hunter2hunter2", &OLD[..31], "this key has spaces, which no address may have"];
    for key in weak {
        let handlers = with(&handlers, &json!({ "room_path_keys": [key], "live_tokens": ["x"] }));
        let event = rollcall_players::tencent::Event { now: NOW, ..event(RoomEnter, 0) };
        let reply = handlers.deliver(&event.callback(&secret(key)), NOW).await;
        assert_eq!(reply.status, 401, "{key}");
        assert!(reply.body.contains("no callback secret"), "{}", reply.body);
    }
    drop(guard);
    let text = log.text();
    assert!(text.contains("one of an app's `room_path_keys` is not used"), "{text}");
    assert!(!weak.iter().any(|key| text.contains(key)), "{text}");
    assert_eq!(secrets::find(&text), None);
    assert!(crate::support::dump(&database.client).await.is_empty());
}
