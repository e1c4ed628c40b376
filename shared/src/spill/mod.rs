//! The spill queue: where changes wait that could not be stored in time.
//!
//! What is sent is the changes, not the callback: they hold no secret, since verification leaves none
//! of it, and can be stored as they are when the store is there again, by whatever function. The
//! only place that names SQS.

mod error;
mod message;
mod queue;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

pub use error::{MessageError, SpillError};
pub use message::{MAX_MESSAGE_BYTES, Spilled};
pub use queue::Queue;

/// After how long a message is tried again for the first time, at most; after each further failure
/// it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait. Of a wait at least half is left by the jitter, so a message can be received
/// no more than a thousand times in the 14 days that a queue keeps it: SQS itself never moves it to the
/// dead-letter queue (`maxReceiveCount` in `template.yaml`), which would keep it only for what is left of
/// the 14 days.
const LONGEST_WAIT: Duration = Duration::from_mins(44);

/// For how long a message is tried. The queue deletes it after 14 days without a word; one that is
/// sent to the dead letters before that stays there for another 14 days.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(12 * 24);

/// How long a message that could not be replayed waits until it is received again: about as long as
/// it has been waiting, with some jitter, so that a backlog does not come back all at once.
///
/// `receive_count` is how often it has been received, the last time included.
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
