//! When a device of Chat's is offline.

use std::time::Duration;

use crate::domain::{Device, DeviceVerdict, Ending, RegisterRule, Stamp};

/// How long after it was kicked by its own platform an old client's logout still comes.
const OLD_CLIENTS_LOGOUT: Duration = Duration::from_secs(5);

/// How a device's stay online ended, and what became of each of its registers.
///
/// The newest event speaks. But clients before 5.6.1200 (Web: 2.14.0) that are kicked also log out,
/// and on the same platform that would end the stay of the device that kicked them: so a logout
/// within five seconds after such a kick does not count.
pub(super) fn decide(device: &Device) -> DeviceVerdict {
    let Device { online, offline, logged_out, kicked_by_itself, .. } = device;
    // Of a logout before the kick the kick is the newer event anyway.
    let counted_logout = logged_out.filter(|logout| {
        kicked_by_itself.is_none_or(|kick| logout.at() > kick.at().after(OLD_CLIENTS_LOGOUT))
    });
    let last: Option<Stamp> = (*offline).max(counted_logout).max(*kicked_by_itself);
    let last = last.filter(|last| online.is_none_or(|online| *last > online));
    let newest = last.or(*online);
    let rule = |register: Stamp, rule| match newest {
        Some(newest) if newest == register => rule,
        Some(newest) if newest.at() == register.at() => RegisterRule::LosesTie,
        _ => RegisterRule::Older,
    };
    DeviceVerdict {
        ending: last.map(|last| Ending::Left { at: last.at(), reason: last.reason() }),
        online: online.map(|_| match last {
            Some(_) => RegisterRule::CameOnline,
            None => RegisterRule::Online,
        }),
        offline: offline.map(|offline| {
            let is_pushed = offline.is_pushed_by_other_platform();
            let pushed_or_not = if is_pushed {
                RegisterRule::PushedByOtherPlatform
            } else {
                RegisterRule::WentOffline
            };
            rule(offline, pushed_or_not)
        }),
        logged_out: logged_out.map(|logout| {
            let is_old_clients = counted_logout.is_none()
                && kicked_by_itself.is_some_and(|kick| logout.at() >= kick.at());
            if is_old_clients {
                RegisterRule::OldClientsLogout
            } else {
                rule(logout, RegisterRule::LoggedOut)
            }
        }),
        kicked_by_itself: kicked_by_itself
            .map(|kick| rule(kick, RegisterRule::PushedBySamePlatform)),
        ..DeviceVerdict::default()
    }
}
