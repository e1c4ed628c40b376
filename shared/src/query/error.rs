//! What can be wrong with a query, and how it is said.

use std::time::Duration;

use http::StatusCode;

use crate::{
    http::{ErrorCode, ParameterError, Reply},
    record::RecordError,
};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No such path, or not with this method.
    #[error(
        "there is no such route; an id with a character outside [A-Za-z0-9._~-] is asked for as \
         a parameter: /users?user=... or /rooms?room=..."
    )]
    NoRoute,
    /// No provider of that name.
    #[error("there is no such provider")]
    UnknownProvider,
    /// Nothing is known of what was asked for.
    #[error("this {0} is not known")]
    Unknown(&'static str),
    /// Events are off, so nothing lists live rooms.
    #[error(
        "events are off: the stack's parameter Events, or --events on a laptop, switches them on"
    )]
    EventsOff,
    /// A parameter or the body is wrong.
    #[error("`{0}` {1}")]
    BadParameter(&'static str, String),
    /// It would take too much time or memory: this says what to ask instead.
    #[error("{0}")]
    TooLarge(String),
    /// To read all people or all changes of this room would take longer than that.
    #[error(
        "this room has so many people that the answer takes longer than {} s: ask without \
         `count=exact` and `changes=true`; nobody is counted with `count=false`",
        .0.as_secs()
    )]
    TakesTooLong(Duration),
    /// The records could not be read. The cause is logged, and not in the answer.
    #[error("the records cannot be read just now")]
    Record(#[from] RecordError),
}

impl From<ParameterError> for QueryError {
    fn from(ParameterError { name, why }: ParameterError) -> Self {
        Self::BadParameter(name, why)
    }
}

impl QueryError {
    /// The error as an answer.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (status, code) = match self {
            Self::NoRoute | Self::UnknownProvider | Self::Unknown(_) => {
                (StatusCode::NOT_FOUND, ErrorCode::NotFound)
            }
            Self::BadParameter(..) => (StatusCode::BAD_REQUEST, ErrorCode::BadParameter),
            Self::EventsOff => (StatusCode::CONFLICT, ErrorCode::EventsOff),
            Self::TooLarge(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TooLarge),
            Self::TakesTooLong(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TakesTooLong),
            Self::Record(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        };
        Reply::error(status, code, self.to_string())
    }
}
