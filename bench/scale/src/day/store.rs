//! DynamoDB: what it throttles is tried again, and then goes to the queue.

use std::time::Duration;

use super::{
    people::{Counts, KINDS, Kind, People},
    stack::{LIMITS, Limit, Stack},
};
use crate::{
    measured::{CALLBACK_TAKES, LIVE_PAUSES, QUEUE_ANSWERS_AFTER, STORE_ANSWERS_AFTER},
    quotas::PARTITION_UNITS,
    table::Capacity,
};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) table: Capacity,
    pub(crate) index: Capacity,
    room_units: f64,
}

/// What happens to the callbacks of a second.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stored: Counts,
    /// Those that go to the queue, by the limit that throttled them.
    pub(crate) throttled: [Counts; LIMITS],
    /// How long each takes, in seconds.
    pub(crate) takes: Counts,
    exceeds_table: bool,
    exceeds_index: bool,
}

impl Store {
    /// A store that has had usual days.
    pub(crate) fn new(stack: &Stack, people: People) -> Self {
        let (table, index) = people.usual_units();
        Self {
            table: Capacity::new(stack.warm_table.max(2.0 * table), stack.table_quota),
            index: Capacity::new(stack.warm_index.max(2.0 * index), stack.index_quota),
            room_units: stack.room_shards * PARTITION_UNITS,
        }
    }

    pub(crate) fn write(&self, callbacks: &Counts) -> Written {
        let mut written = Written {
            stored: *callbacks,
            throttled: [[0.0; KINDS]; LIMITS],
            takes: [takes(0.0); KINDS],
            exceeds_table: false,
            exceeds_index: false,
        };
        let of_index = |kind: Kind| f64::from(kind.units().index);
        let of_table = |kind: Kind| f64::from(kind.units().table);
        let of_room = |kind: Kind| if kind.is_in_large_room() { of_index(kind) } else { 0.0 };
        written.limit(Limit::RoomShards, self.room_units, of_room);
        let index = if self.index.is_at_quota() { Limit::IndexQuota } else { Limit::WarmIndex };
        written.exceeds_index = written.limit(index, self.index.units(), of_index);
        let table = if self.table.is_at_quota() { Limit::TableQuota } else { Limit::WarmTable };
        written.exceeds_table = written.limit(table, self.table.units(), of_table);
        for (number, count) in callbacks.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            written.takes[number] = takes((1.0 - written.stored[number] / count).max(0.0));
        }
        written
    }

    pub(crate) fn pass(&mut self, written: &Written, now: Duration) {
        for (capacity, exceeded) in
            [(&mut self.table, written.exceeds_table), (&mut self.index, written.exceeds_index)]
        {
            if exceeded {
                capacity.exceeded(now);
            }
            capacity.pass(now);
        }
    }
}

impl Written {
    /// Takes what is above a limit out of what is stored, and says whether there was any.
    fn limit(&mut self, limit: Limit, most: f64, units: impl Fn(Kind) -> f64) -> bool {
        let asked: f64 =
            Kind::ALL.iter().zip(&self.stored).map(|(kind, count)| count * units(*kind)).sum();
        if asked <= most {
            return false;
        }
        for (number, kind) in Kind::ALL.iter().enumerate() {
            if units(*kind) > 0.0 {
                let throttled = self.stored[number] * (1.0 - most / asked);
                self.throttled[limit as usize][number] += throttled;
                self.stored[number] -= throttled;
            }
        }
        true
    }
}

/// How long a callback takes if this share of its kind goes to the queue, in seconds: a callback goes
/// there whose first attempt and all others were throttled, each with the same chance.
fn takes(share: f64) -> f64 {
    let usual = CALLBACK_TAKES.as_secs_f64();
    if share <= 0.0 {
        return usual;
    }
    let attempts = 1 + LIVE_PAUSES.len();
    let throttled = share.powf(1.0 / attempts as f64);
    let again = (1..).zip(LIVE_PAUSES);
    let again: f64 = again
        .map(|(n, pause)| throttled.powi(n) * (pause + STORE_ANSWERS_AFTER).as_secs_f64())
        .sum();
    usual + again + share * QUEUE_ANSWERS_AFTER.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 500,000 people leave in a minute, 8,333 a second, two units of the index each. Four shards
    /// take 4,000 units, so 2,000 are stored and 6,333 go to the queue.
    #[test]
    fn four_shards_take_two_thousand_leaves() {
        let stack = Stack::by_default().only(Limit::RoomShards);
        let store = Store::new(&stack, People(1_000_000.0));
        let mut leaves = [0.0; KINDS];
        leaves[Kind::LeavesLargeRoom as usize] = 500_000.0 / 60.0;
        let written = store.write(&leaves);
        let stored = written.stored[Kind::LeavesLargeRoom as usize];
        assert!((stored - 2_000.0).abs() < 1e-6, "{written:?}");
        let throttled = written.throttled[Limit::RoomShards as usize];
        assert!((throttled.iter().sum::<f64>() - 6_333.333).abs() < 0.01, "{written:?}");
    }

    /// A callback whose four attempts are throttled takes 7 ms, three pauses of 25, 50 and 100 ms, three
    /// more attempts of 5 ms, and 20 ms for the queue.
    #[test]
    fn a_throttled_callback_takes_longer() {
        assert!((takes(1.0) - 0.217).abs() < 1e-9, "{}", takes(1.0));
        assert!((takes(0.0) - 0.007).abs() < 1e-9);
        assert!(takes(0.5) < takes(0.6));
    }
}
