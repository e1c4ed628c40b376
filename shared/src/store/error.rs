//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why something could not be stored or read. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not do what was asked, or did not answer.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// DynamoDB takes no such item, now or ever.
    #[error("DynamoDB rejects it: {0}")]
    Rejected(String),
    /// The time for the answer was over first.
    #[error("DynamoDB did not answer within the budget")]
    OutOfTime,
    /// An item is not as this version writes it.
    #[error("an item of the table cannot be read: {0}")]
    Item(&'static str),
}

impl StoreError {
    /// An answer of DynamoDB's that is an error.
    pub(super) fn service<E>(error: &E) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        match error.code() {
            Some("ValidationException") => Self::Rejected(text),
            _ => Self::DynamoDb(text),
        }
    }
}

/// A request that lacks something it needs.
impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::DynamoDb(DisplayErrorContext(&error).to_string())
    }
}

/// `SdkError` hides its cause when displayed, so the whole chain is kept as text.
impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::service(&error)
    }
}
