//! `rollcall resync`: the one scan, its events, its policy and what it costs.

use std::{collections::BTreeSet, time::Duration};

use http::StatusCode;
use rollcall::{
    aws,
    domain::{App, ProviderName, UnixMillis},
    relay::{EventBus, LiveRooms, Relay},
    runtime,
    store::{self, ErasureList, LiveMarker, Reader, ReceivedIn, Scanner, TABLE},
};
use rollcall_local::{
    dynamodb::Embedded,
    resync::{Found, Place, Resync, ResyncError},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    BUS, EventBridge, Handlers, Moment, Proxy, RETENTION, TABLE_NAME, iam, one_of_each,
};

const LIMIT: Duration = Duration::from_secs(5);

/// A table with one callback of each type, received at `at`.
struct Stack {
    dynamodb: Proxy,
    bus: EventBridge,
    event_bridge: Proxy,
    handlers: Handlers,
    at: UnixMillis,
}

impl Stack {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(Embedded::in_memory().unwrap().serve(listener, std::future::pending()));
        let client = store::connect(&aws::at(&url), LIMIT);
        TABLE.create(&client, TABLE_NAME).await.unwrap();
        let (handlers, at) = (Handlers::with(client), runtime::now());
        for callback in one_of_each(Moment::recent(), at) {
            let reply = handlers.deliver(&callback, at).await;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        }
        let bus = EventBridge::start().await;
        let event_bridge = Proxy::before(&bus.url).await;
        Self { dynamodb: Proxy::before(&url).await, bus, event_bridge, handlers, at }
    }

    fn scanner(&self) -> Scanner {
        let client = store::connect(&iam::config(&self.dynamodb.url), LIMIT);
        Scanner::new(client, TABLE_NAME, RETENTION)
    }

    /// A run over the callbacks of these milliseconds around the time when they came.
    fn run(&self, app: Option<App>, from: u64, to: u64) -> Resync<EventBus> {
        let client = store::connect(&iam::config(&self.dynamodb.url), LIMIT);
        let relay = Relay {
            bus: EventBus::new(&iam::config(&self.event_bridge.url), BUS, LIMIT),
            erasures: ErasureList::new(Reader::new(client.clone(), TABLE_NAME), Duration::ZERO),
            live: LiveRooms::new(LiveMarker::new(client, TABLE_NAME, RETENTION)),
            checks: None,
        };
        let span = ReceivedIn { from: UnixMillis(from), to: UnixMillis(to) };
        Resync::new(self.scanner(), relay, app, span, LIMIT)
    }

    /// What a whole run finds, and its events.
    async fn whole(&self, mut resync: Resync<EventBus>) -> (Found, Vec<Value>) {
        let (mut found, mut place) = (Found::default(), Some(Place::start(self.at)));
        while let Some(at) = place {
            let page = Box::pin(resync.page(&at, runtime::now(), &mut found));
            place = iam::acting_as(iam::RESYNC, page).await.unwrap();
        }
        let entries = self.bus.take().unwrap_or_default();
        let event = |entry: Value| serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        (found, entries.into_iter().map(event).collect())
    }
}

fn hrefs(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|event| event["href"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn promise_9_reported_a_resync_names_each_room_and_person_of_its_time_once() {
    let stack = Stack::start().await;
    let at = stack.at.0;
    let (found, events) = stack.whole(stack.run(None, at, at)).await;
    assert!(found.rooms > 0 && found.people > 0 && found.unreadable == 0, "{found:?}");
    if stack.bus.take().is_none() {
        return;
    }
    assert_eq!(events.len() as u64, found.rooms + found.people);
    assert_eq!(hrefs(&events).len(), events.len(), "each once");
    for event in &events {
        assert_eq!((&event["type"], &event["at"]), (&json!("resync"), &json!(at)));
        let of = ["room", "user"].map(|name| event[name].is_string());
        assert!(of[0] != of[1], "{event}");
    }
    // Whatever has an event as a fact is in it.
    let facts = crate::relay::records().await.1;
    let facts = hrefs(&crate::relay::events_of(&facts));
    assert!(facts.is_subset(&hrefs(&events)), "{facts:?}");

    // The same place gives the same ids, another run others.
    let (_, again) = stack.whole(stack.run(None, at, at)).await;
    assert_eq!(again, events);
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    let (_, of_app) = stack.whole(stack.run(Some(app), at, at)).await;
    let zego = |event: &&Value| event["provider"] == "zego";
    assert_eq!(of_app, events.iter().filter(zego).cloned().collect::<Vec<_>>());
    // Nothing came at any other time.
    for (from, to) in [(at - 3_600_000, at - 1000), (at + 1000, at + 3_600_000)] {
        assert_eq!(stack.whole(stack.run(None, from, to)).await.1, [json!(null); 0]);
    }

    // Nobody is named who was erased. It is said how many that are.
    let path = "/users/zego/1";
    let user = events.iter().filter(zego).find_map(|event| event["user"].as_str()).unwrap();
    let (status, _) = stack.handlers.erase(path, &format!("user={user}"), runtime::now()).await;
    assert_eq!(status, StatusCode::OK);
    let (found, events) = stack.whole(stack.run(None, at, runtime::now().0)).await;
    assert_eq!(found.erased, 1);
    assert!(events.iter().filter(zego).all(|event| event["user"] != user));
}

#[tokio::test]
async fn promise_9_reported_a_resync_goes_on_where_it_was_interrupted() {
    let stack = Stack::start().await;
    let mut resync = stack.run(None, stack.at.0, stack.at.0);
    let (place, mut found) = (Place::start(stack.at), Found::default());
    assert!(stack.bus.refuse(1) || stack.bus.take().is_none());
    resync.send_limit = Duration::ZERO;
    stack.event_bridge.break_with(Some(crate::support::Fault::internal_error()));
    let page = Box::pin(resync.page(&place, runtime::now(), &mut found));
    let error = iam::acting_as(iam::RESYNC, page).await.unwrap_err();
    assert!(matches!(error, ResyncError::Unsent(_)), "{error}");
    assert_eq!(found, Found::default(), "the page is read again");
    stack.event_bridge.break_with(None);
    let word = place.token();
    assert_eq!(Place::of_token(&word), Some(place));
    assert_eq!(Place::of_token("nonsense"), None);
    resync.send_limit = LIMIT;
    let (found, events) = stack.whole(resync).await;
    assert!(found.rooms > 0);
    assert!(stack.bus.take().is_none() || events.len() as u64 == found.rooms + found.people);
}

#[tokio::test]
async fn resync_needs_what_its_policy_allows_and_nothing_else() {
    let stack = Stack::start().await;
    let counting = iam::acting_as(iam::RESYNC, async { stack.scanner().about_items().await });
    assert!(counting.await.unwrap() > 0);
    stack.whole(stack.run(None, stack.at.0, stack.at.0)).await;
    let requests = stack.dynamodb.take().into_iter().chain(stack.event_bridge.take());
    let done: BTreeSet<iam::Permission> = requests.map(|request| request.permission()).collect();
    assert_eq!(done, iam::POLICIES[iam::RESYNC]);
}

/// What docs/performance.md says: half a read unit for each 4 KB of a page, whatever is found.
#[tokio::test]
async fn a_resync_reads_every_item_once_and_eventually_consistent() {
    let stack = Stack::start().await;
    let at = stack.at.0;
    let (nothing, _) = stack.whole(stack.run(None, 1, 2)).await;
    let (all, _) = stack.whole(stack.run(None, at, at)).await;
    assert_eq!((nothing.items, nothing.read_units), (all.items, all.read_units));
    let bytes: usize = crate::support::dump(&store::connect(&aws::at(&stack.dynamodb.url), LIMIT))
        .await
        .values()
        .map(|item| item.to_string().len())
        .sum();
    // JSON is longer than what DynamoDB counts, by less than four times.
    let most = f64::from(u32::try_from(bytes.div_ceil(4096)).unwrap()) / 2.0;
    println!("{} items, about {bytes} bytes: {} read units", all.items, all.read_units);
    assert!(all.read_units > 0.0 && all.read_units <= most + 0.5, "{all:?}, {bytes} bytes");
    for request in stack.dynamodb.take().iter().filter(|request| request.operation == "Scan") {
        assert!(!request.body.contains("ConsistentRead"), "{}", request.body);
    }
}
