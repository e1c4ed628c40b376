//! What makes a room be checked after a while: one message of a queue for each life of a room and
//! grace, or a timer on a laptop.
//!
//! A note in the table says that a message waits. It is written before the message is sent,
//! and deleted before the room is read. So as long as it is there, the check will see what was
//! stored before.
//!
//! - A relay that dies between the note and the message comes again for the same reason, which is in
//!   the note: then the message is sent again.
//! - A note whose time is over does not count, so a message that was never sent is forgotten.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    domain::{App, LifeId, RoomId, UnixMillis},
    queue::{MAX_DELAY, Queue, QueueError},
    store::{Note, RoomLife, Settler, StoreError},
};

/// The version of the messages.
const VERSION: u64 = 1;

/// How often a note is read again that somebody else changes.
const ATTEMPTS: usize = 10;

/// While facts come, the time of a check is moved in steps: a fact writes nothing if the check is
/// due late enough. A step is this part of the grace.
const STEPS: u32 = 10;

/// A message: a room has to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which room, and which life of it.
    pub of: RoomLife,
    /// Why: what was read or received when it was sent.
    pub by: String,
    /// How many messages for the same reason came before.
    pub turn: u32,
}

#[derive(Serialize, Deserialize)]
struct Message {
    version: u64,
    app: App,
    room: RoomId,
    life: Option<LifeId>,
    by: String,
    turn: u32,
}

impl Check {
    pub(super) fn read(body: &str) -> Option<Self> {
        let Message { version, app, room, life, by, turn } = serde_json::from_str(body).ok()?;
        (version == VERSION).then_some(Self { of: RoomLife { app, room, life }, by, turn })
    }

    fn write(self) -> Result<String, serde_json::Error> {
        let Self { of: RoomLife { app, room, life }, by, turn } = self;
        serde_json::to_string(&Message { version: VERSION, app, room, life, by, turn })
    }

    /// The same later: the next message for the same reason.
    pub(super) fn next(&self) -> Self {
        Self { turn: self.turn.saturating_add(1), ..self.clone() }
    }

    /// What names it in the note.
    fn name(&self) -> String {
        format!("{}#{}", self.by, self.turn)
    }
}

/// A check, and after which time it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed {
    /// The check.
    pub check: Check,
    /// How long it waits.
    pub delay: Duration,
}

/// Where messages wait.
#[derive(Debug, Clone)]
pub enum CheckQueue {
    /// An SQS queue.
    Queue(Box<Queue>),
    /// Somebody in this process who waits.
    Timer(mpsc::UnboundedSender<Delayed>),
}

/// Has rooms checked when nothing has changed for a while.
#[derive(Debug, Clone)]
pub struct Checks {
    /// Where the notes are.
    pub store: Settler,
    /// Where the messages wait.
    pub queue: CheckQueue,
    /// For how long nothing must have changed.
    pub grace: Duration,
}

/// Why it is not known whether a room will be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The note cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message could not be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The message could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing waits for it any more.
    #[error("the process is about to end")]
    NoTimer,
    /// Others have changed the note each time.
    #[error("the note of a room changed each time that it was written")]
    Contended,
}

/// Whether a message is the one that has the room checked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The room has to be checked.
    Yes,
    /// Another message will have it checked.
    Later,
}

impl Checks {
    /// Has a room checked when nothing more was seen of it for the grace after `now`. If a message
    /// for that waits already, none is sent. `by` is what was seen: the same if it is seen again.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if it is not known whether the room will be checked. It can be asked for
    /// again without harm.
    pub async fn ask(
        &self,
        of: &RoomLife,
        by: &str,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<(), CheckError> {
        let check = Check { of: of.clone(), by: by.to_owned(), turn: 0 };
        self.ask_again(check, now.after(self.grace), now, deadline).await
    }

    /// Has a room checked at `at` or a little later.
    pub(super) async fn ask_again(
        &self,
        check: Check,
        at: UnixMillis,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<(), CheckError> {
        let (of, name) = (&check.of, check.name());
        let due_at = at.after(self.grace / STEPS);
        for _ in 0..ATTEMPTS {
            let read = self.store.note(of).await?;
            let waits = read.note.clone().filter(|note| note.until > now && note.by != name);
            if let Some(waits) = waits {
                let later = Note { due_at, ..waits };
                if waits_until(read.note.as_ref()) >= at
                    || self.store.write_note(of, &read, &later).await?
                {
                    return Ok(());
                }
                continue;
            }
            let due_at = due_at.max(waits_until(read.note.as_ref()));
            let delay = delay(due_at, now);
            let note = Note { until: now.after(delay), by: name.clone(), due_at };
            if self.store.write_note(of, &read, &note).await? {
                return self.send(check, delay, deadline).await;
            }
        }
        Err(CheckError::Contended)
    }

    /// Looks whether a message has its room checked now, and if so, deletes the note.
    pub(super) async fn take(
        &self,
        check: &Check,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<Taken, CheckError> {
        let (of, next) = (&check.of, check.next());
        for _ in 0..ATTEMPTS {
            let read = self.store.note(of).await?;
            let Some(note) = &read.note else { return Ok(Taken::Yes) };
            let is_own = [check.name(), next.name()].contains(&note.by);
            if !is_own && note.until > now {
                return Ok(Taken::Later);
            }
            if note.due_at <= now {
                if self.store.delete_note(&read).await? {
                    return Ok(Taken::Yes);
                }
                continue;
            }
            let delay = delay(note.due_at, now);
            let later = Note { until: now.after(delay), by: next.name(), due_at: note.due_at };
            if self.store.write_note(of, &read, &later).await? {
                self.send(next, delay, deadline).await?;
                return Ok(Taken::Later);
            }
        }
        Err(CheckError::Contended)
    }

    /// Whether another message will have a room checked.
    pub(super) async fn is_pending(
        &self,
        of: &RoomLife,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let note = self.store.note(of).await?.note;
        Ok(note.is_some_and(|note| note.until > now || note.due_at > now))
    }

    async fn send(
        &self,
        check: Check,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), CheckError> {
        match &self.queue {
            CheckQueue::Queue(queue) => {
                Ok(queue.send_text_later(check.write()?, delay, deadline).await?)
            }
            CheckQueue::Timer(timer) => {
                timer.send(Delayed { check, delay }).map_err(|_| CheckError::NoTimer)
            }
        }
    }
}

fn waits_until(note: Option<&Note>) -> UnixMillis {
    note.map_or(UnixMillis(0), |note| note.due_at)
}

/// How long a message waits: in whole seconds, and no longer than the queue allows.
fn delay(until: UnixMillis, now: UnixMillis) -> Duration {
    let seconds = until.0.saturating_sub(now.0).div_ceil(1000);
    Duration::from_secs(seconds).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderName;

    #[test]
    fn a_message_comes_back_and_anything_else_is_none() {
        let app = App { provider: ProviderName::ALL[0], id: "1".parse().unwrap() };
        for life in [None, Some("a\"\u{0}\u{ffff}é".parse().unwrap())] {
            let of = RoomLife { app: app.clone(), room: "r#\"".parse().unwrap(), life };
            let check = Check { of, by: "7-x".to_owned(), turn: 3 };
            let text = check.clone().write().unwrap();
            assert_eq!(Check::read(&text), Some(check));
            assert_eq!(Check::read(&text.replace("\"version\":1", "\"version\":2")), None);
        }
        assert_eq!(Check::read("nonsense"), None);
    }

    #[test]
    fn a_message_waits_whole_seconds_and_no_longer_than_sqs_allows() {
        let delay = |until| delay(UnixMillis(until), UnixMillis(1000)).as_secs();
        assert_eq!([0, 1000, 1001, 2000, 2001, u64::MAX].map(delay), [0, 0, 1, 1, 2, 900]);
    }
}
