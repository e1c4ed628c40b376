//! The pipeline from the table's stream to the backend: each new fact is one event.
//!
//! ```text
//! record -> facts -> events -> bus
//! ```
//!
//! [`events`] is the whole rule. It looks at one record and nothing else, so it gives the same
//! events whenever the record is delivered. Of a person who was erased, nothing that is not newer
//! goes on: [`events_left`]. [`Relay`] lists the rooms of a batch of records as live ([`LiveRooms`]),
//! sends the events, has the rooms checked that they may have ended or emptied ([`crate::settle`]),
//! and says which records must be delivered again. In the cloud events go to a bus of `EventBridge`
//! ([`EventBus`]). After a gap, [`resync_events`] lets a backend ask again.

mod batch;
mod event;
mod event_bus;
mod live;
mod pause;
mod resync;
mod rooms;
mod settle;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use batch::{Received, Relay};
pub use event::{
    DeviceOffline, DeviceOnline, Emptied, Event, Person, Presence, ProfileChanged, Registered,
    Reported, Resync, Room, Settled, Subject,
};
pub use event_bus::{Bus, BusError, Entry, EventBus};
pub use live::LiveRooms;
pub use resync::resync_events;
pub use rooms::{Touched, TouchedRooms, touched_rooms};
pub use settle::rooms_to_check;

use crate::{
    domain::{
        App, Device, DeviceSays, DeviceSeen, Ending, Kind, LifeId, Mark, Platform, Role, RoomId,
        SEEN_ONLINE_HOLDS, Says, Seen, SessionId, Stamp, Track, UnixMillis, UserId,
    },
    providers,
    store::{
        EmptiedRoom, ErasureList, Fact, FactOf, NewFact, SettledLife, StoreError, StreamRecord,
    },
};

/// What needs no escape in a path or a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The events of a record of the table's stream: one for each fact that is new in it.
///
/// # Errors
///
/// [`StoreError::Item`] if the record's item is not one that Rollcall writes.
pub fn events(record: &StreamRecord) -> Result<Vec<Event>, StoreError> {
    Ok(of_people(record)?.into_iter().map(|(_, event)| event).collect())
}

/// The same, each with the person whose erasure it must not outlive.
fn of_people(record: &StreamRecord) -> Result<Vec<(Option<FactOf>, Event)>, StoreError> {
    let facts = record.facts()?.into_iter();
    Ok(facts.map(|fact| (fact.person(), event(record, fact))).collect())
}

/// The events of a record, without facts that are not newer than an erasure.
///
/// # Errors
///
/// As [`events`], and [`StoreError`] if it is not known who was erased.
pub async fn events_left(
    record: &StreamRecord,
    erasures: &ErasureList,
    now: UnixMillis,
) -> Result<Vec<Event>, StoreError> {
    let mut left = Vec::new();
    for (of, event) in of_people(record)? {
        let is_erased = match &of {
            Some(of) => erasures.of(&of.app, now).await?.cover_fact(of),
            None => false,
        };
        if !is_erased {
            left.push(event);
        }
    }
    Ok(left)
}

fn event(record: &StreamRecord, new: NewFact) -> Event {
    let NewFact { app, name, at, is_late, fact } = new;
    let source = Source { record, name, at, is_late };
    match fact {
        Fact::Seat { user, room, life, track, mark } => {
            let href = href("presence", &app, "room", room.as_str());
            let Mark { order, kind, role, reason, .. } = mark;
            let about = Presence {
                user,
                room,
                life,
                track: track_name(&app, track),
                session: order.session,
                role: providers::rules(app.provider).role_name(role).into_owned(),
                reason: (kind == Kind::Leave).then(|| reason.to_string()),
                assumed: false,
            };
            let event = source.report(app, about, href);
            match kind {
                Kind::Enter => Event::Entered(event),
                Kind::Leave => Event::Left(event),
                Kind::Stay => Event::Changed(event),
            }
        }
        Fact::Seen { user, room, life, seen } => seat_seen(source, app, (user, room, life), seen),
        Fact::SeenDevice { user, seen } => device_seen(source, app, user, seen),
        Fact::Opened { room, life, track } => {
            let href = href("presence", &app, "room", room.as_str());
            let track = track_name(&app, track);
            Event::Opened(source.report(app, Room { room, life, track }, href))
        }
        Fact::Closed { room, life, track } => {
            let href = href("presence", &app, "room", room.as_str());
            let track = track_name(&app, track);
            Event::Closed(source.report(app, Room { room, life, track }, href))
        }
        Fact::Online { user, platform, connection, stamp } => {
            let href = of_user("presence", &app, &user);
            let device = platform.to_string();
            let until = lease(&app, platform, connection.clone(), stamp).map(|at| at.0);
            let about = DeviceOnline {
                user,
                device,
                session: connection,
                until,
                reason: None,
                assumed: false,
            };
            Event::Online(source.report(app, about, href))
        }
        Fact::Offline { user, platform, connection, stamp } => {
            let href = of_user("presence", &app, &user);
            let (device, reason) = (platform.to_string(), stamp.reason().to_string());
            let about = DeviceOffline { user, device, session: connection, reason, assumed: false };
            Event::Offline(source.report(app, about, href))
        }
        Fact::Registered { user, source: known_by } => {
            let href = of_user("registrations", &app, &user);
            Event::Registered(source.report(app, Registered { user, source: known_by }, href))
        }
        Fact::ProfileChanged { user } => profile(source, app, user, None),
        Fact::ProfileRead { user } => profile(source, app, user, Some(RECONCILED)),
        Fact::Settled { room, settled } => {
            let SettledLife { life, revision, began_at, ended_at, totals, .. } = settled;
            let seconds = settled.settle_seconds;
            let report = href("reports", &app, "room", room.as_str());
            let id = utf8_percent_encode(life.as_str(), PLAIN);
            let href = format!("{report}&life={id}&settle={seconds}");
            let about = Settled {
                room,
                life,
                revision,
                began_at: began_at.map(|at| at.0),
                ended_at: ended_at.0,
                people: totals.as_ref().map(|totals| totals.people),
                person_ms: totals.as_ref().map(|totals| totals.person_ms),
                missing: totals.as_ref().and_then(|totals| totals.missing),
                digest: totals.map(|totals| totals.digest),
                settled_at: settled.settled_at.0,
            };
            Event::Settled(source.report(app, about, href))
        }
        Fact::Emptied { room, emptied } => {
            let href = href("presence", &app, "room", room.as_str());
            let EmptiedRoom { life, reason, settled_at, .. } = emptied;
            let about = Emptied { room, life, reason, settled_at: settled_at.0 };
            Event::Emptied(source.report(app, about, href))
        }
        Fact::Erased { user } => {
            let href = of_user("presence", &app, &user);
            Event::Erased(source.report(app, Person { user }, href))
        }
    }
}

/// What answers call a track.
fn track_name(app: &App, track: Track) -> Option<String> {
    providers::rules(app.provider).track_name(track).map(str::to_owned)
}

/// What the provider said of somebody in a room.
fn seat_seen(
    source: Source<'_>,
    app: App,
    (user, room, life): (UserId, RoomId, Option<LifeId>),
    seen: Seen,
) -> Event {
    let href = href("presence", &app, "room", room.as_str());
    let role = match seen.says {
        Says::In { role, .. } => role,
        Says::Out => Role::default(),
    };
    let about = Presence {
        user,
        room,
        life,
        track: None,
        session: None,
        role: providers::rules(app.provider).role_name(role).into_owned(),
        reason: Some(RECONCILED.to_owned()),
        assumed: true,
    };
    let event = source.report(app, about, href);
    match seen.says {
        Says::In { .. } => Event::Entered(event),
        Says::Out => Event::Left(event),
    }
}

/// A profile changed, or was read.
fn profile(source: Source<'_>, app: App, user: UserId, reason: Option<&str>) -> Event {
    let href = of_user("registrations", &app, &user);
    let about = ProfileChanged { user, reason: reason.map(ToOwned::to_owned) };
    Event::ProfileChanged(source.report(app, about, href))
}

/// What the provider said of a person's device.
fn device_seen(source: Source<'_>, app: App, user: UserId, seen: DeviceSeen) -> Event {
    let DeviceSeen { device, at, online } = seen;
    let href = of_user("presence", &app, &user);
    let (platform, session) = (device.platform.to_string(), device.connection);
    let reason = RECONCILED.to_owned();
    match online {
        DeviceSays::Online => {
            let about = DeviceOnline {
                user,
                device: platform,
                session,
                until: Some(at.after(SEEN_ONLINE_HOLDS).0),
                reason: Some(reason),
                assumed: true,
            };
            Event::Online(source.report(app, about, href))
        }
        DeviceSays::Offline => {
            let about = DeviceOffline { user, device: platform, session, reason, assumed: true };
            Event::Offline(source.report(app, about, href))
        }
    }
}

/// The reason of what the provider said when it was asked.
const RECONCILED: &str = "reconciled";

/// Where a fact comes from.
struct Source<'a> {
    record: &'a StreamRecord,
    /// The name of the fact in its record.
    name: String,
    at: UnixMillis,
    is_late: bool,
}

impl Source<'_> {
    fn report<T>(self, app: App, about: T, href: String) -> Reported<T> {
        Reported {
            id: format!("{}-{}", self.record.id(), self.name),
            at: self.at.0,
            late: self.is_late,
            provider: app.provider,
            app: app.id,
            about,
            version: self.record.sequence_number().to_owned(),
            href,
        }
    }
}

/// When a device's being online ends by itself; `None` if it does not.
fn lease(
    app: &App,
    platform: Platform,
    connection: Option<SessionId>,
    online: Stamp,
) -> Option<UnixMillis> {
    let rules = providers::rules(app.provider).devices?;
    let device = Device {
        platform,
        connection,
        online: Some(online),
        offline: None,
        logged_out: None,
        kicked_by_itself: None,
        seen_online: None,
        seen_offline: None,
        checked_at: None,
    };
    match (rules.decide)(&device, UnixMillis(u64::MAX)).ending {
        Some(Ending::LeaseExpired { at }) => Some(at),
        _ => None,
    }
}

fn of_user(root: &str, app: &App, user: &UserId) -> String {
    href(root, app, "user", user.as_str())
}

/// A query. The id is a parameter, because not every id is safe in a path.
fn href(root: &str, app: &App, of: &str, id: &str) -> String {
    let escape = |id| utf8_percent_encode(id, PLAIN);
    let (provider, app, id) = (app.provider, escape(app.id.as_str()), escape(id));
    format!("/{root}/{provider}/{app}/{of}s?{of}={id}")
}
