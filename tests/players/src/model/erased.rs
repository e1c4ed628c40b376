//! A person who was erased: what is known of them is what began since.

use std::collections::{BTreeMap, BTreeSet};

use super::Arrived;
use crate::{Event, openim, tencent, zego, zim};

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
    let of_zim = OfZim::new(&left, erased);
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
                    && !event.name.is_update()
                    && path(&event.options.app, event.options.users.first()) == erased.path =>
            {
                devices.contains(&device_of(event))
            }
            Event::Zim(event) => of_zim.has(event),
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
        Event::Zim(event) => {
            // Of a session that began before, an end names nothing that is left.
            let is_old = event.told_login_at().is_some_and(|at| at <= erased.at);
            if is_own_zim(event, erased) && is_old {
                event.spelling.login_time_missing = true;
            }
            event.told_at() > erased.at || without_user(event, erased)
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
            let has_time = event.has_time() && !event.name.is_update();
            let at = if has_time { event.at() } else { received_at };
            path(&event.options.app, event.options.users.first()) != erased.path || at > erased.at
        }
    };
    is_left.then_some(arrived)
}

fn is_own_zim(event: &zim::Event, erased: &Erased) -> bool {
    event.users().any(|user| erased.path == format!("zego/{}/{user}", event.app))
}

/// Removes somebody from an event. Whether anything is left of it.
fn without_user(event: &mut zim::Event, erased: &Erased) -> bool {
    if !is_own_zim(event, erased) {
        return true;
    }
    let path = |user: &String| format!("zego/{}/{user}", event.app);
    let mut left: Vec<String> =
        event.users().filter(|user| path(user) != erased.path).cloned().collect();
    if event.name != zim::EventName::RoomDestroy {
        if left.is_empty() {
            return false;
        }
        event.user = left.remove(0);
    }
    event.others = left;
    true
}

/// What somebody did in ZIM since.
struct OfZim<'e> {
    erased: &'e Erased,
    /// The sessions that logged in.
    sessions: BTreeSet<String>,
    /// The rooms that they entered, and when first.
    rooms: BTreeMap<String, u64>,
}

impl<'e> OfZim<'e> {
    fn new(left: &[Arrived], erased: &'e Erased) -> Self {
        let (mut sessions, mut rooms) = (BTreeSet::new(), BTreeMap::<String, u64>::new());
        for arrived in left {
            let Event::Zim(event) = &arrived.event else { continue };
            if !is_own_zim(event, erased) {
                continue;
            }
            match event.name {
                zim::EventName::RoomEnter => {
                    let first = rooms.entry(event.room.clone()).or_insert(u64::MAX);
                    *first = event.told_at().min(*first);
                }
                zim::EventName::UserAction if event.told_login_at().is_some() => {
                    sessions.insert(event.session.clone());
                }
                _ => {}
            }
        }
        Self { erased, sessions, rooms }
    }

    /// Whether an event is left. An end needs a beginning; of one second, an exit is of before.
    fn has(&self, event: &mut zim::Event) -> bool {
        if !is_own_zim(event, self.erased) {
            return true;
        }
        match event.name {
            zim::EventName::UserAction => self.sessions.contains(&event.session),
            zim::EventName::RoomExit | zim::EventName::RoomDestroy => {
                let entered = self.rooms.get(&event.room);
                entered.is_some_and(|entered| *entered < event.told_at())
                    || without_user(event, self.erased)
            }
            _ => true,
        }
    }
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
