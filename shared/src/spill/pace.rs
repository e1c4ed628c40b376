//! How fast what waited in the queue is stored.

use std::time::Duration;

use tokio::time::Instant;

/// How many changes a second an instance of the function stores at first, and after an outage.
const FIRST_PER_SECOND: f64 = 100.0;

/// A throttled instance still stores this many. If it were none, a table that throttles for long
/// would never be drained.
const FEWEST_PER_SECOND: f64 = 1.0;

/// More than this is not tried: it is more than the queue delivers to an instance.
const MOST_PER_SECOND: f64 = 1000.0;

/// What each stored change adds to the rate. The rate grows by a tenth each second, so at ten
/// changes a second about one in a hundred is throttled.
const STEP: f64 = 0.1;

/// How long a halved rate is tried before it is halved again.
const TRIED_FOR: Duration = Duration::from_millis(250);

/// How far a turn may lie back, because timers are late.
const LATENESS: Duration = Duration::from_millis(20);

/// How long nothing is stored after the first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause. When the store is back, this is how long it may not be noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The pace at which one instance of `spill-replay` stores changes. It yields to callbacks.
///
/// - Each stored change raises the rate a little, and a throttled one halves it.
/// - After any other failure the store counts as down. Then nothing is stored except for one change
///   now and then, until one is stored.
///
/// Time is an input: `bench/scale` plays it with hundreds of instances.
#[derive(Debug, Clone)]
pub struct Pace {
    per_second: f64,
    /// When the next change may be stored.
    next: Option<Instant>,
    halved_at: Option<Instant>,
    down: Option<Down>,
}

/// The store is down.
#[derive(Debug, Clone, Copy)]
struct Down {
    pause: Duration,
    probe_at: Instant,
}

/// Whether a change may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It may. Its end is [noted](Pace::note).
    Now(Started),
    /// Ask again then, or earlier.
    NotBefore(Instant),
}

/// A change that is being stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    at: Instant,
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Store,
    /// The store is down. This change shows whether it is back.
    Probe,
}

/// What the store did with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It stored the change, or refused it for a reason that has nothing to do with its load.
    Answered,
    /// It is asked too often.
    Throttled,
    /// It failed, or did not answer.
    Failed,
}

impl Default for Pace {
    fn default() -> Self {
        Self { per_second: FIRST_PER_SECOND, next: None, halved_at: None, down: None }
    }
}

impl Pace {
    /// How many changes are stored in a second, at most.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Whether one more change may be stored now.
    pub fn turn(&mut self, now: Instant) -> Turn {
        if let Some(down) = &mut self.down {
            if now < down.probe_at {
                return Turn::NotBefore(down.probe_at);
            }
            // Another one is sent if this one's end is never noted.
            down.probe_at = now + LONGEST_PAUSE;
            return Turn::Now(Started { at: now, purpose: Purpose::Probe });
        }
        let next = self.next.unwrap_or(now);
        if now < next {
            return Turn::NotBefore(next);
        }
        let earliest = now.checked_sub(LATENESS).unwrap_or(now);
        self.next = Some(next.max(earliest) + self.interval());
        Turn::Now(Started { at: now, purpose: Purpose::Store })
    }

    /// Notes what the store did with a change.
    pub fn note(&mut self, started: Started, answer: Answer, now: Instant) {
        match answer {
            Answer::Failed => self.pause(started.purpose, now),
            Answer::Answered => {
                self.end_of_outage(started.purpose);
                self.per_second = (self.per_second + STEP).min(MOST_PER_SECOND);
            }
            Answer::Throttled => {
                self.end_of_outage(started.purpose);
                // Those that were sent before the last time say nothing about the new rate. Those just
                // after it say that the table has not recovered yet.
                if self.halved_at.is_none_or(|halved_at| started.at >= halved_at + TRIED_FOR) {
                    self.per_second = (self.per_second / 2.0).max(FEWEST_PER_SECOND);
                    self.halved_at = Some(now);
                    self.next = Some(now + self.interval());
                }
            }
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    fn pause(&mut self, purpose: Purpose, now: Instant) {
        let pause = match (&self.down, purpose) {
            (None, _) => FIRST_PAUSE,
            (Some(down), Purpose::Probe) => (down.pause * 2).min(LONGEST_PAUSE),
            // It was sent before the outage was known.
            (Some(_), Purpose::Store) => return,
        };
        self.down = Some(Down { pause, probe_at: now + pause });
        self.per_second = self.per_second.min(FIRST_PER_SECOND);
    }

    /// A paced change that was sent before the outage does not end it.
    fn end_of_outage(&mut self, purpose: Purpose) {
        if purpose == Purpose::Probe {
            self.down = None;
            self.next = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance that always has something to store, for `time`, and a store that answers after
    /// 5 ms. Returns how many changes were sent.
    fn store(
        pace: &mut Pace,
        now: &mut Instant,
        time: Duration,
        mut answer: impl FnMut(Instant) -> Answer,
    ) -> u32 {
        let end = *now + time;
        let mut sent = 0;
        let mut in_flight = std::collections::VecDeque::new();
        while *now < end {
            while let Some((started, answers_at)) = in_flight.front().copied()
                && answers_at <= *now
            {
                in_flight.pop_front();
                pace.note(started, answer(answers_at), answers_at);
            }
            match pace.turn(*now) {
                Turn::Now(started) => {
                    sent += 1;
                    in_flight.push_back((started, *now + Duration::from_millis(5)));
                }
                Turn::NotBefore(at) => {
                    assert!(at > *now);
                    *now = at.min(*now + Duration::from_millis(1));
                }
            }
        }
        for (started, answers_at) in in_flight {
            pace.note(started, answer(answers_at), answers_at);
        }
        sent
    }

    #[test]
    fn a_store_that_answers_is_asked_more_and_more_up_to_a_limit() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let first = store(&mut pace, &mut now, Duration::from_secs(1), |_| Answer::Answered);
        assert!((95..=115).contains(&first), "{first}");
        store(&mut pace, &mut now, Duration::from_mins(1), |_| Answer::Answered);
        let last = store(&mut pace, &mut now, Duration::from_secs(1), |_| Answer::Answered);
        assert!((950..=1050).contains(&last), "{last}");
    }

    /// Whatever a table has left, the drain takes most of it and is seldom throttled.
    #[test]
    fn a_table_that_throttles_is_asked_about_as_often_as_it_can_answer() {
        for capacity in [5.0_f64, 40.0, 300.0] {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let (mut left, mut filled_at) = (capacity, now);
            let (mut throttled, mut stored) = (0, 0);
            let mut table = |at: Instant| {
                left = capacity.min(left + (at - filled_at).as_secs_f64() * capacity);
                filled_at = at;
                if left >= 1.0 {
                    left -= 1.0;
                    stored += 1;
                    Answer::Answered
                } else {
                    throttled += 1;
                    Answer::Throttled
                }
            };
            store(&mut pace, &mut now, Duration::from_mins(10), &mut table);
            let share = f64::from(stored) / (capacity * 600.0);
            assert!(share > 0.6, "{share} of {capacity} a second");
            let throttled = f64::from(throttled) / f64::from(stored);
            assert!(throttled < 0.05, "{throttled} at {capacity} a second");
        }
    }

    #[test]
    fn a_table_that_always_throttles_is_asked_once_a_second() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        store(&mut pace, &mut now, Duration::from_secs(30), |_| Answer::Throttled);
        let sent = store(&mut pace, &mut now, Duration::from_mins(1), |_| Answer::Throttled);
        assert!((55..=65).contains(&sent), "{sent}");
    }

    #[test]
    fn answers_to_what_was_sent_before_do_not_halve_the_rate_again() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut started = Vec::new();
        for number in 0..20 {
            match pace.turn(now + Duration::from_millis(number * 10)) {
                Turn::Now(turn) => started.push(turn),
                Turn::NotBefore(_) => {}
            }
        }
        assert_eq!(started.len(), 20);
        for turn in started {
            pace.note(turn, Answer::Throttled, now + Duration::from_millis(200));
        }
        assert!((pace.per_second() - FIRST_PER_SECOND / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_store_that_is_down_is_probed_and_asked_again_as_soon_as_it_answers() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        store(&mut pace, &mut now, Duration::from_mins(1), |_| Answer::Answered);
        store(&mut pace, &mut now, Duration::from_secs(30), |_| Answer::Failed);
        let sent = store(&mut pace, &mut now, Duration::from_mins(10), |_| Answer::Failed);
        assert!((50..=70).contains(&sent), "{sent} in ten minutes");
        let back = now;
        let mut noticed = None;
        store(&mut pace, &mut now, Duration::from_secs(12), |at| {
            noticed.get_or_insert(at);
            Answer::Answered
        });
        let noticed = noticed.unwrap() - back;
        assert!(noticed <= LONGEST_PAUSE + Duration::from_millis(10), "{noticed:?}");
        let sent = store(&mut pace, &mut now, Duration::from_secs(1), |_| Answer::Answered);
        assert!(sent >= 100, "{sent}");
    }

    /// A handler may die while it probes.
    #[test]
    fn a_probe_without_an_end_is_followed_by_another_one() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let Turn::Now(started) = pace.turn(now) else { panic!() };
        pace.note(started, Answer::Failed, now);
        let Turn::NotBefore(at) = pace.turn(now) else { panic!() };
        assert!(matches!(pace.turn(at), Turn::Now(_)));
        let Turn::NotBefore(next) = pace.turn(at) else { panic!("two probes at once") };
        assert!(next <= at + LONGEST_PAUSE);
        assert!(matches!(pace.turn(next), Turn::Now(_)));
    }
}
