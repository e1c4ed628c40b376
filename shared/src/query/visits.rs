//! The visits to a seat, each with its end as far as anything tells of it.

use std::{collections::HashMap, pin::pin};

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
    let last = |visit: &Visit| (visit.ending.map(Ending::at), visit.entered_at);
    open.into_iter().chain(over.into_iter().max_by_key(last)).collect()
}

/// What a room itself tells of the visits to it whose own end never came.
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
        }
    }

    /// Takes the logins on a seat into account, since the index may lag behind the seats that were
    /// just read.
    pub(super) fn saw(&mut self, seat: &Seat) {
        if let Some(life) = &seat.life {
            self.logins.extend(seat.marks.iter().map(|mark| (life.clone(), mark.order.time)));
        }
    }

    /// How a visit ended, or `None` if it lasts.
    pub(super) async fn ending(
        &mut self,
        user: &UserId,
        life: Option<&LifeId>,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        match (self.app.provider, life, visit.ending) {
            (_, _, Some(ending)) if !ending.is_assumed() => Ok(Some(ending)),
            (ProviderName::Tencent, ..) => {
                Ok(self.boundary_ending(user, visit).await?.or(visit.ending))
            }
            (_, Some(life), None) => self.life_ending(life, visit).await,
            // A life lasts as long as anybody comes to it.
            (_, _, ending) => Ok(ending),
        }
    }

    /// Two servers' clocks may differ, but nobody leaves before they came.
    async fn life_ending(
        &mut self,
        id: &LifeId,
        visit: &Visit,
    ) -> Result<Option<Ending>, StoreError> {
        let life = self.life(id).await?;
        if let Some(at) = life.closed {
            return Ok(Some(Ending::RoomClosed { at: at.max(visit.entered_at) }));
        }
        let newest =
            || self.store.newest_life(self.app, &self.room, self.logins.iter().cloned(), self.now);
        let newest = self.newest.get_or_try_init(newest).await?;
        let Some(newest) = newest.as_ref().filter(|newest| newest.id != *id) else {
            return Ok(None);
        };
        let began = life.created.unwrap_or(visit.entered_at);
        let next = self.store.next_life(self.app, &self.room, id, began, self.now).await?;
        let replaced_at = next.as_ref().unwrap_or(newest).began();
        Ok(replaced_at.map(|at| Ending::RoomReplaced { at: at.max(visit.entered_at) }))
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
