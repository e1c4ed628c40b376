//! The note that a second track reports the rooms of an app.
//!
//! Readers unite what two tracks report, which costs requests. An app that has one track only must
//! not pay for that. So the first callback of the second track notes it beside the app's erasures,
//! which every reader reads anyway, before anything of it is stored. A process notes it once a day.

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
use crate::domain::{App, Change, Track, UnixMillis};

/// How long a process relies on its note.
const NOTED_FOR: Duration = Duration::from_hours(24);

/// The apps of which this process has noted it, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted(Arc<Mutex<HashMap<App, UnixMillis>>>);

impl Noted {
    fn is_noted(&self, app: &App, now: UnixMillis) -> bool {
        let noted = self.lock().get(app).copied();
        noted.is_some_and(|at| at.before(NOTED_FOR) < now && now < at.after(NOTED_FOR))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<App, UnixMillis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Notes that a second track reports the rooms of an app, if a change is of that track. It is
    /// noted before the change is stored: then no reader misses what is stored.
    pub(super) async fn note_track(
        &self,
        change: &Change,
        received_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let app = change.app();
        if change.track().is_none_or(|track| track == Track::Media)
            || self.noted.is_noted(app, received_at)
        {
            return Ok(());
        }
        // It outlives whatever is stored in the meantime.
        let until = self.life_expiry(received_at.after(2 * NOTED_FOR));
        let update = Update::of(keys::erasures(app), keys::SECOND_TRACK)
            .set(EXPIRES_AT, item::number(until.0))
            .only_if(format!("attribute_not_exists({EXPIRES_AT}) OR {EXPIRES_AT} < :{EXPIRES_AT}"));
        self.table.update(update).await?;
        self.noted.lock().insert(app.clone(), received_at);
        Ok(())
    }
}
