//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, SdkError};

/// Why something could not be stored or read. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not do what was asked, or did not answer.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// The time for the answer was over first.
    #[error("DynamoDB did not answer within the budget")]
    OutOfTime,
    /// An item is not as this version writes it.
    #[error("an item of the table cannot be read: {0}")]
    Item(&'static str),
}

impl StoreError {
    /// An answer of DynamoDB's that is an error.
    pub(super) fn service(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::DynamoDb(DisplayErrorContext(error).to_string())
    }
}

/// A request that lacks something it needs.
impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::service(&error)
    }
}

/// `SdkError` hides its cause when displayed, so the whole chain is kept as text.
impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::DynamoDb(DisplayErrorContext(&error).to_string())
    }
}
