//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why something could not be stored or read. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not do what was asked, or did not answer.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// DynamoDB answered that it does not do this: the item is not allowed, the table is not there, or
    /// the function may not write to it. The same request is refused until somebody changes something.
    #[error("DynamoDB refuses it: {0}")]
    Refused(String),
    /// The time for the answer was over first.
    #[error("DynamoDB did not answer within the budget")]
    OutOfTime,
    /// An item is not as this version writes it.
    #[error("an item of the table cannot be read: {0}")]
    Item(&'static str),
}

/// The errors that pass by themselves: the service is down or has too much to do, two writes collide, or
/// the function's credentials have expired, and its next instance has new ones
/// ([DynamoDB's errors](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html)).
const PASSING: [&str; 24] = [
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalFailure",
    "InternalServerError",
    "InvalidSignatureException",
    "LimitExceededException",
    "MissingAuthenticationTokenException",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceInUseException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
    "UnrecognizedClientException",
];

impl StoreError {
    /// An answer of DynamoDB's that is an error.
    pub(super) fn service<E>(error: &E) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        match error.code() {
            // An answer without a code is a proxy's, or cut off.
            Some(code) if !PASSING.contains(&code) => Self::Refused(text),
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
