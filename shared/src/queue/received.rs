//! A message of a delay queue, as Lambda passes it.

use crate::domain::UnixMillis;

/// A message of a queue, as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its id.
    pub message_id: String,
    /// When it came into the queue, by the clock of SQS.
    pub sent_at: UnixMillis,
    /// The text of the message.
    pub body: String,
}

/// For how many seconds the oldest of some messages has been in the queue; 0 if there are none.
pub(crate) fn oldest_s(messages: &[ReceivedMessage], now: UnixMillis) -> u64 {
    let age = |message: &ReceivedMessage| now.0.saturating_sub(message.sent_at.0) / 1000;
    messages.iter().map(age).max().unwrap_or_default()
}
