//! Messages of a queue, as Lambda passes them.

use std::{fmt, time::Duration};

use futures::future::join_all;

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

impl ReceivedMessage {
    /// How long it has been in the queue.
    #[must_use]
    pub fn age(&self, now: UnixMillis) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.sent_at.0))
    }
}

/// For how many seconds the oldest of some messages has been in the queue; 0 if there are none.
pub(crate) fn oldest_s<'a>(
    messages: impl IntoIterator<Item = &'a ReceivedMessage>,
    now: UnixMillis,
) -> u64 {
    let ages = messages.into_iter().map(|message| message.age(now));
    ages.max().unwrap_or_default().as_secs()
}

/// The messages that stay in the queue, because what they ask for is not done.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Their ids.
    pub(crate) ids: Vec<String>,
    /// How many messages there were.
    pub(crate) of: usize,
    /// For how many seconds the oldest of those that stay has been in the queue.
    pub(crate) oldest_s: u64,
}

/// Does what each of some messages asks for, concurrently. `handle` gets the text of a message.
/// What fails is logged as `not_done`, and its message stays.
pub(crate) async fn handle_all<D, E>(
    messages: Vec<ReceivedMessage>,
    now: UnixMillis,
    not_done: &str,
    handle: impl Fn(String) -> D,
) -> Kept
where
    D: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let of = messages.len();
    let handled = messages.into_iter().map(|message| {
        let handling = handle(message.body.clone());
        async move {
            let error = handling.await.err()?;
            let message_id = &message.message_id;
            tracing::warn!(message_id, %error, "{not_done}");
            Some(message)
        }
    });
    let kept: Vec<ReceivedMessage> = join_all(handled).await.into_iter().flatten().collect();
    let oldest_s = oldest_s(&kept, now);
    Kept { ids: kept.into_iter().map(|message| message.message_id).collect(), of, oldest_s }
}
