//! Why a server API did not answer a question.

use http::StatusCode;

/// Why there is no answer to a question. Nothing follows from it about anybody. It holds no
/// credential, and nothing that the provider wrote but its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The API refused, with a code of its own.
    #[error("{action} was refused with the code {code}: {cause}")]
    Refused {
        /// The API's name of the question.
        action: &'static str,
        /// The provider's own code.
        code: u64,
        /// What that means, if it is known.
        cause: Cause,
    },
    /// The HTTP status is not 200.
    #[error("{action} was answered with the HTTP status {}", status.as_u16())]
    Status {
        /// The API's name of the question.
        action: &'static str,
        /// The status.
        status: StatusCode,
    },
    /// The answer is not what the API's documentation shows.
    #[error("the answer to {action} cannot be read: {why}")]
    Unreadable {
        /// The API's name of the question.
        action: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// There was no answer.
    #[error("{action} was not answered: {why}")]
    NoAnswer {
        /// The API's name of the question.
        action: &'static str,
        /// Why.
        why: NoAnswer,
    },
    /// The question could not be asked.
    #[error("{action} could not be asked: {why}")]
    NotAsked {
        /// The API's name of the question.
        action: &'static str,
        /// Why.
        why: &'static str,
    },
}

/// What a provider's code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The credentials are wrong, or do not allow the question.
    #[error("the credentials of the app are wrong, or do not allow it")]
    Credentials,
    /// The provider's clock and ours differ too much.
    #[error("the clocks differ too much")]
    Clock,
    /// There were more requests than the provider allows.
    #[error("too many requests")]
    Throttled,
    /// The API's token is not valid any more.
    #[error("the token is not valid any more")]
    Token,
    /// An id in the question is longer than those of the provider.
    #[error("an id is too long")]
    TooLong,
    /// Anything else: the provider's documentation has its meaning.
    #[error("see the provider's list of codes")]
    Other,
}

/// Why nothing came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// There is no connection: a name that is not known, a closed port, a network without a way.
    #[error("no connection to the server")]
    NoConnection,
    /// The server's certificate is not accepted.
    #[error("the server's certificate is not accepted, or TLS fails")]
    Tls,
    /// It took too long.
    #[error("it took too long")]
    TimedOut,
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost,
    /// The answer is too long.
    #[error("the answer is too long")]
    TooLong,
    /// The answer is not HTTP.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
}

impl ApiError {
    /// The API's name of the question.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match *self {
            Self::Refused { action, .. }
            | Self::Status { action, .. }
            | Self::Unreadable { action, .. }
            | Self::NoAnswer { action, .. }
            | Self::NotAsked { action, .. } => action,
        }
    }

    /// The provider's own code, if it refused with one.
    #[must_use]
    pub fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same question may be answered a little later: there were too many.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        match self {
            Self::Refused { cause, .. } => *cause == Cause::Throttled,
            Self::Status { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// Whether other credentials, or a new token, are needed.
    #[must_use]
    pub fn is_about_credentials(&self) -> bool {
        matches!(self, Self::Refused { cause: Cause::Credentials | Cause::Token, .. })
    }
}
