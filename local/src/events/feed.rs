//! The old and the new image of every item that the gateway writes.
//!
//! The embedded DynamoDB's own stream is slow: at every write it looks for the next number among
//! all records. So the gateway's own writes are watched instead, below the SDK. An item is read
//! before and after it is written, while no other write of the gateway touches it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use rollcall::{
    aws,
    relay::events,
    runtime,
    store::{StreamRecord, TABLE},
};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, mpsc};

use super::Journal;
use crate::dynamodb::Embedded;

/// How many groups of items are written independently of each other.
const LOCKS: usize = 256;

/// The smallest number of 21 digits: DynamoDB's sequence numbers have at least as many.
const FIRST_SEQUENCE_NUMBER: u128 = 100_000_000_000_000_000_000;

/// Where images are read.
#[derive(Debug, Clone)]
pub enum Images {
    /// In the embedded DynamoDB, in this process.
    Embedded(Embedded),
    /// In another one, over HTTP.
    Remote,
}

/// Watches the writes of a client.
#[derive(Debug, Clone)]
pub struct Feed {
    images: Images,
    locks: Arc<Vec<Mutex<()>>>,
    changes: mpsc::UnboundedSender<Value>,
    /// The number of the next record. It begins with the time, so that a restart repeats none.
    next: Arc<AtomicU64>,
}

impl Feed {
    /// A feed whose facts go to the journal.
    pub fn into(journal: Arc<Journal>, images: Images) -> Self {
        let (changes, mut records) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(record) = records.recv().await {
                relay(record, &journal);
            }
        });
        let locks = (0..LOCKS).map(|_| Mutex::default()).collect();
        let next = AtomicU64::new(runtime::now().0.saturating_mul(1000));
        Self { images, locks: Arc::new(locks), changes, next: Arc::new(next) }
    }

    /// A configuration whose clients are watched.
    #[must_use]
    pub fn watch(&self, config: aws::SdkConfig) -> aws::SdkConfig {
        let Some(http) = config.http_client() else { return config };
        let watched = Watched { feed: self.clone(), to: http };
        config.into_builder().http_client(watched).build()
    }

    /// Sends a write, and notes what it changed.
    async fn write(
        self,
        to: SharedHttpConnector,
        request: HttpRequest,
        write: Write,
    ) -> Result<HttpResponse, ConnectorError> {
        let Write { table, keys } = write;
        let places: BTreeSet<usize> = keys.iter().map(Key::place).collect();
        let mut locked = Vec::with_capacity(places.len());
        for place in places {
            locked.push(self.locks[place].lock().await);
        }
        let reader = self.images.reader(&table, &request, &to)?;
        let mut before = Vec::with_capacity(keys.len());
        for key in &keys {
            before.push(reader.read(key).await?);
        }
        let response = to.call(request).await;
        // A refused write changes nothing. Of one that failed nothing is known.
        if !response.as_ref().is_ok_and(|response| response.status().is_client_error()) {
            for (key, old) in keys.iter().zip(before) {
                let new = reader.read(key).await?;
                if new != old {
                    // The receiver is there as long as the process.
                    let _ = self.changes.send(self.record(key, old, new));
                }
            }
        }
        response
    }

    /// A record as the table's stream has it.
    fn record(&self, key: &Key, old: Option<Value>, new: Option<Value>) -> Value {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [pk, sk] = TABLE.key;
        let mut images = Map::from_iter([
            ("ApproximateCreationDateTime".to_owned(), json!(runtime::now().seconds().0)),
            ("Keys".to_owned(), json!({ pk: key.pk, sk: key.sk })),
            (
                "SequenceNumber".to_owned(),
                json!((FIRST_SEQUENCE_NUMBER + u128::from(number)).to_string()),
            ),
        ]);
        images.extend(old.map(|old| ("OldImage".to_owned(), old)));
        images.extend(new.map(|new| ("NewImage".to_owned(), new)));
        json!({ "eventID": format!("{number:032x}"), "dynamodb": images })
    }
}

/// The events of a record go to the journal.
fn relay(record: Value, journal: &Journal) {
    let added = serde_json::from_value::<StreamRecord>(record).map_err(|error| error.to_string());
    let added = added.and_then(|record| events(&record).map_err(|error| error.to_string()));
    match added {
        Ok(events) => {
            for event in events {
                if let Err(error) = journal.add(&event) {
                    tracing::error!(%error, "an event cannot be written");
                }
            }
        }
        Err(error) => tracing::error!(error, "a change has no readable events"),
    }
}

/// A request that writes items of one table.
#[derive(Debug)]
struct Write {
    table: String,
    keys: BTreeSet<Key>,
}

impl Write {
    /// What a request writes; `None` if it only reads.
    fn of(request: &HttpRequest) -> Option<Self> {
        let operation = request.headers().get("x-amz-target")?.rsplit('.').next()?;
        let name = match operation {
            "UpdateItem" | "DeleteItem" => "Key",
            "PutItem" => "Item",
            "BatchWriteItem" => "RequestItems",
            _ => return None,
        };
        let body: Value = serde_json::from_slice(request.body().bytes()?).ok()?;
        if operation != "BatchWriteItem" {
            let table = body["TableName"].as_str()?.to_owned();
            return Some(Self { table, keys: Key::of(&body[name]).into_iter().collect() });
        }
        // Rollcall has one table.
        let (table, requests) = body[name].as_object()?.iter().next()?;
        let keys = requests.as_array()?.iter().filter_map(|request| {
            Key::of(&request["PutRequest"]["Item"])
                .or_else(|| Key::of(&request["DeleteRequest"]["Key"]))
        });
        Some(Self { table: table.clone(), keys: keys.collect() })
    }
}

/// The key of an item, in DynamoDB's JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    pk: KeyValue,
    sk: KeyValue,
}

/// `{"S":"text"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
struct KeyValue {
    #[serde(rename = "S")]
    text: String,
}

impl Key {
    /// The key among an item's attributes.
    fn of(attributes: &Value) -> Option<Self> {
        let [pk, sk] = TABLE.key.map(|name| {
            Some(KeyValue { text: attributes.get(name)?.get("S")?.as_str()?.to_owned() })
        });
        Some(Self { pk: pk?, sk: sk? })
    }

    /// The place of its lock.
    fn place(&self) -> usize {
        use std::hash::{DefaultHasher, Hash, Hasher};

        let mut hasher = DefaultHasher::new();
        (&self.pk.text, &self.sk.text).hash(&mut hasher);
        usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default()
    }
}

/// Reads items of the table that a write is for.
enum ImageReader<'a> {
    Embedded { database: &'a Embedded, table: &'a str },
    Remote { to: &'a SharedHttpConnector, like: HttpRequest, table: &'a str },
}

impl Images {
    fn reader<'a>(
        &'a self,
        table: &'a str,
        write: &HttpRequest,
        to: &'a SharedHttpConnector,
    ) -> Result<ImageReader<'a>, ConnectorError> {
        match self {
            Self::Embedded(database) => Ok(ImageReader::Embedded { database, table }),
            Self::Remote => {
                let like = write.try_clone();
                let like = like.ok_or_else(|| failed("a request cannot be repeated"))?;
                Ok(ImageReader::Remote { to, like, table })
            }
        }
    }
}

fn failed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::other(why.into(), None)
}

impl ImageReader<'_> {
    async fn read(&self, key: &Key) -> Result<Option<Value>, ConnectorError> {
        let [pk, sk] = TABLE.key;
        let key = json!({ pk: key.pk, sk: key.sk });
        match self {
            Self::Embedded { database, table } => database.item(table, key).map_err(failed),
            Self::Remote { to, like, table } => {
                let body = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
                remote(to, like, body.to_string()).await
            }
        }
    }
}

/// Reads an item where a write goes. A DynamoDB on a laptop checks no signature.
async fn remote(
    to: &SharedHttpConnector,
    like: &HttpRequest,
    body: String,
) -> Result<Option<Value>, ConnectorError> {
    let mut request = like.try_clone().ok_or_else(|| failed("a request cannot be repeated"))?;
    request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = body.into();
    let mut response = to.call(request).await?;
    let body = response.take_body();
    let body = http_body_util::BodyExt::collect(body).await;
    let body = body.map_err(failed)?.to_bytes();
    if !response.status().is_success() {
        return Err(failed("an item could not be read"));
    }
    let mut answer: Value = serde_json::from_slice(&body).map_err(failed)?;
    Ok(answer.get_mut("Item").map(Value::take))
}

/// An HTTP client whose writes are watched.
#[derive(Debug)]
struct Watched<T> {
    feed: Feed,
    to: T,
}

impl HttpClient for Watched<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let to = self.to.http_connector(settings, components);
        SharedHttpConnector::new(Watched { feed: self.feed.clone(), to })
    }
}

impl HttpConnector for Watched<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(write) = Write::of(&request) else { return self.to.call(request) };
        let write = self.feed.clone().write(self.to.clone(), request, write);
        // It goes on when nobody waits for it any more: the item may have been written.
        let write = tokio::spawn(write);
        HttpConnectorFuture::new(
            async move { write.await.unwrap_or_else(|error| Err(failed(error))) },
        )
    }
}
