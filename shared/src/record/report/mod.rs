//! Reports: of everyone who was in a room, of a person by room and by day, and of the time that two
//! people spent together.
//!
//! They are made from the visits whose ends the record decides, so a late callback changes them as it
//! changes attendance. [`Window`] is the span that a report is about. [`Digest`] shows whether
//! anything in a report of a room has changed.

mod days;
mod digest;
mod ended;
mod life;
mod person;
mod room;
mod span;
mod together;
mod user;

pub(super) use self::days::timestamp;
pub use self::{
    days::{Timezone, TimezoneError},
    digest::Digest,
    ended::EndedLife,
    person::{Figures, PersonReport, Window},
    room::{RoomQuestion, RoomReport, RoomTotals},
    span::{Peak, Span},
    together::{Together, Whom},
    user::{DayReport, PersonDays, RoomDays},
};
use super::RecordError;
use crate::store::StoreError;

/// How many people a report has at most. Each of them is kept in memory until the end.
pub const MAX_PEOPLE: usize = 20_000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nothing is known of the room.
    #[error("the room is not known")]
    UnknownRoom,
    /// Nothing is known of that life of the room.
    #[error("that life of the room is not known")]
    UnknownLife,
    /// A life was asked for, but the provider does not name them.
    #[error("this provider's rooms have no lives")]
    NoLives,
    /// There are more than [`MAX_PEOPLE`].
    #[error("there are more than {MAX_PEOPLE} people")]
    TooManyPeople,
    /// The records cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        Self::Record(error.into())
    }
}
