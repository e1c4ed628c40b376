//! The creations and dismissals of a room whose lives have no names, as far as they count.

use futures::{Stream, TryStreamExt};

use super::Record;
use crate::{
    domain::{Boundary, RoomId, Track, UnixMillis},
    providers::AtOnce,
    store::{NEWEST_BOUNDARIES, StoreError},
};

/// The newest boundaries of a room.
#[derive(Debug, Clone)]
pub(super) struct Boundaries {
    /// The newest first.
    pub(super) newest: Vec<Boundary>,
    /// Whether there are no others.
    pub(super) are_all: bool,
}

impl<'a> Record<'a> {
    /// The newest boundaries of a room by a track.
    pub(super) async fn newest_boundaries(
        self,
        room: &RoomId,
        track: Track,
        at_once: AtOnce,
    ) -> Result<Boundaries, StoreError> {
        let Self { store, app, now } = self;
        let mut newest = store.boundaries(app, room, track, now).await?;
        let are_all = newest.len() < NEWEST_BOUNDARIES;
        if at_once == AtOnce::CreatedLast && !are_all {
            // Whether the room was created at the time of the last dismissal was not read.
            newest.pop_if(|last| created_at(last).is_none());
        }
        let created: Vec<UnixMillis> = newest.iter().filter_map(created_at).collect();
        newest.retain(|boundary| counts(boundary, &created, at_once));
        Ok(Boundaries { newest, are_all })
    }

    /// The boundaries of a room by a track from a time on, the oldest first.
    pub(super) fn boundaries_from(
        self,
        room: &RoomId,
        from: (Track, UnixMillis),
        at_once: AtOnce,
    ) -> impl Stream<Item = Result<Boundary, StoreError>> + Send + use<'a> {
        let Self { store, app, now } = self;
        // At one time the creations come first.
        let mut created = None;
        store.boundaries_from(app, room, from, now).try_filter(move |boundary| {
            created = created_at(boundary).or(created);
            std::future::ready(counts(boundary, created.as_slice(), at_once))
        })
    }
}

fn created_at(boundary: &Boundary) -> Option<UnixMillis> {
    if let Boundary::Created { at, .. } = boundary { Some(*at) } else { None }
}

/// Whether a boundary counts, given when the room was created about that time.
fn counts(boundary: &Boundary, created: &[UnixMillis], at_once: AtOnce) -> bool {
    match (at_once, boundary) {
        (AtOnce::CreatedLast, Boundary::Closed { at, .. }) => !created.contains(at),
        _ => true,
    }
}
