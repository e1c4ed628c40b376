//! Where events go. This is the only place that names `EventBridge`.

use std::time::Duration;

use aws_sdk_eventbridge::{
    Client, config,
    error::{DisplayErrorContext, SdkError},
    types::PutEventsRequestEntry,
};

use super::Event;
use crate::aws;

/// The `source` of every entry.
const SOURCE: &str = "rollcall";

/// What takes events.
pub trait Bus {
    /// How many events one call takes.
    const MAX_ENTRIES: usize;

    /// How many bytes one call takes, as [`Entry::bytes`] counts them.
    const MAX_BYTES: usize;

    /// Hands over events. Returns for each of them, in their order, whether it was taken. One that
    /// was not taken can be handed over again.
    ///
    /// # Errors
    ///
    /// [`BusError`] if none of them is known to be taken.
    fn put(&self, entries: &[&Entry]) -> impl Future<Output = Result<Vec<bool>, BusError>> + Send;
}

/// Why events were not taken. For logs, not for clients.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus failed, or did not answer.
    #[error("EventBridge: {0}")]
    EventBridge(String),
    /// The bus did not say of each event whether it was taken.
    #[error("EventBridge answered for {answered} of {sent} events")]
    Answers {
        /// How many answers there were.
        answered: usize,
        /// How many events there were.
        sent: usize,
    },
}

/// `SdkError` hides its cause when displayed, so the whole chain is kept as text.
impl<E, R> From<SdkError<E, R>> for BusError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self::EventBridge(DisplayErrorContext(&error).to_string())
    }
}

/// An event as a bus takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The type of the event.
    pub detail_type: &'static str,
    /// The event as JSON.
    pub detail: String,
    /// The app, such as `zego/1`: a rule can name several of them in one list.
    pub app: String,
}

impl Entry {
    /// An event as a bus takes it.
    ///
    /// # Errors
    ///
    /// If the event cannot be written as JSON.
    pub fn of(event: &Event) -> Result<Self, serde_json::Error> {
        let (provider, app) = event.app();
        Ok(Self {
            detail_type: event.name(),
            detail: serde_json::to_string(event)?,
            app: format!("{provider}/{app}"),
        })
    }

    /// Its size, as `EventBridge` counts it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        SOURCE.len() + self.detail_type.len() + self.detail.len() + self.app.len()
    }
}

/// An `EventBridge` bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    /// The bus of that name or ARN. A call takes at most `limit`.
    #[must_use]
    pub fn new(aws: &aws::SdkConfig, name: impl Into<String>, limit: Duration) -> Self {
        let config = config::Builder::from(aws).timeout_config(aws::timeouts(limit)).build();
        Self { client: Client::from_conf(config), name: name.into() }
    }
}

impl Bus for EventBus {
    const MAX_ENTRIES: usize = 10;
    const MAX_BYTES: usize = 256 << 10;

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<bool>, BusError> {
        let requests = entries.iter().map(|entry| {
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(SOURCE)
                .detail_type(entry.detail_type)
                .detail(&entry.detail)
                .resources(&entry.app)
                .build()
        });
        let put = self.client.put_events().set_entries(Some(requests.collect()));
        // The SDK's futures are tens of kilobytes.
        let answer = Box::pin(put.send()).await?;
        let answers = answer.entries();
        for refused in answers.iter().filter_map(|answer| answer.error_code()) {
            tracing::warn!(code = refused, "EventBridge did not take an event");
        }
        if answers.len() != entries.len() {
            return Err(BusError::Answers { answered: answers.len(), sent: entries.len() });
        }
        Ok(answers.iter().map(|answer| answer.error_code().is_none()).collect())
    }
}
