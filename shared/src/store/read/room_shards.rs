//! How many shards of a room a reader reads.

use std::time::Duration;

use futures::future;

use super::{
    super::{StoreError, keys, table::INDEX_PK},
    Reader,
};
use crate::domain::{RoomId, Shards, UnixMillis};

/// How many requests a room's page begins with at the same time: one of each of four shards, the
/// lives, and the erasures.
const CONNECTIONS: u8 = Shards::FEWEST.number() + 2;

impl Reader {
    /// Opens connections to the table: as many as the first answer uses at the same time, since at
    /// its start a function has the whole CPU, and later a fourteenth of one. One of them reads
    /// which numbers of shards the table has seen, the others a part of the index that is empty. If
    /// the table cannot be read, a warning is logged at start. It takes at most `limit`. A failure
    /// does no harm: later reads try again.
    pub async fn warm_up(&self, limit: Duration, now: UnixMillis) {
        let shards = async {
            let seen = self.table.seen_shards().await?;
            drop(self.shards.set(seen, now));
            Ok(())
        };
        let others = (1..CONNECTIONS).map(|_| self.read_nothing());
        let all = future::try_join(shards, future::try_join_all(others));
        let read = tokio::time::timeout(limit, Box::pin(all)).await;
        if let Err(error) = read.unwrap_or(Err(StoreError::OutOfTime)) {
            tracing::warn!(%error, "the table could not be read at start");
        }
    }

    /// Asks the index for what is in no partition of it, as the first questions will.
    async fn read_nothing(&self) -> Result<(), StoreError> {
        let query = self
            .query_index(keys::APPS.to_owned())
            .key_condition_expression(format!("{INDEX_PK} = :pk"))
            .limit(1);
        Box::pin(query.send()).await?;
        Ok(())
    }

    /// The shards of a room that may have rows. They are known for a minute, and then read again. A
    /// read of the room that begins now has to end before writers use more: it has
    /// [`SHARDS_USED_AFTER`](super::super::SHARDS_USED_AFTER) less that minute.
    pub(super) async fn shards_of(
        &self,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Shards, StoreError> {
        let seen = match self.shards.fresh(now) {
            Some(seen) => seen,
            // Few reads wait for it, and its future is large.
            None => self.shards.set(Box::pin(self.table.seen_shards()).await?, now),
        };
        Ok(seen.to_read(room))
    }
}
