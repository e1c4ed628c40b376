//! The pipeline from the spill queue to the store.

use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    domain::{Named, UnixMillis},
    spill::{self, Queue, Spilled},
    store::{StoreError, Writer},
};

/// What replaying takes.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Where changes go.
    pub store: Writer,
    /// Where they waited.
    pub queue: Queue,
    /// Where messages go that can never be stored.
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
    /// When it was received this time, by our clock.
    pub received_at: UnixMillis,
    /// What was sent.
    pub body: String,
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("{failed} of {all} changes could not be stored: {first}")]
    Unstored { failed: usize, all: usize, first: StoreError },
    #[error("it belongs to the dead letters, which cannot be reached: {0}")]
    Unburied(#[from] spill::SpillError),
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
        let replayed = messages.into_iter().map(|message| async move {
            let error = self.replay_one(&message, store_until, deadline).await.err()?;
            let Received { message_id, receipt_handle, receive_count, .. } = message;
            let wait = spill::wait(&message_id, receive_count);
            let wait_s = wait.as_secs();
            tracing::warn!(message_id, receive_count, wait_s, %error, "a spilled callback stays in the queue");
            if let Err(error) = self.queue.delay(&receipt_handle, wait, deadline).await {
                tracing::warn!(message_id, %error, "a spilled callback waits only as the queue says");
            }
            Some(message_id)
        });
        join_all(replayed).await.into_iter().flatten().collect()
    }

    async fn replay_one(
        &self,
        message: &Received,
        store_until: Instant,
        deadline: Instant,
    ) -> Result<(), Kept> {
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
                return Ok(());
            }
        };
        let Spilled { event, received_at, changes } = &spilled;
        let applied = self.store.apply_all(changes, *received_at, store_until).await;
        let is_rejected = |(_, error): &(_, StoreError)| matches!(error, StoreError::Rejected(_));
        let (rejected, failed): (Vec<_>, Vec<_>) =
            applied.failed.into_iter().partition(is_rejected);
        // Only once all others are stored: else each attempt would bury it again.
        let (number, all) = (failed.len(), changes.len());
        if let Some((_, first)) = failed.into_iter().next() {
            return Err(Kept::Unstored { failed: number, all, first });
        }
        if let Some((_, error)) = rejected.first() {
            let reason = error.to_string();
            let changes = rejected.iter().map(|(change, _)| *change);
            let buried = self.dead_letters.bury(event, *received_at, changes, &reason, deadline);
            buried.await?;
            tracing::error!(
                event,
                message_id = message.message_id,
                count = rejected.len(),
                reason,
                "spilled changes are a dead letter"
            );
        }
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
        Ok(())
    }
}
