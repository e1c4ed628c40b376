//! How long a request to a Lambda function and its answer may be.
//!
//! Lambda limits the JSON of a call and of its answer. An HTTP body is a text in that JSON, so each
//! quote and each backslash of a JSON body counts twice.

use std::io;

use serde::Serialize;

/// The longest request and the longest answer of a function, in bytes: the quota of 6 MB, as the
/// number in Lambda's own error `Function.ResponseSizeTooLarge`.
pub const LIMIT: usize = 6_291_556;

/// The length of a value in JSON, in bytes.
#[must_use]
pub fn json_bytes(value: &(impl Serialize + ?Sized)) -> usize {
    Counted::of(value).bytes
}

/// The length of a value's JSON as part of an HTTP body, in bytes, as Lambda counts it.
#[must_use]
pub fn body_bytes(value: &(impl Serialize + ?Sized)) -> usize {
    // JSON contains no raw control characters, so nothing else is escaped a second time.
    let Counted { bytes, escaped } = Counted::of(value);
    bytes + escaped
}

/// Counts what is written, without keeping it.
#[derive(Debug, Default)]
struct Counted {
    bytes: usize,
    escaped: usize,
}

impl Counted {
    fn of(value: &(impl Serialize + ?Sized)) -> Self {
        let mut counted = Self::default();
        if let Err(error) = serde_json::to_writer(&mut counted, value) {
            tracing::error!(%error, "a value could not be written as JSON");
        }
        counted
    }
}

impl io::Write for Counted {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.bytes += written.len();
        self.escaped += written.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_json_in_json_takes() {
        let all: String = ('\0'..='\u{2ff}').chain(['\u{2028}', '\u{fffd}', '😀']).collect();
        for text in ["", "plain", "\"", "\\", "\\\"\n\u{1}\u{7f}", "ä😀", &all] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(json_bytes(text), json.len(), "{text:?}");
            let in_json = serde_json::to_string(&json).unwrap();
            assert_eq!(body_bytes(text), in_json.len() - 2, "{text:?}");
        }
    }
}
