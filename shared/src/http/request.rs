//! The request.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::domain::UnixMillis;

/// Characters that are not encoded in a path: those of ids that can be sent in one, and the
/// separator.
pub(crate) const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'~').remove(b'-');

/// A request as it arrived. Nothing in it is verified.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded as a whole, as an API Gateway HTTP API passes it. An id that
    /// contains a `/` cannot be sent in a path, but can be sent as a query parameter.
    pub path: String,
    /// The query string as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte as it was sent: an API Gateway's base64 is already undone.
    pub body: Bytes,
    /// When it arrived, by our clock.
    pub received_at: UnixMillis,
    /// The address that it came from, if the gateway says it. Behind a proxy, it is the proxy's.
    pub source_ip: Option<IpAddr>,
}

impl Request {
    /// A `GET` without headers.
    #[must_use]
    pub fn get(path: &str, query: &str, received_at: UnixMillis) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            received_at,
            source_ip: None,
        }
    }

    /// A `POST` without headers and without a query string.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>, received_at: UnixMillis) -> Self {
        let body = body.into();
        Self { method: Method::POST, body, ..Self::get(path, "", received_at) }
    }
}
