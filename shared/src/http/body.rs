//! Reading a body that is JSON.

use serde::de::{DeserializeOwned, Error};

/// A body without the byte order mark that some editors and libraries add.
#[must_use]
pub fn without_byte_order_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// Reads a JSON object. A byte order mark in front of it is skipped.
///
/// # Errors
///
/// If it is anything else, such as a list of the object's values, which serde would accept. The
/// error may quote the body.
pub fn read_object<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let body = without_byte_order_mark(body);
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("it is not an object"));
    }
    serde_json::from_slice(body)
}
