//! Reading the JSON of an unverified ticket, field by field.

use serde_json::Value;

/// Why the content of a ticket is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// A field is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has the wrong type or value.
    #[error("`{0}` is not {1}")]
    Not(&'static str, &'static str),
    /// A field is named twice.
    #[error("a field is named twice")]
    Repeated,
}

/// A field that is a text.
pub(crate) fn text(field: &'static str, value: Option<Value>) -> Result<String, Defect> {
    match value.ok_or(Defect::Missing(field))? {
        Value::String(text) => Ok(text),
        _ => Err(Defect::Not(field, "a string")),
    }
}

/// A field that is a whole number of at most 64 bits, with or without a sign. The type can hold the
/// sum of two.
pub(crate) fn number(field: &'static str, value: Option<Value>) -> Result<i128, Defect> {
    let value = value.ok_or(Defect::Missing(field))?;
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    number.ok_or(Defect::Not(field, "a whole number of at most 64 bits"))
}
