//! The current apps, or the accounts of their providers' APIs: given once, or read from AWS Secrets
//! Manager again and again.
//!
//! A secret is read at start, every [`MAX_AGE`] in the background, and when a verification fails.
//! An instance that was idle for [`OVERDUE`] reads it before it verifies. When a read fails, the
//! known value stays in use. No answer waits for a read longer than a quarter of its time. The read
//! itself continues, so that the next request finds its result.

mod held;
mod secrets_manager;

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::Instrument;

pub use held::{MAX_AGE, OVERDUE, PAUSE, PAUSE_UNTIL_KNOWN};

use self::{
    held::{Held, Known, Need},
    secrets_manager::{ReadError, StoredSecret},
};
use crate::{
    aws,
    domain::UnixMillis,
    providers::{Apps, AppsError},
};

/// What a secret's JSON is read into.
pub trait FromSecret: fmt::Debug + Sized + Send + Sync + 'static {
    /// How the secret is named in the log.
    const NAME: &'static str;

    /// What can be wrong with its JSON. Its text follows the name of the secret, and holds nothing of
    /// the secret.
    type Error: fmt::Display;

    /// Reads the JSON.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn from_json(json: &str) -> Result<Self, Self::Error>;
}

impl FromSecret for Apps {
    const NAME: &'static str = "the apps' secret";

    type Error = AppsError;

    fn from_json(json: &str) -> Result<Self, AppsError> {
        Self::from_json(json)
    }
}

/// Where the apps and their secrets come from.
pub type AppsSource = SecretSource<Apps>;

/// Where a value with secrets comes from.
#[derive(Debug)]
pub struct SecretSource<T>(Source<T>);

#[derive(Debug)]
enum Source<T> {
    Given(Arc<T>),
    Secret(Arc<Reader<T>>),
}

#[derive(Debug)]
struct Reader<T> {
    secret: StoredSecret,
    wait: Duration,
    held: watch::Sender<Held<T>>,
}

impl<T> Clone for SecretSource<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Given(given) => Source::Given(given.clone()),
            Source::Secret(reader) => Source::Secret(reader.clone()),
        })
    }
}

impl<T: FromSecret> From<T> for SecretSource<T> {
    fn from(given: T) -> Self {
        Self(Source::Given(Arc::new(given)))
    }
}

impl<T: FromSecret> SecretSource<T> {
    /// The value in the Secrets Manager secret `id`, its name or its ARN. Nothing is read before the
    /// first call. A read may take `budget`, the time for one answer. [`SecretSource::get`] and
    /// [`SecretSource::newer_than`] wait for at most a quarter of it.
    #[must_use]
    pub fn secret(aws: &aws::SdkConfig, id: impl Into<String>, budget: Duration) -> Self {
        let secret = StoredSecret::new(aws, id.into(), budget);
        let (wait, held) = (budget / 4, watch::Sender::default());
        Self(Source::Secret(Arc::new(Reader { secret, wait, held })))
    }

    /// The current value; `None` if it could not be read yet. It waits only if there is none yet, or
    /// if it is [`OVERDUE`].
    pub async fn get(&self, now: UnixMillis) -> Option<Arc<T>> {
        let reader = match &self.0 {
            Source::Given(given) => return Some(given.clone()),
            Source::Secret(reader) => reader,
        };
        if reader.held.borrow().is_needed(Need::Usable, now) {
            reader.read(Need::Usable, now);
            reader.finished().await;
        }
        reader.held.borrow().value()
    }

    /// The value, if it differs from `used`, with which a verification failed: a secret may have
    /// changed. However many verifications fail, there is at most one read per [`PAUSE`].
    pub async fn newer_than(&self, used: &Arc<T>, now: UnixMillis) -> Option<Arc<T>> {
        let Source::Secret(reader) = &self.0 else { return None };
        let newer = || reader.held.borrow().value().filter(|value| !Arc::ptr_eq(value, used));
        if newer().is_none() {
            reader.read(Need::Newer, now);
            reader.finished().await;
        }
        newer()
    }

    /// Starts a read if the secret has reached [`MAX_AGE`], and does not wait for it.
    pub fn refresh(&self, now: UnixMillis) {
        if let Source::Secret(reader) = &self.0 {
            reader.read(Need::Fresh, now);
        }
    }
}

impl<T: FromSecret> Reader<T> {
    /// Begins a read, if one is due.
    fn read(self: &Arc<Self>, need: Need, now: UnixMillis) {
        if !self.held.send_if_modified(|held| held.begin(need, now)) {
            return;
        }
        let reader = self.clone();
        // It outlives a request that cannot wait for it.
        let read = async move {
            let read = reader.secret.read().await;
            let read = read.and_then(|(version, json)| {
                if version.is_some() && reader.held.borrow().version() == version.as_deref() {
                    return Ok(None);
                }
                let value = T::from_json(&json).map_err(|error| ReadError::content(&error))?;
                tracing::info!(version, "{} was read", T::NAME);
                Ok(Some(Known { value: Arc::new(value), version }))
            });
            reader.held.send_modify(|held| match read {
                Ok(Some(known)) => held.know(known, now),
                Ok(None) => held.confirm(now),
                Err(error) => {
                    let last_good = held.version();
                    tracing::warn!(%error, last_good, "{} could not be read", T::NAME);
                    held.fail(now);
                }
            });
        };
        tokio::spawn(read.in_current_span());
    }

    /// Waits for the read in progress, but at most a quarter of the budget.
    async fn finished(&self) {
        let mut held = self.held.subscribe();
        let finished = held.wait_for(|held| !held.is_reading());
        // If the wait was too short, the known value is used.
        let _ = tokio::time::timeout(self.wait, finished).await;
    }
}
