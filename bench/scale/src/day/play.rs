//! The day, second by second. Callbacks are counted, not followed one by one.

use std::time::Duration;

use super::{
    drains::{self, Drains},
    gateway::Gateway,
    lambda::Lambda,
    people::{Counts, DAY, FUNCTIONS, KINDS, Kind, MINUTE, MOST_ATTEMPTS, OUTAGE, People},
    second::{Phase, Second},
    stack::{LIMITS, Limit, Stack},
    store::{Store, Written},
};
use crate::{
    measured::{FUNCTION_GB, QUEUE_ANSWERS_AFTER},
    outage::{self, Beginning},
};

/// What came of the day.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) seconds: Vec<Second>,
    /// By kind of callback: all of them, those that are sent again, those that are lost, and those that
    /// would be sent again after midnight.
    pub(crate) callbacks: Counts,
    pub(crate) again: Counts,
    pub(crate) lost: Counts,
    pub(crate) after_midnight: Counts,
    /// By phase and limit: how many attempts were refused, or went to the queue.
    pub(crate) limited: [[f64; LIMITS]; Phase::ALL.len()],
    /// In how many seconds each limit was reached.
    pub(crate) hit: [u32; LIMITS],
    pub(crate) drains: Drains,
    /// What the functions of callbacks took: how often they were called, and how long.
    pub(crate) calls: f64,
    pub(crate) gb_seconds: f64,
    /// What got through the gateway.
    pub(crate) requests: f64,
    /// Write units of table and index, without those of the drain.
    pub(crate) units: f64,
    /// The units of the queue's messages.
    pub(crate) queued_units: f64,
}

impl Played {
    pub(crate) fn of(&self, phase: Phase) -> Second {
        Second::sum(&self.seconds[phase.seconds()])
    }

    /// The most attempts in a second of a phase.
    pub(crate) fn peak(&self, phase: Phase) -> f64 {
        self.seconds[phase.seconds()].iter().map(Second::attempts).fold(0.0, f64::max)
    }
}

/// What is less than this share of a second's callbacks is an error of rounding.
const TOLERANCE: f64 = 1e-9;

/// Callbacks that will be sent again, by the second and by how often they were sent.
struct Again {
    due: Vec<[Counts; MOST_ATTEMPTS]>,
}

impl Again {
    fn new() -> Self {
        // A callback is sent again after less than a minute.
        Self { due: vec![[[0.0; KINDS]; MOST_ATTEMPTS]; MINUTE] }
    }

    fn add(&mut self, second: usize, attempts: usize, kind: usize, count: f64) {
        self.due[second % MINUTE][attempts][kind] += count;
    }

    fn take(&mut self, second: usize) -> [Counts; MOST_ATTEMPTS] {
        std::mem::replace(&mut self.due[second % MINUTE], [[0.0; KINDS]; MOST_ATTEMPTS])
    }
}

struct Play<'a> {
    stack: &'a Stack,
    people: People,
    gateway: Gateway,
    lambda: Lambda,
    store: Store,
    again: Again,
    beginning: Beginning,
    /// Callbacks that are still to be refused because the outage begins.
    refused_by_beginning: f64,
    played: Played,
}

/// Plays the whole day.
pub(crate) fn play(stack: &Stack, people: People) -> Played {
    let mut played = limits(stack, people);
    played.drains = drains::play(stack, people, &played.seconds);
    for (second, drained) in played.seconds.iter_mut().zip(&played.drains.stored) {
        second.drained = *drained;
    }
    played
}

/// Plays the day without the drains of the queue, which reach none of the limits: they yield.
pub(crate) fn limits(stack: &Stack, people: People) -> Played {
    phases(stack, people, &Phase::ALL)
}

/// The limits that are hit from the outage to the end of the evening, when all peaks are.
pub(crate) fn hits(stack: &Stack, people: People) -> [u32; LIMITS] {
    phases(stack, people, &Phase::ALL[Phase::Outage as usize..=Phase::Empties as usize]).hit
}

fn phases(stack: &Stack, people: People, phases: &[Phase]) -> Played {
    let free = stack.concurrency - f64::from(stack.replay.concurrency());
    let at_outage: f64 = people.callbacks(OUTAGE.start).iter().sum();
    let beginning = if free.is_infinite() && stack.starts.is_infinite() {
        Beginning { throttled: 0.0, busy: 0.0, settled_busy: 0.0 }
    } else {
        outage::beginning(at_outage.round() as u32, free, stack.starts)
    };
    let mut play = Play {
        stack,
        people,
        gateway: Gateway::new(stack),
        lambda: Lambda::warm(
            stack.starts,
            &by_function(&people.callbacks(phases[0].seconds().start)),
        ),
        store: Store::new(stack, people),
        again: Again::new(),
        refused_by_beginning: beginning.throttled,
        beginning,
        played: Played {
            seconds: Vec::with_capacity(DAY),
            callbacks: [0.0; KINDS],
            again: [0.0; KINDS],
            lost: [0.0; KINDS],
            after_midnight: [0.0; KINDS],
            limited: [[0.0; LIMITS]; Phase::ALL.len()],
            hit: [0; LIMITS],
            drains: Drains::default(),
            calls: 0.0,
            gb_seconds: 0.0,
            requests: 0.0,
            units: 0.0,
            queued_units: 0.0,
        },
    };
    for phase in phases {
        for second in phase.seconds() {
            play.second(second, *phase as usize);
        }
    }
    for attempts in play.again.due {
        for of_attempt in attempts {
            for (sum, count) in play.played.after_midnight.iter_mut().zip(of_attempt) {
                *sum += count;
            }
        }
    }
    play.played
}

impl Play<'_> {
    fn second(&mut self, at: usize, phase: usize) {
        let mut sent = self.again.take(at);
        let again = sum(&sent);
        sent[0] = self.people.callbacks(at);
        let arrived = sum(&sent);
        let through = self.gateway.take(self.stack, &arrived);
        let mut refused = [[0.0; KINDS]; LIMITS];
        refused[Limit::Route as usize] = through.by_route;
        refused[Limit::Gateway as usize] = through.by_account;
        let (served, written) = if OUTAGE.contains(&at) {
            (self.in_outage(at, &through.requests, &mut refused), None)
        } else {
            let (served, written) = self.at_work(&through.requests, &mut refused);
            (served, Some(written))
        };
        let mut second = self.note(phase, &arrived, &again, &served, &refused, written.as_ref());
        second.lost = self.send_again(at, &sent, &arrived, &refused);
        if let Some(written) = written {
            self.store.pass(&written, Duration::from_secs(at as u64));
        }
        self.played.requests += through.requests.iter().sum::<f64>();
        self.played.seconds.push(second);
    }

    /// Callbacks that get to an instance, and how long each takes.
    fn in_outage(
        &mut self,
        at: usize,
        requests: &Counts,
        refused: &mut [Counts; LIMITS],
    ) -> (Counts, Counts, f64) {
        let takes = [QUEUE_ANSWERS_AFTER.as_secs_f64(); KINDS];
        let served = self.lambda.second(
            &by_function(requests),
            &[takes[0]; FUNCTIONS],
            self.free(),
            self.stack.starts,
        );
        self.lambda.pass(&served);
        let mut got = served.get(requests, refused);
        let all: f64 = got.iter().sum();
        let unlucky = self.refused_by_beginning.min(all);
        if unlucky > 0.0 {
            self.refused_by_beginning -= unlucky;
            let limit = if self.beginning.busy >= self.free() - 1.0 {
                Limit::Concurrency
            } else {
                Limit::Starts
            };
            for (number, count) in got.iter_mut().enumerate() {
                refused[limit as usize][number] += *count * unlucky / all;
                *count *= 1.0 - unlucky / all;
            }
        }
        let is_beginning = at < OUTAGE.start + 3;
        let busy = if is_beginning { self.beginning.busy } else { self.beginning.settled_busy };
        (got, takes, busy.max(served.busy))
    }

    /// How many functions may run beside `spill-replay`.
    fn free(&self) -> f64 {
        self.stack.concurrency - f64::from(self.stack.replay.concurrency())
    }

    /// The store throttles what is too much, which takes time, and so takes more instances. What finds
    /// none does not get to the store. Looks for the shares at which both are right.
    fn at_work(
        &mut self,
        requests: &Counts,
        refused: &mut [Counts; LIMITS],
    ) -> ((Counts, Counts, f64), Written) {
        let callbacks = by_function(requests);
        let mut share = [1.0; FUNCTIONS];
        let mut step = 1.0;
        loop {
            let got: Counts =
                std::array::from_fn(|kind| requests[kind] * share[Kind::ALL[kind].function()]);
            let written = self.store.write(&got);
            let takes = mean(&got, &written.takes);
            let mut served = self.lambda.second(&callbacks, &takes, self.free(), self.stack.starts);
            let far = share.iter().zip(served.share).map(|(a, b)| (a - b).abs());
            if far.fold(0.0, f64::max) < TOLERANCE || step < 1e-3 {
                self.lambda.pass(&served);
                served.share = share;
                let got = served.get(requests, refused);
                let takes = written.takes;
                return ((got, takes, served.busy), written);
            }
            for (share, found) in share.iter_mut().zip(served.share) {
                *share += (found - *share) * step;
            }
            step *= 0.95;
        }
    }

    fn note(
        &mut self,
        phase: usize,
        arrived: &Counts,
        again: &Counts,
        (got, takes, busy): &(Counts, Counts, f64),
        refused: &[Counts; LIMITS],
        written: Option<&Written>,
    ) -> Second {
        let played = &mut self.played;
        let total = |counts: &Counts| counts.iter().sum::<f64>();
        let all = total(arrived);
        for (limit, counts) in refused.iter().enumerate() {
            let throttled = written.map_or(0.0, |written| total(&written.throttled[limit]));
            let limited = total(counts) + throttled;
            if limited > all * TOLERANCE {
                played.limited[phase][limit] += limited;
                played.hit[limit] += 1;
            }
        }
        let stored = written.map_or([0.0; KINDS], |written| written.stored);
        let mut events = 0.0;
        for (number, kind) in Kind::ALL.iter().enumerate() {
            let units = f64::from(kind.units().table + kind.units().index);
            played.callbacks[number] += arrived[number] - again[number];
            played.again[number] += again[number];
            played.units += stored[number] * units;
            played.queued_units += (got[number] - stored[number]) * units;
            played.calls += got[number];
            played.gb_seconds += got[number] * takes[number] * FUNCTION_GB;
            events += if kind.is_event() { stored[number] } else { 0.0 };
        }
        if events > self.stack.events {
            played.hit[Limit::Events as usize] += 1;
        }
        Second {
            callbacks: all - total(again),
            again: total(again),
            stored: total(&stored),
            queued: total(got) - total(&stored),
            refused: refused.iter().map(total).sum(),
            lost: 0.0,
            drained: 0.0,
            busy: *busy,
        }
    }

    /// Each refused attempt is followed by another one, or is the last. Returns how many are.
    fn send_again(
        &mut self,
        at: usize,
        sent: &[Counts; MOST_ATTEMPTS],
        arrived: &Counts,
        refused: &[Counts; LIMITS],
    ) -> f64 {
        let refused = sum(refused);
        let mut lost = 0.0;
        for (number, kind) in Kind::ALL.iter().enumerate() {
            if refused[number] <= 0.0 {
                continue;
            }
            let share = (refused[number] / arrived[number]).min(1.0);
            for (attempt, of_attempt) in sent.iter().enumerate() {
                let count = of_attempt[number] * share;
                if let Some(pause) = kind.sender().sends_again_after().get(attempt) {
                    self.again.add(at + pause, attempt + 1, number, count);
                } else {
                    self.played.lost[number] += count;
                    lost += count;
                }
            }
        }
        lost
    }
}

/// The sum of several counts.
fn sum(all: &[Counts]) -> Counts {
    let mut sum = [0.0; KINDS];
    for counts in all {
        for (sum, count) in sum.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    sum
}

fn by_function(counts: &Counts) -> [f64; FUNCTIONS] {
    let mut functions = [0.0; FUNCTIONS];
    for (kind, count) in Kind::ALL.iter().zip(counts) {
        functions[kind.function()] += count;
    }
    functions
}

/// How long a callback of each function takes on average.
fn mean(callbacks: &Counts, takes: &Counts) -> [f64; FUNCTIONS] {
    let (mut all, mut time) = ([0.0; FUNCTIONS], [0.0; FUNCTIONS]);
    for (number, kind) in Kind::ALL.iter().enumerate() {
        // A function without callbacks takes as long as any.
        let weight = callbacks[number].max(f64::MIN_POSITIVE);
        all[kind.function()] += weight;
        time[kind.function()] += weight * takes[number];
    }
    std::array::from_fn(|function| time[function] / all[function])
}
