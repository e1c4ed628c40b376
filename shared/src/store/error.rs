//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Why something could not be stored or read. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB failed, or did not answer.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// DynamoDB is asked too often: by all, or for one key.
    #[error("DynamoDB throttles: {0}")]
    Throttled(String),
    /// DynamoDB refused the request: the item is not allowed, the table does not exist, or the
    /// function may not write to it. The same request is refused until an operator changes
    /// something.
    #[error("DynamoDB refuses it: {0}")]
    Refused(String),
    /// The time for the answer was over before DynamoDB answered.
    #[error("DynamoDB did not answer within the budget")]
    OutOfTime,
    /// An item does not have the form in which this version writes it.
    #[error("an item of the table cannot be read: {0}")]
    Item(&'static str),
}

/// The errors that pass by themselves: the service is down or overloaded, two writes collide, or
/// the function's credentials have expired, and its next instance has new ones ([DynamoDB's
/// errors](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html)).
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

/// Those of them that mean that DynamoDB is asked too often.
const THROTTLING: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

impl StoreError {
    /// An error that DynamoDB answered.
    pub(super) fn service<E>(error: &E) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        match error.code() {
            Some(code) if THROTTLING.contains(&code) => Self::Throttled(text),
            // An answer without a code comes from a proxy, or was cut off.
            Some(code) if !PASSING.contains(&code) => Self::Refused(text),
            _ => Self::DynamoDb(text),
        }
    }
}

/// A request that lacks a required member.
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
