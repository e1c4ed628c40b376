//! The answer that OpenIM reads: five fields, whatever the status.

use http::StatusCode;
use serde::Serialize;

use super::Dialect;
use crate::{callback::Rejection, domain::Outcome, http::Reply};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    action_code: i32,
    err_code: i32,
    err_msg: String,
    err_dlt: &'static str,
    next_code: NextCode,
}

/// A number in the real dialect, which fails to parse a string; a string in the documented one.
#[derive(Serialize)]
#[serde(untagged)]
enum NextCode {
    Number(i32),
    Text(&'static str),
}

/// Custom error codes lie between 20001 and 29999.
fn error_code(rejection: &Rejection) -> i32 {
    match rejection {
        Rejection::Malformed(_) => 20001,
        Rejection::Unverified(_) => 20002,
        Rejection::TooLarge { .. } => 20003,
        Rejection::NoSecrets(_) | Rejection::NotStored { .. } => 20004,
    }
}

/// In the real dialect `actionCode` and `nextCode` are 0 in every answer, since one version or
/// another takes anything else for a refusal of its own operation.
pub(super) fn reply(dialect: Dialect, answer: &Result<Outcome, Rejection>) -> Reply {
    let refused = answer.is_err() && dialect == Dialect::Documented;
    let next_code = match dialect {
        Dialect::Real => NextCode::Number(0),
        Dialect::Documented => NextCode::Text(if refused { "1" } else { "0" }),
    };
    let (status, outcome, err_code, err_msg) = match answer {
        Ok(outcome) => (StatusCode::OK, outcome.as_str(), 0, String::new()),
        Err(rejection) => {
            (rejection.status(), "rejected", error_code(rejection), rejection.to_string())
        }
    };
    let action_code = i32::from(refused);
    let body = Body { action_code, err_code, err_msg, err_dlt: "", next_code };
    Reply::json(status, &body).with_outcome(outcome)
}
