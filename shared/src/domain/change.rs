//! The model that every callback is parsed into: what it changes.

use std::collections::BTreeMap;

use super::{App, Kind, LifeId, Mark, Platform, RoomId, SessionId, UnixMillis, UserId};

/// What a verified callback says has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody took or left a seat.
    Seat(SeatChange),
    /// A room's life began or ended.
    Life(LifeChange),
    /// A person's device came online or went offline.
    Device(DeviceChange),
    /// A user was registered.
    Registration(Registration),
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

/// A person's device came online or went offline. The device, the kind and the time are its
/// idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChange {
    /// The app it happened in.
    pub app: App,
    /// Whose device.
    pub user: UserId,
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
    /// Whether it came or went.
    pub kind: Kind,
    /// When, by the provider's clock. It is also the order among the events of the device.
    pub at: UnixMillis,
}

/// A user was registered. The user is the idempotency key: the earliest receipt stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The app it happened in.
    pub app: App,
    /// Who.
    pub user: UserId,
    /// When they were registered, if whoever registered them said so.
    pub create_time: Option<UnixMillis>,
    /// When we were told.
    pub recorded_at: UnixMillis,
    /// Display name.
    pub name: Option<String>,
    /// Address of their picture.
    pub avatar_url: Option<String>,
    /// Opaque data of the app's own.
    pub extra: Option<String>,
    /// Whether `extra` is only the beginning of what was sent.
    pub extra_truncated: bool,
    /// `OpenIM`'s `appMangerLevel`: 0 and 1 ordinary, 2 admin, 3 notification account, 4 robot.
    pub manager_level: Option<i32>,
    /// `OpenIM`'s `globalRecvMsgOpt`.
    pub receive_option: Option<i32>,
}

impl Registration {
    /// When the user was registered, as well as is known.
    #[must_use]
    pub fn registered_at(&self) -> UnixMillis {
        self.create_time.unwrap_or(self.recorded_at)
    }
}

impl Change {
    /// The app it happened in.
    #[must_use]
    pub fn app(&self) -> &App {
        match self {
            Self::Seat(seat) => &seat.app,
            Self::Life(life) => &life.app,
            Self::Device(device) => &device.app,
            Self::Registration(registration) => &registration.app,
        }
    }

    /// The room it happened in, if it happened in one.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Seat(seat) => Some(&seat.room),
            Self::Life(life) => Some(&life.room),
            Self::Device(_) | Self::Registration(_) => None,
        }
    }

    /// The person it is about, if it is about one.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Seat(seat) => Some(&seat.user),
            Self::Life(_) => None,
            Self::Device(device) => Some(&device.user),
            Self::Registration(registration) => Some(&registration.user),
        }
    }
}
