//! The devices of a user.

use super::{
    super::{
        StoreError,
        erasures::ErasedAt,
        item::{
            self, CHECKED_AT, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP, ONLINE_STAMP,
            SEEN_OFFLINE, SEEN_ONLINE,
        },
        keys,
        table::SK,
    },
    Reader,
};
use crate::{
    domain::{App, Device, UnixMillis, UserId, devices_of_sessions},
    providers::{DeviceItems, device_items},
};

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
        let devices = match device_items(app.provider) {
            DeviceItems::Each => {
                let items = self.of_user(app, user, keys::DEVICE, now).await?;
                items.iter().map(read_device).collect::<Result<_, _>>()?
            }
            DeviceItems::Sessions => {
                let items = self.of_user(app, user, keys::SESSIONS, now).await?;
                read_sessions(&items)?
            }
        };
        Ok(self.left_of_devices(app, devices, self.erased.of(app, user)))
    }

    /// What is left of devices: observations that do not count are ignored, and so is what was erased.
    pub(super) fn left_of_devices(
        &self,
        app: &App,
        devices: Vec<Device>,
        erased: Option<ErasedAt>,
    ) -> Vec<Device> {
        let left = devices.into_iter().filter_map(|device| {
            // Who was only ever seen to be offline is not known.
            let device = Some(self.counting(app, device))
                .filter(|device| device.has_events() || device.seen_online.is_some())?;
            match erased {
                Some(erased) => erased.left_of_device(device),
                None => Some(device),
            }
        });
        left.collect()
    }

    /// A device without the observations that are ignored.
    pub(super) fn counting(&self, app: &App, device: Device) -> Device {
        let counts = |at: &UnixMillis| self.settings.counts_seen_at(app, *at);
        Device {
            seen_online: device.seen_online.filter(counts),
            seen_offline: device.seen_offline.filter(counts),
            checked_at: device.checked_at.filter(counts),
            ..device
        }
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

/// The sessions on some items, each as a device. Their marks may have been moved from one item to
/// another.
pub(super) fn read_sessions(items: &[Item]) -> Result<Vec<Device>, StoreError> {
    let (mut marks, mut checked_at) = (Vec::new(), None);
    for item in items {
        marks.extend(item::sessions(item)?);
        checked_at = checked_at.max(item::millis(item, CHECKED_AT)?);
    }
    Ok(devices_of_sessions(marks, checked_at))
}
