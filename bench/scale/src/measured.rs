//! What was measured here. A test compares these numbers with `bench/results/results.json`.

use std::time::Duration;

/// How long a request to DynamoDB takes in the cloud (docs/performance.md, Cost).
pub(crate) const STORE_ANSWERS_AFTER: Duration = Duration::from_millis(5);

/// How long a callback takes: the store's answer, and the CPU time of a callback at the share of 256 MB
/// (`warm` in bench/results/results.json).
pub(crate) const CALLBACK_TAKES: Duration = Duration::from_millis(7);

/// How long SQS takes for a message, and for the first one of an instance, with TLS's handshake. Not
/// measured: there is no AWS here. It is taken to be several times what DynamoDB takes.
pub(crate) const QUEUE_ANSWERS_AFTER: Duration = Duration::from_millis(20);
pub(crate) const FIRST_QUEUE_ANSWER_AFTER: Duration = Duration::from_millis(80);

/// How long Lambda takes for a new instance before our code runs. Not measured: from the reports of
/// others for custom runtimes.
pub(crate) const INSTANCE_STARTS_AFTER: Duration = Duration::from_millis(150);

/// The CPU time of one change at full speed, in microseconds: of a whole callback of `zego-room-logout`,
/// which also verifies and parses. (`warm` in bench/results/results.json)
pub(crate) const CPU_MICROS: u64 = 476;

/// The write units of a callback. A test in `tests/it/room_shards.rs` shows that they do not depend on
/// `RoomShards`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Units {
    pub(crate) table: u32,
    pub(crate) index: u32,
}

/// Somebody enters a room for the first time, or again, or leaves it; a device comes online, still is, or
/// goes offline. (`costs` in bench/results/results.json)
pub(crate) const ENTERS: Units = Units { table: 1, index: 1 };
pub(crate) const ENTERS_AGAIN: Units = Units { table: 1, index: 2 };
pub(crate) const LEAVES: Units = Units { table: 1, index: 2 };
pub(crate) const DEVICE: Units = Units { table: 1, index: 0 };

/// The write units of the index, which are more than those of the table: of a person who enters a room,
/// and of one who leaves it.
pub(crate) const INDEX_UNITS: [u32; 2] = [ENTERS.index, LEAVES.index];

/// What is logged for a callback, and the memory of a function (docs/performance.md, Cost).
pub(crate) const LOGGED_BYTES: f64 = 1_000.0;
pub(crate) const FUNCTION_GB: f64 = 0.25;

/// The length of a person's item in a room, as DynamoDB counts it. (the test
/// `a_seat_is_as_long_as_the_simulation_of_a_day_says` in `tests/it/room_shards.rs`)
pub(crate) const SEAT_BYTES: f64 = 400.0;

/// The length of a message of one entry with the record in which Lambda passes it, in bytes: 0.5 KB
/// each, rounded up. (the test `a_message_of_an_entry_is_short` in shared/src/spill/message.rs)
pub(crate) const MESSAGE_BYTES: u32 = 1_000;

/// The pauses of the SDK before a callback's second, third and fourth attempt, on average
/// (docs/reliability.md, The time for one answer).
pub(crate) const LIVE_PAUSES: [Duration; 3] =
    [Duration::from_millis(25), Duration::from_millis(50), Duration::from_millis(100)];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_constants_are_the_measured_numbers() {
        let results: Value =
            serde_json::from_str(include_str!("../../results/results.json")).unwrap();
        let find = |part: &str, key: &str, value: &str| {
            let all = results[part].as_array().unwrap();
            all.iter().find(|one| one[key] == value).unwrap().clone()
        };
        let cpu = find("warm", "subject", "zego-room-logout")["cpu"]["median"].as_f64().unwrap();
        assert_eq!((cpu * 1000.0).round() as u64, CPU_MICROS);
        for (what, units) in [
            ("ZEGO: a person enters", ENTERS),
            ("ZEGO: the person enters again", ENTERS_AGAIN),
            ("ZEGO: the person leaves", LEAVES),
            ("TRTC: a person enters", ENTERS),
            ("TRTC: the person enters again", ENTERS_AGAIN),
            ("TRTC: the person leaves", LEAVES),
            ("OpenIM: a device comes online", DEVICE),
            ("OpenIM: it still is", DEVICE),
            ("OpenIM: it goes offline", DEVICE),
            ("Chat: a later login", DEVICE),
            ("Chat: a logout", DEVICE),
        ] {
            let costs = find("costs", "what", what);
            let measured = |name: &str| costs[name].as_f64().unwrap() as u32;
            let (table, index) = (measured("table_writes"), measured("index_writes"));
            assert_eq!(Units { table, index }, units, "{what}");
            assert_eq!(costs["requests"], 1, "{what}");
        }
    }
}
