//! DynamoDB: the only place that knows keys, conditions and index attributes.
//!
//! One table, one overloaded index, no scan. A *seat* is a person's place in one life of a room: it
//! holds the newest mark and the set of all marks, so that maximum and union decide, which any
//! order of arrival leaves the same. A *life* is one life of a room: its two ends are each written
//! once.

mod attendance;
mod boundary;
mod device;
mod error;
mod item;
mod keys;
mod life;
mod lives;
mod month;
mod registration;
mod roster;
mod rows;
mod seat;
mod signature_use;
mod table;
mod write;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::{Client, config, operation::query::builders::QueryFluentBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, timeout_at};

pub use attendance::{RoomSeat, SeatsFrom};
pub use boundary::NEWEST_BOUNDARIES;
pub use error::StoreError;
pub use registration::{RegistrationRow, RegistrationsPage};
pub use roster::{Member, Roster, RosterPage, RosterRow};
pub use seat::Seat;
pub use signature_use::Claimed;
pub use table::{INDEX, TABLE, TableDefinition};

use self::{
    item::Item,
    table::{PK, SK},
};
use crate::{
    aws,
    domain::{App, Change, Outcome, UnixMillis, UnixSeconds, UserId},
};

/// How many changes are stored at the same time.
const CONCURRENT_CHANGES: usize = 32;

/// A client of which no call takes longer than `limit`.
#[must_use]
pub fn connect(aws: &aws::SdkConfig, limit: Duration) -> Client {
    let timeouts = aws::timeouts(limit);
    Client::from_conf(config::Builder::from(aws).timeout_config(timeouts).build())
}

/// The table, and how long what is in it is kept.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    retention: Duration,
}

/// What became of several changes.
#[derive(Debug)]
pub struct AppliedAll<'a> {
    /// The most notable outcome of those that are stored; `Ignored` if there are none.
    pub outcome: Outcome,
    /// How many of those that are stored had which outcome.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Those of which it is not known that they are stored. They can be applied again without harm.
    pub failed: Vec<(&'a Change, StoreError)>,
}

impl Store {
    /// A store in `table`, which keeps seats for `retention` after their last event, and lives
    /// for twice that after their end.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>, retention: Duration) -> Self {
        Self { client, table: table.into(), retention }
    }

    /// Opens the connection to the table, and uses it once to read what is never there. So the
    /// first callback finds all of it done, and the log says at start if the table cannot be used.
    /// It takes no longer than `limit`, and whoever needs the table does not need this.
    pub async fn warm_up(&self, limit: Duration) {
        let nothing = item::string("warm-up"); // No key of ours is without a `#`.
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(PK, nothing.clone())
            .key(SK, nothing)
            .send();
        let read =
            tokio::time::timeout(limit, read).await.map(|read| read.map_err(StoreError::from));
        if let Err(error) = read.unwrap_or(Err(StoreError::OutOfTime)) {
            tracing::warn!(%error, "the table could not be read at start");
        }
    }

    /// Stores a change. On return the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that could not be made sure. The change may be stored all the same, and
    /// can be applied again without harm.
    pub async fn apply(
        &self,
        change: &Change,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        match change {
            Change::Seat(change) => self.apply_seat(change, received_at).await,
            Change::Life(change) => self.apply_life(change, received_at).await,
            Change::Boundary(change) => self.apply_boundary(change, received_at).await,
            Change::Device(change) => self.apply_device(change, received_at).await,
            Change::Registration(registration) => self.register(registration).await,
        }
    }

    /// Stores changes, a bounded number of them at the same time, until `deadline`. One that fails
    /// does not keep the others from being stored.
    pub async fn apply_all<'a>(
        &self,
        changes: &'a [Change],
        received_at: UnixMillis,
        deadline: Instant,
    ) -> AppliedAll<'a> {
        let mut unstored: Vec<_> = changes.iter().map(Some).collect();
        let mut applied =
            AppliedAll { outcome: Outcome::Ignored, outcomes: BTreeMap::new(), failed: Vec::new() };
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

    /// One item, read consistently.
    async fn item(&self, pk: String, sk: String) -> Result<Option<Item>, StoreError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .key(PK, item::string(pk))
            .key(SK, item::string(sk));
        // The SDK's futures are tens of kilobytes.
        Ok(Box::pin(read.send()).await?.item)
    }

    /// The items of a user whose sort keys begin with `prefix`, read consistently, but for those
    /// whose time has come.
    async fn of_user(
        &self,
        app: &App,
        user: &UserId,
        prefix: &str,
        now: UnixMillis,
    ) -> Result<Vec<Item>, StoreError> {
        rows::items(self.query_user(app, user, prefix), None, now).try_collect().await
    }

    /// A consistent query of the items of a user whose sort keys begin with `prefix`.
    fn query_user(&self, app: &App, user: &UserId, prefix: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::user(app, user)))
            .expression_attribute_values(":prefix", item::string(prefix))
    }

    fn seat_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).seconds()
    }

    fn life_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).after(self.retention).seconds()
    }
}

/// Ids that somebody else chose, in keys. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub fn fuzz_keys(data: &[u8]) {
    keys::fuzz(data);
}
