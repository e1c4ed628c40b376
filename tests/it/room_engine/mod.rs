//! `RoomEngine` and Live, and rooms that TRTC reports, too.

mod costs;
mod malformed;
mod note;
mod rotation;
mod routes;
mod samples;
mod secrecy;
mod shapes;
mod tracks;
mod unverified;

use std::time::Duration;

use rollcall::{
    callback::Secret,
    domain::{App, ProviderName, Settings, Tracks, UnixMillis},
    http::{Reply, Request},
    providers::tencent::sign_chat,
    record::Records,
    store::Reader,
};
use rollcall_players::{
    Answer,
    tencent::{Event, EventName, Options},
};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, LIVE_TOKEN, ROOM_KEY, TABLE_NAME, TestApp, client_of, tencent_event,
    tencent_secret,
};

/// 2026-09-21T12:26:40Z
const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 3_600_000);
const APP: &str = "1400000000";
const OK: &str = r#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}"#;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(START + seconds * 1000)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn app() -> App {
    App { provider: ProviderName::Tencent, id: APP.parse().unwrap() }
}

async fn start() -> (Database, Handlers) {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    (database, handlers)
}

/// The same handlers, for whom these tracks decide who is in.
fn counting(database_url: &str, handlers: &Handlers, tracks: Tracks) -> Handlers {
    let settings = Settings::new().with_rooms(app(), tracks);
    let reader = Reader::new(client_of(database_url), TABLE_NAME).with_settings(settings);
    let mut handlers = handlers.clone();
    handlers.queries.records = Records::new(reader, Duration::ZERO);
    handlers
}

/// An event of Ada's in the lobby, that many seconds after the start.
fn event(name: EventName, seconds: u64) -> Event {
    tencent_event(name, at(seconds))
}

/// The same event of others.
fn of(users: &[&str], event: Event) -> Event {
    let mut users = users.iter().map(|user| (*user).to_owned());
    let user = users.next().unwrap();
    Event { options: Options { user, also: users.collect(), ..event.options }, ..event }
}

/// Delivers an event of any product, sent just now.
async fn deliver(handlers: &Handlers, event: &Event) -> Reply {
    let sent = Event { now: event.now.max(NOW), ..event.clone() };
    handlers.deliver(&sent.callback(&tencent_secret(event.name)), NOW).await
}

async fn outcome(handlers: &Handlers, event: &Event) -> &'static str {
    let reply = deliver(handlers, event).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    if event.name.is_room_engine() {
        assert_eq!(reply.body, OK);
    }
    reply.outcome.unwrap()
}

/// The address and the query of a callback with this body: `Live.*` is signed, and everything else
/// has the key.
fn address(body: &str, now: UnixMillis) -> (String, String) {
    let query = format!("SdkAppid={APP}&CallbackCommand=x&contenttype=json");
    if body.contains("\"Live.") {
        ("/tencent/room".to_owned(), format!("{query}&{}", signed(LIVE_TOKEN, now)))
    } else {
        (format!("/tencent/room/{ROOM_KEY}"), query)
    }
}

/// The parameters that prove that Live sent a callback.
fn signed(token: &str, now: UnixMillis) -> String {
    let time = now.seconds().to_string();
    format!("Sign={}&RequestTime={time}", sign_chat(&secret(token), &time))
}

/// Delivers a body as it is.
async fn deliver_body(handlers: &Handlers, body: &str) -> Reply {
    let (path, query) = address(body, NOW);
    let request = Request { query, ..Request::post(&path, body.to_owned(), NOW) };
    handlers.receive(&path, &request).await
}

/// Posts a body as it is.
async fn post(app: &TestApp, body: impl Into<Vec<u8>>) -> Answer {
    let body = body.into();
    let (path, query) = address(&String::from_utf8_lossy(&body), rollcall::runtime::now());
    app.post(&format!("{path}?{query}"), "application/json", body).await
}

fn assert_failed(answer: &Answer, says: &str) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["ActionStatus"], &body["ErrorCode"]), (&json!("FAIL"), &json!(1)));
    assert!(body["ErrorInfo"].as_str().unwrap().contains(says), "{says}: {body}");
    assert_eq!(answer.outcome.as_deref(), Some("rejected"));
}

/// An answer to a query about the app.
async fn ask(handlers: &Handlers, what: &str, of: &str, query: &str, now: UnixMillis) -> Value {
    let (status, answer) = handlers.get(&format!("/{what}/tencent/{APP}{of}"), query, now).await;
    assert_eq!(status, 200, "{what}{of}?{query}: {answer}");
    answer
}

async fn room(handlers: &Handlers, room: &str) -> Value {
    ask(handlers, "presence", "/rooms", &format!("room={room}"), NOW).await
}

async fn user(handlers: &Handlers, user: &str) -> Value {
    ask(handlers, "presence", "/users", &format!("user={user}"), NOW).await
}
