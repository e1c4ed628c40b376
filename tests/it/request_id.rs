//! The log of a function can be joined with the gateway's access log, and names the sender of what
//! was refused.

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
    request::LambdaRequest,
};
use rollcall::{
    callback::Secret,
    providers::zego::RoomLogin,
    runtime::{self, CallbackFunction, service},
};
use rollcall_players::zego::EventName;
use serde_json::{Value, json};

use crate::{
    metrics::{Log, subscriber},
    support::{Handlers, Moment, SECRET, gateway_event, iam, zego_event},
};

/// The event of a callback that is signed with `secret`, from the address `source`.
fn login(secret: &str, request_id: &Value, source: &str) -> Value {
    let login = zego_event(EventName::RoomLogin, Moment::recent().plus(0));
    let secret = Secret::new(secret.to_owned()).unwrap();
    let body = login.callback(&secret, runtime::now().seconds(), "1").body;
    let mut event = gateway_event("POST", "/zego/room-login", "", Some(&body));
    event["requestContext"]["requestId"] = request_id.clone();
    event["requestContext"]["http"]["sourceIp"] = json!(source);
    event
}

/// The status of a function's answer, and the lines that it logged.
async fn invoke(handlers: &Handlers, event: Value) -> (Value, Vec<Value>) {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let mut function = service(CallbackFunction::<RoomLogin>::new(handlers.receiver.clone()));
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let answering = function.call(LambdaEvent::new(request, Context::default()));
    let answer = iam::acting_as("zego-room-login", answering).await.unwrap();
    drop(guard);
    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (serde_json::to_value(answer).unwrap()["statusCode"].clone(), lines)
}

#[tokio::test]
async fn every_line_of_a_function_has_the_gateways_request_id() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    // What API Gateway makes up, and what would have to be escaped in JSON.
    for id in ["JKJaXmPLvHcESHA=", r#"a"b\c"#] {
        let (status, lines) = invoke(&handlers, login(SECRET, &json!(id), "1.2.3.4")).await;
        assert_eq!((status, lines.len()), (json!(200), 1), "{lines:?}");
        assert_eq!(lines[0]["requestId"], id, "{lines:?}");
        assert_eq!(lines[0]["callbacks"], 1, "it is still its metrics, too: {lines:?}");
    }
    // A store that fails has lines of its own.
    proxy.refuse(|_| true);
    let (status, lines) = invoke(&handlers, login(SECRET, &json!("r1"), "1.2.3.4")).await;
    assert_eq!(status, 503);
    assert!(lines.len() >= 2, "{lines:?}");
    assert!(lines.iter().all(|line| line["requestId"] == "r1"), "{lines:?}");
    let failed = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert_eq!(failed["message"], "a callback could not be stored");
}

/// `cargo lambda watch` or another gateway may give none.
#[tokio::test]
async fn without_an_id_the_lines_are_as_they_are() {
    let (_database, _proxy, handlers) = Handlers::observed().await;
    let (status, lines) = invoke(&handlers, login(SECRET, &Value::Null, "1.2.3.4")).await;
    assert_eq!((status, lines.len()), (json!(200), 1), "{lines:?}");
    assert!(lines[0].get("requestId").is_none(), "{lines:?}");
}

/// Promise 8: the address may be a person's, so it is in the log only where an operator needs it.
#[tokio::test]
async fn promise_8_discreet_only_the_line_of_a_refused_callback_names_the_source_address() {
    let (_database, _proxy, handlers) = Handlers::observed().await;
    for source in ["203.0.113.7", "2001:db8::7"] {
        let (status, lines) = invoke(&handlers, login("forged", &json!("r1"), source)).await;
        assert_eq!((status, lines.len()), (json!(401), 1), "{lines:?}");
        assert_eq!(lines[0]["source_ip"], source, "{lines:?}");

        let (status, lines) = invoke(&handlers, login(SECRET, &json!("r2"), source)).await;
        assert_eq!((status, lines.len()), (json!(200), 1), "{lines:?}");
        assert!(!lines[0].to_string().contains(source), "{lines:?}");
    }
    // What is no address is not repeated.
    let (_, lines) = invoke(&handlers, login("forged", &json!("r3"), "made\nup")).await;
    assert!(lines[0].get("source_ip").is_none(), "{lines:?}");
}
