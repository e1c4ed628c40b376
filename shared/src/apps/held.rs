//! The known value of a secret, and when to read it again: a state machine that gets the time as an
//! input.

use std::{sync::Arc, time::Duration};

use crate::domain::UnixMillis;

/// The age from which a secret is read again in the background.
pub const MAX_AGE: Duration = Duration::from_mins(5);

/// The age from which a request waits until the secret was read again, or that failed.
pub const OVERDUE: Duration = Duration::from_mins(10);

/// The shortest time between two reads.
pub const PAUSE: Duration = Duration::from_secs(30);

/// The shortest time between two reads while no value is known. Until then, every request is
/// refused.
pub const PAUSE_UNTIL_KNOWN: Duration = Duration::from_secs(1);

/// How new a secret must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// There must be a value that is not overdue.
    Usable,
    /// The value should be younger than [`MAX_AGE`].
    Fresh,
    /// The known value did not verify a request.
    Newer,
}

/// A secret that was read.
#[derive(Debug)]
pub(super) struct Known<T> {
    pub(super) value: Arc<T>,
    pub(super) version: Option<String>,
}

/// The known value, and the newest read. Reads are identified by the time when they began.
#[derive(Debug)]
pub(super) struct Held<T> {
    known: Option<(Known<T>, UnixMillis)>,
    reading: Option<Reading>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { known: None, reading: None }
    }
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    began: UnixMillis,
    is_over: bool,
}

impl<T> Held<T> {
    pub(super) fn value(&self) -> Option<Arc<T>> {
        self.known.as_ref().map(|(known, _)| known.value.clone())
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.known.as_ref().and_then(|(known, _)| known.version.as_deref())
    }

    /// Whether a read is in progress.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some_and(|reading| !reading.is_over)
    }

    /// Whether the known value does not meet the need.
    pub(super) fn is_needed(&self, need: Need, now: UnixMillis) -> bool {
        let Some((_, read_at)) = &self.known else { return true };
        match need {
            Need::Usable => between(*read_at, now) >= OVERDUE,
            Need::Fresh => between(*read_at, now) >= MAX_AGE,
            Need::Newer => true,
        }
    }

    /// Begins a read, if the known value does not meet the need and the last read was long enough
    /// ago. If this returns `true`, the caller must read.
    pub(super) fn begin(&mut self, need: Need, now: UnixMillis) -> bool {
        let is_due = self.reading.is_none_or(|reading| {
            let is_first = self.known.is_none() && reading.is_over;
            let pause = if is_first { PAUSE_UNTIL_KNOWN } else { PAUSE };
            between(reading.began, now) >= pause
        });
        let begins = is_due && self.is_needed(need, now);
        if begins {
            self.reading = Some(Reading { began: now, is_over: false });
        }
        begins
    }

    /// Ends the read that began then, with the value that it found.
    pub(super) fn know(&mut self, known: Known<T>, began: UnixMillis) {
        self.end(began);
        // An older read may end after a newer one.
        if self.known.as_ref().is_none_or(|(_, read_at)| *read_at <= began) {
            self.known = Some((known, began));
        }
    }

    /// Ends the read that began then: the known value is still right.
    pub(super) fn confirm(&mut self, began: UnixMillis) {
        self.end(began);
        if let Some((_, read_at)) = &mut self.known {
            *read_at = began.max(*read_at);
        }
    }

    /// Ends the read that began then: the known value stays.
    pub(super) fn fail(&mut self, began: UnixMillis) {
        self.end(began);
    }

    fn end(&mut self, began: UnixMillis) {
        if let Some(reading) = self.reading.as_mut().filter(|reading| reading.began == began) {
            reading.is_over = true;
        }
    }
}

/// The time between two moments. A clock that was set back must not stop all reads, and requests
/// that overtake one another must not cause more of them.
fn between(a: UnixMillis, b: UnixMillis) -> Duration {
    Duration::from_millis(a.0.abs_diff(b.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_700_000_000_000;

    fn at(ms: u64) -> UnixMillis {
        UnixMillis(START + ms)
    }

    fn ms(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap()
    }

    fn known(version: &str) -> Known<()> {
        Known { value: Arc::default(), version: Some(version.to_owned()) }
    }

    fn held_at(ms: u64) -> Held<()> {
        let mut held = Held::<()>::default();
        assert!(held.begin(Need::Usable, at(ms)));
        held.know(known("1"), at(ms));
        held
    }

    #[test]
    fn until_a_value_is_known_there_may_be_a_read_every_second() {
        let mut held = Held::<()>::default();
        assert!(held.begin(Need::Usable, at(0)));
        assert!(!held.begin(Need::Usable, at(1000)), "the first read is still in progress");
        held.fail(at(0));
        assert!(!held.begin(Need::Usable, at(999)));
        assert!(held.begin(Need::Usable, at(1000)));
        held.know(known("1"), at(1000));
        assert!(held.value().is_some());
        assert!(!held.is_reading());
    }

    #[test]
    fn a_read_that_never_ends_does_not_stop_others_for_ever() {
        let mut held = Held::<()>::default();
        assert!(held.begin(Need::Usable, at(0)));
        assert!(!held.begin(Need::Usable, at(ms(PAUSE) - 1)));
        assert!(held.begin(Need::Usable, at(ms(PAUSE))));
    }

    #[test]
    fn age_is_counted_from_the_beginning_of_the_read() {
        let mut held = held_at(0);
        assert!(!held.is_needed(Need::Fresh, at(ms(MAX_AGE) - 1)));
        assert!(!held.is_needed(Need::Usable, at(ms(OVERDUE) - 1)));
        assert!(held.is_needed(Need::Usable, at(ms(OVERDUE))));
        assert!(!held.begin(Need::Fresh, at(ms(MAX_AGE) - 1)));
        assert!(held.begin(Need::Fresh, at(ms(MAX_AGE))));
        held.fail(at(ms(MAX_AGE)));
        assert!(held.value().is_some(), "the last good value stays");
        let again = ms(MAX_AGE + PAUSE);
        assert!(!held.begin(Need::Fresh, at(again - 1)));
        assert!(held.begin(Need::Fresh, at(again)));
        held.confirm(at(again));
        assert!(!held.is_needed(Need::Fresh, at(again + ms(MAX_AGE) - 1)));
    }

    #[test]
    fn an_older_read_does_not_replace_the_value_of_a_newer_one() {
        let mut held = held_at(0);
        let (older, newer) = (at(ms(PAUSE)), at(2 * ms(PAUSE)));
        assert!(held.begin(Need::Newer, older));
        assert!(held.begin(Need::Newer, newer));
        held.know(known("3"), newer);
        held.know(known("2"), older);
        assert_eq!(held.version(), Some("3"));
        assert!(!held.is_reading());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_reads() {
        let mut held = held_at(ms(MAX_AGE));
        assert!(held.begin(Need::Newer, at(0)));
    }

    proptest! {
        /// Whatever is sent, and whether reads succeed or fail: never two within the pause.
        #[test]
        fn failed_verifications_cause_one_read_in_thirty_seconds(
            steps in prop::collection::vec((0_u64..20_000, 0_u8..3, any::<bool>()), 1..200),
        ) {
            let mut held = held_at(0);
            let (mut now, mut last) = (0, 0);
            for (passed, became, newer) in steps {
                now += passed;
                let need = if newer { Need::Newer } else { Need::Fresh };
                if held.begin(need, at(now)) {
                    prop_assert!(now - last >= ms(PAUSE));
                    last = now;
                    match became {
                        0 => held.know(known(&now.to_string()), at(now)),
                        1 => held.fail(at(now)),
                        _ => {}
                    }
                } else if newer {
                    // A value that was stored half a minute ago is known, or a read of it has
                    // begun.
                    prop_assert!(now - last < ms(PAUSE));
                }
            }
        }
    }
}
