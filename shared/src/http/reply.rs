//! The reply.

use http::StatusCode;
use serde::Serialize;

use crate::domain::Counts;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The value of `x-rollcall-outcome`. Answers to callbacks have it, answers to queries do not.
    pub outcome: Option<&'static str>,
    /// The number of entries with each outcome, for a batch.
    pub counts: Option<Counts>,
    /// The address of the next page, if this is one in CSV: the header `link`. A page in JSON has
    /// its cursor in the body.
    pub next_page: Option<String>,
    /// What the body is.
    pub media_type: MediaType,
    /// The body.
    pub body: String,
}

/// What the body of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    /// JSON.
    Json,
    /// CSV, with a header row.
    Csv,
}

impl MediaType {
    /// The value of `content-type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

impl Reply {
    /// The header with the outcome of a callback.
    pub const OUTCOME_HEADER: &'static str = "x-rollcall-outcome";

    /// The header that counts the entries of a batch: `applied=3, duplicate=1, not_stored=2`.
    pub const COUNTS_HEADER: &'static str = "x-rollcall-counts";

    /// A reply with `body` in JSON.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self::new(status, MediaType::Json, body),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, MediaType::Json, "{}".to_owned())
            }
        }
    }

    /// A page in CSV, and the address of the next one.
    #[must_use]
    pub fn csv(body: String, next_page: Option<String>) -> Self {
        Self { next_page, ..Self::new(StatusCode::OK, MediaType::Csv, body) }
    }

    fn new(status: StatusCode, media_type: MediaType, body: String) -> Self {
        Self { status, outcome: None, counts: None, next_page: None, media_type, body }
    }

    /// The error body of every route that a backend calls: `{"error":{"code":...,"message":...}}`.
    #[must_use]
    pub fn error(status: StatusCode, code: ErrorCode, message: String) -> Self {
        let error = ErrorContent { code, message, provider_code: None };
        Self::json(status, &ErrorBody { error })
    }

    /// The error body of a route for whose answer a provider was asked in vain. The code is the
    /// provider's own, if it gave one.
    #[must_use]
    pub fn provider_error(provider_code: Option<u64>, message: String) -> Self {
        let error = ErrorContent { code: ErrorCode::ProviderFailed, message, provider_code };
        Self::json(StatusCode::BAD_GATEWAY, &ErrorBody { error })
    }

    /// The same reply, with the outcome header.
    #[must_use]
    pub fn with_outcome(self, outcome: &'static str) -> Self {
        Self { outcome: Some(outcome), ..self }
    }
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The user, room, registration, app, key or provider is unknown, or there is no such route.
    NotFound,
    /// A parameter or the body is wrong.
    BadParameter,
    /// Events are off, and the answer needs them.
    EventsOff,
    /// There are no credentials for the server API of this app.
    NoCredentials,
    /// The provider's server API failed or refused. Nothing was stored.
    ProviderFailed,
    /// The body is too long.
    TooLarge,
    /// To answer would take too long: something less has to be asked for, as the message says.
    TakesTooLong,
    /// The records or the keys cannot be read at the moment.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Why there is no answer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Error"))]
struct ErrorBody {
    /// The error.
    error: ErrorContent,
}

/// The kind of an error, and what exactly is wrong.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ErrorContent {
    /// The kind of the error, for programs.
    code: ErrorCode,
    /// What is wrong and what to do about it, in English, for people.
    #[cfg_attr(test, schemars(length(min = 1)))]
    message: String,
    /// The provider's own code, if its server API gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_code: Option<u64>,
}

/// Generates the schema of the error body.
#[cfg(test)]
pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<ErrorBody>();
}

impl From<Reply> for http::Response<String> {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        let media_type = http::HeaderValue::from_static(reply.media_type.as_str());
        headers.insert(http::header::CONTENT_TYPE, media_type);
        let link = reply.next_page.map(|next| format!("<{next}>; rel=\"next\"").try_into());
        if let Some(Ok(link)) = link {
            headers.insert(http::header::LINK, link);
        }
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
