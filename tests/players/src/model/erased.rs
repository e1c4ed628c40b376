//! A person who was erased: what is known of them is what began since.

use std::collections::BTreeSet;

use super::Arrived;
use crate::{Event, openim, tencent, zego};

/// Somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// `PROVIDER/APP/USER`.
    pub path: String,
    /// Unix ms. What began by then is gone.
    pub at: u64,
}

/// The callbacks without what an erasure took away. Of a callback about several things some may
/// remain.
#[must_use]
pub fn without(arrived: &[Arrived], erased: &Erased) -> Vec<Arrived> {
    let mut left: Vec<Arrived> =
        arrived.iter().filter_map(|arrived| left_of(arrived, erased)).collect();
    let (rooms, devices) = (rooms_entered(&left, erased), devices_online(&left, erased));
    left.retain_mut(|arrived| {
        match &mut arrived.event {
            // Their visit began before, or its beginning was lost.
            Event::Tencent(event)
                if is_own_exit(event, erased)
                    && !rooms
                        .iter()
                        .any(|(room, since)| *room == room_of(event) && *since <= order(event)) =>
            {
                is_left_of_people(event, erased)
            }
            Event::Tencent(event) if is_own_chat(event, erased) => {
                event.options.kick.retain(|kicked| devices.contains(&(kicked.clone(), None)));
                devices.contains(&(event.options.platform.clone(), None))
            }
            Event::OpenIm(event)
                if event.name != openim::EventName::UserRegister
                    && path(&event.options.app, event.options.users.first()) == erased.path =>
            {
                devices.contains(&device_of(event))
            }
            _ => true,
        }
    });
    left
}

/// What is left of one callback by its own time.
fn left_of(arrived: &Arrived, erased: &Erased) -> Option<Arrived> {
    let mut arrived = arrived.clone();
    let received_at = arrived.received_at;
    let is_left = match &mut arrived.event {
        Event::Zego(event) => {
            let is_own =
                event.name.is_seat() && erased.path == format!("zego/{}/{}", event.app, event.user);
            !is_own || began(event) > erased.at
        }
        Event::Tencent(event) if event.name.is_chat() => {
            !is_own_chat(event, erased) || event.at() > erased.at
        }
        Event::Tencent(event) if super::rooms::is_seat(event) => {
            event.at() > erased.at || is_left_of_people(event, erased)
        }
        Event::Tencent(_) => true,
        Event::OpenIm(event) if event.name == openim::EventName::UserRegister => {
            let at = super::openim::registered_at(event, received_at);
            let app = event.options.app.clone();
            event
                .options
                .users
                .retain(|user| path(&app, Some(user)) != erased.path || at > erased.at);
            !event.options.users.is_empty()
        }
        Event::OpenIm(event) => {
            let at = if event.has_time() { event.at() } else { received_at };
            path(&event.options.app, event.options.users.first()) != erased.path || at > erased.at
        }
    };
    is_left.then_some(arrived)
}

fn began(event: &zego::Event) -> u64 {
    event.login_time.0
}

fn path(app: &str, user: Option<&String>) -> String {
    format!("openim/{app}/{}", user.map_or("", String::as_str))
}

fn is_own(event: &tencent::Event, user: &str, erased: &Erased) -> bool {
    erased.path == format!("tencent/{}/{user}", event.options.app)
}

fn is_own_chat(event: &tencent::Event, erased: &Erased) -> bool {
    event.name.is_chat() && is_own(event, &event.options.user, erased)
}

fn is_own_seat(event: &tencent::Event, erased: &Erased) -> bool {
    super::rooms::is_seat(event)
        && super::rooms::people(event).any(|user| is_own(event, user, erased))
}

fn is_own_exit(event: &tencent::Event, erased: &Erased) -> bool {
    is_own_seat(event, erased) && super::rooms::is_exit(event)
}

/// Takes somebody away from the people whom an event is about. Whether there are others.
fn is_left_of_people(event: &mut tencent::Event, erased: &Erased) -> bool {
    let mut others: Vec<String> =
        super::rooms::people(event).filter(|user| !is_own(event, user, erased)).cloned().collect();
    if others.is_empty() {
        return false;
    }
    event.options.user = others.remove(0);
    if event.name.is_room_engine() {
        event.options.also = others;
    }
    true
}

/// At one millisecond, a person's role changes before they leave, and they enter after it.
fn order(event: &tencent::Event) -> (u64, u8) {
    let rank = match event.name {
        tencent::EventName::TrtcRole => 0,
        _ if super::rooms::is_exit(event) => 1,
        _ => 2,
    };
    (event.at(), rank)
}

/// A room of one of the products.
type Room = (bool, Option<u32>, String);

fn room_of(event: &tencent::Event) -> Room {
    let options = &event.options;
    (event.name.is_room_engine(), options.room_number, options.room.clone())
}

type Rooms = Vec<(Room, (u64, u8))>;

/// The rooms that they have been in since, and from when.
fn rooms_entered(left: &[Arrived], erased: &Erased) -> Rooms {
    let mut rooms = Rooms::new();
    for arrived in left {
        let Event::Tencent(event) = &arrived.event else { continue };
        if is_own_seat(event, erased) && !is_own_exit(event, erased) {
            rooms.push((room_of(event), order(event)));
        }
    }
    rooms
}

/// The kind of a device, and the connection of one of `OpenIM`'s.
type Device = (String, Option<String>);

fn device_of(event: &openim::Event) -> Device {
    let connection = event.connection().unwrap_or_default().to_owned();
    (event.options.platform.name().to_owned(), Some(connection))
}

/// The devices that came online since.
fn devices_online(left: &[Arrived], erased: &Erased) -> BTreeSet<Device> {
    let device = |arrived: &Arrived| match &arrived.event {
        Event::Tencent(event) if is_own_chat(event, erased) => {
            let is_login = event.name == tencent::EventName::ChatLogin;
            is_login.then(|| (event.options.platform.clone(), None))
        }
        Event::OpenIm(event) if event.name == openim::EventName::UserOnline => {
            let is_own = path(&event.options.app, event.options.users.first()) == erased.path;
            is_own.then(|| device_of(event))
        }
        _ => None,
    };
    left.iter().filter_map(device).collect()
}
