//! DynamoDB: the only place that knows keys, conditions and index attributes.
//!
//! One table, one overloaded index, no scan. A *seat* is a person's place in one life of a room: it
//! holds the newest mark and the set of all marks, so that maximum and union decide, which any
//! order of arrival leaves the same. A *life* is one life of a room: its two ends are each written
//! once.

mod client;
mod error;
mod item;
mod keys;
mod life;
mod lives;
mod roster;
mod seat;
mod table;

use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use client::{ConnectError, connect, connect_to};
pub use error::StoreError;
pub use roster::{Member, Roster, RosterPage};
pub use seat::Seat;
pub use table::{INDEX, TABLE, TableDefinition};

use crate::domain::{Change, Outcome, UnixMillis, UnixSeconds};

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
        }
    }

    fn seat_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).seconds()
    }

    fn life_expiry(&self, received_at: UnixMillis) -> UnixSeconds {
        received_at.after(self.retention).after(self.retention).seconds()
    }
}
