//! An SQS queue.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_sdk_sqs::{Client, config, types::MessageAttributeValue};
use futures::future::try_join_all;
use tokio::time::{Instant, timeout_at};

use super::QueueError;
use crate::aws;

/// The message attribute with the reason of a dead letter.
const REASON: &str = "reason";

/// The longest time for which SQS delays a message.
pub const MAX_DELAY: Duration = Duration::from_mins(15);

/// How much of a reason is kept, in bytes.
const MAX_REASON_BYTES: usize = 2048;

/// An SQS queue. No client is made until the first call.
#[derive(Debug, Clone)]
pub struct Queue {
    url: String,
    aws: aws::SdkConfig,
    client: Arc<OnceLock<Client>>,
}

impl Queue {
    /// The queue with that URL.
    #[must_use]
    pub fn new(aws: &aws::SdkConfig, url: impl Into<String>) -> Self {
        Self { url: url.into(), aws: aws.clone(), client: Arc::default() }
    }

    /// Sends a message in JSON.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if it is not known to be in the queue by `deadline`. It may be there all the
    /// same.
    pub async fn send_text(&self, json: String, deadline: Instant) -> Result<(), QueueError> {
        let body = without_noncharacters(json);
        self.send(body, None, Duration::ZERO, deadline).await
    }

    /// The same, but nobody receives it before `delay` has passed, in seconds and at most
    /// [`MAX_DELAY`]. The queue's own delay does not count then.
    ///
    /// # Errors
    ///
    /// As [`Queue::send_text`].
    pub async fn send_text_later(
        &self,
        json: String,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), QueueError> {
        self.send(without_noncharacters(json), None, delay, deadline).await
    }

    /// Makes a received message wait before it is received again.
    ///
    /// # Errors
    ///
    /// [`QueueError`] if that is not known to be done. Then it waits for the queue's own timeout.
    pub async fn delay(
        &self,
        receipt_handle: &str,
        wait: Duration,
        deadline: Instant,
    ) -> Result<(), QueueError> {
        let delayed = self
            .client()
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(wait.as_secs()).unwrap_or(i32::MAX))
            .customize()
            .config_override(within(deadline))
            .send();
        timeout_at(deadline, delayed).await.map_err(|_| QueueError::OutOfTime)??;
        Ok(())
    }

    /// Sends messages, concurrently, each with the reason if there is one. On return all of them are
    /// safe.
    pub(crate) async fn send_all(
        &self,
        messages: Vec<String>,
        reason: Option<&str>,
        deadline: Instant,
    ) -> Result<(), QueueError> {
        let sent =
            messages.into_iter().map(|body| self.send(body, reason, Duration::ZERO, deadline));
        try_join_all(sent).await.map(|_| ())
    }

    async fn send(
        &self,
        body: String,
        reason: Option<&str>,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), QueueError> {
        let mut message = self.client().send_message().queue_url(&self.url).message_body(body);
        if delay > Duration::ZERO {
            let seconds = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or(i32::MAX);
            message = message.delay_seconds(seconds);
        }
        if let Some(reason) = reason {
            let text = MessageAttributeValue::builder().data_type("String");
            if let Ok(text) = text.string_value(readable(reason)).build() {
                message = message.message_attributes(REASON, text);
            }
        }
        let sent = message.customize().config_override(within(deadline)).send();
        timeout_at(deadline, sent).await.map_err(|_| QueueError::OutOfTime)??;
        Ok(())
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.aws))
    }
}

/// A call may take the rest of the time, including its first TLS handshake.
fn within(deadline: Instant) -> config::Builder {
    let left = deadline.saturating_duration_since(Instant::now());
    config::Config::builder().timeout_config(aws::timeouts(left))
}

/// A text that SQS accepts as an attribute.
fn readable(text: &str) -> String {
    let readable: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    readable[..readable.floor_char_boundary(MAX_REASON_BYTES)].to_owned()
}

/// SQS does not accept U+FFFE and U+FFFF, which a name may contain like any other character. In
/// JSON they can only be in a string.
pub(crate) fn without_noncharacters(json: String) -> String {
    if json.contains(['\u{fffe}', '\u{ffff}']) {
        json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    } else {
        json
    }
}
