//! The visits that the marks on a seat show. Their ends are not decided yet: see [`super::ends`].

use futures::{Stream, TryStreamExt, stream};

use super::Record;
use crate::{
    domain::{Ending, Mark, UserId, Visit},
    store::{Seat, StoreError},
};

impl<'a> Record<'a> {
    /// The visits that all marks of a seat show, oldest first.
    pub(super) fn visits(
        self,
        user: &UserId,
        seat: &Seat,
    ) -> impl Stream<Item = Result<Visit, StoreError>> + Send + use<'a> {
        let marks = self.store.marks(self.app, user, seat, self.now);
        let state = Some((marks, self.rules().visits(&seat.room, seat.track)));
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

    /// Of the visits that the marks of a seat show: the one that is open, and the last one that
    /// ended.
    ///
    /// The marks on the seat are enough, unless one of these visits may have begun among those that
    /// were moved away.
    pub(super) async fn current_visits(
        self,
        user: &UserId,
        seat: &Seat,
    ) -> Result<Vec<Visit>, StoreError> {
        match self.certain_visits(seat) {
            Some(visits) if seat.moved_to.is_none() || visits.iter().any(is_over) => Ok(visits),
            _ => Ok(current(self.visits(user, seat).try_collect().await?)),
        }
    }

    /// The visit that is open, by the marks of a seat.
    pub(super) async fn open_visit(
        self,
        user: &UserId,
        seat: &Seat,
    ) -> Result<Option<Visit>, StoreError> {
        let visits = match self.certain_visits(seat) {
            Some(visits) => visits,
            None => current(self.visits(user, seat).try_collect().await?),
        };
        Ok(visits.into_iter().find(|visit| !is_over(visit)))
    }

    /// The current visits by the marks on a seat alone; `None` if marks that were moved away may
    /// change them.
    fn certain_visits(self, seat: &Seat) -> Option<Vec<Visit>> {
        let found = current(self.rules().visits_of(&seat.room, seat.track, &seat.marks));
        let Some(moved_to) = &seat.moved_to else { return Some(found) };
        let newer: Vec<Mark> = seat.marks.iter().filter(|mark| *mark > moved_to).cloned().collect();
        let certain = self.rules().visits_of_newest(&seat.room, seat.track, &newer);
        Some(found).filter(|found| found.iter().all(|visit| certain.contains(visit)))
    }
}

fn is_over(visit: &Visit) -> bool {
    visit.ending.is_some()
}

fn current(visits: Vec<Visit>) -> Vec<Visit> {
    let (over, open): (Vec<_>, Vec<_>) = visits.into_iter().partition(is_over);
    let last = |visit: &Visit| (visit.ending.map(Ending::at), visit.place());
    open.into_iter().chain(over.into_iter().max_by_key(last)).collect()
}
