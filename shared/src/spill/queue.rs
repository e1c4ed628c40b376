//! Changes are sent to a queue.

use tokio::time::Instant;

use super::{SpillError, message};
use crate::{
    domain::{Change, UnixMillis},
    queue::Queue,
};

impl Queue {
    /// Sends changes, in as many messages as they need, concurrently. On return all of them are
    /// safe.
    ///
    /// # Errors
    ///
    /// [`SpillError`] if they are not known to be in the queue by `deadline`. Some may be there all the
    /// same, and can be stored twice without harm.
    pub async fn spill<'a>(
        &self,
        event: &str,
        received_at: UnixMillis,
        changes: impl IntoIterator<Item = &'a Change>,
        deadline: Instant,
    ) -> Result<(), SpillError> {
        let messages = message::write(event, received_at, changes)?;
        Ok(self.send_all(messages, None, deadline).await?)
    }

    /// Sends a message that can never be read, unchanged and with the reason.
    ///
    /// # Errors
    ///
    /// [`SpillError`] if it is not known to be in the queue.
    pub async fn send_unreadable(
        &self,
        body: &str,
        reason: &str,
        deadline: Instant,
    ) -> Result<(), SpillError> {
        Ok(self.send_all(vec![body.to_owned()], Some(reason), deadline).await?)
    }

    /// Sends changes that can never be stored, with the reason.
    ///
    /// # Errors
    ///
    /// As [`Queue::spill`].
    pub async fn send_unstorable<'a>(
        &self,
        event: &str,
        received_at: UnixMillis,
        changes: impl IntoIterator<Item = &'a Change>,
        reason: &str,
        deadline: Instant,
    ) -> Result<(), SpillError> {
        let messages = message::write(event, received_at, changes)?;
        Ok(self.send_all(messages, Some(reason), deadline).await?)
    }
}
