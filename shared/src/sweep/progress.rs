//! How far the sweep has come: what one run leaves to the next.

use serde::{Deserialize, Serialize};

use crate::domain::{App, Counted, Sample, UnixMillis};

/// How far the sweep has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Until when read units are paid for.
    pub(super) paid_until: Option<UnixMillis>,
    /// When the newest round began that is done.
    pub(super) swept_at: Option<UnixMillis>,
    /// The round under way.
    pub(super) round: Option<Round>,
}

/// A round over all apps, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) began_at: UnixMillis,
    /// The last app that is done.
    pub(super) done: Option<App>,
    /// The pass over the next one.
    pub(super) pass: Option<Pass>,
}

/// A pass over the live rooms of an app: one part of the list after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    pub(super) app: App,
    pub(super) began_at: UnixMillis,
    /// The part under way, and when it began.
    pub(super) part: u8,
    pub(super) part_began_at: UnixMillis,
    /// The place of the last room that was looked at.
    pub(super) after: Option<String>,
    /// In how many rooms somebody is.
    pub(super) rooms: u64,
    pub(super) online: u64,
    pub(super) counted: Counted,
}

impl Progress {
    /// What a run has written. If it is of another version, the sweep begins anew.
    pub(super) fn read(json: Option<&str>) -> Self {
        let Some(json) = json else { return Self::default() };
        serde_json::from_str(json).unwrap_or_else(|error| {
            tracing::warn!(%error, "the sweep begins anew: its place cannot be read");
            Self::default()
        })
    }

    /// When the oldest number in the newest samples was read, at the earliest.
    pub(super) fn oldest_at(&self) -> Option<UnixMillis> {
        self.swept_at.or(self.round.as_ref().map(|round| round.began_at))
    }
}

impl Round {
    pub(super) fn new(now: UnixMillis) -> Self {
        Self { began_at: now, done: None, pass: None }
    }
}

impl Pass {
    pub(super) fn new(app: App, now: UnixMillis) -> Self {
        Self {
            app,
            began_at: now,
            part: 0,
            part_began_at: now,
            after: None,
            rooms: 0,
            online: 0,
            counted: Counted::All,
        }
    }

    pub(super) fn next_part(&mut self, now: UnixMillis) {
        self.part += 1;
        self.part_began_at = now;
        self.after = None;
    }

    pub(super) fn sample(&self, now: UnixMillis) -> Sample {
        Sample {
            at: self.began_at,
            took: std::time::Duration::from_millis(now.0.saturating_sub(self.began_at.0)),
            rooms: self.rooms,
            online: self.online,
            counted: self.counted,
        }
    }
}
