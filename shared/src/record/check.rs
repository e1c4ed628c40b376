//! What a pass compares with what a provider says of devices.

use super::{Record, RecordError};
use crate::domain::{
    Device, DeviceName, DeviceSays, DeviceSeen, Says, Seen, Stamp, UnixMillis, UserId,
    observed_device,
};

/// A device, as answers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceForCheck {
    /// Which one.
    pub name: DeviceName,
    /// Whether it is online.
    pub is_online: bool,
    /// Whether it is online only because the provider said so: that has to be repeated.
    pub is_only_seen: bool,
    /// When the provider last confirmed what is known of it, or said otherwise.
    pub checked_at: Option<UnixMillis>,
    /// Changes with each event of the device.
    pub version: Vec<u8>,
    device: Device,
}

impl Record<'_> {
    /// All devices of a person, read consistently.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn devices_for_check(
        self,
        user: &UserId,
    ) -> Result<Vec<DeviceForCheck>, RecordError> {
        let devices = self.store.devices(self.app, user, self.now).await?;
        Ok(devices.into_iter().map(|device| self.for_check(device)).collect())
    }

    /// Whether a device is as the provider said, once that is stored. It is not if an event speaks
    /// against it that may be newer, or if the answer is ignored. `known` is the device, if it is
    /// known.
    #[must_use]
    pub fn is_device_changed_by(
        self,
        user: &UserId,
        known: Option<&DeviceForCheck>,
        seen: &DeviceSeen,
    ) -> bool {
        if !self.store.counts(self.app, user, &Seen { at: seen.at, says: Says::Out }) {
            return false;
        }
        let Some(DeviceForCheck { device, .. }) = known else {
            return seen.online == DeviceSays::Online;
        };
        let at = |register: Option<UnixMillis>| register.max(Some(seen.at));
        match seen.online {
            DeviceSays::Online => {
                self.is_online(&Device { seen_online: at(device.seen_online), ..device.clone() })
            }
            DeviceSays::Offline => {
                !self.is_online(&Device { seen_offline: at(device.seen_offline), ..device.clone() })
            }
        }
    }

    fn is_online(self, device: &Device) -> bool {
        let Some(rules) = self.rules().devices else { return false };
        let of_events = (rules.decide)(device, self.now);
        observed_device(of_events, device, self.now).ending.is_none()
    }

    fn for_check(self, device: Device) -> DeviceForCheck {
        let is_online = |device: &Device| self.is_online(device);
        let is_online_now = is_online(&device);
        let unseen = Device { seen_online: None, seen_offline: None, ..device.clone() };
        let events = [device.online, device.offline, device.logged_out, device.kicked_by_itself];
        let version = events.map(|stamp| stamp.map_or(0, Stamp::number).to_be_bytes());
        let checked = [device.checked_at, device.seen_online, device.seen_offline];
        DeviceForCheck {
            is_online: is_online_now,
            is_only_seen: is_online_now && !is_online(&unseen),
            checked_at: checked.into_iter().flatten().max(),
            version: version.concat(),
            name: DeviceName {
                platform: device.platform.clone(),
                connection: device.connection.clone(),
            },
            device,
        }
    }
}
