//! The later passes: a message in a delay queue, or a timer on a laptop.

use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::{Erase, REQUEST_LIMIT, SECOND_PASS_AFTER};
use crate::{
    domain::{App, UnixMillis, UserId},
    metrics,
    queue::{self, Kept, Queue, QueueError, ReceivedMessage},
    store::Person,
};

/// The version of the messages.
const VERSION: u64 = 1;

/// A later pass that has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// Whom to erase.
    pub person: Person,
    /// What is not newer than this is erased.
    pub at: UnixMillis,
}

/// Why a later pass cannot be arranged.
#[derive(Debug, thiserror::Error)]
pub enum RepeatError {
    /// The message could not be sent.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The message could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing waits for it any more.
    #[error("the process is about to end")]
    NoTimer,
}

/// What makes a pass happen, [`super::SECOND_PASS_AFTER`] later.
#[derive(Debug, Clone)]
pub enum Repeats {
    /// An SQS queue, whose messages are all delayed for that long. Until then, its message is the
    /// only thing that names the person.
    Queue(Box<Queue>),
    /// Somebody in this process who waits.
    Timer(mpsc::UnboundedSender<Repeat>),
}

impl Repeats {
    pub(super) async fn arrange(
        &self,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<(), RepeatError> {
        match self {
            Self::Queue(queue) => Ok(queue.send_text(repeat.write()?, deadline).await?),
            Self::Timer(timer) => timer.send(repeat).map_err(|_| RepeatError::NoTimer),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Message {
    version: u64,
    app: App,
    user: UserId,
    at: UnixMillis,
}

impl Repeat {
    fn write(self) -> Result<String, serde_json::Error> {
        let Person { app, user } = self.person;
        serde_json::to_string(&Message { version: VERSION, app, user, at: self.at })
    }

    fn read(body: &str) -> Option<Self> {
        let Message { version, app, user, at } = serde_json::from_str(body).ok()?;
        (version == VERSION).then_some(Self { person: Person { app, user }, at })
    }
}

impl Erase {
    /// Does each later pass when its time has come, until nobody can arrange one any more. A pass
    /// that still waits when the process ends is not done.
    pub async fn repeat_in_time(
        self,
        mut arranged: mpsc::UnboundedReceiver<Repeat>,
        now: fn() -> UnixMillis,
    ) {
        let mut waiting = JoinSet::new();
        loop {
            tokio::select! {
                repeat = arranged.recv() => {
                    let Some(repeat) = repeat else { break };
                    let erase = self.clone();
                    waiting.spawn(async move {
                        tokio::time::sleep(SECOND_PASS_AFTER).await;
                        let deadline = Instant::now() + REQUEST_LIMIT;
                        if let Err(error) = erase.repeat(&repeat, now(), deadline).await {
                            tracing::error!(error, "an erasure is not repeated");
                        }
                    });
                }
                Some(_) = waiting.join_next() => {}
            }
        }
    }

    /// Does a later pass.
    ///
    /// # Errors
    ///
    /// A text that says why it is not done. It can be done again without harm.
    pub async fn repeat(
        &self,
        repeat: &Repeat,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<(), String> {
        self.later_pass(repeat, now, deadline).await.map_err(|error| error.to_string())
    }

    /// Does the later passes of some messages. Returns the ids of the messages that must stay in
    /// the queue, because their pass is not done.
    pub async fn repeat_all(
        &self,
        messages: Vec<ReceivedMessage>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<String> {
        let kept = queue::handle_all(messages, now, "an erasure is not done", |body| async move {
            match Repeat::read(&body) {
                Some(repeat) => self.repeat(&repeat, now, deadline).await,
                None => Err("it is no message of this version".to_owned()),
            }
        });
        let Kept { ids, of, oldest_s } = kept.await;
        tracing::info!(
            target: metrics::REPEATS,
            messages = of,
            kept = ids.len(),
            oldest_kept_s = oldest_s,
            "later passes"
        );
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderName;

    #[test]
    fn a_message_comes_back_and_anything_else_is_none() {
        let app = App { provider: ProviderName::ALL[0], id: "1".parse().unwrap() };
        let person = Person { app, user: "a\"\u{0}\u{ffff}é".parse().unwrap() };
        let repeat = Repeat { person, at: UnixMillis(7) };
        let text = repeat.clone().write().unwrap();
        assert_eq!(Repeat::read(&text), Some(repeat));
        assert_eq!(Repeat::read(&text.replace("\"version\":1", "\"version\":2")), None);
        assert_eq!(Repeat::read("nonsense"), None);
    }
}
