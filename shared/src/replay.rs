//! The pipeline from the spill queue to the store.

use std::sync::Arc;

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::{
    domain::{Change, Named, UnixMillis},
    metrics,
    queue::{Queue, ReceivedMessage, oldest_s},
    spill::{self, SpillError, Spilled},
    store::{ErasureList, Erasures, StoreError, Writer},
};

/// Everything that replaying needs.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The store for changes.
    pub store: Writer,
    /// The people who were erased since the callbacks came.
    pub erasures: ErasureList,
    /// The spill queue.
    pub queue: Queue,
    /// The queue for messages that are given up.
    pub dead_letters: Queue,
}

/// A message as it was received from the spill queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: ReceivedMessage,
    /// The handle of this receipt.
    pub receipt_handle: String,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// When it was received this time, by our clock.
    pub received_at: UnixMillis,
}

impl Received {
    /// Whether it was tried for so long that it belongs to the dead letters.
    fn is_given_up(&self) -> bool {
        self.message.age(self.received_at) >= spill::GIVEN_UP_AFTER
    }
}

/// Where a message is after an attempt to store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replayed {
    /// All of it is in the store.
    Stored,
    /// It, or a part of it, is among the dead letters.
    DeadLetter,
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("{failed} of {all} changes could not be stored: {first}")]
    Unstored { failed: usize, all: usize, first: StoreError },
    #[error("it is not known who was erased: {0}")]
    ErasuresUnknown(StoreError),
    #[error("it belongs to the dead letters, which cannot be reached: {0}")]
    DeadLettersUnreachable(#[from] SpillError),
}

impl Replay {
    /// Stores the changes in the messages. Returns the ids of the messages that must stay in the
    /// queue, because the store is still down. Each of these waits longer than the last time.
    ///
    /// A message that is not stored by `store_until` stays. The call returns by `deadline`.
    pub async fn replay(
        &self,
        messages: Vec<Received>,
        store_until: Instant,
        deadline: Instant,
    ) -> Vec<String> {
        let all = messages.len();
        let received_at = messages.iter().map(|received| received.received_at).max();
        let now = received_at.unwrap_or(UnixMillis(0));
        let replayed = messages.into_iter().map(|received| async move {
            let replayed = self.replay_one(&received, store_until, deadline).await;
            if let Err(error) = &replayed {
                self.keep(&received, error, deadline).await;
            }
            (received.message, replayed)
        });
        let replayed = join_all(replayed).await;
        let is_dead = |replayed: &&(_, _)| matches!(replayed.1, Ok(Replayed::DeadLetter));
        let dead_letters = replayed.iter().filter(is_dead).count();
        let kept: Vec<ReceivedMessage> = replayed
            .into_iter()
            .filter_map(|(message, replayed)| replayed.is_err().then_some(message))
            .collect();
        tracing::info!(
            target: metrics::REPLAY,
            messages = all,
            kept = kept.len(),
            oldest_kept_s = oldest_s(&kept, now),
            dead_letters,
            "replay"
        );
        kept.into_iter().map(|message| message.message_id).collect()
    }

    /// Lets a message wait.
    async fn keep(&self, received: &Received, error: &Kept, deadline: Instant) {
        let Received { message, receipt_handle, receive_count, .. } = received;
        let message_id = &message.message_id;
        let wait = spill::wait(message_id, *receive_count);
        let wait_s = wait.as_secs();
        tracing::warn!(message_id, receive_count, wait_s, %error, "a spilled callback stays in the queue");
        if let Err(error) = self.queue.delay(receipt_handle, wait, deadline).await {
            tracing::warn!(message_id, %error, "a spilled callback waits only as the queue says");
        }
    }

    async fn replay_one(
        &self,
        received: &Received,
        store_until: Instant,
        deadline: Instant,
    ) -> Result<Replayed, Kept> {
        let mut spilled = match Spilled::read(&received.message.body) {
            Ok(spilled) => spilled,
            Err(error) => {
                let reason = error.to_string();
                self.dead_letters
                    .send_unreadable(&received.message.body, &reason, deadline)
                    .await?;
                tracing::error!(
                    message_id = received.message.message_id,
                    reason,
                    "a message of the spill queue is a dead letter"
                );
                return Ok(Replayed::DeadLetter);
            }
        };
        if let Err(error) = self.drop_erased(&mut spilled, received.received_at, store_until).await
        {
            let Some(reason) = reason_to_give_up(received, &error) else {
                return Err(Kept::ErasuresUnknown(error));
            };
            let all = spilled.changes.iter();
            self.send_to_dead_letters(&received.message, &spilled, all, &reason, deadline).await?;
            return Ok(Replayed::DeadLetter);
        }
        let Spilled { event, received_at, changes } = &spilled;
        let applied = self.store.apply_all(changes, *received_at, store_until).await;
        let is_refused = |(_, error): &(_, StoreError)| matches!(error, StoreError::Refused(_));
        let (mut given_up, mut failed): (Vec<_>, Vec<_>) =
            applied.failed.into_iter().partition(is_refused);
        if received.is_given_up() {
            given_up.append(&mut failed);
        }
        // Only when all others are stored: otherwise each attempt would send it there again.
        let (number, all) = (failed.len(), changes.len());
        if let Some((_, first)) = failed.into_iter().next() {
            return Err(Kept::Unstored { failed: number, all, first });
        }
        let replayed = match given_up.first() {
            None => Replayed::Stored,
            Some((_, error)) => {
                let reason = reason_of(error);
                let changes = given_up.iter().map(|(change, _)| *change);
                self.send_to_dead_letters(&received.message, &spilled, changes, &reason, deadline)
                    .await?;
                Replayed::DeadLetter
            }
        };
        let provider = changes.first().map(|change| change.app().provider.as_str());
        let Named { app, user, room, count } = Named::of(changes);
        let outcome = applied.outcome.as_str();
        let waited_ms = received.received_at.0.saturating_sub(received_at.0);
        tracing::info!(
            provider,
            event,
            app,
            user,
            room,
            count,
            outcome,
            waited_ms,
            receive_count = received.receive_count,
            "spilled callback"
        );
        Ok(replayed)
    }

    /// Leaves out what an erasure covers that came after the callback.
    async fn drop_erased(
        &self,
        spilled: &mut Spilled,
        now: UnixMillis,
        store_until: Instant,
    ) -> Result<(), StoreError> {
        // All changes of a message are those of one callback, which has one app.
        let Some(change) = spilled.changes.first() else { return Ok(()) };
        let erasures = timeout_at(store_until, self.erasures.of(change.app(), now)).await;
        let erasures: Arc<Erasures> = erasures.unwrap_or(Err(StoreError::OutOfTime))?;
        spilled.changes.retain(|change| !erasures.cover(change));
        Ok(())
    }

    /// Sends changes to the dead letters.
    async fn send_to_dead_letters<'a>(
        &self,
        message: &ReceivedMessage,
        spilled: &Spilled,
        changes: impl ExactSizeIterator<Item = &'a Change>,
        reason: &str,
        deadline: Instant,
    ) -> Result<(), SpillError> {
        let (event, count) = (&spilled.event, changes.len());
        self.dead_letters
            .send_unstorable(event, spilled.received_at, changes, reason, deadline)
            .await?;
        let message_id = &message.message_id;
        tracing::error!(event, message_id, count, reason, "spilled changes are a dead letter");
        Ok(())
    }
}

/// Why a message that cannot be stored because of this error is given up; `None` if it is tried
/// again.
fn reason_to_give_up(received: &Received, error: &StoreError) -> Option<String> {
    let is_given_up = matches!(error, StoreError::Refused(_)) || received.is_given_up();
    is_given_up.then(|| reason_of(error))
}

fn reason_of(error: &StoreError) -> String {
    let days = spill::GIVEN_UP_AFTER.as_secs() / (24 * 60 * 60);
    match error {
        StoreError::Refused(_) => error.to_string(),
        _ => format!("it could not be stored for {days} days: {error}"),
    }
}
