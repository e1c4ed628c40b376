//! What presence means: given the callbacks that arrived, in no order, who is where. This is the
//! simplest code for it, and uses none of Rollcall's. `docs/design.md` has the same in words.

mod chat;
mod erased;
mod openim;
mod seen;
mod trtc;
mod zego;

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
    /// Whether the app's patterns named the user as a robot then.
    pub is_robot: bool,
}

impl Arrived {
    /// It as it is recorded: a robot has the role of a service, whatever it reports.
    fn as_recorded(&self) -> Self {
        let mut recorded = self.clone();
        if self.is_robot {
            match &mut recorded.event {
                Event::Zego(event) => event.role = SERVICE,
                Event::Tencent(event) => event.options.role = SERVICE,
                Event::OpenIm(_) => {}
            }
        }
        recorded
    }
}

/// ZEGO's role of a service. TRTC has none.
const SERVICE: u16 = 4;

/// What is known at `now`, in Unix ms.
#[must_use]
pub fn model(arrived: &[Arrived], now: u64) -> Answers {
    model_with(arrived, &[], now)
}

/// The same, and what the provider said when it was asked.
#[must_use]
pub fn model_with(arrived: &[Arrived], seen: &[Observation], now: u64) -> Answers {
    let arrived: Vec<Arrived> = arrived.iter().map(Arrived::as_recorded).collect();
    let mut answers = Answers::default();
    zego::know(&arrived, seen, &mut answers);
    trtc::know(&arrived, &mut answers);
    chat::know(&arrived, &mut answers);
    openim::know(&arrived, now, &mut answers);
    answers
}
