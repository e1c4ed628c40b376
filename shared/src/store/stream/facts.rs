//! The facts that a write added.

use std::collections::HashSet;

use sha1::{Digest, Sha1};

use super::{
    super::{
        StoreError,
        item::{
            self, CLOSED_AT, CREATED_AT, Item, KICKED_STAMP, LOGOUT_STAMP, OFFLINE_STAMP,
            ONLINE_STAMP, PROFILE_CHANGED_AT, PROFILE_READ_AT, SEEN_IN, SEEN_OFFLINE, SEEN_ONLINE,
            SEEN_OUT, SOURCE,
        },
        keys::{
            self, BOUNDARY, DEVICE, EMPTIED, LIFE, Owner, REGISTRATION, SEAT, SESSIONS, SETTLED,
        },
        settled::{EmptiedRoom, SettledLife},
        table::{PK, SK},
    },
    Images, StreamRecord,
};
use crate::domain::{
    App, DeviceName, DeviceSays, DeviceSeen, LifeId, Mark, Platform, Register, RegistrationSource,
    RoomId, Seen, SessionId, SessionMark, SessionState, Stamp, Track, UnixMillis, UserId,
};

/// A fact that a write added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// The app it happened in.
    pub app: App,
    /// Distinguishes it from the other facts of its record.
    pub name: String,
    /// When it happened, by the provider's clock.
    pub at: UnixMillis,
    /// Whether something newer of the same seat, life or device was known when it arrived.
    pub is_late: bool,
    /// What happened.
    pub fact: Fact,
}

impl NewFact {
    /// Whom it is about, and the time that decides whether an erasure covers it. `None` if it is
    /// about nobody, or if it reports an erasure itself.
    #[must_use]
    pub fn person(&self) -> Option<FactOf> {
        let (user, at) = match &self.fact {
            // A mark is as old as its session.
            Fact::Seat { user, mark, .. } => (user, mark.order.time),
            Fact::Seen { user, seen, .. } => (user, seen.age()),
            Fact::SeenDevice { user, .. }
            | Fact::Online { user, .. }
            | Fact::Offline { user, .. }
            | Fact::Registered { user, .. }
            | Fact::ProfileChanged { user }
            | Fact::ProfileRead { user } => (user, self.at),
            Fact::Opened { .. }
            | Fact::Closed { .. }
            | Fact::Settled { .. }
            | Fact::Emptied { .. }
            | Fact::Erased { .. } => return None,
        };
        Some(FactOf { app: self.app.clone(), user: user.clone(), at })
    }
}

/// Whom a fact is about, and how old it is to an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactOf {
    /// The app it happened in.
    pub app: App,
    /// Whom it is about.
    pub user: UserId,
    /// When it happened, or when the session of a mark began.
    pub at: UnixMillis,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Somebody took or left a seat, or changed on it.
    Seat {
        /// Who.
        user: UserId,
        /// In which room.
        room: RoomId,
        /// In which life of it, if the provider distinguishes lives.
        life: Option<LifeId>,
        /// Which of the provider's products reported it.
        track: Track,
        /// What it reported.
        mark: Mark,
    },
    /// The provider was asked, and said that somebody is in a room or not.
    Seen {
        /// Who.
        user: UserId,
        /// In which room.
        room: RoomId,
        /// Of which life the stay is that it ends; `None` if that has none.
        life: Option<LifeId>,
        /// What it said.
        seen: Seen,
    },
    /// The provider was asked, and said that a device is online or not.
    SeenDevice {
        /// Whose device.
        user: UserId,
        /// What it said.
        seen: DeviceSeen,
    },
    /// A room was created.
    Opened {
        /// Which room.
        room: RoomId,
        /// Which life of it, if the provider distinguishes lives.
        life: Option<LifeId>,
        /// Which of the provider's products reported it.
        track: Track,
    },
    /// A room was closed or dismissed.
    Closed {
        /// Which room.
        room: RoomId,
        /// Which life of it, if the provider distinguishes lives.
        life: Option<LifeId>,
        /// Which of the provider's products reported it.
        track: Track,
    },
    /// A life of a room is over, and nothing has changed for a while.
    Settled {
        /// Which room.
        room: RoomId,
        /// What is known of the life.
        settled: SettledLife,
    },
    /// Nobody is in a room, and nothing has changed for a while.
    Emptied {
        /// Which room.
        room: RoomId,
        /// How that came.
        emptied: EmptiedRoom,
    },
    /// A device came online, or still is.
    Online {
        /// Whose device.
        user: UserId,
        /// What kind of device.
        platform: Platform,
        /// Which connection of it, if the provider says so.
        connection: Option<SessionId>,
        /// When, and whether it is reported once.
        stamp: Stamp,
    },
    /// A device went offline, was kicked, or its user logged out.
    Offline {
        /// Whose device.
        user: UserId,
        /// What kind of device.
        platform: Platform,
        /// Which connection of it, if the provider says so.
        connection: Option<SessionId>,
        /// When, and why.
        stamp: Stamp,
    },
    /// A user was registered.
    Registered {
        /// Who.
        user: UserId,
        /// How it is known.
        source: RegistrationSource,
    },
    /// A user's profile changed.
    ProfileChanged {
        /// Whose.
        user: UserId,
    },
    /// The provider was asked for a user's profile, and what it said was stored.
    ProfileRead {
        /// Whose.
        user: UserId,
    },
    /// An item about a user was deleted on request, or all but a newer part of it.
    Erased {
        /// Whom it was about.
        user: UserId,
    },
}

/// What a record is about.
struct Subject<'a> {
    app: App,
    sk: &'a str,
    old: Option<&'a Item>,
    new: &'a Item,
}

pub(super) fn of(record: &StreamRecord) -> Result<Vec<NewFact>, StoreError> {
    let images = &record.dynamodb;
    let (pk, sk) = (item::text(&images.keys, PK)?, item::text(&images.keys, SK)?);
    let Some((app, owner)) = keys::parse_partition(pk)? else { return Ok(Vec::new()) };
    let Some(new) = &images.new_image else {
        return Ok(match owner {
            Owner::User(user) if !record.is_expiry() => vec![NewFact {
                app,
                name: "erased".to_owned(),
                at: record.written_at(),
                is_late: false,
                fact: Fact::Erased { user },
            }],
            _ => Vec::new(),
        });
    };
    let subject = Subject { app, sk, old: images.old_image.as_ref(), new };
    match owner {
        Owner::User(user) if sk.starts_with(SEAT) => {
            let mut facts = subject.marks(&user)?;
            facts.extend(subject.seen(&user)?);
            Ok(facts)
        }
        Owner::User(user) if sk.starts_with(DEVICE) => {
            let mut facts = subject.registers(&user)?;
            facts.extend(subject.seen_device(&user)?);
            Ok(facts)
        }
        Owner::User(user) if sk == SESSIONS => subject.sessions(&user),
        Owner::User(user) if sk == REGISTRATION => subject.registration(user, record.written_at()),
        Owner::Room(room) if sk.starts_with(LIFE) => subject.ends_of_life(&room),
        Owner::Room(room) if sk.starts_with(BOUNDARY) => subject.boundary(&room),
        Owner::Room(room) if sk.starts_with(SETTLED) => subject.settled(room),
        Owner::Room(room) if sk.starts_with(EMPTIED) => subject.emptied(room),
        // Marks that were moved, months, and what later versions add.
        _ => Ok(Vec::new()),
    }
}

pub(super) fn room(record: &StreamRecord) -> Result<Option<(App, RoomId)>, StoreError> {
    let images = &record.dynamodb;
    let (pk, sk) = (item::text(&images.keys, PK)?, item::text(&images.keys, SK)?);
    let (Some((app, owner)), Some(_)) = (keys::parse_partition(pk)?, &images.new_image) else {
        return Ok(None);
    };
    Ok(match owner {
        Owner::User(_) if sk.starts_with(SEAT) => Some((app, keys::parse_seat(sk)?.0)),
        // Nothing happens in a room because it is checked.
        Owner::Room(_) if sk.starts_with(LIFE) && !changes_life(images) => None,
        Owner::Room(room) if sk.starts_with(LIFE) || sk.starts_with(BOUNDARY) => Some((app, room)),
        _ => None,
    })
}

/// Whether a write of a life says when it was created or closed.
fn changes_life(images: &Images) -> bool {
    let ends = |image: &Option<Item>| {
        let image = image.as_ref();
        [CREATED_AT, CLOSED_AT].map(|name| image.and_then(|image| image.get(name)).cloned())
    };
    ends(&images.old_image) != ends(&images.new_image)
}

impl Subject<'_> {
    fn fact(&self, name: impl Into<String>, at: UnixMillis, is_late: bool, fact: Fact) -> NewFact {
        NewFact { app: self.app.clone(), name: name.into(), at, is_late, fact }
    }

    /// The marks that are new on a seat.
    fn marks(&self, user: &UserId) -> Result<Vec<NewFact>, StoreError> {
        let (room, life, track) = keys::parse_seat(self.sk)?;
        let known: HashSet<&[u8]> = self
            .old
            .map(|old| item::mark_bytes(old).iter().map(AsRef::as_ref).collect())
            .unwrap_or_default();
        let marks = item::mark_bytes(self.new).iter().map(AsRef::as_ref);
        let mut added: Vec<&[u8]> = marks.filter(|mark| !known.contains(mark)).collect();
        if added.is_empty() {
            return Ok(Vec::new());
        }
        added.sort_unstable();
        let newest = item::newest(self.new)?;
        let fact = |bytes: &[u8]| {
            let mark = item::read_mark(bytes)?;
            let (at, is_late) = (mark.at, mark < newest);
            let (user, room, life) = (user.clone(), room.clone(), life.clone());
            let fact = Fact::Seat { user, room, life, track, mark };
            Ok(self.fact(mark_name(bytes), at, is_late, fact))
        };
        added.into_iter().map(fact).collect()
    }

    /// The observations that are new on a seat.
    fn seen(&self, user: &UserId) -> Result<Vec<NewFact>, StoreError> {
        let (room, life, _) = keys::parse_seat(self.sk)?;
        let mut facts = Vec::new();
        for name in [SEEN_IN, SEEN_OUT] {
            let Some(seen) = self.added(name, item::seen)? else { continue };
            let (user, room, life) = (user.clone(), room.clone(), life.clone());
            let fact = Fact::Seen { user, room, life, seen };
            facts.push(self.fact(name, seen.at, false, fact));
        }
        Ok(facts)
    }

    /// The observations that are new on a device.
    fn seen_device(&self, user: &UserId) -> Result<Vec<NewFact>, StoreError> {
        let (platform, connection) = keys::parse_device(self.sk)?;
        let mut facts = Vec::new();
        for (name, online) in
            [(SEEN_ONLINE, DeviceSays::Online), (SEEN_OFFLINE, DeviceSays::Offline)]
        {
            let Some(at) = self.added(name, item::millis)? else { continue };
            let device = DeviceName { platform: platform.clone(), connection: connection.clone() };
            let seen = DeviceSeen { device, at, online };
            facts.push(self.fact(name, at, false, Fact::SeenDevice { user: user.clone(), seen }));
        }
        Ok(facts)
    }

    /// The ends of a life that became known.
    fn ends_of_life(&self, room: &RoomId) -> Result<Vec<NewFact>, StoreError> {
        let life = keys::parse_life(self.sk)?;
        let (room, life) = (|| room.clone(), || Some(life.clone()));
        let mut facts = Vec::new();
        if let Some(at) = self.added(CREATED_AT, item::millis)? {
            let is_late = self.old.is_some_and(|old| old.contains_key(CLOSED_AT));
            let (life, track) = (life(), Track::Media);
            let opened = Fact::Opened { room: room(), life, track };
            facts.push(self.fact(CREATED_AT, at, is_late, opened));
        }
        if let Some(at) = self.added(CLOSED_AT, item::millis)? {
            let (life, track) = (life(), Track::Media);
            let closed = Fact::Closed { room: room(), life, track };
            facts.push(self.fact(CLOSED_AT, at, false, closed));
        }
        Ok(facts)
    }

    /// A room without named lives was created or dismissed.
    fn boundary(&self, room: &RoomId) -> Result<Vec<NewFact>, StoreError> {
        let (room, life, track) = (room.clone(), None, keys::parse_boundary(self.sk));
        if let Some(at) = self.added(CREATED_AT, item::millis)? {
            let opened = Fact::Opened { room, life, track };
            return Ok(vec![self.fact(CREATED_AT, at, false, opened)]);
        }
        let closed = self.added(CLOSED_AT, item::millis)?;
        let fact = |at| self.fact(CLOSED_AT, at, false, Fact::Closed { room, life, track });
        Ok(closed.map(fact).into_iter().collect())
    }

    /// A life was settled. Such an item is never written again.
    fn settled(&self, room: RoomId) -> Result<Vec<NewFact>, StoreError> {
        if self.old.is_some() {
            return Ok(Vec::new());
        }
        let settled = SettledLife::read(self.new)?;
        let (at, is_late) = (settled.ended_at, settled.revision > 1);
        Ok(vec![self.fact("settled", at, is_late, Fact::Settled { room, settled })])
    }

    /// A room was found empty. Such an item is never written again.
    fn emptied(&self, room: RoomId) -> Result<Vec<NewFact>, StoreError> {
        if self.old.is_some() {
            return Ok(Vec::new());
        }
        let emptied = EmptiedRoom::read(self.new)?;
        Ok(vec![self.fact("emptied", emptied.at, false, Fact::Emptied { room, emptied })])
    }

    /// The registers of a device that have a newer event.
    fn registers(&self, user: &UserId) -> Result<Vec<NewFact>, StoreError> {
        let (platform, connection) = keys::parse_device(self.sk)?;
        let registers = [ONLINE_STAMP, OFFLINE_STAMP, LOGOUT_STAMP, KICKED_STAMP];
        let mut newest = None;
        for register in registers {
            newest = newest.max(item::stamp(self.new, register)?);
        }
        let mut facts = Vec::new();
        for register in registers {
            let Some(stamp) = self.added(register, item::stamp)? else { continue };
            let (user, platform) = (user.clone(), platform.clone());
            let connection = connection.clone();
            let fact = if register == ONLINE_STAMP {
                Fact::Online { user, platform, connection, stamp }
            } else {
                Fact::Offline { user, platform, connection, stamp }
            };
            facts.push(self.fact(register, stamp.at(), Some(stamp) < newest, fact));
        }
        Ok(facts)
    }

    /// What is new of a user's sessions. Marks that were moved lie on other items.
    fn sessions(&self, user: &UserId) -> Result<Vec<NewFact>, StoreError> {
        let known: HashSet<&[u8]> = self
            .old
            .map(|old| item::session_bytes(old).iter().map(AsRef::as_ref).collect())
            .unwrap_or_default();
        let marks = item::sessions(self.new)?;
        let bytes = item::session_bytes(self.new).iter().map(AsRef::as_ref);
        let mut added: Vec<(&[u8], &SessionMark)> =
            bytes.zip(&marks).filter(|(bytes, _)| !known.contains(bytes)).collect();
        // A login that only its end names is part of that end.
        added.retain(|(_, mark)| mark.state != SessionState::LoginNamed);
        added.sort_unstable_by_key(|(bytes, _)| *bytes);
        let fact = |(bytes, mark): (&[u8], &SessionMark)| {
            let SessionMark { at, state, session, platform } = mark.clone();
            let is_newer = |other: &SessionMark| other.session == session && other.at > at;
            let is_late = marks.iter().any(is_newer);
            let (user, name) = (user.clone(), mark_name(bytes));
            let connection = Some(session.clone());
            let fact = match mark.stamp() {
                Some((Register::Online, stamp)) => {
                    Fact::Online { user, platform, connection, stamp }
                }
                Some((_, stamp)) => Fact::Offline { user, platform, connection, stamp },
                None => {
                    let device = DeviceName { platform, connection };
                    let seen = DeviceSeen { device, at, online: DeviceSays::Offline };
                    Fact::SeenDevice { user, seen }
                }
            };
            let is_late = is_late && state != SessionState::SeenOffline;
            self.fact(name, at, is_late, fact)
        };
        Ok(added.into_iter().map(fact).collect())
    }

    /// A registration, when it becomes known, and what becomes of its profile. An earlier receipt
    /// that replaces a registration is no other one.
    fn registration(
        &self,
        user: UserId,
        written_at: UnixMillis,
    ) -> Result<Vec<NewFact>, StoreError> {
        let was_registered = self.old.is_some_and(item::is_registered);
        let mut facts = match (was_registered, item::is_registered(self.new)) {
            (false, true) => vec![self.registered(user.clone())?],
            (true, false) => {
                let fact = Fact::Erased { user: user.clone() };
                vec![self.fact("erased", written_at, false, fact)]
            }
            _ => Vec::new(),
        };
        if let Some(at) = self.added(PROFILE_CHANGED_AT, item::millis)? {
            let fact = Fact::ProfileChanged { user: user.clone() };
            facts.push(self.fact(PROFILE_CHANGED_AT, at, false, fact));
        }
        // Of a registration that the provider listed, it comes with it.
        if let Some(at) = self.added(PROFILE_READ_AT, item::millis)?.filter(|_| was_registered) {
            facts.push(self.fact(PROFILE_READ_AT, at, false, Fact::ProfileRead { user }));
        }
        Ok(facts)
    }

    fn registered(&self, user: UserId) -> Result<NewFact, StoreError> {
        let at = item::registered_at(self.new)?;
        let source = match item::text(self.new, SOURCE)? {
            item::FIRST_LOGIN => RegistrationSource::FirstLogin,
            item::RECONCILED => RegistrationSource::Reconciled,
            _ => RegistrationSource::Callback,
        };
        Ok(self.fact(REGISTRATION, at, false, Fact::Registered { user, source }))
    }

    /// An attribute's value, if it was not there before the write or was another one.
    fn added<T: PartialEq>(
        &self,
        name: &str,
        read: fn(&Item, &str) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let old = self.old.map_or(Ok(None), |old| read(old, name))?;
        Ok(read(self.new, name)?.filter(|new| old.as_ref() != Some(new)))
    }
}

/// A short name of a mark among those of its seat.
fn mark_name(mark: &[u8]) -> String {
    hex::encode(&Sha1::digest(mark)[..8])
}
