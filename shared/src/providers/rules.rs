//! How a provider's records are read: what its marks, its rooms and its devices mean.
//!
//! Each provider has `RULES` in its `rules.rs`, which callbacks do not use, and `SEATS`, which they
//! do.

use std::{borrow::Cow, fmt::Debug};

use super::boundary::AtOnce;
use crate::domain::{
    Beginning, Device, DeviceVerdict, Kind, Mark, Register, Role, RoomId, Stamp, Track, UnixMillis,
    Verdicts, Visit,
};

/// The rules by which one provider's records are read.
#[derive(Debug)]
pub struct Rules {
    /// What answers call the tracks that report rooms; empty if there is only one.
    pub tracks: &'static [(Track, &'static str)],
    /// The rules of a room, by its id and the track that reports it: a provider may have rooms of
    /// several kinds. `None` if it has no rooms.
    pub rooms: Option<fn(&RoomId, Track) -> &'static RoomRules>,
    /// What the roles of people in its rooms mean.
    pub roles: RoleRules,
    /// Its devices; `None` if nobody is online through one.
    pub devices: Option<DeviceRules>,
    /// Whether its active users are counted by month.
    pub months: Months,
}

/// How visits to rooms come about, and how they end.
#[derive(Debug, Clone, Copy)]
pub struct RoomRules {
    /// The visits to a seat, of which no mark has come yet.
    pub visits: fn() -> Box<dyn Visits>,
    /// The visits that the newest marks of a seat show, in their order, if any number of older
    /// marks is not known: those that no older mark can change.
    pub of_newest: fn(&[Mark]) -> Vec<Visit>,
    /// How a room ends visits whose own end never came.
    pub ends: RoomEnds,
    /// What a mark says, in the provider's terms. Its role is given as answers call it.
    pub says: fn(&Mark, &str) -> String,
    /// What counts the lost callbacks of a room's life, of which no mark has come yet; `None` if
    /// the provider does not number them.
    pub numbered: Option<fn() -> Box<dyn Numbered>>,
}

/// What the store has to know of the marks of a seat. Callbacks use these rules when they write, so
/// they are few, and apart from the [`Rules`].
#[derive(Debug, Clone, Copy)]
pub struct SeatRules {
    /// What the newest mark of a seat says.
    pub newest: fn(&Mark) -> NewestMark,
    /// Of all marks of a seat, in their order: those that decide whether the person is in, and in
    /// which role. They stay on the seat when its oldest marks are moved.
    pub deciding: for<'m> fn(&[&'m Mark]) -> Vec<&'m Mark>,
}

/// What the newest mark of a seat says, if it is all that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewestMark {
    /// The person is in.
    In,
    /// The person has left.
    Left,
    /// Older marks decide.
    Unclear,
}

/// Of a provider without rooms.
pub(super) const NO_SEATS: SeatRules =
    SeatRules { newest: |_| NewestMark::Unclear, deciding: |_| Vec::new() };

/// The last departure and the last of the other marks in the newest session, by their sequence.
pub(super) fn last_by_sequence<'m>(marks: &[&'m Mark]) -> Vec<&'m Mark> {
    let session = marks.last().map(|newest| &newest.order.session);
    let of_newest = marks.iter().copied().filter(|mark| Some(&mark.order.session) == session);
    let (left, others): (Vec<&Mark>, Vec<&Mark>) =
        of_newest.partition(|mark| mark.kind == Kind::Leave);
    let last =
        |marks: Vec<&'m Mark>| marks.into_iter().max_by_key(|mark| (mark.order.sequence, *mark));
    [left, others].into_iter().filter_map(last).collect()
}

/// Counts the callbacks of one life of a room that were lost, by the provider's own numbers.
pub trait Numbered: Debug + Send {
    /// Takes the marks of one seat, in their order.
    fn seat(&mut self, marks: &[Mark]);

    /// Takes the marks of one seat of a life that has ended, in their order: everyone who came
    /// has left, and everyone who left had come.
    fn seat_of_ended_life(&mut self, marks: &[Mark]);

    /// What arrived, and how much did not; `None` if nothing arrived.
    fn lost(self: Box<Self>) -> Option<Lost>;
}

/// What of the numbered changes of a room's life has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The lowest number that arrived.
    pub first: u64,
    /// The highest number that arrived.
    pub last: u64,
    /// The least number of callbacks whose loss explains what arrived.
    pub missing: u64,
}

/// How the store keeps the devices of a provider. Callbacks use it, as they use [`SeatRules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceItems {
    /// Each is an item.
    Each,
    /// Each is a session: there are many, and all of a user lie together.
    Sessions,
}

/// Of a provider without rooms.
pub(super) const NO_ROLES: RoleRules = RoleRules { names: &[], services: &[] };

/// What the roles in a room mean.
#[derive(Debug, Clone, Copy)]
pub struct RoleRules {
    /// What answers call a role. They call one that is not listed by its code, such as `role_9`.
    pub names: &'static [(Role, &'static str)],
    /// The roles that no person has: they are services, such as cloud recording. Their visits are
    /// kept, and not counted as people in a room.
    pub services: &'static [Role],
}

/// How a room ends visits whose own end never came.
#[derive(Debug, Clone, Copy)]
pub enum RoomEnds {
    /// A room has lives with ids, and a visit ends with its life.
    Lives,
    /// A room is created and dismissed, and its lives have no ids.
    Boundaries(AtOnce),
}

/// How stays online on devices begin and end.
#[derive(Debug, Clone, Copy)]
pub struct DeviceRules {
    /// When the device came online.
    pub beginning: fn(&Device) -> Beginning,
    /// How its stay online ended by now, and what became of each register.
    pub decide: fn(&Device, UnixMillis) -> DeviceVerdict,
    /// What a register says, in the provider's terms.
    pub says: fn(&Device, Register, Stamp) -> String,
}

/// Whether active users are counted by month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Months {
    /// They are.
    Counted,
    /// They are not.
    NotCounted,
}

/// Derives the visits to one seat from its marks.
///
/// The marks have to come in their order. Only one session's marks are kept, so that a seat may
/// have any number.
pub trait Visits: Debug + Send {
    /// Takes the next mark; returns the visits that it completes, oldest first.
    fn push(&mut self, mark: Mark) -> Vec<Visit>;

    /// The visits that are left when all marks have come, oldest first. Only the last one can be
    /// open.
    fn finish(&mut self) -> Vec<Visit>;

    /// What became of the marks so far, if that is asked for. There is one verdict for each mark, at
    /// the latest when its visit is completed.
    fn verdicts(&mut self) -> &mut Verdicts;
}

/// Of a provider without rooms.
#[derive(Debug, Default)]
struct NoVisits(Verdicts);

impl Visits for NoVisits {
    fn push(&mut self, _mark: Mark) -> Vec<Visit> {
        Vec::new()
    }

    fn finish(&mut self) -> Vec<Visit> {
        Vec::new()
    }

    fn verdicts(&mut self) -> &mut Verdicts {
        &mut self.0
    }
}

impl Rules {
    /// The rules of a room as a track reports it; `None` if there are none.
    #[must_use]
    pub fn room(&self, room: &RoomId, track: Track) -> Option<&'static RoomRules> {
        self.rooms.map(|of| of(room, track))
    }

    /// What answers call a role.
    #[must_use]
    pub fn role_name(&self, role: Role) -> Cow<'static, str> {
        let names = self.roles.names;
        match names.iter().find(|(named, _)| *named == role) {
            Some((_, name)) => Cow::Borrowed(name),
            None => Cow::Owned(format!("role_{}", role.0)),
        }
    }

    /// What a mark on a seat in a room by a track says, in the provider's terms. There are no marks
    /// without rooms.
    #[must_use]
    pub fn says(&self, room: &RoomId, track: Track, mark: &Mark) -> Option<String> {
        Some((self.room(room, track)?.says)(mark, &self.role_name(mark.role)))
    }

    /// What answers call a track; `None` if the provider has only one.
    #[must_use]
    pub fn track_name(&self, track: Track) -> Option<&'static str> {
        let named = self.tracks.iter().find(|(named, _)| *named == track);
        named.map(|(_, name)| *name)
    }

    /// The role that answers call so; `None` if they call no role so.
    #[must_use]
    pub fn role_named(&self, name: &str) -> Option<Role> {
        let named = self.roles.names.iter();
        let code = name.strip_prefix("role_").and_then(|code| code.parse().ok()).map(Role);
        let mut roles = named.map(|(role, _)| *role).chain(code);
        roles.find(|role| self.role_name(*role) == name)
    }

    /// Whether someone with this role counts as a person in a room.
    #[must_use]
    pub fn is_person(&self, role: Role) -> bool {
        !self.roles.services.contains(&role)
    }

    /// The visits to a seat in a room by a track, of which no mark has come yet.
    #[must_use]
    pub fn visits(&self, room: &RoomId, track: Track) -> Box<dyn Visits> {
        let none = || Box::<NoVisits>::default() as Box<dyn Visits>;
        self.room(room, track).map_or_else(none, |rules| (rules.visits)())
    }

    /// The visits that some marks of one seat in a room show, oldest first.
    #[must_use]
    pub fn visits_of(&self, room: &RoomId, track: Track, marks: &[Mark]) -> Vec<Visit> {
        completed(self.visits(room, track), sorted(marks)).into_iter().flatten().collect()
    }

    /// The visits that the newest marks of a seat in a room show, if any number of older marks is not
    /// known: those that no older mark can change.
    #[must_use]
    pub fn visits_of_newest(&self, room: &RoomId, track: Track, marks: &[Mark]) -> Vec<Visit> {
        self.room(room, track).map_or_else(Vec::new, |rules| (rules.of_newest)(&sorted(marks)))
    }

    /// Counts the lost callbacks of a room's life, of which no mark has come yet; `None` if the
    /// provider does not number them.
    #[must_use]
    pub fn numbered(&self, room: &RoomId) -> Option<Box<dyn Numbered>> {
        self.room(room, Track::Media)?.numbered.map(|numbered| numbered())
    }
}

/// The visits that are completed with each mark, and those that are left.
pub(super) fn completed(mut visits: Box<dyn Visits>, marks: Vec<Mark>) -> Vec<Vec<Visit>> {
    let mut completed: Vec<_> = marks.into_iter().map(|mark| visits.push(mark)).collect();
    completed.push(visits.finish());
    completed
}

fn sorted(marks: &[Mark]) -> Vec<Mark> {
    let mut sorted = marks.to_vec();
    sorted.sort();
    sorted
}
