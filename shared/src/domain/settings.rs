//! What an operator has set about apps, and what is no secret.

use std::collections::HashMap;

use super::{App, Seen, UnixMillis};

/// The settings of the apps. An app without any has the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    ignore_seen_before: HashMap<App, UnixMillis>,
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
