//! The note that a second track reports the rooms of an app.
//!
//! Readers unite what two tracks report, which costs requests. An app that has one track only must
//! not pay for that. So the first callback of the second track notes it beside the app's erasures,
//! which every reader reads anyway, before anything of it is stored.
//!
//! The note outlives what is stored under it. So that it need not be written again for each process
//! and each day, it does so for a week more, and a process reads at its start until when the notes
//! of its apps hold.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    super::{StoreError, item, item::EXPIRES_AT, keys},
    Writer,
    update::Update,
};
use crate::domain::{App, Change, Track, UnixMillis, UnixSeconds};

/// By how much a note outlives at least what is stored while a process relies on it.
const OUTLIVES_BY: Duration = Duration::from_hours(24);

/// How long after it was written a note suffices.
const SUFFICES_FOR: Duration = Duration::from_hours(7 * 24);

/// Until when the notes of apps hold, as far as this process knows. A note is never shortened.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted(Arc<Mutex<HashMap<App, UnixSeconds>>>);

impl Noted {
    fn holds(&self, app: &App, until: UnixSeconds) -> bool {
        self.lock().get(app).is_some_and(|noted| *noted >= until)
    }

    fn set(&self, app: &App, until: UnixSeconds) {
        let mut noted = self.lock();
        let known = noted.entry(app.clone()).or_insert(until);
        *known = until.max(*known);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<App, UnixSeconds>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Reads the notes that these apps have a second track, one after another on the connection of
    /// [`Writer::warm_up`]. An app's first callback then need not write its note again. It takes at
    /// most `limit`. A note that could not be read by then is written again.
    pub async fn read_track_notes(&self, apps: &[App], limit: Duration) {
        let read = async {
            for app in apps {
                let note = self.table.item(keys::erasures(app), keys::SECOND_TRACK.to_owned());
                let until = note.await?.and_then(|note| item::optional_number(&note, EXPIRES_AT));
                if let Some(until) = until {
                    self.noted.set(app, UnixSeconds(until));
                }
            }
            Ok(())
        };
        let read = tokio::time::timeout(limit, read).await;
        if let Err(error) = read.unwrap_or(Err(StoreError::OutOfTime)) {
            tracing::warn!(%error, "the notes of second tracks could not be read at start");
        }
    }

    /// Notes that a second track reports the rooms of an app, if a change is of that track. It is
    /// noted before the change is stored: then no reader misses what is stored.
    pub(super) async fn note_track(
        &self,
        change: &Change,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let app = change.app();
        // Nothing of a room is kept for longer than a life.
        let outlived = self.life_expiry(received_at.after(OUTLIVES_BY));
        if change.track().is_none_or(|track| track == Track::Media)
            || self.noted.holds(app, outlived)
        {
            return Ok(());
        }
        let until = self.life_expiry(received_at.after(OUTLIVES_BY).after(SUFFICES_FOR));
        let update = Update::of(keys::erasures(app), keys::SECOND_TRACK)
            .set(EXPIRES_AT, item::number(until.0))
            .only_if(format!("attribute_not_exists({EXPIRES_AT}) OR {EXPIRES_AT} < :{EXPIRES_AT}"));
        self.table.update(update).await?;
        self.noted.set(app, until);
        Ok(())
    }
}
