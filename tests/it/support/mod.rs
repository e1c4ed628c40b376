//! Shared by the tests: a gateway with its own store, and events to send to it.

pub(crate) mod draft;
mod event_bridge;
mod events;
mod fleet;
pub(crate) mod iam;
mod log;
mod outage;
mod proxy;
pub(crate) mod secrets;
mod secrets_manager;
mod servers;
mod simulated;
mod sqs;
mod table;

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use axum::{
    extract,
    middleware::{self, Next},
    response::Response,
};
pub(crate) use event_bridge::{BUS, EventBridge};
pub(crate) use events::{
    Moment, callback_event, gateway_event, one_of_each, openim_event, tencent_event, zego_event,
    zim_event,
};
pub(crate) use fleet::Fleet;
use http::{Method, StatusCode};
pub(crate) use log::Log;
pub(crate) use outage::{Outage, store_at};
use percent_encoding::percent_decode_str;
pub(crate) use proxy::{Fault, Proxy};
use rollcall::{
    aws,
    breaker::Breaker,
    callback::Secret,
    config::{Apps, Events, ProviderApis, ReplayGuard},
    domain::{Settings, UnixMillis},
    endpoint::Endpoint,
    erase::{self, Erase, Repeat, Repeats},
    handler::{self, Receiver},
    http::{Reply, Request},
    query::{Queries, QueryLimits},
    reconcile::{REQUEST_LIMIT, Reconcile},
    record::Records,
    routes::{self, BackendFunction, CallbackNames},
    runtime,
    server_api::{Clock, Patience, ServerApis, Transport},
    store::{
        self, Eraser, ErasureList, LiveMarker, Meter, Observer, PassStore, Reader, SweepStore,
        TABLE, Writer,
    },
    sweep::{Budget, Sweep},
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
use rollcall_local::{dynamodb::Embedded, gateway::Gateway};
use rollcall_players::{Answer, Callback, Secrets, robots, tencent, zego::Event};
pub(crate) use secrets_manager::{Mood, SecretsManager};
use serde_json::Value;
pub(crate) use servers::{Known, ServersOnAPort};
pub(crate) use simulated::{Item, MAX_LAG_MS, Schedule, Simulated};
pub(crate) use sqs::{Sqs, TestQueue};
pub(crate) use table::{dump, simulated_dump, union};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedReceiver},
    time::Instant,
};

/// The callback secret of ZEGO app `1`.
pub(crate) const SECRET: &str = "5f4dcc3b5aa765d61d8327deb882cf99";
/// The second secret of the same app.
pub(crate) const PREVIOUS_SECRET: &str = "e99a18c428cb38d5f260853678922e03";
/// ZEGO app `2` has this one.
pub(crate) const OTHER_SECRET: &str = "0d107d09f5bbe40cade3de5c71e9e9b7";

/// The ServerSecret that ZEGO publishes in its examples: here of app `1`.
pub(crate) const SERVER_SECRET: &str = "fa94dd0f974cf2e293728a526b028271";
/// The second ServerSecret of the same app.
pub(crate) const PREVIOUS_SERVER_SECRET: &str = "8f14e45fceea167a5a36dedd4bea2543";
/// ZEGO app `2` has this one.
pub(crate) const OTHER_SERVER_SECRET: &str = "c9f0f895fb98ab9159f51fd0297e236d";

/// The `secret` of OpenIM app `main`.
pub(crate) const OPENIM_SECRET: &str = "c4ca4238a0b923820dcc509a6f75849b";
/// The password of its callback URL.
pub(crate) const OPENIM_PASSWORD: &str = "c81e728d9d4c2f636f067f89cc14862c";

/// Its token of Chat's callbacks.
pub(crate) const CHAT_TOKEN: &str = "a87ff679a2f3e71d9181a67b7542122c";
/// Its first key of TRTC's callbacks.
pub(crate) const TRTC_KEY: &str = "e4da3b7fbbce2345d7772b0674a318d5";
/// Its token of Live's callbacks.
pub(crate) const LIVE_TOKEN: &str = "1679091c5a880faf6fb5e6087eb1b2dc";
/// The first key in the address of its `RoomEngine`'s callbacks.
pub(crate) const ROOM_KEY: &str = "8f14e45fceea167a5a36dedd4bea2543-room_KEY";
/// The second one.
pub(crate) const PREVIOUS_ROOM_KEY: &str = "c9f0f895fb98ab9159f51fd0297e236d";
/// The `UserSig` key that Tencent publishes in its examples: here of SDKAppID `1400000000`.
pub(crate) const TENCENT_KEY: &str =
    "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
/// The second key of the same app.
pub(crate) const PREVIOUS_TENCENT_KEY: &str =
    "eccbc87e4b5ce2fe28308fd9f2a7baf3a87ff679a2f3e71d9181a67b7542122c";
/// SDKAppID `1400000001` has this one.
pub(crate) const OTHER_TENCENT_KEY: &str =
    "e4da3b7fbbce2345d7772b0674a318d51679091c5a880faf6fb5e6087eb1b2dc";

/// Texts that are not secrets. ZEGO app `3`, OpenIM app `none` and SDKAppID `1400000002` have all
/// of them, and no other secrets.
pub(crate) const BLANK: [&str; 9] =
    ["", " ", "   ", "\t", "\n", "\r\n", "\u{a0}", "\u{feff}", "\u{200b}"];

pub(crate) const TABLE_NAME: &str = "rollcall-test";
pub(crate) const RETENTION: Duration = Duration::from_hours(30 * 24);
const BUDGET: Duration = Duration::from_secs(20);

/// An embedded DynamoDB in memory with Rollcall's table, on its own port.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Database {
    pub(crate) async fn start() -> Self {
        secrets::watch_the_log();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(Embedded::in_memory().unwrap().serve(listener, std::future::pending()));
        let client = store::connect(&aws::at(&url), BUDGET);
        TABLE.create(&client, TABLE_NAME).await.unwrap();
        Self { url, client }
    }
}

/// The apps, as `ROLLCALL_APPS` has them.
pub(crate) fn apps() -> Apps {
    Apps::from_json(&apps_json()).unwrap()
}

/// What signs the callbacks of ZEGO app `1`, OpenIM app `main` and SDKAppID `1400000000`.
pub(crate) fn player_secrets() -> Secrets {
    let secret = |text: &str| Some(Secret::new(text.to_owned()).unwrap());
    Secrets {
        zego: secret(SECRET),
        openim: apps().openim[&"main".parse().unwrap()].clone(),
        chat: secret(CHAT_TOKEN),
        trtc: secret(TRTC_KEY),
        live: secret(LIVE_TOKEN),
        room: secret(ROOM_KEY),
    }
}

/// What proves a callback of SDKAppID `1400000000`.
pub(crate) fn tencent_secret(name: tencent::EventName) -> Secret {
    let text = match name.product() {
        tencent::Product::Chat => CHAT_TOKEN,
        tencent::Product::Trtc => TRTC_KEY,
        tencent::Product::Live => LIVE_TOKEN,
        tencent::Product::Room => ROOM_KEY,
    };
    Secret::new(text.to_owned()).unwrap()
}

pub(crate) fn apps_json() -> String {
    let blank = serde_json::json!(BLANK);
    let password = |password| serde_json::json!({ "user": "x", "password": password });
    let basic = serde_json::json!(BLANK.map(password));
    let robots = serde_json::json!(robots::PATTERNS);
    format!(
        r#"{{"zego":{{
            "1":{{"callback_secrets":["{SECRET}","{PREVIOUS_SECRET}"],
                  "server_secrets":["{SERVER_SECRET}","{PREVIOUS_SERVER_SECRET}"],
                  "robots":{robots}}},
            "2":{{"callback_secrets":["{OTHER_SECRET}"],
                  "server_secrets":["{OTHER_SERVER_SECRET}"]}},
            "3":{{"callback_secrets":{blank},"server_secrets":{blank}}},
            "4":{{"callback_secrets":[]}}}},
        "openim":{{
            "main":{{"secrets":["{OPENIM_SECRET}"],
                     "basic":[{{"user":"openim","password":"{OPENIM_PASSWORD}"}}]}},
            "other":{{"basic":[{{"user":"openim","password":"{OTHER_SECRET}"}}]}},
            "none":{{"secrets":{blank},"basic":{basic}}}}},
        "tencent":{{
            "1400000000":{{"secret_keys":["{TENCENT_KEY}","{PREVIOUS_TENCENT_KEY}"],
                           "chat_tokens":["{CHAT_TOKEN}"],"trtc_keys":["{TRTC_KEY}","{SECRET}"],
                           "live_tokens":["{LIVE_TOKEN}"],
                           "room_path_keys":["{ROOM_KEY}","{PREVIOUS_ROOM_KEY}"],
                           "robots":{robots}}},
            "1400000001":{{"secret_keys":["{OTHER_TENCENT_KEY}"],
                           "chat_tokens":["{OTHER_SECRET}"],"trtc_keys":["{OTHER_SECRET}"],
                           "live_tokens":["{OTHER_SECRET}"],"room_path_keys":["{OTHER_SECRET}"]}},
            "1400000002":{{"secret_keys":{blank},"chat_tokens":{blank},"trtc_keys":{blank},
                           "live_tokens":{blank},"room_path_keys":{blank}}}}}}}"#
    )
}

/// The handlers on a store, called in this process at times that the test chooses.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) receiver: Receiver,
    pub(crate) queries: Queries,
    pub(crate) erase: Erase,
    pub(crate) reconcile: Reconcile,
    /// The second passes that have to be done.
    pub(crate) repeats: Arc<Mutex<UnboundedReceiver<Repeat>>>,
}

impl Handlers {
    pub(crate) fn on(database_url: &str) -> Self {
        Self::with(client_of(database_url))
    }

    /// Handlers on a new database, with a proxy in between that sees their requests.
    pub(crate) async fn observed() -> (Database, Proxy, Self) {
        let database = Database::start().await;
        let proxy = Proxy::before(&database.url).await;
        let handlers = Self::on(&proxy.url);
        (database, proxy, handlers)
    }

    pub(crate) fn with(client: Client) -> Self {
        let (timer, repeats) = mpsc::unbounded_channel();
        let receiver = Receiver {
            apps: apps().into(),
            store: Writer::new(client.clone(), TABLE_NAME, RETENTION),
            spill: None,
            breaker: Breaker::default(),
            max_age: Duration::from_mins(10),
            replay_guard: ReplayGuard::Off,
            budget: BUDGET,
        };
        Self {
            receiver,
            erase: Erase {
                store: Eraser::new(client.clone(), TABLE_NAME, RETENTION),
                repeats: Repeats::Timer(timer),
                limit: erase::REQUEST_LIMIT,
            },
            repeats: Arc::new(Mutex::new(repeats)),
            reconcile: reconcile_on(
                client.clone(),
                ProviderApis::default(),
                Arc::new(runtime::now),
                UNUSED.clone(),
            ),
            queries: Queries {
                records: Records::new(Reader::new(client, TABLE_NAME), Duration::ZERO),
                limits: QueryLimits::DEFAULT,
                events: Events::On,
            },
        }
    }

    pub(crate) async fn deliver(&self, callback: &Callback, received_at: UnixMillis) -> Reply {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &callback.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        let query = callback.query.clone().unwrap_or_default();
        let request = Request {
            headers,
            query,
            ..Request::post(&callback.path(), callback.body.clone(), received_at)
        };
        self.receive(&request.path, &request).await
    }

    /// Receives a request that is posted to a callback's path.
    pub(crate) async fn receive(&self, path: &str, request: &Request) -> Reply {
        let endpoint = Endpoint::at(path).unwrap();
        iam::acting_as(endpoint.function, endpoint.receive(&self.receiver, request)).await
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        query: &str,
        now: UnixMillis,
    ) -> (StatusCode, Value) {
        let request = Request::get(path, query, now);
        let reply = iam::acting_as(routes::QUERY, self.queries.answer(&request)).await;
        (reply.status, serde_json::from_str(&reply.body).unwrap())
    }

    /// The same for an answer that is no JSON.
    pub(crate) async fn get_text(&self, path: &str, query: &str, now: UnixMillis) -> String {
        let request = Request::get(path, query, now);
        iam::acting_as(routes::QUERY, self.queries.answer(&request)).await.body.clone()
    }

    /// Requests the erasure of a person.
    pub(crate) async fn erase(
        &self,
        path: &str,
        query: &str,
        now: UnixMillis,
    ) -> (StatusCode, Value) {
        let request = Request { method: Method::DELETE, ..Request::get(path, query, now) };
        let reply = iam::acting_as(routes::ERASE, self.erase.answer(&request)).await;
        (reply.status, serde_json::from_str(&reply.body).unwrap())
    }

    /// The second passes that have been arranged since the last call.
    pub(crate) fn take_repeats(&self) -> Vec<Repeat> {
        let mut repeats = self.repeats.lock().unwrap();
        std::iter::from_fn(|| repeats.try_recv().ok()).collect()
    }

    /// Does a second pass.
    pub(crate) async fn repeat(&self, repeat: &Repeat, now: UnixMillis) -> Result<(), String> {
        let deadline = Instant::now() + BUDGET;
        iam::acting_as(routes::ERASE, self.erase.repeat(repeat, now, deadline)).await
    }
}

/// A client as functions have it.
pub(crate) fn client_of(database_url: &str) -> Client {
    store::connect(&iam::config(database_url), handler::store_limit(BUDGET))
}

/// Of handlers without credentials. To read the system's certificates takes long.
static UNUSED: LazyLock<Transport> = LazyLock::new(|| transport(Duration::from_secs(2)));

/// What waits for so long for an answer of a provider.
pub(crate) fn transport(answer: Duration) -> Transport {
    Transport::system(Patience { connection: Duration::from_secs(1), answer }).unwrap()
}

/// What function `reconcile` runs. `clock` says when a request was sent.
pub(crate) fn reconcile_on(
    client: Client,
    apis: ProviderApis,
    clock: Clock,
    transport: Transport,
) -> Reconcile {
    let reader = Reader::new(client.clone(), TABLE_NAME);
    Reconcile {
        records: Records::new(reader.clone(), Duration::ZERO),
        reader,
        observer: Observer::new(client.clone(), TABLE_NAME, RETENTION),
        writer: Writer::new(client.clone(), TABLE_NAME, RETENTION),
        passes: PassStore::new(client, TABLE_NAME),
        apis: Arc::new(ServerApis::new(apis, transport, clock)),
        people_per_second: NonZeroU32::new(10_000).unwrap(),
        request_limit: REQUEST_LIMIT,
    }
}

/// What function `sweep` runs.
pub(crate) fn sweep_on(client: Client, budget: Budget) -> Sweep {
    sweep_with(client, budget, Settings::new())
}

/// The same with settings.
pub(crate) fn sweep_with(client: Client, budget: Budget, settings: Settings) -> Sweep {
    let meter = Meter::default();
    let reader = Reader::new(meter.watch(&client), TABLE_NAME).with_settings(settings);
    Sweep {
        records: Records::new(reader.clone(), ErasureList::FRESH_FOR),
        reader,
        live: LiveMarker::new(client.clone(), TABLE_NAME, RETENTION),
        store: SweepStore::new(client, TABLE_NAME, RETENTION),
        meter,
        budget,
    }
}

/// A gateway as `cargo run` starts it, over HTTP, with its own store.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) database: Database,
    /// The handlers behind it.
    pub(crate) handlers: Handlers,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(ReplayGuard::Off).await
    }

    pub(crate) async fn start_with(replay_guard: ReplayGuard) -> Self {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        let Handlers { receiver, queries, erase, .. } = handlers.clone();
        let receiver = Receiver { replay_guard, ..receiver };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let user_sigs = UserSigs { apps: receiver.apps.clone() };
        let zego_tokens = ZegoTokens { apps: receiver.apps.clone() };
        let reconcile = handlers.reconcile.clone();
        let gateway = Gateway { receiver, queries, erase, user_sigs, zego_tokens, reconcile };
        let functions = gateway.router().layer(middleware::from_fn(as_the_function_it_is_for));
        tokio::spawn(async move { axum::serve(listener, functions).await });
        Self { url, http: rollcall_players::client().unwrap(), database, handlers }
    }

    /// Posts an event, signed just now with app 1's first secret.
    pub(crate) async fn send(&self, event: &Event) -> Answer {
        let now = runtime::now().seconds();
        let nonce = rollcall_players::zego::nonce(now);
        let secret = Secret::new(SECRET.to_owned()).unwrap();
        event.callback(&secret, now, &nonce).send(&self.http, &self.url).await.unwrap()
    }

    /// Posts an event and returns its outcome.
    pub(crate) async fn outcome(&self, event: &Event) -> String {
        let answer = self.send(event).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body, r#"{"code":0}"#);
        answer.outcome.unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.post_with(path, &[("content-type", content_type)], body).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, impl AsRef<str>)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.http.post(format!("{}{path}", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, value.as_ref());
        }
        Answer::read(request.send().await.unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    pub(crate) async fn room(&self, room: &str) -> Value {
        let (status, body) = self.get(&format!("/presence/zego/1/rooms/{room}")).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) async fn user(&self, user: &str) -> Value {
        let (status, body) = self.get(&format!("/presence/zego/1/users/{user}")).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The ids of the people in a room.
    pub(crate) async fn members(&self, room: &str) -> Vec<String> {
        names(&self.room(room).await)
    }

    pub(crate) async fn records(&self) -> HashMap<String, Value> {
        dump(&self.database.client).await
    }
}

/// A request at the gateway, in the name of the function that would answer it.
async fn as_the_function_it_is_for(request: extract::Request, next: Next) -> Response {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let method = request.method();
    let function = match CallbackNames::at(&path).filter(|_| *method == Method::POST) {
        Some(names) => names.function,
        None => {
            routes::backend_function(method, &path).map_or(routes::QUERY, BackendFunction::name)
        }
    };
    iam::acting_as(function, next.run(request)).await
}

/// An answer without `as_of`, so that it can be compared.
pub(crate) fn timeless(mut answer: Value) -> Value {
    let as_of = answer.as_object_mut().unwrap().remove("as_of");
    assert!(as_of.is_some_and(|as_of| as_of.is_u64()), "{answer}");
    answer
}

/// The ids of the people in a room's answer, sorted.
pub(crate) fn names(room: &Value) -> Vec<String> {
    let members = room["members"].as_array().unwrap();
    let mut names: Vec<_> =
        members.iter().map(|member| member["user"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
