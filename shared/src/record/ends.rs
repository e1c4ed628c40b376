//! How visits end whose own end never came: by the room, or by the person's next visit.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    time::Duration,
};

use futures::TryStreamExt;
use tokio::sync::OnceCell;

use super::Record;
use crate::{
    domain::{Boundary, Ending, Life, LifeId, RoomId, UnixMillis, UserId, Visit},
    providers::{BoundaryEnds, RoomEnds as Ends},
    store::{NEWEST_BOUNDARIES, Seat, StoreError},
};

/// How many lives of a room are remembered while its visits are read.
const REMEMBERED_LIVES: usize = 1000;

/// How far the clocks of two servers may differ when one ends a life's visits and the other begins the
/// next life.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// How the visits to a room ended. The room's lives or boundaries decide for visits whose own end
/// never arrived, and so do the person's visits to its other lives.
pub(super) struct RoomEnds<'a> {
    record: Record<'a>,
    room: RoomId,
    /// Logins that are known before the index shows them.
    logins: Vec<(LifeId, UnixMillis)>,
    newest: OnceCell<Option<Life>>,
    lives: HashMap<LifeId, Life>,
    boundaries: OnceCell<Vec<Boundary>>,
    /// Of a life: the first other one that is known to have begun after a time.
    next_lives: HashMap<LifeId, NextLife>,
    person: Option<Person>,
}

/// How a life of a room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifeEnd {
    /// The room was closed.
    Closed(UnixMillis),
    /// The callback of the end never came, but a newer life began.
    Replaced(UnixMillis),
}

impl LifeEnd {
    /// When it ended.
    pub(super) fn at(self) -> UnixMillis {
        let (Self::Closed(at) | Self::Replaced(at)) = self;
        at
    }

    /// The same end, at `at` if it was before.
    pub(super) fn no_earlier_than(self, at: UnixMillis) -> Self {
        match self {
            Self::Closed(end) => Self::Closed(end.max(at)),
            Self::Replaced(end) => Self::Replaced(end.max(at)),
        }
    }
}

struct NextLife {
    after: UnixMillis,
    began: Option<UnixMillis>,
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
            boundaries: OnceCell::new(),
            next_lives: HashMap::new(),
            person: None,
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

    /// How a visit ended, or `None` if it lasts.
    pub(super) async fn ending(
        &mut self,
        user: &UserId,
        life: Option<&LifeId>,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let ending = match (self.record.room_ends(), life, visit.ending) {
            (_, _, Some(ending)) if !ending.is_assumed() => Some(ending),
            (Ends::Boundaries(ends), ..) => {
                self.boundary_ending(ends, user, visit).await?.or(visit.ending)
            }
            (_, Some(life), None) => self.life_ending(life, visit).await?,
            // A life lasts as long as anybody comes to it.
            (_, _, ending) => ending,
        };
        let (Some(life), Some(ending)) = (life, ending) else { return Ok(ending) };
        let next = self.next_beginning(user, life, visit, ending).await?;
        Ok(Some(next.map_or(ending, |next| ending.moved_to(next.min(ending.at())))))
    }

    /// When the person's next visit to another life of the room began, if that may have been before
    /// this one ended.
    async fn next_beginning(
        &mut self,
        user: &UserId,
        life: &LifeId,
        visit: &Visit,
        ending: Ending,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let Record { store, app, now } = self.record;
        if self.person.as_ref().is_none_or(|person| person.user != *user) {
            if !self.may_overlap(life, visit, ending).await? {
                return Ok(None);
            }
            let seats = store.seats_in_room(app, user, &self.room, now).await?;
            self.person = Some(Person::new(user.clone(), seats));
        }
        let (began, ended) = (visit.place(), ending.at());
        let mut next = None;
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
            next = next.into_iter().chain(later.copied()).min();
        }
        Ok(next)
    }

    /// Whether the person may have come to another life of the room before a visit ended. That is
    /// seldom, since one life ends before the next begins; so their other seats are only read of a
    /// visit whose own end never came, or if another life is known to have begun by then.
    async fn may_overlap(
        &mut self,
        life: &LifeId,
        visit: &Visit,
        ending: Ending,
    ) -> Result<bool, StoreError> {
        let Record { store, app, now } = self.record;
        let newest = self.newest.get().and_then(Option::as_ref);
        if newest.is_some_and(|newest| newest.id == *life) {
            return Ok(false);
        }
        if let Ending::RoomClosed { .. } | Ending::RoomReplaced { .. } = ending {
            return Ok(true);
        }
        let began = visit.place();
        let is_known =
            |next: &&NextLife| next.after <= began && next.began.is_none_or(|next| began < next);
        let next = if let Some(next) = self.next_lives.get(life).filter(is_known) {
            next.began
        } else {
            let next = store.next_life(app, &self.room, life, began, now).await?;
            let next = NextLife { after: began, began: next.and_then(|next| next.began()) };
            if self.next_lives.len() >= REMEMBERED_LIVES {
                self.next_lives.clear();
            }
            let next_began = next.began;
            self.next_lives.insert(life.clone(), next);
            next_began
        };
        Ok(next.is_some_and(|next| next <= ending.at().after(CLOCKS_DIFFER)))
    }

    /// Two servers' clocks may differ, but nobody leaves before they came.
    async fn life_ending(
        &mut self,
        id: &LifeId,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let life = self.life(id).await?;
        let end = self.life_end(&life, life.created.unwrap_or(visit.place())).await?;
        Ok(end.map(|end| match end.no_earlier_than(visit.place()) {
            LifeEnd::Closed(at) => Ending::RoomClosed { at },
            LifeEnd::Replaced(at) => Ending::RoomReplaced { at },
        }))
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
        let newest = self.newest().await?.filter(|newest| newest.id != life.id);
        let Some(newest_began) = newest.map(Life::began) else { return Ok(None) };
        let next = store.next_life(app, &self.room, &life.id, began, now).await?;
        Ok(next.map_or(newest_began, |next| next.began()).map(LifeEnd::Replaced))
    }

    /// The newest life of the room; `None` if nothing is known of it.
    pub(super) async fn newest(&self) -> Result<Option<&Life>, StoreError> {
        let Record { store, app, now } = self.record;
        let newest = || store.newest_life(app, &self.room, self.logins.iter().cloned(), now);
        Ok(self.newest.get_or_try_init(newest).await?.as_ref())
    }

    async fn life(&mut self, id: &LifeId) -> Result<Life, StoreError> {
        let Record { store, app, now } = self.record;
        if let Some(life) = self.lives.get(id) {
            return Ok(life.clone());
        }
        let life = store.life(app, &self.room, id, now).await?;
        if self.lives.len() >= REMEMBERED_LIVES {
            self.lives.clear();
        }
        self.lives.insert(id.clone(), life.clone());
        Ok(life)
    }

    /// The first boundary of the room that ended a visit, unless the person came again before.
    async fn boundary_ending(
        &mut self,
        ends: BoundaryEnds,
        user: &UserId,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let Record { store, app, now } = self.record;
        let newest = || store.boundaries(app, &self.room, now);
        let newest = self.boundaries.get_or_try_init(newest).await?;
        let is_before = |boundary: &Boundary| boundary.at() < visit.last_in;
        if newest.len() < NEWEST_BOUNDARIES || newest.last().is_some_and(is_before) {
            let mut oldest_first = newest.iter().rev();
            return Ok(oldest_first.find_map(|boundary| cut(ends, boundary, user, visit)));
        }
        let later = store.boundaries_from(app, &self.room, visit.last_in, now);
        let mut later = pin!(later);
        while let Some(boundary) = later.try_next().await? {
            let ending = cut(ends, &boundary, user, visit);
            if ending.is_some() || visit.ending.is_some_and(|ending| boundary.at() > ending.at()) {
                return Ok(ending);
            }
        }
        Ok(None)
    }
}

/// How a boundary ended a visit, if it did so before the person came again. At the same millisecond
/// a creation comes before an entry, and a dismissal after it.
fn cut(ends: BoundaryEnds, boundary: &Boundary, user: &UserId, visit: &Visit) -> Option<Ending> {
    let ending = ends(boundary, user, visit.last_in)?;
    match (visit.ending.map(Ending::at), boundary) {
        (Some(again), Boundary::Created { at, .. }) if *at > again => None,
        (Some(again), Boundary::Closed { at, .. }) if *at >= again => None,
        _ => Some(ending),
    }
}
