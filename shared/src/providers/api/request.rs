//! A request to a server API, and what came back.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{ApiError, BaseUrl};
use crate::callback::Secret;

/// All but the unreserved characters of RFC 3986. A blank is `%20`, which any server reads, and not
/// `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Eight random bytes, which make a request unlike any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 8]);

impl fmt::Display for Nonce {
    /// 16 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A request to a server API. Its URL, its headers and its body may hold credentials, so it prints
/// only its action.
pub struct ApiRequest {
    action: &'static str,
    request: Request<Bytes>,
}

impl ApiRequest {
    /// The API's name of the question, such as `DescribeUsers`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.action
    }

    /// The request to send. It prints its credentials: it is for the HTTP client alone.
    #[must_use]
    pub fn into_http(self) -> Request<Bytes> {
        self.request
    }

    fn new(
        action: &'static str,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Self, ApiError> {
        // The error's own text may quote a credential.
        let unusable = |_| ApiError::NotAsked { action, why: "its URL is too long, or unusable" };
        let mut request = Request::builder().method(method).uri(url).body(body);
        if let Ok(request) = &mut request {
            for (name, value) in headers {
                let why = "its token has characters that no header may have";
                let mut value =
                    HeaderValue::from_str(value).map_err(|_| ApiError::NotAsked { action, why })?;
                value.set_sensitive(true);
                request.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        Ok(Self { action, request: request.map_err(unusable)? })
    }

    pub(in crate::providers) fn get(
        action: &'static str,
        url: &BaseUrl,
        query: &Query,
    ) -> Result<Self, ApiError> {
        let url = format!("{}/?{}", url.as_str(), query.0);
        Self::new(action, Method::GET, &url, &[], Bytes::new())
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest").field("action", &self.action).finish_non_exhaustive()
    }
}

/// A question that is sent as JSON, with POST.
pub(in crate::providers) fn post(
    action: &'static str,
    url: &str,
    headers: &[(&'static str, &str)],
    json: &serde_json::Value,
) -> Result<ApiRequest, ApiError> {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    ApiRequest::new(action, Method::POST, url, &headers, json.to_string().into())
}

/// The query of a URL, percent-encoded.
#[derive(Clone, Default)]
pub(in crate::providers) struct Query(String);

impl Query {
    /// Adds a parameter.
    pub(in crate::providers) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, ENCODED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(&value.to_string(), ENCODED));
        self
    }

    /// The same with a parameter that is a credential.
    pub(in crate::providers) fn with_secret(self, name: &str, value: &Secret) -> Self {
        self.with(name, value.expose())
    }

    pub(in crate::providers) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What came back. Its body may hold a token, so it prints only its status and its length.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer with the status 200.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, body: body.into() }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, body } = self;
        f.debug_struct("Answer").field("status", status).field("bytes", &body.len()).finish()
    }
}
