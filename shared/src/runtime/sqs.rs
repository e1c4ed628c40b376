//! Batches of SQS messages.

use std::{collections::HashMap, convert::Infallible, fmt::Debug, mem, sync::Arc};

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{Error, http, now, time_left};
use crate::{
    domain::UnixMillis,
    erase::Erase,
    queue::ReceivedMessage,
    replay::{Received, Replay},
    settle::Settle,
    spill,
};

/// A batch of SQS messages, as Lambda passes it.
#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    #[serde(rename = "Records")]
    records: Vec<SqsMessage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsMessage {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
}

impl SqsEvent {
    fn received(self, now: UnixMillis) -> Vec<ReceivedMessage> {
        self.records.into_iter().map(|message| message.received(now)).collect()
    }
}

/// What has to be delivered again: Lambda's partial batch response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

impl BatchResponse {
    /// The messages or records with these ids have to be delivered again.
    pub(super) fn of(ids: Vec<String>) -> Self {
        let failure = |item_identifier| BatchItemFailure { item_identifier };
        Self { batch_item_failures: ids.into_iter().map(failure).collect() }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

impl SqsMessage {
    fn number(&self, name: &str) -> Option<u64> {
        self.attributes.get(name)?.parse().ok()
    }

    fn received(self, now: UnixMillis) -> ReceivedMessage {
        let sent_at = self.number("SentTimestamp").map_or(now, UnixMillis);
        ReceivedMessage { message_id: self.message_id, sent_at, body: self.body }
    }
}

/// Serves what Lambda passes to `erase`: requests of its HTTP API, and batches of the messages that
/// make it erase for the second time.
#[must_use]
pub fn erase_service(
    erase: Erase,
) -> impl Service<LambdaEvent<Value>, Response = Value, Error = Error, Future: Send> {
    service_fn(move |event: LambdaEvent<Value>| {
        let erase = erase.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            if payload.get("Records").is_none() {
                let request = LambdaEvent::new(serde_json::from_value(payload)?, context);
                let Ok(response) = http::service(erase).call(request).await;
                return Ok(serde_json::to_value(response)?);
            }
            let batch: SqsEvent = serde_json::from_value(payload)?;
            let now = now();
            let messages = batch.received(now);
            let left = time_left(&context, now) * 80 / 100;
            let kept = erase.repeat_all(messages, now, Instant::now() + left).await;
            Ok(serde_json::to_value(BatchResponse::of(kept))?)
        }
    })
}

/// Serves the batches of messages that Lambda passes to `settle`.
#[must_use]
pub fn settle_service(
    settle: Settle,
) -> impl Service<
    LambdaEvent<SqsEvent>,
    Response: Serialize + Debug + Send,
    Error = Infallible,
    Future: Send,
> {
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let settle = settle.clone();
        async move {
            let now = now();
            let messages = event.payload.received(now);
            let deadline = Instant::now() + time_left(&event.context, now) * 90 / 100;
            Ok::<_, Infallible>(BatchResponse::of(settle.check_all(messages, now, deadline).await))
        }
    })
}

/// Serves the batches of messages that Lambda passes to `spill-replay`.
#[must_use]
pub fn replay_service(
    replay: Replay,
) -> impl Service<
    LambdaEvent<SqsEvent>,
    Response: Serialize + Debug + Send,
    Error = Infallible,
    Future: Send,
> {
    let replay = Arc::new(replay);
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let replay = replay.clone();
        async move {
            let received_at = now();
            let received = |mut message: SqsMessage| {
                let count = message.number("ApproximateReceiveCount");
                Received {
                    receive_count: count.and_then(|count| count.try_into().ok()).unwrap_or(1),
                    receipt_handle: mem::take(&mut message.receipt_handle),
                    received_at,
                    message: message.received(received_at),
                }
            };
            let messages = event.payload.records.into_iter().map(received).collect();
            // Lambda ends a function that takes longer, and then the whole batch counts as failed.
            let left = time_left(&event.context, received_at);
            let after = |percent| Instant::now() + left * percent / 100;
            let kept = replay.replay(messages, after(spill::STORE_PERCENT), after(90)).await;
            Ok::<_, Infallible>(BatchResponse::of(kept))
        }
    })
}
