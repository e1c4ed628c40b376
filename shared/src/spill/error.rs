//! What can go wrong when messages are sent to the queue and read from it.

use aws_sdk_sqs::error::{DisplayErrorContext, SdkError};

/// Why an operation on the queue failed. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// SQS failed, or did not answer.
    #[error("SQS: {0}")]
    Sqs(String),
    /// The time for the answer was over before SQS answered.
    #[error("SQS did not answer within the budget")]
    OutOfTime,
    /// A single change is too long for a message.
    #[error("a change has {0} bytes, which is too long for a message")]
    TooLong(usize),
    /// A change could not be written as JSON.
    #[error("a change cannot be written: {0}")]
    Write(#[from] serde_json::Error),
}

/// `SdkError` hides its cause when displayed, so the whole chain is kept as text.
impl<E, R> From<SdkError<E, R>> for SpillError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Sqs(DisplayErrorContext(&error).to_string())
    }
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
