//! What callbacks write: one file for each kind of [`Change`].
//!
//! Each write carries its own condition, so nothing is read first. The exception is what has grown too
//! large, a seat or a user's sessions: it is read before its oldest marks are moved.

mod boundary;
mod device;
mod erase;
mod lease;
mod life;
mod live;
mod month;
mod observation;
mod pass;
mod profile;
mod registration;
mod room_shards;
mod seat;
mod session;
mod settle;
mod signature_use;
mod sweep;
mod track;
mod update;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::Client;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

pub use erase::{Eraser, Pass, PassEnd, Passed, Person};
pub use lease::Lease;
pub use live::{Lateness, LiveMarker, MARKED_FOR, Marked};
pub use observation::Observer;
pub use pass::{PassStore, PersonDigest, RoomMemory};
pub use settle::{Note, RoomLife, Settler};
pub use signature_use::Claimed;
pub use sweep::SweepStore;

use super::{
    StoreError,
    table::{Table, TableName},
};
use crate::{
    breaker::StoreState,
    domain::{Change, Outcome, UnixMillis, UnixSeconds},
};

/// How many changes are stored concurrently.
const CONCURRENT_CHANGES: usize = 32;

/// The table as callbacks use it: they store changes and never query.
///
/// Its function may put, update and get items. It gets an item when it starts, and a seat or a user's
/// sessions that have grown too large.
#[derive(Debug, Clone)]
pub struct Writer {
    table: Table,
    retention: Duration,
    noted: track::Noted,
    rows: room_shards::NewRows,
}

/// The outcomes of several changes.
#[derive(Debug)]
pub struct AppliedAll<'a> {
    /// The greatest outcome of the stored changes; `Ignored` if there are none.
    pub outcome: Outcome,
    /// How many of the stored changes had which outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// The changes that are not known to be stored. They can be applied again without harm.
    pub failed: Vec<(&'a Change, StoreError)>,
}

impl AppliedAll<'_> {
    /// What the changes show of the store: it answers if it answered any of them.
    #[must_use]
    pub fn store_state(&self) -> StoreState {
        let failed = self.failed.iter().map(|(_, error)| error.state());
        let stored = (!self.outcomes.is_empty()).then_some(StoreState::Answers);
        stored.into_iter().chain(failed).min().unwrap_or(StoreState::Answers)
    }
}

impl Writer {
    /// A writer to the table of that name. It keeps seats for `retention` after their last event,
    /// and lives for twice that after their end.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        let (noted, rows) = (track::Noted::default(), room_shards::NewRows::default());
        Self { table: Table::new(client, table), retention, noted, rows }
    }

    /// Stores a change. On return the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the change is not known to be stored. It may be stored all the same, and can
    /// be applied again without harm.
    pub async fn apply(
        &self,
        change: &Change,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        self.note_track(change, received_at).await?;
        match change {
            Change::Seat(change) => self.apply_seat(change, received_at).await,
            Change::Life(change) => self.apply_life(change, received_at).await,
            Change::Boundary(change) => self.apply_boundary(change, received_at).await,
            Change::Device(change) => self.apply_device(change, received_at).await,
            Change::Session(change) => self.apply_session(change, received_at).await,
            Change::Registration(registration) => self.register(registration).await,
            Change::Profile(change) => self.note_profile(change).await,
        }
    }

    /// Stores changes, a bounded number of them concurrently, until `deadline`. A change that fails
    /// does not affect the others.
    pub async fn apply_all<'a>(
        &self,
        changes: &'a [Change],
        received_at: UnixMillis,
        deadline: Instant,
    ) -> AppliedAll<'a> {
        let mut unstored: Vec<_> = changes.iter().map(Some).collect();
        let mut applied =
            AppliedAll { outcome: Outcome::Ignored, outcomes: BTreeMap::new(), failed: Vec::new() };
        // The first of them does for all what they have in common. If it fails, each tries again.
        if let Some(first) = changes.first() {
            let _ = timeout_at(deadline, self.note_track(first, received_at)).await;
        }
        let mut writes = Vec::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let write = self.apply(change, received_at);
            writes.push(async move { (index, write.await) });
        }
        let mut writes = stream::iter(writes).buffer_unordered(CONCURRENT_CHANGES);
        while let Ok(Some((index, stored))) = timeout_at(deadline, writes.next()).await {
            let change = unstored[index].take();
            match stored {
                Ok(outcome) => {
                    applied.outcome = applied.outcome.max(outcome);
                    *applied.outcomes.entry(outcome).or_default() += 1;
                }
                Err(error) => applied.failed.extend(change.map(|change| (change, error))),
            }
        }
        let late = unstored.into_iter().flatten();
        applied.failed.extend(late.map(|change| (change, StoreError::OutOfTime)));
        applied
    }

    fn seat_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).seconds()
    }

    fn life_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).after(self.retention).seconds()
    }
}
