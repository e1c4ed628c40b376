//! The sessions of a user: each is one connection of a device, with an id of its own, from its login
//! to its end. A user has many of them, so they lie together, as marks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    App, Connection, Device, DeviceEvent, LeaveReason, MarkError, Platform, Register, SessionId,
    Stamp, UnixMillis, UserId,
};

/// The platform of a device of which nobody names any.
pub const UNKNOWN_PLATFORM: &str = "Unknown";

/// What a callback says of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    /// It began, or went on after its connection was lost.
    LoggedIn,
    /// Its connection was lost.
    Offline,
    /// Its user logged out.
    LoggedOut,
}

/// Something happened to a session. What happened, the time, the session and its platform are its
/// idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChange {
    /// The app it happened in.
    pub app: App,
    /// Whose session.
    pub user: UserId,
    /// Which one.
    pub session: SessionId,
    /// On what kind of device.
    pub platform: Platform,
    /// What happened.
    pub event: SessionEvent,
    /// When, by the provider's clock.
    pub at: UnixMillis,
    /// When the session's login was, if the event names that. An end may name it, too: then the
    /// session is known as a whole, though the callback of its login was lost. But such a login
    /// registers nobody, and counts nobody for a month: a session may end long after its user was
    /// erased.
    pub login_at: Option<UnixMillis>,
}

impl SessionChange {
    /// What the event itself leaves.
    #[must_use]
    pub fn mark(&self) -> SessionMark {
        let state = match self.event {
            SessionEvent::LoggedIn if self.login_at.is_none() => SessionState::LoggedInAbout,
            SessionEvent::LoggedIn => SessionState::LoggedIn,
            SessionEvent::Offline => SessionState::Offline,
            SessionEvent::LoggedOut => SessionState::LoggedOut,
        };
        self.left(self.at, state)
    }

    /// What the login leaves that an end names.
    #[must_use]
    pub fn mark_of_login(&self) -> Option<SessionMark> {
        let login_at = self.login_at.filter(|_| self.event != SessionEvent::LoggedIn)?;
        Some(self.left(login_at, SessionState::LoginNamed))
    }

    /// When the session began, if that is known; otherwise when the event happened.
    #[must_use]
    pub fn age(&self) -> UnixMillis {
        self.login_at.unwrap_or(self.at)
    }

    fn left(&self, at: UnixMillis, state: SessionState) -> SessionMark {
        SessionMark { at, state, session: self.session.clone(), platform: self.platform.clone() }
    }
}

/// The state of a session that a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionState {
    /// It is online.
    LoggedIn = 1,
    /// It is online; the provider did not say when it logged in, so the time is about right.
    LoggedInAbout = 2,
    /// Its connection is lost.
    Offline = 3,
    /// Its user logged out.
    LoggedOut = 4,
    /// The provider was asked, and said that it is offline. The time is by our clock.
    SeenOffline = 5,
    /// It was online then, as its end says. Its login itself was not reported, or not yet.
    LoginNamed = 6,
}

/// What one event leaves of a session: its idempotency key, and everything that a reader needs.
///
/// A user's marks are a set, so any order of arrival gives the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionMark {
    /// When it happened.
    pub at: UnixMillis,
    /// The state from then on.
    pub state: SessionState,
    /// Which session.
    pub session: SessionId,
    /// On what kind of device.
    pub platform: Platform,
}

impl SessionMark {
    /// Whether it says when the session logged in.
    #[must_use]
    pub fn is_login(&self) -> bool {
        self.is_reported_login() || self.state == SessionState::LoginNamed
    }

    /// Whether it is a login that was reported: then it counts its user for its month.
    #[must_use]
    pub fn is_reported_login(&self) -> bool {
        matches!(self.state, SessionState::LoggedIn | SessionState::LoggedInAbout)
    }

    /// The register of a device that it is for, and the stamp in it; `None` for an observation.
    #[must_use]
    pub fn stamp(&self) -> Option<(Register, Stamp)> {
        let of = |event| Stamp::new(self.at, event, &Connection::Named(self.session.clone()));
        Some(match self.state {
            SessionState::LoggedIn | SessionState::LoginNamed => {
                (Register::Online, Stamp::login(self.at))
            }
            SessionState::LoggedInAbout => (Register::Online, Stamp::login_about(self.at)),
            SessionState::Offline => {
                (Register::Offline, of(DeviceEvent::Offline(LeaveReason::Disconnected)))
            }
            SessionState::LoggedOut => (Register::LoggedOut, of(DeviceEvent::LoggedOut)),
            SessionState::SeenOffline => return None,
        })
    }

    /// The mark as it is stored: the time in milliseconds, big-endian, so that the oldest sorts
    /// first; the state; the length of the session's id in one byte, the id, and the platform.
    ///
    /// ```
    /// use rollcall::domain::{SessionMark, SessionState, UnixMillis};
    ///
    /// let mark = SessionMark {
    ///     at: UnixMillis(1_700_000_000_000),
    ///     state: SessionState::LoggedIn,
    ///     session: "940000000000000001".parse()?,
    ///     platform: "ANDROID".parse()?,
    /// };
    /// assert_eq!(SessionMark::from_bytes(&mark.to_bytes()), Ok(mark));
    /// # Ok::<(), rollcall::domain::IdError>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (session, platform) = (self.session.as_str(), self.platform.as_str());
        let mut bytes = Vec::with_capacity(10 + session.len() + platform.len());
        bytes.extend(self.at.0.to_be_bytes());
        bytes.push(self.state as u8);
        // An id has at most 255 bytes.
        bytes.push(u8::try_from(session.len()).unwrap_or(u8::MAX));
        bytes.extend(session.as_bytes());
        bytes.extend(platform.as_bytes());
        bytes
    }

    /// Reads what [`SessionMark::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`MarkError`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MarkError> {
        let (at, rest) = bytes.split_first_chunk().ok_or(MarkError)?;
        let ([state, length], rest) = rest.split_first_chunk().ok_or(MarkError)?;
        let state = match state {
            1 => SessionState::LoggedIn,
            2 => SessionState::LoggedInAbout,
            3 => SessionState::Offline,
            4 => SessionState::LoggedOut,
            5 => SessionState::SeenOffline,
            6 => SessionState::LoginNamed,
            _ => return Err(MarkError),
        };
        let (session, platform) = rest.split_at_checked((*length).into()).ok_or(MarkError)?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| MarkError);
        Ok(Self {
            at: UnixMillis(u64::from_be_bytes(*at)),
            state,
            session: text(session)?.parse().map_err(|_| MarkError)?,
            platform: text(platform)?.parse().map_err(|_| MarkError)?,
        })
    }
}

/// The sessions that some marks of a user show, as devices: one for each session, with the newest
/// event of each kind.
#[must_use]
pub fn devices_of_sessions(
    marks: impl IntoIterator<Item = SessionMark>,
    checked_at: Option<UnixMillis>,
) -> Vec<Device> {
    let mut sessions = BTreeMap::<SessionId, Vec<SessionMark>>::new();
    for mark in marks {
        sessions.entry(mark.session.clone()).or_default().push(mark);
    }
    let devices = sessions.into_iter().filter_map(|(session, marks)| {
        // The platform is set at a login. An end need not name it.
        let names_it = |mark: &SessionMark| {
            let is_known = mark.platform.as_str() != UNKNOWN_PLATFORM;
            (is_known, mark.is_login(), mark.at, mark.platform.clone())
        };
        let (.., platform) = marks.iter().map(names_it).max()?;
        let mut device = Device {
            platform,
            connection: Some(session),
            online: None,
            offline: None,
            logged_out: None,
            kicked_by_itself: None,
            seen_online: None,
            seen_offline: None,
            checked_at,
        };
        for mark in &marks {
            let Some((register, stamp)) = mark.stamp() else {
                device.seen_offline = device.seen_offline.max(Some(mark.at));
                continue;
            };
            let known = match register {
                Register::Offline => &mut device.offline,
                Register::LoggedOut => &mut device.logged_out,
                Register::Online | Register::KickedByItself => &mut device.online,
            };
            // Of two logins of one time the one that the provider named counts.
            let order = |stamp: Stamp| (stamp.at(), !stamp.is_about(), stamp);
            *known = (*known).into_iter().chain([stamp]).max_by_key(|stamp| order(*stamp));
        }
        Some(device)
    });
    devices.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATES: [SessionState; 6] = [
        SessionState::LoggedIn,
        SessionState::LoggedInAbout,
        SessionState::Offline,
        SessionState::LoggedOut,
        SessionState::SeenOffline,
        SessionState::LoginNamed,
    ];

    fn mark() -> impl Strategy<Value = SessionMark> {
        let time = prop_oneof![Just(0), Just(255), Just(256), any::<u64>()];
        let id = || "[19a]{1,3}|.{1,60}";
        (time, prop::sample::select(&STATES[..]), id(), id()).prop_map(
            |(at, state, session, platform)| SessionMark {
                at: UnixMillis(at),
                state,
                session: session.parse().unwrap(),
                platform: platform.parse().unwrap(),
            },
        )
    }

    proptest! {
        #[test]
        fn marks_come_back_from_their_bytes_and_sort_by_time(a in mark(), b in mark()) {
            prop_assert_eq!(SessionMark::from_bytes(&a.to_bytes()), Ok(a.clone()));
            if a.at < b.at {
                prop_assert!(a.to_bytes() < b.to_bytes());
            }
        }

        #[test]
        fn other_bytes_are_no_mark_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(mark) = SessionMark::from_bytes(&bytes) {
                prop_assert_eq!(mark.to_bytes(), bytes);
            }
        }

        #[test]
        fn the_devices_are_the_same_in_any_order(
            (marks, shuffled) in prop::collection::vec(mark(), 0..12)
                .prop_flat_map(|marks| (Just(marks.clone()), Just(marks).prop_shuffle())),
        ) {
            let again = shuffled.iter().chain(&marks).cloned();
            prop_assert_eq!(devices_of_sessions(again, None), devices_of_sessions(marks, None));
        }
    }

    #[test]
    fn an_end_without_a_platform_is_of_the_device_that_logged_in() {
        let mark = |at, state, platform: &str| SessionMark {
            at: UnixMillis(at),
            state,
            session: "9".parse().unwrap(),
            platform: platform.parse().unwrap(),
        };
        let marks = [
            mark(1000, SessionState::LoggedIn, "ANDROID"),
            mark(5000, SessionState::Offline, "Unknown"),
        ];
        let devices = devices_of_sessions(marks, None);
        assert_eq!(devices.len(), 1);
        assert_eq!(devices[0].platform.as_str(), "ANDROID");
        assert_eq!(devices[0].offline.map(Stamp::at), Some(UnixMillis(5000)));
    }
}
