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
mod zim;

pub use erased::{Erased, without};
pub use rooms::Rooms;
pub use seen::{Observation, Word};

use std::collections::BTreeSet;

use crate::{Event, answers::Answers};

/// A callback that arrived, and when it first did.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// What it reports.
    pub event: Event,
    /// Unix ms.
    pub received_at: u64,
    /// Those of its people whom the app's patterns named as robots then.
    pub robots: BTreeSet<String>,
}

impl Arrived {
    /// It as it is recorded: a robot has the role of a service, whatever it reports.
    fn as_recorded(&self) -> Self {
        let mut recorded = self.clone();
        match &mut recorded.event {
            Event::Zego(event) if self.robots.contains(&event.user) => event.role = SERVICE,
            Event::Tencent(event) if self.robots.contains(&event.options.user) => {
                event.options.role = SERVICE;
            }
            // The callbacks of ZIM and RoomEngine have no roles, and OpenIM has no rooms.
            Event::Zego(_) | Event::Tencent(_) | Event::Zim(_) | Event::OpenIm(_) => {}
        }
        recorded
    }
}

/// ZEGO's role of a service. TRTC has none.
const SERVICE: u16 = 4;

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
    let arrived: Vec<Arrived> = arrived.iter().map(Arrived::as_recorded).collect();
    let mut answers = Answers::default();
    zego::know(&arrived, seen, &mut answers);
    zim::know(&arrived, &mut answers);
    rooms::know(&arrived, counted, &mut answers);
    chat::know(&arrived, &mut answers);
    openim::know(&arrived, now, &mut answers);
    answers
}
