//! How visits end whose own end never came: by the room, or by the person's next visit.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
};

use futures::TryStreamExt;
use tokio::sync::OnceCell;

use super::{Record, boundaries::Boundaries};
use crate::{
    domain::{
        Boundary, By, CLOCKS_DIFFER, EndRule, Ending, Life, LifeId, Moved, Observed, RoomId, Track,
        UnixMillis, UserId, Visit,
    },
    providers::{AtOnce, BoundaryEffect, RoomEnds as Ends, boundary_effect},
    store::{Seat, StoreError},
};

/// How many lives of a room are remembered while its visits are read.
const REMEMBERED_LIVES: usize = 1000;

/// How the visits to a room ended. The room's lives or boundaries decide for visits whose own end
/// never arrived, and so do the person's visits to its other lives.
pub(super) struct RoomEnds<'a> {
    record: Record<'a>,
    room: RoomId,
    /// Logins that are known before the index shows them.
    logins: Vec<(LifeId, UnixMillis)>,
    newest: OnceCell<Option<Life>>,
    lives: HashMap<LifeId, Life>,
    /// The newest boundaries of each track.
    boundaries: [(Track, OnceCell<Boundaries>); 2],
    person: Option<Person>,
    /// When the provider last had somebody in the room, if that was read.
    seen_at: Option<UnixMillis>,
    /// All stays of the person of whom they were needed last.
    pub(super) last_observed: Option<(UserId, Observed)>,
}

/// How a life of a room ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LifeEnd {
    /// The room was closed.
    Closed(UnixMillis),
    /// The callback of the end never came, but a newer life began.
    Replaced {
        /// When it began.
        at: UnixMillis,
        /// Which one it is.
        by: LifeId,
    },
}

impl LifeEnd {
    /// When it ended.
    pub(super) fn at(&self) -> UnixMillis {
        let (Self::Closed(at) | Self::Replaced { at, .. }) = self;
        *at
    }

    /// The same end, at `earliest` if it was before.
    pub(super) fn no_earlier_than(mut self, earliest: UnixMillis) -> Self {
        let (Self::Closed(at) | Self::Replaced { at, .. }) = &mut self;
        *at = earliest.max(*at);
        self
    }
}

/// Somebody, and all their seats in the room.
struct Person {
    user: UserId,
    seats: Vec<PersonsSeat>,
}

struct PersonsSeat {
    seat: Seat,
    /// The earliest and the latest time on the seat. Of the earliest those that were moved are not
    /// known.
    span: (UnixMillis, UnixMillis),
    /// When the visits to it began.
    beginnings: OnceCell<BTreeSet<UnixMillis>>,
}

impl Person {
    fn new(user: UserId, seats: Vec<Seat>) -> Self {
        let seats = seats.into_iter().map(|seat| {
            let times = || seat.marks.iter().flat_map(|mark| [mark.order.time, mark.at]);
            let earliest = times().min().filter(|_| seat.moved_to.is_none());
            let span = (earliest.unwrap_or(UnixMillis(0)), times().max().unwrap_or(UnixMillis(0)));
            PersonsSeat { seat, span, beginnings: OnceCell::new() }
        });
        Self { user, seats: seats.collect() }
    }
}

impl<'a> RoomEnds<'a> {
    pub(super) fn new(record: Record<'a>, room: RoomId) -> Self {
        Self {
            record,
            room,
            logins: Vec::new(),
            newest: OnceCell::new(),
            lives: HashMap::new(),
            boundaries: Track::ALL.map(|track| (track, OnceCell::new())),
            person: None,
            seen_at: None,
            last_observed: None,
        }
    }

    /// The same for one person, all of whose seats in the room were just read. The logins on them
    /// count, since the index may lag behind.
    pub(super) fn of_person(
        record: Record<'a>,
        user: &UserId,
        room: RoomId,
        seats: Vec<Seat>,
    ) -> Self {
        let logins = seats.iter().flat_map(|seat| {
            let times = seat.marks.iter().map(|mark| mark.order.time);
            times.filter_map(|time| Some((seat.life.clone()?, time)))
        });
        Self {
            logins: logins.collect(),
            person: Some(Person::new(user.clone(), seats)),
            ..Self::new(record, room)
        }
    }

    /// When the provider last confirmed who is in the lives that were read, or in the room.
    pub(super) fn checked(&self) -> Option<UnixMillis> {
        self.lives.values().filter_map(|life| life.checked).max()
    }

    /// Takes the newest life, or the newest boundaries, of a room that was just read.
    pub(super) fn are_known<'r>(
        &mut self,
        newest: Option<&Life>,
        boundaries: impl IntoIterator<Item = (Track, &'r Boundaries)>,
    ) {
        if let Some(newest) = newest {
            self.newest = OnceCell::new_with(Some(Some(newest.clone())));
        }
        for (track, newest) in boundaries {
            for (_, known) in self.boundaries.iter_mut().filter(|(of, _)| *of == track) {
                *known = OnceCell::new_with(Some(newest.clone()));
            }
        }
    }

    pub(super) fn record(&self) -> Record<'a> {
        self.record
    }

    /// When the room was created and closed about a time, as far as that is known.
    pub(super) async fn boundaries_around(
        &self,
        at: UnixMillis,
    ) -> Result<Vec<Boundary>, StoreError> {
        let Record { store, app, now } = self.record;
        let mut found = store.boundaries_around(app, &self.room, at, CLOCKS_DIFFER, now).await?;
        // The index may lag behind what was read consistently.
        let known =
            self.newest.get().and_then(Option::as_ref).into_iter().chain(self.lives.values());
        found.extend(known.flat_map(Life::boundaries));
        Ok(found)
    }

    /// Decides how a visit to a seat ended, and why so.
    pub(super) async fn decide(
        &mut self,
        user: &UserId,
        seat: &Seat,
        mut visit: Visit,
    ) -> Result<Visit, StoreError> {
        let life = seat.life.as_ref();
        match (self.record.room_ends(&self.room), life, visit.ending) {
            (_, _, Some(ending)) if !ending.is_assumed() => {}
            (Ends::Boundaries(at_once), ..) => {
                self.boundary_ending((at_once, seat.track), user, &mut visit).await?;
            }
            (_, Some(life), None) => self.life_ending(life, &mut visit).await?,
            // A life lasts as long as anybody comes to it.
            _ => {}
        }
        let (Some(life), Some(ending)) = (life, visit.ending) else { return Ok(visit) };
        if let Some((next, life)) = self.next_visit(user, life, &visit, ending).await? {
            visit.move_end(next.min(ending.at()), Moved::ToOtherLife, life.map(By::Life).as_ref());
        }
        Ok(visit)
    }

    /// Whether the end of a visit to a seat on which nothing was observed may depend on what was
    /// observed on other seats: that somebody is in ends no visit that has an end of its own, and
    /// none that began later. It takes no request more.
    pub(super) async fn may_be_seen(
        &mut self,
        user: &UserId,
        life: Option<&LifeId>,
        visit: &Visit,
    ) -> Result<bool, StoreError> {
        let (Ends::Lives, Some(life)) = (self.record.room_ends(&self.room), life) else {
            return Ok(false);
        };
        if visit.ending.is_some_and(|ending| !ending.is_assumed()) {
            return Ok(false);
        }
        if let Some(person) = self.person.as_ref().filter(|person| person.user == *user) {
            return Ok(person.seats.iter().any(|seat| !seat.seat.seen.is_empty()));
        }
        // With a life it was read when somebody was seen; and to decide the visit, a life was.
        if self.lives.is_empty() {
            self.life(life).await?;
        }
        Ok(self.seen_at.is_some_and(|at| visit.place() <= at.after(CLOCKS_DIFFER)))
    }

    /// When the person's next visit to another life of the room began, and which life, if that may
    /// have been before this one ended.
    async fn next_visit(
        &mut self,
        user: &UserId,
        life: &LifeId,
        visit: &Visit,
        ending: Ending,
    ) -> Result<Option<(UnixMillis, Option<LifeId>)>, StoreError> {
        let Record { store, app, now } = self.record;
        if self.person.as_ref().is_none_or(|person| person.user != *user) {
            if !self.may_overlap(life, ending).await? {
                return Ok(None);
            }
            let seats = store.seats_in_room(app, user, &self.room, now).await?;
            self.person = Some(Person::new(user.clone(), seats));
        }
        let (began, ended) = (visit.place(), ending.at());
        let mut next = None::<(UnixMillis, &Seat)>;
        for other in self.person.iter().flat_map(|person| &person.seats) {
            let is_later = other.seat.life.as_ref() > Some(life);
            if other.seat.life.as_ref() == Some(life)
                || other.span.1 < began
                || other.span.0 > ended
            {
                continue;
            }
            let beginnings = async || {
                let visits = self.record.visits(user, &other.seat);
                visits.map_ok(|visit| visit.place()).try_collect().await
            };
            let beginnings = other.beginnings.get_or_try_init(beginnings).await?;
            // Of two that began at the same moment one has to end.
            let later = beginnings.range(began..).find(|other| is_later || **other > began);
            let later = later.map(|later| (*later, &other.seat));
            next = next.into_iter().chain(later).min_by_key(|(began, _)| *began);
        }
        Ok(next.map(|(began, seat)| (began, seat.life.clone())))
    }

    /// Whether the person may have come to another life of the room before a visit ended. That is
    /// seldom, since one life ends before the next begins. So their other seats are only read of a
    /// visit whose own end never came, or whose end was not clearly before the life's.
    ///
    /// When the next life began does not help: its creation and its close may both be lost.
    async fn may_overlap(&mut self, life: &LifeId, ending: Ending) -> Result<bool, StoreError> {
        if let Some(newest) = self.newest.get()
            && newest.as_ref().is_some_and(|newest| newest.id == *life)
        {
            return Ok(false);
        }
        if let Ending::RoomClosed { .. } | Ending::RoomReplaced { .. } = ending {
            return Ok(true);
        }
        if let Some(closed) = self.life(life).await?.closed {
            return Ok(closed <= ending.at().after(CLOCKS_DIFFER));
        }
        Ok(self.newest().await?.is_some_and(|newest| newest.id != *life))
    }

    /// Ends a visit with its life, or with the next one. Two servers' clocks may differ, but nobody
    /// leaves before they came.
    async fn life_ending(&mut self, id: &LifeId, visit: &mut Visit) -> Result<(), StoreError> {
        let life = self.life(id).await?;
        let began = life.created.unwrap_or(visit.place());
        let (ending, by) = match self.life_end(&life, began).await? {
            None => return Ok(()),
            Some(LifeEnd::Closed(at)) => (Ending::RoomClosed { at }, None),
            Some(LifeEnd::Replaced { at, by }) => (Ending::RoomReplaced { at }, Some(by)),
        };
        end_with_room(visit, ending, by);
        visit.move_end(ending.at().max(visit.place()), Moved::ToBeginning, None);
        Ok(())
    }

    /// How a life ended; `None` while it lasts. It began at `began` at the earliest.
    pub(super) async fn life_end(
        &mut self,
        life: &Life,
        began: UnixMillis,
    ) -> Result<Option<LifeEnd>, StoreError> {
        if let Some(at) = life.closed {
            return Ok(Some(LifeEnd::Closed(at)));
        }
        let Record { store, app, now } = self.record;
        let Some(newest) = self.newest().await?.filter(|newest| newest.id != life.id) else {
            return Ok(None);
        };
        let next = store.next_life(app, &self.room, &life.id, began, now).await?;
        let next = next.as_ref().unwrap_or(newest);
        Ok(next.began().map(|at| LifeEnd::Replaced { at, by: next.id.clone() }))
    }

    /// The newest life of the room; `None` if nothing is known of it.
    pub(super) async fn newest(&self) -> Result<Option<&Life>, StoreError> {
        let Record { store, app, now } = self.record;
        let logins = || self.logins.iter().cloned();
        // Its future is large.
        let newest = || Box::pin(store.newest_life(app, &self.room, logins(), &self.lives, now));
        Ok(self.newest.get_or_try_init(newest).await?.as_ref())
    }

    async fn life(&mut self, id: &LifeId) -> Result<Life, StoreError> {
        let Record { store, app, now } = self.record;
        if let Some(life) = self.lives.get(id) {
            return Ok(life.clone());
        }
        let (life, seen_at) = store.life_and_seen(app, &self.room, id, now).await?;
        self.seen_at = self.seen_at.max(seen_at);
        if self.lives.len() >= REMEMBERED_LIVES {
            self.lives.clear();
        }
        self.lives.insert(id.clone(), life.clone());
        Ok(life)
    }

    /// Ends a visit with the first boundary of the room by the same track that does so, unless the
    /// person came again before.
    async fn boundary_ending(
        &mut self,
        (at_once, track): (AtOnce, Track),
        user: &UserId,
        visit: &mut Visit,
    ) -> Result<(), StoreError> {
        let newest = || self.record.newest_boundaries(&self.room, track, at_once);
        let Some((_, known)) = self.boundaries.iter().find(|(of, _)| *of == track) else {
            return Ok(());
        };
        let Boundaries { newest, are_all } = known.get_or_try_init(newest).await?;
        let is_before = |boundary: &Boundary| boundary.at() < visit.last_in;
        if *are_all || newest.last().is_some_and(is_before) {
            let mut oldest_first = newest.iter().rev();
            oldest_first.find(|boundary| cut(boundary, user, visit));
            return Ok(());
        }
        let came_again = visit.ending.map(Ending::at);
        let later = self.record.boundaries_from(&self.room, (track, visit.last_in), at_once);
        let mut later = pin!(later);
        while let Some(boundary) = later.try_next().await? {
            if cut(&boundary, user, visit) || came_again.is_some_and(|again| boundary.at() > again)
            {
                break;
            }
        }
        Ok(())
    }
}

/// Ends a visit as its room did.
fn end_with_room(visit: &mut Visit, ending: Ending, by: Option<LifeId>) {
    let rule = match ending {
        Ending::RoomReplaced { .. } => EndRule::RoomReplaced,
        _ => EndRule::RoomClosed,
    };
    visit.end(ending, rule, by.map(By::Life));
}

/// Whether a boundary ends a visit, because it came before the person came again. At the same
/// millisecond a creation comes before an entry, and a dismissal after it.
fn cut(boundary: &Boundary, user: &UserId, visit: &mut Visit) -> bool {
    let is_later = match (visit.ending.map(Ending::at), boundary) {
        (Some(again), Boundary::Created { at, .. }) => *at > again,
        (Some(again), Boundary::Closed { at, .. }) => *at >= again,
        (None, _) => false,
    };
    match boundary_effect(boundary, user, visit.last_in) {
        BoundaryEffect::Ends(ending) if !is_later => {
            end_with_room(visit, ending, None);
            true
        }
        BoundaryEffect::SparesCreator if !is_later => {
            visit.spared_at = Some(boundary.at());
            false
        }
        _ => false,
    }
}
