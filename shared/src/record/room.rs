//! A room, and who is in it.

use std::pin::pin;

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{Record, RecordError, RoomStay};
use crate::{
    domain::{
        Boundary, Count, Counting, Life, LifeId, MAX_EVENT_TIME_AHEAD, RoomId, UnixMillis, UserId,
    },
    providers::{BoundaryEnds, RoomEnds, Rules},
    store::{self, RosterPage, RosterRow, SeatsFrom},
};

/// How many members are read at the same time.
const CONCURRENT_MEMBERS: usize = 10;

/// How many seats are read with one request to count their changes, if so many fit.
const SEATS_PER_READ: usize = 1000;

/// A known room, without its members.
#[derive(Debug, Clone)]
pub struct Room {
    id: RoomId,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Its newest life.
    Life(Life),
    /// When it was created and dismissed, the newest first, and how that ends stays.
    Boundaries(Vec<Boundary>, BoundaryEnds),
}

/// A page of the people in a room, the newest session first.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct Members<'a> {
    /// How many people are in, if this is the first page.
    pub count: Count,
    /// The place of each row of the page, and who stands there. Their stays are read with the rows.
    pub rows: BoxStream<'a, Result<(String, Option<Member>), RecordError>>,
    /// Where this page ends, if another one follows.
    pub next: Option<String>,
}

/// Somebody who is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their stay, which lasts.
    pub stay: RoomStay,
}

impl Room {
    /// Its newest life; where lives have no names there is none.
    #[must_use]
    pub fn life(&self) -> Option<&LifeId> {
        match &self.state {
            State::Life(life) => Some(&life.id),
            State::Boundaries(..) => None,
        }
    }

    /// Changes when a new life begins, so that a page of the old one is recognized.
    #[must_use]
    pub fn version(&self) -> String {
        match &self.state {
            State::Life(life) => life.id.to_string(),
            State::Boundaries(boundaries, _) => {
                boundaries.first().map_or_else(String::new, |newest| newest.at().to_string())
            }
        }
    }

    /// Whether it was closed, by all that is known of the room itself.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.state {
            State::Life(life) => life.closed.is_some(),
            State::Boundaries(boundaries, _) => {
                matches!(boundaries.first(), Some(Boundary::Closed { .. }))
            }
        }
    }

    /// When its newest life was created. `None` if that is not known, or if a room without named
    /// lives was dismissed since.
    #[must_use]
    pub fn opened_at(&self) -> Option<UnixMillis> {
        match &self.state {
            State::Life(life) => life.created,
            State::Boundaries(boundaries, _) => match boundaries.first() {
                Some(Boundary::Created { at, .. }) => Some(*at),
                _ => None,
            },
        }
    }

    /// Whether nobody can be in: nobody comes back to a closed life. But where lives have no names,
    /// a creation may have been lost after a dismissal.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Life(_)) && self.is_closed()
    }

    /// A person who entered well before that is no longer in.
    fn since(&self) -> UnixMillis {
        let began = match &self.state {
            State::Life(life) => life.created,
            State::Boundaries(boundaries, _) => boundaries.first().map(Boundary::at),
        };
        began.unwrap_or(UnixMillis(0)).before(MAX_EVENT_TIME_AHEAD)
    }

    /// Whether somebody counts as a person in the room.
    fn has(&self, rules: &Rules, member: &store::Member) -> bool {
        let visits = rules.visits_of(&member.seat.marks);
        let Some(last) = visits.last() else { return false };
        let is_here = match &self.state {
            State::Life(life) => member.seat.life.as_ref() == Some(&life.id),
            State::Boundaries(boundaries, ends) => !boundaries
                .iter()
                .any(|boundary| ends(boundary, &member.user, last.last_in).is_end()),
        };
        is_here && last.ending.is_none() && rules.is_person(last.role)
    }
}

impl<'a> Record<'a> {
    /// What is known of a room; `None` if nothing is.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn room(self, id: &RoomId) -> Result<Option<Room>, RecordError> {
        let Self { store, app, now } = self;
        let state = match self.room_ends() {
            RoomEnds::Lives => store.newest_life(app, id, [], now).await?.map(State::Life),
            RoomEnds::Boundaries(ends) => {
                let boundaries = store.boundaries(app, id, now).await?;
                let is_known = !boundaries.is_empty() || store.is_room_known(app, id, now).await?;
                is_known.then_some(State::Boundaries(boundaries, ends))
            }
        };
        Ok(state.map(|state| Room { id: id.clone(), state }))
    }

    /// A page of the people in a room: up to `limit`, after the row where the page before it ended.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn members(
        self,
        room: &Room,
        after: Option<&str>,
        limit: usize,
        counting: Counting,
    ) -> Result<Members<'a>, RecordError> {
        let is_in = |member: &store::Member| room.has(self.rules(), member);
        let page = RosterPage { since: room.since(), after, limit, counting, is_in: &is_in };
        let roster = self.store.roster(self.app, &room.id, &page, self.now).await?;
        let rows = stream::iter(roster.members)
            .map(move |row| self.member(row))
            .buffered(CONCURRENT_MEMBERS)
            .boxed();
        Ok(Members { count: roster.count, rows, next: roster.next })
    }

    /// How many people are in a room, counted in `rows` rows at most.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn count(self, room: &Room, rows: usize) -> Result<Count, RecordError> {
        if room.is_over() {
            return Ok(Count::Exactly(0));
        }
        Ok(self.members(room, None, 0, Counting::Rows(rows)).await?.count)
    }

    async fn member(
        self,
        RosterRow { row, member }: RosterRow,
    ) -> Result<(String, Option<Member>), RecordError> {
        let store::Member { user, seat } = member;
        let visits = self.current_visits(&user, &seat).await?;
        let visit = visits.into_iter().find(|visit| visit.ending.is_none());
        Ok((
            row,
            visit.map(|visit| Member { user, stay: RoomStay::new(self.rules(), &seat, visit) }),
        ))
    }

    /// What of the changes that the provider numbered in the newest life of a room has arrived;
    /// `None` if it does not number them, or if more than `at_most` seats were taken since the life
    /// began. It reads all of these.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn lost_changes(
        self,
        room: &Room,
        at_most: usize,
    ) -> Result<Option<Changes>, RecordError> {
        let Self { store, app, now } = self;
        let numbered = self.rules().rooms.and_then(|rooms| rooms.numbered);
        let (State::Life(life), Some(numbered)) = (&room.state, numbered) else { return Ok(None) };
        let mut changes = numbered();
        let mut read = 0;
        let from = SeatsFrom::Time(room.since());
        let mut seats = pin!(store.seats_of_room(app, &room.id, from, SEATS_PER_READ, now));
        while let Some(found) = seats.try_next().await? {
            read += 1;
            if read > at_most {
                return Ok(None);
            }
            let store::Member { user, seat } = &found.member;
            if seat.life.as_ref() != Some(&life.id) {
                continue;
            }
            let marks: Vec<_> = store.marks(app, user, seat, now).try_collect().await?;
            if life.closed.is_some() {
                changes.seat_of_ended_life(&marks);
            } else {
                changes.seat(&marks);
            }
        }
        Ok(Some(changes.lost().map_or_else(Changes::default, |lost| Changes {
            first: Some(lost.first),
            last: Some(lost.last),
            missing: lost.missing,
        })))
    }
}

/// What of the numbered changes of a life has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// The lowest number that arrived; `None` if nothing did.
    pub first: Option<u64>,
    /// The highest number that arrived.
    pub last: Option<u64>,
    /// The least number of callbacks whose loss explains what arrived.
    pub missing: u64,
}
