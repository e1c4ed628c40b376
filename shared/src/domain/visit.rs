//! A stay of a person in a room, derived from the marks on their seat.

use super::{Because, By, EndRule, LeaveReason, Mark, Moved, Role, SessionId, UnixMillis};

/// One stay of a person in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The provider's session, if it has sessions.
    pub session: Option<SessionId>,
    /// The role at the end of the stay, or now.
    pub role: Role,
    /// When it began, as far as that is known.
    pub beginning: Beginning,
    /// The time of the newest event that shows that the person was in. If only the end of the visit
    /// is known, that end.
    pub last_in: UnixMillis,
    /// How it ended; `None` while it lasts.
    pub ending: Option<Ending>,
    /// Why it ended as it did; `None` while it lasts.
    pub because: Option<Because>,
    /// When the person created the room, if that would have ended the visit of anyone else.
    pub spared_at: Option<UnixMillis>,
}

impl Visit {
    /// A visit that a mark shows first. It has no session.
    #[must_use]
    pub fn begun(mark: &Mark, beginning: Beginning) -> Self {
        Self {
            session: None,
            role: mark.role,
            beginning,
            last_in: mark.at,
            ending: None,
            because: None,
            spared_at: None,
        }
    }

    /// Ends it by a rule.
    pub fn end(&mut self, ending: Ending, rule: EndRule, by: Option<By>) {
        self.ending = Some(ending);
        self.because = Some(Because { rule, at: ending.at(), by, moved: None });
    }

    /// Moves its end to another time, if it has ended at a different one.
    pub fn move_end(&mut self, at: UnixMillis, why: Moved, by: Option<&By>) {
        let Some(ending) = self.ending.filter(|ending| ending.at() != at) else { return };
        self.ending = Some(ending.moved_to(at));
        if let Some(because) = &mut self.because {
            because.moved = Some((why, by.cloned()));
        }
    }

    /// The place of the visit among others: its beginning, or its end if no beginning is known.
    #[must_use]
    pub fn place(&self) -> UnixMillis {
        self.beginning.at().unwrap_or(self.last_in)
    }

    /// The latest time at which the person is known to have been in. The newest event may name an
    /// earlier one: a relogin that keeps its session and its login time begins a stay when the one
    /// before it ended.
    #[must_use]
    pub fn last_sign(&self) -> UnixMillis {
        self.last_in.max(self.place())
    }
}

/// How well the beginning of a visit, or of a device's stay online, is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The provider said so.
    Known(UnixMillis),
    /// Its own callback never came, or its time cannot be right: this is the earliest time at which
    /// the person is known to have been in.
    Assumed(UnixMillis),
    /// Only the end is known.
    Unknown,
}

impl Beginning {
    /// When it was, if anything is known of it.
    #[must_use]
    pub fn at(self) -> Option<UnixMillis> {
        match self {
            Self::Known(at) | Self::Assumed(at) => Some(at),
            Self::Unknown => None,
        }
    }

    /// Whether the provider did not say when it was.
    #[must_use]
    pub fn is_assumed(self) -> bool {
        !matches!(self, Self::Known(_))
    }
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The provider said so.
    Left {
        /// When.
        at: UnixMillis,
        /// Why.
        reason: LeaveReason,
    },
    /// The callback of the end never came, but the person had a newer session in that room.
    Superseded {
        /// When the newer session began.
        at: UnixMillis,
    },
    /// The callback of the end never came, but the room's life ended.
    RoomClosed {
        /// When the room closed.
        at: UnixMillis,
    },
    /// The callback of the end never came, and neither did the repetition of the beginning that
    /// was due.
    LeaseExpired {
        /// When the lease ran out.
        at: UnixMillis,
    },
    /// The callback of the end never came, but a newer life of the room began.
    RoomReplaced {
        /// When the newer life began.
        at: UnixMillis,
    },
    /// The callback of the end never came, but the provider was asked, and said that the person is
    /// not there.
    Reconciled {
        /// When it was asked.
        at: UnixMillis,
    },
}

impl Ending {
    /// When the visit ended.
    #[must_use]
    pub fn at(self) -> UnixMillis {
        match self {
            Self::Left { at, .. }
            | Self::Superseded { at }
            | Self::RoomClosed { at }
            | Self::LeaseExpired { at }
            | Self::RoomReplaced { at }
            | Self::Reconciled { at } => at,
        }
    }

    /// The same end at another time.
    #[must_use]
    pub fn moved_to(self, at: UnixMillis) -> Self {
        match self {
            Self::Left { reason, .. } => Self::Left { at, reason },
            Self::Superseded { .. } => Self::Superseded { at },
            Self::RoomClosed { .. } => Self::RoomClosed { at },
            Self::LeaseExpired { .. } => Self::LeaseExpired { at },
            Self::RoomReplaced { .. } => Self::RoomReplaced { at },
            Self::Reconciled { .. } => Self::Reconciled { at },
        }
    }

    /// Whether the end was inferred, because its own callback never came.
    #[must_use]
    pub fn is_assumed(self) -> bool {
        !matches!(self, Self::Left { .. })
    }

    /// Why it ended, as answers name it.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Left { reason, .. } => reason.to_string(),
            Self::Superseded { .. } => "superseded".to_owned(),
            Self::RoomClosed { .. } => "room_closed".to_owned(),
            Self::RoomReplaced { .. } => "room_replaced".to_owned(),
            Self::Reconciled { .. } => "reconciled".to_owned(),
            Self::LeaseExpired { .. } => "lease_expired".to_owned(),
        }
    }
}
