//! What happens at set times.

use std::sync::Arc;

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{Error, now, time_left};
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
            let deadline = Instant::now() + time_left(&event.context, began_at) * 4 / 5;
            sweep.run(&event.context.request_id, began_at, deadline).await.map_err(|error| {
                tracing::error!(%error, "a run of the sweep ended early");
                error
            })?;
            Ok::<_, Error>(())
        }
    })
}
