//! Rooms that records touch are listed as live.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::rooms::{Touched, TouchedRooms};
use crate::{
    domain::{App, RoomId},
    store::{LiveMarker, Marked},
};

/// How many rooms are marked at the same time.
const CONCURRENT_MARKS: usize = 16;

/// Of how many rooms the marks are kept in memory.
const MAX_ROOMS: usize = 10_000;

/// The list of live rooms, as `relay` keeps it.
///
/// It remembers what it wrote, so that a room in which much happens costs no refused writes.
#[derive(Debug, Clone)]
pub struct LiveRooms {
    store: LiveMarker,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    apps: HashSet<App>,
    rooms: HashMap<(App, RoomId), Marked>,
}

impl LiveRooms {
    /// The list in a table.
    #[must_use]
    pub fn new(store: LiveMarker) -> Self {
        Self { store, known: Arc::default() }
    }

    /// Lists these rooms as live, and their apps before them, until `deadline`. Returns the rooms
    /// that are not known to be listed. They can be listed again without harm.
    pub async fn list(&self, rooms: TouchedRooms, deadline: Instant) -> TouchedRooms {
        let apps: BTreeSet<App> = rooms.keys().map(|(app, _)| app.clone()).collect();
        for app in apps {
            self.list_app(app, deadline).await;
        }
        let left = stream::iter(rooms)
            .map(async |(room, touched)| {
                let is_listed = self.list_room(&room, &touched, deadline).await;
                (!is_listed).then_some((room, touched))
            })
            .buffered(CONCURRENT_MARKS);
        left.filter_map(std::future::ready).collect().await
    }

    async fn list_app(&self, app: App, deadline: Instant) {
        if self.known().apps.contains(&app) {
            return;
        }
        match timeout_at(deadline, self.store.add_app(&app)).await {
            Ok(Ok(())) => {
                self.known().apps.insert(app);
            }
            Ok(Err(error)) => tracing::warn!(%error, "an app could not be listed"),
            Err(_) => {}
        }
    }

    async fn list_room(&self, room: &(App, RoomId), touched: &Touched, deadline: Instant) -> bool {
        let (app, id) = room;
        {
            let known = self.known();
            if !known.apps.contains(app) {
                return false;
            }
            let marked = known.rooms.get(room);
            if marked.is_some_and(|marked| marked.covers(touched.at, touched.lateness)) {
                return true;
            }
        }
        let marking = self.store.mark(app, id, touched.at, touched.lateness);
        match timeout_at(deadline, marking).await {
            Ok(Ok(marked)) => {
                let mut known = self.known();
                if known.rooms.len() >= MAX_ROOMS {
                    known.rooms.clear();
                }
                known.rooms.insert(room.clone(), marked);
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "a room could not be listed as live");
                false
            }
            Err(_) => false,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
