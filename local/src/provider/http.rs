//! The providers on a port of this machine.

use std::{future::pending, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode};
use rollcall::runtime;
use tokio::net::TcpListener;

use super::Provider;

/// The longest body that is read.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How often a truth that changes is looked at, so that `lag` counts from the change.
const LOOK: Duration = Duration::from_millis(200);

/// Serves until `stop` resolves. Each answer waits for `slow` first.
///
/// # Errors
///
/// If the server fails.
pub async fn serve(
    provider: Arc<Provider>,
    slow: Duration,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().fallback(answer).with_state((provider.clone(), slow));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop);
    let look = async {
        loop {
            tokio::time::sleep(LOOK).await;
            let _ = provider.truth.at(runtime::now());
        }
    };
    tokio::select! {
        served = served => served,
        () = look => Ok(()),
    }
}

async fn answer(
    State((provider, slow)): State<(Arc<Provider>, Duration)>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    match provider.answer(&Request::from_parts(parts, body), runtime::now()) {
        Some(response) => response.map(Body::from).into_response(),
        None => pending().await,
    }
}
