//! DynamoDB hangs while callbacks go on coming: how many functions are busy, and how many callbacks find
//! none.
//!
//! Each instance has Rollcall's own [`Breaker`], and its own time limits. Lambda gives a callback to an
//! instance that is idle, or starts one: as many as the account allows, and so many of one function in
//! ten seconds. What is above is throttled, and no code of ours runs.

use std::{fmt::Write, time::Duration};

use rollcall::{
    breaker::{AttemptKind, Breaker, StoreState},
    handler,
};
use tokio::time::Instant;

use crate::{
    events::Events,
    measured::{
        CALLBACK_TAKES, FIRST_QUEUE_ANSWER_AFTER, INSTANCE_STARTS_AFTER, QUEUE_ANSWERS_AFTER,
    },
    quotas::{CONCURRENCY, INSTANCES_IN_TEN_SECONDS, RAISED_CONCURRENCY},
};

/// The default of `ROLLCALL_BUDGET_MS`.
const BUDGET: Duration = Duration::from_millis(1500);

/// How long a function's start waits for the table (`WARM_UP_LIMIT`).
const WARM_UP: Duration = Duration::from_millis(300);

/// By how many functions the callbacks come, each as many.
const FUNCTIONS: usize = 4;

/// How long callbacks come before the outage.
const BEFORE: Duration = Duration::from_secs(5);

/// How long it lasts in the table of docs/scale.md, and how long they come after it.
const OUTAGE: Duration = Duration::from_mins(1);
const AFTER: Duration = Duration::from_secs(20);

/// From when on the target counts, from the beginning of the outage.
const SETTLED: Duration = Duration::from_secs(3);

/// Which of several idle instances gets a callback. AWS does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// The one that was busy last.
    Last,
    /// Any of them.
    Any,
}

/// What an instance does when the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instances {
    /// It waits for the store with each callback.
    Wait,
    /// It has a breaker.
    Break,
}

#[derive(Debug, Clone, Copy)]
struct Scenario {
    /// Callbacks in a second.
    rate: u32,
    concurrency: usize,
    /// How many instances of a function Lambda makes in ten seconds.
    starts: f64,
    /// How long the outage lasts, and how long callbacks come after it.
    lasts: Duration,
    after: Duration,
    gets: Gets,
    instances: Instances,
}

/// What happened.
#[derive(Debug, Default)]
struct Played {
    /// The most instances that were busy at a time, before and after [`SETTLED`].
    peak: usize,
    settled_peak: usize,
    callbacks: u64,
    /// Callbacks for which no instance was free, and those of them before the outage.
    throttled: u64,
    early_throttled: u64,
    settled_throttled: u64,
    /// How long after the end of the outage the last callback went to the queue.
    last_spilled: Duration,
}

#[derive(Debug)]
struct Instance {
    function: usize,
    breaker: Breaker,
    has_sent: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Callback(u64),
    /// A callback of an instance is answered.
    Idle(usize),
}

struct Play {
    scenario: Scenario,
    random: fastrand::Rng,
    start: Instant,
    instances: Vec<Instance>,
    /// The idle instances of each function.
    idle: [Vec<usize>; FUNCTIONS],
    busy: usize,
    /// How many instances of each function may be made at once, and since when.
    allowance: [(f64, Duration); FUNCTIONS],
    played: Played,
}

impl Scenario {
    fn play(self) -> Played {
        let mut play = Play {
            scenario: self,
            random: fastrand::Rng::with_seed(7),
            start: Instant::now(),
            instances: Vec::new(),
            idle: Default::default(),
            busy: 0,
            allowance: [(self.starts, Duration::ZERO); FUNCTIONS],
            played: Played::default(),
        };
        let mut events = Events::new();
        events.add(Duration::ZERO, Event::Callback(0));
        while let Some((now, event)) = events.next() {
            match event {
                Event::Idle(instance) => {
                    play.busy -= 1;
                    play.idle[play.instances[instance].function].push(instance);
                }
                Event::Callback(number) => {
                    if let Some((instance, takes)) = play.callback(number, now) {
                        events.add(now + takes, Event::Idle(instance));
                    }
                    let next = Duration::from_secs(1)
                        * u32::try_from(number + 1).unwrap_or(u32::MAX)
                        / self.rate;
                    if next < BEFORE + self.lasts + self.after {
                        events.add(next, Event::Callback(number + 1));
                    }
                }
            }
        }
        play.played
    }
}

impl Play {
    /// Whether a request that comes then is never answered by the store.
    fn hangs(&self, now: Duration) -> bool {
        (BEFORE..BEFORE + self.scenario.lasts).contains(&now)
    }

    /// A callback comes. Returns the instance that gets it, and how long that takes.
    fn callback(&mut self, number: u64, now: Duration) -> Option<(usize, Duration)> {
        let is_settled = now >= BEFORE + SETTLED;
        self.played.callbacks += 1;
        let function = number as usize % FUNCTIONS;
        let Some((instance, starts)) = self.instance(function, now) else {
            self.played.throttled += 1;
            self.played.early_throttled += u64::from(now < BEFORE);
            self.played.settled_throttled += u64::from(is_settled);
            return None;
        };
        self.busy += 1;
        let peak = if is_settled { &mut self.played.settled_peak } else { &mut self.played.peak };
        *peak = self.busy.max(*peak);
        Some((instance, starts + self.handle(instance, now + starts)))
    }

    /// An instance for a callback, and how long it takes to start.
    fn instance(&mut self, function: usize, now: Duration) -> Option<(usize, Duration)> {
        let idle = &mut self.idle[function];
        if !idle.is_empty() {
            let index = match self.scenario.gets {
                Gets::Last => idle.len() - 1,
                Gets::Any => self.random.usize(..idle.len()),
            };
            return Some((idle.swap_remove(index), Duration::ZERO));
        }
        let (allowed, since) = &mut self.allowance[function];
        let starts = self.scenario.starts;
        let more = now.saturating_sub(*since).as_secs_f64() * starts / 10.0;
        (*allowed, *since) = ((*allowed + more).min(starts), now);
        if *allowed < 1.0 || self.busy >= self.scenario.concurrency {
            return None;
        }
        *allowed -= 1.0;
        let breaker = Breaker::with_seed(self.random.u64(..));
        let reads_at = now + INSTANCE_STARTS_AFTER;
        let (state, read) = if self.hangs(reads_at) {
            (StoreState::Hangs, WARM_UP)
        } else {
            (StoreState::Answers, CALLBACK_TAKES)
        };
        breaker.note_start(self.start + reads_at, state);
        self.instances.push(Instance { function, breaker, has_sent: false });
        Some((self.instances.len() - 1, INSTANCE_STARTS_AFTER + read))
    }

    /// How long an instance takes for a callback.
    fn handle(&mut self, instance: usize, now: Duration) -> Duration {
        let hangs = self.hangs(now);
        let instance = &mut self.instances[instance];
        let asked = match self.scenario.instances {
            Instances::Wait if hangs => handler::store_limit(BUDGET),
            Instances::Wait => return CALLBACK_TAKES,
            Instances::Break => match instance.breaker.admit(self.start + now) {
                Some(attempt) if hangs => {
                    let limit = match attempt.kind() {
                        AttemptKind::Usual => handler::store_limit(BUDGET),
                        AttemptKind::Probe => handler::probe_limit(BUDGET),
                    };
                    attempt.showed(StoreState::Hangs);
                    limit
                }
                Some(attempt) => {
                    attempt.showed(StoreState::Answers);
                    return CALLBACK_TAKES;
                }
                None => Duration::ZERO,
            },
        };
        self.played.last_spilled = now.saturating_sub(BEFORE + self.scenario.lasts);
        let sending =
            if instance.has_sent { QUEUE_ANSWERS_AFTER } else { FIRST_QUEUE_ANSWER_AFTER };
        instance.has_sent = true;
        asked + sending
    }
}

/// How an outage begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// Callbacks that find no instance before the breakers are open.
    pub(crate) throttled: f64,
    /// The most instances that are busy meanwhile, and after it.
    pub(crate) busy: f64,
    pub(crate) settled_busy: f64,
}

/// Plays the first seconds of an outage: so many callbacks a second, an account that may run so many
/// functions at once, and so many new ones of each function in ten seconds.
pub(crate) fn beginning(rate: u32, concurrency: f64, starts: f64) -> Beginning {
    let played = Scenario {
        rate: rate.max(1),
        concurrency: concurrency as usize,
        starts,
        lasts: SETTLED * 4,
        after: Duration::ZERO,
        gets: Gets::Any,
        instances: Instances::Break,
    }
    .play();
    Beginning {
        throttled: (played.throttled - played.early_throttled) as f64,
        busy: played.peak as f64,
        settled_busy: played.settled_peak as f64,
    }
}

/// How many callbacks find no instance when so many a second begin to come, without an outage.
#[cfg(test)]
pub(crate) fn start(rate: u32, concurrency: f64) -> f64 {
    let scenario = Scenario {
        rate,
        concurrency: concurrency as usize,
        starts: INSTANCES_IN_TEN_SECONDS,
        lasts: Duration::ZERO,
        after: Duration::ZERO,
        gets: Gets::Any,
        instances: Instances::Break,
    };
    scenario.play().throttled as f64
}

fn scenarios() -> Vec<(&'static str, Scenario)> {
    let of = |instances, concurrency, gets| Scenario {
        rate: 10_000,
        concurrency,
        starts: INSTANCES_IN_TEN_SECONDS,
        lasts: OUTAGE,
        after: AFTER,
        gets,
        instances,
    };
    vec![
        ("each waits for the store", of(Instances::Wait, CONCURRENCY, Gets::Last)),
        ("each waits for the store", of(Instances::Wait, RAISED_CONCURRENCY, Gets::Last)),
        ("breakers", of(Instances::Break, CONCURRENCY, Gets::Last)),
        ("breakers", of(Instances::Break, CONCURRENCY, Gets::Any)),
        ("breakers", of(Instances::Break, RAISED_CONCURRENCY, Gets::Last)),
        ("breakers", of(Instances::Break, RAISED_CONCURRENCY, Gets::Any)),
    ]
}

/// The table of docs/scale.md.
pub(crate) fn report() -> String {
    let mut report = String::from(
        "| 10,000/s, a minute's outage | concurrency of the account | a callback goes to | busy at most in the first 3 s | after 3 s | callbacks throttled | after 3 s | last one in the queue after the outage |\n\
         | --- | --: | --- | --: | --: | --: | --: | --: |\n",
    );
    for (name, scenario) in scenarios() {
        let played = scenario.play();
        let gets = match scenario.gets {
            Gets::Last => "the instance that was busy last",
            Gets::Any => "any idle instance",
        };
        let _ = writeln!(
            report,
            "| {name} | {} | {gets} | {} | {} | {} of {} | {} | {:.1} s |",
            scenario.concurrency,
            played.peak,
            played.settled_peak,
            played.throttled,
            played.callbacks,
            played.settled_throttled,
            played.last_spilled.as_secs_f64(),
        );
    }
    report
}

#[cfg(test)]
mod tests {
    use rollcall::breaker::LONGEST_WAIT;

    use super::*;

    /// The target: at most 700 are busy from 3 s after the beginning on, and nothing goes to the queue
    /// later than the longest wait after the end.
    #[test]
    fn with_breakers_few_functions_are_busy_while_the_store_hangs() {
        for (name, scenario) in scenarios() {
            let played = scenario.play();
            match scenario.instances {
                Instances::Wait => {
                    assert!(played.settled_peak >= scenario.concurrency.min(5_000), "{played:?}");
                }
                Instances::Break => {
                    assert!(played.settled_peak <= 700, "{name} {scenario:?}: {played:?}");
                    assert_eq!(played.settled_throttled, 0, "{name} {scenario:?}: {played:?}");
                    assert!(played.last_spilled <= LONGEST_WAIT, "{name}: {played:?}");
                }
            }
        }
    }
}
