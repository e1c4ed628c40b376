//! What decides whether a person is online: their seats, their devices and their registration, with
//! one query.

use futures::TryStreamExt;

use super::{
    super::{StoreError, item, keys, table::PK, table::SK},
    Reader,
    device::{read_device, read_sessions},
    person::PersonKind,
    registration::Account,
    rows::items,
    seat::Seat,
};
use crate::{
    domain::{App, Device, UnixMillis, UserId},
    providers::{self, DeviceItems, device_items},
};

/// What is known of a person, without older marks that were moved from their seats.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// Their seats by the tracks that count.
    pub seats: Vec<Seat>,
    /// Their devices.
    pub devices: Vec<Device>,
    /// What the provider has reported of their account.
    pub account: Option<Account>,
}

/// The sort keys from the first to the last item that may be among them. They are next to each
/// other:
///
/// ```text
/// device#  month#  moved#  registration  seat#  sessions#
/// ```
///
/// Where each device is an item and there are rooms, a small item for each month lies in between,
/// and so do the marks that were moved from seats with many. They are read and skipped: that costs
/// less than a second query.
fn range(app: &App) -> (&'static str, &'static str) {
    match (device_items(app.provider), providers::rules(app.provider).rooms) {
        (DeviceItems::Sessions, _) => (keys::REGISTRATION, keys::SESSIONS_END),
        (DeviceItems::Each, Some(_)) => (keys::DEVICE, keys::SEATS_END),
        (DeviceItems::Each, None) => (keys::DEVICE, keys::REGISTRATION),
    }
}

impl Reader {
    /// Where a person is, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn whereabouts(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Whereabouts, StoreError> {
        let (from, to) = range(app);
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk AND {SK} BETWEEN :from AND :to"))
            .expression_attribute_values(":pk", item::string(keys::user(app, user)))
            .expression_attribute_values(":from", item::string(from))
            .expression_attribute_values(":to", item::string(to));
        let found: Vec<_> = items(query, None, now).try_collect().await?;
        let (mut seats, mut sessions) = (Vec::new(), Vec::new());
        let (mut devices, mut account) = (Vec::new(), None);
        for item in found {
            match PersonKind::of(&item)? {
                PersonKind::Seat => seats.push(item),
                PersonKind::Device => devices.push(read_device(&item)?),
                PersonKind::Sessions => sessions.push(item),
                PersonKind::Registration => account = self.read_account(app, user, &item)?,
                PersonKind::Moved | PersonKind::Month => {}
            }
        }
        devices.extend(read_sessions(&sessions)?);
        Ok(Whereabouts {
            seats: self.seats_in(app, user, &seats)?,
            devices: self.left_of_devices(app, devices, self.erased.of(app, user)),
            account,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_items_are_in_this_order() {
        let order = [
            keys::DEVICE,
            keys::MONTH,
            keys::MOVED,
            keys::REGISTRATION,
            keys::SEAT,
            keys::SEATS_END,
            keys::SESSIONS,
            keys::SESSIONS_END,
        ];
        assert!(order.is_sorted(), "{order:?}");
    }
}
