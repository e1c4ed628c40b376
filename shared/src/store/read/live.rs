//! The rooms that may be live.

use futures::{Stream, TryStreamExt, stream};

use super::{
    super::{
        StoreError,
        item::{self, Item, LAST_AT, LATE_AT, PASSED_AT},
        keys::{self, LIVE_ROWS, LIVE_SHARDS, Owner},
        table::{PK, SK},
    },
    Reader,
    rows::{self, Direction, Merged},
};
use crate::domain::{App, RoomId, UnixMillis};

/// In how many parts an app's list can be read.
pub const LIVE_PARTS: u8 = LIVE_SHARDS;

/// How many rooms of a part are read with the first request.
const AT_FIRST: usize = 20;

/// A room in the list of an app's live rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRoom {
    /// Its place in the list: where a page after it begins.
    pub row: String,
    /// The room.
    pub room: RoomId,
    /// When its newest fact was stored, earlier by [`super::super::MARKED_FOR`] at most.
    pub last_at: UnixMillis,
    /// The same of the facts that came late.
    pub late_at: Option<UnixMillis>,
    /// When the last pass began that asked the provider who is in.
    pub passed_at: Option<UnixMillis>,
}

impl Reader {
    /// The list of an app's live rooms after a place: all rooms in which somebody may be, and some
    /// others. About `at_first` of them are read with the first requests.
    ///
    /// The order is by the hour of the last activity, the earliest first, and then by the room's
    /// id. A room moves to a later place only. So a reader of all pages sees every room that is
    /// listed all the time.
    pub fn live_rooms<'a>(
        &'a self,
        app: &App,
        after: Option<&'a str>,
        at_first: usize,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<LiveRoom, StoreError>> + Send + use<'a> {
        let [first, end] = LIVE_ROWS;
        // A client may send any cursor.
        let from = after.filter(|after| *after > first).unwrap_or(first);
        let shards = (0..LIVE_SHARDS).map(|shard| {
            let range = (from.to_owned(), end.to_owned());
            let size = rows_per_shard(at_first);
            self.rows(keys::live(app, shard), range, Direction::OldestFirst, size, now)
        });
        let merged = Merged::new(shards.collect(), Direction::OldestFirst);
        let rows = stream::once(merged).map_ok(|merged| {
            stream::try_unfold(merged, async |mut merged| {
                Ok::<_, StoreError>(merged.next().await?.map(|row| (row, merged)))
            })
        });
        rows.try_flatten()
            .try_filter(move |(row, _)| std::future::ready(Some(row.as_str()) != after))
            .and_then(|(row, item)| std::future::ready(read(row, &item)))
    }

    /// One of the [`LIVE_PARTS`] parts of an app's list, after a place, in the same order. A room
    /// stays in its part.
    pub fn live_part<'a>(
        &'a self,
        app: &App,
        part: u8,
        after: Option<&'a str>,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<LiveRoom, StoreError>> + Send + use<'a> {
        let [first, end] = LIVE_ROWS;
        let range = (after.unwrap_or(first).to_owned(), end.to_owned());
        self.rows(keys::live(app, part), range, Direction::OldestFirst, AT_FIRST, now)
            .try_filter(move |(row, _)| std::future::ready(Some(row.as_str()) != after))
            .and_then(|(row, item)| std::future::ready(read(row, &item)))
    }

    /// The rooms of an app that a request asked about and that are not done, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn asked_rooms(&self, app: &App, now: UnixMillis) -> Result<Vec<RoomId>, StoreError> {
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::APPS))
            .expression_attribute_values(":prefix", item::string(keys::asked_of(app)));
        let rooms = rows::items(query, None, now)
            .and_then(async |item| keys::parse_asked(item::text(&item, SK)?));
        rooms.try_collect().await
    }

    /// The apps that have rooms, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn apps(&self, now: UnixMillis) -> Result<Vec<App>, StoreError> {
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk AND begins_with({SK}, :prefix)"))
            .expression_attribute_values(":pk", item::string(keys::APPS))
            .expression_attribute_values(":prefix", item::string(keys::APP));
        let apps = rows::items(query, None, now)
            .and_then(async |item| keys::parse_app(item::text(&item, SK)?));
        apps.try_collect().await
    }
}

/// How many rows to read from each shard for a page of so many.
fn rows_per_shard(limit: usize) -> usize {
    let evenly = limit / usize::from(LIVE_SHARDS);
    evenly + evenly / 4 + 4
}

fn read(row: String, item: &Item) -> Result<LiveRoom, StoreError> {
    let Some((_, Owner::Room(room))) = keys::parse_partition(item::text(item, PK)?)? else {
        return Err(StoreError::Item("a live room is no room"));
    };
    let last_at = item::millis(item, LAST_AT)?;
    let last_at = last_at.ok_or(StoreError::Item("a live room has no time"))?;
    let late_at = item::millis(item, LATE_AT)?;
    Ok(LiveRoom { row, room, last_at, late_at, passed_at: item::millis(item, PASSED_AT)? })
}
