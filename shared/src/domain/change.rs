//! The model that every callback is parsed into: what it changes.

use std::collections::BTreeMap;

use super::{App, LifeId, Mark, RoomId, UnixMillis, UserId};

/// What a verified callback says has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody took or left a seat.
    Seat(SeatChange),
    /// A room's life began or ended.
    Life(LifeChange),
}

/// Somebody took or left a seat: a person's place in one life of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatChange {
    /// The app it happened in.
    pub app: App,
    /// Who.
    pub user: UserId,
    /// Where.
    pub room: RoomId,
    /// In which life of the room.
    pub life: LifeId,
    /// Order, time, kind, session and reason. It is also the idempotency key: the same event
    /// always leaves the same mark, however often and whenever it is sent.
    pub mark: Mark,
    /// What else the event says of the person. It is kept as long as this is the newest event.
    pub roster: Roster,
}

/// What the newest event of a seat says of the person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// Their display name.
    pub name: Option<String>,
    /// What else the provider sends, by its own field names.
    pub details: Details,
}

/// Fields kept as the provider sent them, by the provider's own names.
pub type Details = BTreeMap<&'static str, String>;

/// A room's life began or ended. The life and the boundary are its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeChange {
    /// The app it happened in.
    pub app: App,
    /// Which room.
    pub room: RoomId,
    /// Which life of it.
    pub life: LifeId,
    /// Which end of the life, and when.
    pub boundary: Boundary,
}

/// One end of a room's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boundary {
    /// The room was created.
    Created {
        /// When.
        at: UnixMillis,
        /// By whom, if the provider says so.
        creator: Option<UserId>,
    },
    /// The room was closed.
    Closed {
        /// When.
        at: UnixMillis,
        /// The provider's code for why.
        reason: Option<u32>,
    },
}

impl Change {
    /// The app it happened in.
    #[must_use]
    pub fn app(&self) -> &App {
        match self {
            Self::Seat(seat) => &seat.app,
            Self::Life(life) => &life.app,
        }
    }

    /// The room it happened in.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Seat(seat) => &seat.room,
            Self::Life(life) => &life.room,
        }
    }

    /// The person it is about, if it is about one.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Seat(seat) => Some(&seat.user),
            Self::Life(_) => None,
        }
    }
}
