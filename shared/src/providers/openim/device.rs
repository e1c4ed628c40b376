//! Devices: `callbackAfterUserOnlineCommand` and `callbackAfterUserOfflineCommand`.

use std::time::Duration;

use super::OpenIm;
use crate::{
    callback::{FieldError, Fields, ParseError, Parsed, Verified},
    domain::{
        Beginning, Change, Device, DeviceChange, DeviceEvent, Ending, Platform, SessionId, Stamp,
        UnixMillis,
    },
};

/// From 3.8.2 on a device that is online is reported again about every ten minutes, and the server
/// itself forgets it after thirty.
const LEASE: Duration = Duration::from_mins(30);

/// The server's names of its platform ids (protocol, `platform_id_to_name.go`).
const PLATFORMS: [&str; 11] = [
    "IOS",
    "Android",
    "Windows",
    "OSX",
    "Web",
    "MiniWeb",
    "Linux",
    "APad",
    "IPad",
    "Admin",
    "HarmonyOS",
];

/// Reads one event of a device.
pub(super) fn change(request: &Verified<OpenIm>, event: DeviceEvent) -> Result<Parsed, ParseError> {
    let body = request.body();
    let connection = match body.id::<SessionId>("connID") {
        Ok(connection) => Some(connection),
        Err(FieldError::Missing(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Parsed::from(Change::Device(DeviceChange {
        app: request.app(),
        user: body.id("userID")?,
        platform: platform(body)?,
        connection,
        event,
        at: body.event_time("seq", request.received_at())?,
    })))
}

/// The platform's name; by its id, if the server has no name for it.
fn platform(body: &Fields) -> Result<Platform, FieldError> {
    match body.id("platform") {
        Err(FieldError::Missing(_)) => {
            let id: u32 = body.required_integer("platformID")?;
            let known = usize::try_from(id).ok().and_then(|id| PLATFORMS.get(id.checked_sub(1)?));
            let name = known.map_or_else(|| format!("platform_{id}"), |name| (*name).to_owned());
            name.parse().map_err(|error| FieldError::Id("platformID", error))
        }
        named => named,
    }
}

/// When a device came online. Where being online is a lease, only its last repetition is known.
#[must_use]
pub fn device_beginning(device: &Device) -> Beginning {
    match (device.online, &device.connection) {
        (None, _) => Beginning::Unknown,
        (Some(online), Some(_)) => Beginning::Known(online.at()),
        (Some(online), None) => Beginning::Assumed(online.at()),
    }
}

/// How a device's stay online ended; `None` while it lasts.
///
/// The newest event speaks, and at the same millisecond the one that says online, since the server
/// tells of all that come before it tells of those that go. Where there is no connection id, the
/// word online is a lease.
#[must_use]
pub fn device_ending(device: &Device, now: UnixMillis) -> Option<Ending> {
    let left = |stamp: Stamp| Ending::Left { at: stamp.at(), reason: stamp.reason() };
    let Some(online) = device.online else { return device.offline.map(left) };
    if let Some(offline) = device.offline.filter(|offline| *offline > online) {
        return Some(left(offline));
    }
    let at = online.at().after(LEASE);
    (device.connection.is_none() && at <= now).then_some(Ending::LeaseExpired { at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, LeaveReason};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn device(connection: Option<&str>, entered: Option<u64>, left: Option<u64>) -> Device {
        let stamp = |at, event| Stamp::new(UnixMillis(at), event);
        let online = DeviceEvent::Online(Account::Registered);
        let offline = DeviceEvent::Offline(LeaveReason::Unspecified);
        Device {
            platform: "IOS".parse().unwrap(),
            connection: connection.map(|connection| connection.parse().unwrap()),
            online: entered.map(|at| stamp(at, online)),
            offline: left.map(|at| stamp(at, offline)),
            logged_out: None,
            kicked_by_itself: None,
        }
    }

    fn left_at(device: &Device, now: UnixMillis) -> Option<u64> {
        device_ending(device, now).map(|ending| ending.at().0)
    }

    #[test]
    fn the_newest_event_speaks_and_online_wins_a_tie() {
        let at = NOW.0 - 1000;
        assert_eq!(left_at(&device(None, Some(at), None), NOW), None);
        assert_eq!(left_at(&device(None, Some(at), Some(at - 1)), NOW), None);
        assert_eq!(left_at(&device(None, Some(at), Some(at)), NOW), None);
        assert_eq!(left_at(&device(None, Some(at), Some(at + 1)), NOW), Some(at + 1));
        assert_eq!(left_at(&device(None, None, Some(at)), NOW), Some(at));
    }

    #[test]
    fn a_lease_ends_after_thirty_minutes_unless_there_is_a_connection() {
        let at = NOW.0 - 1_800_000;
        assert_eq!(left_at(&device(None, Some(at + 1), None), NOW), None);
        assert_eq!(left_at(&device(None, Some(at), None), NOW), Some(NOW.0));
        assert!(device_ending(&device(None, Some(at), None), NOW).unwrap().is_assumed());
        assert_eq!(left_at(&device(Some("c1"), Some(at), None), NOW), None);
    }
}
