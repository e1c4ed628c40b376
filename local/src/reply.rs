//! Answers that no function gives.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rollcall::http::Reply;
use serde::Serialize;

/// A body in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    http::Response::from(Reply::json(status, body)).into_response()
}

/// What API Gateway itself answers: `{"message": ...}`.
pub(crate) fn message(status: StatusCode, message: &str) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
    }
    json(status, &Body { message })
}
