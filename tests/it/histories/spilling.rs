//! Callbacks that find no store: they wait in the spill queue until `spill-replay` stores them.
//!
//! The store is down for all callbacks that are delivered here, or it flaps.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    HttpClient, RuntimeComponents, SharedHttpClient, retry::RetryConfig,
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use rollcall::{
    aws,
    breaker::Breaker,
    domain::UnixMillis,
    handler,
    http::Reply,
    queue::{Queue, ReceivedMessage},
    replay::{Gate, Received, Replay},
    store::{self, ErasureList, Reader, Writer},
};
use rollcall_players::model::Arrived;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::play::{System, secrets};
use crate::support::{Handlers, RETENTION, Simulated, TABLE_NAME, iam};

/// How long everything may take. No time passes in simulated histories.
const LIMIT: Duration = Duration::from_secs(20);

/// The share of callbacks that find no store, of 256.
const SPILLED: u8 = 64;

/// The spill queue, and the handlers that need it because they cannot reach the store.
pub(super) struct Spilling {
    handlers: Handlers,
    replay: Replay,
    sent: Sent,
    waiting: Vec<Waiting>,
    /// None if all callbacks reach the store.
    random: Option<fastrand::Rng>,
    next_id: usize,
}

/// A message of the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) message_id: String,
    body: String,
    /// What it is about.
    pub(super) arrived: Arrived,
}

impl Spilling {
    pub(super) fn new(system: &System, seed: Option<u64>) -> Self {
        Self::with(system, seed, Sent::default())
    }

    /// The same with a store that is up at first, and then flaps.
    pub(super) fn flapping(system: &System, seed: u64) -> Self {
        let flapping = Flapping {
            store: system.store().clone(),
            mood: Mood::Up,
            random: fastrand::Rng::with_seed(seed),
            asked: 0,
        };
        let flapping = Some(Arc::new(Mutex::new(flapping)));
        let mut spilling = Self::with(system, Some(seed), Sent { flapping, ..Sent::default() });
        spilling.handlers.receiver.breaker = Breaker::with_seed(seed);
        spilling
    }

    fn with(system: &System, seed: Option<u64>, sent: Sent) -> Self {
        let simulated = system.store();
        let config = aws::at("http://nowhere").into_builder();
        let config = config
            .http_client(SharedHttpClient::new(sent.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        let mut handlers = system.handlers();
        let limit = handler::store_limit(handlers.receiver.budget);
        handlers.receiver.store =
            Writer::new(store::connect(&config, limit), TABLE_NAME, RETENTION);
        handlers.receiver.spill = Some(Queue::new(&config, "spill"));
        let replay = Replay {
            store: Writer::new(simulated.client(), TABLE_NAME, RETENTION),
            erasures: ErasureList::new(Reader::new(simulated.client(), TABLE_NAME), Duration::ZERO),
            queue: Queue::new(&config, "spill"),
            dead_letters: Queue::new(&config, "dead-letters"),
            gate: Gate::default(),
        };
        let random = seed.map(fastrand::Rng::with_seed);
        Self { handlers, replay, sent, waiting: Vec::new(), random, next_id: 0 }
    }

    /// Whether the next callback finds no store.
    pub(super) fn is_next_spilled(&mut self) -> bool {
        self.random.as_mut().is_some_and(|random| random.u8(..) < SPILLED)
    }

    /// Delivers a callback to a handler that cannot reach the store. Returns whether a message waits:
    /// some callbacks change nothing.
    pub(super) async fn spill(&mut self, arrived: &Arrived) -> bool {
        let reply = self.deliver(arrived).await;
        assert_eq!(reply.status, 200, "{}: {arrived:?}", reply.body);
        self.collect(arrived, &reply)
    }

    /// Delivers a callback.
    pub(super) async fn deliver(&self, arrived: &Arrived) -> Reply {
        let at = UnixMillis(arrived.received_at);
        let callback = arrived.event.callback(secrets(), at).unwrap();
        self.handlers.deliver(&callback, at).await
    }

    /// Takes the messages of a callback. Returns whether there are any.
    fn collect(&mut self, arrived: &Arrived, reply: &Reply) -> bool {
        let bodies = std::mem::take(&mut *self.sent.messages.lock().unwrap());
        assert_eq!(reply.outcome == Some("spilled"), !bodies.is_empty(), "{arrived:?}");
        let is_waiting = !bodies.is_empty();
        for body in bodies {
            self.wait(body, arrived);
        }
        is_waiting
    }

    /// Takes the messages of several callbacks that came at once. What they are about does not matter.
    pub(super) fn collect_all(&mut self, together: &[Arrived]) {
        let bodies = std::mem::take(&mut *self.sent.messages.lock().unwrap());
        for body in bodies {
            self.wait(body, &together[0]);
        }
    }

    fn wait(&mut self, body: String, arrived: &Arrived) {
        self.next_id += 1;
        let (message_id, arrived) = (self.next_id.to_string(), arrived.clone());
        self.waiting.push(Waiting { message_id, body, arrived });
    }

    /// From now on, the store that flaps is like that.
    pub(super) fn set_mood(&self, mood: Mood) {
        self.sent.flapping.as_ref().unwrap().lock().unwrap().mood = mood;
    }

    /// How often the store that flaps was asked.
    pub(super) fn asked(&self) -> u64 {
        self.sent.flapping.as_ref().unwrap().lock().unwrap().asked
    }

    /// Takes a random part of the messages out of the queue, in random order.
    pub(super) fn take_some(&mut self) -> Vec<Waiting> {
        let Some(random) = &mut self.random else { return Vec::new() };
        if random.u8(..) >= 64 {
            return Vec::new();
        }
        random.shuffle(&mut self.waiting);
        self.waiting.split_off(random.usize(..=self.waiting.len()))
    }

    /// Takes all messages out of the queue.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Replays messages once. Returns the ids of those that stay.
    pub(super) async fn replay(&self, messages: &[&Waiting], now: u64) -> Vec<String> {
        let received = |waiting: &&Waiting| Received {
            message: ReceivedMessage {
                message_id: waiting.message_id.clone(),
                sent_at: UnixMillis(waiting.arrived.received_at),
                body: waiting.body.clone(),
            },
            receipt_handle: waiting.message_id.clone(),
            receive_count: 1,
            received_at: UnixMillis(now),
        };
        let messages = messages.iter().map(received).collect();
        let until = Instant::now() + LIMIT;
        iam::acting_as("spill-replay", self.replay.replay(messages, until, until)).await
    }
}

/// How a store that flaps is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// Anything may happen to a request.
    Mixed,
}

/// A store that flaps.
#[derive(Debug)]
struct Flapping {
    store: Simulated,
    mood: Mood,
    random: fastrand::Rng,
    asked: u64,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    DoneWithoutAnswer,
    Hangs,
    Fails,
    HotPartition,
}

impl Flapping {
    fn fate(&mut self) -> (Fate, Duration) {
        use Fate::{Done, DoneWithoutAnswer, Fails, Hangs, HotPartition};
        self.asked += 1;
        let fates: &[Fate] = match self.mood {
            Mood::Up => &[Done],
            Mood::Down => &[Hangs, Fails, Hangs],
            Mood::Mixed => &[Done, DoneWithoutAnswer, Hangs, Fails, HotPartition],
        };
        let fate = fates[self.random.usize(..fates.len())];
        (fate, Duration::from_millis(self.random.u64(0..20)))
    }
}

/// DynamoDB that is down or flaps, and SQS that takes every message, or most of them.
#[derive(Debug, Clone, Default)]
struct Sent {
    messages: Arc<Mutex<Vec<String>>>,
    /// None if DynamoDB is down.
    flapping: Option<Arc<Mutex<Flapping>>>,
}

impl HttpClient for Sent {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Sent {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (status, answer) = match request.headers().get("x-amz-target").unwrap() {
            "AmazonSQS.SendMessage" if self.is_queue_down() => {
                (500, json!({ "__type": "com.amazonaws.sqs#InternalError" }))
            }
            "AmazonSQS.SendMessage" => {
                let sent: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                let body = sent["MessageBody"].as_str().unwrap().to_owned();
                self.messages.lock().unwrap().push(body);
                (200, json!({ "MessageId": "1" }))
            }
            "AmazonSQS.ChangeMessageVisibility" => (200, json!({})),
            target if target.starts_with("DynamoDB") => {
                if let Some(flapping) = &self.flapping {
                    return HttpConnectorFuture::new(ask(flapping.clone(), request));
                }
                (500, json!({ "__type": INTERNAL_ERROR }))
            }
            target => panic!("nobody asks for {target}"),
        };
        HttpConnectorFuture::ready(Ok(response(status, &answer)))
    }
}

impl Sent {
    fn is_queue_down(&self) -> bool {
        let Some(flapping) = &self.flapping else { return false };
        flapping.lock().unwrap().random.u8(..) < 16
    }
}

const INTERNAL_ERROR: &str = "com.amazonaws.dynamodb.v20120810#InternalServerError";

/// Asks a store that flaps.
async fn ask(
    flapping: Arc<Mutex<Flapping>>,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let (fate, delay) = flapping.lock().unwrap().fate();
    tokio::time::sleep(delay).await;
    let store = flapping.lock().unwrap().store.clone();
    match fate {
        Fate::Done => store.call(request).await,
        Fate::DoneWithoutAnswer => {
            store.call(request).await?;
            std::future::pending().await
        }
        Fate::Hangs => std::future::pending().await,
        Fate::Fails => Ok(response(500, &json!({ "__type": INTERNAL_ERROR }))),
        Fate::HotPartition => Ok(response(400, &hot_partition())),
    }
}

fn hot_partition() -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "message": "Throughput exceeds the current throughput limit of a partition",
        "throttlingReasons": [{
            "reason": "IndexWriteKeyRangeThroughputExceeded",
            "resource": "arn:aws:dynamodb:us-east-1:123456789012:table/rollcall/index/gsi1"
        }]
    })
}

fn response(status: u16, answer: &Value) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(answer.to_string()))
}

impl fmt::Debug for Spilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spilling")
    }
}
