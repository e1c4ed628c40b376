//! What follows when nothing in a room has changed for a while: which of its lives are over, and
//! whether it is empty.

use futures::TryStreamExt;

use super::{ReportError, Window, life::SEATS_PER_READ};
use crate::{
    domain::{Ending, LifeId, MAX_EVENT_TIME_AHEAD, Mark, RoomId, UnixMillis},
    record::{
        Record, RecordError, Room,
        ends::{LifeEnd, RoomEnds},
    },
    store::SeatsFrom,
};

/// A life of a room that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedLife {
    /// Which life.
    pub life: LifeId,
    /// When it ended.
    pub at: UnixMillis,
}

impl Record<'_> {
    /// A life of a room, if it is over, and lives before it that are. Of a life whose own end never
    /// arrived, the beginning of the next one is the end.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn ended_lives(
        self,
        room: &RoomId,
        life: &LifeId,
    ) -> Result<Vec<EndedLife>, RecordError> {
        let Self { store, app, now } = self;
        let window = Window { from: UnixMillis(0), to: now, as_of: now };
        let mut ends = RoomEnds::new(self, room.clone());
        let began = match store.life(app, room, life, now).await?.began() {
            None => self.first_login(room, life).await?,
            began => began,
        };
        let before = match began {
            Some(began) => store.lives_before(app, room, began, now).await?,
            // Nothing of it is left.
            None => return Ok(Vec::new()),
        };
        let mut ended = Vec::new();
        for id in before.iter().filter(|id| *id != life).chain([life]) {
            let found = match self.reported_life(room, Some(id), window, &mut ends).await {
                Ok(found) => found,
                Err(ReportError::Record(error)) => return Err(error),
                Err(_) => continue,
            };
            let end = found.end.as_ref().map(LifeEnd::at);
            ended.extend(end.map(|at| EndedLife { life: id.clone(), at }));
        }
        Ok(ended)
    }

    /// How the last visit to a room ended, of those that lasted after `since`. `None` if
    /// somebody is in, or if nobody was.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn last_leave(
        self,
        room: &Room,
        since: UnixMillis,
    ) -> Result<Option<Ending>, RecordError> {
        let Self { store, app, now } = self;
        // Where lives have no names, who came long before a dismissal may be the last to leave.
        let from = match room.life() {
            Some(_) => room.since(),
            None => since.before(MAX_EVENT_TIME_AHEAD),
        };
        let mut ends = RoomEnds::new(self, room.id().clone());
        let mut seats =
            store.seats_of_room(app, room.id(), SeatsFrom::Time(from), SEATS_PER_READ, now);
        let mut last = None::<Ending>;
        while let Some(found) = seats.try_next().await? {
            let user = found.member.user;
            // By the other track they may have left later.
            for seat in [Some(found.member.seat), found.other].into_iter().flatten() {
                if seat.life.as_ref() != room.life() && !seat.is_only_seen() {
                    continue;
                }
                let visits = if seat.seen.is_empty() {
                    let marks: Vec<Mark> =
                        store.marks(app, &user, &seat, now).try_collect().await?;
                    self.rules().visits_of(&seat.room, seat.track, &marks)
                } else {
                    ends.observed_on(&user, &seat).await?
                };
                for visit in visits {
                    if visit.last_in < from || !self.rules().is_person(visit.role) {
                        continue;
                    }
                    let visit = if seat.seen.is_empty() {
                        ends.decide_on(&user, &seat, visit).await?
                    } else {
                        visit
                    };
                    let Some(ending) = visit.ending else { return Ok(None) };
                    let is_later = last.is_none_or(|last| ending.at() > last.at());
                    last = if is_later { Some(ending) } else { last };
                }
            }
        }
        Ok(last)
    }
}
