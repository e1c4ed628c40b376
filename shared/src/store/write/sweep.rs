//! What the sweep writes: the lease by which one sweeps at a time, and samples.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::{
    super::{
        StoreError,
        item::{self, AT_LEAST, EXPIRES_AT, Item, ONLINE, ROOMS, SAMPLED_AT, TOOK_MS},
        keys::{self, SWEEP},
        table::{PK, SK, Table, TableName},
    },
    lease::Lease,
};
use crate::domain::{App, Counted, Sample, UnixMillis};

/// The sweep's own items.
#[derive(Debug, Clone)]
pub struct SweepStore {
    table: Table,
    retention: Duration,
}

impl SweepStore {
    /// The items in the table of that name. Samples are kept for `retention`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        Self { table: Table::new(client, table), retention }
    }

    /// Takes the lease until a time; `None` if another owner has it. An owner is one run of the
    /// sweep, not a process.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the lease is not known to be taken. Then it ends by itself.
    pub async fn take(
        &self,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<Lease>, StoreError> {
        self.table.take_lease(SWEEP.to_owned(), owner, now, until).await
    }

    /// Notes how far the sweep has come, and keeps the lease until a time. Returns false if another
    /// owner has taken it: then nothing is noted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if nothing is known to be noted.
    pub async fn keep(
        &self,
        lease: &mut Lease,
        progress: String,
        until: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.table.keep_lease(lease, Some(progress), until).await
    }

    /// Adds a sample, unless one of the same pass is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the sample is not known to be stored. It can be added again without harm.
    pub async fn add_sample(&self, app: &App, sample: &Sample) -> Result<(), StoreError> {
        let took = u64::try_from(sample.took.as_millis()).unwrap_or(u64::MAX);
        let mut stored: Item = item::of([
            (PK, item::string(keys::samples(app))),
            (SK, item::string(keys::time(sample.at))),
            (SAMPLED_AT, item::number(sample.at.0)),
            (TOOK_MS, item::number(took)),
            (ROOMS, item::number(sample.rooms)),
            (ONLINE, item::number(sample.online)),
            (EXPIRES_AT, item::number(sample.at.after(self.retention).seconds().0)),
        ]);
        if sample.counted == Counted::AtLeast {
            stored.insert(AT_LEAST.to_owned(), item::number(1));
        }
        self.table.put_first(stored).await.map(drop)
    }
}
