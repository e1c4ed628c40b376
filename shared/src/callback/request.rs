//! What comes in and what goes out, free of any server's types.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::Rejection;
use crate::domain::{Outcome, UnixMillis};

/// A request as it arrived. Nothing in it is to be trusted.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// The headers.
    pub headers: HeaderMap,
    /// The query string as it was sent.
    pub query: String,
    /// The body, byte for byte as it was sent: an API Gateway's base64 is already undone.
    pub body: Bytes,
    /// When it arrived, by our clock.
    pub received_at: UnixMillis,
}

/// How many entries of a batch had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that are stored or in the queue.
    pub stored: BTreeMap<Outcome, usize>,
    /// Those that are neither.
    pub not_stored: usize,
}

impl Counts {
    /// The most notable outcome of those that are stored; `Ignored` if there are none.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.stored.last_key_value().map_or(Outcome::Ignored, |(outcome, _)| *outcome)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (outcome, count) in self.stored.iter().rev() {
            write!(f, "{}={count}, ", outcome.as_str())?;
        }
        write!(f, "not_stored={}", self.not_stored)
    }
}

/// An answer with a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The value of `x-rollcall-outcome`; callbacks have it, queries do not.
    pub outcome: Option<&'static str>,
    /// What became of each entry of a batch, if it was one.
    pub counts: Option<Counts>,
    /// The body, in JSON.
    pub body: String,
}

impl Reply {
    /// The header that tells what became of a callback.
    pub const OUTCOME_HEADER: &'static str = "x-rollcall-outcome";

    /// The header that counts the entries of a batch: `applied=3, duplicate=1, not_stored=2`.
    pub const COUNTS_HEADER: &'static str = "x-rollcall-counts";

    /// A reply with `body` in JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self { status, outcome: None, counts: None, body },
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Self { status, outcome: None, counts: None, body: "{}".to_owned() }
            }
        }
    }

    /// `{"code":0}` for a success, the status as `code` and a `message` for a rejection: for
    /// providers that read the status only.
    #[must_use]
    pub fn coded(answer: &Result<Outcome, Rejection>) -> Self {
        #[derive(Serialize)]
        struct Body {
            code: u16,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<String>,
        }
        match answer {
            Ok(outcome) => Self::json(StatusCode::OK, &Body { code: 0, message: None })
                .with_outcome(outcome.as_str()),
            Err(rejection) => {
                let status = rejection.status();
                let body = Body { code: status.as_u16(), message: Some(rejection.to_string()) };
                Self::json(status, &body).with_outcome("rejected")
            }
        }
    }

    /// The same reply, with the outcome header.
    #[must_use]
    pub fn with_outcome(self, outcome: &'static str) -> Self {
        Self { outcome: Some(outcome), ..self }
    }
}

impl From<Reply> for http::Response<String> {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(http::header::CONTENT_TYPE, json);
        if let Some(outcome) = reply.outcome {
            headers.insert(Reply::OUTCOME_HEADER, http::HeaderValue::from_static(outcome));
        }
        let counts = reply.counts.map(|counts| http::HeaderValue::try_from(counts.to_string()));
        if let Some(Ok(counts)) = counts {
            headers.insert(Reply::COUNTS_HEADER, counts);
        }
        response
    }
}
