//! Every visit to a room, or of a person, seat by seat.
//!
//! To decide how a visit ended may cost requests. So a reader takes the visits as the marks show
//! them, and has only those decided that it needs: [`SeatVisits::decide`] makes a stay of a visit.

use std::{collections::VecDeque, pin::Pin};

use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream, Peekable},
};

use super::{
    Record, RecordError, RoomStay,
    ends::RoomEnds,
    observed,
    united::{self, AllStays},
};
use crate::{
    domain::{LifeId, RoomId, UserId, Visit},
    providers::Rules,
    store::{Member, RoomSeat, Seat, SeatsFrom, StoreError},
};

/// The seats of a room, by the time when each one's newest session began, the oldest first.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct RoomSeats<'a> {
    record: Record<'a>,
    seats: BoxStream<'a, Result<RoomSeat, StoreError>>,
    ends: RoomEnds<'a>,
    current: Option<RoomSeat>,
}

/// Whether the ends of the visits to a seat are decided already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// They are: observations, or another track, were taken into account.
    Decided,
    /// They are as the marks show them.
    AsMarked,
}

/// A person's seats, room by room.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct PersonSeats<'a> {
    record: Record<'a>,
    user: UserId,
    seats: Peekable<BoxStream<'a, Result<Seat, StoreError>>>,
    /// How the visits to the room ended that the next seats are in.
    ends: Option<RoomEnds<'a>>,
    /// The seats in that room that come next.
    of_room: VecDeque<Seat>,
    current: Option<Seat>,
    /// All stays in that room, if one seat alone does not show them.
    all: Option<AllStays>,
}

/// The visits to one seat, oldest first.
#[expect(missing_debug_implementations, reason = "it holds a stream")]
pub struct SeatVisits<'s, 'a> {
    user: &'s UserId,
    seat: &'s Seat,
    visits: BoxStream<'a, Result<Visit, StoreError>>,
    are_decided: Ends,
    ends: &'s mut RoomEnds<'a>,
    rules: &'static Rules,
}

impl<'a> Record<'a> {
    /// The seats of a room from a place on; from the first one, if the place is empty. About
    /// `at_first` of them are read with the first requests.
    #[must_use]
    pub fn seats_of_room(self, room: &RoomId, place: &str, at_first: usize) -> RoomSeats<'a> {
        let from = SeatsFrom::Place(place);
        let seats = self.store.seats_of_room(self.app, room, from, at_first, self.now);
        let ends = RoomEnds::new(self, room.clone());
        RoomSeats { record: self, seats, ends, current: None }
    }

    /// The seats of a person. All of their seats in one room come one after the other.
    #[must_use]
    pub fn seats_of_person(self, user: &UserId) -> PersonSeats<'a> {
        PersonSeats::new(self, user, self.store.seats_of_user(self.app, user, self.now))
    }
}

impl<'a> RoomSeats<'a> {
    /// The next seat: its place among the seats of the room, and the visits to it.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next(&mut self) -> Result<Option<(&str, SeatVisits<'_, 'a>)>, RecordError> {
        let Some(found) = self.seats.try_next().await? else { return Ok(None) };
        let RoomSeat { member: Member { user, seat }, other, place } = self.current.insert(found);
        let (ends, rules) = (&mut self.ends, self.record.rules());
        let decided = match other {
            Some(other) => Some(ends.united(user, &[&*seat, &*other]).await?.into_visits()),
            None if seat.seen.is_empty() => None,
            None => Some(ends.observed_on(user, seat).await?),
        };
        let (visits, are_decided) = match decided {
            Some(visits) => (stream::iter(visits.into_iter().map(Ok)).boxed(), Ends::Decided),
            None => (self.record.visits(user, seat).boxed(), Ends::AsMarked),
        };
        Ok(Some((place, SeatVisits { user, seat, visits, are_decided, ends, rules })))
    }
}

impl<'a> PersonSeats<'a> {
    /// Of seats that come room by room, with all of a room.
    pub(super) fn new(
        record: Record<'a>,
        user: &UserId,
        seats: BoxStream<'a, Result<Seat, StoreError>>,
    ) -> Self {
        let (ends, of_room, current, all) = (None, VecDeque::new(), None, None);
        let seats = seats.peekable();
        Self { record, user: user.clone(), seats, ends, of_room, current, all }
    }

    pub(super) fn record(&self) -> Record<'a> {
        self.record
    }

    /// The next seat: the visits to it.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next(&mut self) -> Result<Option<SeatVisits<'_, 'a>>, RecordError> {
        let record = self.record;
        if self.next_seat().await?.is_none() {
            return Ok(None);
        }
        let Some((user, seat, ends, all)) = self.current() else { return Ok(None) };
        let (visits, are_decided) = match all {
            Some(all) => {
                let visits = all.clone().on_seat(seat);
                (stream::iter(visits.into_iter().map(Ok)).boxed(), Ends::Decided)
            }
            None => (record.visits(user, seat).boxed(), Ends::AsMarked),
        };
        let rules = record.rules();
        Ok(Some(SeatVisits { user, seat, visits, are_decided, ends, rules }))
    }

    /// Takes the next seat.
    pub(super) async fn next_seat(&mut self) -> Result<Option<&Seat>, StoreError> {
        if self.of_room.is_empty() {
            let Some(seats) = self.seats_of_next_room().await? else {
                self.current = None;
                return Ok(None);
            };
            let room = seats[0].room.clone();
            let mut ends = RoomEnds::of_person(self.record, &self.user, room, seats.clone());
            self.all = if observed::is_observed(&seats) {
                Some(AllStays::Observed(ends.observed(&self.user, &seats).await?))
            } else if let Some(counted) = united::of_two_tracks(self.record.tracks(), &seats) {
                Some(AllStays::United(ends.united(&self.user, &counted).await?))
            } else {
                None
            };
            self.ends = Some(ends);
            self.of_room = seats.into();
        }
        self.current = self.of_room.pop_front();
        Ok(self.current.as_ref())
    }

    /// The person, the seat that was taken last, how the visits to its room ended, and all stays in
    /// that room, if one seat alone does not show them.
    pub(super) fn current(
        &mut self,
    ) -> Option<(&UserId, &Seat, &mut RoomEnds<'a>, Option<&AllStays>)> {
        let all = self.all.as_ref();
        Some((&self.user, self.current.as_ref()?, self.ends.as_mut()?, all))
    }

    async fn seats_of_next_room(&mut self) -> Result<Option<Vec<Seat>>, StoreError> {
        let Some(first) = self.seats.try_next().await? else { return Ok(None) };
        let room = first.room.clone();
        let mut seats = vec![first];
        let is_of_room =
            |seat: &Result<Seat, _>| seat.as_ref().map_or(true, |seat| seat.room == room);
        let mut rest = Pin::new(&mut self.seats);
        while let Some(seat) = rest.as_mut().next_if(is_of_room).await.transpose()? {
            seats.push(seat);
        }
        Ok(Some(seats))
    }
}

impl SeatVisits<'_, '_> {
    /// Whose seat it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.user
    }

    /// The room that it is in.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.seat.room
    }

    /// The life of the room, if the provider distinguishes lives.
    #[must_use]
    pub fn life(&self) -> Option<&LifeId> {
        self.seat.life.as_ref()
    }

    /// The next visit, as the marks of the seat show it.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn next(&mut self) -> Result<Option<Visit>, RecordError> {
        Ok(self.visits.try_next().await?)
    }

    /// The stay that a visit was: its end is decided by all that is known of the room.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn decide(&mut self, visit: Visit) -> Result<RoomStay, RecordError> {
        let visit = match self.are_decided {
            Ends::Decided => visit,
            Ends::AsMarked => self.ends.decide_on(self.user, self.seat, visit).await?,
        };
        Ok(RoomStay::new(self.rules, self.seat, visit))
    }
}
