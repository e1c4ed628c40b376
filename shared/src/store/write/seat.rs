//! The seat and its two writes.
//!
//! - **W1** makes an event the newest of its seat: newest mark, index keys, roster fields. It is
//!   refused if the seat has a newer one.
//! - **W2** adds the mark of an older event, and nothing else: it does not change who is in the
//!   room.
//!
//! When a seat outgrows one write unit, its oldest marks are first added to another item and then
//! deleted from the seat, which from then on stores the newest of them. Readers take the union, so
//! a crash in between changes nothing.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::primitives::Blob;

use super::{
    super::{
        StoreError,
        item::{self, DETAILS, DISPLAY_NAME, MARKS, MOVED_TO, NEWEST},
        keys::{self, Section},
        table::{INDEX_PK, INDEX_SK},
    },
    Writer,
    update::{Update, WriteUnits, Written},
};
use crate::{
    domain::{Mark, Outcome, SeatChange, UnixMillis},
    providers::{NewestMark, SeatRules, seat_rules},
};

/// What a write of a seat of at most a kilobyte consumes at most: one write unit for the seat, and
/// two for an index entry whose key changes. Any write of a larger one consumes two for the seat
/// and two for the index.
const MAX_SEAT_UNITS: WriteUnits = WriteUnits(3.0);

/// How long an answer waits for marks to be moved.
const MAX_MOVE_TIME: Duration = Duration::from_millis(300);

/// Waits for the oldest marks to be moved from an item, but not for long: an answer waits for it.
pub(super) async fn in_time(moved: impl Future<Output = Result<(), StoreError>>) {
    match tokio::time::timeout(MAX_MOVE_TIME, moved).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the oldest marks of an item were not moved"),
        Err(_) => tracing::warn!("the oldest marks of an item were not moved in time"),
    }
}

/// How many of the newest marks always stay on the seat: enough for two visits.
const NEWEST_KEPT: usize = 4;

impl Writer {
    pub(super) async fn apply_seat(
        &self,
        change: &SeatChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let mark = Blob::new(change.mark.to_bytes());
        // A seat may expire between a refused W1 and its W2, so W1 may be tried once more.
        for _ in 0..2 {
            let seen = match self.write_newest(change, &mark, received_at).await? {
                Written::Yes(units) => {
                    self.shrink_if_large(change, units, received_at).await;
                    return Ok(Outcome::Applied);
                }
                Written::No(seat) => seat,
            };
            if item::mark_bytes(&seen).contains(&mark) {
                return Ok(Outcome::Duplicate);
            }
            if let Written::Yes(units) = self.write_older(change, &mark).await? {
                self.shrink_if_large(change, units, received_at).await;
                return Ok(Outcome::Stale);
            }
        }
        Err(StoreError::Item("a seat came and went while it was written"))
    }

    /// W1.
    async fn write_newest(
        &self,
        change: &SeatChange,
        mark: &Blob,
        received_at: UnixMillis,
    ) -> Result<Written, StoreError> {
        let SeatChange { app, user, room, roster, .. } = change;
        let life = change.life.as_ref();
        let rules = seat_rules(app.provider, room, change.track);
        let newest = (rules.newest)(&change.mark);
        let section = Section::of(newest);
        let row = keys::row(section, change.mark.order.time, (life, change.track), user);
        let shard = keys::shard_of(app, room, user, self.rows.shards_of(room, received_at));
        let update = update_seat(change).set(NEWEST, item::bytes(mark.clone()));
        // A row keeps its partition, so it is moved by its place alone, whatever the number of shards
        // is now. A seat without a life outlasts its stays: the row of the next one is a new row, in
        // another place anyway.
        let update = match newest {
            NewestMark::In if life.is_none() => update.set(INDEX_PK, item::string(shard)),
            _ => update.set_if_missing(INDEX_PK, item::string(shard)),
        };
        let update = update
            .set(INDEX_SK, item::string(row))
            .set(item::EXPIRES_AT, item::number(self.seat_expiry(received_at).0))
            .set(DETAILS, item::details(&roster.details))
            .set_or_remove(DISPLAY_NAME, roster.name.as_deref().map(item::string))
            .add(MARKS, item::mark_set(vec![mark.clone()]))
            .only_if(format!("attribute_not_exists({NEWEST}) OR {NEWEST} < :{NEWEST}"));
        self.table.update(update).await
    }

    /// W2.
    async fn write_older(&self, change: &SeatChange, mark: &Blob) -> Result<Written, StoreError> {
        let update = update_seat(change)
            .add(MARKS, item::mark_set(vec![mark.clone()]))
            .only_if(format!("attribute_exists({NEWEST})"));
        self.table.update(update).await
    }

    /// Moves the oldest marks away if the seat has grown too large. The event is stored already. If
    /// the move fails or takes too long, the next event on the seat tries again.
    async fn shrink_if_large(
        &self,
        change: &SeatChange,
        units: WriteUnits,
        received_at: UnixMillis,
    ) {
        if units <= MAX_SEAT_UNITS {
            return;
        }
        in_time(self.move_oldest_marks(change, received_at)).await;
    }

    async fn move_oldest_marks(
        &self,
        change: &SeatChange,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let SeatChange { app, user, room, track, .. } = change;
        let (life, track) = (change.life.as_ref(), *track);
        let [seat, partition] = [keys::seat(room, life, track), keys::user(app, user)];
        let read = self.table.item(partition.clone(), seat.clone()).await?;
        let Some(item) = read else { return Ok(()) };
        let leaving = movable(&item::marks(&item)?, seat_rules(app.provider, room, track));
        let (Some(oldest), Some(newest)) = (leaving.first(), leaving.last()) else { return Ok(()) };
        let bytes = leaving.iter().map(|mark| Blob::new(mark.to_bytes())).collect();
        let moved = item::mark_set(bytes);

        let place = keys::moved(room, life, track, &oldest.to_bytes());
        let add = Update::of(partition.clone(), place)
            .set(item::EXPIRES_AT, item::number(self.seat_expiry(received_at).0))
            .add(MARKS, moved.clone());
        self.table.update(add).await?;

        let delete = Update::of(partition, seat).delete(MARKS, moved);
        let moved_to = Blob::new(newest.to_bytes());
        let first = delete.clone().set(MOVED_TO, item::bytes(moved_to)).only_if(format!(
            "attribute_exists({NEWEST}) AND \
             (attribute_not_exists({MOVED_TO}) OR {MOVED_TO} < :{MOVED_TO})"
        ));
        if let Written::No(_) = self.table.update(first).await? {
            // Newer marks were moved before, or the seat has expired.
            let other = delete.only_if(format!("attribute_exists({MOVED_TO})"));
            self.table.update(other).await?;
        }
        Ok(())
    }
}

/// A write of a seat returns the consumed capacity, which shows how large the seat is. A refused
/// one returns the seat, which shows whether the mark is known.
fn update_seat(change: &SeatChange) -> Update {
    let SeatChange { app, user, room, .. } = change;
    Update::of(keys::user(app, user), keys::seat(room, change.life.as_ref(), change.track))
        .measured()
        .or_return_item()
}

/// The marks that may be moved from a seat, oldest first: all except the newest few and those that
/// decide whether the person is in, in which role, and when they were last seen.
fn movable(marks: &[Mark], rules: &SeatRules) -> Vec<Mark> {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort();
    let mut kept: BTreeSet<&Mark> = sorted.iter().rev().take(NEWEST_KEPT).copied().collect();
    kept.extend(sorted.iter().copied().max_by_key(|mark| mark.at));
    kept.extend((rules.deciding)(&sorted));
    sorted.into_iter().filter(|mark| !kept.contains(mark)).cloned().collect()
}
