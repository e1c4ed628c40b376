//! The visits to a seat, each with its end as far as anything tells of it.

use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    time::Duration,
};

use futures::{Stream, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::{
    domain::{
        App, Boundary, Ending, Life, LifeId, Mark, ProviderName, RoomId, UnixMillis, UserId, Visit,
    },
    providers::{self, tencent},
    store::{NEWEST_BOUNDARIES, Reader, Seat, StoreError},
};

/// How many lives of a room are remembered while its visits are read.
const REMEMBERED_LIVES: usize = 1000;

/// How far the clocks of two servers may differ when one ends a life's visits and the other begins the
/// next life.
const CLOCKS_DIFFER: Duration = Duration::from_secs(10);

/// The visits that all marks of a seat tell of, oldest first.
pub(super) fn visits<'a>(
    store: &'a Reader,
    app: &App,
    user: &UserId,
    seat: &Seat,
    now: UnixMillis,
) -> impl Stream<Item = Result<Visit, StoreError>> + Send + 'a {
    let marks = Box::pin(store.marks(app, user, seat, now));
    let state = Some((marks, providers::Visits::new(app.provider)));
    let visits = stream::try_unfold(state, async |state| {
        let Some((mut marks, mut visits)) = state else {
            return Ok::<_, StoreError>(None);
        };
        Ok(Some(match marks.try_next().await? {
            Some(mark) => (visits.push(mark), Some((marks, visits))),
            None => (visits.finish(), None),
        }))
    });
    visits.map_ok(|visits| stream::iter(visits.into_iter().map(Ok))).try_flatten()
}

/// Of the visits that the marks of a seat tell of: the one that is open, and the last one that ended.
///
/// The marks on the seat are enough, unless one of these visits may have begun among those that were
/// moved away.
pub(super) async fn current_visits(
    store: &Reader,
    app: &App,
    user: &UserId,
    seat: &Seat,
    now: UnixMillis,
) -> Result<Vec<Visit>, StoreError> {
    let told = current(providers::Visits::of(app.provider, &seat.marks));
    let Some(moved_to) = &seat.moved_to else { return Ok(told) };
    let newer: Vec<Mark> = seat.marks.iter().filter(|mark| *mark > moved_to).cloned().collect();
    let certain = providers::Visits::of_newest(app.provider, &newer);
    if told.iter().all(|visit| certain.contains(visit)) {
        return Ok(told);
    }
    Ok(current(visits(store, app, user, seat, now).try_collect().await?))
}

fn current(visits: Vec<Visit>) -> Vec<Visit> {
    let (open, over): (Vec<_>, Vec<_>) =
        visits.into_iter().partition(|visit| visit.ending.is_none());
    let last = |visit: &Visit| (visit.ending.map(Ending::at), visit.place());
    open.into_iter().chain(over.into_iter().max_by_key(last)).collect()
}

/// How the visits to a room ended: what the room itself tells of those whose own end never came, and
/// what a person's visits to its other lives tell.
pub(super) struct RoomEnds<'a> {
    store: &'a Reader,
    app: &'a App,
    room: RoomId,
    /// Logins that are known before the index shows them.
    logins: Vec<(LifeId, UnixMillis)>,
    now: UnixMillis,
    newest: OnceCell<Option<Life>>,
    lives: HashMap<LifeId, Life>,
    boundaries: OnceCell<Vec<Boundary>>,
    /// Of a life: the first other one that is known to have begun after a time.
    next_lives: HashMap<LifeId, NextLife>,
    person: Option<Person>,
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
    pub(super) fn new(store: &'a Reader, app: &'a App, room: RoomId, now: UnixMillis) -> Self {
        Self {
            store,
            app,
            room,
            logins: Vec::new(),
            now,
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
        store: &'a Reader,
        app: &'a App,
        user: &UserId,
        room: RoomId,
        seats: Vec<Seat>,
        now: UnixMillis,
    ) -> Self {
        let logins = seats.iter().flat_map(|seat| {
            let times = seat.marks.iter().map(|mark| mark.order.time);
            times.filter_map(|time| Some((seat.life.clone()?, time)))
        });
        Self {
            logins: logins.collect(),
            person: Some(Person::new(user.clone(), seats)),
            ..Self::new(store, app, room, now)
        }
    }

    /// How a visit ended, or `None` if it lasts.
    pub(super) async fn ending(
        &mut self,
        user: &UserId,
        life: Option<&LifeId>,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let ending = match (self.app.provider, life, visit.ending) {
            (_, _, Some(ending)) if !ending.is_assumed() => Some(ending),
            (ProviderName::Tencent, ..) => {
                self.boundary_ending(user, visit).await?.or(visit.ending)
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
        if self.person.as_ref().is_none_or(|person| person.user != *user) {
            if !self.may_overlap(life, visit, ending).await? {
                return Ok(None);
            }
            let seats = self.store.seats_in_room(self.app, user, &self.room, self.now).await?;
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
                let visits = visits(self.store, self.app, user, &other.seat, self.now);
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
            let next = self.store.next_life(self.app, &self.room, life, began, self.now).await?;
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
        if let Some(at) = life.closed {
            return Ok(Some(Ending::RoomClosed { at: at.max(visit.place()) }));
        }
        let newest =
            || self.store.newest_life(self.app, &self.room, self.logins.iter().cloned(), self.now);
        let newest = self.newest.get_or_try_init(newest).await?;
        let Some(newest) = newest.as_ref().filter(|newest| newest.id != *id) else {
            return Ok(None);
        };
        let began = life.created.unwrap_or(visit.place());
        let next = self.store.next_life(self.app, &self.room, id, began, self.now).await?;
        let replaced_at = next.as_ref().unwrap_or(newest).began();
        Ok(replaced_at.map(|at| Ending::RoomReplaced { at: at.max(visit.place()) }))
    }

    async fn life(&mut self, id: &LifeId) -> Result<Life, StoreError> {
        if let Some(life) = self.lives.get(id) {
            return Ok(life.clone());
        }
        let life = self.store.life(self.app, &self.room, id, self.now).await?;
        if self.lives.len() >= REMEMBERED_LIVES {
            self.lives.clear();
        }
        self.lives.insert(id.clone(), life.clone());
        Ok(life)
    }

    /// The first boundary of the room that ended a visit, unless the person came again before.
    async fn boundary_ending(
        &mut self,
        user: &UserId,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let newest = || self.store.boundaries(self.app, &self.room, self.now);
        let newest = self.boundaries.get_or_try_init(newest).await?;
        let is_before = |boundary: &Boundary| boundary.at() < visit.last_in;
        if newest.len() < NEWEST_BOUNDARIES || newest.last().is_some_and(is_before) {
            let mut oldest_first = newest.iter().rev();
            return Ok(oldest_first.find_map(|boundary| cut(boundary, user, visit)));
        }
        let later = self.store.boundaries_from(self.app, &self.room, visit.last_in, self.now);
        let mut later = pin!(later);
        while let Some(boundary) = later.try_next().await? {
            let ending = cut(&boundary, user, visit);
            if ending.is_some() || visit.ending.is_some_and(|ending| boundary.at() > ending.at()) {
                return Ok(ending);
            }
        }
        Ok(None)
    }
}

/// How a boundary ended a visit, if it did so before the person came again. At the same millisecond
/// a creation comes before an entry, and a dismissal after it.
fn cut(boundary: &Boundary, user: &UserId, visit: &Visit) -> Option<Ending> {
    let ending = tencent::ends(boundary, user, visit.last_in)?;
    match (visit.ending.map(Ending::at), boundary) {
        (Some(again), Boundary::Created { at, .. }) if *at > again => None,
        (Some(again), Boundary::Closed { at, .. }) if *at >= again => None,
        _ => Some(ending),
    }
}
