//! DynamoDB: the only place that knows keys, conditions and index attributes.
//!
//! One table, one overloaded index, no scan. A *seat* is a person's place in one life of a room: it
//! holds the newest mark and the set of all marks, so that maximum and union decide, which any
//! order of arrival leaves the same. A *life* is one life of a room: its two ends are each written
//! once.

mod boundary;
mod client;
mod device;
mod error;
mod item;
mod keys;
mod life;
mod lives;
mod month;
mod registration;
mod roster;
mod seat;
mod table;
mod write;

use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use client::{connect, connect_to};
pub use error::StoreError;
pub use registration::{Registrations, RegistrationsPage};
pub use roster::{Member, Roster, RosterPage};
pub use seat::Seat;
pub use table::{INDEX, TABLE, TableDefinition};

use self::{
    item::Item,
    table::{PK, SK},
};
use crate::domain::{App, Change, Outcome, UnixMillis, UnixSeconds, UserId};

/// The table, and how long what is in it is kept.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
    retention: Duration,
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

    /// The items of a user whose sort keys begin with `prefix`, read consistently, but for those
    /// whose time has come.
    async fn of_user(
        &self,
        app: &App,
        user: &UserId,
        prefix: &str,
        now: UnixMillis,
    ) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::user(app, user)))
            .expression_attribute_values(":prefix", item::string(prefix));
        let mut pages = query.into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.try_next().await? {
            let fresh = page.items.unwrap_or_default().into_iter();
            items.extend(fresh.filter(|item| !item::is_expired(item, now)));
        }
        Ok(items)
    }

    fn seat_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).seconds()
    }

    fn life_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).after(self.retention).seconds()
    }
}
