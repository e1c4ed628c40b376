//! What can go wrong between us and DynamoDB.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::breaker::StoreState;

/// Why something could not be stored or read. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB failed, or could not be reached.
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
    /// DynamoDB did not answer within the time of a request.
    #[error("DynamoDB did not answer: {0}")]
    NoAnswer(String),
    /// One partition takes no more, and the rest of the table does: too much at once is about one
    /// room, or one app.
    #[error("DynamoDB throttles a partition: {0}")]
    HotPartition(String),
    /// DynamoDB is asked too often by all.
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

/// How the reasons end with which DynamoDB throttles one partition of the table or the index, such as
/// `IndexWriteKeyRangeThroughputExceeded`. The others are about all of the table, or the account. They
/// are in the exception's `ThrottlingReasons`, for which each operation's error has a field of its own,
/// and in the text that is kept ([DynamoDB's reasons](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html)).
const HOT_PARTITION: &str = "KeyRangeThroughputExceeded";

impl StoreError {
    /// What the error shows of the store.
    pub(crate) fn state(&self) -> StoreState {
        match self {
            Self::Refused(_) | Self::HotPartition(_) | Self::Item(_) => StoreState::Answers,
            Self::DynamoDb(_) | Self::Throttled(_) => StoreState::Fails,
            Self::NoAnswer(_) | Self::OutOfTime => StoreState::Hangs,
        }
    }

    /// An error that DynamoDB answered.
    pub(super) fn service<E>(error: &E) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let text = DisplayErrorContext(error).to_string();
        match error.code() {
            Some(code) if THROTTLING.contains(&code) && text.contains(HOT_PARTITION) => {
                Self::HotPartition(text)
            }
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
        match &error {
            SdkError::TimeoutError(_) => Self::NoAnswer(DisplayErrorContext(&error).to_string()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::NoAnswer(DisplayErrorContext(&error).to_string())
            }
            _ => Self::service(&error),
        }
    }
}
