//! The old and the new image of every item that the gateway writes.
//!
//! The embedded DynamoDB's own stream is slow: at every write it looks for the next number among
//! all records. So the gateway's own writes are watched instead, below the SDK. An item is read
//! before it is written, while no other write of the gateway touches it. An update answers with the
//! item as it is after it; after other writes the item is read again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
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
use http_body_util::BodyExt;
use rollcall::{
    aws,
    relay::{LiveRooms, events_left, rooms_to_check, touched_rooms},
    runtime,
    settle::Checks,
    store::{ErasureList, Reader, StreamRecord},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{json, value::RawValue};
use tokio::{
    sync::{Mutex, mpsc},
    time::Instant,
};

use super::Journal;
use crate::dynamodb::Embedded;

/// How many groups of items are written independently of each other.
const LOCKS: usize = 256;

/// How long listing a room as live may take.
const LIST_LIMIT: Duration = Duration::from_secs(4);
/// How long it may take to ask for the check of a room.
const ASK_LIMIT: Duration = Duration::from_secs(5);

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
    changes: mpsc::UnboundedSender<Record>,
    /// The number of the next record. It begins with the time, so that a restart repeats none.
    next: Arc<AtomicU64>,
}

impl Feed {
    /// A feed whose facts go to the journal, after their rooms were listed as live. Rooms are checked
    /// when nothing changes for a while. `reader` reads the table, to know who was erased. The
    /// clients of `live` and `checks` must not be watched.
    #[must_use]
    pub fn into(
        journal: Arc<Journal>,
        images: Images,
        reader: Reader,
        live: LiveRooms,
        checks: Checks,
    ) -> Self {
        let (changes, mut records) = mpsc::unbounded_channel::<Record>();
        tokio::spawn(async move {
            let list = || ErasureList::new(reader.clone(), ErasureList::FRESH_FOR);
            let mut erasures = list();
            while let Some(record) = records.recv().await {
                // An erasure counts at once: its own writes come by here.
                if record.dynamodb.keys.is_of_erasures() {
                    erasures = list();
                }
                relay(&record, &erasures, &live, &journal, &checks).await;
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
        let Write { table, keys, returns } = write;
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
        let (response, mut new_image) = match returns {
            Returns::New => returning_new(request, &to).await?,
            Returns::Nothing => (to.call(request).await, None),
        };
        // A refused write changes nothing. Of one that failed nothing is known.
        if !response.as_ref().is_ok_and(|response| response.status().is_client_error()) {
            for (key, old) in keys.into_iter().zip(before) {
                let new = match new_image.take() {
                    None => reader.read(&key).await?,
                    new => new,
                };
                // The receiver is there as long as the process.
                let _ = self.changes.send(self.record(key, old, new));
            }
        }
        response
    }

    /// A record as the table's stream has it.
    fn record(&self, keys: Key, old_image: Option<Image>, new_image: Option<Image>) -> Record {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Record {
            event_id: format!("{number:032x}"),
            dynamodb: Changed {
                approximate_creation_date_time: runtime::now().seconds().0,
                keys,
                old_image,
                new_image,
                sequence_number: (FIRST_SEQUENCE_NUMBER + u128::from(number)).to_string(),
            },
        }
    }
}

/// An item in DynamoDB's JSON.
type Image = Box<RawValue>;

/// A record of a stream, as Lambda passes it.
#[derive(Debug, Serialize)]
struct Record {
    #[serde(rename = "eventID")]
    event_id: String,
    dynamodb: Changed,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    approximate_creation_date_time: u64,
    keys: Key,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<Image>,
    sequence_number: String,
}

/// The room of a record is listed as live, the events go to the journal, and the room is checked
/// later.
async fn relay(
    record: &Record,
    erasures: &ErasureList,
    live: &LiveRooms,
    journal: &Journal,
    checks: &Checks,
) {
    let read = serde_json::to_string(record)
        .and_then(|json| serde_json::from_str::<StreamRecord>(&json))
        .map_err(|error| error.to_string());
    let added = match read {
        Ok(record) => {
            let rooms = touched_rooms([(0, &record)]);
            if !live.list(rooms, Instant::now() + LIST_LIMIT).await.is_empty() {
                tracing::error!("a room is not listed as live before its next fact");
            }
            ask(&record, checks).await;
            events_left(&record, erasures, runtime::now()).await
        }
        Err(error) => {
            tracing::error!(error, "a change cannot be read");
            return;
        }
    };
    match added {
        Ok(events) => {
            for event in events {
                if let Err(error) = journal.add(&event) {
                    tracing::error!(%error, "an event cannot be written");
                }
            }
        }
        Err(error) => tracing::error!(%error, "a change has no readable events"),
    }
}

/// Has the room of a record checked when nothing more has changed for a while.
async fn ask(record: &StreamRecord, checks: &Checks) {
    let now = runtime::now();
    for of in rooms_to_check(record, checks.grace, now).unwrap_or_default() {
        let asked = checks.ask(&of, record.id(), now, Instant::now() + ASK_LIMIT).await;
        if let Err(error) = asked {
            tracing::error!(%error, "a room may not be checked");
        }
    }
}

/// A request that writes items of one table.
#[derive(Debug)]
struct Write {
    table: String,
    keys: BTreeSet<Key>,
    returns: Returns,
}

/// What the answer to a write can have of its item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Returns {
    /// The item after the write, if it is asked for.
    New,
    Nothing,
}

impl Write {
    /// What a request writes; `None` if it only reads.
    fn of(request: &HttpRequest) -> Option<Self> {
        let operation = request.headers().get("x-amz-target")?.rsplit('.').next()?;
        if !["UpdateItem", "DeleteItem", "PutItem", "BatchWriteItem"].contains(&operation) {
            return None;
        }
        let body: Body = serde_json::from_slice(request.body().bytes()?).ok()?;
        let returns = match (operation, &body.return_values) {
            ("UpdateItem", None) => Returns::New,
            _ => Returns::Nothing,
        };
        // Rollcall has one table.
        let (table, keys) = match body.request_items.and_then(|items| items.into_iter().next()) {
            Some((table, requests)) => {
                let keys = requests.into_iter().filter_map(|one| {
                    let put = one.put_request.map(|put| put.item);
                    put.or_else(|| one.delete_request.map(|delete| delete.key))
                });
                (table, keys.collect())
            }
            None => (body.table_name?, body.key.or(body.item).into_iter().collect()),
        };
        Some(Self { table, keys, returns })
    }
}

/// What names the written items in a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    table_name: Option<String>,
    key: Option<Key>,
    item: Option<Key>,
    request_items: Option<HashMap<String, Vec<OneOfBatch>>>,
    return_values: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneOfBatch {
    put_request: Option<Put>,
    delete_request: Option<Delete>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    item: Key,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    key: Key,
}

/// The key of an item, in DynamoDB's JSON. The names are those of `TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    pk: KeyValue,
    sk: KeyValue,
}

/// `{"S":"text"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct KeyValue {
    #[serde(rename = "S")]
    text: String,
}

impl Key {
    /// Whether it is an item of the list of an app's erasures.
    fn is_of_erasures(&self) -> bool {
        self.pk.text.ends_with("#erasures")
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
    Remote { to: &'a SharedHttpConnector, like: Box<HttpRequest>, table: &'a str },
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
                Ok(ImageReader::Remote { to, like: Box::new(like), table })
            }
        }
    }
}

fn failed(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::other(why.into(), None)
}

impl ImageReader<'_> {
    async fn read(&self, key: &Key) -> Result<Option<Image>, ConnectorError> {
        match self {
            Self::Embedded { database, table } => {
                let item = database.item(table, &key.pk.text, &key.sk.text).map_err(failed)?;
                item.map(RawValue::from_string).transpose().map_err(failed)
            }
            Self::Remote { to, like, table } => {
                let body = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
                remote(to, like, body.to_string()).await
            }
        }
    }
}

/// Sends an update that asks for the item as it is after it. The answer is passed on as if nobody
/// had asked.
async fn returning_new(
    mut request: HttpRequest,
    to: &SharedHttpConnector,
) -> Result<(Result<HttpResponse, ConnectorError>, Option<Image>), ConnectorError> {
    let body = request.body().bytes().and_then(|body| body.strip_prefix(b"{"));
    let body = body.ok_or_else(|| failed("an update is not an object"))?;
    let asking = [&br#"{"ReturnValues":"ALL_NEW","#[..], body].concat();
    replace_body(&mut request, asking);
    let mut response = match to.call(request).await {
        Ok(response) if response.status().is_success() => response,
        other => return Ok((other, None)),
    };
    let body = match BodyExt::collect(response.take_body()).await {
        Ok(body) => body.to_bytes(),
        // The item may have been written.
        Err(error) => return Ok((Err(failed(error)), None)),
    };
    let answer: serde_json::Result<HashMap<String, Image>> = serde_json::from_slice(&body);
    let (body, image) = match answer {
        Ok(mut answer) => {
            let image = answer.remove("Attributes");
            (serde_json::to_vec(&answer).map_err(failed)?, image)
        }
        Err(_) => (body.into(), None),
    };
    response.headers_mut().insert("content-length", body.len().to_string());
    *response.body_mut() = body.into();
    Ok((Ok(response), image))
}

fn replace_body(request: &mut HttpRequest, body: Vec<u8>) {
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = body.into();
}

/// Reads an item where a write goes. A DynamoDB on a laptop checks no signature.
async fn remote(
    to: &SharedHttpConnector,
    like: &HttpRequest,
    body: String,
) -> Result<Option<Image>, ConnectorError> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Item")]
        item: Option<Image>,
    }
    let mut request = like.try_clone().ok_or_else(|| failed("a request cannot be repeated"))?;
    request.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem");
    replace_body(&mut request, body.into_bytes());
    let mut response = to.call(request).await?;
    let body = BodyExt::collect(response.take_body()).await;
    let body = body.map_err(failed)?.to_bytes();
    if !response.status().is_success() {
        return Err(failed("an item could not be read"));
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(failed)?;
    Ok(answer.item)
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
