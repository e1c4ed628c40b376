//! An SQS queue over HTTP: at `ROLLCALL_TEST_SQS_URL`, or else a small double.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_sqs::{
    Client,
    error::SdkError,
    types::{Message, MessageSystemAttributeName},
};
use axum::{Json, Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use rollcall::{aws, domain::UnixMillis, runtime};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::secrets;

/// The longest message that every region accepts.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

pub(crate) struct Sqs {
    pub(crate) url: String,
    client: Client,
}

/// A queue, and the state of its poller.
pub(crate) struct TestQueue {
    pub(crate) url: String,
    client: Client,
    /// The receipts of messages that stayed in the queue: they are invisible now.
    kept: Vec<String>,
    /// How much older messages seem to the poller than they are.
    pub(crate) aged: Duration,
}

impl Sqs {
    pub(crate) async fn start() -> Self {
        let url = match std::env::var("ROLLCALL_TEST_SQS_URL") {
            Ok(url) => url,
            Err(_) => Double::start().await,
        };
        let client = Client::new(&aws::at(&url));
        Self { url, client }
    }

    /// A new queue, named after one of the template's.
    pub(crate) async fn queue(&self, resource: &str) -> TestQueue {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{resource}-{}-{number}", std::process::id());
        let created = self.client.create_queue().queue_name(name).send().await.unwrap();
        let url = created.queue_url.unwrap();
        TestQueue { url, client: self.client.clone(), kept: Vec::new(), aged: Duration::ZERO }
    }
}

impl TestQueue {
    /// Sends a message that is not one of ours.
    pub(crate) async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    /// Up to ten messages, which are invisible from then on.
    pub(crate) async fn receive(&self) -> Vec<Message> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .visibility_timeout(3600)
            .send();
        let messages = received.await.unwrap().messages.unwrap_or_default();
        for message in &messages {
            secrets::expect_none("a message of the queue", &format!("{message:?}"));
        }
        messages
    }

    pub(crate) async fn delete(&self, message: &Message) {
        let receipt = message.receipt_handle.as_deref().unwrap();
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt);
        delete.send().await.unwrap();
    }

    /// Does what Lambda does: receives a batch, invokes the function, and deletes the messages that
    /// do not stay. Returns how many messages there were and how many stayed.
    pub(crate) async fn poll(
        &mut self,
        invoke: impl AsyncFnOnce(Value) -> Option<Value>,
    ) -> (usize, usize) {
        let messages = self.receive().await;
        if messages.is_empty() {
            return (0, 0);
        }
        let answer = invoke(event(&messages, self.aged)).await;
        let failures =
            answer.as_ref().map(|answer| answer["batchItemFailures"].as_array().unwrap());
        let mut stayed = 0;
        for message in &messages {
            let id = message.message_id.as_deref().unwrap();
            // Without an answer, no message counts as done.
            let stays = failures.is_none_or(|failures| {
                failures.iter().any(|failure| failure["itemIdentifier"] == id)
            });
            if stays {
                stayed += 1;
                self.kept.push(message.receipt_handle.clone().unwrap());
            } else {
                self.delete(message).await;
            }
        }
        (messages.len(), stayed)
    }

    /// Lets enough time pass that all messages can be received again.
    pub(crate) async fn let_time_pass(&mut self) {
        for receipt in self.kept.drain(..) {
            let change = self.client.change_message_visibility().queue_url(&self.url);
            let change = change.receipt_handle(receipt).visibility_timeout(0).send().await;
            // A real queue's own time passes, too: such a message is visible or was received again.
            if let Err(error) = change.map_err(SdkError::into_service_error) {
                assert!(
                    error.is_receipt_handle_is_invalid() || error.is_message_not_inflight(),
                    "{error:?}"
                );
            }
        }
    }
}

/// The event that Lambda makes of messages.
fn event(messages: &[Message], aged: Duration) -> Value {
    let record = |message: &Message| {
        let attributes = message.attributes.iter().flatten();
        let mut attributes: HashMap<&str, String> =
            attributes.map(|(name, value)| (name.as_str(), value.clone())).collect();
        let sent_at = attributes.get_mut("SentTimestamp").unwrap();
        let sent_ms = u128::from(sent_at.parse::<u64>().unwrap()) - aged.as_millis();
        *sent_at = sent_ms.to_string();
        json!({
            "messageId": message.message_id, "receiptHandle": message.receipt_handle,
            "body": message.body, "attributes": attributes, "messageAttributes": {},
            "md5OfBody": message.md5_of_body, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:spill", "awsRegion": "us-east-1"
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

/// The part of SQS that a poller and a sender need. Its clock stands still: an invisible message
/// stays invisible until its visibility is set to 0.
#[derive(Default)]
struct Double {
    queues: Mutex<HashMap<String, Vec<Stored>>>,
    receipts: AtomicU64,
}

struct Stored {
    id: String,
    body: String,
    attributes: Value,
    sent_at: UnixMillis,
    receive_count: u32,
    is_visible: bool,
    receipt: String,
}

impl Double {
    async fn start() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(post(Self::answer)).with_state(Arc::<Self>::default());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[expect(clippy::unused_async, reason = "axum's handlers are futures")]
    async fn answer(
        State(double): State<Arc<Self>>,
        headers: HeaderMap,
        body: String,
    ) -> (StatusCode, Json<Value>) {
        let operation = headers["x-amz-target"].to_str().unwrap();
        let operation = operation.strip_prefix("AmazonSQS.").unwrap();
        match double.do_it(operation, &serde_json::from_str(&body).unwrap()) {
            Ok(answer) => (StatusCode::OK, Json(answer)),
            Err(error) => {
                let error = format!("com.amazonaws.sqs#{error}");
                (StatusCode::BAD_REQUEST, Json(json!({ "__type": error, "message": "no" })))
            }
        }
    }

    fn do_it(&self, operation: &str, asked: &Value) -> Result<Value, &'static str> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if operation == "CreateQueue" {
            let url = format!("http://sqs/123456789012/{}", asked["QueueName"].as_str().unwrap());
            queues.entry(url.clone()).or_default();
            return Ok(json!({ "QueueUrl": url }));
        }
        let queue = queues.get_mut(asked["QueueUrl"].as_str().unwrap());
        let queue = queue.ok_or("QueueDoesNotExist")?;
        let by_receipt = |queue: &[Stored]| {
            let receipt = asked["ReceiptHandle"].as_str().unwrap();
            let number = receipt.split_once('.').unwrap().0;
            queue.iter().position(|message| message.id == number).ok_or("ReceiptHandleIsInvalid")
        };
        match operation {
            "SendMessage" => {
                let body = asked["MessageBody"].as_str().unwrap();
                // The characters of XML 1.0.
                let is_allowed = |character: char| match character {
                    '\t' | '\n' | '\r' => true,
                    '\u{fffe}' | '\u{ffff}' => false,
                    character => character >= ' ',
                };
                let attributes = asked["MessageAttributes"].clone();
                if body.is_empty() || !body.chars().all(is_allowed) {
                    return Err("InvalidMessageContents");
                }
                // Time passes between two requests, however long the message is to wait.
                if asked["DelaySeconds"].as_u64().is_some_and(|delay| delay > 900) {
                    return Err("InvalidParameterValue");
                }
                let sent_at = runtime::now();
                let length = body.len() + attributes.to_string().len();
                if length > MAX_MESSAGE_BYTES {
                    return Err("InvalidParameterValue");
                }
                let id = self.receipts.fetch_add(1, Ordering::Relaxed).to_string();
                queue.push(Stored {
                    id: id.clone(),
                    body: body.to_owned(),
                    attributes,
                    sent_at,
                    receive_count: 0,
                    is_visible: true,
                    receipt: String::new(),
                });
                Ok(json!({ "MessageId": id, "MD5OfMessageBody": "" }))
            }
            "ReceiveMessage" => {
                let limit = asked["MaxNumberOfMessages"].as_u64().unwrap_or(1);
                let visible = queue.iter_mut().filter(|message| message.is_visible);
                let messages = visible.take(usize::try_from(limit).unwrap()).map(|message| {
                    message.is_visible = false;
                    message.receive_count += 1;
                    let number = self.receipts.fetch_add(1, Ordering::Relaxed);
                    message.receipt = format!("{}.{number}", message.id);
                    json!({
                        "MessageId": message.id, "ReceiptHandle": message.receipt,
                        "Body": message.body, "MessageAttributes": message.attributes,
                        "Attributes": {
                            "ApproximateReceiveCount": message.receive_count.to_string(),
                            "SentTimestamp": message.sent_at.0.to_string()
                        }
                    })
                });
                Ok(json!({ "Messages": messages.collect::<Vec<_>>() }))
            }
            "DeleteMessage" => {
                if let Ok(at) = by_receipt(queue) {
                    queue.remove(at);
                }
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                let at = by_receipt(queue)?;
                let seconds = asked["VisibilityTimeout"].as_u64().unwrap();
                if seconds > 12 * 60 * 60 || queue[at].is_visible {
                    return Err("MessageNotInflight");
                }
                queue[at].is_visible = seconds == 0;
                Ok(json!({}))
            }
            other => panic!("nobody asks SQS for {other}"),
        }
    }
}
