//! One stay of a person, in a room or on a device, whose end is decided.

use std::borrow::Cow;

use crate::{
    domain::{
        Beginning, Device, DeviceVerdict, Ending, LifeId, Platform, RoomId, SessionId, UnixMillis,
        Visit,
    },
    providers::{DeviceRules, Rules},
    store::Seat,
};

/// A stay, wherever it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// In a room.
    Room(RoomStay),
    /// Online, on a device.
    Device(DeviceStay),
}

/// A stay in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomStay {
    /// Which room.
    pub room: RoomId,
    /// Which life of it, if the provider distinguishes lives.
    pub life: Option<LifeId>,
    /// The person's display name, by the newest event of that life.
    pub name: Option<String>,
    /// The person's role, as answers call it.
    pub role: Cow<'static, str>,
    /// From when to when.
    pub visit: Visit,
}

/// A stay online on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStay {
    /// What kind of device.
    pub platform: Platform,
    /// Which connection of it, if the provider says so.
    pub connection: Option<SessionId>,
    /// When it began, as far as that is known.
    pub beginning: Beginning,
    /// How it ended; `None` while it lasts.
    pub ending: Option<Ending>,
}

impl RoomStay {
    pub(super) fn new(rules: &Rules, seat: &Seat, visit: Visit) -> Self {
        let Seat { room, life, name, .. } = seat.clone();
        Self { room, life, name, role: rules.role_name(visit.role), visit }
    }
}

impl DeviceStay {
    /// The place of the device among those of its person.
    #[must_use]
    pub fn place(&self) -> (&str, Option<&str>) {
        (self.platform.as_str(), self.connection.as_ref().map(SessionId::as_str))
    }

    pub(super) fn new(device: Device, rules: DeviceRules, verdict: &DeviceVerdict) -> Self {
        let of_events = (rules.beginning)(&device);
        let beginning = verdict.began_at.map_or(of_events, Beginning::Assumed);
        let Device { platform, connection, .. } = device;
        Self { platform, connection, beginning, ending: verdict.ending }
    }
}

impl Stay {
    /// When it began, as far as that is known.
    #[must_use]
    pub fn beginning(&self) -> Beginning {
        match self {
            Self::Room(stay) => stay.visit.beginning,
            Self::Device(stay) => stay.beginning,
        }
    }

    /// How it ended; `None` while it lasts.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self {
            Self::Room(stay) => stay.visit.ending,
            Self::Device(stay) => stay.ending,
        }
    }
}

/// Of one room or kind of device: the stays that last, and the last one that ended.
pub(super) fn current(stays: impl IntoIterator<Item = Stay>) -> Vec<Stay> {
    let rank = |stay: &Stay| {
        let left_at = stay.ending().map(Ending::at);
        (left_at, stay.beginning().at().or(left_at))
    };
    let (mut current, mut last_ended) = (Vec::new(), None::<((_, Option<UnixMillis>), Stay)>);
    for stay in stays {
        if stay.ending().is_none() {
            current.push(stay);
        } else if last_ended.as_ref().is_none_or(|(last, _)| rank(&stay) >= *last) {
            last_ended = Some((rank(&stay), stay));
        }
    }
    current.extend(last_ended.map(|(_, stay)| stay));
    current
}
