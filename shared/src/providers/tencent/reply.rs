//! The answer that Chat and the products built on it read.

use http::StatusCode;
use serde::Serialize;

use crate::{callback::Rejection, domain::Outcome, http::Reply};

/// `{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}`, or `FAIL` with a message.
pub(super) fn reply(answer: &Result<Outcome, Rejection>) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body {
        action_status: &'static str,
        error_code: i32,
        error_info: String,
    }
    match answer {
        Ok(outcome) => {
            let body = Body { action_status: "OK", error_code: 0, error_info: String::new() };
            Reply::json(StatusCode::OK, &body).with_outcome(outcome.as_str())
        }
        Err(rejection) => {
            let error_info = rejection.to_string();
            let body = Body { action_status: "FAIL", error_code: 1, error_info };
            Reply::json(rejection.status(), &body).with_outcome("rejected")
        }
    }
}
