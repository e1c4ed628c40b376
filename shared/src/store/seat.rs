//! The seat and its two writes.
//!
//! - **W1** makes an event the newest of its seat: newest mark, index keys, roster fields. It is
//!   refused if the seat has a newer one.
//! - **W2** adds the mark of an older event, and nothing else: it cannot move anybody.
//!
//! When a seat outgrows one write unit, its oldest marks are first added to another item and then
//! deleted here, where a flag says so from then on. Readers take the union, so a crash in between
//! changes nothing.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{
    operation::update_item::builders::UpdateItemFluentBuilder,
    primitives::Blob,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};

use super::{
    Store, StoreError,
    item::{self, DETAILS, DISPLAY_NAME, HAS_MOVED, Item, MARKS, NEWEST, SEQUENCES},
    keys::{self, Section},
    table::{EXPIRES_AT, INDEX_PK, INDEX_SK, PK, SK},
    write::{Written, written},
};
use crate::domain::{App, Kind, LifeId, Mark, Outcome, RoomId, SeatChange, UnixMillis, UserId};

/// A seat beyond this size is lightened: up to here one write unit is enough.
const MAX_SEAT_BYTES: usize = 1024;

/// How long an answer waits for marks to be moved.
const MAX_MOVE_TIME: Duration = Duration::from_millis(300);

/// How many of the newest marks, and of the newest of each kind, always stay on the seat.
const NEWEST_KEPT: usize = 4;
const NEWEST_OF_KIND_KEPT: usize = 2;

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
    /// whether the person is in, and when they last came and went.
    pub marks: Vec<Mark>,
    /// Whether some were.
    pub has_moved: bool,
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
                Written::Yes(seat) => {
                    self.lighten(change, &seat, received_at).await;
                    return Ok(Outcome::Applied);
                }
                Written::No(seat) => seat,
            };
            if item::mark_bytes(&seen).contains(&mark) {
                return Ok(Outcome::Duplicate);
            }
            if let Written::Yes(seat) = self.write_older(change, &mark).await? {
                self.lighten(change, &seat, received_at).await;
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
        let section = Section::from(change.mark.kind);
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
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Moves the oldest marks away if the seat has grown too large. The event is stored already,
    /// so if that fails or takes too long, the next event on the seat will try again.
    async fn lighten(&self, change: &SeatChange, seat: &Item, received_at: UnixMillis) {
        let keys = keys::user(&change.app, &change.user).len()
            + keys::seat(&change.room, change.life.as_ref()).len();
        // A W2 returns marks and sequences only, and so moves a little later than a W1.
        if item::size(seat) + keys <= MAX_SEAT_BYTES {
            return;
        }
        let moved = self.move_oldest_marks(change, seat, received_at);
        match tokio::time::timeout(MAX_MOVE_TIME, moved).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the oldest marks of a seat were not moved"),
            Err(_) => tracing::warn!("the oldest marks of a seat were not moved in time"),
        }
    }

    async fn move_oldest_marks(
        &self,
        change: &SeatChange,
        seat: &Item,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let SeatChange { app, user, room, .. } = change;
        let life = change.life.as_ref();
        let marks = item::marks(seat)?;
        let leaving = movable(&marks);
        let Some(oldest) = leaving.first() else { return Ok(()) };
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
        let mut expression = format!("SET {HAS_MOVED} = :yes DELETE {MARKS} :m");
        let mut update = self
            .update_seat(app, user, room, life)
            .condition_expression(format!("attribute_exists({NEWEST})"))
            .expression_attribute_values(":m", moved)
            .expression_attribute_values(":yes", AttributeValue::Bool(true));
        if !only_there.is_empty() {
            expression.push_str(", ");
            expression.push_str(SEQUENCES);
            expression.push_str(" :q");
            update = update.expression_attribute_values(":q", numbers(&mut only_there.iter()));
        }
        written(update.update_expression(expression).send()).await?;
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

/// The marks that may leave a seat, oldest first: all but the newest few, and but for those of the
/// two newest sessions that tell how each began and ended.
fn movable(marks: &[Mark]) -> Vec<Mark> {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort();
    let mut kept: BTreeSet<&Mark> = sorted.iter().rev().take(NEWEST_KEPT).copied().collect();
    for kind in [Kind::Enter, Kind::Leave] {
        let of_kind = sorted.iter().rev().filter(|mark| mark.kind == kind);
        kept.extend(of_kind.take(NEWEST_OF_KIND_KEPT).copied());
    }
    let mut sessions = Vec::new();
    for mark in sorted.iter().rev() {
        if sessions.len() < 2 && !sessions.contains(&&mark.order.session) {
            sessions.push(&mark.order.session);
        }
    }
    for session in sessions {
        let of_session = || sorted.iter().copied().filter(|mark| mark.order.session == *session);
        let leaves = of_session().filter(|mark| mark.kind == Kind::Leave);
        kept.extend(of_session().min());
        kept.extend(leaves.max_by_key(|mark| (mark.order.sequence, *mark)));
    }
    sorted.into_iter().filter(|mark| !kept.contains(mark)).cloned().collect()
}

pub(super) fn read_seat(item: &Item) -> Result<Seat, StoreError> {
    let (room, life) = keys::parse_seat(item::text(item, SK)?)?;
    let name = item::optional_text(item, DISPLAY_NAME);
    let has_moved = item.contains_key(HAS_MOVED);
    Ok(Seat { room, life, name, marks: item::marks(item)?, has_moved })
}
