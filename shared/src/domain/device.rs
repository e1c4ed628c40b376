//! A person's device, as far as its newest events tell.

use super::{DeviceEvent, LeaveReason, Platform, SessionId, UnixMillis};

/// A person's device: the newest event of each kind, whichever came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
    /// When it was last told to be online.
    pub online: Option<Stamp>,
    /// When it last went offline, or was kicked.
    pub offline: Option<Stamp>,
    /// When its user last logged out.
    pub logged_out: Option<Stamp>,
    /// When a login on its platform last kicked another device of that platform.
    pub kicked_by_itself: Option<Stamp>,
}

/// When an event happened to a device, how it ranks at that millisecond, and why: all in one number
/// that sorts, so that a register is one attribute and its maximum is the newest event.
///
/// At the same millisecond, leaving and being kicked by one's own platform come before coming
/// online, and being kicked by another platform after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

const RANKS: u64 = 4;
const REASONS: u64 = 8;

impl Stamp {
    /// The stamp of an event.
    #[must_use]
    pub fn new(at: UnixMillis, event: DeviceEvent) -> Self {
        let (rank, reason) = match event {
            DeviceEvent::Offline(reason) => (0, reason),
            DeviceEvent::LoggedOut => (0, LeaveReason::Normal),
            DeviceEvent::KickedByItself => (0, LeaveReason::Kicked),
            DeviceEvent::Online(_) => (1, LeaveReason::Unspecified),
            DeviceEvent::Kicked => (2, LeaveReason::Kicked),
        };
        let reason = u64::from(reason.code()).min(REASONS - 1);
        Self(
            (at.0.saturating_mul(RANKS).saturating_add(rank))
                .saturating_mul(REASONS)
                .saturating_add(reason),
        )
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
