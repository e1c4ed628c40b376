//! On which devices a person is online.

use crate::domain::{DeviceSays, Platform};

/// What a provider says of a person's devices. A device of which it says nothing clear is as it
/// was.
///
/// ```
/// use rollcall::{domain::DeviceSays, providers::api::AccountDevices};
///
/// let (web, ios) = ("Web".parse().unwrap(), "iOS".parse().unwrap());
/// let devices = AccountDevices::online_on([web]);
/// assert_eq!(devices.says(&"Web".parse().unwrap()), Some(DeviceSays::Online));
/// assert_eq!(devices.says(&ios), Some(DeviceSays::Offline));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDevices {
    online: Vec<Platform>,
    offline: Vec<Platform>,
    /// Of these kinds nothing is known.
    unclear: Vec<Platform>,
    others: Others,
}

/// What follows for a kind of device that the answer does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum Others {
    /// The list is whole: such a device is offline.
    Offline,
    /// The list has a device that has no name of ours, and this may be it.
    Unknown,
    /// There is no list: one of the devices is online.
    OneOfThem,
}

impl AccountDevices {
    /// Online on no device.
    #[must_use]
    pub fn offline() -> Self {
        Self::online_on([])
    }

    /// Online on one device of each of these kinds, and on no others.
    #[must_use]
    pub fn online_on(platforms: impl IntoIterator<Item = Platform>) -> Self {
        let mut online = Vec::new();
        for platform in platforms {
            if !online.contains(&platform) {
                online.push(platform);
            }
        }
        Self { online, offline: Vec::new(), unclear: Vec::new(), others: Others::Offline }
    }

    /// Online on a device at least, and the answer does not say which.
    #[must_use]
    pub fn online_somewhere() -> Self {
        Self { others: Others::OneOfThem, ..Self::offline() }
    }

    /// Whether the person is online, and it is not said where.
    #[must_use]
    pub fn is_online_somewhere(&self) -> bool {
        self.others == Others::OneOfThem
    }

    /// Adds kinds of device that the answer lists as offline.
    pub(in crate::providers) fn offline_on(mut self, platforms: Vec<Platform>) -> Self {
        self.offline = platforms;
        self
    }

    /// Adds what the answer leaves open.
    pub(in crate::providers) fn leaving_open(
        mut self,
        unclear: Vec<Platform>,
        others: Others,
    ) -> Self {
        (self.unclear, self.others) = (unclear, others);
        self
    }

    /// What the provider says of the devices of this kind; `None` if nothing follows from its
    /// answer. If the record has several devices of this kind, the answer does not say which one it
    /// means.
    #[must_use]
    pub fn says(&self, platform: &Platform) -> Option<DeviceSays> {
        if self.online.contains(platform) {
            Some(DeviceSays::Online)
        } else if self.offline.contains(platform) {
            Some(DeviceSays::Offline)
        } else if self.others != Others::Offline || self.unclear.contains(platform) {
            None
        } else {
            Some(DeviceSays::Offline)
        }
    }

    /// The kinds of device on which the person is online, each once.
    #[must_use]
    pub fn online(&self) -> &[Platform] {
        &self.online
    }
}
