//! Several events in one body. If one cannot be read, the others are kept, because such a provider
//! never repeats itself.

use serde_json::value::RawValue;

use super::{FieldError, ParseError};

/// The readable part of a batch.
#[derive(Debug)]
pub struct Batch<T> {
    /// The entries that could be read, in the order in which they were sent.
    pub read: Vec<T>,
    /// How many could not be read, and why.
    pub left_out: Option<ParseError>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { read: Vec::new(), left_out: None }
    }
}

impl<T> Batch<T> {
    /// Takes those of some `entries`, such as `users`, that can be read.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if there are entries and none can be read.
    pub fn read(
        entries: &'static str,
        results: impl IntoIterator<Item = Result<T, FieldError>>,
    ) -> Result<Self, ParseError> {
        let (mut read, mut left_out, mut first) = (Vec::new(), 0, None);
        for result in results {
            match result {
                Ok(entry) => read.push(entry),
                Err(error) => {
                    left_out += 1;
                    first.get_or_insert(error);
                }
            }
        }
        let all = read.len() + left_out;
        match first {
            Some(first) if all == 1 => Err(first.into()),
            Some(first) if read.is_empty() => Err(ParseError::WholeBatch { entries, all, first }),
            first => {
                let part = |first| ParseError::PartOfBatch { entries, left_out, all, first };
                Ok(Self { read, left_out: first.map(part) })
            }
        }
    }
}

/// The elements of a JSON array, each as JSON; `None` if it is not an array.
#[must_use]
pub fn elements(json: &str) -> Option<Vec<&str>> {
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(elements.into_iter().map(RawValue::get).collect())
}
