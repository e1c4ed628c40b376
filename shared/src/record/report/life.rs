//! The life of a room that a report is about.

use std::pin::pin;

use futures::TryStreamExt;

use super::{ReportError, person::Window, span::Span};
use crate::{
    domain::{Boundary, Life, LifeId, MAX_EVENT_TIME_AHEAD, RoomId, UnixMillis},
    providers::{AtOnce, RoomEnds as Ends},
    record::{
        Record,
        ends::{LifeEnd, RoomEnds},
    },
    store::{SeatsFrom, StoreError},
};

/// How many seats are read with one request, if so many fit.
pub(super) const SEATS_PER_READ: usize = 1000;

/// What is known of the life of a room; where lives have no names, of the room in a span of time.
#[derive(Debug, Clone)]
pub(super) struct ReportedLife {
    /// `None` where lives have no names.
    pub(super) life: Option<Life>,
    /// When the room was created.
    pub(super) created: Option<UnixMillis>,
    /// How the life ended; `None` while it lasts.
    pub(super) end: Option<LifeEnd>,
}

impl ReportedLife {
    /// Its id, if it has one.
    pub(super) fn id(&self) -> Option<&LifeId> {
        self.life.as_ref().map(|life| &life.id)
    }

    /// The time in which its people can be present. A room without lives has its boundaries, which
    /// may have been lost, so they limit nobody.
    pub(super) fn limits(&self) -> Span {
        let (from, to) = match self.life {
            Some(_) => (self.created, self.end.as_ref().map(LifeEnd::at)),
            None => (None, None),
        };
        Span { from: from.unwrap_or(UnixMillis(0)), to: to.unwrap_or(UnixMillis(u64::MAX)) }
    }

    /// The time in which it lasted, as far as that is known.
    pub(super) fn times(&self) -> Span {
        let from = self.life.as_ref().and_then(|life| life.created.or(life.first_login));
        let to = self.end.as_ref().map(LifeEnd::at);
        Span { from: from.unwrap_or(UnixMillis(0)), to: to.unwrap_or(UnixMillis(u64::MAX)) }
    }

    /// From where on its seats are read.
    pub(super) fn first_seats(&self) -> UnixMillis {
        let created = self.life.as_ref().and(self.created);
        created.unwrap_or(UnixMillis(0)).before(MAX_EVENT_TIME_AHEAD)
    }

    /// Until when people came to it. Nobody comes to a closed life, but clocks may differ.
    pub(super) fn last_seats(&self) -> UnixMillis {
        let closed = self.life.as_ref().and_then(|life| life.closed);
        closed.map_or(UnixMillis(u64::MAX), |closed| closed.after(MAX_EVENT_TIME_AHEAD))
    }
}

impl<'a> Record<'a> {
    /// The life of a room that is asked for, otherwise its newest one.
    pub(super) async fn reported_life(
        self,
        room: &RoomId,
        asked: Option<&LifeId>,
        window: Window,
        ends: &mut RoomEnds<'a>,
    ) -> Result<ReportedLife, ReportError> {
        match self.room_ends(room) {
            Ends::Lives => self.life_with_a_name(room, asked, ends).await,
            Ends::Boundaries(_) if asked.is_some() => Err(ReportError::NoLives),
            Ends::Boundaries(at_once) => self.life_without_a_name(room, window, at_once).await,
        }
    }

    async fn life_with_a_name(
        self,
        room: &RoomId,
        asked: Option<&LifeId>,
        ends: &mut RoomEnds<'a>,
    ) -> Result<ReportedLife, ReportError> {
        let Some(newest) = ends.newest().await?.cloned() else {
            return Err(ReportError::UnknownRoom);
        };
        let life = match asked.filter(|asked| **asked != newest.id) {
            Some(asked) => self.store.life(self.app, room, asked, self.now).await?,
            None => newest,
        };
        let mut began = life.began();
        if began.is_none() {
            // None of its callbacks is kept but those of its people.
            began = self.first_login(room, &life.id).await?;
        }
        let began = began.ok_or(ReportError::UnknownLife)?;
        let end = ends.life_end(&life, life.created.unwrap_or(began)).await?;
        let end = end.map(|end| end.no_earlier_than(life.created.unwrap_or(UnixMillis(0))));
        Ok(ReportedLife { created: life.created, life: Some(life), end })
    }

    pub(super) async fn first_login(
        self,
        room: &RoomId,
        life: &LifeId,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let from = SeatsFrom::Time(UnixMillis(0));
        let mut seats =
            pin!(self.store.seats_of_room(self.app, room, from, SEATS_PER_READ, self.now));
        let mut first = None;
        while let Some(found) = seats.try_next().await? {
            let seat = &found.member.seat;
            if seat.life.as_ref() == Some(life) {
                let logins = seat.marks.iter().map(|mark| mark.order.time);
                first = logins.chain(first).min();
            }
        }
        Ok(first)
    }

    /// Its first creation and its last dismissal in the span, by all tracks that count, unless it was
    /// created again by one of them.
    async fn life_without_a_name(
        self,
        room: &RoomId,
        window: Window,
        at_once: AtOnce,
    ) -> Result<ReportedLife, ReportError> {
        let mut life = ReportedLife { life: None, created: None, end: None };
        let Self { store, app, now } = self;
        let mut is_known = false;
        let (mut last_close, mut is_open) = (None, false);
        for track in self.tracks().iter() {
            let mut newest = None;
            let from = (track, window.from);
            let mut boundaries = pin!(self.boundaries_from(room, from, at_once));
            while let Some(boundary) = boundaries.try_next().await? {
                is_known = true;
                if boundary.at() > window.to {
                    break;
                }
                if let Boundary::Created { at, .. } = boundary {
                    life.created = life.created.into_iter().chain([at]).min();
                }
                newest = Some(boundary);
            }
            match newest {
                Some(Boundary::Created { .. }) => is_open = true,
                Some(Boundary::Closed { at, .. }) => last_close = last_close.max(Some(at)),
                None => {}
            }
        }
        life.end = last_close.filter(|_| !is_open).map(LifeEnd::Closed);
        if !is_known && !self.has_lives(room).await? && !store.is_room_known(app, room, now).await?
        {
            return Err(ReportError::UnknownRoom);
        }
        Ok(life)
    }
}
