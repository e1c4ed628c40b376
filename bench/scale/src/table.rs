//! A DynamoDB table, or index, that takes so many write units a second and throttles the rest.

use std::time::Duration;

use crate::quotas::{GROWS_IN, TABLE_UNITS};

/// What is not used is kept for this long. (DynamoDB keeps it for up to five minutes, but promises
/// nothing.)
const BURST_SECONDS: f64 = 0.1;

/// Live writes are so many that they are a stream here, which never waits. Others are single writes.
#[derive(Debug)]
pub(crate) struct Table {
    /// Units a second.
    capacity: f64,
    most: f64,
    live: f64,
    /// The most that a live write takes.
    live_write: f64,
    left: f64,
    now: Duration,
    grows_at: Option<Duration>,
    /// Since when live writes are watched, and which share of them is throttled in each second.
    watched_since: Duration,
    throttled: Vec<f64>,
}

impl Table {
    /// A table that takes `capacity` units a second, of which live writes of at most `live_write` units
    /// take `live`. It grows up to the quota. `share` is the share of the table that is played.
    pub(crate) fn new(capacity: u32, live: f64, live_write: u32, share: f64) -> Self {
        let capacity = f64::from(capacity) * share;
        Self {
            capacity,
            most: f64::from(TABLE_UNITS) * share,
            live,
            live_write: f64::from(live_write),
            left: capacity * BURST_SECONDS,
            now: Duration::ZERO,
            grows_at: None,
            watched_since: Duration::ZERO,
            throttled: Vec::new(),
        }
    }

    /// Begins to watch live writes.
    pub(crate) fn watch(&mut self, now: Duration) {
        self.pass(now);
        self.watched_since = now;
        self.throttled.clear();
    }

    /// For each second until `now`, the share of live writes that was throttled.
    pub(crate) fn throttled(mut self, now: Duration) -> Vec<f64> {
        self.pass(now);
        self.throttled
    }

    /// Takes a write, or throttles it.
    pub(crate) fn write(&mut self, units: u32, now: Duration) -> Result<(), Throttled> {
        self.pass(now);
        let units = f64::from(units);
        if self.left < units {
            // It was asked for more than it has, so it grows.
            self.grows_at.get_or_insert(now + GROWS_IN);
            return Err(Throttled);
        }
        self.left -= units;
        Ok(())
    }

    fn pass(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.now).as_secs_f64();
        self.now = now.max(self.now);
        let gain = (self.capacity - self.live).max(f64::MIN_POSITIVE);
        let until_free = ((self.live_write - self.left) / gain).clamp(0.0, seconds);
        // Writes are close together, so few intervals belong to two seconds.
        let second = now.saturating_sub(self.watched_since).as_secs() as usize;
        self.throttled.resize(self.throttled.len().max(second + 1), 0.0);
        self.throttled[second] = (self.throttled[second] + until_free).min(1.0);
        self.left = (self.left + gain * seconds).min(self.capacity * BURST_SECONDS);
        if self.grows_at.is_some_and(|at| at <= now) {
            self.capacity = (self.capacity * 2.0).min(self.most);
            self.grows_at = None;
        }
    }
}

/// The table takes no more at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Throttled;
