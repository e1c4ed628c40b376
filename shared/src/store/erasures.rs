//! Which people of an app were erased, and what is left of what is stored about them.
//!
//! A callback cannot see an erasure, because its one write sees its own item only. So whatever
//! reads the table leaves out what is not newer than an erasure: to a reader, it is not there.
//!
//! What is stored is not newer than an erasure if the session that it belongs to began before it.
//! A mark names the beginning of its session. Where sessions have no names, a leave without an
//! enter or a stay since the erasure ends a visit from before it. The same is true of a device that
//! was not online since.

use std::{collections::HashMap, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::FactOf;
use crate::domain::{App, Change, Device, Mark, Registration, Stamp, UnixMillis, UserId};

/// The hash of a user's id: HMAC-SHA-256 with the app's own random key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserHash(pub(super) [u8; 32]);

/// In hexadecimal digits.
impl fmt::Display for UserHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The random key with which an app's erasures hash the ids of users.
#[derive(Clone)]
pub(super) struct HashKey(pub(super) [u8; 32]);

/// Does not show the key.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl HashKey {
    pub(super) fn hash(&self, user: &UserId) -> UserHash {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("an HMAC takes a key of any length");
        };
        mac.update(user.as_str().as_bytes());
        UserHash(mac.finalize().into_bytes().into())
    }
}

/// An erasure, as a list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Who was erased.
    pub hash: UserHash,
    /// What is not newer than this was erased.
    pub at: UnixMillis,
    /// How many items were deleted or shortened.
    pub items: u64,
}

/// The people of one app who were erased, and what else every reader of the app has to know. Usually
/// there is nothing.
#[derive(Debug, Clone, Default)]
pub struct Erasures {
    of: Option<Hashed>,
    /// The app, if a second track reports its rooms.
    second_track_of: Option<App>,
}

#[derive(Debug, Clone)]
struct Hashed {
    app: App,
    key: HashKey,
    erased_at: HashMap<UserHash, UnixMillis>,
}

impl Erasures {
    pub(super) fn new(
        app: &App,
        key: Option<HashKey>,
        erased_at: HashMap<UserHash, UnixMillis>,
    ) -> Self {
        let key = key.filter(|_| !erased_at.is_empty());
        let of = key.map(|key| Hashed { app: app.clone(), key, erased_at });
        Self { of, second_track_of: None }
    }

    /// The same, of an app whose rooms a second track reports.
    pub(super) fn with_second_track(self, app: &App) -> Self {
        Self { second_track_of: Some(app.clone()), ..self }
    }

    /// Whether a second track reports the rooms of an app.
    pub(super) fn has_second_track(&self, app: &App) -> bool {
        self.second_track_of.as_ref() == Some(app)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_none()
    }

    /// When a person was erased, if they were.
    #[must_use]
    pub fn of(&self, app: &App, user: &UserId) -> Option<ErasedAt> {
        let hashed = self.of.as_ref().filter(|hashed| hashed.app == *app)?;
        hashed.erased_at.get(&hashed.key.hash(user)).copied().map(ErasedAt)
    }

    /// Whether a fact is not newer than an erasure of the person that it is about.
    #[must_use]
    pub fn cover_fact(&self, fact: &FactOf) -> bool {
        self.of(&fact.app, &fact.user).is_some_and(|erased| erased.covers(fact.at))
    }

    /// Whether a change is not newer than an erasure of the person that it is about.
    #[must_use]
    pub fn cover(&self, change: &Change) -> bool {
        let Some(erased) = change.user().and_then(|user| self.of(change.app(), user)) else {
            return false;
        };
        match change {
            Change::Seat(change) => erased.covers_mark(&change.mark),
            Change::Device(change) => erased.covers(change.at),
            Change::Session(change) => erased.covers(change.age()),
            Change::Registration(registration) => erased.covers(registration.registered_at()),
            Change::Profile(profile) => erased.covers(profile.changed_at),
            Change::Life(_) | Change::Boundary(_) => false,
        }
    }
}

/// When a person was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedAt(pub(super) UnixMillis);

impl ErasedAt {
    /// Whether something of that time was erased.
    pub(super) fn covers(self, at: UnixMillis) -> bool {
        at <= self.0
    }

    /// Whether the session of a mark began before the erasure. Marks sort by that, so the marks
    /// that an erasure covers are the oldest ones.
    pub(super) fn covers_mark(self, mark: &Mark) -> bool {
        self.covers(mark.order.time)
    }

    fn covers_stamp(self, stamp: Stamp) -> bool {
        self.covers(stamp.at())
    }

    /// The marks that are left of a seat. If not all of the newer ones are among them, the first
    /// leaves may belong to a visit since the erasure.
    pub(super) fn left_of(self, mut marks: Vec<Mark>, are_all_here: Complete) -> Vec<Mark> {
        marks.retain(|mark| !self.covers_mark(mark));
        if are_all_here == Complete::Yes {
            marks.sort_unstable();
            let began = marks.iter().position(|mark| !is_leave_of_nameless(mark));
            marks.drain(..began.unwrap_or(marks.len()));
        }
        marks
    }

    /// What is left of a device, if it was online since.
    pub(super) fn left_of_device(self, device: Device) -> Option<Device> {
        let left = self.newer_of_device(device);
        (left.online.is_some() || left.seen_online.is_some()).then_some(left)
    }

    /// What of a device is newer, also if it was not online since.
    pub(super) fn newer_of_device(self, device: Device) -> Device {
        let newer = |stamp: Option<Stamp>| stamp.filter(|stamp| !self.covers_stamp(*stamp));
        let seen = |at: Option<UnixMillis>| at.filter(|at| !self.covers(*at));
        Device {
            online: newer(device.online),
            seen_online: seen(device.seen_online),
            seen_offline: seen(device.seen_offline),
            offline: newer(device.offline),
            logged_out: newer(device.logged_out),
            kicked_by_itself: newer(device.kicked_by_itself),
            ..device
        }
    }

    /// Whether a registration was erased.
    pub(super) fn covers_registration(self, registration: &Registration) -> bool {
        self.covers(registration.registered_at())
    }
}

/// Whether all marks of a seat that are newer than an erasure are at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complete {
    Yes,
    /// Some of them were moved to other items.
    No,
}

/// Whether a mark is a leave that does not name the session that it ends.
pub(super) fn is_leave_of_nameless(mark: &Mark) -> bool {
    mark.departure().is_some() && mark.order.session.is_none()
}
