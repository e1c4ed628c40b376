//! `GET /events`: a stream of Server-Sent Events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures::stream;
use http::{HeaderMap, StatusCode};
use rollcall::http::{ErrorCode, Reply};
use serde::Deserialize;

use super::{Journal, Line, Reader};

/// How often a comment shows that the connection still works.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events are asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    provider: Option<String>,
    app: Option<String>,
    /// Types, separated by commas.
    types: Option<String>,
}

impl Wanted {
    fn types(&self) -> Option<impl Iterator<Item = &str>> {
        self.types.as_deref().map(|types| types.split(',').map(str::trim))
    }

    /// A type that no event has.
    fn unknown_type(&self) -> Option<&str> {
        self.types()?.find(|of| !rollcall::relay::Event::NAMES.contains(of))
    }

    fn has(&self, line: &Line) -> bool {
        let is = |wanted: &Option<String>, got: &str| wanted.as_deref().is_none_or(|of| of == got);
        is(&self.provider, line.provider)
            && is(&self.app, &line.app)
            && self.types().is_none_or(|mut types| types.any(|of| of == line.name))
    }
}

/// The route `/events` on this journal; without one, events are off.
pub fn router(journal: Option<Arc<Journal>>) -> Router {
    Router::new().route("/events", get(events)).with_state(journal)
}

/// The events from now on, or those after `Last-Event-ID`.
async fn events(
    State(journal): State<Option<Arc<Journal>>>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Some(journal) = journal else {
        return error(StatusCode::CONFLICT, ErrorCode::EventsOff, "events are off: --events on");
    };
    if let Some(unknown) = wanted.unknown_type() {
        let message = format!(
            "`types` has {unknown}; there are {}",
            rollcall::relay::Event::NAMES.join(", ")
        );
        return error(StatusCode::BAD_REQUEST, ErrorCode::BadParameter, &message);
    }
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let reader = match last {
        Some(id) => journal.after(id),
        None => journal.from_now(),
    };
    let alive = KeepAlive::new().interval(KEEP_ALIVE).text("no events");
    Sse::new(stream::unfold((reader, wanted), next)).keep_alive(alive).into_response()
}

fn error(status: StatusCode, code: ErrorCode, message: &str) -> Response {
    http::Response::from(Reply::error(status, code, message.to_owned())).into_response()
}

/// The next wanted event. A reader that is too slow is cut off: its client connects again, and
/// learns from `Last-Event-ID` what is left.
async fn next(
    (mut reader, wanted): (Reader, Wanted),
) -> Option<(Result<Event, Infallible>, (Reader, Wanted))> {
    loop {
        match reader.next().await {
            Ok(Some(line)) if wanted.has(&line) => {
                let event = Event::default().id(&line.id).data(&line.json);
                return Some((Ok(event), (reader, wanted)));
            }
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(forgotten) => {
                tracing::warn!(%forgotten, "a reader of /events is too slow");
                return None;
            }
        }
    }
}
