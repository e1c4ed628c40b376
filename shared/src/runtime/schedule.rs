//! What happens at set times.

use std::sync::Arc;

use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Service, service_fn},
};
use serde_json::Value;
use tokio::time::Instant;

#[cfg(feature = "server-api")]
use super::http;
use super::{Error, now, time_left};
#[cfg(feature = "server-api")]
use crate::reconcile::Reconcile;
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

/// Serves what Lambda passes to `reconcile`: requests of its HTTP API, and the schedule. The event of
/// the schedule says nothing that matters.
#[cfg(feature = "server-api")]
#[must_use]
pub fn reconcile_service(
    reconcile: Reconcile,
) -> impl Service<LambdaEvent<Value>, Response = Value, Error = Error, Future: Send> {
    service_fn(move |event: LambdaEvent<Value>| {
        let reconcile = reconcile.clone();
        async move {
            let LambdaEvent { payload, context } = event;
            let run_id = context.request_id.clone();
            if payload.get("requestContext").is_some() {
                let request = LambdaEvent::new(serde_json::from_value(payload)?, context);
                let Ok(response) =
                    http::service(http::ReconcileRequest { reconcile, run_id }).call(request).await;
                return Ok(serde_json::to_value(response)?);
            }
            let began_at = now();
            // Rooms that have begun are ended in the rest.
            let deadline = Instant::now() + time_left(&context, began_at) * 9 / 10;
            reconcile.run(&run_id, began_at, deadline).await.map_err(|error| {
                tracing::error!(%error, "a run of passes ended early");
                error
            })?;
            Ok::<_, Error>(Value::Null)
        }
    })
}
