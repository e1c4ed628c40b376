//! The list of live rooms is swept: rooms in which nobody is are taken off it, and the people in the
//! others are counted.
//!
//! A run begins each minute and ends when all apps are done, or its budget or its time is used. The
//! next one goes on there (`progress`). One runs at a time, by a lease. A run that loses its lease,
//! dies at any step or races with `relay` does no harm: a room is taken off the list only if its item
//! is the one that was read before nobody was found.

mod budget;
mod progress;
mod run;

use std::time::Duration;

pub use self::budget::Budget;
use self::run::Run;
use crate::{
    domain::UnixMillis,
    record::{RecordError, Records},
    store::{LiveMarker, MARKED_FOR, Meter, Reader, StoreError, SweepStore},
};

/// How far the people in a room are counted, as in a room's answer.
const MAX_COUNTED: usize = 5000;

/// How long nothing must have happened in a room before it is taken off the list. `relay` marks a
/// room again if a fact is newer than its mark by [`MARKED_FOR`]. So a fact that a sweep cannot see
/// yet always brings its room back, as long as clocks and the index are closer than the difference.
pub const QUIET_FOR: Duration = Duration::from_mins(10);

const _: () = assert!(QUIET_FOR.as_secs() >= 2 * MARKED_FOR.as_secs());

/// How long a lease lasts after it was kept. The function's timeout is shorter.
pub const LEASE: Duration = Duration::from_mins(1);

/// Sweeps the lists of live rooms of all apps.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// What is known of all apps, read through `meter`.
    pub records: Records,
    /// The lists, read through `meter`.
    pub reader: Reader,
    /// Takes rooms off the lists.
    pub live: LiveMarker,
    /// The lease, and the samples.
    pub store: SweepStore,
    /// Counts what the reads cost.
    pub meter: Meter,
    /// What they may cost.
    pub budget: Budget,
}

/// Why a run ended early. The next one goes on behind the room that it could not read.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The table cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A room cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The place cannot be written down.
    #[error("the place of the sweep cannot be written: {0}")]
    Progress(#[from] serde_json::Error),
    /// The run took too long between two steps.
    #[error("another run has taken the lease")]
    LeaseLost,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Swept {
    /// How many rooms it looked at.
    pub rooms: u64,
    /// How many of them it took off the list.
    pub removed: u64,
    /// Over how many apps a pass ended.
    pub passes: u64,
    /// How many read units it consumed.
    pub read_units: f64,
}

impl Sweep {
    /// Sweeps until all apps are done, the budget is used, or `deadline`. `None` if another run has
    /// the lease. `run_id` is of this run alone.
    ///
    /// # Errors
    ///
    /// [`SweepError`] if it ended early.
    pub async fn run(
        &self,
        run_id: &str,
        now: UnixMillis,
        deadline: tokio::time::Instant,
    ) -> Result<Option<Swept>, SweepError> {
        let Some(lease) = self.store.take(run_id, now, now.after(LEASE)).await? else {
            tracing::info!("another run sweeps");
            return Ok(None);
        };
        let mut run = Run::new(self, lease, now, deadline);
        let swept = run.sweep().await;
        let ended = run.end().await;
        swept.and(ended).map(|()| Some(run.swept()))
    }
}
