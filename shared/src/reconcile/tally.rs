//! What a pass over an app has done so far, while it asks about several rooms at the same time.

use std::sync::{Mutex, PoisonError};

use super::brake::{self, Answer, Decision, Remembered, Tally};
use crate::domain::UnixMillis;

/// A tally that the rooms of a pass share.
#[derive(Debug, Default)]
pub(super) struct SharedTally(Mutex<Tally>);

impl SharedTally {
    /// Decides what to do with an answer about a room, and counts it.
    pub(super) fn decide(
        &self,
        answer: &Answer,
        remembered: Option<Remembered>,
        now: UnixMillis,
    ) -> Decision {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.looked_at += answer.stays;
        let decision = brake::decide(answer, Some(*tally), remembered, now);
        if decision == Decision::Store {
            tally.ended += answer.ends;
        }
        decision
    }

    /// Whether so many of some more stays may end; if so, they are counted as ended.
    pub(super) fn may_end(&self, stays: usize, ends: usize) -> bool {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.looked_at += stays;
        let may_end = tally.may_end(ends);
        if may_end {
            tally.ended += ends;
        }
        may_end
    }
}
