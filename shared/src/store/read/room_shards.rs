//! How many shards of a room a reader reads.

use std::time::Duration;

use super::{super::StoreError, Reader};
use crate::domain::{RoomId, Shards, UnixMillis};

impl Reader {
    /// Opens the connection to the table by reading which numbers of shards it has seen. If it
    /// cannot be read, a warning is logged at start. It takes at most `limit`. A failure does no
    /// harm: later reads try again.
    pub async fn warm_up(&self, limit: Duration, now: UnixMillis) {
        match tokio::time::timeout(limit, self.table.seen_shards()).await {
            Ok(Ok(seen)) => drop(self.shards.set(seen, now)),
            Ok(Err(error)) => tracing::warn!(%error, "the table could not be read at start"),
            Err(_) => {
                let error = StoreError::OutOfTime;
                tracing::warn!(%error, "the table could not be read at start");
            }
        }
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
