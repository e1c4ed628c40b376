//! What can go wrong when messages are sent to the queue and read from it.

use crate::queue::QueueError;

/// Why changes are not in the queue. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A single change is too long for a message.
    #[error("a change has {0} bytes, which is too long for a message")]
    TooLong(usize),
    /// A change could not be written as JSON.
    #[error("a change cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// Why a message in the queue cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not JSON in our format. The cause itself is left out, because it could quote the
    /// content.
    #[error("the message cannot be read at line {line}, column {column}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It has a version that this function does not know.
    #[error("the message is of version {0}, which this function does not know")]
    Version(u64),
}

impl From<serde_json::Error> for MessageError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable { line: error.line(), column: error.column() }
    }
}
