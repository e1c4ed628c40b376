//! Stays that take into account what the provider said when it was asked.
//!
//! [`domain::observed`] decides. Here is read what it needs: all of the person's seats in the room,
//! and when the room was created and closed about that time. Only who was observed costs that.

use std::pin::pin;

use futures::TryStreamExt;

use super::{Record, RecordError, Room, ends::RoomEnds};
use crate::{
    domain::{
        self, Ending, LifeId, Observed, RoomId, Says, SeatObservation, SeatStay, Seen, Track,
        UserId, Visit,
    },
    providers::RoomEnds as Ends,
    store::{Seat, StoreError},
};

impl RoomEnds<'_> {
    /// All stays of a person in the room, all of whose seats there were just read.
    pub(super) async fn observed(
        &mut self,
        user: &UserId,
        seats: &[Seat],
    ) -> Result<Observed, StoreError> {
        let mut real = Vec::new();
        for seat in seats {
            let mut visits = pin!(self.record().visits(user, seat));
            while let Some(visit) = visits.try_next().await? {
                let visit = self.decide(user, seat, visit).await?;
                real.push(SeatStay { life: seat.life.clone(), visit });
            }
        }
        let seen: Vec<_> = seats.iter().map(|seat| (seat.life.clone(), seat.seen)).collect();
        let came = seats.iter().filter_map(|seat| seat.seen.came).max();
        let room = match came {
            Some(came) => self.boundaries_around(came.at).await?,
            None => Vec::new(),
        };
        Ok(domain::observed(real, &seen, &room))
    }

    /// The visits of a person to one seat, on which something was observed. It reads their other
    /// seats in the room.
    pub(super) async fn observed_on(
        &mut self,
        user: &UserId,
        seat: &Seat,
    ) -> Result<Vec<Visit>, StoreError> {
        Ok(on_seat(self.observed_of(user, seat).await?, seat))
    }

    /// Decides how a visit to a seat ended on which nothing was observed. Their other seats are
    /// only read if somebody was seen in the room since the visit began.
    pub(super) async fn decide_on(
        &mut self,
        user: &UserId,
        seat: &Seat,
        visit: Visit,
    ) -> Result<Visit, StoreError> {
        let decided = self.decide(user, seat, visit).await?;
        if !self.may_be_seen(user, seat.life.as_ref(), &decided).await? {
            return Ok(decided);
        }
        let observed = match self.last_observed.take().filter(|(of, _)| of == user) {
            Some((_, observed)) => observed,
            None => self.observed_of(user, seat).await?,
        };
        // Of a session only the last visit may have no end of its own.
        let is_it = |stay: &&SeatStay| {
            let SeatStay { life, visit } = stay;
            *life == seat.life
                && visit.session == decided.session
                && visit.ending.is_none_or(Ending::is_assumed)
        };
        let found = observed.real.iter().find(is_it).map(|stay| stay.visit.clone());
        self.last_observed = Some((user.clone(), observed));
        Ok(found.unwrap_or(decided))
    }

    /// All stays of a person, of whose seats one was read.
    pub(super) async fn observed_of(
        &mut self,
        user: &UserId,
        seat: &Seat,
    ) -> Result<Observed, StoreError> {
        let Record { store, app, now } = self.record();
        let seats = store.seats_in_room(app, user, &seat.room, now).await?;
        self.observed(user, &seats).await
    }
}

/// Whether anything was observed on one of these seats.
pub(super) fn is_observed(seats: &[Seat]) -> bool {
    seats.iter().any(|seat| !seat.seen.is_empty())
}

/// The visits to one seat among all of a person's in the room.
pub(super) fn on_seat(observed: Observed, seat: &Seat) -> Vec<Visit> {
    let of_seat = observed.into_stays().filter(|stay| stay.life == seat.life);
    of_seat.map(|stay| stay.visit).collect()
}

impl Record<'_> {
    /// Which observations have to be stored, so that a person is in a room as the provider said, or
    /// not in it. None, if that is known already, or if nothing of it may be believed. The person's
    /// seats are read consistently.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn observe(
        self,
        room: &RoomId,
        user: &UserId,
        seen: Seen,
    ) -> Result<Vec<SeatObservation>, RecordError> {
        let known = self.room(room).await?;
        self.observe_in(room, known.as_ref(), user, seen).await
    }

    /// The same, when it is known what [`Record::room`] finds.
    ///
    /// # Errors
    ///
    /// As [`Record::observe`].
    pub async fn observe_in(
        self,
        room: &RoomId,
        known: Option<&Room>,
        user: &UserId,
        seen: Seen,
    ) -> Result<Vec<SeatObservation>, RecordError> {
        // Where lives have no names, no provider is asked.
        if !matches!(self.room_ends(room), Ends::Lives) || !self.store.counts(self.app, user, &seen)
        {
            return Ok(Vec::new());
        }
        let mut seats = self.store.seats_in_room(self.app, user, room, self.now).await?;
        let mut views = self.views(user, room, known, &seats).await?;
        let mut added = Vec::new();
        let ended = match seen.says {
            Says::In { .. } => {
                if !views.is_in() {
                    let before = views;
                    add(&mut seats, room, None, seen);
                    views = self.views(user, room, known, &seats).await?;
                    if views == before {
                        return Ok(Vec::new());
                    }
                    added.push(self.observation(user, room, None, seen, None));
                }
                // To who reads its seat alone, a session still lasts that ends because another one
                // was seen.
                views.contradicted()
            }
            Says::Out => views.lasting(),
        };
        if ended.is_empty() {
            return Ok(added);
        }
        let came = seats.iter().find_map(|seat| seat.seen.came);
        let gone = Seen { at: seen.at, says: Says::Out };
        for life in &ended {
            add(&mut seats, room, life.clone(), gone);
        }
        // The last sign of presence may be too new.
        let lasting = self.views(user, room, known, &seats).await?.lasting();
        for life in ended.into_iter().filter(|life| !lasting.contains(life)) {
            let ends = came.filter(|_| life.is_none());
            added.push(self.observation(user, room, life, gone, ends));
        }
        Ok(added)
    }

    fn observation(
        self,
        user: &UserId,
        room: &RoomId,
        life: Option<LifeId>,
        seen: Seen,
        ends: Option<Seen>,
    ) -> SeatObservation {
        let (app, user, room) = (self.app.clone(), user.clone(), room.clone());
        SeatObservation { app, user, room, life, seen, ends }
    }

    /// Where a person is in a room by these seats: to who reads all of them, and to who reads the
    /// roster.
    async fn views(
        self,
        user: &UserId,
        room: &RoomId,
        known: Option<&Room>,
        seats: &[Seat],
    ) -> Result<Views, StoreError> {
        let mut ends = RoomEnds::of_person(self, user, room.clone(), seats.to_vec());
        ends.are_known(known.and_then(Room::newest), known.into_iter().flat_map(Room::boundaries));
        let observed = ends.observed(user, seats).await?;
        let stays = observed.into_stays().filter(|stay| stay.visit.ending.is_none());
        let all = stays.map(|stay| stay.life).collect();
        let newest = known.and_then(Room::life);
        let is_in = |seat: &&Seat| {
            known.is_some_and(|known| {
                let in_life =
                    seats.iter().find(|seat| newest.is_some() && seat.life.as_ref() == newest);
                let member = crate::store::Member { user: user.clone(), seat: (*seat).clone() };
                known.stay_of(self.rules(), &member, in_life).is_some()
            })
        };
        let roster = seats.iter().filter(is_in).map(|seat| seat.life.clone()).collect();
        Ok(Views { all, roster })
    }
}

/// Adds an observation to one of a person's seats.
fn add(seats: &mut Vec<Seat>, room: &RoomId, life: Option<LifeId>, seen: Seen) {
    if let Some(seat) = seats.iter_mut().find(|seat| seat.life == life) {
        seat.seen.add(seen);
        return;
    }
    let mut seat = Seat {
        room: room.clone(),
        life,
        track: Track::Media,
        name: None,
        marks: Vec::new(),
        moved_to: None,
        seen: domain::SeatSeen::default(),
    };
    seat.seen.add(seen);
    seats.push(seat);
}

/// The seats on which a person is in.
#[derive(Debug, PartialEq, Eq)]
struct Views {
    /// To who reads all of their seats.
    all: Vec<Option<LifeId>>,
    /// To who reads the roster.
    roster: Vec<Option<LifeId>>,
}

impl Views {
    fn is_in(&self) -> bool {
        !self.all.is_empty() && !self.roster.is_empty()
    }

    /// The seats on which the person is in to somebody.
    fn lasting(&self) -> Vec<Option<LifeId>> {
        let mut lasting = self.all.clone();
        lasting.extend(self.roster.iter().filter(|life| !self.all.contains(life)).cloned());
        lasting
    }

    /// The seats on which the person is in by the roster only.
    fn contradicted(&self) -> Vec<Option<LifeId>> {
        self.roster
            .iter()
            .filter(|life| life.is_some() && !self.all.contains(life))
            .cloned()
            .collect()
    }
}
