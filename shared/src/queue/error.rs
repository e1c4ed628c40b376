//! What can go wrong when messages are sent to a queue.

use aws_sdk_sqs::error::{DisplayErrorContext, SdkError};

/// Why an operation on a queue failed. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS failed, or did not answer.
    #[error("SQS: {0}")]
    Sqs(String),
    /// The time for the answer was over before SQS answered.
    #[error("SQS did not answer within the budget")]
    OutOfTime,
}

/// `SdkError` hides its cause when displayed, so the whole chain is kept as text.
impl<E, R> From<SdkError<E, R>> for QueueError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::Sqs(DisplayErrorContext(&error).to_string())
    }
}
