//! The newest callbacks that were answered, for everyone who watches.

use std::sync::Arc;

use rollcall::domain::UnixMillis;
use serde::Serialize;

use super::log_line::Said;
use crate::ring::{Reader, Ring};

/// How many callbacks are remembered.
const REMEMBERED: usize = 500;

/// More than the callbacks of a millisecond: the ids of a later run are greater.
const IDS_PER_MS: u64 = 1000;

/// The newest callbacks. Who adds one never waits for those who watch.
#[derive(Debug, Clone)]
pub struct Callbacks(Arc<Ring<Seen>>);

/// A callback that was answered.
#[derive(Debug, Serialize)]
pub struct Answered {
    /// When it arrived.
    pub at: UnixMillis,
    /// The route that it was posted to, as the gateway names it.
    pub route: &'static str,
    /// What the log says of it. Ids are only those of verified callbacks.
    #[serde(flatten)]
    pub said: Said,
    /// The status of the answer.
    pub status: u16,
    /// How many entries of a batch had which outcome, as the header of the answer says it.
    pub counts: Option<String>,
    /// How long the answer took, in microseconds.
    pub took_us: u128,
}

/// The same with its number.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub(super) id: u64,
    #[serde(flatten)]
    callback: Answered,
}

impl Callbacks {
    /// None yet.
    #[must_use]
    pub fn since(start: UnixMillis) -> Self {
        Self(Arc::new(Ring::new(REMEMBERED, start.0.saturating_mul(IDS_PER_MS))))
    }

    /// Adds one.
    pub fn add(&self, callback: Answered) {
        self.0.add(|id| Seen { id, callback });
    }

    /// Ends all who watch.
    pub fn close(&self) {
        self.0.close();
    }

    /// A reader of those after the one with this id; of all that are remembered if that one is not.
    pub(super) fn after(&self, id: Option<u64>) -> Reader<Seen> {
        self.0.after(|seen| Some(seen.id) == id)
    }
}
