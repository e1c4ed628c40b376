//! A conditional write, and what became of it.

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::update_item::{UpdateItemError, UpdateItemOutput},
};

use super::super::{StoreError, item::Item};
use crate::domain::Outcome;

/// What a write consumed, of the table and its index together.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct WriteUnits(pub(super) f64);

/// Whether a conditional update was done, and what DynamoDB said of it.
pub(super) enum Written {
    /// It was done: what it consumed, or zero if the update did not ask.
    Yes(WriteUnits),
    /// Its condition was refused: the item as it is, if the update asked for it.
    No(Item),
}

/// Sends an update. The SDK's futures are tens of kilobytes: boxed, they are not copied each time
/// that a future around them is moved.
pub(super) fn written(
    sending: impl Future<Output = Result<UpdateItemOutput, SdkError<UpdateItemError>>>,
) -> impl Future<Output = Result<Written, StoreError>> {
    let sending = Box::pin(sending);
    async { outcome(sending.await) }
}

fn outcome(
    sent: Result<UpdateItemOutput, SdkError<UpdateItemError>>,
) -> Result<Written, StoreError> {
    match sent {
        Ok(output) => {
            let consumed = output.consumed_capacity.and_then(|consumed| consumed.capacity_units);
            Ok(Written::Yes(WriteUnits(consumed.unwrap_or_default())))
        }
        Err(SdkError::ServiceError(context)) => match context.into_err() {
            UpdateItemError::ConditionalCheckFailedException(refused) => {
                Ok(Written::No(refused.item.unwrap_or_default()))
            }
            error => Err(StoreError::service(&error)),
        },
        Err(error) => Err(error.into()),
    }
}

/// Sends something that is written once: a refused condition says that it is there.
pub(super) fn written_once<T, E>(
    sending: impl Future<Output = Result<T, SdkError<E>>>,
) -> impl Future<Output = Result<Outcome, StoreError>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let sending = Box::pin(sending);
    async { once(sending.await) }
}

fn once<T, E>(sent: Result<T, SdkError<E>>) -> Result<Outcome, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match sent {
        Ok(_) => Ok(Outcome::Applied),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
            Ok(Outcome::Duplicate)
        }
        Err(error) => Err(error.into()),
    }
}
