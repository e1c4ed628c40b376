//! A person's device, as far as its newest events tell.

use super::{Platform, SessionId, UnixMillis};

/// A person's device: the newest event of each kind, whichever came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
    /// When it was last told to be online.
    pub entered_at: Option<UnixMillis>,
    /// When it was last told to be offline.
    pub left_at: Option<UnixMillis>,
}
