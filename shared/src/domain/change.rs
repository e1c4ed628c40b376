//! The model that every callback is parsed into: what it changes.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{
    App, Connection, Creator, DeviceEvent, LifeId, Mark, Platform, Profile, ProfileChange, RoomId,
    SessionChange, Stamp, Track, UnixMillis, UserId,
};

/// What a verified callback says has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Somebody took or left a seat.
    Seat(SeatChange),
    /// A room's life began or ended.
    Life(LifeChange),
    /// A room was created or dismissed, and its lives have no names.
    Boundary(BoundaryChange),
    /// A person's device came online or went offline.
    Device(DeviceChange),
    /// A person's session began or ended, where each has an id of its own.
    Session(SessionChange),
    /// A user was registered.
    Registration(Registration),
    /// A user's profile changed.
    Profile(ProfileChange),
}

/// Somebody took or left a seat: a person's place in one life of a room, as one track reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatChange {
    /// The app it happened in.
    pub app: App,
    /// Who.
    pub user: UserId,
    /// Where.
    pub room: RoomId,
    /// In which life of the room, if the provider distinguishes lives.
    pub life: Option<LifeId>,
    /// Which of the provider's products says so.
    #[serde(default, skip_serializing_if = "Track::is_media")]
    pub track: Track,
    /// Order, time, kind, session and reason. It is also the idempotency key: the same event
    /// always leaves the same mark, however often and whenever it is sent.
    pub mark: Mark,
    /// What else the event says of the person. It is kept as long as this is the newest event.
    pub roster: Roster,
}

/// What the newest event of a seat says of the person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Their display name.
    pub name: Option<String>,
    /// What else the provider sends, by its own field names.
    pub details: Details,
}

/// What else a provider says, by the names in its folder. Nothing here depends on it.
pub type Details = BTreeMap<Cow<'static, str>, Detail>;

/// The value of one of the [`Details`]. In a queue message it is a plain JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Detail {
    /// The provider sent none. It is not stored.
    Missing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Detail {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

impl From<Option<String>> for Detail {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Missing, Self::Text)
    }
}

impl From<Option<i32>> for Detail {
    fn from(number: Option<i32>) -> Self {
        number.map_or(Self::Missing, |number| Self::Number(number.into()))
    }
}

/// A room's life began or ended. The life and the boundary are its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// A room was created or dismissed. The event itself is the idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundaryChange {
    /// The app it happened in.
    pub app: App,
    /// Which room.
    pub room: RoomId,
    /// Which of the provider's products says so.
    #[serde(default, skip_serializing_if = "Track::is_media")]
    pub track: Track,
    /// What happened, and when.
    pub boundary: Boundary,
}

/// One end of a room's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// The room was created.
    Created {
        /// When.
        at: UnixMillis,
        /// By whom, if the provider says so. Stored, as a hash, only where lives have no names:
        /// there a creation does not end its creator's stay.
        creator: Option<Creator>,
    },
    /// The room was closed.
    Closed {
        /// When.
        at: UnixMillis,
        /// The provider's code for why. Not stored, since no query returns it.
        reason: Option<u32>,
    },
}

/// Something happened to a person's device. The device, what happened and the time are its
/// idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceChange {
    /// The app it happened in.
    pub app: App,
    /// Whose device.
    pub user: UserId,
    /// What kind of device.
    pub platform: Platform,
    /// What the provider says of its connection.
    #[serde(flatten)]
    pub connection: Connection,
    /// What happened.
    pub event: DeviceEvent,
    /// When, by the provider's clock. It is also the order among the events of the device.
    pub at: UnixMillis,
}

impl DeviceChange {
    /// When it happened, and what: all in one number.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.at, self.event, &self.connection)
    }

    /// The registration that a login is, if it is the user's first.
    #[must_use]
    pub fn first_login(&self, received_at: UnixMillis) -> Registration {
        Registration::by_first_login(&self.app, &self.user, self.at, received_at)
    }
}

impl SessionChange {
    /// The registration that a login is, if it is the user's first.
    #[must_use]
    pub fn first_login(&self, received_at: UnixMillis) -> Registration {
        Registration::by_first_login(&self.app, &self.user, self.at, received_at)
    }
}

/// How it is known that a user is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RegistrationSource {
    /// The provider reported the registration. The earliest receipt stays.
    Callback,
    /// The provider does not report registrations: it was the first login. The earliest login stays.
    FirstLogin,
    /// The callback was lost, and the provider listed the user when it was asked.
    Reconciled,
}

/// A user was registered. The user is the idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The app it happened in.
    pub app: App,
    /// Who.
    pub user: UserId,
    /// How it is known.
    pub source: RegistrationSource,
    /// When they were registered, if the registration says so.
    pub create_time: Option<UnixMillis>,
    /// When we received it.
    pub recorded_at: UnixMillis,
    /// Display name.
    pub name: Option<String>,
    /// What else the provider says about the user, by the names in our answers.
    #[serde(flatten)]
    pub details: Details,
}

impl Registration {
    /// One that nobody reported: the user logged in for the first time.
    fn by_first_login(app: &App, user: &UserId, at: UnixMillis, received_at: UnixMillis) -> Self {
        Self {
            app: app.clone(),
            user: user.clone(),
            source: RegistrationSource::FirstLogin,
            create_time: Some(at),
            recorded_at: received_at,
            name: None,
            details: Details::new(),
        }
    }

    /// When the user was registered, as well as is known.
    #[must_use]
    pub fn registered_at(&self) -> UnixMillis {
        self.create_time.unwrap_or(self.recorded_at)
    }

    /// The time of which the earliest stays.
    #[must_use]
    pub fn order(&self) -> UnixMillis {
        match self.source {
            RegistrationSource::Callback | RegistrationSource::Reconciled => self.recorded_at,
            RegistrationSource::FirstLogin => self.registered_at(),
        }
    }
}

/// A registration as it is known now: with the profile as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The registration.
    pub registration: Registration,
    /// What became of the profile.
    pub profile: Profile,
}

/// What a log line can name of the changes of one callback: a batch is about more people than a line
/// has room for.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The app of all of them.
    pub app: Option<&'a str>,
    /// The person, if there is one change and it is about one.
    pub user: Option<&'a str>,
    /// The room, if there is one change and it happened in one.
    pub room: Option<&'a str>,
    /// How many changes there are, if more than one.
    pub count: Option<usize>,
}

impl<'a> Named<'a> {
    /// What can be named of some changes.
    #[must_use]
    pub fn of(changes: &'a [Change]) -> Self {
        let change = changes.first().filter(|_| changes.len() == 1);
        Self {
            app: changes.first().map(|change| change.app().id.as_str()),
            user: change.and_then(Change::user).map(UserId::as_str),
            room: change.and_then(Change::room).map(RoomId::as_str),
            count: (changes.len() > 1).then_some(changes.len()),
        }
    }
}

impl Boundary {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        match self {
            Self::Created { at, .. } | Self::Closed { at, .. } => *at,
        }
    }
}

impl Change {
    /// The app it happened in.
    #[must_use]
    pub fn app(&self) -> &App {
        match self {
            Self::Seat(seat) => &seat.app,
            Self::Life(life) => &life.app,
            Self::Boundary(boundary) => &boundary.app,
            Self::Device(device) => &device.app,
            Self::Session(session) => &session.app,
            Self::Registration(registration) => &registration.app,
            Self::Profile(profile) => &profile.app,
        }
    }

    /// The room it happened in, if it happened in one.
    #[must_use]
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Seat(seat) => Some(&seat.room),
            Self::Life(life) => Some(&life.room),
            Self::Boundary(boundary) => Some(&boundary.room),
            Self::Device(_) | Self::Session(_) | Self::Registration(_) | Self::Profile(_) => None,
        }
    }

    /// Which of the provider's products says so, if it happened in a room.
    #[must_use]
    pub fn track(&self) -> Option<Track> {
        match self {
            Self::Seat(seat) => Some(seat.track),
            Self::Boundary(boundary) => Some(boundary.track),
            Self::Life(_) => Some(Track::Media),
            Self::Device(_) | Self::Session(_) | Self::Registration(_) | Self::Profile(_) => None,
        }
    }

    /// The person it is about, if it is about one.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Seat(seat) => Some(&seat.user),
            Self::Life(_) | Self::Boundary(_) => None,
            Self::Device(device) => Some(&device.user),
            Self::Session(session) => Some(&session.user),
            Self::Registration(registration) => Some(&registration.user),
            Self::Profile(profile) => Some(&profile.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, ProviderName};

    fn app() -> App {
        App { provider: ProviderName::Tencent, id: "1400000000".parse().unwrap() }
    }

    fn login(user: &str) -> Change {
        Change::Device(DeviceChange {
            app: app(),
            user: user.parse().unwrap(),
            platform: "iOS".parse().unwrap(),
            connection: Connection::Unnamed,
            event: DeviceEvent::Online(Account::RegistersItself),
            at: UnixMillis(5),
        })
    }

    fn dismissal(room: &str) -> Change {
        let boundary = Boundary::Closed { at: UnixMillis(5), reason: None };
        let (room, track) = (room.parse().unwrap(), Track::Media);
        Change::Boundary(BoundaryChange { app: app(), room, track, boundary })
    }

    #[test]
    fn one_change_is_named_by_its_person_and_room_and_several_by_their_number() {
        let named = |changes: &[Change]| {
            let Named { app, user, room, count } = Named::of(changes);
            (app.map(str::to_owned), user.map(str::to_owned), room.map(str::to_owned), count)
        };
        let text = |text: &str| Some(text.to_owned());
        let app = || text("1400000000");
        assert_eq!(named(&[]), (None, None, None, None));
        assert_eq!(named(&[login("ada")]), (app(), text("ada"), None, None));
        assert_eq!(named(&[dismissal("lobby")]), (app(), None, text("lobby"), None));
        assert_eq!(named(&[login("ada"), login("bob")]), (app(), None, None, Some(2)));
    }
}
