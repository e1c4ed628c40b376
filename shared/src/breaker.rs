//! A circuit breaker before the store.
//!
//! Example: DynamoDB hangs, and 10,000 callbacks come in a second. If each of them waited 900 ms for it,
//! 9,000 instances of functions would be busy at any time. So after one time-out an instance sends its
//! callbacks to the spill queue at once. Some seconds later it tries the store with one callback, which
//! waits for a fifth of a second or so. If the store answers, all callbacks ask it again.
//!
//! Each instance decides for itself, by what it saw. The waits are random, or all instances would try at
//! the same time.

use std::{
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many failures in a row open the breaker. One time-out is enough.
pub const FAILURES: u32 = 3;

/// The shortest time from the beginning of one attempt that failed to the next one.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(4);

/// The longest one: this long after the store answers again, no instance passes it by any more.
pub const LONGEST_WAIT: Duration = Duration::from_secs(12);

/// What an attempt showed of the store, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreState {
    /// It answered, be it by refusing one item, or one partition that is too hot.
    Answers,
    /// It failed: it could not be reached, it had an internal error, or the whole table was throttled.
    Fails,
    /// It did not answer in time.
    Hangs,
}

/// Decides whether a callback asks the store. Clones are one breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    seed: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The store is asked.
    Closed { failures: u32 },
    /// It is passed by until then.
    Open { until: Instant },
    /// One callback tries it.
    HalfOpen { since: Instant },
}

/// What kind of attempt it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// The store is expected to answer.
    Usual,
    /// It did not answer before. So this one attempt must not wait for long.
    Probe,
}

/// The permission to ask the store. If it is dropped without [`Attempt::showed`], the store did not
/// answer.
#[derive(Debug)]
#[must_use = "the breaker learns from what the attempt showed"]
pub struct Attempt<'a> {
    breaker: &'a Breaker,
    kind: AttemptKind,
    began: Instant,
    showed: StoreState,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::with_seed(RandomState::new().build_hasher().finish())
    }
}

impl Breaker {
    /// A breaker whose random waits follow from a seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        let state = State { seed, phase: Phase::Closed { failures: 0 } };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The permission for a callback that came at `now`; `None` if it has to pass the store by.
    #[must_use = "the breaker learns from what the attempt showed"]
    pub fn admit(&self, now: Instant) -> Option<Attempt<'_>> {
        let kind = self.change(|state| match state.phase {
            Phase::Closed { .. } => Some(AttemptKind::Usual),
            Phase::Open { until } if until <= now => {
                state.phase = Phase::HalfOpen { since: now };
                Some(AttemptKind::Probe)
            }
            Phase::Open { .. } | Phase::HalfOpen { .. } => None,
        })?;
        Some(Attempt { breaker: self, kind, began: now, showed: StoreState::Hangs })
    }

    /// Notes what the read showed with which a function starts. It is one attempt with the SDK's
    /// retries, and the only one so far: a failure is enough.
    pub fn note_start(&self, began: Instant, showed: StoreState) {
        let showed = if showed == StoreState::Answers { showed } else { StoreState::Hangs };
        self.learn(AttemptKind::Usual, began, showed);
    }

    /// Whether callbacks pass the store by.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.change(|state| !matches!(state.phase, Phase::Closed { .. }))
    }

    fn learn(&self, kind: AttemptKind, began: Instant, showed: StoreState) {
        let (before, after) = self.change(|state| {
            let before = state.phase;
            state.phase = match (before, showed) {
                (_, StoreState::Answers) => Phase::Closed { failures: 0 },
                (Phase::Closed { failures }, StoreState::Fails) if failures + 1 < FAILURES => {
                    Phase::Closed { failures: failures + 1 }
                }
                (Phase::Closed { .. }, _) => state.open(began),
                (Phase::HalfOpen { since }, _) if kind == AttemptKind::Probe && since == began => {
                    state.open(began)
                }
                // An attempt from before says nothing new.
                (Phase::Open { .. } | Phase::HalfOpen { .. }, _) => before,
            };
            (before, state.phase)
        });
        match (before, after) {
            (Phase::Closed { .. }, Phase::Open { .. }) => {
                tracing::warn!("the store does not answer: callbacks go to the spill queue first");
            }
            (Phase::Open { .. } | Phase::HalfOpen { .. }, Phase::Closed { .. }) => {
                tracing::info!("the store answers again");
            }
            _ => {}
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn open(&mut self, began: Instant) -> Phase {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        self.seed = hasher.finish();
        let spread = LONGEST_WAIT.saturating_sub(SHORTEST_WAIT);
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(self.seed % (spread + 1));
        Phase::Open { until: began + SHORTEST_WAIT + jitter }
    }
}

impl Attempt<'_> {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> AttemptKind {
        self.kind
    }

    /// The attempt is over.
    pub fn showed(mut self, state: StoreState) {
        self.showed = state;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.breaker.learn(self.kind, self.began, self.showed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens to a breaker.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// A callback comes, and this is what it sees if it asks the store.
        Callback(StoreState),
        /// A callback comes, asks the store, and is given up.
        Dropped,
        /// Time passes.
        Wait(Duration),
    }

    fn step() -> impl Strategy<Value = Step> {
        let state = prop_oneof![
            Just(StoreState::Answers),
            Just(StoreState::Fails),
            Just(StoreState::Hangs)
        ];
        prop_oneof![
            6 => state.prop_map(Step::Callback),
            1 => Just(Step::Dropped),
            4 => (0..15_000_u64).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        ]
    }

    proptest! {
        /// Once the store answers, a breaker lets every callback ask it after the longest wait at the
        /// latest, whatever it has seen before.
        #[test]
        fn promise_5_never_lost_nothing_passes_by_a_store_that_answers(
            seed: u64,
            steps in prop::collection::vec(step(), 0..60),
            later in 0..100_000_u64,
        ) {
            let breaker = Breaker::with_seed(seed);
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Wait(time) => now += time,
                    Step::Dropped => drop(breaker.admit(now)),
                    Step::Callback(state) => if let Some(attempt) = breaker.admit(now) {
                        attempt.showed(state);
                    },
                }
            }
            now += LONGEST_WAIT + Duration::from_millis(later);
            let attempt = breaker.admit(now);
            prop_assert!(attempt.is_some());
            attempt.unwrap().showed(StoreState::Answers);
            prop_assert!(!breaker.is_open());
            prop_assert_eq!(breaker.admit(now).unwrap().kind(), AttemptKind::Usual);
        }

        /// While the store hangs, no more than one callback asks it in the shortest wait.
        #[test]
        fn a_store_that_hangs_is_asked_once_in_a_while(
            seed: u64,
            gaps in prop::collection::vec(0..3000_u64, 0..100),
        ) {
            let breaker = Breaker::with_seed(seed);
            let mut now = Instant::now();
            let mut last: Option<Instant> = None;
            for gap in gaps {
                now += Duration::from_millis(gap);
                let Some(attempt) = breaker.admit(now) else { continue };
                if let Some(last) = last {
                    prop_assert!(now >= last + SHORTEST_WAIT, "after {:?}", now - last);
                }
                last = Some(now);
                attempt.showed(StoreState::Hangs);
            }
        }
    }

    #[test]
    fn a_few_failures_in_a_row_open_it_and_one_time_out() {
        let (now, breaker) = (Instant::now(), Breaker::with_seed(1));
        let see = |state| breaker.admit(now).unwrap().showed(state);
        for _ in 0..2 {
            for _ in 1..FAILURES {
                see(StoreState::Fails);
            }
            assert!(!breaker.is_open());
            see(StoreState::Answers);
        }
        for _ in 0..FAILURES {
            see(StoreState::Fails);
        }
        assert!(breaker.is_open() && breaker.admit(now).is_none());
        let other = Breaker::with_seed(1);
        other.admit(now).unwrap().showed(StoreState::Hangs);
        assert!(other.is_open());
    }

    #[test]
    fn one_callback_at_a_time_tries_a_store_that_failed() {
        let breaker = Breaker::with_seed(1);
        let start = Instant::now();
        breaker.note_start(start, StoreState::Fails);
        assert!(breaker.admit(start).is_none());
        let later = start + LONGEST_WAIT;
        let probe = breaker.admit(later).unwrap();
        assert_eq!(probe.kind(), AttemptKind::Probe);
        assert!(breaker.admit(later).is_none(), "only one");
        // An attempt that began before everything failed does not end the probe.
        breaker.learn(AttemptKind::Usual, start, StoreState::Fails);
        assert!(breaker.admit(later + LONGEST_WAIT).is_none());
        drop(probe);
        assert!(breaker.admit(later).is_none(), "a probe that was given up has failed");
        assert!(breaker.admit(later + LONGEST_WAIT).is_some());
    }
}
