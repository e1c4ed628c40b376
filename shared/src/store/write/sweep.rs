//! What the sweep writes: the lease by which one sweeps at a time, and samples.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::{
    super::{
        StoreError,
        item::{
            self, AT_LEAST, EXPIRES_AT, Item, LEASE_OWNER, LEASE_UNTIL, ONLINE, PROGRESS, ROOMS,
            SAMPLED_AT, TOOK_MS,
        },
        keys::{self, SWEEP},
        table::{PK, SK, Table},
    },
    update::{Update, Written},
};
use crate::domain::{App, Counted, Sample, UnixMillis};

/// The sweep's own items.
#[derive(Debug, Clone)]
pub struct SweepStore {
    table: Table,
    retention: Duration,
}

/// The right to sweep, until a time. No two are valid at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    owner: String,
    until: UnixMillis,
    /// How far the sweep had come when the lease was taken; `None` at the very first time.
    pub progress: Option<String>,
}

impl SweepStore {
    /// The items in the table of that name. Samples are kept for `retention`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
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
        let stored = self.table.item(keys::APPS.to_owned(), SWEEP.to_owned()).await?;
        let stored = stored.unwrap_or_default();
        let held_by = item::optional_text(&stored, LEASE_OWNER).unwrap_or_default();
        let update = match item::millis(&stored, LEASE_UNTIL)? {
            Some(held_until) if held_until > now => return Ok(None),
            Some(held_until) => if_held(lease(owner, until), &held_by, held_until),
            None => lease(owner, until).only_if(format!("attribute_not_exists({LEASE_UNTIL})")),
        };
        let is_taken = self.is_own(owner, until, update).await?;
        let progress = item::optional_text(&stored, PROGRESS);
        Ok(is_taken.then(|| Lease { owner: owner.to_owned(), until, progress }))
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
        let update = self::lease(&lease.owner, until).set(PROGRESS, item::string(progress));
        let update = if_held(update, &lease.owner, lease.until);
        let is_kept = self.is_own(&lease.owner, until, update).await?;
        lease.until = until;
        Ok(is_kept)
    }

    /// Whether an update of the lease was done. If its answer was lost, it was sent twice, and the
    /// second one is refused because of the first.
    async fn is_own(
        &self,
        owner: &str,
        until: UnixMillis,
        update: Update,
    ) -> Result<bool, StoreError> {
        Ok(match self.table.update(update.or_return_item()).await? {
            Written::Yes(_) => true,
            Written::No(stored) => {
                item::optional_text(&stored, LEASE_OWNER).as_deref() == Some(owner)
                    && item::millis(&stored, LEASE_UNTIL)? == Some(until)
            }
        })
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

fn lease(owner: &str, until: UnixMillis) -> Update {
    Update::of(keys::APPS.to_owned(), SWEEP)
        .set(LEASE_OWNER, item::string(owner))
        .set(LEASE_UNTIL, item::number(until.0))
}

/// An update that is done if the lease is the one that was read.
fn if_held(update: Update, by: &str, until: UnixMillis) -> Update {
    update
        .given("held_by", item::string(by))
        .given("held_until", item::number(until.0))
        .only_if(format!("{LEASE_OWNER} = :held_by AND {LEASE_UNTIL} = :held_until"))
}
