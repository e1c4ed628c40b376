//! When a session of ZIM's is offline.

use std::time::Duration;

use crate::domain::{Device, DeviceVerdict, Ending, RegisterRule, Stamp};

/// Times are whole seconds, so a login is later than the loss of the connection if it is a second later.
const SECOND: Duration = Duration::from_secs(1);

/// How a session ended, and what became of each of its registers.
///
/// A logout is final, whatever the times. A lost connection ends the session until it logs in again, at
/// least a second later: within one second the loss decides.
pub(super) fn decide(device: &Device) -> DeviceVerdict {
    let Device { online, offline, logged_out, .. } = *device;
    let left = |stamp: Stamp| Ending::Left { at: stamp.at(), reason: stamp.reason() };
    if let Some(logout) = logged_out {
        // What became of a register that does not decide.
        let of = |stamp: Stamp, before| match stamp.at().cmp(&logout.at()) {
            std::cmp::Ordering::Greater => RegisterRule::Outranked,
            std::cmp::Ordering::Equal | std::cmp::Ordering::Less => before,
        };
        return DeviceVerdict {
            ending: Some(left(logout)),
            online: online.map(|online| of(online, RegisterRule::CameOnline)),
            offline: offline.map(|offline| {
                let is_tied = offline.at() == logout.at();
                of(offline, if is_tied { RegisterRule::LosesTie } else { RegisterRule::Older })
            }),
            logged_out: Some(RegisterRule::LoggedOut),
            ..DeviceVerdict::default()
        };
    }
    let is_over =
        |offline: &Stamp| online.is_none_or(|online| online.at() < offline.at().after(SECOND));
    if let Some(offline) = offline.filter(is_over) {
        return DeviceVerdict {
            ending: Some(left(offline)),
            online: online.map(|_| RegisterRule::CameOnline),
            offline: Some(RegisterRule::WentOffline),
            ..DeviceVerdict::default()
        };
    }
    DeviceVerdict {
        online: online.map(|_| RegisterRule::Online),
        offline: offline.map(|_| RegisterRule::Older),
        ..DeviceVerdict::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{SessionMark, SessionState, UnixMillis, devices_of_sessions};

    const LOGIN: SessionState = SessionState::LoggedIn;
    const OFFLINE: SessionState = SessionState::Offline;
    const LOGOUT: SessionState = SessionState::LoggedOut;

    /// When a session ended, in seconds, and why.
    fn ended(events: &[(SessionState, u64)]) -> Option<(u64, String)> {
        let marks = events.iter().map(|(state, at)| SessionMark {
            at: UnixMillis(at * 1000),
            state: *state,
            session: "9".parse().unwrap(),
            platform: "WEB".parse().unwrap(),
        });
        let device = devices_of_sessions(marks, None).pop().unwrap();
        let ending = decide(&device).ending?;
        Some((ending.at().0 / 1000, ending.reason()))
    }

    #[test]
    fn states_of_one_session_are_ordered_by_their_rank() {
        let (lost, out) = ("disconnected", "normal");
        for (events, expected) in [
            (&[(LOGIN, 5)][..], None),
            (&[(LOGIN, 5), (OFFLINE, 9)], Some((9, lost))),
            (&[(LOGIN, 5), (LOGOUT, 9)], Some((9, out))),
            // All within one second.
            (&[(LOGIN, 5), (OFFLINE, 5)], Some((5, lost))),
            (&[(LOGIN, 5), (LOGOUT, 5)], Some((5, out))),
            (&[(LOGIN, 5), (OFFLINE, 5), (LOGOUT, 5)], Some((5, out))),
            // It goes on after its connection was lost.
            (&[(LOGIN, 5), (OFFLINE, 9), (LOGIN, 10)], None),
            (&[(LOGIN, 5), (OFFLINE, 9), (LOGIN, 9)], Some((9, lost))),
            (&[(LOGIN, 5), (OFFLINE, 9), (LOGIN, 10), (OFFLINE, 12)], Some((12, lost))),
            // But not after a logout.
            (&[(LOGIN, 5), (LOGOUT, 9), (LOGIN, 10)], Some((9, out))),
            (&[(LOGOUT, 9), (OFFLINE, 11)], Some((9, out))),
            (&[(OFFLINE, 8), (LOGOUT, 9)], Some((9, out))),
        ] {
            let expected = expected.map(|(at, reason)| (at, reason.to_owned()));
            assert_eq!(ended(events), expected, "{events:?}");
        }
    }
}
