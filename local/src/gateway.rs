//! The local gateway: what API Gateway and Lambda do in the cloud, in one process.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use rollcall::{
    endpoint::Endpoint,
    handler::Receiver,
    http::{Reply, Request},
    query::Queries,
    routes::{self, AskedFunction},
    runtime,
    user_sig::UserSigs,
};
use serde::Serialize;
use tokio::net::TcpListener;

/// The longest body that a function gets to see, as in API Gateway.
const MAX_BODY_BYTES: usize = 10 << 20;

/// How much of a longer body is read and dropped, so that its sender sees the answer instead of a
/// reset connection.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// The functions behind the gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Takes callbacks.
    pub receiver: Receiver,
    /// Answers queries.
    pub queries: Queries,
    /// Mints and verifies Tencent's UserSigs.
    pub user_sigs: UserSigs,
}

impl Gateway {
    /// All routes.
    pub fn router(self) -> Router {
        Router::new().fallback(answer).with_state(Arc::new(self))
    }

    /// Serves until `stop` resolves and all requests under way are answered.
    ///
    /// # Errors
    ///
    /// If the server fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(stop).await
    }
}

async fn answer(State(gateway): State<Arc<Gateway>>, request: axum::extract::Request) -> Response {
    let received_at = runtime::now();
    let (parts, body) = request.into_parts();
    let Ok(body) = read(body).await else {
        return message(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    // API Gateway decodes the path as a whole.
    let Ok(path) = percent_decode_str(parts.uri.path()).decode_utf8() else {
        return message(StatusCode::BAD_REQUEST, "the path is not UTF-8");
    };
    let request = Request {
        path: path.into_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        method: parts.method,
        headers: parts.headers,
        body,
        received_at,
    };
    if request.method == Method::POST
        && let Some(endpoint) = Endpoint::at(&request.path)
    {
        return response(endpoint.receive(&gateway.receiver, &request).await);
    }
    match routes::asked_function(&request.path) {
        Some(AskedFunction::UserSig) => response(gateway.user_sigs.answer(&request).await),
        Some(AskedFunction::Query) => response(gateway.queries.answer(&request).await),
        None => message(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// Reads a body to its end, or to where reading on would be a favour to an attacker. What is kept
/// of a body that is too long is still too long for any function.
async fn read(mut body: Body) -> Result<Bytes, axum::Error> {
    let (mut kept, mut total) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        total += data.len();
        if total > MAX_DRAINED_BYTES {
            break;
        }
        let room = MAX_BODY_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(kept.freeze())
}

fn response(reply: Reply) -> Response {
    http::Response::from(reply).into_response()
}

fn message(status: StatusCode, message: &'static str) -> Response {
    #[derive(Serialize)]
    struct Body {
        message: &'static str,
    }
    response(Reply::json(status, &Body { message }))
}
