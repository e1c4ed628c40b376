//! The local gateway: what API Gateway and Lambda do in the cloud, in one process.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use rollcall::{
    domain::UnixMillis,
    endpoint::Endpoint,
    erase::Erase,
    handler::Receiver,
    http::{Reply, Request},
    payload,
    query::Queries,
    reconcile::Reconcile,
    request_id::{self, RequestId},
    routes::{self, BackendFunction},
    runtime,
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
use tokio::net::TcpListener;
use tracing::Instrument;

use crate::{
    board::{Answered, Board, Callbacks, Guard, log_line},
    events::{self, Journal},
    reply::message,
};

/// The longest body that API Gateway accepts.
const MAX_BODY_BYTES: usize = 10 << 20;

/// The approximate length of the JSON of a request or an answer without body, headers, path and
/// query.
const ENVELOPE_BYTES: usize = 1 << 10;

const HEADER: HeaderName = HeaderName::from_static(request_id::HEADER);

/// How much of a longer body is read and dropped, so that its sender sees the answer instead of a
/// reset connection.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// The functions behind the gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Receives callbacks.
    pub receiver: Receiver,
    /// Answers queries.
    pub queries: Queries,
    /// Erases people.
    pub erase: Erase,
    /// Mints and verifies Tencent's UserSigs.
    pub user_sigs: UserSigs,
    /// Mints and verifies ZEGO's tokens.
    pub zego_tokens: ZegoTokens,
    /// Asks providers who is there.
    pub reconcile: Reconcile,
}

impl Gateway {
    /// The routes that the cloud has, too.
    pub fn router(self) -> Router {
        self.watched(None)
    }

    /// The same; callbacks that are answered are noted.
    fn watched(self, callbacks: Option<Callbacks>) -> Router {
        Router::new().fallback(answer).with_state(Arc::new((self, callbacks)))
    }

    /// Serves until `stop` resolves and all requests in progress are answered. `GET /` is the board.
    /// `GET /events` is a stream of the journal's events; without a journal, events are off. All
    /// but callbacks are guarded.
    ///
    /// # Errors
    ///
    /// If the server fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        board: Board,
        journal: Option<Arc<Journal>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let functions = self.watched(Some(board.callbacks.clone()));
        let router = board.router().merge(events::router(journal)).fallback_service(functions);
        let is_callback = |request: &axum::extract::Request| {
            callback(request.method(), &path_of(request.uri())).is_some()
        };
        let router = Guard::new(listener.local_addr()?, is_callback)
            .around(router)
            .into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, router).with_graceful_shutdown(stop).await
    }
}

/// The path of a request. API Gateway decodes it as a whole, into a text.
fn path_of(uri: &Uri) -> String {
    percent_decode_str(uri.path()).decode_utf8_lossy().into_owned()
}

/// The callback type that a request belongs to, if it is a callback.
fn callback(method: &Method, path: &str) -> Option<Endpoint> {
    Endpoint::at(path).filter(|_| *method == Method::POST)
}

/// The route of a callback, as the table of routes writes it: the rest of a path may be anything.
fn route(endpoint: Endpoint, path: &str) -> &'static str {
    let own = endpoint.routes.iter().find(|route| **route == path);
    own.or(endpoint.routes.last()).copied().unwrap_or_default()
}

/// Answers a callback, and notes it for the board.
async fn receive(
    endpoint: Endpoint,
    receiver: &Receiver,
    request: &Request,
    callbacks: &Callbacks,
) -> Reply {
    let started = Instant::now();
    let (reply, said) = log_line::listen(endpoint.receive(receiver, request)).await;
    callbacks.add(Answered {
        at: request.received_at,
        route: route(endpoint, &request.path),
        said,
        status: reply.status.as_u16(),
        counts: reply.counts.as_ref().map(ToString::to_string),
        took_us: started.elapsed().as_micros(),
    });
    reply
}

type Shared = Arc<(Gateway, Option<Callbacks>)>;

/// Answers a request, which gets an id as API Gateway gives it one.
async fn answer(State(shared): State<Shared>, request: axum::extract::Request) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let received_at = runtime::now();
    let id = RequestId::new(format!("{}-{received_at}-{number}", std::process::id()));
    let answering = Box::pin(answer_by_function(&shared, request, &id, received_at));
    let mut response = answering.instrument(id.span()).await;
    let value = HeaderValue::from_str(id.as_str());
    response.headers_mut().extend(value.ok().map(|id| (HEADER, id)));
    response
}

async fn answer_by_function(
    shared: &Shared,
    request: axum::extract::Request,
    id: &RequestId,
    received_at: UnixMillis,
) -> Response {
    let (gateway, callbacks) = &**shared;
    let (parts, body) = request.into_parts();
    let Ok(body) = read(body).await else {
        return message(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    if body.len() > MAX_BODY_BYTES || call_bytes(&parts, &body) > payload::LIMIT {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let request = Request {
        source_ip: peer.map(|peer| peer.0.ip()),
        path: path_of(&parts.uri),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        received_at,
    };
    if let Some(endpoint) = callback(&request.method, &request.path) {
        return response(match callbacks {
            Some(callbacks) => receive(endpoint, &gateway.receiver, &request, callbacks).await,
            None => endpoint.receive(&gateway.receiver, &request).await,
        });
    }
    match routes::backend_function(&request.method, &request.path) {
        Some(BackendFunction::UserSig) => response(gateway.user_sigs.answer(&request).await),
        Some(BackendFunction::ZegoToken) => response(gateway.zego_tokens.answer(&request).await),
        Some(BackendFunction::Erase) => response(gateway.erase.answer(&request).await),
        Some(BackendFunction::Reconcile) => {
            response(gateway.reconcile.answer(&request, id.as_str()).await)
        }
        Some(BackendFunction::Query) => response(gateway.queries.answer(&request).await),
        None => message(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// The length of a request to a function, as Lambda counts it. A body that is not text is sent in
/// base64.
fn call_bytes(parts: &Parts, body: &[u8]) -> usize {
    let text = std::str::from_utf8(body).ok().filter(|_| is_text(&parts.headers));
    let body = text.map_or(body.len().div_ceil(3) * 4, payload::json_bytes);
    let headers = parts.headers.iter().map(|(name, value)| {
        name.as_str().len() + payload::json_bytes(&String::from_utf8_lossy(value.as_bytes())) + 6
    });
    // The path is sent three times, and the query twice.
    let target = parts.uri.path().len() * 3 + parts.uri.query().map_or(0, str::len) * 2;
    body + headers.sum::<usize>() + target + ENVELOPE_BYTES
}

/// Whether API Gateway passes a body unchanged.
fn is_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"]
            .contains(&media_type.as_str())
}

/// Reads a body to its end, or to a limit, so that an attacker cannot make it read forever. The
/// kept part of a body that is too long is still too long.
async fn read(mut body: Body) -> Result<Bytes, axum::Error> {
    let (mut kept, mut total) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        total += data.len();
        if total > MAX_DRAINED_BYTES {
            break;
        }
        let room = MAX_BODY_BYTES + 1 - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(kept.freeze())
}

/// The function's answer, if it is short enough for Lambda.
fn response(reply: Reply) -> Response {
    let link = reply.next_page.as_ref().map_or(0, String::len);
    let bytes = payload::json_bytes(&reply.body) + link + ENVELOPE_BYTES;
    if bytes > payload::LIMIT {
        tracing::error!(bytes, limit = payload::LIMIT, "the answer is too long for Lambda");
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    }
    http::Response::from(reply).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_long_for_lambda_is_a_500_of_the_gateway() {
        let answer = |body: String| response(Reply::json(StatusCode::OK, &body)).status();
        assert_eq!(answer("x".repeat(6 << 20)), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer("x".repeat(5_000_000)), StatusCode::OK);
        // As a text in the answer's JSON each of these takes four bytes.
        assert_eq!(answer("\"".repeat(1_600_000)), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer("\"".repeat(1_500_000)), StatusCode::OK);
    }
}
