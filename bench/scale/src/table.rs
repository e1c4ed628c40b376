//! A DynamoDB table, or index, that takes so many write units a second and throttles the rest.

use std::time::Duration;

use crate::quotas::GROWS_IN;

/// The write units a second that an on-demand table, or index, takes. It grows when more was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Capacity {
    units: f64,
    most: f64,
    grows_at: Option<Duration>,
}

impl Capacity {
    /// It takes `units` at first, and grows up to `most`.
    pub(crate) fn new(units: f64, most: f64) -> Self {
        Self { units: units.min(most), most, grows_at: None }
    }

    /// A part of it.
    pub(crate) fn part(&self, share: f64) -> Self {
        Self { units: self.units * share, most: self.most * share, grows_at: self.grows_at }
    }

    pub(crate) fn units(&self) -> f64 {
        self.units
    }

    /// Whether it has all that the quota allows.
    pub(crate) fn is_at_quota(&self) -> bool {
        self.units >= self.most
    }

    /// It was asked for more than it has.
    pub(crate) fn exceeded(&mut self, now: Duration) {
        self.grows_at.get_or_insert(now + GROWS_IN);
    }

    pub(crate) fn pass(&mut self, now: Duration) {
        if self.grows_at.is_some_and(|at| at <= now) {
            self.units = (self.units * 2.0).min(self.most);
            self.grows_at = None;
        }
    }
}

/// What is not used is kept for this long. (DynamoDB keeps it for up to five minutes, but promises
/// nothing.)
const BURST_SECONDS: f64 = 0.1;

/// Live writes are so many that they are a stream here, which never waits. Others are single writes.
#[derive(Debug)]
pub(crate) struct Table {
    capacity: Capacity,
    live: f64,
    /// The most that a live write takes.
    live_write: f64,
    left: f64,
    now: Duration,
    /// Since when live writes are watched, and which share of them is throttled in each second.
    watched_since: Duration,
    throttled: Vec<f64>,
}

impl Table {
    /// A table of which live writes of at most `live_write` units take `live` units a second.
    pub(crate) fn new(capacity: Capacity, live: f64, live_write: u32) -> Self {
        Self {
            live,
            live_write: f64::from(live_write),
            left: capacity.units() * BURST_SECONDS,
            capacity,
            now: Duration::ZERO,
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
            self.capacity.exceeded(now);
            return Err(Throttled);
        }
        self.left -= units;
        Ok(())
    }

    fn pass(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.now).as_secs_f64();
        self.now = now.max(self.now);
        let gain = (self.capacity.units() - self.live).max(f64::MIN_POSITIVE);
        let until_free = ((self.live_write - self.left) / gain).clamp(0.0, seconds);
        // Writes are close together, so few intervals belong to two seconds.
        let second = now.saturating_sub(self.watched_since).as_secs() as usize;
        self.throttled.resize(self.throttled.len().max(second + 1), 0.0);
        self.throttled[second] = (self.throttled[second] + until_free).min(1.0);
        self.left = (self.left + gain * seconds).min(self.capacity.units() * BURST_SECONDS);
        self.capacity.pass(now);
    }
}

/// The table takes no more at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Throttled;
