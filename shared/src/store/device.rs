//! A device: two registers, the newest event of each kind, each conditioned on itself alone. Maximum
//! commutes, so any order of arrival ends the same; the reader compares the two.

use aws_sdk_dynamodb::{
    error::SdkError, operation::update_item::UpdateItemError,
    types::ReturnValuesOnConditionCheckFailure::AllOld,
};

use super::{
    Store, StoreError,
    item::{self, ENTERED_AT, Item, LEFT_AT},
    keys,
    table::{EXPIRES_AT, PK, SK},
};
use crate::domain::{App, Device, DeviceChange, Kind, Outcome, UnixMillis, UserId};

impl Store {
    pub(super) async fn apply_device(
        &self,
        change: &DeviceChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let register = match change.kind {
            Kind::Enter => ENTERED_AT,
            Kind::Leave => LEFT_AT,
        };
        let device = keys::device(&change.platform, change.connection.as_ref());
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PK, item::string(keys::user(&change.app, &change.user)))
            .key(SK, item::string(device))
            .condition_expression(format!("attribute_not_exists({register}) OR {register} < :at"))
            .update_expression(format!("SET {register} = :at, {EXPIRES_AT} = :expires_at"))
            .expression_attribute_values(":at", item::number(change.at.0))
            .expression_attribute_values(
                ":expires_at",
                item::number(self.seat_expiry(received_at).0),
            )
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        let refused = match sent {
            Ok(_) => return Ok(Outcome::Applied),
            Err(SdkError::ServiceError(context)) => match context.into_err() {
                UpdateItemError::ConditionalCheckFailedException(refused) => refused,
                error => return Err(StoreError::service(&error)),
            },
            Err(error) => return Err(error.into()),
        };
        let known = item::millis(&refused.item.unwrap_or_default(), register)?;
        Ok(if known == Some(change.at) { Outcome::Duplicate } else { Outcome::Stale })
    }

    /// All devices of a user, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn devices(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<Device>, StoreError> {
        let items = self.of_user(app, user, keys::DEVICE, now).await?;
        items.iter().map(read_device).collect()
    }
}

fn read_device(item: &Item) -> Result<Device, StoreError> {
    let (platform, connection) = keys::parse_device(item::text(item, SK)?)?;
    Ok(Device {
        platform,
        connection,
        entered_at: item::millis(item, ENTERED_AT)?,
        left_at: item::millis(item, LEFT_AT)?,
    })
}
