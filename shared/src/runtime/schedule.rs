//! What happens at set times.

use std::{sync::Arc, time::Duration};

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{Error, now};
use crate::sweep::Sweep;

/// Serves the schedule by which Lambda invokes `sweep`. The event says nothing that matters.
#[must_use]
pub fn sweep_service(
    sweep: Sweep,
) -> impl Service<LambdaEvent<Value>, Response = (), Error = Error, Future: Send> {
    let sweep = Arc::new(sweep);
    service_fn(move |event: LambdaEvent<Value>| {
        let sweep = sweep.clone();
        async move {
            let began_at = now();
            // The place is noted in the rest.
            let left = event.context.deadline.saturating_sub(began_at.0) * 4 / 5;
            let deadline = Instant::now() + Duration::from_millis(left);
            sweep.run(&event.context.request_id, began_at, deadline).await.map_err(|error| {
                tracing::error!(%error, "a run of the sweep ended early");
                error
            })?;
            Ok::<_, Error>(())
        }
    })
}
