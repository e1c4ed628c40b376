//! A user's profile after their registration: that it changed, and what became known of it.

use serde::{Deserialize, Serialize};

use super::{App, UnixMillis, UserId};

/// A user's profile changed, and the provider does not say when, nor to what as a whole. So it is a
/// hint: somebody has to ask. The user and the time are its idempotency key, and of two times the
/// later one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileChange {
    /// The app it happened in.
    pub app: App,
    /// Whose profile.
    pub user: UserId,
    /// When we received it.
    pub changed_at: UnixMillis,
}

/// What is known of a profile since the registration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Profile {
    /// When the newest change was reported.
    pub changed_at: Option<UnixMillis>,
    /// When the provider was last asked for it, by our clock. `None` if it is that of the
    /// registration.
    pub read_at: Option<UnixMillis>,
}

impl Profile {
    /// When the newest change was reported, unless the profile was read since.
    ///
    /// ```
    /// use rollcall::domain::{Profile, UnixMillis};
    ///
    /// let changed = Profile { changed_at: Some(UnixMillis(5)), read_at: None };
    /// assert_eq!(changed.unread_change(), Some(UnixMillis(5)));
    /// let read = |at| Profile { read_at: Some(UnixMillis(at)), ..changed };
    /// assert_eq!(read(6).unread_change(), None);
    /// // Which one was first within a millisecond, nobody knows.
    /// assert_eq!(read(5).unread_change(), Some(UnixMillis(5)));
    /// ```
    #[must_use]
    pub fn unread_change(self) -> Option<UnixMillis> {
        self.changed_at.filter(|changed_at| Some(*changed_at) >= self.read_at)
    }
}
