//! The current apps: given once, or read from AWS Secrets Manager again and again.
//!
//! A secret is read at start, every [`MAX_AGE`] in the background, and when a verification fails.
//! An instance that was idle for [`OVERDUE`] reads it before it verifies. When a read fails, the
//! known value stays in use. No answer waits for a read longer than a quarter of its time. The read
//! itself continues, so that the next request finds its result.

mod held;
mod secrets_manager;

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

pub use held::{MAX_AGE, OVERDUE, PAUSE, PAUSE_UNTIL_KNOWN};

use self::{
    held::{Held, Known, Need},
    secrets_manager::StoredSecret,
};
use crate::{aws, domain::UnixMillis, providers::Apps};

/// Where the apps and their secrets come from.
#[derive(Debug, Clone)]
pub struct AppsSource(Source);

#[derive(Debug, Clone)]
enum Source {
    Given(Arc<Apps>),
    Secret(Arc<Reader>),
}

#[derive(Debug)]
struct Reader {
    secret: StoredSecret,
    wait: Duration,
    held: watch::Sender<Held>,
}

impl From<Apps> for AppsSource {
    fn from(apps: Apps) -> Self {
        Self(Source::Given(Arc::new(apps)))
    }
}

impl AppsSource {
    /// The apps in the Secrets Manager secret `id`, its name or its ARN. Nothing is read before the
    /// first call. A read may take `budget`, the time for one answer. [`AppsSource::get`] and
    /// [`AppsSource::newer_than`] wait for at most a quarter of it.
    #[must_use]
    pub fn secret(aws: &aws::SdkConfig, id: impl Into<String>, budget: Duration) -> Self {
        let secret = StoredSecret::new(aws, id.into(), budget);
        let (wait, held) = (budget / 4, watch::Sender::default());
        Self(Source::Secret(Arc::new(Reader { secret, wait, held })))
    }

    /// The current apps; `None` if they could not be read yet. It waits only if there are none yet,
    /// or if they are [`OVERDUE`].
    pub async fn get(&self, now: UnixMillis) -> Option<Arc<Apps>> {
        let reader = match &self.0 {
            Source::Given(apps) => return Some(apps.clone()),
            Source::Secret(reader) => reader,
        };
        if reader.held.borrow().is_needed(Need::Usable, now) {
            reader.read(Need::Usable, now);
            reader.finished().await;
        }
        reader.held.borrow().apps()
    }

    /// The apps, if they differ from `used`, with which a verification failed: a secret may have
    /// changed. However many verifications fail, there is at most one read per [`PAUSE`].
    pub async fn newer_than(&self, used: &Arc<Apps>, now: UnixMillis) -> Option<Arc<Apps>> {
        let Source::Secret(reader) = &self.0 else { return None };
        let newer = || reader.held.borrow().apps().filter(|apps| !Arc::ptr_eq(apps, used));
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

impl Reader {
    /// Begins a read, if one is due.
    fn read(self: &Arc<Self>, need: Need, now: UnixMillis) {
        if !self.held.send_if_modified(|held| held.begin(need, now)) {
            return;
        }
        let reader = self.clone();
        // It outlives a request that cannot wait for it.
        tokio::spawn(async move {
            let read = reader.secret.read().await;
            let read = read.and_then(|(version, json)| {
                if version.is_some() && reader.held.borrow().version() == version.as_deref() {
                    return Ok(None);
                }
                let apps = Arc::new(Apps::from_json(&json)?);
                tracing::info!(version, "the apps' secret was read");
                Ok(Some(Known { apps, version }))
            });
            reader.held.send_modify(|held| match read {
                Ok(Some(known)) => held.know(known, now),
                Ok(None) => held.confirm(now),
                Err(error) => {
                    let last_good = held.version();
                    tracing::warn!(%error, last_good, "the apps' secret could not be read");
                    held.fail(now);
                }
            });
        });
    }

    /// Waits for the read in progress, but at most a quarter of the budget.
    async fn finished(&self) {
        let mut held = self.held.subscribe();
        let finished = held.wait_for(|held| !held.is_reading());
        // If the wait was too short, the known value is used.
        let _ = tokio::time::timeout(self.wait, finished).await;
    }
}
