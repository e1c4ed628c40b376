//! Function `settle`: messages of its queue in, items of settled and empty rooms out; and `relay`,
//! which sends the messages. Over HTTP to a queue.

use std::time::Duration;

use http::StatusCode;
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    callback::Secret,
    queue::Queue,
    record::Records,
    relay::{EventBus, Relay, rooms_to_check},
    routes::{RELAY, SETTLE},
    runtime::{self, SqsEvent, StreamEvent, relay_service, settle_service},
    settle::{CheckQueue, Checks, Settle},
    store::{Reader, Settler, StreamRecord},
};
use rollcall_players::zego::{self, EventName};
use serde_json::{Value, json};

use crate::{
    histories::relay::{erasures, live_rooms},
    relay::events_of,
    support::{
        BUS, EventBridge, Handlers, Moment, RETENTION, SECRET, Simulated, Sqs, TABLE_NAME,
        TestQueue, iam, zego_event,
    },
};

const LIMIT: Duration = Duration::from_secs(5);

const GRACE: Duration = Duration::from_secs(1);

/// A table, and the two functions with the queue between them.
struct Stage {
    store: Simulated,
    handlers: Handlers,
    queue: TestQueue,
    checks: Checks,
    bus: EventBridge,
    /// How many records were relayed.
    relayed: usize,
}

impl Stage {
    async fn start() -> Self {
        let store = Simulated::default();
        let sqs = Sqs::start().await;
        let queue = sqs.queue("SettleQueue").await;
        let checks = checks(&store, &sqs.url, &queue.url);
        let handlers = Handlers::with(store.client());
        Self { handlers, store, queue, checks, bus: EventBridge::start().await, relayed: 0 }
    }

    /// Delivers events of one room, at a time that is now by our clock.
    async fn deliver(&self, events: impl IntoIterator<Item = zego::Event>) {
        let (secret, now) = (Secret::new(SECRET.to_owned()).unwrap(), runtime::now());
        for (number, event) in events.into_iter().enumerate() {
            let callback = event.callback(&secret, now.seconds(), &number.to_string());
            assert_eq!(self.handlers.deliver(&callback, now).await.status, StatusCode::OK);
        }
    }

    /// Invokes `relay` with what is new; returns the numbers of the records that come again.
    async fn relay(&mut self, checks: Checks, time: Duration) -> Vec<String> {
        let records = self.store.stream(self.relayed);
        let records: Vec<Value> = records
            .into_iter()
            .filter(|record| {
                let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap();
                !sk.starts_with("check#") && !sk.starts_with("app#") && sk != "live"
            })
            .collect();
        let relay = Relay {
            bus: EventBus::new(&iam::config(&self.bus.url), BUS, LIMIT),
            erasures: erasures(&self.store),
            live: live_rooms(&self.store),
            checks: Some(checks),
        };
        let event: StreamEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
        let mut context = Context::default();
        context.deadline = runtime::now().after(time).0;
        let relaying = relay_service(relay).call(LambdaEvent::new(event, context)).await;
        let answer = serde_json::to_value(relaying.unwrap()).unwrap();
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    async fn relay_all(&mut self) {
        let checks = self.checks.clone();
        assert_eq!(iam::acting_as(RELAY, self.relay(checks, LIMIT)).await, [""; 0]);
        self.relayed = self.store.stream(0).len();
    }

    /// Invokes `settle` with a batch of the queue, within a time.
    async fn settle(&mut self) -> (usize, usize) {
        let records = Records::new(Reader::new(self.store.client(), TABLE_NAME), Duration::ZERO);
        let mut function = settle_service(Settle { records, checks: self.checks.clone() });
        let invoke = async |event: Value| {
            let event: SqsEvent = serde_json::from_value(event).unwrap();
            let mut context = Context::default();
            context.deadline = runtime::now().after(LIMIT).0;
            let settling = function.call(LambdaEvent::new(event, context));
            let answer = iam::acting_as(SETTLE, settling).await.unwrap();
            Some(serde_json::to_value(answer).unwrap())
        };
        self.queue.poll(invoke).await
    }

    /// What `settle` finds, when it has found so much. The queue may deliver a message too early.
    async fn found(&mut self, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let (_, stayed) = self.settle().await;
            assert_eq!(stayed, 0);
            let found: Vec<Value> = events_of(&self.store.stream(0))
                .into_iter()
                .filter(|event| !event["settled_at"].is_null())
                .collect();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nothing is found");
    }
}

fn checks(store: &Simulated, sqs: &str, queue: &str) -> Checks {
    Checks {
        store: Settler::new(store.client(), TABLE_NAME, RETENTION),
        queue: CheckQueue::Queue(Box::new(Queue::new(&iam::config(sqs), queue))),
        grace: GRACE,
    }
}

/// A life of a room, but for the login of its second person.
fn lesson(start: Moment) -> [zego::Event; 5] {
    let of = |user: &str, event: zego::Event| zego::Event { user: user.to_owned(), ..event };
    [
        zego_event(EventName::RoomCreate, start.plus(0)),
        of("ada", zego_event(EventName::RoomLogin, start.plus(1))),
        of("bob", zego_event(EventName::RoomLogin, start.plus(2))),
        of("ada", zego_event(EventName::RoomLogout, start.plus(3))),
        zego_event(EventName::RoomClose, start.plus(4)),
    ]
}

#[tokio::test]
async fn promise_9_reported_a_life_is_settled_once_and_again_when_a_callback_changes_its_report() {
    let mut stage = Stage::start().await;
    let [create, ada, bob, left, close] = lesson(Moment::recent());
    stage.deliver([create, ada, left, close]).await;
    let before = runtime::now();
    stage.relay_all().await;
    let found = stage.found(2).await;
    let of_type = |found: &[Value], name: &str| -> Vec<Value> {
        found.iter().filter(|event| event["type"] == name).cloned().collect()
    };
    let settled = of_type(&found, "room.settled");
    assert_eq!(settled.len(), 1, "{found:#?}");
    assert_eq!((&settled[0]["revision"], &settled[0]["people"]), (&json!(1), &json!(1)));
    assert!(settled[0]["settled_at"].as_u64().unwrap() >= before.after(GRACE).0);
    assert_eq!(of_type(&found, "room.emptied").len(), 1);
    // Its own records ask for nothing.
    stage.relay_all().await;
    assert_eq!(stage.settle().await, (0, 0));

    stage.deliver([bob]).await;
    stage.relay_all().await;
    let found = stage.found(3).await;
    let settled = of_type(&found, "room.settled");
    assert_eq!((&settled[1]["revision"], &settled[1]["people"]), (&json!(2), &json!(2)));
    assert_eq!(settled[1]["late"], true);
    assert_ne!(settled[0]["digest"], settled[1]["digest"]);
    let (path, query) = settled[1]["href"].as_str().unwrap().split_once('?').unwrap();
    let (status, report) = stage.handlers.get(path, query, runtime::now()).await;
    assert_eq!((status, &report["final"]), (StatusCode::OK, &json!(true)));
    for name in ["people", "person_ms", "missing", "digest", "began_at", "ended_at"] {
        assert_eq!(report[name], settled[1][name], "{name}");
    }
}

/// Several relays that see facts of one room send one message.
#[tokio::test]
async fn promise_9_reported_a_room_has_one_message_in_the_queue() {
    let mut stage = Stage::start().await;
    // Longer than the test.
    stage.checks.grace = Duration::from_mins(10);
    for event in lesson(Moment::recent()) {
        stage.deliver([event]).await;
        stage.relay_all().await;
    }
    // A real queue delays it.
    let expected = usize::from(std::env::var_os("ROLLCALL_TEST_SQS_URL").is_none());
    assert_eq!(stage.queue.receive().await.len(), expected);
}

#[tokio::test]
async fn promise_9_reported_records_come_again_while_their_rooms_may_not_be_checked() {
    let mut stage = Stage::start().await;
    stage.deliver(lesson(Moment::recent())).await;
    let records = stage.store.stream(0);
    let asks = |record: &&Value| {
        let record: StreamRecord = serde_json::from_value((*record).clone()).unwrap();
        !rooms_to_check(&record, GRACE, runtime::now()).unwrap().is_empty()
    };
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
    let asking: Vec<String> = records.iter().filter(asks).map(number).collect();
    let nowhere = checks(&stage.store, "http://127.0.0.1:9", "http://127.0.0.1:9/SettleQueue-1");
    let kept = stage.relay(nowhere, Duration::from_secs(1));
    assert_eq!(iam::acting_as(RELAY, kept).await, asking);
    // The note that was written does not keep them from being checked now.
    stage.relay_all().await;
    assert_eq!(stage.found(2).await.len(), 2);
}

#[tokio::test]
async fn promise_9_reported_a_message_that_cannot_be_read_stays_and_does_not_affect_the_others() {
    let mut stage = Stage::start().await;
    stage.deliver(lesson(Moment::recent())).await;
    stage.relay_all().await;
    stage.queue.send("nonsense").await;
    let mut stayed = 0;
    for _ in 0..200 {
        stayed += stage.settle().await.1;
        if events_of(&stage.store.stream(0)).iter().any(|event| event["type"] == "room.settled") {
            assert_eq!(stayed, 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing is settled");
}
