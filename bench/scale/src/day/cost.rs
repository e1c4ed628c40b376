//! What the day costs.

use super::{people::People, play::Played, second::Second, stack::Stack};
use crate::{
    measured::{LOGGED_BYTES, SEAT_BYTES},
    prices::{
        DAYS_PER_MONTH, GATEWAY_PER_MILLION, IDLE_PER_MONTH, ITEM_OVERHEAD_BYTES,
        LAMBDA_PER_GB_SECOND, LAMBDA_PER_MILLION, LOGS_PER_GB, QUEUE_PER_MILLION,
        RECOVERY_PER_GB_MONTH, STORAGE_PER_GB_MONTH, WRITE_UNITS_PER_MILLION,
    },
};

/// Of a message: it is sent alone, and received and deleted in batches of ten.
const QUEUE_REQUESTS: f64 = 1.0 + 0.1 + 0.1;

const MILLION: f64 = 1e6;
const GB: f64 = 1e9;

/// The day's costs in US dollars, each with its name.
pub(crate) fn of(played: &Played, stack: &Stack, people: People) -> [(&'static str, f64); 8] {
    let day = Second::sum(&played.seconds);
    let calls = played.calls + stack.replay.calls(day.drained);
    let gb_seconds = played.gb_seconds + stack.replay.gb_seconds(played.drains.busy);
    let drained = if day.queued > 0.0 { day.drained / day.queued } else { 0.0 };
    let units = played.units + played.queued_units * drained;
    let items = people.items();
    let table = items * (SEAT_BYTES + ITEM_OVERHEAD_BYTES) / GB;
    // The index has as much.
    let storage = 2.0 * table * STORAGE_PER_GB_MONTH + table * RECOVERY_PER_GB_MONTH;
    let logged = played.calls * LOGGED_BYTES / GB;
    [
        ("API Gateway", played.requests / MILLION * GATEWAY_PER_MILLION),
        ("Lambda, calls", calls / MILLION * LAMBDA_PER_MILLION),
        ("Lambda, duration", gb_seconds * LAMBDA_PER_GB_SECOND),
        ("DynamoDB, write units", units / MILLION * WRITE_UNITS_PER_MILLION),
        ("DynamoDB, storage", storage / DAYS_PER_MONTH),
        ("SQS", day.queued * QUEUE_REQUESTS / MILLION * QUEUE_PER_MILLION),
        ("logs", logged * LOGS_PER_GB),
        ("secrets and metrics", IDLE_PER_MONTH / DAYS_PER_MONTH),
    ]
}

/// What the queue adds to it: its messages, and the functions that wait for them and store them.
pub(crate) fn of_queue(played: &Played, stack: &Stack) -> f64 {
    let queued = Second::sum(&played.seconds).queued;
    queued * QUEUE_REQUESTS / MILLION * QUEUE_PER_MILLION
        + stack.replay.gb_seconds(played.drains.busy) * LAMBDA_PER_GB_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::play;

    /// By hand, on a day without throttling: 33.5 million callbacks at 1.00 $ for the gateway, 0.20 $ for
    /// the calls and 0.50 $ for the logs of a million, and 77.5 million write units at 0.625 $.
    #[test]
    fn a_day_of_a_million_people_costs_what_its_callbacks_cost() {
        let (stack, people) = (Stack::prepared(), People(1_000_000.0));
        let costs = of(&play::play(&stack, people), &stack, people);
        let near = |number: usize, dollars: f64| {
            let (name, cost) = costs[number];
            assert!((cost - dollars).abs() < 0.01 * dollars, "{name}: {cost} and not {dollars}");
        };
        near(0, 33.5);
        near(3, (20.0 * 3.0 + 12.5 + 0.5 * 2.0 + 0.5 * 3.0) * 0.625);
        near(6, 16.75);
    }
}
