//! The tuned peer does what it is compared for: it verifies, and it stores each callback once.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use rollcall::{callback::Secret, domain::UnixSeconds, providers::zego::sign, runtime};
use rollcall_players::zego::EventName as Zego;
use serde_json::{Map, Value, json};

use crate::{
    build::{self, Built},
    dynamodb::DynamoDb,
    lambda::Lambda,
    names::{Common, TUNED},
    subjects::{Callbacks, TUNED_TABLE, ZEGO_SECRET, subjects},
};

/// The same callback with other fields. The signature covers `timestamp` and `nonce` only.
fn with(event: &Bytes, change: impl FnOnce(&mut Map<String, Value>)) -> Bytes {
    let mut event: Value = serde_json::from_slice(event).unwrap();
    let mut body: Map<_, _> = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    change(&mut body);
    event["body"] = json!(Value::Object(body).to_string());
    event.to_string().into()
}

/// The same callback, signed at this time.
fn signed_at(event: &Bytes, at: UnixSeconds) -> Bytes {
    let (secret, at) = (Secret::new(ZEGO_SECRET.to_owned()).unwrap(), at.to_string());
    with(event, |body| {
        let signature = sign(&secret, &at, body["nonce"].as_str().unwrap());
        body.insert("signature".to_owned(), json!(signature));
        body.insert("timestamp".to_owned(), json!(at));
    })
}

async fn items(dynamodb: &DynamoDb) -> Vec<Value> {
    let all = dynamodb.ask("Scan", &json!({ "TableName": TUNED_TABLE })).await.unwrap();
    all["Items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn it_stores_a_callback_once_and_refuses_what_is_not_signed() {
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(TUNED);
    build::cargo(&peer, &[]).unwrap();
    let binary = peer.join("target/debug").join(TUNED);
    let built =
        Built { binaries: BTreeMap::from([(TUNED.to_owned(), binary)]), ..Built::default() };
    let folder = tempfile::tempdir().unwrap();
    let dynamodb = DynamoDb::start(folder.path()).await.unwrap();
    let mut callbacks = Callbacks::new(&dynamodb).await.unwrap();
    let [subject] = &subjects(&built, &dynamodb, folder.path())[..] else { panic!("one peer") };
    let mut next = async || callbacks.next(Common::Zego(None, Zego::RoomLogin)).await.unwrap();
    let (first, second) = (next().await, next().await);

    let (mut lambda, _) = Lambda::start(&subject.program, folder.path()).await.unwrap();
    assert_eq!(dynamodb.requests(), 1, "its start opens the connection");
    let mut status = async |event: &Bytes| lambda.ask(event).await.unwrap()["statusCode"].clone();
    assert_eq!(status(&first).await, 200);
    assert_eq!(dynamodb.requests(), 2);
    let stored = items(&dynamodb).await;
    let [item] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(item["pk"]["S"], "user#user-1");
    assert_eq!(item["user_nickname"]["S"], "Ada");

    // Again, and again with another name.
    assert_eq!(status(&first).await, 200);
    let renamed = with(&first, |body| {
        body.insert("user_nickname".to_owned(), json!("Eve"));
    });
    assert_eq!(status(&renamed).await, 200);
    assert_eq!(dynamodb.requests(), 4);
    assert_eq!(items(&dynamodb).await, stored);

    let now = runtime::now().seconds().0;
    let text = |name: &'static str, text: &'static str| {
        with(&second, |body| {
            body.insert(name.to_owned(), json!(text));
        })
    };
    let missing = with(&second, |body| {
        body.remove("signature");
    });
    for (event, expected) in [
        (text("signature", "5bd59fd62953a8059fb7eaba95720f66d19e4517"), 401),
        (text("signature", "5bd5"), 401),
        (text("signature", ""), 401),
        (text("nonce", "1"), 401),
        (text("timestamp", "1470820198"), 401),
        (text("appid", "2"), 401),
        (text("timestamp", "soon"), 400),
        (missing, 400),
        (signed_at(&second, UnixSeconds(now - 620)), 401),
        (signed_at(&second, UnixSeconds(now + 620)), 401),
    ] {
        assert_eq!(status(&event).await, expected, "{event:?}");
    }
    // What is refused is not even sent.
    assert_eq!(dynamodb.requests(), 4);
    assert_eq!(items(&dynamodb).await, stored);

    assert_eq!(status(&signed_at(&second, UnixSeconds(now - 580))).await, 200);
    assert_eq!(items(&dynamodb).await.len(), 2);
    lambda.stop().await.unwrap();
}
