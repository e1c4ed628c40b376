//! Batches of SQS messages.

use std::{collections::HashMap, convert::Infallible, fmt::Debug, sync::Arc, time::Duration};

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::now;
use crate::{
    domain::UnixMillis,
    replay::{Received, Replay},
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
            let received = |message: SqsMessage| {
                let number = |name| message.attributes.get(name)?.parse::<u64>().ok();
                let count = number("ApproximateReceiveCount");
                Received {
                    receive_count: count.and_then(|count| count.try_into().ok()).unwrap_or(1),
                    sent_at: number("SentTimestamp").map_or(received_at, UnixMillis),
                    message_id: message.message_id,
                    receipt_handle: message.receipt_handle,
                    received_at,
                    body: message.body,
                }
            };
            let messages = event.payload.records.into_iter().map(received).collect();
            // Lambda ends a function that takes longer, and then the whole batch counts as failed.
            let left = event.context.deadline.saturating_sub(received_at.0);
            let after = |percent| Instant::now() + Duration::from_millis(left * percent / 100);
            let kept = replay.replay(messages, after(70), after(90)).await;
            Ok::<_, Infallible>(BatchResponse::of(kept))
        }
    })
}
