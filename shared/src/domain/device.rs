//! A person's device, according to its newest events.

use serde::{Deserialize, Serialize};

use super::{Ending, LeaveReason, Platform, RegisterRule, SessionId, UnixMillis};

/// What can happen to a device. Of each the newest is kept, whichever came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceEvent {
    /// It came online, or still is.
    Online(Account),
    /// It went offline, without its user having asked for it.
    Offline(LeaveReason),
    /// Its user logged out.
    LoggedOut,
    /// A login on another platform pushed it offline.
    Kicked,
    /// A login on the same platform pushed another device of that platform offline.
    KickedByItself,
}

/// What coming online says about the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Nothing: accounts are registered elsewhere.
    Registered,
    /// An account registers itself at its first login, and its logins are counted by month.
    RegistersItself,
}

/// What a provider says of the connection that makes a device online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Spelling", into = "Spelling")]
pub enum Connection {
    /// Its id: several of one platform are several devices. Each is reported once.
    Named(SessionId),
    /// It has no id, and while it lasts, the device is reported as online again and again.
    Leased,
    /// It has no id, and is reported once.
    Unnamed,
}

impl Connection {
    /// Its id, if it has one. Leased or not, a device without one is the same device: when a newer
    /// server replaces an older one, the older one's device does not remain.
    #[must_use]
    pub fn id(&self) -> Option<&SessionId> {
        match self {
            Self::Named(id) => Some(id),
            Self::Leased | Self::Unnamed => None,
        }
    }
}

/// A connection as it is written to the spill queue. A connection without id and without `told` is
/// a lease, as in messages from before the two kinds were distinguished.
#[derive(Clone, Serialize, Deserialize)]
struct Spelling {
    connection: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Reported>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reported {
    Once,
}

impl From<Spelling> for Connection {
    fn from(spelling: Spelling) -> Self {
        match (spelling.connection, spelling.told) {
            (Some(id), _) => Self::Named(id),
            (None, None) => Self::Leased,
            (None, Some(Reported::Once)) => Self::Unnamed,
        }
    }
}

impl From<Connection> for Spelling {
    fn from(connection: Connection) -> Self {
        match connection {
            Connection::Named(id) => Self { connection: Some(id), told: None },
            Connection::Leased => Self { connection: None, told: None },
            Connection::Unnamed => Self { connection: None, told: Some(Reported::Once) },
        }
    }
}

/// A person's device: the newest event of each kind, whichever came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
    /// When it was last reported as online.
    pub online: Option<Stamp>,
    /// When it last went offline, or was kicked.
    pub offline: Option<Stamp>,
    /// When its user last logged out.
    pub logged_out: Option<Stamp>,
    /// When a login on its platform last kicked another device of that platform.
    pub kicked_by_itself: Option<Stamp>,
    /// When the provider was last asked, and said that it is online.
    pub seen_online: Option<UnixMillis>,
    /// When the provider was last asked, and said that it is offline.
    pub seen_offline: Option<UnixMillis>,
    /// When the provider last confirmed what is known of it, by our clock.
    pub checked_at: Option<UnixMillis>,
}

impl Device {
    /// Whether it was ever reported.
    pub(crate) fn has_events(&self) -> bool {
        let events = [self.online, self.offline, self.logged_out, self.kicked_by_itself];
        events.iter().any(Option::is_some)
    }
}

/// A register of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// When it was last reported as online.
    Online,
    /// When it last went offline, or was pushed offline by another platform.
    Offline,
    /// When its user last logged out.
    LoggedOut,
    /// When a login on its platform last pushed another device of that platform offline.
    KickedByItself,
}

impl Register {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::LoggedOut => "logged_out",
            Self::KickedByItself => "kicked_by_itself",
        }
    }
}

/// What became of the registers of a device, by now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceVerdict {
    /// How its stay online ended; `None` while it lasts.
    pub ending: Option<Ending>,
    /// Until when it is online, if that has to be repeated.
    pub lease_until: Option<UnixMillis>,
    /// What became of [`Register::Online`], if there is one.
    pub online: Option<RegisterRule>,
    /// What became of [`Register::Offline`], if there is one.
    pub offline: Option<RegisterRule>,
    /// What became of [`Register::LoggedOut`], if there is one.
    pub logged_out: Option<RegisterRule>,
    /// What became of [`Register::KickedByItself`], if there is one.
    pub kicked_by_itself: Option<RegisterRule>,
    /// What became of [`Device::seen_online`], if there is one.
    pub seen_online: Option<RegisterRule>,
    /// What became of [`Device::seen_offline`], if there is one.
    pub seen_offline: Option<RegisterRule>,
    /// When its stay online began, if only an observation shows it.
    pub began_at: Option<UnixMillis>,
}

/// When an event happened to a device, its rank at that millisecond, and its reason, in one number
/// that sorts. So a register is one attribute, and its maximum is the newest event.
///
/// At the same millisecond, leaving and being kicked by the same platform come before coming
/// online, and being kicked by another platform comes after it.
///
/// Coming online has no reason. Its bits say whether it is reported once, and whether its time is
/// about right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

const RANKS: u64 = 4;
const REASONS: u64 = 8;

/// The rank of being pushed offline by another platform.
const PUSHED: u64 = 2;

/// The rank of coming online.
const ONLINE: u64 = 1;

/// The reason bits of an online that is reported once. Older stamps have 0, and so have leases.
const REPORTED_ONCE: u64 = 1;

/// The reason bits of a login whose time is about right: the provider did not name it.
const ABOUT: u64 = 2;

impl Stamp {
    /// The stamp of an event.
    #[must_use]
    pub fn new(at: UnixMillis, event: DeviceEvent, connection: &Connection) -> Self {
        let code = |reason: LeaveReason| u64::from(reason.code()).min(REASONS - 1);
        let (rank, reason) = match event {
            DeviceEvent::Offline(reason) => (0, code(reason)),
            DeviceEvent::LoggedOut => (0, code(LeaveReason::Normal)),
            DeviceEvent::KickedByItself => (0, code(LeaveReason::Kicked)),
            // Where accounts register themselves, there are no leases.
            DeviceEvent::Online(Account::Registered) if *connection == Connection::Unnamed => {
                (ONLINE, REPORTED_ONCE)
            }
            DeviceEvent::Online(_) => (ONLINE, 0),
            DeviceEvent::Kicked => (PUSHED, code(LeaveReason::Kicked)),
        };
        Self::of(at, rank, reason)
    }

    /// The stamp of a session's login.
    #[must_use]
    pub fn login(at: UnixMillis) -> Self {
        Self::of(at, ONLINE, 0)
    }

    /// The stamp of a session's login whose time the provider did not name.
    #[must_use]
    pub fn login_about(at: UnixMillis) -> Self {
        Self::of(at, ONLINE, ABOUT)
    }

    fn of(at: UnixMillis, rank: u64, reason: u64) -> Self {
        let ranked = at.0.saturating_mul(RANKS).saturating_add(rank);
        Self(ranked.saturating_mul(REASONS).saturating_add(reason))
    }

    /// When it happened.
    #[must_use]
    pub fn at(self) -> UnixMillis {
        UnixMillis(self.0 / (RANKS * REASONS))
    }

    /// Why the device went offline.
    #[must_use]
    pub fn reason(self) -> LeaveReason {
        let code = u16::try_from(self.0 % REASONS).unwrap_or_default();
        LeaveReason::from_code(code).unwrap_or(LeaveReason::Unspecified)
    }

    /// Of an offline: whether a login on another platform pushed the device offline.
    #[must_use]
    pub fn is_pushed_by_other_platform(self) -> bool {
        self.0 / REASONS % RANKS == PUSHED
    }

    /// Of an online without the id of a connection: whether it lasts until an offline. Otherwise it
    /// is a lease.
    #[must_use]
    pub fn was_reported_once(self) -> bool {
        self.0 % REASONS == REPORTED_ONCE
    }

    /// Of a session's login: whether its time is about right, because the provider did not name it.
    #[must_use]
    pub fn is_about(self) -> bool {
        self.0 / REASONS % RANKS == ONLINE && self.0 % REASONS == ABOUT
    }

    /// The number as it is stored.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// A number as it was stored.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}
