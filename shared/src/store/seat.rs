//! The seat and its two writes.
//!
//! - **W1** makes an event the newest of its seat: newest mark, index keys, roster fields. It is
//!   refused if the seat has a newer one.
//! - **W2** adds the mark of an older event, and nothing else: it cannot move anybody.
//!
//! When a seat outgrows one write unit, its oldest marks are first added to another item and then
//! deleted here, where the newest of them is named from then on. Readers take the union, so a crash
//! in between changes nothing.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    primitives::Blob,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure},
};

use super::{
    Store, StoreError,
    item::{self, DETAILS, DISPLAY_NAME, Item, MARKS, MOVED_TO, NEWEST, SEQUENCES},
    keys::{self, Section},
    table::{EXPIRES_AT, INDEX_PK, INDEX_SK, PK, SK},
    write::{WriteUnits, Written, written},
};
use crate::domain::{App, Kind, LifeId, Mark, Outcome, RoomId, SeatChange, UnixMillis, UserId};

/// What a write of a seat of at most a kilobyte takes: one write unit for the seat, two for an index entry that
/// is elsewhere then. Any write of a larger one takes two for the seat and two for the index.
const MAX_SEAT_UNITS: WriteUnits = WriteUnits(3.0);

/// How long an answer waits for marks to be moved.
const MAX_MOVE_TIME: Duration = Duration::from_millis(300);

/// How many of the newest marks always stay on the seat: enough for two visits.
const NEWEST_KEPT: usize = 4;

/// A person's seat in one life of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which room.
    pub room: RoomId,
    /// Which life of it, if the provider tells them apart.
    pub life: Option<LifeId>,
    /// The person's display name, by the newest event.
    pub name: Option<String>,
    /// The marks on the seat. Some of the oldest may have been moved away: never those that tell
    /// whether the person is in.
    pub marks: Vec<Mark>,
    /// The newest mark that was moved away, if any were. Whatever is newer is in `marks`.
    pub moved_to: Option<Mark>,
}

impl Store {
    pub(super) async fn apply_seat(
        &self,
        change: &SeatChange,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let mark = Blob::new(change.mark.to_bytes());
        // A seat may expire between a refused W1 and its W2, so W1 may come round once more.
        for _ in 0..2 {
            let seen = match self.write_newest(change, &mark, received_at).await? {
                Written::Yes(units) => {
                    self.lighten(change, units, received_at).await;
                    return Ok(Outcome::Applied);
                }
                Written::No(seat) => seat,
            };
            if item::mark_bytes(&seen).contains(&mark) {
                return Ok(Outcome::Duplicate);
            }
            if let Written::Yes(units) = self.write_older(change, &mark).await? {
                self.lighten(change, units, received_at).await;
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
        let section = Section::of(&change.mark);
        let row = keys::row(section, change.mark.order.time, life, user);
        let details =
            roster.details.iter().map(|(name, text)| (name.to_string(), item::string(text)));
        let (set_name, remove_name) = match roster.name {
            Some(_) => (format!(", {DISPLAY_NAME} = :name"), String::new()),
            None => (String::new(), format!(" REMOVE {DISPLAY_NAME}")),
        };
        let update = self
            .update_seat(app, user, room, life)
            .condition_expression(format!("attribute_not_exists({NEWEST}) OR {NEWEST} < :k"))
            .update_expression(format!(
                "SET {NEWEST} = :k, {INDEX_PK} = :index_pk, {INDEX_SK} = :index_sk, \
                 {EXPIRES_AT} = :expires_at, {DETAILS} = :details{set_name} \
                 ADD {MARKS} :m, {SEQUENCES} :q{remove_name}"
            ))
            .expression_attribute_values(":k", AttributeValue::B(mark.clone()))
            .expression_attribute_values(":index_pk", item::string(keys::shard_of(app, room, user)))
            .expression_attribute_values(":index_sk", item::string(row))
            .expression_attribute_values(
                ":expires_at",
                item::number(self.seat_expiry(received_at).0),
            )
            .expression_attribute_values(":details", AttributeValue::M(details.collect()));
        let update = match &roster.name {
            Some(name) => update.expression_attribute_values(":name", item::string(name)),
            None => update,
        };
        written(add_mark(update, change, mark).send()).await
    }

    /// W2.
    async fn write_older(&self, change: &SeatChange, mark: &Blob) -> Result<Written, StoreError> {
        let SeatChange { app, user, room, .. } = change;
        let life = change.life.as_ref();
        let update = self
            .update_seat(app, user, room, life)
            .condition_expression(format!("attribute_exists({NEWEST})"))
            .update_expression(format!("ADD {MARKS} :m, {SEQUENCES} :q"));
        written(add_mark(update, change, mark).send()).await
    }

    fn update_seat(
        &self,
        app: &App,
        user: &UserId,
        room: &RoomId,
        life: Option<&LifeId>,
    ) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PK, item::string(keys::user(app, user)))
            .key(SK, item::string(keys::seat(room, life)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Moves the oldest marks away if the seat has grown too large. The event is stored already,
    /// so if that fails or takes too long, the next event on the seat will try again.
    async fn lighten(&self, change: &SeatChange, units: WriteUnits, received_at: UnixMillis) {
        if units <= MAX_SEAT_UNITS {
            return;
        }
        let moved = self.move_oldest_marks(change, received_at);
        match tokio::time::timeout(MAX_MOVE_TIME, moved).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the oldest marks of a seat were not moved"),
            Err(_) => tracing::warn!("the oldest marks of a seat were not moved in time"),
        }
    }

    async fn move_oldest_marks(
        &self,
        change: &SeatChange,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let SeatChange { app, user, room, .. } = change;
        let life = change.life.as_ref();
        let read = self.item(keys::user(app, user), keys::seat(room, life)).await?;
        let Some(seat) = read else { return Ok(()) };
        let marks = item::marks(&seat)?;
        let leaving = movable(&marks);
        let (Some(oldest), Some(newest)) = (leaving.first(), leaving.last()) else { return Ok(()) };
        let staying: BTreeSet<u64> = marks
            .iter()
            .filter(|mark| !leaving.contains(mark))
            .map(|mark| mark.order.sequence)
            .collect();
        let bytes = leaving.iter().map(|mark| Blob::new(mark.to_bytes())).collect();
        let sequences: BTreeSet<u64> = leaving.iter().map(|mark| mark.order.sequence).collect();
        let moved = AttributeValue::Bs(bytes);
        let numbers = |set: &mut dyn Iterator<Item = &u64>| {
            AttributeValue::Ns(set.map(ToString::to_string).collect())
        };

        let add = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(PK, item::string(keys::user(app, user)))
            .key(SK, item::string(keys::moved(room, life, &oldest.to_bytes())))
            .update_expression(format!(
                "SET {EXPIRES_AT} = :expires_at ADD {MARKS} :m, {SEQUENCES} :q"
            ))
            .expression_attribute_values(
                ":expires_at",
                item::number(self.seat_expiry(received_at).0),
            )
            .expression_attribute_values(":m", moved.clone())
            .expression_attribute_values(":q", numbers(&mut sequences.iter()));
        written(add.send()).await?;

        let only_there: Vec<u64> = sequences.difference(&staying).copied().collect();
        let mut expression = format!("DELETE {MARKS} :m");
        let mut delete =
            self.update_seat(app, user, room, life).expression_attribute_values(":m", moved);
        if !only_there.is_empty() {
            expression.push_str(", ");
            expression.push_str(SEQUENCES);
            expression.push_str(" :q");
            delete = delete.expression_attribute_values(":q", numbers(&mut only_there.iter()));
        }
        let moved_to = Blob::new(newest.to_bytes());
        let first = delete
            .clone()
            .condition_expression(format!(
                "attribute_exists({NEWEST}) AND \
                 (attribute_not_exists({MOVED_TO}) OR {MOVED_TO} < :moved_to)"
            ))
            .update_expression(format!("SET {MOVED_TO} = :moved_to {expression}"))
            .expression_attribute_values(":moved_to", item::bytes(moved_to));
        if let Written::No(_) = written(first.send()).await? {
            // Newer marks were moved before, or the seat is gone.
            let other = delete
                .condition_expression(format!("attribute_exists({MOVED_TO})"))
                .update_expression(expression);
            written(other.send()).await?;
        }
        Ok(())
    }

    /// All seats of a user, read consistently; none if nothing is known of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn seats(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<Seat>, StoreError> {
        let items = self.of_user(app, user, keys::SEAT, now).await?;
        items.iter().map(read_seat).collect()
    }

    /// The seats of a user in all lives of a room, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn seats_in_room(
        &self,
        app: &App,
        user: &UserId,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Vec<Seat>, StoreError> {
        let items = self.of_user(app, user, &keys::seats_of(room), now).await?;
        items.iter().map(read_seat).collect()
    }
}

fn add_mark(
    update: UpdateItemFluentBuilder,
    change: &SeatChange,
    mark: &Blob,
) -> UpdateItemFluentBuilder {
    let sequence = change.mark.order.sequence.to_string();
    update
        .expression_attribute_values(":m", AttributeValue::Bs(vec![mark.clone()]))
        .expression_attribute_values(":q", AttributeValue::Ns(vec![sequence]))
}

/// The marks that may leave a seat, oldest first: all but the newest few and those that tell whether
/// the person is in, in which role, and when they were last seen.
fn movable(marks: &[Mark]) -> Vec<Mark> {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort();
    let mut kept: BTreeSet<&Mark> = sorted.iter().rev().take(NEWEST_KEPT).copied().collect();
    kept.extend(sorted.iter().copied().max_by_key(|mark| mark.at));
    // Within a session the higher sequence speaks.
    let newest = sorted.last().map(|mark| &mark.order.session);
    let of_newest = || sorted.iter().copied().filter(|mark| Some(&mark.order.session) == newest);
    for is_leave in [true, false] {
        let of_kind = of_newest().filter(|mark| (mark.kind == Kind::Leave) == is_leave);
        kept.extend(of_kind.max_by_key(|mark| (mark.order.sequence, *mark)));
    }
    sorted.into_iter().filter(|mark| !kept.contains(mark)).cloned().collect()
}

pub(super) fn read_seat(item: &Item) -> Result<Seat, StoreError> {
    let (room, life) = keys::parse_seat(item::text(item, SK)?)?;
    let name = item::optional_text(item, DISPLAY_NAME);
    Ok(Seat { room, life, name, marks: item::marks(item)?, moved_to: item::moved_to(item)? })
}
