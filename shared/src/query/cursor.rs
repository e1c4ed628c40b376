//! The opaque cursor of a list. It comes back from a client, so it is only a place to start from:
//! which partition is read never depends on it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use super::QueryError;

/// DynamoDB refuses a longer sort key, with some room for the prefix of a section.
const MAX_ROW_BYTES: usize = 1000;

pub(super) fn write(place: &impl Serialize) -> Option<String> {
    let json = serde_json::to_vec(place).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// Whether a row of an index that a cursor names can be one.
pub(super) fn check_row(row: &str) -> Result<(), QueryError> {
    if row.len() > MAX_ROW_BYTES {
        return Err(not_ours());
    }
    Ok(())
}

fn not_ours() -> QueryError {
    QueryError::BadParameter("next", "is no cursor of ours".to_owned())
}

pub(super) fn read<T: DeserializeOwned>(cursor: &str) -> Result<T, QueryError> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = json.and_then(|json| serde_json::from_slice(&json).ok());
    place.ok_or_else(not_ours)
}
