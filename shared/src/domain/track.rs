//! Which of a provider's products reported somebody in a room.

use serde::{Deserialize, Serialize};

/// Which of a provider's products reported somebody in a room, or a room. Of Tencent, two report the
/// same person in the same room. What each of them reports is kept apart, and is never added.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// The product that carries sound and picture: ZEGO's RTC, Tencent's TRTC.
    #[default]
    Media,
    /// Tencent's `RoomEngine`, and Live, which is a part of it.
    RoomEngine,
}

impl Track {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Media, Self::RoomEngine];

    /// Whether it is the one that every provider with rooms has.
    #[must_use]
    pub fn is_media(&self) -> bool {
        *self == Self::Media
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Media => Self::RoomEngine,
            Self::RoomEngine => Self::Media,
        }
    }
}

/// By which tracks it is decided who is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracks {
    /// By one.
    Only(Track),
    /// By both: a person is in if either says so.
    Both,
}

impl Tracks {
    /// Whether a track is one of them.
    #[must_use]
    pub fn has(self, track: Track) -> bool {
        self == Self::Both || self == Self::Only(track)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Track> {
        Track::ALL.into_iter().filter(move |track| self.has(*track))
    }
}
