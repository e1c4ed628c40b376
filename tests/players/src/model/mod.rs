//! What presence means: given the callbacks that arrived, in no order, who is where. This is the
//! simplest code for it, and uses none of Rollcall's. `docs/design.md` has the same in words.

mod chat;
mod erased;
mod openim;
mod seen;
mod trtc;
mod zego;
mod zim;

pub use erased::{Erased, without};
pub use seen::{Observation, Word};

use crate::{Event, answers::Answers};

/// A callback that arrived, and when it first did.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// What it reports.
    pub event: Event,
    /// Unix ms.
    pub received_at: u64,
}

/// What is known at `now`, in Unix ms.
#[must_use]
pub fn model(arrived: &[Arrived], now: u64) -> Answers {
    model_with(arrived, &[], now)
}

/// The same, and what the provider said when it was asked.
#[must_use]
pub fn model_with(arrived: &[Arrived], seen: &[Observation], now: u64) -> Answers {
    let mut answers = Answers::default();
    zego::know(arrived, seen, &mut answers);
    zim::know(arrived, &mut answers);
    trtc::know(arrived, &mut answers);
    chat::know(arrived, &mut answers);
    openim::know(arrived, now, &mut answers);
    answers
}
