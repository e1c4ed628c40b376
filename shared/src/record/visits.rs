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
        let state = Some((marks, self.rules().visits()));
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
        let found = current(self.rules().visits_of(&seat.marks));
        let Some(moved_to) = &seat.moved_to else { return Ok(found) };
        let newer: Vec<Mark> = seat.marks.iter().filter(|mark| *mark > moved_to).cloned().collect();
        let certain = self.rules().visits_of_newest(&newer);
        if found.iter().all(|visit| certain.contains(visit)) {
            return Ok(found);
        }
        Ok(current(self.visits(user, seat).try_collect().await?))
    }
}

fn current(visits: Vec<Visit>) -> Vec<Visit> {
    let (open, over): (Vec<_>, Vec<_>) =
        visits.into_iter().partition(|visit| visit.ending.is_none());
    let last = |visit: &Visit| (visit.ending.map(Ending::at), visit.place());
    open.into_iter().chain(over.into_iter().max_by_key(last)).collect()
}
