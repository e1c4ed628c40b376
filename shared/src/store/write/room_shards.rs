//! Over how many shards a writer spreads new rows, and how a larger number is written down.

use std::{sync::Arc, time::Duration};

use super::{
    super::{
        StoreError, item, keys,
        room_shards::{self, KnownShards, SHARDS_USED_AFTER, SeenShards},
        table::Table,
    },
    Writer,
    update::{Update, Written},
};
use crate::{
    breaker::StoreState,
    domain::{RoomId, RoomShards, Shards, UnixMillis},
};

/// The shards of new rows. Without a number that the table has seen, there are four.
#[derive(Debug, Clone, Default)]
pub(super) struct NewRows {
    configured: Option<Arc<RoomShards>>,
    known: KnownShards,
}

impl NewRows {
    /// The shards of a room that new rows are spread over.
    pub(super) fn shards_of(&self, room: &RoomId, now: UnixMillis) -> Shards {
        self.known.any().map_or(Shards::FEWEST, |seen| seen.to_write(room, now))
    }
}

impl Writer {
    /// The same writer, which writes down at its start over how many shards new rows are to be
    /// spread.
    #[must_use]
    pub fn with_room_shards(self, configured: RoomShards) -> Self {
        let rows = NewRows { configured: Some(Arc::new(configured)), ..self.rows };
        Self { rows, ..self }
    }

    /// Opens the connection to the table by reading which numbers of shards it has seen, and adds
    /// the configured one if it is larger. The first callback then finds an open connection. If the
    /// table cannot be read or written, a warning is logged at start, and new rows are in four
    /// shards. It takes at most `limit`. A failure does no harm: later calls connect again.
    pub async fn warm_up(&self, limit: Duration, now: UnixMillis) -> StoreState {
        let read = tokio::time::timeout(limit, self.read_shards(now)).await;
        match read.unwrap_or(Err(StoreError::OutOfTime)) {
            Ok(()) => StoreState::Answers,
            Err(error) => {
                tracing::warn!(%error, "the table could not be read at start");
                error.state()
            }
        }
    }

    async fn read_shards(&self, now: UnixMillis) -> Result<(), StoreError> {
        let NewRows { configured, known } = &self.rows;
        let seen = self.table.seen_shards().await?;
        let Some(configured) = configured else {
            known.set(seen, now);
            return Ok(());
        };
        let largest = seen.covering(&configured.rooms).cloned();
        let shards = largest.as_ref().map_or(Shards::FEWEST, |largest| largest.shards);
        // What was seen counts, also if the write fails.
        let known_now = known.set(seen, now);
        if configured.shards > shards {
            let seen = self.table.write_down((*known_now).clone(), configured, now).await?;
            known.set(seen, now);
        }
        if let Some(used) = largest.filter(|used| used.shards > configured.shards) {
            tracing::warn!(
                configured_shards = configured.shards.number(),
                configured_rooms = configured.rooms.as_str(),
                used_shards = used.shards.number(),
                used_rooms = used.rooms.as_str(),
                "ROLLCALL_ROOM_SHARDS is refused: the table has seen more shards, and they are \
                 used instead"
            );
        }
        Ok(())
    }
}

impl Table {
    /// Adds a number of shards, unless it was added meanwhile. Returns what the table has seen then.
    async fn write_down(
        &self,
        seen: SeenShards,
        configured: &RoomShards,
        now: UnixMillis,
    ) -> Result<SeenShards, StoreError> {
        let name = room_shards::name(configured);
        let update = Update::of(keys::APPS.to_owned(), keys::ROOM_SHARDS)
            .set(&name, item::number(now.0))
            .only_if(format!("attribute_not_exists({name})"))
            .or_return_item();
        match self.update(update).await? {
            Written::Yes(_) => {
                tracing::info!(
                    shards = configured.shards.number(),
                    rooms = configured.rooms.as_str(),
                    used_after_s = SHARDS_USED_AFTER.as_secs(),
                    "new rows of large rooms will be spread over more shards"
                );
                Ok(seen.with(configured.clone(), now))
            }
            Written::No(item) => SeenShards::read(&item),
        }
    }
}
