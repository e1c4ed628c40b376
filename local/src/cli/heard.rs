//! The events that `check` hears: on a laptop from `GET /events`, of a stack from an SQS queue that
//! a rule of its bus sends to.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_sqs::{Client, error::DisplayErrorContext};
use reqwest::StatusCode;
use rollcall::aws;
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

/// For how long an event is waited for.
const LIMIT: Duration = Duration::from_mins(1);

/// How often what was heard is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// How many seconds one request waits for messages.
const LONG_POLL_SECONDS: i32 = 5;

/// Collects events in the background, from when it is made on.
pub(super) struct Heard {
    events: Arc<Events>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Events {
    heard: Mutex<Vec<Value>>,
    /// Why no more will be heard.
    fault: Mutex<Option<String>>,
}

/// What can be heard.
pub(super) enum Hearing {
    Yes(Heard),
    /// Nothing, and why.
    No(&'static str),
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hearing {
    /// Begins to listen. Without a queue, a stack's events cannot be heard.
    pub(super) async fn begin(
        http: &reqwest::Client,
        url: &str,
        queue: Option<String>,
    ) -> Result<Self, String> {
        if let Some(queue) = queue {
            let aws = aws::from_env().map_err(|error| error.to_string())?;
            let client = Client::new(&aws);
            return Ok(Self::Yes(Heard::with(|events| from_queue(client, queue, events))));
        }
        if url.starts_with("https://") {
            return Ok(Self::No("--events-queue is not given"));
        }
        let sent = http.get(format!("{}/events", url.trim_end_matches('/'))).send().await;
        let response = sent.map_err(|error| error.without_url().to_string())?;
        match response.status() {
            StatusCode::OK => Ok(Self::Yes(Heard::with(|events| from_stream(response, events)))),
            StatusCode::CONFLICT => Ok(Self::No("they are off")),
            // Behind `cargo lambda watch`.
            StatusCode::NOT_FOUND => Ok(Self::No("there is no GET /events here")),
            status => Err(format!("GET /events: {status}")),
        }
    }
}

impl Heard {
    fn with<F>(listen: impl FnOnce(Arc<Events>) -> F) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let events = Arc::<Events>::default();
        let (listening, into) = (listen(events.clone()), events.clone());
        let task = tokio::spawn(async move {
            let fault = listening.await.err().unwrap_or_else(|| "the stream ended".to_owned());
            *into.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        });
        Self { events, task }
    }

    /// Waits for an event of a provider about somebody or a room whose name ends like this. Returns
    /// its type.
    pub(super) async fn of(&self, provider: &str, tag: &str) -> Result<String, String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = self.events.find(provider, tag) {
                return Ok(found);
            }
            let fault = self.events.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match fault {
                Some(fault) => return Err(fault),
                None if Instant::now() >= deadline => {
                    return Err(format!("none came within {} s", LIMIT.as_secs()));
                }
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Events {
    fn add(&self, json: &str) {
        if let Ok(event) = serde_json::from_str(json) {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }

    fn find(&self, provider: &str, tag: &str) -> Option<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |event: &&Value| {
            let names = |field: &str| event[field].as_str().is_some_and(|id| id.ends_with(tag));
            event["provider"] == provider && (names("user") || names("room"))
        };
        Some(heard.iter().find(is_it)?["type"].as_str()?.to_owned())
    }
}

/// A laptop's Server-Sent Events.
async fn from_stream(mut response: reqwest::Response, events: Arc<Events>) -> Result<(), String> {
    let mut text = Vec::new();
    let fault = |error: reqwest::Error| error.without_url().to_string();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        text.extend_from_slice(&chunk);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data: ") {
                events.add(&String::from_utf8_lossy(data));
            }
        }
    }
    Ok(())
}

/// What a rule sent to a queue. All that is read is deleted: the queue is there for this.
async fn from_queue(client: Client, queue: String, events: Arc<Events>) -> Result<(), String> {
    loop {
        let receive = client
            .receive_message()
            .queue_url(&queue)
            .max_number_of_messages(10)
            .wait_time_seconds(LONG_POLL_SECONDS);
        let received = Box::pin(receive.send()).await;
        let received = received.map_err(|error| DisplayErrorContext(&error).to_string())?;
        for message in received.messages.unwrap_or_default() {
            let body: Value = serde_json::from_str(message.body().unwrap_or_default())
                .map_err(|_| "a message of the queue is not JSON".to_owned())?;
            events.add(&body["detail"].to_string());
            let delete = client.delete_message().queue_url(&queue);
            let delete = delete.set_receipt_handle(message.receipt_handle);
            // What is not deleted comes again, which changes nothing.
            let _ = Box::pin(delete.send()).await;
        }
    }
}
