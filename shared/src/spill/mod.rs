//! The spill queue: changes that could not be stored in time wait there.
//!
//! Messages contain the changes, not the callback. Changes contain no secret, because verification
//! removes it. When the store is back, any function can store them as they are.

mod error;
mod message;
mod pace;
mod queue;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

pub use error::{MessageError, SpillError};
pub use message::{MAX_MESSAGE_BYTES, Spilled};
pub use pace::{Answer, Pace, Started, Turn};

/// The longest wait before a message is tried again for the first time. It doubles with each
/// further failure.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// The longest wait. So long may a message still wait when the store is back.
pub const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// How long a message is tried. After 14 days the queue would delete it silently. A message that
/// the function sends to the dead letters stays there for another 14 days.
pub const GIVEN_UP_AFTER: Duration = Duration::from_hours(12 * 24);

/// From this age on a message is not even read. It would be among the dead letters already, unless
/// each attempt to replay it ended the process.
pub const UNREAD_AFTER: Duration = Duration::from_hours(13 * 24);

/// For which share of the time that Lambda gives it the function tries to store a batch, in percent.
/// While the store is down, it keeps its batch for so long.
pub const STORE_PERCENT: u32 = 70;

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
            let longest = (1..receive_count.min(12)).fold(10, |wait, _| wait * 2).min(5 * 60);
            let waits = ["a", "b", "c", "d"].map(|id| wait(id, receive_count));
            for wait in waits {
                assert!((longest * 500..=longest * 1000).contains(&(wait.as_millis())), "{wait:?}");
            }
            assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter at {receive_count}");
        }
    }
}
