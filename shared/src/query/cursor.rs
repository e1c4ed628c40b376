//! The opaque cursor of a list. It comes back from a client, so it is only a place to start from:
//! which partition is read never depends on it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};

use super::QueryError;

/// DynamoDB refuses a longer sort key, with some room for the prefix of a section.
const MAX_ROW_BYTES: usize = 1000;

pub(super) fn write(place: &impl Serialize) -> Option<String> {
    let json = serde_json::to_vec(place).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// Reads a row of an index, which is what DynamoDB can be asked for.
pub(super) fn row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let row = String::deserialize(deserializer)?;
    if row.len() > MAX_ROW_BYTES {
        return Err(D::Error::invalid_length(row.len(), &"a sort key"));
    }
    Ok(row)
}

pub(super) fn read<T: DeserializeOwned>(cursor: &str) -> Result<T, QueryError> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let place = json.and_then(|json| serde_json::from_slice(&json).ok());
    place.ok_or_else(|| QueryError::BadParameter("next", "is no cursor of ours".to_owned()))
}

/// A cursor as it comes and its content as it comes: what can be read can be written and read again.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzz<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for cursor in [text.to_owned(), BASE64_URL_SAFE_NO_PAD.encode(data)] {
        if let Ok(place) = read::<T>(&cursor) {
            let again = write(&place).and_then(|cursor| read::<T>(&cursor).ok());
            assert_eq!(again, Some(place));
        }
    }
}
