//! The pipeline from the spill queue to the store.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    domain::{Change, Named, UnixMillis},
    metrics,
    spill::{self, Queue, SpillError, Spilled},
    store::{StoreError, Writer},
};

/// What replaying takes.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Where changes go.
    pub store: Writer,
    /// Where they waited.
    pub queue: Queue,
    /// Where messages go that are given up.
    pub dead_letters: Queue,
}

/// A message as it was received from the spill queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub message_id: String,
    /// What this receipt of it is called.
    pub receipt_handle: String,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// When it came into the queue, by the clock of SQS.
    pub sent_at: UnixMillis,
    /// When it was received this time, by our clock.
    pub received_at: UnixMillis,
    /// What was sent.
    pub body: String,
}

impl Received {
    /// For how long it has been in the queue.
    fn age(&self) -> Duration {
        Duration::from_millis(self.received_at.0.saturating_sub(self.sent_at.0))
    }
}

/// Where a message is after an attempt to store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replayed {
    /// All of it is in the store.
    Stored,
    /// It, or a part of it, is among the dead letters.
    Buried,
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("{failed} of {all} changes could not be stored: {first}")]
    Unstored { failed: usize, all: usize, first: StoreError },
    #[error("it belongs to the dead letters, which cannot be reached: {0}")]
    Unburied(#[from] SpillError),
}

impl Replay {
    /// Stores what the messages say, and returns the ids of those that have to stay in the queue: the
    /// store is not there yet. Each of these waits longer than the last time.
    ///
    /// What is not stored by `store_until` stays; by `deadline` there is an answer.
    pub async fn replay(
        &self,
        messages: Vec<Received>,
        store_until: Instant,
        deadline: Instant,
    ) -> Vec<String> {
        let all = messages.len();
        let replayed = messages.into_iter().map(|message| async move {
            let replayed = self.replay_one(&message, store_until, deadline).await;
            if let Err(error) = &replayed {
                self.keep(&message, error, deadline).await;
            }
            (message, replayed)
        });
        let replayed = join_all(replayed).await;
        let is_buried = |replayed: &&(_, _)| matches!(replayed.1, Ok(Replayed::Buried));
        let dead_letters = replayed.iter().filter(is_buried).count();
        let kept: Vec<Received> = replayed
            .into_iter()
            .filter_map(|(message, replayed)| replayed.is_err().then_some(message))
            .collect();
        let oldest = kept.iter().map(Received::age).max().unwrap_or_default();
        tracing::info!(
            target: metrics::REPLAY,
            messages = all,
            kept = kept.len(),
            oldest_kept_s = oldest.as_secs(),
            dead_letters,
            "replay"
        );
        kept.into_iter().map(|message| message.message_id).collect()
    }

    /// Lets a message wait.
    async fn keep(&self, message: &Received, error: &Kept, deadline: Instant) {
        let Received { message_id, receipt_handle, receive_count, .. } = message;
        let wait = spill::wait(message_id, *receive_count);
        let wait_s = wait.as_secs();
        tracing::warn!(message_id, receive_count, wait_s, %error, "a spilled callback stays in the queue");
        if let Err(error) = self.queue.delay(receipt_handle, wait, deadline).await {
            tracing::warn!(message_id, %error, "a spilled callback waits only as the queue says");
        }
    }

    async fn replay_one(
        &self,
        message: &Received,
        store_until: Instant,
        deadline: Instant,
    ) -> Result<Replayed, Kept> {
        let spilled = match Spilled::read(&message.body) {
            Ok(spilled) => spilled,
            Err(error) => {
                let reason = error.to_string();
                self.dead_letters.bury_unread(&message.body, &reason, deadline).await?;
                tracing::error!(
                    message_id = message.message_id,
                    reason,
                    "a message of the spill queue is a dead letter"
                );
                return Ok(Replayed::Buried);
            }
        };
        let Spilled { event, received_at, changes } = &spilled;
        let applied = self.store.apply_all(changes, *received_at, store_until).await;
        let is_refused = |(_, error): &(_, StoreError)| matches!(error, StoreError::Refused(_));
        let (mut given_up, mut failed): (Vec<_>, Vec<_>) =
            applied.failed.into_iter().partition(is_refused);
        if message.age() >= spill::GIVEN_UP_AFTER {
            given_up.append(&mut failed);
        }
        // Only once all others are stored: else each attempt would bury it again.
        let (number, all) = (failed.len(), changes.len());
        if let Some((_, first)) = failed.into_iter().next() {
            return Err(Kept::Unstored { failed: number, all, first });
        }
        let replayed = match given_up.first() {
            None => Replayed::Stored,
            Some((_, error)) => {
                let days = spill::GIVEN_UP_AFTER.as_secs() / (24 * 60 * 60);
                let reason = match error {
                    StoreError::Refused(_) => error.to_string(),
                    _ => format!("it could not be stored for {days} days: {error}"),
                };
                let changes = given_up.iter().map(|(change, _)| *change);
                self.bury(message, &spilled, changes, &reason, deadline).await?;
                Replayed::Buried
            }
        };
        let provider = changes.first().map(|change| change.app().provider.as_str());
        let Named { app, user, room, count } = Named::of(changes);
        let outcome = applied.outcome.as_str();
        let waited_ms = message.received_at.0.saturating_sub(received_at.0);
        tracing::info!(
            provider,
            event,
            app,
            user,
            room,
            count,
            outcome,
            waited_ms,
            receive_count = message.receive_count,
            "spilled callback"
        );
        Ok(replayed)
    }

    /// Sends changes to the dead letters.
    async fn bury<'a>(
        &self,
        message: &Received,
        spilled: &Spilled,
        changes: impl ExactSizeIterator<Item = &'a Change>,
        reason: &str,
        deadline: Instant,
    ) -> Result<(), SpillError> {
        let (event, count) = (&spilled.event, changes.len());
        self.dead_letters.bury(event, spilled.received_at, changes, reason, deadline).await?;
        let message_id = &message.message_id;
        tracing::error!(event, message_id, count, reason, "spilled changes are a dead letter");
        Ok(())
    }
}
