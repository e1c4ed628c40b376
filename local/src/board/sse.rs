//! `GET /board/callbacks`: a stream of Server-Sent Events.

use std::time::Duration;

use axum::{
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
};
use futures::stream;
use http::HeaderMap;

use super::callbacks::{Callbacks, Seen};
use crate::ring::Reader;

/// How often a comment shows that the connection still works.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How long callbacks are collected before those who watch are woken again.
const PAUSE: Duration = Duration::from_millis(50);

/// Those after `Last-Event-ID`, or all that are remembered, and then each new one.
pub(super) async fn callbacks(State(callbacks): State<Callbacks>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let alive = KeepAlive::new().interval(KEEP_ALIVE).text("no callbacks");
    Sse::new(stream::unfold(callbacks.after(last), next)).keep_alive(alive).into_response()
}

/// The next callback. A reader that is too slow is cut off: its client connects again, and gets what
/// is left.
async fn next(
    mut reader: Reader<Seen>,
) -> Option<(Result<sse::Event, serde_json::Error>, Reader<Seen>)> {
    let seen = match reader.now() {
        Ok(Some(seen)) => Ok(Some(seen)),
        Ok(None) => {
            tokio::time::sleep(PAUSE).await;
            reader.next().await
        }
        Err(forgotten) => Err(forgotten),
    };
    match seen {
        Ok(seen) => {
            let seen = seen?;
            let event = serde_json::to_string(&*seen)
                .map(|json| sse::Event::default().id(seen.id.to_string()).data(json));
            Some((event, reader))
        }
        Err(forgotten) => {
            tracing::warn!(%forgotten, "a reader of /board/callbacks is too slow");
            None
        }
    }
}
