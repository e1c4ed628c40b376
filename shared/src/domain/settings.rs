//! What an operator has set about apps, and what is no secret.

use std::collections::HashMap;

use super::{App, Seen, Tracks, UnixMillis};

/// The settings of the apps. An app without any has the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    ignore_seen_before: HashMap<App, UnixMillis>,
    rooms: HashMap<App, Tracks>,
}

impl Settings {
    /// Settings without anything set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Observations of an app that were made before a time are ignored: its provider's answers were
    /// wrong then.
    #[must_use]
    pub fn ignoring_seen_before(mut self, app: App, before: UnixMillis) -> Self {
        self.ignore_seen_before.insert(app, before);
        self
    }

    /// Who is in the rooms of an app is decided by these tracks.
    #[must_use]
    pub fn with_rooms(mut self, app: App, tracks: Tracks) -> Self {
        self.rooms.insert(app, tracks);
        self
    }

    /// By which tracks it is decided who is in the rooms of an app: by both, if nothing is set.
    #[must_use]
    pub fn rooms(&self, app: &App) -> Tracks {
        self.rooms.get(app).copied().unwrap_or(Tracks::Both)
    }

    /// Whether an observation that was made at a time counts.
    #[must_use]
    pub fn counts_seen_at(&self, app: &App, at: UnixMillis) -> bool {
        self.ignore_seen_before.get(app).is_none_or(|before| at >= *before)
    }

    /// Whether an observation counts.
    #[must_use]
    pub fn counts(&self, app: &App, seen: &Seen) -> bool {
        self.counts_seen_at(app, seen.at)
    }
}
