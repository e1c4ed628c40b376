//! When a room was created or dismissed, where its lives have no names.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::{Stream, StreamExt, TryStreamExt};

use super::{
    super::{
        StoreError,
        item::{self, CLOSED_AT, CREATED_AT, CREATOR, Item},
        keys,
        table::{INDEX_PK, INDEX_SK},
    },
    Reader,
    rows::items,
};
use crate::domain::{App, Boundary, Creator, CreatorHash, RoomId, Track, UnixMillis};

/// How many of a room's newest boundaries are read. The newest decides, unless it does not end its
/// creator's stay: then an older one does.
pub const NEWEST_BOUNDARIES: usize = 8;

impl Reader {
    /// The newest boundaries of a room by one track, the newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn boundaries(
        &self,
        app: &App,
        room: &RoomId,
        track: Track,
        now: UnixMillis,
    ) -> Result<Vec<Boundary>, StoreError> {
        let query = self.query_boundaries(app, room, track, UnixMillis(0));
        let newest = items(query, Some(NEWEST_BOUNDARIES), now).take(NEWEST_BOUNDARIES);
        newest.and_then(async |item| read_boundary(&item)).try_collect().await
    }

    /// The boundaries of a room by one track from a time on, the oldest first.
    pub fn boundaries_from(
        &self,
        app: &App,
        room: &RoomId,
        (track, from): (Track, UnixMillis),
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Boundary, StoreError>> + Send + use<> {
        let query = self.query_boundaries(app, room, track, from).scan_index_forward(true);
        items(query, Some(NEWEST_BOUNDARIES), now).and_then(async |item| read_boundary(&item))
    }

    /// A query of the boundaries of a room by one track that are not older than `from`, the newest
    /// first.
    fn query_boundaries(
        &self,
        app: &App,
        room: &RoomId,
        track: Track,
        from: UnixMillis,
    ) -> QueryFluentBuilder {
        self.query_index(keys::lives(app, room))
            .key_condition_expression(format!(
                "{INDEX_PK} = :pk AND {INDEX_SK} BETWEEN :from AND :to"
            ))
            .expression_attribute_values(":from", item::string(keys::boundaries_from(track, from)))
            .expression_attribute_values(":to", item::string(keys::boundaries_end(track)))
    }
}

fn read_boundary(item: &Item) -> Result<Boundary, StoreError> {
    if let Some(at) = item::millis(item, CREATED_AT)? {
        return Ok(Boundary::Created { at, creator: read_creator(item) });
    }
    let at = item::millis(item, CLOSED_AT)?.ok_or(StoreError::Item("a boundary has no time"))?;
    Ok(Boundary::Closed { at, reason: None })
}

/// Items from before creators were hashed name them.
fn read_creator(item: &Item) -> Option<Creator> {
    if let Some(name) = item::optional_text(item, CREATOR) {
        return Some(Creator::Named(name.parse().ok()?));
    }
    item::optional_bytes(item, CREATOR).and_then(CreatorHash::from_bytes).map(Creator::Hashed)
}
