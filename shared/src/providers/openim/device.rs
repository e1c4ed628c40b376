//! Devices: `callbackAfterUserOnlineCommand` and `callbackAfterUserOfflineCommand`.

use std::time::Duration;

use super::OpenIm;
use crate::{
    callback::{FieldError, Fields, ParseError, Parsed, Verified},
    domain::{
        Beginning, Change, Connection, Device, DeviceChange, DeviceEvent, DeviceVerdict, Ending,
        Platform, RegisterRule, Stamp, UnixMillis,
    },
};

/// From 3.8.2 on a device that is online is reported again after ten or twenty minutes. So one
/// repetition may be lost.
const LEASE: Duration = Duration::from_mins(45);

const CONNECTION: &str = "connID";

/// A device whose kind nobody names, as on the first page about these callbacks.
const UNKNOWN_PLATFORM: &str = "Unknown";

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
    Ok(Parsed::from(Change::Device(DeviceChange {
        app: request.app(),
        user: body.id("userID")?,
        platform: platform(body)?,
        connection: connection(body)?,
        event,
        // The published page has none.
        at: match body.event_time("seq", request.received_at()) {
            Err(FieldError::Missing(_)) => request.received_at(),
            at => at?,
        },
    })))
}

/// Servers before 3.2 and the published page have no such key, and say once that a device is online.
/// From 3.8.2 on it is empty, and they repeat themselves.
fn connection(body: &Fields) -> Result<Connection, FieldError> {
    match body.id(CONNECTION) {
        Ok(id) => Ok(Connection::Named(id)),
        Err(FieldError::Missing(_)) if body.is_named(CONNECTION) => Ok(Connection::Leased),
        Err(FieldError::Missing(_)) => Ok(Connection::Unnamed),
        Err(error) => Err(error),
    }
}

/// The platform's name; by its id, if the server has no name for it.
fn platform(body: &Fields) -> Result<Platform, FieldError> {
    match body.id("platform") {
        Err(FieldError::Missing(_)) => {
            let Some(id) = body.integer::<u32>("platformID")? else {
                return UNKNOWN_PLATFORM.parse().map_err(|error| FieldError::Id("platform", error));
            };
            platform_by_id(id).parse().map_err(|error| FieldError::Id("platformID", error))
        }
        named => named,
    }
}

/// The name of a platform; if the server has none, one of ours.
pub(super) fn platform_by_id(id: u32) -> String {
    let known = usize::try_from(id).ok().and_then(|id| PLATFORMS.get(id.checked_sub(1)?));
    known.map_or_else(|| format!("platform_{id}"), |name| (*name).to_owned())
}

/// When a device came online. Where being online is a lease, only its last repetition is known.
pub(super) fn device_beginning(device: &Device) -> Beginning {
    match device.online {
        None => Beginning::Unknown,
        Some(online) if is_lease(device, online) => Beginning::Assumed(online.at()),
        Some(online) => Beginning::Known(online.at()),
    }
}

/// Whether the server repeats that the device is online.
fn is_lease(device: &Device, online: Stamp) -> bool {
    device.connection.is_none() && !online.was_reported_once()
}

/// How a device's stay online ended by now, and what became of each of its registers.
///
/// The newest event decides. At the same millisecond an online event wins, because the server reports
/// all arrivals before it reports departures. If the server repeats its online events, being online
/// is a lease.
pub(super) fn decide(device: &Device, now: UnixMillis) -> DeviceVerdict {
    let left = |stamp: Stamp| Ending::Left { at: stamp.at(), reason: stamp.reason() };
    let Device { online, offline, .. } = *device;
    if let Some(offline) = offline.filter(|offline| online.is_none_or(|online| *offline > online)) {
        return DeviceVerdict {
            ending: Some(left(offline)),
            online: online.map(|_| RegisterRule::CameOnline),
            offline: Some(RegisterRule::WentOffline),
            ..DeviceVerdict::default()
        };
    }
    let Some(online) = online else { return DeviceVerdict::default() };
    let lease_until = is_lease(device, online).then(|| online.at().after(LEASE));
    let expired = lease_until.filter(|until| *until <= now);
    DeviceVerdict {
        ending: expired.map(|at| Ending::LeaseExpired { at }),
        lease_until,
        online: Some(match (lease_until, expired) {
            (_, Some(_)) => RegisterRule::LeaseExpired,
            (Some(_), None) => RegisterRule::Lease,
            (None, None) => RegisterRule::Online,
        }),
        offline: offline.map(|offline| {
            if offline.at() == online.at() { RegisterRule::LosesTie } else { RegisterRule::Older }
        }),
        ..DeviceVerdict::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, LeaveReason};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const ONLINE: DeviceEvent = DeviceEvent::Online(Account::Registered);

    fn device(connection: &Connection, entered: Option<u64>, left: Option<u64>) -> Device {
        let stamp = |at, event| Stamp::new(UnixMillis(at), event, connection);
        let offline = DeviceEvent::Offline(LeaveReason::Unspecified);
        Device {
            platform: "IOS".parse().unwrap(),
            connection: connection.id().cloned(),
            online: entered.map(|at| stamp(at, ONLINE)),
            offline: left.map(|at| stamp(at, offline)),
            logged_out: None,
            kicked_by_itself: None,
            seen_online: None,
            seen_offline: None,
            checked_at: None,
        }
    }

    fn connections() -> [Connection; 3] {
        let named = Connection::Named("c1".parse().unwrap());
        [Connection::Leased, Connection::Unnamed, named]
    }

    fn left_at(device: &Device, now: UnixMillis) -> Option<u64> {
        decide(device, now).ending.map(|ending| ending.at().0)
    }

    #[test]
    fn the_newest_event_speaks_and_online_wins_a_tie() {
        let at = NOW.0 - 1000;
        for connection in &connections() {
            assert_eq!(left_at(&device(connection, Some(at), None), NOW), None);
            assert_eq!(left_at(&device(connection, Some(at), Some(at - 1)), NOW), None);
            assert_eq!(left_at(&device(connection, Some(at), Some(at)), NOW), None);
            assert_eq!(left_at(&device(connection, Some(at), Some(at + 1)), NOW), Some(at + 1));
            assert_eq!(left_at(&device(connection, None, Some(at)), NOW), Some(at));
        }
    }

    #[test]
    fn a_lease_ends_after_forty_five_minutes_and_nothing_else_does() {
        let at = NOW.0 - 45 * 60_000;
        let [leased, unnamed, named] = &connections();
        assert_eq!(left_at(&device(leased, Some(at + 1), None), NOW), None);
        assert_eq!(left_at(&device(leased, Some(at), None), NOW), Some(NOW.0));
        assert!(decide(&device(leased, Some(at), None), NOW).ending.unwrap().is_assumed());
        for connection in [unnamed, named] {
            assert_eq!(left_at(&device(connection, Some(0), None), NOW), None);
        }
    }

    /// The number of a stamp is stored.
    #[test]
    fn what_was_stored_before_leases_were_told_apart_is_one() {
        let before = Stamp::from_number((NOW.0 * 4 + 1) * 8);
        assert!(!before.was_reported_once());
        assert_eq!(before, Stamp::new(NOW, ONLINE, &Connection::Leased));
    }
}
