//! The drain of the spill queue against a store that throttles, is down, or comes back, in virtual time.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    HttpClient, RuntimeComponents, SharedHttpClient, retry::RetryConfig,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use rollcall::{
    aws,
    domain::UnixMillis,
    queue::{Queue, ReceivedMessage},
    replay::{Gate, Received, Replay},
    spill::LONGEST_WAIT,
    store::{self, ErasureList, Reader, Writer},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{RETENTION, TABLE_NAME, iam};

/// As long as `spill-replay` tries a batch.
const TRIED: Duration = Duration::from_secs(42);

/// As many messages as `template.yaml` lets it receive.
const BATCH: usize = 50;

/// A table of which callbacks leave so many writes a second, and which is down at first; and a queue.
#[derive(Debug, Clone)]
struct Busy(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    start: Instant,
    a_second: u32,
    down_for: Duration,
    /// How many writes were stored, and how many were throttled or failed, in each second.
    stored: BTreeMap<u64, u32>,
    refused: BTreeMap<u64, u32>,
    /// The waits, in seconds.
    waits: Vec<u64>,
}

impl Busy {
    fn new(a_second: u32, down_for: Duration) -> Self {
        let (stored, refused, waits) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let start = Instant::now();
        Self(Arc::new(Mutex::new(State { start, a_second, down_for, stored, refused, waits })))
    }

    fn replay(&self) -> Replay {
        let config = aws::at("http://nowhere").into_builder();
        let config = config.http_client(SharedHttpClient::new(self.clone()));
        let config = config.retry_config(RetryConfig::disabled()).build();
        let client = store::connect_once(&config, Duration::from_secs(5));
        Replay {
            store: Writer::new(client.clone(), TABLE_NAME, RETENTION),
            erasures: ErasureList::new(Reader::new(client, TABLE_NAME), Duration::ZERO),
            queue: Queue::new(&config, "spill"),
            dead_letters: Queue::new(&config, "dead-letters"),
            gate: Gate::default(),
        }
    }

    fn state<T>(&self, of: impl FnOnce(&State) -> T) -> T {
        of(&self.0.lock().unwrap())
    }
}

impl HttpClient for Busy {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Busy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().unwrap();
        let elapsed = state.start.elapsed();
        let second = elapsed.as_secs();
        let error = |name| json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}") });
        let (status, answer) = match request.headers().get("x-amz-target").unwrap() {
            "AmazonSQS.ChangeMessageVisibility" => {
                let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                state.waits.push(asked["VisibilityTimeout"].as_u64().unwrap());
                (200, json!({}))
            }
            "DynamoDB_20120810.Query" => (200, json!({ "Items": [], "Count": 0 })),
            "DynamoDB_20120810.UpdateItem" if elapsed < state.down_for => {
                *state.refused.entry(second).or_default() += 1;
                (500, error("InternalServerError"))
            }
            "DynamoDB_20120810.UpdateItem" => {
                let a_second = state.a_second;
                let stored = state.stored.entry(second).or_default();
                if *stored < a_second {
                    *stored += 1;
                    (200, json!({}))
                } else {
                    *state.refused.entry(second).or_default() += 1;
                    (400, error("ProvisionedThroughputExceededException"))
                }
            }
            target => panic!("nobody asks for {target}"),
        };
        let body = SdkBody::from(answer.to_string());
        let response = HttpResponse::new(status.try_into().unwrap(), body);
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(response)
        })
    }
}

/// A batch of messages, each with one life that began.
fn batch(number: usize, changes: usize) -> Vec<Received> {
    let message = |index: usize| {
        let mut lives = String::new();
        for life in 0..changes {
            let comma = if life == 0 { "" } else { "," };
            let room = format!("room{number}-{index}-{life}");
            write!(
                lives,
                r#"{comma}{{"life":{{"app":{{"provider":"zego","id":"1"}},"room":"{room}","life":"7",
                "boundary":{{"closed":{{"at":7,"reason":1}}}}}}}}"#
            )
            .unwrap();
        }
        let body = format!(
            r#"{{"version":1,"event":"room_close","received_at":1790000000000,"changes":[{lives}]}}"#
        );
        let (message_id, sent_at) = (format!("{number}-{index}"), UnixMillis(1_790_000_000_000));
        Received {
            receipt_handle: message_id.clone(),
            message: ReceivedMessage { message_id, sent_at, body },
            receive_count: 1,
            received_at: UnixMillis(1_790_000_060_000),
        }
    };
    (0..BATCH).map(message).collect()
}

async fn replay(replay: &Replay, messages: Vec<Received>) -> Vec<String> {
    let now = Instant::now();
    let (until, deadline) = (now + TRIED, now + TRIED + Duration::from_secs(12));
    iam::acting_as("spill-replay", replay.replay(messages, until, deadline)).await
}

/// Promise 5: what the table throttles is stored all the same, at the rate that callbacks leave. The
/// drain lowers its own rate, and takes hardly anything from them.
#[tokio::test(start_paused = true)]
async fn promise_5_never_lost_a_drain_that_is_throttled_lowers_its_own_rate() {
    for a_second in [10, 40] {
        let table = Busy::new(a_second, Duration::ZERO);
        let drain = table.replay();
        for number in 0..20 {
            assert!(replay(&drain, batch(number, 1)).await.is_empty());
        }
        let took = table.state(|state| state.start.elapsed()).as_secs_f64();
        let stored: u32 = table.state(|state| state.stored.values().sum());
        assert_eq!(stored, 1000);
        let rate = f64::from(stored) / took;
        assert!(rate > f64::from(a_second) * 0.5, "{rate} a second of {a_second}");
        // At first it does not know the table.
        let refused: u32 =
            table.state(|state| state.refused.range(5..).map(|(_, refused)| refused).sum());
        assert!(f64::from(refused) < f64::from(stored) * 0.15, "{refused} of {stored}");
    }
    let table = Busy::new(10_000, Duration::ZERO);
    let drain = table.replay();
    for number in 0..100 {
        assert!(replay(&drain, batch(number, 1)).await.is_empty());
    }
    let took = table.state(|state| state.start.elapsed());
    assert!(took < Duration::from_secs(25), "{took:?} for 5000 changes and a table with room");
}

/// The pace is that of changes, not of messages: a message may hold a thousand.
#[tokio::test(start_paused = true)]
async fn a_batch_of_large_messages_is_as_slow_as_its_changes() {
    let table = Busy::new(50, Duration::ZERO);
    let kept = replay(&table.replay(), batch(0, 100)).await;
    let took = table.state(|state| state.start.elapsed());
    assert!((TRIED..TRIED + Duration::from_secs(2)).contains(&took), "{took:?}");
    let stored = table.state(|state| state.stored.values().sum::<u32>());
    assert!(stored <= 50 * 43 && stored > 50 * 20, "{stored}");
    assert!(!kept.is_empty(), "what is not stored stays in the queue");
}

/// While the store is down, an instance keeps its batch, tries one change now and then, and lets the
/// messages wait. So few of them are in flight, and the store is not in its own way.
#[tokio::test(start_paused = true)]
async fn in_an_outage_an_instance_keeps_its_batch_and_tries_one_change_now_and_then() {
    let table = Busy::new(10_000, Duration::from_hours(1));
    let drain = table.replay();
    let kept = replay(&drain, batch(0, 1)).await;
    let took = table.state(|state| state.start.elapsed());
    assert!((TRIED..TRIED + Duration::from_secs(1)).contains(&took), "{took:?}");
    assert_eq!(kept.len(), BATCH);
    let tried: u32 = table.state(|state| state.refused.values().sum());
    assert!(tried <= 12, "{tried} requests");
    let waits = table.state(|state| state.waits.clone());
    assert_eq!(waits.len(), BATCH);
    assert!(waits.iter().all(|wait| *wait <= LONGEST_WAIT.as_secs()), "{waits:?}");
}

/// The batch that an instance keeps is stored as soon as the store is back.
#[tokio::test(start_paused = true)]
async fn a_drain_begins_seconds_after_the_store_is_back() {
    let table = Busy::new(10_000, Duration::from_secs(20));
    let drain = table.replay();
    assert!(replay(&drain, batch(0, 1)).await.is_empty());
    let took = table.state(|state| state.start.elapsed());
    assert!(took < Duration::from_secs(32), "{took:?}");
    assert_eq!(table.state(|state| state.stored.values().sum::<u32>()), 50);
}
