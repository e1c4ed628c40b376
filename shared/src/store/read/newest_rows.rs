//! The newest rows of a room: of each shard with one request, whatever is asked of the room.
//!
//! Those who left come first in that order. So a room that few have left is read whole, and of one
//! that many have left the people who are in are read with a second request.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::try_join;

use super::{
    super::{
        StoreError,
        item::{self, Item},
        keys::{self, Section},
        table::INDEX_SK,
    },
    Reader,
    rows::{Front, read_all, rows_per_shard},
};
use crate::domain::{App, Life, RoomId, Shards, UnixMillis};

/// The newest rows of each shard of a room, as far as they were read.
#[derive(Debug, Clone)]
pub struct NewestRows {
    /// The newest lives whose creation or close is known, if lives have names.
    pub(super) lives: Vec<Life>,
    shards: Vec<ShardRows>,
}

/// The newest rows of a shard, by their section.
#[derive(Debug, Clone)]
struct ShardRows {
    left: Front,
    /// Of those who may be in.
    present: Front,
}

impl NewestRows {
    /// The same rows, with the newest lives.
    pub(super) fn with_lives(self, lives: Vec<Life>) -> Self {
        Self { lives, ..self }
    }

    /// Whether something of each section was read, if there is any.
    pub(super) fn are_complete(&self) -> bool {
        self.shards.iter().all(|shard| !shard.present.is_unread())
    }

    /// Reads of each section what was not read at all.
    pub(super) async fn complete(&mut self) -> Result<(), StoreError> {
        let missing = self.shards.iter_mut().map(|shard| &mut shard.present);
        let missing = missing.filter(|present| present.is_unread());
        read_all(missing.map(Front::begin)).await?;
        Ok(())
    }

    /// The sections that were read, shard by shard.
    pub(super) fn sections(&self) -> impl Iterator<Item = (Section, &Front)> {
        let sections = self
            .shards
            .iter()
            .flat_map(|shard| [(Section::In, &shard.present), (Section::Left, &shard.left)]);
        sections.filter(|(_, front)| !front.is_unread())
    }

    /// The rows of the people who may be in, shard by shard.
    pub(super) fn into_present(self) -> Vec<Front> {
        self.shards.into_iter().map(|shard| shard.present).collect()
    }
}

impl ShardRows {
    /// Divides what was read of a shard, `size` rows at most.
    fn new(front: Front, size: usize) -> Result<Self, StoreError> {
        let Front { mut items, more } = front;
        let is_left = |item: &Item| {
            Ok::<_, StoreError>(item::text(item, INDEX_SK)?.starts_with(Section::Left.prefix()))
        };
        let mut left = 0;
        while left < items.len() && is_left(&items[left])? {
            left += 1;
        }
        let present = items.split_off(left);
        let of = |section: Section| {
            let more = more.clone();
            more.map(|(query, size)| (range(query, section), size))
        };
        Ok(if present.is_empty() {
            // Where those who left end, nobody knows yet.
            let unread = more.as_ref().map(|(query, _)| {
                (range(query.clone().set_exclusive_start_key(None), Section::In), Some(size))
            });
            Self {
                left: Front { items, more: of(Section::Left) },
                present: Front { items: present, more: unread },
            }
        } else {
            Self {
                left: Front { items, more: None },
                present: Front { items: present, more: of(Section::In) },
            }
        })
    }
}

/// The same query, of one section.
fn range(query: QueryFluentBuilder, section: Section) -> QueryFluentBuilder {
    query
        .expression_attribute_values(":from", item::string(section.prefix()))
        .expression_attribute_values(":to", item::string(keys::rows_end(section)))
}

impl Reader {
    /// The newest rows of a room, as many as a page of `limit` people needs. What was erased or does
    /// not count is among them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn newest_rows(
        &self,
        app: &App,
        room: &RoomId,
        limit: usize,
        now: UnixMillis,
    ) -> Result<NewestRows, StoreError> {
        // These are read of every room, so nothing has to be known before.
        let first = self.shards.fresh(now).map_or(Shards::FEWEST, |seen| seen.to_read(room));
        let size = rows_per_shard(limit, first.number()).min(MOST_ROWS);
        let read = async |shard| {
            let ends = [Section::In.prefix().to_owned(), keys::rows_end(Section::Left)];
            let query = self.query_rows(keys::shard(app, room, shard), ends);
            let mut front = Front::unread(query, size);
            front.begin().await?;
            ShardRows::new(front, size)
        };
        let of_first = read_all(first.each().map(read));
        let (mut shards, all) = try_join!(of_first, self.shards_of(room, now))?;
        let others = all.each().skip(first.number().into());
        shards.extend(read_all(others.map(read)).await?);
        Ok(NewestRows { lives: Vec::new(), shards })
    }

    /// The same, and the newest lives of the room.
    ///
    /// # Errors
    ///
    /// As [`Reader::newest_rows`].
    pub async fn newest_rows_and_lives(
        &self,
        app: &App,
        room: &RoomId,
        limit: usize,
        now: UnixMillis,
    ) -> Result<NewestRows, StoreError> {
        let (rows, lives) = try_join!(
            self.newest_rows(app, room, limit, now),
            self.newest_life_items(app, room, now)
        )?;
        Ok(rows.with_lives(lives))
    }
}

/// The most rows of a shard that are read before it is known whether somebody can be in: as many as
/// a page of 100 people needs.
const MOST_ROWS: usize = 40;
