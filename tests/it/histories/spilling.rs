//! Callbacks that find no store: they wait in the spill queue until `spill-replay` stores them.

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
};
use aws_smithy_types::body::SdkBody;
use rollcall::{
    aws,
    domain::UnixMillis,
    queue::{Queue, ReceivedMessage},
    replay::{Gate, Received, Replay},
    store::{self, ErasureList, Reader, Writer},
};
use rollcall_players::model::Arrived;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::play::{System, secrets};
use crate::support::{Handlers, RETENTION, TABLE_NAME, iam};

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
        let System::Simulated(simulated, _) = system else {
            panic!("only a simulated store can be out of reach for some")
        };
        let sent = Sent::default();
        let config = aws::at("http://nowhere").into_builder();
        let config = config
            .http_client(SharedHttpClient::new(sent.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        let mut handlers = system.handlers();
        handlers.receiver.store =
            Writer::new(store::connect(&config, LIMIT), TABLE_NAME, RETENTION);
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
        let at = UnixMillis(arrived.received_at);
        let callback = arrived.event.callback(secrets(), at).unwrap();
        let reply = self.handlers.deliver(&callback, at).await;
        assert_eq!(reply.status, 200, "{}: {arrived:?}", reply.body);
        let bodies = std::mem::take(&mut *self.sent.0.lock().unwrap());
        assert_eq!(reply.outcome == Some("spilled"), !bodies.is_empty(), "{arrived:?}");
        let is_waiting = !bodies.is_empty();
        for body in bodies {
            self.next_id += 1;
            let (message_id, arrived) = (self.next_id.to_string(), arrived.clone());
            self.waiting.push(Waiting { message_id, body, arrived });
        }
        is_waiting
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

/// DynamoDB that is down, and SQS that takes every message.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

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
            "AmazonSQS.SendMessage" => {
                let sent: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                self.0.lock().unwrap().push(sent["MessageBody"].as_str().unwrap().to_owned());
                (200, json!({ "MessageId": "1" }))
            }
            "AmazonSQS.ChangeMessageVisibility" => (200, json!({})),
            target if target.starts_with("DynamoDB") => {
                (500, json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }))
            }
            target => panic!("nobody asks for {target}"),
        };
        let body = SdkBody::from(answer.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
    }
}

impl fmt::Debug for Spilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spilling")
    }
}
