//! How a provider's records are read: what its marks, its rooms and its devices mean.
//!
//! Each provider has a `RULES` in its `rules.rs`. Callbacks do not use them.

use std::fmt::Debug;

use crate::domain::{
    Beginning, Boundary, Device, DeviceVerdict, Ending, Mark, Register, Stamp, UnixMillis, UserId,
    Verdicts, Visit,
};

/// The rules by which one provider's records are read.
#[derive(Debug)]
pub struct Rules {
    /// Its rooms; `None` if it has none.
    pub rooms: Option<RoomRules>,
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
    /// What a mark says, in the provider's terms.
    pub says: fn(&Mark) -> String,
}

/// How a room ends visits whose own end never came.
#[derive(Debug, Clone, Copy)]
pub enum RoomEnds {
    /// A room has lives with ids, and a visit ends with its life.
    Lives,
    /// A room is created and dismissed, and its lives have no ids.
    Boundaries(BoundaryEnds),
}

/// What a creation or dismissal of a room does to the stay of a person who was last known to be in
/// at a time.
pub type BoundaryEnds = fn(&Boundary, &UserId, UnixMillis) -> BoundaryEffect;

/// What a creation or dismissal of a room does to a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundaryEffect {
    /// Nothing: it was before.
    Nothing,
    /// It ends the stay.
    Ends(Ending),
    /// It would end the stay of anybody but the person who created the room.
    SparesCreator,
}

impl BoundaryEffect {
    /// Whether it ends the stay.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Ends(_))
    }
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
    /// The visits to a seat, of which no mark has come yet.
    #[must_use]
    pub fn visits(&self) -> Box<dyn Visits> {
        let none = || Box::<NoVisits>::default() as Box<dyn Visits>;
        self.rooms.map_or_else(none, |rooms| (rooms.visits)())
    }

    /// The visits that some marks of one seat show, oldest first.
    #[must_use]
    pub fn visits_of(&self, marks: &[Mark]) -> Vec<Visit> {
        completed(self.visits(), sorted(marks)).into_iter().flatten().collect()
    }

    /// The visits that the newest marks of a seat show, if any number of older marks is not known:
    /// those that no older mark can change.
    #[must_use]
    pub fn visits_of_newest(&self, marks: &[Mark]) -> Vec<Visit> {
        self.rooms.map_or_else(Vec::new, |rooms| (rooms.of_newest)(&sorted(marks)))
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
