//! When a device of Chat's is offline.

use std::time::Duration;

use crate::domain::{Device, Ending, Stamp};

/// How long after it was kicked by its own platform an old client's logout still comes.
const OLD_CLIENTS_LOGOUT: Duration = Duration::from_secs(5);

/// How a device's stay online ended; `None` while it lasts.
///
/// The newest event speaks. But clients before 5.6.1200 (Web: 2.14.0) that are kicked also log out,
/// and on the same platform that would end the stay of the device that kicked them: so a logout
/// within five seconds after such a kick does not count.
pub(super) fn device_ending(device: &Device) -> Option<Ending> {
    // Of a logout before the kick the kick is the newer event anyway.
    let logged_out = device.logged_out.filter(|logout| {
        device.kicked_by_itself.is_none_or(|kick| logout.at() > kick.at().after(OLD_CLIENTS_LOGOUT))
    });
    let last: Option<Stamp> = device.offline.max(logged_out).max(device.kicked_by_itself);
    let is_over = last.is_some_and(|last| device.online.is_none_or(|online| last > online));
    last.filter(|_| is_over).map(|last| Ending::Left { at: last.at(), reason: last.reason() })
}
