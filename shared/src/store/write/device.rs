//! A device: a register for each kind of event, which keeps the newest event. Each write has a
//! condition on its own register only. Maximum commutes, so any order of arrival gives the same
//! result. The reader compares the registers.
//!
//! Where accounts register themselves, the first login is also the registration, and a login counts
//! its user for the month. Both are written before the device's flag that they are done. After a
//! crash in between, the next login writes them again. The flag is part of the common condition, so
//! each later login of the month is one write.

use super::{
    super::{
        StoreError,
        item::{
            self, COUNTED_MONTH, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP, ONLINE_STAMP,
        },
        keys,
    },
    Writer,
    update::{Update, Written},
};
use crate::domain::{Account, DeviceChange, DeviceEvent, Month, Outcome, UnixMillis};

impl Writer {
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
            .update_device(change, register, received_at)
            .only_if(format!("attribute_not_exists({register}) OR {register} < :{register}"));
        match self.table.update(update).await? {
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
        let update = || {
            self.update_device(login, ONLINE_STAMP, received_at)
                .set(COUNTED_MONTH, item::string(month.to_string()))
        };
        let common = update().only_if(format!(
            "{ONLINE_STAMP} < :{ONLINE_STAMP} AND {COUNTED_MONTH} = :{COUNTED_MONTH}"
        ));
        let Written::No(known) = self.table.update(common).await? else {
            return Ok(Outcome::Applied);
        };
        // The stamp and the flag are written together, so this login has been counted.
        if outcome(&known, ONLINE_STAMP, login)? == Outcome::Duplicate {
            return Ok(Outcome::Duplicate);
        }
        let registration = login.first_login(received_at);
        tokio::try_join!(
            self.register(&registration),
            self.count_for_month(&login.app, &login.user, login.at, received_at),
        )?;
        let flagged = update().only_if(format!(
            "attribute_not_exists({ONLINE_STAMP}) OR {ONLINE_STAMP} < :{ONLINE_STAMP}"
        ));
        match self.table.update(flagged).await? {
            Written::Yes(_) => Ok(Outcome::Applied),
            Written::No(known) => outcome(&known, ONLINE_STAMP, login),
        }
    }

    /// Makes an event the newest in its register. The caller adds the condition.
    fn update_device(
        &self,
        change: &DeviceChange,
        register: &str,
        received_at: UnixMillis,
    ) -> Update {
        let device = keys::device(&change.platform, change.connection.id());
        let stamp = change.stamp();
        Update::of(keys::user(&change.app, &change.user), device)
            .set(register, item::number(stamp.number()))
            .set(item::EXPIRES_AT, item::number(self.seat_expiry(received_at).0))
            .or_return_item()
    }
}

/// The outcome of an event whose register was not written.
fn outcome(known: &Item, register: &str, change: &DeviceChange) -> Result<Outcome, StoreError> {
    let is_known = item::stamp(known, register)? == Some(change.stamp());
    Ok(if is_known { Outcome::Duplicate } else { Outcome::Stale })
}
