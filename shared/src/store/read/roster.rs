//! Who is in a room, from the index.

use std::pin::pin;

use futures::TryStreamExt;

use super::{
    super::{
        StoreError,
        item::{self, Item},
        keys::{self, SHARDS, Section},
        table::PK,
    },
    Reader,
    rows::{Direction, Merged, rows_per_shard},
    seat::Seat,
};
use crate::{
    domain::{App, Count, Counting, Mark, RoomId, UnixMillis, UserId},
    providers::{NewestMark, seat_rules},
};

/// A row of a room's roster: a person and their seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// Their seat in the room.
    pub seat: Seat,
}

/// A member of a roster, and the place where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// The place in the roster.
    pub row: String,
    /// The member.
    pub member: Member,
}

/// Which part of a roster to read, and the rule that decides who is in it.
pub struct RosterPage<'a> {
    /// Seats whose newest session began before this time are skipped.
    pub since: UnixMillis,
    /// The end of the previous page; `None` for the first page.
    pub after: Option<&'a str>,
    /// How many members a page has at most.
    pub limit: usize,
    /// How far the first page counts the people in the room.
    pub counting: Counting,
    /// Whether a person is in, by the marks on their seat.
    pub is_in: &'a (dyn Fn(&Member) -> bool + Sync),
}

impl std::fmt::Debug for RosterPage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RosterPage")
            .field("after", &self.after)
            .field("limit", &self.limit)
            .field("counting", &self.counting)
            .finish_non_exhaustive()
    }
}

/// One page of a roster, the newest session first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The members on this page.
    pub members: Vec<RosterRow>,
    /// How many members there are in all, if this is the first page.
    pub count: Count,
    /// Where this page ends, if another one follows.
    pub next: Option<String>,
}

impl Reader {
    /// A page of the people in a room.
    ///
    /// The first page reads the rows that it counts. A later one reads little more than it returns.
    /// Only one page of each shard is kept in memory.
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
        let from = keys::rows_from(Section::In, page.since);
        // A client may send any cursor: it must not lead out of the section.
        let end = keys::rows_end(Section::In);
        let to = page.after.filter(|after| **after < *end).map_or(end, ToOwned::to_owned);
        let most = match page.counting {
            _ if page.after.is_some() => 0,
            Counting::No => 0,
            Counting::Rows(most) => most,
            Counting::All => usize::MAX,
        };
        let page_size = if most > 0 { ROWS_PER_READ } else { rows_per_shard(page.limit) };
        let shards = (0..SHARDS).map(|shard| {
            let (partition, range) = (keys::shard(app, room, shard), (from.clone(), to.clone()));
            self.rows(partition, range, Direction::NewestFirst, page_size, now)
        });
        let mut rows = Merged::new(shards.collect(), Direction::NewestFirst).await?;
        let mut roster = Roster { members: Vec::new(), count: Count::Unknown, next: None };
        let (mut read, mut found) = (0, 0);
        while let Some((row, item)) = rows.next().await? {
            read += 1;
            let Some(member) = self.member(app, &item, now).await? else { continue };
            if Some(row.as_str()) == page.after || !(page.is_in)(&member) {
                continue;
            }
            found += 1;
            if found > page.limit {
                roster.next = roster.members.last().map(|last| last.row.clone());
                break;
            }
            roster.members.push(RosterRow { row, member });
        }
        if most == 0 {
            return Ok(roster);
        }
        let mut rest = pin!(rows.rest());
        roster.count = loop {
            if read > most {
                break Count::AtLeast(found);
            }
            let Some((_, item)) = rest.try_next().await? else { break Count::Exactly(found) };
            read += 1;
            if read <= most {
                let member = self.member(app, &item, now).await?;
                found += usize::from(member.is_some_and(|member| (page.is_in)(&member)));
            }
        };
        Ok(roster)
    }

    /// A member, with all marks that decide whether they are in. The marks on the seat are enough,
    /// unless the newest one leaves that to older ones.
    async fn member(
        &self,
        app: &App,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Member>, StoreError> {
        let Some(Member { user, seat }) = self.read_member(app, item)? else { return Ok(None) };
        let says = seat_rules(app.provider).newest;
        let is_unclear = |newest: &Mark| says(newest) == NewestMark::Unclear;
        if seat.moved_to.is_none() || !seat.marks.iter().max().is_some_and(is_unclear) {
            return Ok(Some(Member { user, seat }));
        }
        let marks = self.marks(app, &user, &seat, now).try_collect().await?;
        Ok(Some(Member { user, seat: Seat { marks, moved_to: None, ..seat } }))
    }

    /// A row of a room in the index; `None` if nothing is left of it after an erasure.
    pub(super) fn read_member(&self, app: &App, item: &Item) -> Result<Option<Member>, StoreError> {
        let user = keys::parse_user(item::text(item, PK)?)?;
        Ok(self.read_seat(app, &user, item)?.map(|seat| Member { user, seat }))
    }
}

/// How many rows one read requests when all of them are needed. DynamoDB returns up to a megabyte.
const ROWS_PER_READ: usize = 1000;
