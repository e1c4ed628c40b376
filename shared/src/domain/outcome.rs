//! The outcome of a verified callback.

use std::{collections::BTreeMap, fmt};

/// The outcome of a callback that was verified and well formed. The outcome of a batch is the
/// greatest that occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Rollcall does not record this event: acknowledged and not stored.
    Ignored,
    /// It had been stored before.
    Duplicate,
    /// Stored beside newer events of its seat or device: it does not change the present state.
    Stale,
    /// Stored, and it was the newest event of its seat or device, or the first of its kind.
    Applied,
    /// Not stored yet, but safe in the spill queue, from which it is stored later.
    Spilled,
}

impl Outcome {
    /// The value of the header `x-rollcall-outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spilled => "spilled",
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
        }
    }
}

/// How many entries of a batch had which outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The entries that are stored or in the queue.
    pub stored: BTreeMap<Outcome, usize>,
    /// The entries that are neither.
    pub not_stored: usize,
}

impl Counts {
    /// The greatest outcome of the stored entries; `Ignored` if there are none.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.stored.last_key_value().map_or(Outcome::Ignored, |(outcome, _)| *outcome)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (outcome, count) in self.stored.iter().rev() {
            write!(f, "{}={count}, ", outcome.as_str())?;
        }
        write!(f, "not_stored={}", self.not_stored)
    }
}
