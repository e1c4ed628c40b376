//! A device: a register for each kind of event, the newest of which stays, each conditioned on
//! itself alone. Maximum commutes, so any order of arrival ends the same; the reader compares.
//!
//! Where accounts register themselves, a login also is the registration, if it is the first one, and
//! counts its user for the month. Both are written before the device's own flag that they are done,
//! so that a death in between heals at the next login. The flag is part of the common condition:
//! all later logins of the month are one write.

use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::ReturnValuesOnConditionCheckFailure::AllOld,
};

use super::{
    Store, StoreError,
    item::{self, COUNTED_MONTH, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP, ONLINE_STAMP},
    keys,
    table::{EXPIRES_AT, PK, SK},
    write::{Written, written},
};
use crate::domain::{
    Account, App, Device, DeviceChange, DeviceEvent, Month, Outcome, Stamp, UnixMillis, UserId,
};

impl Store {
    pub(super) async fn apply_device(
        &self,
        change: &DeviceChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let register = match change.event {
            DeviceEvent::Online(Account::RegistersItself) => {
                return self.apply_login(change, received_at).await;
            }
            DeviceEvent::Online(Account::Registered) => ONLINE_STAMP,
            DeviceEvent::Offline(_) | DeviceEvent::Kicked => OFFLINE_STAMP,
            DeviceEvent::LoggedOut => LOGOUT_STAMP,
            DeviceEvent::KickedByItself => KICKED_STAMP,
        };
        let update = self
            .update_device(change, received_at)
            .condition_expression(format!(
                "attribute_not_exists({register}) OR {register} < :stamp"
            ))
            .update_expression(format!("SET {register} = :stamp, {EXPIRES_AT} = :expires_at"));
        match written(update.send()).await? {
            Written::Yes(_) => Ok(Outcome::Applied),
            Written::No(known) => outcome(&known, register, change),
        }
    }

    async fn apply_login(
        &self,
        login: &DeviceChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let month = Month::from(login.at);
        let common = self
            .update_device(login, received_at)
            .expression_attribute_values(":month", item::string(month.to_string()))
            .condition_expression(format!("{ONLINE_STAMP} < :stamp AND {COUNTED_MONTH} = :month"))
            .update_expression(format!("SET {ONLINE_STAMP} = :stamp, {EXPIRES_AT} = :expires_at"));
        let Written::No(known) = written(common.send()).await? else {
            return Ok(Outcome::Applied);
        };
        // The stamp and the flag are written together, so this login has been counted.
        if outcome(&known, ONLINE_STAMP, login)? == Outcome::Duplicate {
            return Ok(Outcome::Duplicate);
        }
        let registration = login.first_login(received_at);
        tokio::try_join!(
            self.register(&registration),
            self.count_for_month(&login.app, &login.user, month, received_at),
        )?;
        let flagged = self
            .update_device(login, received_at)
            .expression_attribute_values(":month", item::string(month.to_string()))
            .condition_expression(format!(
                "attribute_not_exists({ONLINE_STAMP}) OR {ONLINE_STAMP} < :stamp"
            ))
            .update_expression(format!(
                "SET {ONLINE_STAMP} = :stamp, {COUNTED_MONTH} = :month, {EXPIRES_AT} = :expires_at"
            ));
        match written(flagged.send()).await? {
            Written::Yes(_) => Ok(Outcome::Applied),
            Written::No(known) => outcome(&known, ONLINE_STAMP, login),
        }
    }

    fn update_device(
        &self,
        change: &DeviceChange,
        received_at: UnixMillis,
    ) -> UpdateItemFluentBuilder {
        let device = keys::device(&change.platform, change.connection.id());
        let stamp = change.stamp();
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PK, item::string(keys::user(&change.app, &change.user)))
            .key(SK, item::string(device))
            .expression_attribute_values(":stamp", item::number(stamp.number()))
            .expression_attribute_values(
                ":expires_at",
                item::number(self.seat_expiry(received_at).0),
            )
            .return_values_on_condition_check_failure(AllOld)
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

/// What became of an event whose register was not written.
fn outcome(known: &Item, register: &str, change: &DeviceChange) -> Result<Outcome, StoreError> {
    let is_known = stamp(known, register)? == Some(change.stamp());
    Ok(if is_known { Outcome::Duplicate } else { Outcome::Stale })
}

fn stamp(item: &Item, register: &str) -> Result<Option<Stamp>, StoreError> {
    Ok(item::millis(item, register)?.map(|number| Stamp::from_number(number.0)))
}

fn read_device(item: &Item) -> Result<Device, StoreError> {
    let (platform, connection) = keys::parse_device(item::text(item, SK)?)?;
    Ok(Device {
        platform,
        connection,
        online: stamp(item, ONLINE_STAMP)?,
        offline: stamp(item, OFFLINE_STAMP)?,
        logged_out: stamp(item, LOGOUT_STAMP)?,
        kicked_by_itself: stamp(item, KICKED_STAMP)?,
    })
}
