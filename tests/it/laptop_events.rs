//! Events on a laptop: the gateway's own writes, `GET /events`, and a webhook.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use http::StatusCode;
use rollcall::{
    aws,
    domain::UnixMillis,
    record::Records,
    relay::LiveRooms,
    runtime,
    settle::{CheckQueue, Checks, Settle},
    store::{self, LiveMarker, Reader, Settler, TABLE},
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
use rollcall_local::{
    dynamodb::Embedded,
    events::{Feed, Images, Journal, post_all},
    gateway::Gateway,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    board::board,
    relay,
    support::{Handlers, Moment, RETENTION, TABLE_NAME, one_of_each, secrets},
};

const LIMIT: Duration = Duration::from_secs(20);

/// Longer than a test.
const GRACE: Duration = Duration::from_mins(15);

/// A gateway with events.
struct Laptop {
    url: String,
    handlers: Handlers,
    journal: Arc<Journal>,
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn serve(handlers: &Handlers, journal: Option<Arc<Journal>>) -> String {
    let Handlers { receiver, queries, erase, reconcile, repeats: _ } = handlers.clone();
    let user_sigs = UserSigs { apps: receiver.apps.clone() };
    let zego_tokens = ZegoTokens { apps: receiver.apps.clone() };
    let (listener, url) = listen().await;
    let gateway = Gateway { receiver, queries, erase, user_sigs, zego_tokens, reconcile };
    let board = board(&url);
    tokio::spawn(gateway.serve(listener, board, journal, std::future::pending()));
    url
}

impl Laptop {
    async fn start(images: impl FnOnce(Embedded) -> Images) -> Self {
        Self::with_grace(images, GRACE).await
    }

    async fn with_grace(images: impl FnOnce(Embedded) -> Images, grace: Duration) -> Self {
        secrets::watch_the_log();
        let database = Embedded::in_memory().unwrap();
        let (listener, dynamodb) = listen().await;
        tokio::spawn(database.clone().serve(listener, std::future::pending()));
        TABLE.create(&store::connect(&aws::at(&dynamodb), LIMIT), TABLE_NAME).await.unwrap();
        let journal = Arc::<Journal>::default();
        let own = store::connect(&aws::at(&dynamodb), LIMIT);
        let reader = Reader::new(own.clone(), TABLE_NAME);
        let live = LiveRooms::new(LiveMarker::new(own.clone(), TABLE_NAME, RETENTION));
        let (timer, to_check) = mpsc::unbounded_channel();
        let checks = |client| Checks {
            store: Settler::new(client, TABLE_NAME, RETENTION),
            queue: CheckQueue::Timer(timer.clone()),
            grace,
        };
        let feed = Feed::into(journal.clone(), images(database), reader, live, checks(own));
        let watched = feed.watch(aws::at(&dynamodb));
        let client = store::connect(&watched, LIMIT);
        let records = Records::new(Reader::new(client.clone(), TABLE_NAME), Duration::ZERO);
        let settle = Settle { records, checks: checks(client) };
        tokio::spawn(settle.check_in_time(to_check, runtime::now));
        let handlers = Handlers::with(store::connect(&watched, LIMIT));
        let url = serve(&handlers, Some(journal.clone())).await;
        Self { url, handlers, journal }
    }

    /// Delivers one callback of each type, twice.
    async fn deliver(&self, start: Moment, now: UnixMillis) {
        for callback in one_of_each(start, now) {
            for _ in 0..2 {
                let reply = self.handlers.deliver(&callback, now).await;
                assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
            }
        }
    }

    /// The first events of a stream.
    async fn events(&self, query: &str, last: Option<&str>, count: usize) -> Vec<Value> {
        let mut request =
            rollcall_players::client().unwrap().get(format!("{}/events{query}", self.url));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        loop {
            if text.matches("\n\n").count() >= count {
                break;
            }
            let chunk = tokio::time::timeout(LIMIT, response.chunk()).await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
        let events = text.split("\n\n").filter(|event| !event.is_empty());
        let read = |event: &str| {
            let of = |name| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let data: Value = serde_json::from_str(of("data: ")).unwrap();
            assert_eq!(data["id"], of("id: "));
            data
        };
        events.map(read).collect()
    }
}

/// What an event says, without what is another one's in each store.
fn facts(events: &[Value]) -> BTreeSet<String> {
    let fact = |event: &Value| {
        let mut event = event.clone();
        for name in ["id", "version"] {
            event.as_object_mut().unwrap().remove(name).unwrap();
        }
        event.to_string()
    };
    events.iter().map(fact).collect()
}

/// One callback of each type, and the events that function `relay` makes of it.
async fn expected(start: Moment, now: UnixMillis) -> Vec<Value> {
    let store = crate::support::Simulated::default();
    let handlers = Handlers::with(store.client());
    for callback in one_of_each(start, now) {
        handlers.deliver(&callback, now).await;
    }
    relay::events_of(&store.stream(0))
}

#[tokio::test]
async fn promise_9_reported_a_laptop_has_the_events_of_the_cloud() {
    let (start, now) = (Moment::recent(), runtime::now());
    let expected = expected(start, now).await;
    let sources: [fn(Embedded) -> Images; 2] = [Images::Embedded, |_| Images::Remote];
    for images in sources {
        let laptop = Laptop::start(images).await;
        let from_the_start = laptop.events("", None, expected.len());
        let (events, ()) = tokio::join!(from_the_start, async {
            // The stream has begun.
            tokio::time::sleep(Duration::from_millis(300)).await;
            laptop.deliver(start, now).await;
        });
        assert_eq!(facts(&events), facts(&expected));
        assert_eq!(events.len(), expected.len(), "a duplicate is no event");
        let numbers: Vec<u128> = events
            .iter()
            .map(|event| event["version"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted() && numbers[0] >= 10_u128.pow(20));
        let ids: BTreeSet<&str> =
            events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), events.len());

        // What was missed after an event, and all that is remembered after one that is not.
        let last = events[2]["id"].as_str();
        assert_eq!(laptop.events("", last, events.len() - 3).await, events[3..]);
        assert_eq!(laptop.events("", Some("unknown"), events.len()).await, events);
        let wanted = |event: &&Value| {
            event["provider"] == "zego"
                && ["presence.left", "room.closed"].contains(&event["type"].as_str().unwrap())
        };
        let wanted: Vec<Value> = events.iter().filter(wanted).cloned().collect();
        assert!(!wanted.is_empty());
        let query = "?provider=zego&app=1&types=presence.left,%20room.closed";
        assert_eq!(laptop.events(query, Some(""), wanted.len()).await, wanted);

        let get = async |url: &str, query: &str| {
            let response = rollcall_players::client()
                .unwrap()
                .get(format!("{url}/events{query}"))
                .send()
                .await
                .unwrap();
            let status = response.status();
            (status, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
        };
        let (status, answer) = get(&laptop.url, "?types=presence.arrived").await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad_parameter"))
        );
        let off = serve(&laptop.handlers, None).await;
        let (status, answer) = get(&off, "").await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::CONFLICT, &json!("events_off"))
        );
    }
}

#[tokio::test]
async fn promise_9_reported_a_webhook_gets_each_event_until_it_takes_it() {
    #[derive(Default)]
    struct Hook {
        calls: Mutex<usize>,
        taken: Mutex<Vec<Value>>,
    }
    async fn take(State(hook): State<Arc<Hook>>, body: String) -> StatusCode {
        let lock = |mutex: &Mutex<usize>| {
            let mut calls = mutex.lock().unwrap_or_else(PoisonError::into_inner);
            *calls += 1;
            *calls
        };
        match lock(&hook.calls) {
            1 => StatusCode::INTERNAL_SERVER_ERROR,
            2 => StatusCode::NOT_FOUND,
            _ => {
                let event = serde_json::from_str(&body).unwrap();
                hook.taken.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                StatusCode::NO_CONTENT
            }
        }
    }
    let hook = Arc::<Hook>::default();
    let (listener, url) = listen().await;
    let router = Router::new().route("/hook", post(take)).with_state(hook.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let laptop = Laptop::start(Images::Embedded).await;
    let reader = laptop.journal.from_now();
    let http = rollcall_players::client().unwrap();
    let posted = tokio::spawn(async move { post_all(&http, &format!("{url}/hook"), reader).await });
    let (start, now) = (Moment::recent(), runtime::now());
    laptop.deliver(start, now).await;
    let count = expected(start, now).await.len();
    let events = laptop.events("", Some(""), count).await;
    laptop.journal.close();
    tokio::time::timeout(LIMIT, posted).await.unwrap().unwrap();
    let taken = hook.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(taken, events, "each once, in their order");
}

/// A timer in the process has rooms checked, and what they find is an event.
#[tokio::test(flavor = "multi_thread")]
async fn promise_9_reported_a_room_that_is_over_or_empty_is_an_event_on_a_laptop() {
    let laptop = Laptop::with_grace(Images::Embedded, Duration::from_secs(1)).await;
    let now = runtime::now();
    laptop.deliver(Moment::recent(), now).await;
    let types = "?types=room.settled,room.emptied&provider=zego";
    let found = laptop.events(types, Some("the first one"), 2).await;
    let names: BTreeSet<&str> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(names, ["room.emptied", "room.settled"].into());
    for event in &found {
        let (known_at, at) = (event["settled_at"].as_u64().unwrap(), event["at"].as_u64().unwrap());
        assert!(known_at >= at + 1000 && known_at >= now.0 + 1000, "{event}");
    }
}
