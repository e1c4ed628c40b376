//! How long something works. What overlaps counts once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long there was work.
#[derive(Debug, Default)]
pub(crate) struct Busy(Mutex<State>);

/// A piece of work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Work<'a>(&'a Busy);

#[derive(Debug, Default)]
struct State {
    /// The pieces of work that there are now.
    pieces: u32,
    /// Since when there are any.
    since: Option<Instant>,
    /// How long there were any before.
    before: Duration,
}

impl Busy {
    pub(crate) fn begin(&self) -> Work<'_> {
        self.state().begin(Instant::now());
        Work(self)
    }

    /// How long there was work until now.
    pub(crate) fn time(&self) -> Duration {
        self.state().time(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.state().end(Instant::now());
    }
}

impl State {
    fn begin(&mut self, now: Instant) {
        self.pieces += 1;
        self.since.get_or_insert(now);
    }

    fn end(&mut self, now: Instant) {
        self.pieces -= 1;
        if self.pieces == 0 {
            self.before = self.time(now);
            self.since = None;
        }
    }

    fn time(&self, now: Instant) -> Duration {
        self.before + self.since.map(|since| now.duration_since(since)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_counts_once() {
        let (mut busy, start) = (State::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        busy.begin(at(0));
        busy.begin(at(2));
        assert_eq!(busy.time(at(3)), Duration::from_millis(3));
        busy.end(at(5));
        busy.end(at(7));
        assert_eq!(busy.time(at(20)), Duration::from_millis(7));
        busy.begin(at(30));
        busy.end(at(31));
        assert_eq!(busy.time(at(40)), Duration::from_millis(8));
    }

    #[test]
    fn a_piece_of_work_ends_when_it_is_dropped() {
        let busy = Busy::default();
        drop((busy.begin(), busy.begin()));
        assert_eq!(busy.state().pieces, 0);
        assert_eq!(busy.time(), busy.time());
    }
}
