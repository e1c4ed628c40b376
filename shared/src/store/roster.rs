//! Who is in a room, from the index.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::{
    Store, StoreError,
    item::{self, Item},
    keys::{self, SHARDS, Section},
    seat::{Seat, read_seat},
    table::{INDEX_PK, INDEX_SK, PK},
};
use crate::domain::{App, RoomId, UnixMillis, UserId};

/// A row of a room's roster: a person and their seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their seat in the room.
    pub seat: Seat,
}

/// Which part of a roster to read, and by which rule somebody is in it.
pub struct RosterPage<'a> {
    /// Whoever entered before that is not looked at.
    pub since: UnixMillis,
    /// Where the page before this one ended; `None` for the first page.
    pub after: Option<&'a str>,
    /// How many members a page has at most.
    pub limit: usize,
    /// Whether a person is in, by the marks on their seat.
    pub is_in: &'a (dyn Fn(&Member) -> bool + Sync),
}

impl std::fmt::Debug for RosterPage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RosterPage")
            .field("after", &self.after)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// One page of a roster, the newest session first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The members on this page.
    pub members: Vec<Member>,
    /// How many members there are from this page on. All of them, if this is the first page.
    pub count: usize,
    /// Where this page ends, if another one follows.
    pub next: Option<String>,
}

impl Store {
    /// A page of the people in a room.
    ///
    /// The first page reads all rows of the people in the room, since it counts them; a later one
    /// only as many as it returns. What is kept in memory is one page of each shard.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn roster(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        now: UnixMillis,
    ) -> Result<Roster, StoreError> {
        let shards = (0..SHARDS).map(|shard| self.shard_of_roster(app, room, shard, page, now));
        let mut count = 0;
        let mut rows = BTreeMap::new();
        for (shard_rows, shard_count) in try_join_all(shards).await? {
            rows.extend(shard_rows);
            count += shard_count;
        }
        let mut newest_first = rows.into_iter().rev();
        let (mut members, mut last) = (Vec::new(), None);
        for (row, member) in newest_first.by_ref().take(page.limit) {
            members.push(member);
            last = Some(row);
        }
        Ok(Roster { members, count, next: last.filter(|_| newest_first.next().is_some()) })
    }

    /// The newest `limit + 1` members in one shard by their place in the index, and how many there
    /// are.
    async fn shard_of_roster(
        &self,
        app: &App,
        room: &RoomId,
        shard: u8,
        page: &RosterPage<'_>,
        now: UnixMillis,
    ) -> Result<(BTreeMap<String, Member>, usize), StoreError> {
        let from = keys::rows_from(Section::In, page.since);
        // A cursor is whatever a client sends: it must not lead out of the section.
        let end = keys::rows_end(Section::In);
        let to = page.after.filter(|after| **after < *end).map_or(end, ToOwned::to_owned);
        let (mut rows, mut count) = (BTreeMap::new(), 0);
        if to <= from {
            return Ok((rows, count));
        }
        let is_first_page = page.after.is_none();
        let mut pages = self
            .query_index(keys::shard(app, room, shard))
            .key_condition_expression(format!(
                "{INDEX_PK} = :pk AND {INDEX_SK} BETWEEN :from AND :to"
            ))
            .expression_attribute_values(":from", item::string(from))
            .expression_attribute_values(":to", item::string(to))
            .into_paginator()
            .page_size(if is_first_page { 1000 } else { page_size(page.limit) })
            .send();
        while let Some(read) = pages.try_next().await? {
            for item in read.items() {
                let row = item::text(item, INDEX_SK)?;
                if Some(row) == page.after || item::is_expired(item, now) {
                    continue;
                }
                let member = read_member(item)?;
                if (page.is_in)(&member) {
                    count += 1;
                    if rows.len() <= page.limit {
                        rows.insert(row.to_owned(), member);
                    }
                }
            }
            if !is_first_page && rows.len() > page.limit {
                break;
            }
        }
        Ok((rows, count))
    }
}

fn page_size(limit: usize) -> i32 {
    i32::try_from(limit.saturating_add(2)).unwrap_or(i32::MAX)
}

fn read_member(item: &Item) -> Result<Member, StoreError> {
    Ok(Member { user: keys::parse_user(item::text(item, PK)?)?, seat: read_seat(item)? })
}
