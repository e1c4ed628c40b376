//! Batches of records of the table's stream.

use std::{fmt::Debug, sync::Arc};

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Error, now, sqs::BatchResponse, time_left};
use crate::relay::{Bus, Received, Relay};

/// A batch of records of a table's stream, as Lambda passes it.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    /// They are read one by one, so that one that cannot be read does not affect the others.
    #[serde(rename = "Records")]
    records: Vec<Box<RawValue>>,
}

/// The part of a record that names it.
#[derive(Deserialize)]
struct Named {
    dynamodb: Place,
}

#[derive(Deserialize)]
struct Place {
    #[serde(rename = "SequenceNumber")]
    sequence_number: String,
}

/// Serves the batches of records that Lambda passes to `relay`.
#[must_use]
pub fn relay_service<B: Bus + Send + Sync + 'static>(
    relay: Relay<B>,
) -> impl Service<
    LambdaEvent<StreamEvent>,
    Response: Serialize + Debug + Send,
    Error = Error,
    Future: Send,
> {
    let relay = Arc::new(relay);
    service_fn(move |event: LambdaEvent<StreamEvent>| {
        let relay = relay.clone();
        async move {
            let received = |json: &RawValue| {
                let Named { dynamodb } = serde_json::from_str(json.get())?;
                Ok::<_, serde_json::Error>(Received {
                    sequence_number: dynamodb.sequence_number,
                    record: serde_json::from_str(json.get()),
                })
            };
            let records: Vec<Received> = event
                .payload
                .records
                .iter()
                .map(|json| received(json))
                .collect::<Result<_, _>>()?;
            // Lambda ends a function that takes longer, and then the whole batch counts as failed.
            let received_at = now();
            let deadline = Instant::now() + time_left(&event.context, received_at) * 9 / 10;
            // Lambda delivers again from the lowest of these on.
            Ok::<_, Error>(BatchResponse::of(relay.relay(&records, received_at, deadline).await))
        }
    })
}
