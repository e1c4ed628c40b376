//! How long the spill queue needs to run empty after an outage of the store, while callbacks keep
//! coming.
//!
//! The instances of `spill-replay`, the queue and the table are played. The [`Pace`] of each instance
//! and the [`wait`] of a message are the real code. Instances do not know one another, so a tenth of
//! them with a tenth of the table and of the traffic behave alike.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    time::Duration,
};

use rollcall::spill::{Answer, LONGEST_WAIT, Pace, STORE_PERCENT, Started, Turn, wait};
use tokio::time::Instant;

use crate::{
    events::Events,
    measured::{CPU_MICROS, INDEX_UNITS, LIVE_PAUSES, MESSAGE_BYTES, STORE_ANSWERS_AFTER},
    quotas::{
        FIRST_BATCHES, MB_OF_ONE_CPU, MESSAGES_IN_FLIGHT, MORE_BATCHES_A_MINUTE, NEW_TABLE_UNITS,
        POLLER_BYTES_A_SECOND, POLLER_INVOCATIONS, TABLE_UNITS,
    },
    table::{Capacity, Table},
};

/// How long the store is down in the table of docs/scale.md.
const OUTAGE: Duration = Duration::from_hours(1);

/// How the queue is read, and by what. (`SpillReplay` in template.yaml)
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    kind: Kind,
    concurrency: u32,
    batch: u32,
    memory_mb: u32,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each message is tried once, and then waits for up to 44 minutes.
    Once,
    /// At the pace that the store takes, until the time is over.
    AtPace,
}

/// Before this simulation was written.
const BEFORE: Replay = Replay {
    kind: Kind::Once,
    concurrency: 2,
    batch: 10,
    memory_mb: 1024,
    timeout: Duration::from_mins(1),
};

/// As docs/scale.md advises for 10,000 callbacks a second. A test compares the rest with template.yaml.
const NOW: Replay = Replay {
    kind: Kind::AtPace,
    concurrency: 150,
    batch: 50,
    memory_mb: 512,
    timeout: Duration::from_mins(1),
};

impl Replay {
    /// With this `DrainConcurrency`.
    pub(crate) const fn of(concurrency: u32) -> Self {
        Self { concurrency, ..NOW }
    }

    pub(crate) const fn concurrency(self) -> u32 {
        self.concurrency
    }

    /// In an outage each instance keeps its batch and then lets it wait: never more messages than this
    /// are in flight, however long it is.
    pub(crate) fn most_in_flight(self) -> f64 {
        let held = self.timeout * STORE_PERCENT / 100;
        let rounds = 1.0 + LONGEST_WAIT.as_secs_f64() / held.as_secs_f64();
        f64::from(self.concurrency * self.batch) * rounds
    }

    /// For so long, this many functions are busy: what they take of Lambda, in GB-seconds.
    pub(crate) fn gb_seconds(self, time: Duration) -> f64 {
        time.as_secs_f64() * f64::from(self.concurrency * self.memory_mb) / 1024.0
    }

    /// How often Lambda calls the function for so many messages, at least.
    pub(crate) fn calls(self, messages: f64) -> f64 {
        messages / f64::from(self.batch)
    }
}

/// The default of `DrainConcurrency`.
pub(crate) const DEFAULT: Replay = Replay::of(5);

/// What the same page advises for 1,000 callbacks a second.
pub(crate) const MEDIUM: Replay = Replay::of(50);

/// The longest wait before.
const LONGEST_WAIT_BEFORE: Duration = Duration::from_mins(44);

/// How the store fails, and after how long a single request to it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outage {
    /// It refuses at once.
    Refuses,
    /// It does not answer. (half of `REPLAY_LIMIT` in shared/src/runtime/mod.rs)
    Hangs,
}

impl Outage {
    fn ends_after(self) -> Duration {
        match self {
            Self::Refuses => STORE_ANSWERS_AFTER,
            Self::Hangs => Duration::from_millis(2500),
        }
    }
}

/// What the index, which is tighter than the table, takes when the outage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warmth {
    /// Twice the live traffic, and at least what a new one takes.
    OfLiveTraffic,
    /// All that the quota allows.
    Warm,
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Callbacks a second that go to the queue, and for how long.
    pub(crate) spilled: u32,
    pub(crate) lasts: Duration,
    /// Callbacks a second after that.
    pub(crate) live: u32,
    pub(crate) replay: Replay,
    /// What the index, which is tighter than the table, takes.
    pub(crate) index: Capacity,
    pub(crate) outage: Outage,
    /// One of how many is played.
    pub(crate) one_of: u32,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Drained {
    /// From the end of the outage until nothing waits.
    pub(crate) after: Duration,
    /// The most messages that were in flight at the same time.
    pub(crate) in_flight: u64,
    /// For each second of the drain, how many messages were stored.
    pub(crate) stored: Vec<u64>,
    /// For each second of the drain, the share of live writes whose attempt was throttled.
    throttled: Vec<f64>,
}

impl Drained {
    /// The share of live writes of which so many attempts were throttled.
    fn throttled(&self, attempts: i32) -> f64 {
        let all: f64 = self.throttled.iter().map(|share| share.powi(attempts)).sum();
        all / self.throttled.len().max(1) as f64
    }

    /// By how much an average live answer is later.
    pub(crate) fn slowdown(&self) -> Duration {
        let attempts = (1..).zip(LIVE_PAUSES);
        let later =
            |(n, pause): (i32, Duration)| (pause + STORE_ANSWERS_AFTER).mul_f64(self.throttled(n));
        attempts.map(later).sum()
    }

    /// The share of live callbacks that are spilled again, because each attempt was throttled.
    fn spilled_again(&self) -> f64 {
        // The first attempt, and one after each pause.
        self.throttled(1 + i32::try_from(LIVE_PAUSES.len()).unwrap_or(i32::MAX))
    }

    /// The largest share of live writes that was throttled in a second.
    fn worst_second(&self) -> f64 {
        self.throttled.iter().copied().fold(0.0, f64::max)
    }
}

/// The units of the index that so many callbacks a second take, of which half enter a room and half
/// leave it.
fn index_units(callbacks: u32) -> f64 {
    let units: u32 = INDEX_UNITS.iter().sum();
    f64::from(callbacks) * f64::from(units) / INDEX_UNITS.len() as f64
}

impl Warmth {
    fn capacity(self, live: u32) -> Capacity {
        let most = f64::from(TABLE_UNITS);
        let units = match self {
            Self::OfLiveTraffic => (2.0 * index_units(live)).max(f64::from(NEW_TABLE_UNITS)),
            Self::Warm => most,
        };
        Capacity::new(units, most)
    }
}

impl Scenario {
    /// An hour's outage at `live` callbacks a second.
    fn hour(live: u32, replay: Replay, warmth: Warmth, outage: Outage, one_of: u32) -> Self {
        let index = warmth.capacity(live);
        Self { spilled: live, lasts: OUTAGE, live, replay, index, outage, one_of }
    }

    fn share(&self) -> f64 {
        1.0 / f64::from(self.one_of)
    }

    fn table(&self) -> Table {
        let live = index_units(self.live) * self.share();
        Table::new(self.index.part(self.share()), live, INDEX_UNITS[1])
    }

    pub(crate) fn play(self) -> Drained {
        Simulation::new(self).run()
    }
}

/// A message that is not in the queue for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    id: u64,
    receive_count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// An instance is free and a poller begins to gather its next batch.
    Free(usize),
    /// It has its batch.
    Invoked(usize),
    /// A change waits for its turn in an instance.
    Look(usize),
    /// The oldest request of an instance ends.
    Ends(usize),
    /// A message that waited is visible again.
    Visible(Message),
}

#[derive(Debug, Default)]
struct Instance {
    pace: Pace,
    batch: Vec<Message>,
    asked: VecDeque<(Started, Message, Duration)>,
    /// Until when the batch is tried.
    until: Duration,
    /// Until when its CPU has something to do.
    busy_until: Duration,
    is_looking: bool,
}

struct Simulation {
    scenario: Scenario,
    start: Instant,
    now: Duration,
    events: Events<Event>,
    instances: Vec<Instance>,
    table: Table,
    random: fastrand::Rng,
    /// How many messages were received for the first time.
    received: u64,
    stored: u64,
    /// In each second after the outage.
    stored_in: Vec<u64>,
    returned: Vec<Message>,
    in_flight: u64,
    most_in_flight: u64,
}

impl Simulation {
    fn new(scenario: Scenario) -> Self {
        let table = scenario.table();
        let instances = (scenario.replay.concurrency / scenario.one_of).max(1);
        let mut events = Events::new();
        for number in 0..instances {
            let late = (number * scenario.one_of).saturating_sub(FIRST_BATCHES);
            let at =
                Duration::from_mins(1).mul_f64(f64::from(late) / f64::from(MORE_BATCHES_A_MINUTE));
            events.add(at, Event::Free(number as usize));
        }
        Self {
            start: Instant::now(),
            now: Duration::ZERO,
            events,
            instances: (0..instances).map(|_| Instance::default()).collect(),
            table,
            scenario,
            random: fastrand::Rng::with_seed(7),
            received: 0,
            stored: 0,
            stored_in: Vec::new(),
            returned: Vec::new(),
            in_flight: 0,
            most_in_flight: 0,
        }
    }

    /// How many messages have come into the queue.
    fn spilled(&self) -> u64 {
        let a_second = f64::from(self.scenario.spilled) * self.scenario.share();
        (self.now.min(self.scenario.lasts).as_secs_f64() * a_second) as u64
    }

    fn run(mut self) -> Drained {
        let mut is_over = false;
        while let Some((now, event)) = self.events.next() {
            if now >= self.scenario.lasts && !is_over {
                is_over = true;
                // Until now nothing was written, so the table begins here.
                self.table.watch(self.scenario.lasts);
            }
            self.now = now;
            if is_over && self.stored == self.spilled() {
                break;
            }
            match event {
                Event::Free(number) => self.gather(number),
                Event::Invoked(number) => self.invoke(number),
                Event::Look(number) => {
                    self.instances[number].is_looking = false;
                    self.look(number);
                }
                Event::Ends(number) => self.end(number),
                Event::Visible(message) => {
                    self.in_flight -= 1;
                    self.returned.push(message);
                }
            }
        }
        Drained {
            after: self.now.saturating_sub(self.scenario.lasts),
            in_flight: self.most_in_flight * u64::from(self.scenario.one_of),
            stored: self.stored_in.iter().map(|n| n * u64::from(self.scenario.one_of)).collect(),
            throttled: self.table.throttled(self.now),
        }
    }

    fn gather(&mut self, number: usize) {
        let fresh = self.spilled() - self.received;
        let visible = fresh + self.returned.len() as u64;
        let size = u64::from(self.scenario.replay.batch).min(visible);
        if size == 0 {
            // A long poll ends with the first message.
            self.events.add(self.now + Duration::from_millis(100), Event::Free(number));
            return;
        }
        for _ in 0..size {
            let message = self.receive();
            self.instances[number].batch.push(message);
        }
        self.in_flight += size;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        let bytes = size as f64 * f64::from(MESSAGE_BYTES);
        let a_second = f64::from(POLLER_BYTES_A_SECOND) / f64::from(POLLER_INVOCATIONS);
        let gathered = self.now + Duration::from_secs_f64(bytes / a_second);
        self.events.add(gathered, Event::Invoked(number));
    }

    /// SQS returns any of the visible messages.
    fn receive(&mut self) -> Message {
        let fresh = self.spilled() - self.received;
        let place = self.random.u64(..fresh + self.returned.len() as u64);
        if place < fresh {
            self.received += 1;
            return Message { id: self.received, receive_count: 1 };
        }
        let message = self.returned.swap_remove((place - fresh) as usize);
        Message { receive_count: message.receive_count + 1, ..message }
    }

    fn invoke(&mut self, number: usize) {
        let timeout = self.scenario.replay.timeout;
        let instance = &mut self.instances[number];
        instance.until = self.now + timeout * STORE_PERCENT / 100;
        match self.scenario.replay.kind {
            Kind::AtPace => self.look(number),
            Kind::Once => self.try_once(number),
        }
    }

    /// All messages at the same time, each with the SDK's own attempts.
    fn try_once(&mut self, number: usize) {
        let batch = std::mem::take(&mut self.instances[number].batch);
        let took = if self.now >= self.scenario.lasts {
            self.note_stored(batch.len() as u64);
            STORE_ANSWERS_AFTER + self.cpu() * batch.len() as u32
        } else {
            let took = match self.scenario.outage {
                Outage::Refuses => STORE_ANSWERS_AFTER * 4 + LIVE_PAUSES.iter().sum::<Duration>(),
                Outage::Hangs => Outage::Hangs.ends_after() * 2,
            };
            for message in batch {
                let longest = (Duration::from_secs(10)
                    * (1 << (message.receive_count - 1).min(20)))
                .min(LONGEST_WAIT_BEFORE);
                let wait = longest.mul_f64(0.5 + self.random.f64() / 2.0);
                self.events.add(self.now + took + wait, Event::Visible(message));
            }
            took
        };
        self.events.add(self.now + took, Event::Free(number));
    }

    /// Sends what may be sent now.
    fn look(&mut self, number: usize) {
        let cpu = self.cpu();
        let instance = &mut self.instances[number];
        while !instance.batch.is_empty() && self.now < instance.until {
            let next = match instance.pace.turn(self.start + self.now.max(instance.busy_until)) {
                Turn::Now(started) => {
                    let Some(message) = instance.batch.pop() else { break };
                    instance.busy_until = self.now.max(instance.busy_until) + cpu;
                    let answered = if self.now >= self.scenario.lasts {
                        STORE_ANSWERS_AFTER
                    } else {
                        self.scenario.outage.ends_after()
                    };
                    let sent = instance.busy_until;
                    instance.asked.push_back((started, message, sent));
                    self.events.add(sent + answered, Event::Ends(number));
                    continue;
                }
                Turn::NotBefore(at) => at - self.start,
            };
            if !instance.is_looking {
                instance.is_looking = true;
                // As `LOOK_AGAIN` in shared/src/replay.rs.
                let next = next.min(self.now + Duration::from_millis(100)).min(instance.until);
                self.events
                    .add(next.max(self.now + Duration::from_micros(100)), Event::Look(number));
            }
            return;
        }
        if instance.asked.is_empty() && !instance.is_looking {
            self.finish(number);
        }
    }

    fn end(&mut self, number: usize) {
        let Some((started, message, sent)) = self.instances[number].asked.pop_front() else {
            return;
        };
        let answer = if sent < self.scenario.lasts {
            Answer::Failed
        } else if self.table.write(INDEX_UNITS[message.id as usize % 2], self.now).is_ok() {
            Answer::Answered
        } else {
            Answer::Throttled
        };
        let instance = &mut self.instances[number];
        instance.pace.note(started, answer, self.start + self.now);
        if answer != Answer::Answered {
            instance.batch.insert(0, message);
        }
        let is_looking = instance.is_looking;
        if answer == Answer::Answered {
            self.note_stored(1);
        }
        if !is_looking {
            self.look(number);
        }
    }

    fn note_stored(&mut self, messages: u64) {
        self.stored += messages;
        self.in_flight -= messages;
        let second = self.now.saturating_sub(self.scenario.lasts).as_secs() as usize;
        self.stored_in.resize(self.stored_in.len().max(second + 1), 0);
        self.stored_in[second] += messages;
    }

    /// What is left waits.
    fn finish(&mut self, number: usize) {
        for message in std::mem::take(&mut self.instances[number].batch) {
            let wait = wait(&message.id.to_string(), message.receive_count);
            self.events.add(self.now + wait, Event::Visible(message));
        }
        self.events.add(self.now, Event::Free(number));
    }

    fn cpu(&self) -> Duration {
        let share = f64::from(self.scenario.replay.memory_mb) / f64::from(MB_OF_ONE_CPU);
        Duration::from_micros(CPU_MICROS).div_f64(share.min(1.0))
    }
}

/// The scenarios of the table in docs/scale.md.
fn scenarios() -> Vec<(&'static str, Scenario)> {
    let mut all = Vec::new();
    for live in [1_000, 10_000] {
        for (name, replay, warmth, outage) in [
            ("before", BEFORE, Warmth::Warm, Outage::Refuses),
            ("by default", DEFAULT, Warmth::Warm, Outage::Refuses),
            ("50", MEDIUM, Warmth::Warm, Outage::Refuses),
            ("150", NOW, Warmth::Warm, Outage::Refuses),
            ("150, the store hangs", NOW, Warmth::Warm, Outage::Hangs),
            ("150, the index is not warm", NOW, Warmth::OfLiveTraffic, Outage::Refuses),
        ] {
            let is_large = replay.kind == Kind::AtPace && live > 1_000;
            let one_of = if is_large { replay.concurrency.min(10) } else { 1 };
            all.push((name, Scenario::hour(live, replay, warmth, outage, one_of)));
        }
    }
    all
}

/// The table, as Markdown.
pub(crate) fn report() -> String {
    let mut report = String::from(
        "| an hour's outage at | | drained after | most in flight | live answers are later by | of them throttled | in the worst second | spilled again |\n\
         | --: | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    for (name, scenario) in scenarios() {
        let live = scenario.live;
        let drained = scenario.play();
        let _ = writeln!(
            report,
            "| {live}/s | {name} | {} | {} | {:.2} ms | {:.1} % | {:.0} % | {:.3} % |",
            Shown(drained.after),
            drained.in_flight,
            drained.slowdown().as_secs_f64() * 1000.0,
            drained.throttled(1) * 100.0,
            drained.worst_second() * 100.0,
            drained.spilled_again() * 100.0,
        );
    }
    let _ = writeln!(report, "\nAt most {MESSAGES_IN_FLIGHT} messages may be in flight.");
    report
}

/// A time as a person says it.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs_f64() / 60.0;
        if minutes < 120.0 {
            write!(f, "{minutes:.1} min")
        } else {
            write!(f, "{:.1} h", minutes / 60.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(live: u32, warmth: Warmth, outage: Outage) -> Drained {
        let one_of = if live > 1_000 { 10 } else { 1 };
        let replay = if live > 1_000 { NOW } else { MEDIUM };
        Scenario::hour(live, replay, warmth, outage, one_of).play()
    }

    /// The targets: one hour at 1,000 a second drains in 15 minutes, at 10,000 in 60, and what comes in
    /// is hardly later.
    #[test]
    fn an_hour_s_outage_drains_in_time_and_without_slowing_what_comes_in() {
        for (live, minutes) in [(1_000, 15), (10_000, 60)] {
            for outage in [Outage::Refuses, Outage::Hangs] {
                let drained = now(live, Warmth::Warm, outage);
                assert!(drained.after <= Duration::from_mins(minutes), "{live}: {drained:?}");
                assert!(drained.slowdown() < Duration::from_millis(1), "{live}: {drained:?}");
                assert!(drained.spilled_again() < 0.0001, "{live}: {drained:?}");
                assert!(drained.in_flight < MESSAGES_IN_FLIGHT / 2, "{live}: {drained:?}");
            }
        }
    }

    /// A table that has little left is drained more slowly, and live writes hardly notice.
    #[test]
    fn a_drain_yields_to_live_writes_while_the_table_throttles() {
        let drained = now(1_000, Warmth::OfLiveTraffic, Outage::Refuses);
        assert!(
            drained.after > Duration::from_mins(20),
            "it is not the table's limit: {drained:?}"
        );
        assert!(drained.slowdown() < Duration::from_millis(2), "{drained:?}");
        assert!(drained.spilled_again() < 0.001, "{drained:?}");
    }

    /// What was before is far from the targets.
    #[test]
    fn two_instances_with_small_batches_take_hours() {
        let drained = Scenario::hour(1_000, BEFORE, Warmth::Warm, Outage::Refuses, 1).play();
        assert!(drained.after > Duration::from_hours(2), "{drained:?}");
    }

    #[test]
    fn messages_in_flight_have_a_bound_that_is_below_the_quota() {
        let bound = |concurrency| Replay::of(concurrency).most_in_flight();
        let template = include_str!("../../../template.yaml");
        let (_, parameter) = template.split_once("\n  DrainConcurrency:").unwrap();
        let number = |text: &str, name: &str| {
            let (_, value) = text.split_once(&format!("{name}: ")).unwrap();
            value.split_whitespace().next().unwrap().parse::<u32>().unwrap()
        };
        assert!(bound(number(parameter, "MaxValue")) < MESSAGES_IN_FLIGHT as f64);
        let drained = now(10_000, Warmth::Warm, Outage::Refuses);
        assert!((drained.in_flight as f64) < bound(NOW.concurrency), "{drained:?}");

        assert_eq!(number(parameter, "Default"), DEFAULT.concurrency);
        let (_, function) = template.split_once("\n  SpillReplay:").unwrap();
        assert_eq!(number(function, "BatchSize"), NOW.batch);
        assert_eq!(number(function, "MemorySize"), NOW.memory_mb);
        assert_eq!(u64::from(number(function, "Timeout")), NOW.timeout.as_secs());
    }
}
