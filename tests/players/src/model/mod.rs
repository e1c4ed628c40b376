//! What presence means: given the callbacks that arrived, in no order, who is where. This is the
//! simplest code for it, and uses none of Rollcall's. `docs/design.md` has the same in words.

mod chat;
mod erased;
mod openim;
mod room_engine;
mod rooms;
mod seen;
mod trtc;
mod zego;

pub use erased::{Erased, without};
pub use rooms::Rooms;
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
    model_of(Rooms::Both, arrived, now)
}

/// The same, where only some of Tencent's products decide who is in a room.
#[must_use]
pub fn model_of(rooms: Rooms, arrived: &[Arrived], now: u64) -> Answers {
    all(rooms, arrived, &[], now)
}

/// What is known, and what the provider said when it was asked.
#[must_use]
pub fn model_with(arrived: &[Arrived], seen: &[Observation], now: u64) -> Answers {
    all(Rooms::Both, arrived, seen, now)
}

fn all(counted: Rooms, arrived: &[Arrived], seen: &[Observation], now: u64) -> Answers {
    let mut answers = Answers::default();
    zego::know(arrived, seen, &mut answers);
    rooms::know(arrived, counted, &mut answers);
    chat::know(arrived, &mut answers);
    openim::know(arrived, now, &mut answers);
    answers
}
