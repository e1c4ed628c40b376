//! Which rooms may be live: an item for each, which `relay` keeps.

use std::time::Duration;

use aws_sdk_dynamodb::Client;

use super::{
    super::{
        StoreError,
        item::{self, EXPIRES_AT, Item, LAST_AT, LATE_AT},
        keys::{self, LIVE},
        read::LiveRoom,
        table::{INDEX_PK, INDEX_SK, PK, SK, Table, TableName},
    },
    update::{Deletion, Update, Written},
};
use crate::domain::{App, RoomId, UnixMillis};

/// How long a room that was marked needs no other mark.
pub const MARKED_FOR: Duration = Duration::from_mins(5);

/// An item outlives the seats of its room: these expire by another clock, and their newest fact may
/// be [`MARKED_FOR`] newer than the mark.
const SLACK: Duration = Duration::from_hours(1);

/// Lists rooms as live, and takes them off the list.
///
/// The list has every room in which somebody may be: a room is marked at its first fact and again
/// when a fact is newer by [`MARKED_FOR`] than the mark. The sweep takes a room off the list if it
/// has read, later than that after the mark, that nobody is in.
#[derive(Debug, Clone)]
pub struct LiveMarker {
    table: Table,
    retention: Duration,
}

/// Whether one of the facts about a room came after newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lateness {
    /// None did.
    InTime,
    /// One did.
    Late,
}

/// What the item of a room says after it was marked, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// When the newest fact was stored, earlier by [`MARKED_FOR`] at most.
    pub last_at: UnixMillis,
    /// The same of the facts that came late.
    pub late_at: Option<UnixMillis>,
}

impl Marked {
    /// Whether another fact needs no mark.
    #[must_use]
    pub fn covers(&self, at: UnixMillis, lateness: Lateness) -> bool {
        let covers = |marked: UnixMillis| at < marked.after(MARKED_FOR);
        covers(self.last_at) && (lateness == Lateness::InTime || self.late_at.is_some_and(covers))
    }
}

impl LiveMarker {
    /// A marker of rooms in the table of that name. An item is kept for a little more than
    /// `retention` after its last mark.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        Self { table: Table::new(client, table), retention }
    }

    /// Lists a room, of which a fact was stored at `at`. It writes once, unless the fact came late
    /// or another relay marked the room.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the room is not known to be listed. It can be marked again without harm.
    pub async fn mark(
        &self,
        app: &App,
        room: &RoomId,
        at: UnixMillis,
        lateness: Lateness,
    ) -> Result<Marked, StoreError> {
        let of_room = || Update::of(keys::room(app, room), LIVE);
        let is_late = lateness == Lateness::Late;
        let update = of_room()
            .set(LAST_AT, item::number(at.0))
            .set(INDEX_PK, item::string(keys::live_of(app, room)))
            .set(INDEX_SK, item::string(keys::live_row(at, room)))
            .set(EXPIRES_AT, item::number(at.after(self.retention).after(SLACK).seconds().0));
        let update = if is_late { update.set(LATE_AT, item::number(at.0)) } else { update };
        let stored = match self.table.update(if_outdated(update, LAST_AT, at)).await? {
            Written::Yes(_) => return Ok(Marked { last_at: at, late_at: is_late.then_some(at) }),
            Written::No(item) => item,
        };
        // The item has a newer time, which never goes back.
        let last_at = item::millis(&stored, LAST_AT)?.unwrap_or(at);
        let late_at = item::millis(&stored, LATE_AT)?;
        let marked = Marked { last_at, late_at };
        if marked.covers(at, lateness) {
            return Ok(marked);
        }
        // The room may be off the list by now, because nobody is in.
        let update = of_room().set(LATE_AT, item::number(at.0));
        let update = if_outdated(update, LATE_AT, at).only_if(format!(
            "attribute_exists({LAST_AT}) AND (attribute_not_exists({LATE_AT}) OR {LATE_AT} < :outdated)"
        ));
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Marked { late_at: Some(at), ..marked },
            Written::No(stored) => Marked { late_at: item::millis(&stored, LATE_AT)?, ..marked },
        })
    }

    /// Takes a room off the list, if it was not marked since it was read; otherwise returns false.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the item is not known to be deleted.
    pub async fn remove_if_unchanged(
        &self,
        app: &App,
        live: &LiveRoom,
    ) -> Result<bool, StoreError> {
        let times = [(LAST_AT, Some(live.last_at)), (LATE_AT, live.late_at)];
        let times = times.into_iter().filter_map(|(name, at)| Some((name, item::number(at?.0))));
        let keys = [(PK, item::string(keys::room(app, &live.room))), (SK, item::string(LIVE))];
        let read: Item = item::of(keys.into_iter().chain(times));
        self.table.delete(Deletion::of(&read, &[LAST_AT, LATE_AT])?).await
    }

    /// Lists an app among those that have rooms.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the app is not known to be listed.
    pub async fn add_app(&self, app: &App) -> Result<(), StoreError> {
        let key = [(PK, item::string(keys::APPS)), (SK, item::string(keys::app(app)))];
        self.table.put_first(item::of(key)).await.map(drop)
    }
}

/// An update of a time that is done if the stored one is older than `at` by [`MARKED_FOR`].
fn if_outdated(update: Update, name: &str, at: UnixMillis) -> Update {
    let outdated = UnixMillis(at.before(MARKED_FOR).0.saturating_add(1));
    update
        .given("outdated", item::number(outdated.0))
        .only_if(format!("attribute_not_exists({name}) OR {name} < :outdated"))
        .or_return_item()
}
