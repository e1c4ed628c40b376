//! What went to the queue is stored again, by the simulation of the drain.

use std::time::Duration;

use super::{
    people::{DAY, MINUTE, OUTAGE, People},
    second::Second,
    stack::Stack,
};
use crate::{
    drain::{Drained, Outage, Scenario},
    quotas::PARTITION_UNITS,
    table::Capacity,
};

/// All drains of a day.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    /// For each second of the day, how many messages are stored.
    pub(crate) stored: Vec<f64>,
    /// When each ended, and how long it took.
    pub(crate) ends: Vec<(usize, Duration)>,
    pub(crate) most_in_flight: u64,
    /// For how long `spill-replay` is busy, outages and drains together.
    pub(crate) busy: Duration,
}

/// A time in which callbacks go to the queue.
#[derive(Debug, PartialEq)]
struct Episode {
    begins: usize,
    ends: usize,
    messages: f64,
}

/// Pauses of less than a minute do not count.
fn episodes(seconds: &[Second]) -> Vec<Episode> {
    let mut all: Vec<Episode> = Vec::new();
    for (at, second) in seconds.iter().enumerate().filter(|(_, second)| second.queued > 0.0) {
        match all.last_mut() {
            Some(last)
                if at < last.ends + MINUTE
                    && OUTAGE.contains(&at) == OUTAGE.contains(&last.begins) =>
            {
                last.ends = at + 1;
                last.messages += second.queued;
            }
            _ => all.push(Episode { begins: at, ends: at + 1, messages: second.queued }),
        }
    }
    all
}

/// Drains the queue after each time in which callbacks went there, one after the other.
pub(crate) fn play(stack: &Stack, people: People, seconds: &[Second]) -> Drains {
    let mut drains = Drains { stored: vec![0.0; DAY], ..Drains::default() };
    let (_, usual_units) = people.usual_units();
    let mut free_from = 0;
    for episode in episodes(seconds) {
        let lasts = episode.ends - episode.begins;
        let spilled = (episode.messages / lasts as f64).ceil();
        let at_end: f64 = people.callbacks(episode.ends).iter().sum();
        let warm = stack.warm_index.max(2.0 * usual_units).min(stack.index_quota);
        // A time of throttling is over when the large room is quiet, but its messages still have its
        // partitions only.
        let (live, index, outage) = if OUTAGE.contains(&episode.begins) {
            (at_end, Capacity::new(warm, stack.index_quota), Outage::Hangs)
        } else {
            let room = (stack.room_shards * PARTITION_UNITS).min(warm - usual_units);
            (0.0, Capacity::new(room, room), Outage::Refuses)
        };
        let drained = Scenario {
            spilled: spilled as u32,
            lasts: Duration::from_secs(lasts as u64),
            live: live.round() as u32,
            replay: stack.replay,
            index,
            outage,
            one_of: stack.replay.concurrency().min(10),
        }
        .play();
        let begins = episode.ends.max(free_from);
        drains.add(&episode, begins, lasts, &drained);
        free_from = begins + drained.stored.len();
    }
    drains
}

impl Drains {
    fn add(&mut self, episode: &Episode, begins: usize, lasts: usize, drained: &Drained) {
        // A part of the instances is played, so that a few messages may be missing or too many.
        let all: u64 = drained.stored.iter().sum();
        let share = if all == 0 { 0.0 } else { episode.messages / all as f64 };
        for (second, stored) in self.stored.iter_mut().skip(begins).zip(&drained.stored) {
            *second += *stored as f64 * share;
        }
        self.ends.push((begins + drained.stored.len(), drained.after));
        self.most_in_flight = self.most_in_flight.max(drained.in_flight);
        self.busy += Duration::from_secs(lasts as u64) + drained.after;
    }
}
