//! The answer for providers that read the status only.

use http::StatusCode;
use serde::Serialize;

use super::Rejection;
use crate::{domain::Outcome, http::Reply};

/// `{"code":0}` for a success, the status as `code` and a `message` for a rejection: for providers
/// that read the status only.
#[must_use]
pub fn coded_reply(answer: &Result<Outcome, Rejection>) -> Reply {
    #[derive(Serialize)]
    struct Body {
        code: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    }
    match answer {
        Ok(outcome) => Reply::json(StatusCode::OK, &Body { code: 0, message: None })
            .with_outcome(outcome.as_str()),
        Err(rejection) => {
            let status = rejection.status();
            let body = Body { code: status.as_u16(), message: Some(rejection.to_string()) };
            Reply::json(status, &body).with_outcome("rejected")
        }
    }
}
