//! The spill queue: changes that could not be stored in time wait there.
//!
//! Messages contain the changes, not the callback. Changes contain no secret, because verification
//! removes it. When the store is back, any function can store them as they are.

mod error;
mod message;
mod queue;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

pub use error::{MessageError, SpillError};
pub use message::{MAX_MESSAGE_BYTES, Spilled};

/// The longest wait before a message is tried again for the first time. It doubles with each
/// further failure.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait. The jitter takes at most half of it, so a message can be received at most a
/// thousand times in the 14 days for which a queue keeps it. So SQS itself never moves it to the
/// dead-letter queue (`maxReceiveCount` in `template.yaml`), which would keep it only for the rest
/// of the 14 days.
const LONGEST_WAIT: Duration = Duration::from_mins(44);

/// How long a message is tried. After 14 days the queue would delete it silently. A message that
/// the function sends to the dead letters stays there for another 14 days.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(12 * 24);

/// How long a message that could not be replayed waits until it is received again: about as long as
/// it has been waiting, with some jitter, so that a backlog does not come back all at once.
///
/// `receive_count` is how often it has been received, including the last time.
#[must_use]
pub fn wait(message_id: &str, receive_count: u32) -> Duration {
    let doublings = receive_count.saturating_sub(1).min(20);
    let longest = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
    let mut hasher = DefaultHasher::new();
    (message_id, receive_count).hash(&mut hasher);
    let jitter = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    longest / 2 + longest * jitter / 2000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_and_have_an_end() {
        for receive_count in 1..2000 {
            let longest = (1..receive_count.min(12)).fold(10, |wait, _| wait * 2).min(44 * 60);
            let waits = ["a", "b", "c", "d"].map(|id| wait(id, receive_count));
            for wait in waits {
                assert!((longest * 500..=longest * 1000).contains(&(wait.as_millis())), "{wait:?}");
            }
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter at {receive_count}");
        }
    }

    #[test]
    fn a_thousand_receives_outlast_the_14_days_that_a_message_is_kept() {
        let all: Duration = (1..1000).map(|receive_count| wait("a", receive_count)).sum();
        let shortest: Duration = (1..1000)
            .map(|receive_count| {
                (FIRST_WAIT * (1 << (receive_count.min(20) - 1))).min(LONGEST_WAIT)
            })
            .map(|longest| longest / 2)
            .sum();
        assert!(shortest > Duration::from_hours(14 * 24), "{shortest:?}");
        assert!(all >= shortest);
    }
}
