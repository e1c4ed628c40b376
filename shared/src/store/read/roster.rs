//! Who is in a room, from the index.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
};

use futures::TryStreamExt;

use super::{
    super::{
        StoreError,
        item::{self, Item},
        keys::{self, Section},
        table::PK,
    },
    NewestRows, Reader,
    rows::{Direction, Front, Merged, read_all, rows_per_shard},
    seat::{SEATS_PER_REQUEST, Seat},
};
use crate::{
    domain::{App, Count, Counting, LifeId, Mark, RoomId, Tracks, UnixMillis, UserId},
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
    /// Of somebody whom only observations show, their seat in the room's newest life.
    pub in_life: Option<Seat>,
    /// Their seat by the other track, if both count and they have one.
    pub other: Option<Seat>,
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
    /// The life of the room that they may be in; `None` if lives have no names, or if none is known.
    pub life: Option<&'a LifeId>,
    /// Whether a person is in, by their seat.
    pub is_in: &'a IsIn<'a>,
}

/// Whether a person is in. Of somebody whom only observations show, their seat in the room's newest
/// life is given, too.
pub type IsIn<'a> = dyn Fn(&Member, Option<&Seat>) -> bool + Sync + 'a;

/// People whom only observations show, until their seats in the room's newest life are read.
#[derive(Default)]
struct Waiting(Vec<Member>);

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
    /// A page of the people in a room. `rows` are its newest ones, if they were read: they begin the
    /// first page.
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
        rows: Option<NewestRows>,
        now: UnixMillis,
    ) -> Result<Roster, StoreError> {
        let most = match page.counting {
            _ if page.after.is_some() => 0,
            Counting::No => 0,
            Counting::Rows(most) => most,
            Counting::All => usize::MAX,
        };
        let mut rows = self.begun(app, room, page, (rows, most), now).await?;
        let mut roster = Roster { members: Vec::new(), count: Count::Unknown, next: None };
        // Of somebody whom two tracks report, the first row that is read counts.
        let are_two_tracks = self.tracks(app) == Tracks::Both;
        let mut counted = HashSet::new();
        let (mut read, mut is_over) = (0, false);
        // One more than the page has room for shows that another one follows. Rows whose people turn
        // out to be not in, or on this page already, are replaced by as many as one request decides.
        let mut wanted = page.limit + 1;
        while !is_over && roster.members.len() <= page.limit {
            let from = roster.members.len();
            let mut is_anyone_waiting = false;
            while roster.members.len() < wanted {
                let Some((row, item)) = rows.next().await? else {
                    is_over = true;
                    break;
                };
                read += 1;
                let Some(member) = self.member(app, &item, now).await? else { continue };
                let is_waiting = is_seen(&member);
                if Some(row.as_str()) == page.after || !(is_waiting || (page.is_in)(&member, None))
                {
                    continue;
                }
                is_anyone_waiting |= is_waiting;
                roster.members.push(RosterRow { row, member, in_life: None, other: None });
            }
            if is_anyone_waiting {
                let rows = roster.members.split_off(from);
                roster.members.extend(self.known_to_be_in(app, room, page, rows, now).await?);
            }
            if are_two_tracks {
                let rows = roster.members.split_off(from);
                let rows = self.once_each(app, room, page, rows, &mut counted, now).await?;
                roster.members.extend(rows);
            }
            wanted = (page.limit + 1).max(roster.members.len() + SEATS_PER_REQUEST);
        }
        let mut found = roster.members.len();
        if found > page.limit {
            roster.members.truncate(page.limit);
            roster.next = roster.members.last().map(|last| last.row.clone());
        }
        if most == 0 {
            return Ok(roster);
        }
        let mut rest = pin!(rows.rest());
        let mut waiting = Waiting::default();
        roster.count = loop {
            if read > most {
                found += self.count_of(app, room, page, waiting, now).await?;
                break Count::AtLeast(found);
            }
            let Some((_, item)) = rest.try_next().await? else {
                found += self.count_of(app, room, page, waiting, now).await?;
                break Count::Exactly(found);
            };
            read += 1;
            if read > most {
                continue;
            }
            match self.member(app, &item, now).await? {
                Some(member) if is_seen(&member) => waiting.0.push(member),
                Some(member) if (page.is_in)(&member, None) => {
                    let is_new = !are_two_tracks || counted.insert(member.user);
                    found += usize::from(is_new);
                }
                _ => {}
            }
        };
        Ok(roster)
    }

    /// The rows of a page. Of each shard as many are read as the page needs and as are counted, with one
    /// request.
    async fn begun(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        (rows, most): (Option<NewestRows>, usize),
        now: UnixMillis,
    ) -> Result<Merged<'_>, StoreError> {
        let from = keys::rows_from(Section::In, page.since);
        // A client may send any cursor: it must not lead out of the section.
        let end = keys::rows_end(Section::In);
        let to = page.after.filter(|after| **after < *end).map_or(end, ToOwned::to_owned);
        let mut shards = match rows.filter(|_| page.after.is_none()) {
            Some(rows) => {
                let rows = rows.into_present().into_iter();
                rows.map(|rows| rows.since(&from)).collect::<Result<Vec<_>, _>>()?
            }
            None if from > to => Vec::new(),
            None => {
                let shards = self.shards_of(room, now).await?.each();
                let query = |shard| {
                    let ends = [from.clone(), to.clone()];
                    self.query_rows(keys::shard(app, room, shard), ends)
                };
                shards.map(|shard| Front::unread(query(shard), 0)).collect()
            }
        };
        // As many as the page needs and as are counted, with one request of each shard.
        let number = u8::try_from(shards.len()).unwrap_or(u8::MAX).max(1);
        let counted = match most {
            usize::MAX => ROWS_PER_READ,
            most => most.div_ceil(number.into()) + usize::from(most > 0),
        };
        let each = rows_per_shard(page.limit, number).max(counted);
        read_all(shards.iter_mut().map(|shard| shard.extend_to(each))).await?;
        Merged::begun(shards, Direction::NewestFirst, now).await
    }

    /// Of these rows those of people who are in.
    async fn known_to_be_in(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        rows: Vec<RosterRow>,
        now: UnixMillis,
    ) -> Result<Vec<RosterRow>, StoreError> {
        let waiting = rows.iter().map(|row| &row.member).filter(|member| is_seen(member));
        let users: Vec<UserId> = waiting.map(|member| member.user.clone()).collect();
        let mut seats = self.in_life(app, room, page.life, &users, now).await?;
        let rows = rows.into_iter().filter_map(|row| {
            if !is_seen(&row.member) {
                return Some(row);
            }
            let in_life = seats.remove(&row.member.user);
            (page.is_in)(&row.member, in_life.as_ref()).then_some(RosterRow { in_life, ..row })
        });
        Ok(rows.collect())
    }

    /// How many of these people are in.
    async fn count_of(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        Waiting(members): Waiting,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        let users: Vec<UserId> = members.iter().map(|member| member.user.clone()).collect();
        let seats = self.in_life(app, room, page.life, &users, now).await?;
        let is_in = |member: &&Member| (page.is_in)(member, seats.get(&member.user));
        Ok(members.iter().filter(is_in).count())
    }

    async fn in_life(
        &self,
        app: &App,
        room: &RoomId,
        life: Option<&LifeId>,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<HashMap<UserId, Seat>, StoreError> {
        match life {
            Some(life) => self.seats_in_life(app, room, life, users, now).await,
            None => Ok(HashMap::new()),
        }
    }

    /// Whether anybody is in a room: as soon as one is found, nothing more is read.
    ///
    /// # Errors
    ///
    /// As [`Reader::roster`].
    pub async fn is_anyone_in(
        &self,
        app: &App,
        room: &RoomId,
        page: &RosterPage<'_>,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let range = (keys::rows_from(Section::In, page.since), keys::rows_end(Section::In));
        for shard in self.shards_of(room, now).await?.each() {
            let partition = keys::shard(app, room, shard);
            let mut rows = self.rows(partition, range.clone(), Direction::NewestFirst, 1, now);
            while let Some((_, item)) = rows.try_next().await? {
                let Some(member) = self.member(app, &item, now).await? else { continue };
                let mut in_life = None;
                if is_seen(&member) {
                    let user = [member.user.clone()];
                    let mut seats = self.in_life(app, room, page.life, &user, now).await?;
                    in_life = seats.remove(&member.user);
                }
                if (page.is_in)(&member, in_life.as_ref()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A member, with all marks that decide whether they are in. The marks on the seat are enough,
    /// unless the newest one leaves that to older ones.
    async fn member(
        &self,
        app: &App,
        item: &Item,
        now: UnixMillis,
    ) -> Result<Option<Member>, StoreError> {
        match self.read_member(app, item)? {
            Some(member) => self.with_deciding_marks(app, member, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same member, with all marks that decide whether they are in.
    pub(super) async fn with_deciding_marks(
        &self,
        app: &App,
        Member { user, seat }: Member,
        now: UnixMillis,
    ) -> Result<Member, StoreError> {
        let says = seat_rules(app.provider, &seat.room, seat.track).newest;
        let is_unclear = |newest: &Mark| says(newest) == NewestMark::Unclear;
        if seat.moved_to.is_none() || !seat.marks.iter().max().is_some_and(is_unclear) {
            return Ok(Member { user, seat });
        }
        let marks = self.marks(app, &user, &seat, now).try_collect().await?;
        Ok(Member { user, seat: Seat { marks, moved_to: None, ..seat } })
    }

    /// A row of a room in the index; `None` if nothing is left of it after an erasure, or if its track
    /// does not count.
    pub(super) fn read_member(&self, app: &App, item: &Item) -> Result<Option<Member>, StoreError> {
        let user = keys::parse_user(item::text(item, PK)?)?;
        let seat = self.read_seat(app, &user, item)?;
        let seat = seat.filter(|seat| self.tracks(app).has(seat.track));
        Ok(seat.map(|seat| Member { user, seat }))
    }
}

/// Whether only observations show somebody.
fn is_seen(member: &Member) -> bool {
    member.seat.is_only_seen()
}

/// How many rows of a shard one request reads if all are counted.
const ROWS_PER_READ: usize = 1000;
