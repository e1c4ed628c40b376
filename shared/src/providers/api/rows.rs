//! Reading the JSON of an answer.

use http::StatusCode;

use super::{Answer, ApiError};
use crate::callback::{Fields, elements};

/// The fields of an answer. Only HTTP status 200 has any.
pub(in crate::providers) fn body(
    action: &'static str,
    answer: &Answer,
) -> Result<Fields, ApiError> {
    if answer.status != StatusCode::OK {
        return Err(ApiError::Status { action, status: answer.status });
    }
    Fields::from_body(&answer.body).map_err(|error| ApiError::Unreadable { action, why: error.0 })
}

/// The rows of a field that is an array; no rows if it is null, as some servers write an empty
/// array. A row is `None` if it is no object.
pub(in crate::providers) fn rows(
    action: &'static str,
    fields: &Fields,
    name: &'static str,
) -> Result<Vec<Option<Fields>>, ApiError> {
    let unreadable = |why| ApiError::Unreadable { action, why };
    let Some(json) = fields.nested(name) else {
        return if fields.is_null(name) {
            Ok(Vec::new())
        } else if fields.is_named(name) {
            Err(unreadable("its list is no list"))
        } else {
            Err(unreadable("its list is missing"))
        };
    };
    let rows = elements(json).ok_or(unreadable("its list is no list"))?;
    Ok(rows.into_iter().map(|row| Fields::from_json(row).ok()).collect())
}
