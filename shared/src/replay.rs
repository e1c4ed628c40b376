//! The pipeline from the spill queue to the store.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::join_all, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    domain::{Change, Named, Outcome, UnixMillis},
    metrics,
    queue::{Queue, ReceivedMessage, oldest_s},
    spill::{self, Answer, Pace, SpillError, Spilled, Started, Turn},
    store::{ErasureList, StoreError, Writer},
};

/// How many changes of one message are stored concurrently, as of one callback.
const CONCURRENT_CHANGES: usize = 32;

/// After this time a change that waits for its turn looks whether the pace has changed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
    /// Lets changes through at the pace that the store takes.
    pub gate: Gate,
}

/// What all changes of an instance pass on their way to the store, one after another, at its
/// [`Pace`].
#[derive(Debug, Clone, Default)]
pub struct Gate {
    pace: Arc<Mutex<Pace>>,
    /// Those behind the first one wait here, in order.
    first: Arc<tokio::sync::Mutex<()>>,
}

impl Gate {
    /// Waits for a turn. `None` if there is none before `until`.
    async fn turn(&self, until: Instant) -> Option<Started> {
        let _first = timeout_at(until, self.first.lock()).await.ok()?;
        loop {
            let now = Instant::now();
            if now >= until {
                return None;
            }
            let turn = self.pace().turn(now);
            match turn {
                Turn::Now(started) => return Some(started),
                Turn::NotBefore(at) => sleep_until(at.min(now + LOOK_AGAIN).min(until)).await,
            }
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Whether it is so old that reading it must have ended the process each time.
    fn ends_the_process(&self) -> bool {
        self.message.age(self.received_at) >= spill::UNREAD_AFTER
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
    #[error("it belongs to the dead letters, which cannot be reached: {0}")]
    DeadLettersUnreachable(#[from] SpillError),
}

impl Replay {
    /// Stores the changes in the messages, at the pace that the store takes. Returns the ids of the
    /// messages that must stay in the queue, because the store is still down or throttles. Each of
    /// these waits longer than the last time.
    ///
    /// A message is tried until `store_until`, and then stays. The call returns by `deadline`.
    pub async fn replay(
        &self,
        messages: Vec<Received>,
        store_until: Instant,
        deadline: Instant,
    ) -> Vec<String> {
        let all = messages.len();
        let received_at = messages.iter().map(|received| received.received_at).max();
        let now = received_at.unwrap_or(UnixMillis(0));
        let (unread, read): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(Received::ends_the_process);
        let unread = unread.into_iter().map(|received| async move {
            let replayed = self.give_up_unread(&received, deadline).await;
            self.keep_if_failed(received, replayed, deadline).await
        });
        let read = read.into_iter().map(|received| async move {
            let replayed = self.replay_one(&received, store_until, deadline).await;
            self.keep_if_failed(received, replayed, deadline).await
        });
        // Before any other message is read, because another one may end the process, too.
        let mut replayed = join_all(unread).await;
        replayed.extend(join_all(read).await);
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

    /// Lets a message wait that could not be replayed.
    async fn keep_if_failed(
        &self,
        received: Received,
        replayed: Result<Replayed, Kept>,
        deadline: Instant,
    ) -> (ReceivedMessage, Result<Replayed, Kept>) {
        if let Err(error) = &replayed {
            self.keep(&received, error, deadline).await;
        }
        (received.message, replayed)
    }

    /// Sends a message to the dead letters as it is.
    async fn give_up_unread(
        &self,
        received: &Received,
        deadline: Instant,
    ) -> Result<Replayed, Kept> {
        let days = in_days(spill::UNREAD_AFTER);
        let reason = format!("it was neither stored nor given up for {days} days");
        self.bury_unread(&received.message, &reason, deadline).await
    }

    async fn bury_unread(
        &self,
        message: &ReceivedMessage,
        reason: &str,
        deadline: Instant,
    ) -> Result<Replayed, Kept> {
        self.dead_letters.send_unreadable(&message.body, reason, deadline).await?;
        let message_id = &message.message_id;
        tracing::error!(message_id, reason, "a message of the spill queue is a dead letter");
        Ok(Replayed::DeadLetter)
    }

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
        let spilled = match Spilled::read(&received.message.body) {
            Ok(spilled) => spilled,
            Err(error) => {
                return self.bury_unread(&received.message, &error.to_string(), deadline).await;
            }
        };
        let Spilled { event, received_at, changes } = &spilled;
        let (done, failed) = self.store_all(&spilled, received.received_at, store_until).await;
        let is_refused = |(_, error): &(_, StoreError)| matches!(error, StoreError::Refused(_));
        let (mut given_up, mut failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(is_refused);
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
        // Nobody is named who was erased since.
        let named: Vec<Change> = done.iter().map(|(change, _)| (*change).clone()).collect();
        let Named { app, user, room, count } = Named::of(&named);
        let outcome = done.iter().map(|(_, outcome)| *outcome).max().unwrap_or(Outcome::Ignored);
        let outcome = outcome.as_str();
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

    /// Stores changes, each again and again until `until`. Returns those that are stored with their
    /// outcomes, and what is not known to be stored. What was erased is in neither.
    async fn store_all<'a>(
        &self,
        spilled: &'a Spilled,
        now: UnixMillis,
        until: Instant,
    ) -> (Vec<(&'a Change, Outcome)>, Vec<(&'a Change, StoreError)>) {
        let mut storing = Vec::with_capacity(spilled.changes.len());
        for change in &spilled.changes {
            let stored = self.store_at_pace(change, spilled.received_at, now, until);
            storing.push(async move { (change, stored.await) });
        }
        let mut storing = stream::iter(storing).buffer_unordered(CONCURRENT_CHANGES);
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        while let Some((change, stored)) = storing.next().await {
            match stored {
                Ok(Some(outcome)) => done.push((change, outcome)),
                Ok(None) => {}
                Err(error) => failed.push((change, error)),
            }
        }
        (done, failed)
    }

    /// Stores a change at the pace of the store, again and again until it is stored or refused, or
    /// `until` has come.
    async fn store_at_pace(
        &self,
        change: &Change,
        received_at: UnixMillis,
        now: UnixMillis,
        until: Instant,
    ) -> Result<Option<Outcome>, StoreError> {
        let mut last = StoreError::OutOfTime;
        while let Some(started) = self.gate.turn(until).await {
            let stored = timeout_at(until, self.store(change, received_at, now)).await;
            let stored = stored.unwrap_or(Err(StoreError::OutOfTime));
            let answer = match &stored {
                Ok(_) | Err(StoreError::Refused(_) | StoreError::Item(_)) => Answer::Answered,
                Err(StoreError::Throttled(_) | StoreError::HotPartition(_)) => Answer::Throttled,
                Err(StoreError::DynamoDb(_) | StoreError::NoAnswer(_) | StoreError::OutOfTime) => {
                    Answer::Failed
                }
            };
            self.gate.pace().note(started, answer, Instant::now());
            match stored {
                Err(error) if answer != Answer::Answered => last = error,
                stored => return stored,
            }
        }
        Err(last)
    }

    /// Stores a change, unless an erasure covers it that came after the callback: `None`.
    async fn store(
        &self,
        change: &Change,
        received_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Option<Outcome>, StoreError> {
        if self.erasures.of(change.app(), now).await?.cover(change) {
            return Ok(None);
        }
        self.store.apply(change, received_at).await.map(Some)
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

fn reason_of(error: &StoreError) -> String {
    let days = in_days(spill::GIVEN_UP_AFTER);
    match error {
        StoreError::Refused(_) => error.to_string(),
        _ => format!("it could not be stored for {days} days: {error}"),
    }
}

fn in_days(time: Duration) -> u64 {
    time.as_secs() / (24 * 60 * 60)
}
