//! What a message of the spill queue looks like.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{MessageError, SpillError};
use crate::domain::{Change, UnixMillis};

/// The version of the messages that are written, and the only one that is read. A change of the
/// model that cannot read what is in the queue needs another one.
const VERSION: u64 = 1;

/// The longest message, in bytes. SQS takes 256 KiB everywhere, and 1 MiB since August 2025 in most
/// places; 8 KiB are left for the reason with which a message may be moved to the dead letters.
pub const MAX_MESSAGE_BYTES: usize = (256 - 8) * 1024;

/// Changes that wait to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Spilled {
    /// The provider's name of the event; for the log.
    pub event: String,
    /// When the callback arrived, by our clock.
    pub received_at: UnixMillis,
    /// What it changes.
    pub changes: Vec<Change>,
}

#[derive(Serialize)]
struct Message<'a> {
    version: u64,
    event: &'a str,
    received_at: UnixMillis,
    changes: &'a [Box<RawValue>],
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Spilled {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`MessageError`] if it is not one of ours: it will never be.
    pub fn read(body: &str) -> Result<Self, MessageError> {
        match serde_json::from_str::<Version>(body)?.version {
            VERSION => Ok(serde_json::from_str(body)?),
            other => Err(MessageError::Version(other)),
        }
    }
}

/// Puts changes into as few messages as they need.
pub(super) fn write<'a>(
    event: &str,
    received_at: UnixMillis,
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<Vec<String>, SpillError> {
    let message = |changes: &[Box<RawValue>]| {
        serde_json::to_string(&Message { version: VERSION, event, received_at, changes })
    };
    let room = MAX_MESSAGE_BYTES - message(&[])?.len();
    let mut messages = Vec::new();
    let (mut part, mut length) = (Vec::new(), 0);
    for change in changes {
        let text = without_noncharacters(serde_json::to_string(change)?);
        // A comma each, the last one too.
        let bytes = text.len() + 1;
        if bytes > room {
            return Err(SpillError::TooLong(bytes));
        }
        if length + bytes > room {
            messages.push(message(&part)?);
            part.clear();
            length = 0;
        }
        length += bytes;
        part.push(RawValue::from_string(text)?);
    }
    if !part.is_empty() {
        messages.push(message(&part)?);
    }
    Ok(messages)
}

/// SQS takes no U+FFFE and U+FFFF, which may be in a name as any other character. In JSON they can
/// only be in a string.
fn without_noncharacters(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}
