//! A room, and who is in it.

use std::{collections::HashMap, pin::pin};

use futures::{
    StreamExt, TryStreamExt,
    future::try_join_all,
    stream::{self, BoxStream},
    try_join,
};

use super::{Record, RecordError, RoomStay, boundaries::Boundaries, ends::RoomEnds as Ends};
use crate::{
    domain::{
        self, Boundary, CLOCKS_DIFFER, Count, Counting, EndRule, Ending, Life, LifeId,
        MAX_EVENT_TIME_AHEAD, RoomId, SeatStay, Track, UnixMillis, UserId, Visit, is_ended_by,
    },
    providers::{RoomEnds, Rules, boundary_effect},
    store::{self, IsIn, NewestLives, RosterPage, RosterRow, Seat, SeatsFrom, StoreError},
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
    /// Its newest life, and what was found with it.
    Life(NewestLives),
    /// When it was created and dismissed, by each track that counts.
    Boundaries(Vec<TrackBoundaries>),
}

/// When a room was created and dismissed, as one track reports it.
#[derive(Debug, Clone)]
struct TrackBoundaries {
    track: Track,
    boundaries: Boundaries,
}

/// The newest rows of a room: what the newest life, the count and the first page are found in.
#[derive(Debug, Clone)]
pub struct NewestRows(store::NewestRows);

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
            State::Life(lives) => lives.newest.as_ref().map(|life| &life.id),
            State::Boundaries(_) => None,
        }
    }

    /// What is known of its newest life.
    pub(super) fn newest(&self) -> Option<&Life> {
        match &self.state {
            State::Life(lives) => lives.newest.as_ref(),
            State::Boundaries(_) => None,
        }
    }

    /// Its newest boundaries by each track that counts, the newest first; none if it has lives.
    pub(super) fn boundaries(&self) -> impl Iterator<Item = (Track, &Boundaries)> {
        let tracks = match &self.state {
            State::Life(_) => &[][..],
            State::Boundaries(tracks) => tracks,
        };
        tracks.iter().map(|of| (of.track, &of.boundaries))
    }

    /// Its id.
    pub(super) fn id(&self) -> &RoomId {
        &self.id
    }

    /// Changes when a new life begins, so that a page of the old one is recognized.
    #[must_use]
    pub fn version(&self) -> String {
        match &self.state {
            State::Life(_) => self.life().map_or_else(String::new, ToString::to_string),
            State::Boundaries(tracks) => {
                let newest = newest_of(tracks).map(Boundary::at).max();
                newest.map_or_else(String::new, |at| at.to_string())
            }
        }
    }

    /// Whether it was closed, by all that is known of the room itself. Of two tracks, each has to
    /// say so that says anything.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.state {
            // Of a room without a life nobody knows whether it is open.
            State::Life(lives) => lives.newest.as_ref().is_none_or(|life| life.closed.is_some()),
            State::Boundaries(tracks) => {
                let is_closed = |newest: &Boundary| matches!(newest, Boundary::Closed { .. });
                newest_of(tracks).next().is_some() && newest_of(tracks).all(is_closed)
            }
        }
    }

    /// When its newest life was created. `None` if that is not known, or if a room without named
    /// lives was dismissed since.
    #[must_use]
    pub fn opened_at(&self) -> Option<UnixMillis> {
        match &self.state {
            State::Life(lives) => lives.newest.as_ref().and_then(|life| life.created),
            State::Boundaries(tracks) => {
                let created = newest_of(tracks).filter_map(|newest| match newest {
                    Boundary::Created { at, .. } => Some(*at),
                    Boundary::Closed { .. } => None,
                });
                created.min()
            }
        }
    }

    /// Whether nobody can be in: nobody comes back to a closed life. But where lives have no names,
    /// a creation may have been lost after a dismissal; and somebody may have been seen after the
    /// close.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let State::Life(lives) = &self.state else { return false };
        let Some(closed) = lives.newest.as_ref().and_then(|life| life.closed) else { return false };
        // Whom only observations show is among the newest rows, unless a session began as late.
        let is_hidden = |newest: UnixMillis| newest >= closed.before(CLOCKS_DIFFER);
        !lives.is_anyone_seen && !lives.newest_in.is_some_and(is_hidden)
    }

    /// When the provider last confirmed who is in its newest life.
    pub(super) fn checked(&self) -> Option<UnixMillis> {
        match &self.state {
            State::Life(lives) => lives.newest.as_ref().and_then(|life| life.checked),
            State::Boundaries(_) => None,
        }
    }

    /// A person who entered well before that is no longer in, by any track.
    pub(super) fn since(&self) -> UnixMillis {
        let began = match &self.state {
            State::Life(lives) => lives.newest.as_ref().and_then(|life| life.created),
            State::Boundaries(tracks) => {
                let newest =
                    |track: &TrackBoundaries| track.boundaries.newest.first().map(Boundary::at);
                tracks.iter().map(newest).min().flatten()
            }
        };
        began.unwrap_or(UnixMillis(0)).before(MAX_EVENT_TIME_AHEAD)
    }

    /// Whether somebody counts as a person in the room.
    fn has(&self, rules: &Rules, member: &store::Member, in_life: Option<&Seat>) -> bool {
        let stay = self.stay_of(rules, member, in_life);
        stay.is_some_and(|visit| rules.is_person(visit.role))
    }

    /// The stay that lasts, by the row of one seat. Of a row of somebody whom only observations
    /// show, `in_life` is their seat in the newest life. If that is a row of its own, the stay is
    /// of that one.
    pub(super) fn stay_of(
        &self,
        rules: &Rules,
        member: &store::Member,
        in_life: Option<&Seat>,
    ) -> Option<Visit> {
        match &self.state {
            State::Life(lives) if member.seat.is_only_seen() => {
                let (life, visits) = match (&lives.newest, in_life) {
                    (Some(life), Some(seat)) => {
                        (Some(life), rules.visits_of(&self.id, seat.track, &seat.marks))
                    }
                    _ => (None, Vec::new()),
                };
                let has_own_row = in_life.is_some_and(|seat| self.lasting(rules, seat).is_some());
                let all = life.map(|life| seen_in(life, visits)).unwrap_or_default();
                let of_life = in_life.map(|seat| (seat.life.clone(), seat.seen));
                let seen: Vec<_> = of_life.into_iter().chain([(None, member.seat.seen)]).collect();
                let mut stays = domain::observed(all, &seen, &lives.boundaries).into_stays();
                let stay = stays.find(|stay| stay.visit.ending.is_none());
                stay.filter(|_| !has_own_row).map(|stay| stay.visit)
            }
            State::Life(_) => self.lasting(rules, &member.seat),
            State::Boundaries(tracks) => {
                let track = member.seat.track;
                let last = rules.visits_of(&self.id, track, &member.seat.marks).pop()?;
                let mut own = tracks.iter().filter(|of| of.track == track);
                let is_over = own.any(|of| {
                    let ends =
                        |boundary| boundary_effect(boundary, &member.user, last.last_in).is_end();
                    of.boundaries.newest.iter().any(ends)
                });
                Some(last).filter(|last| !is_over && last.ending.is_none())
            }
        }
    }

    /// The stay that lasts on a seat of the newest life, by that seat alone.
    fn lasting(&self, rules: &Rules, seat: &Seat) -> Option<Visit> {
        let State::Life(NewestLives { newest: Some(life), .. }) = &self.state else { return None };
        let is_here = seat.life.as_ref() == Some(&life.id) && life.closed.is_none();
        let last = rules.visits_of(&self.id, seat.track, &seat.marks).pop().filter(|_| is_here)?;
        Some(last).filter(|last| last.ending.is_none() && !is_ended_by(last, &seat.seen))
    }
}

impl<'a> Record<'a> {
    /// What is known of a room; `None` if nothing is.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn room(self, id: &RoomId) -> Result<Option<Room>, RecordError> {
        let mut rows = self.newest_rows(id, 0).await?;
        self.room_of(id, &mut rows).await
    }

    /// The newest rows of a room, as many as a page of `limit` people needs. It takes no notice of
    /// erasures.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn newest_rows(self, id: &RoomId, limit: usize) -> Result<NewestRows, RecordError> {
        let Self { store, app, now } = self;
        Ok(NewestRows(match self.room_ends(id) {
            RoomEnds::Lives => Box::pin(store.newest_rows_and_lives(app, id, limit, now)).await?,
            RoomEnds::Boundaries(_) => Box::pin(store.newest_rows(app, id, limit, now)).await?,
        }))
    }

    /// What is known of a room, when its newest rows were read; `None` if nothing is.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn room_of(
        self,
        id: &RoomId,
        NewestRows(rows): &mut NewestRows,
    ) -> Result<Option<Room>, RecordError> {
        let Self { store, app, now } = self;
        let state = match self.room_ends(id) {
            RoomEnds::Lives => {
                let read = HashMap::new();
                let lives = store.newest_lives_of(app, id, rows, [], &read, now);
                let lives = Box::pin(lives).await?;
                let is_known = lives.newest.is_some() || lives.is_anyone_seen;
                is_known.then_some(State::Life(lives))
            }
            RoomEnds::Boundaries(at_once) => {
                let read = self.tracks().iter().map(async |track| {
                    let boundaries = self.newest_boundaries(id, track, at_once).await?;
                    Ok::<_, StoreError>(TrackBoundaries { track, boundaries })
                });
                let (tracks, is_known) =
                    try_join!(try_join_all(read), store.is_known_by(app, rows, now))?;
                let is_known = is_known || newest_of(&tracks).next().is_some();
                is_known.then_some(State::Boundaries(tracks))
            }
        };
        Ok(state.map(|state| Room { id: id.clone(), state }))
    }

    /// A page of the people in a room: up to `limit`, after the row where the page before it ended.
    /// `rows` are the room's newest ones, if they were read.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn members(
        self,
        room: &Room,
        rows: Option<NewestRows>,
        after: Option<&str>,
        limit: usize,
        counting: Counting,
    ) -> Result<Members<'a>, RecordError> {
        let is_in = |member: &store::Member, in_life: Option<&Seat>| {
            room.has(self.rules(), member, in_life)
        };
        self.roster(room, rows, (after, limit, counting), &is_in).await
    }

    /// Everybody whom the record has in a room, page by page like [`Record::members`], also those
    /// who are no people: recorders and other services.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn members_for_check(
        self,
        room: &Room,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Members<'a>, RecordError> {
        let is_in = |member: &store::Member, in_life: Option<&Seat>| {
            room.stay_of(self.rules(), member, in_life).is_some()
        };
        self.roster(room, None, (after, limit, Counting::No), &is_in).await
    }

    async fn roster(
        self,
        room: &Room,
        rows: Option<NewestRows>,
        (after, limit, counting): (Option<&str>, usize, Counting),
        is_in: &IsIn<'_>,
    ) -> Result<Members<'a>, RecordError> {
        let (since, life) = (room.since(), room.life());
        let page = RosterPage { since, after, limit, counting, life, is_in };
        let rows = rows.map(|NewestRows(rows)| rows);
        let roster = self.store.roster(self.app, &room.id, &page, rows, self.now).await?;
        let room = room.clone();
        let rows = stream::iter(roster.members)
            .map(move |row| {
                let room = room.clone();
                async move { self.member(&room, row).await }
            })
            .buffered(CONCURRENT_MEMBERS)
            .boxed();
        Ok(Members { count: roster.count, rows, next: roster.next })
    }

    /// When the provider last confirmed who is in a room.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn checked_at(self, room: &Room) -> Result<Option<UnixMillis>, RecordError> {
        Ok(match (&room.state, room.life()) {
            (State::Life(_), None) => {
                self.store.checked_without_life(self.app, &room.id, self.now).await?
            }
            _ => room.checked(),
        })
    }

    /// Whether anybody is in a room. It reads no more than it takes to find one person.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn is_anyone_in(self, room: &Room) -> Result<bool, RecordError> {
        let is_in = |member: &store::Member, in_life: Option<&Seat>| {
            room.has(self.rules(), member, in_life)
        };
        let Self { store, app, now } = self;
        let (since, life, counting) = (room.since(), room.life(), Counting::No);
        let page = RosterPage { since, after: None, limit: 1, counting, life, is_in: &is_in };
        Ok(!room.is_over() && store.is_anyone_in(app, &room.id, &page, now).await?)
    }

    /// How many people are in a room, counted in `most` rows at most. `rows` are its newest ones.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn count(
        self,
        room: &Room,
        rows: NewestRows,
        most: usize,
    ) -> Result<Count, RecordError> {
        if room.is_over() {
            return Ok(Count::Exactly(0));
        }
        let counted = self.members(room, Some(rows), None, 0, Counting::Rows(most));
        Ok(Box::pin(counted).await?.count)
    }

    async fn member(
        self,
        room: &Room,
        RosterRow { row, member, in_life, other }: RosterRow,
    ) -> Result<(String, Option<Member>), RecordError> {
        if let Some(other) = other {
            let store::Member { user, seat } = member;
            let mut ends = Ends::new(self, room.id.clone());
            ends.are_known(room.newest(), room.boundaries());
            let united = ends.united(&user, &[&seat, &other]).await?;
            let mut visits = united.into_visits().into_iter();
            let visit = visits.find(|visit| visit.ending.is_none());
            let stay = visit.map(|visit| RoomStay::new(self.rules(), &seat, visit));
            return Ok((row, stay.map(|stay| Member { user, stay })));
        }
        if member.seat.is_only_seen() {
            let visit = room.stay_of(self.rules(), &member, in_life.as_ref());
            let mut seat = member.seat;
            seat.name = in_life.and_then(|seat| seat.name);
            let stay = visit.map(|visit| RoomStay::new(self.rules(), &seat, visit));
            return Ok((row, stay.map(|stay| Member { user: member.user, stay })));
        }
        let store::Member { user, seat } = member;
        let visit = self.open_visit(&user, &seat).await?;
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
        let numbered = self.rules().numbered(&room.id);
        let (State::Life(NewestLives { newest: Some(life), .. }), Some(mut changes)) =
            (&room.state, numbered)
        else {
            return Ok(None);
        };
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

/// The newest boundary of each track that has one.
fn newest_of(tracks: &[TrackBoundaries]) -> impl Iterator<Item = &Boundary> {
    tracks.iter().filter_map(|track| track.boundaries.newest.first())
}

/// The visits to a life, ended with it.
fn seen_in(life: &Life, visits: Vec<Visit>) -> Vec<SeatStay> {
    let ended = visits.into_iter().map(|mut visit| {
        if let (None, Some(at)) = (visit.ending, life.closed) {
            let at = at.max(visit.place());
            visit.end(Ending::RoomClosed { at }, EndRule::RoomClosed, None);
        }
        SeatStay { life: Some(life.id.clone()), visit }
    });
    ended.collect()
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
