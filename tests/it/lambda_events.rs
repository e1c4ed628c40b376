//! Events of an HTTP API in payload format 2.0, as Lambda passes them.

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

use crate::support::{Database, Handlers, Moment, SECRET, gateway_event, iam, zego_event};

/// Sends an event through a function's service and reads the answer that Lambda would get.
macro_rules! answer {
    ($function:literal, $service:expr, $event:expr) => {{
        let request: LambdaRequest = serde_json::from_value($event).unwrap();
        let answering = $service.call(LambdaEvent::new(request, Context::default()));
        let response = iam::acting_as($function, answering).await.unwrap();
        serde_json::to_value(response).unwrap()
    }};
}

#[tokio::test]
async fn a_body_in_base64_is_verified_as_it_was_sent() {
    use base64::{Engine, prelude::BASE64_STANDARD};

    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let mut function = service(CallbackFunction::<RoomLogin>::new(handlers.receiver));
    let now = runtime::now().seconds();
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let login = zego_event(EventName::RoomLogin, Moment::recent().plus(0));
    let body = login.callback(&secret, now, "1").body;

    let encoded = BASE64_STANDARD.encode(&body);
    let mut encoded = gateway_event("POST", "/zego/room-login", "", Some(&encoded));
    encoded["isBase64Encoded"] = json!(true);
    let first = answer!("zego-room-login", function, encoded);
    assert_eq!(first["statusCode"], 200, "{first}");
    assert_eq!(first["headers"]["x-rollcall-outcome"], "applied");
    assert_eq!(first["headers"]["content-type"], "application/json");
    assert_eq!(first["body"], r#"{"code":0}"#);

    let plain = gateway_event("POST", "/zego/room-login", "", Some(&body));
    let second = answer!("zego-room-login", function, plain);
    assert_eq!(second["headers"]["x-rollcall-outcome"], "duplicate");

    let none =
        answer!("zego-room-login", function, gateway_event("POST", "/zego/room-login", "", None));
    assert_eq!(none["statusCode"], 401);
}

/// An API Gateway decodes the path before the function sees it, and a decoded path may not be a
/// URI.
#[tokio::test]
async fn a_decoded_path_asks_for_ids_of_any_character() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let now = runtime::now();
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for user in ["ada lovelace", "100%", "50%25", "é", "a?b#c", "😀"] {
        let login = rollcall_players::zego::Event {
            user: user.to_owned(),
            ..zego_event(EventName::RoomLogin, Moment::recent().plus(0))
        };
        let reply = handlers.deliver(&login.callback(&secret, now.seconds(), "1"), now).await;
        assert_eq!(reply.outcome, Some("applied"));
        let mut function = service(handlers.queries.clone());
        let path = format!("/presence/zego/1/users/{user}");
        let found = answer!("query", function, gateway_event("GET", &path, "", None));
        assert_eq!(found["statusCode"], 200, "{user}: {found}");
        let body: Value = serde_json::from_str(found["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["user"], user);
    }
    let mut function = service(handlers.queries);
    let asked = gateway_event("GET", "/presence/zego/1/users", "user=ada%20lovelace", None);
    assert_eq!(answer!("query", function, asked)["statusCode"], 200);

    let asked = gateway_event("GET", "/attendance/zego/1/rooms/lobby", "format=csv&limit=1", None);
    let csv = answer!("query", function, asked);
    assert_eq!((&csv["statusCode"], &csv["isBase64Encoded"]), (&json!(200), &json!(false)));
    assert_eq!(csv["headers"]["content-type"], "text/csv; charset=utf-8; header=present");
    let link = csv["headers"]["link"].as_str().unwrap();
    assert!(link.starts_with("</attendance/zego/1/rooms/lobby?format=csv&limit=1&next="), "{link}");
    assert!(csv["body"].as_str().unwrap().starts_with("user,name,room,"), "{csv}");
}
