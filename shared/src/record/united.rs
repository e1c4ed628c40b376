//! Stays of people whom two tracks report in one room: what they report of the same time is one stay.
//!
//! [`domain::united`] decides. Here is read what it needs: all visits of each track, each ended by
//! the room as the same track reports it. Only who has a seat by both tracks costs that.

use std::pin::pin;

use futures::TryStreamExt;

use super::{Record, RecordError, ends::RoomEnds, observed};
use crate::{
    domain::{self, Observed, Part, RoomId, Track, Tracks, UnitedStay, UserId, Visit},
    providers::RoomEnds as Ends,
    store::{Seat, StoreError},
};

/// All stays of a person in one room, if one seat alone does not show them.
#[derive(Debug, Clone)]
pub(super) enum AllStays {
    /// Something was observed there.
    Observed(Observed),
    /// Two tracks reported them.
    United(United),
}

/// All stays of a person in one room, by two tracks.
#[derive(Debug, Clone)]
pub(super) struct United {
    /// The stays, oldest first.
    stays: Vec<UnitedStay>,
    /// The visits that each track shows, oldest first.
    visits: Vec<(Track, Vec<Visit>)>,
}

impl AllStays {
    /// Those that are told with a seat. Those of two tracks are told with the first seat.
    pub(super) fn on_seat(self, seat: &Seat) -> Vec<Visit> {
        match self {
            Self::Observed(observed) => observed::on_seat(observed, seat),
            Self::United(united) => {
                let is_first = united.visits.first().is_some_and(|(first, _)| *first == seat.track);
                if is_first { united.into_visits() } else { Vec::new() }
            }
        }
    }
}

impl United {
    /// The stays alone.
    pub(super) fn into_visits(self) -> Vec<Visit> {
        self.stays.into_iter().map(|stay| stay.visit).collect()
    }

    /// The visits that a track shows, if it counts.
    pub(super) fn of(&self, track: Track) -> Option<&[Visit]> {
        let (_, visits) = self.visits.iter().find(|(of, _)| *of == track)?;
        Some(visits)
    }

    /// The stay that a visit is a part of.
    pub(super) fn holding(&self, part: Part) -> Option<&UnitedStay> {
        self.stays.iter().find(|stay| stay.parts.contains(&part))
    }
}

impl RoomEnds<'_> {
    /// All stays of a person in the room, by their seats there, each of which is by another track.
    pub(super) async fn united(
        &mut self,
        user: &UserId,
        seats: &[&Seat],
    ) -> Result<United, StoreError> {
        let mut of_tracks = Vec::with_capacity(seats.len());
        for seat in seats {
            let mut decided = Vec::new();
            let mut visits = pin!(self.record().visits(user, seat));
            while let Some(visit) = visits.try_next().await? {
                decided.push(self.decide(user, seat, visit).await?);
            }
            of_tracks.push((seat.track, decided));
        }
        let all = of_tracks
            .iter()
            .flat_map(|(track, visits)| visits.iter().map(|visit| (*track, visit.clone())));
        Ok(United { stays: domain::united(all), visits: of_tracks })
    }
}

impl Record<'_> {
    /// By which tracks it is decided who is in the app's rooms.
    pub(super) fn tracks(self) -> Tracks {
        self.store.tracks(self.app)
    }

    /// Whether a room was ever created or closed, as far as is known and counts.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn has_lives(self, room: &RoomId) -> Result<bool, RecordError> {
        let Self { store, app, now } = self;
        if let Ends::Lives = self.room_ends(room) {
            return Ok(store.has_lives(app, room, now).await?);
        }
        for track in self.tracks().iter() {
            if !store.boundaries(app, room, track, now).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Of a person's seats in one room those that count, if they are of two tracks.
pub(super) fn of_two_tracks(tracks: Tracks, seats: &[Seat]) -> Option<Vec<&Seat>> {
    let counted: Vec<&Seat> = seats.iter().filter(|seat| tracks.has(seat.track)).collect();
    let first = counted.first()?.track;
    counted.iter().any(|seat| seat.track != first).then_some(counted)
}
