//! The devices of a user.

use super::{
    super::{
        StoreError,
        item::{
            self, CHECKED_AT, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP, ONLINE_STAMP,
            SEEN_OFFLINE, SEEN_ONLINE,
        },
        keys,
        table::SK,
    },
    Reader,
};
use crate::domain::{App, Device, UnixMillis, UserId};

impl Reader {
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
        let erased = self.erased.of(app, user);
        let device = |item| {
            let device = self.counted(app, read_device(item)?);
            Ok(match erased {
                Some(erased) => device.and_then(|device| erased.left_of_device(device)),
                None => device,
            })
        };
        items.iter().filter_map(|item| device(item).transpose()).collect()
    }
}

impl Reader {
    /// A device without the observations that are ignored; `None` if nothing else shows that it was
    /// ever there.
    pub(super) fn counted(&self, app: &App, device: Device) -> Option<Device> {
        let counts = |at: &UnixMillis| self.settings.counts_seen_at(app, *at);
        let device = Device {
            seen_online: device.seen_online.filter(counts),
            seen_offline: device.seen_offline.filter(counts),
            checked_at: device.checked_at.filter(counts),
            ..device
        };
        let events = [device.online, device.offline, device.logged_out, device.kicked_by_itself];
        let is_known = events.iter().any(Option::is_some) || device.seen_online.is_some();
        is_known.then_some(device)
    }
}

pub(super) fn read_device(item: &Item) -> Result<Device, StoreError> {
    let (platform, connection) = keys::parse_device(item::text(item, SK)?)?;
    Ok(Device {
        platform,
        connection,
        online: item::stamp(item, ONLINE_STAMP)?,
        offline: item::stamp(item, OFFLINE_STAMP)?,
        logged_out: item::stamp(item, LOGOUT_STAMP)?,
        kicked_by_itself: item::stamp(item, KICKED_STAMP)?,
        seen_online: item::millis(item, SEEN_ONLINE)?,
        seen_offline: item::millis(item, SEEN_OFFLINE)?,
        checked_at: item::millis(item, CHECKED_AT)?,
    })
}
