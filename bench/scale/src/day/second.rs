//! A second of the day, and its parts.

use std::ops::Range;

use super::people::{DAY, EMPTIES, FILLS, MINUTE, OUTAGE};

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Before,
    Outage,
    Evening,
    Fills,
    Full,
    Empties,
    Night,
}

impl Phase {
    pub(crate) const ALL: [Self; 7] = [
        Self::Before,
        Self::Outage,
        Self::Evening,
        Self::Fills,
        Self::Full,
        Self::Empties,
        Self::Night,
    ];

    /// Its seconds. The minutes in which the room fills and empties have three more, in which callbacks
    /// are sent again.
    pub(crate) fn seconds(self) -> Range<usize> {
        let (filled, emptied) = (FILLS.end + 3 * MINUTE, EMPTIES.end + 3 * MINUTE);
        match self {
            Self::Before => 0..OUTAGE.start,
            Self::Outage => OUTAGE,
            Self::Evening => OUTAGE.end..FILLS.start,
            Self::Fills => FILLS.start..filled,
            Self::Full => filled..EMPTIES.start,
            Self::Empties => EMPTIES.start..emptied,
            Self::Night => emptied..DAY,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Before => "a usual day",
            Self::Outage => "DynamoDB is down",
            Self::Evening => "it is back",
            Self::Fills => "the room fills",
            Self::Full => "it is full",
            Self::Empties => "it empties",
            Self::Night => "the rest",
        }
    }
}

/// A second of the day, or the sum of several.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    /// Callbacks that are sent for the first time, and again.
    pub(crate) callbacks: f64,
    pub(crate) again: f64,
    /// Those that are stored at once, and those that go to the queue.
    pub(crate) stored: f64,
    pub(crate) queued: f64,
    /// Attempts that are refused, and those of them that are the last one of a callback.
    pub(crate) refused: f64,
    pub(crate) lost: f64,
    /// Messages of the queue that are stored.
    pub(crate) drained: f64,
    /// The most functions that are busy at a time.
    pub(crate) busy: f64,
}

impl Second {
    pub(crate) fn attempts(&self) -> f64 {
        self.callbacks + self.again
    }

    fn add(&mut self, other: &Self) {
        self.callbacks += other.callbacks;
        self.again += other.again;
        self.stored += other.stored;
        self.queued += other.queued;
        self.refused += other.refused;
        self.lost += other.lost;
        self.drained += other.drained;
        self.busy = self.busy.max(other.busy);
    }

    /// The sum of some seconds.
    pub(crate) fn sum(seconds: &[Self]) -> Self {
        let mut sum = Self::default();
        for second in seconds {
            sum.add(second);
        }
        sum
    }
}
