//! A small DynamoDB in this process, below the SDK. The store sends it exactly the requests that it
//! would send to the real one. It panics at everything that it does not know.
//!
//! It also decides which of several handlers continues: every request waits until a seeded schedule
//! picks it. So handlers interleave at their requests, and the same seed gives the same order. A
//! handler may die between two requests, and an answer may be lost after its request was executed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion, HttpClient, Region, RuntimeComponents, SharedHttpClient,
        StalledStreamProtectionConfig, retry::RetryConfig,
    },
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::channel::oneshot;
use rollcall::store::TABLE;
use serde_json::{Map, Value, json};

use super::iam;

/// The number of items on a page of a query: few, so that readers need several pages. A `Limit`
/// below [`LARGE_LIMIT`] is respected.
const PAGE: usize = 5;
const LARGE_LIMIT: usize = 100;

/// How far a lagging index is behind, at most.
pub(crate) const MAX_LAG_MS: u64 = 30_000;

/// The time of the writes, unless a test sets it.
const TIME_MS: u64 = 1_764_000_000_000;

/// Rollcall's items must be small: none comes near DynamoDB's 400 KB.
const MAX_ITEM_BYTES: usize = 8 << 10;

/// An item, its attributes as they travel: `{"S":"text"}`.
pub(crate) type Item = BTreeMap<String, Value>;

type Key = (String, String);

/// The table, and the requests that wait for their turn.
#[derive(Clone, Default)]
pub(crate) struct Simulated(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    items: BTreeMap<Key, Item>,
    /// The records of the stream, in the order of the writes.
    stream: Vec<Value>,
    /// The time of the writes, in Unix ms.
    time: Option<u64>,
    index: Option<LaggingIndex>,
    /// The number of items on a page, if that is not [`PAGE`].
    page: Option<usize>,
    is_scheduled: bool,
    waiting: Vec<Waiting>,
    /// How long an answer takes, if nothing is scheduled.
    takes: Option<Duration>,
    /// How many requests came.
    requests: usize,
}

/// An index that applies each write up to [`MAX_LAG_MS`] later, those of one item in their order.
struct LaggingIndex {
    random: fastrand::Rng,
    /// What an item was, and since when the index has it.
    versions: BTreeMap<Key, Vec<(u64, Option<Item>)>>,
}

impl LaggingIndex {
    fn write(&mut self, key: &Key, item: Option<Item>, now: u64) {
        let versions = self.versions.entry(key.clone()).or_default();
        let at = now + self.random.u64(..=MAX_LAG_MS);
        let at = versions.last().map_or(at, |(last, _)| at.max(*last));
        versions.push((at, item));
    }

    fn items(&self, now: u64) -> impl Iterator<Item = &Item> {
        let newest = move |versions: &'_ Vec<(u64, Option<Item>)>| {
            versions.iter().rposition(|(at, _)| *at <= now)
        };
        self.versions.values().filter_map(move |versions| versions[newest(versions)?].1.as_ref())
    }
}

struct Waiting {
    operation: String,
    body: Map<String, Value>,
    answer: oneshot::Sender<Answer>,
}

type Answer = (u16, Value);

/// The possible faults, and the order in which the handlers continue.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) random: fastrand::Rng,
    /// Whether handlers die and answers are lost now and then.
    pub(crate) has_faults: bool,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Simulated")
    }
}

impl Simulated {
    pub(crate) fn client(&self) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(SharedHttpClient::new(self.clone()))
            .endpoint_url("http://simulated")
            .region(Region::from_static("us-east-1"))
            .allow_no_auth()
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::standard())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Client::from_conf(config)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes everything.
    pub(crate) fn clear(&self) {
        *self.state() = State::default();
    }

    /// Lets the index lag from now on. The table must be empty.
    pub(crate) fn lag(&self, seed: u64) {
        let random = fastrand::Rng::with_seed(seed);
        self.state().index = Some(LaggingIndex { random, versions: BTreeMap::new() });
    }

    /// Lets a page have as many items as a query asks for.
    pub(crate) fn have_large_pages(&self) {
        self.state().page = Some(usize::MAX);
    }

    /// Lets each answer take so long from now on. By a clock that stands still, the requests that are
    /// sent at the same time take as long as one.
    pub(crate) fn slow_down(&self, takes: Duration) {
        self.state().takes = Some(takes);
    }

    /// How many requests came since the last call.
    pub(crate) fn take_requests(&self) -> usize {
        std::mem::take(&mut self.state().requests)
    }

    /// Sets the time of what is written and read from now on.
    pub(crate) fn set_time(&self, time: u64) {
        self.state().time = Some(time);
    }

    /// The records of the stream from the one with this number on, as Lambda passes them, in the
    /// order of the writes. DynamoDB keeps this order within each shard.
    pub(crate) fn stream(&self, from: usize) -> Vec<Value> {
        self.state().stream[from..].to_vec()
    }

    /// Deletes an item, as a person or DynamoDB's TTL does it.
    pub(crate) fn delete(&self, key: [&str; 2], by_ttl: bool) {
        let mut state = self.state();
        let key = (key[0].to_owned(), key[1].to_owned());
        let old = state.remove(&key).unwrap();
        state.record(&key, Some(&old), None, by_ttl);
    }

    /// Adds an item that nobody wrote, and of which the stream has no record.
    pub(crate) fn insert(&self, item: Item) {
        let key = (text(&item["pk"]).to_owned(), text(&item["sk"]).to_owned());
        self.state().items.insert(key, item);
    }

    /// Replaces the marks of a seat by what is none.
    pub(crate) fn damage(&self, mut seat: Item) {
        let key = (text(&seat["pk"]).to_owned(), text(&seat["sk"]).to_owned());
        seat.insert("marks".to_owned(), json!({ "BS": ["AAAA"] }));
        self.state().items.insert(key, seat);
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        self.state().items.values().cloned().collect()
    }

    /// Runs handlers concurrently, one request after another, in the schedule's order. `None` for a
    /// handler that died.
    pub(crate) async fn interleave<T>(
        &self,
        schedule: &mut Schedule,
        handlers: impl IntoIterator<Item = impl Future<Output = T>>,
    ) -> Vec<Option<T>> {
        let mut running: Vec<Option<Pin<Box<_>>>> =
            handlers.into_iter().map(|handler| Some(Box::pin(handler))).collect();
        let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
        self.state().is_scheduled = true;
        poll_fn(|context| {
            loop {
                for (place, done) in running.iter_mut().zip(&mut done) {
                    let Some(handler) = place else { continue };
                    if let Poll::Ready(output) = handler.as_mut().poll(context) {
                        *done = Some(output);
                        *place = None;
                    }
                }
                // A dead handler's request may still be waiting.
                if running.iter().all(Option::is_none) && self.state().waiting.is_empty() {
                    return Poll::Ready(());
                }
                if schedule.has_faults && schedule.random.u8(..) < 3 {
                    let dies = schedule.random.usize(..running.len());
                    running[dies] = None;
                    // It may have been the last one.
                    continue;
                }
                if !self.state().answer_one(schedule) {
                    return Poll::Pending;
                }
            }
        })
        .await;
        self.state().is_scheduled = false;
        done
    }
}

impl HttpClient for Simulated {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Simulated {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        iam::expect_allowed(target, &body);
        let mut state = self.state();
        state.requests += 1;
        if !state.is_scheduled {
            let answer = state.answer(&operation, body);
            if let Some(takes) = state.takes {
                return HttpConnectorFuture::new(async move {
                    tokio::time::sleep(takes).await;
                    Ok(response(answer))
                });
            }
            return HttpConnectorFuture::ready(Ok(response(answer)));
        }
        let (answer, answered) = oneshot::channel();
        state.waiting.push(Waiting { operation, body, answer });
        HttpConnectorFuture::new(async move { Ok(response(answered.await.unwrap())) })
    }
}

fn response((status, body): Answer) -> HttpResponse {
    let mut response =
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

/// What the index has of an item.
fn in_index(item: &Item) -> Item {
    let keys = TABLE.key.into_iter().chain(TABLE.index_key);
    let names = keys.chain(TABLE.index_attributes.iter().copied());
    names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
}

/// The units that a write consumes on the table and on its index: one for each kilobyte of the larger
/// of the old and the new item. If the index entry moves, both count there.
fn write_units(old: Option<&Item>, new: &Item) -> f64 {
    let units = |item: &Item| size(item).div_ceil(1024);
    let of_index = |item: &Item| units(&in_index(item));
    let entry = |item: &Item| TABLE.index_key.map(|name| item.get(name).cloned());
    let is_in = |item: &Item| entry(item).iter().all(Option::is_some);
    let larger = old.map_or(0, units).max(units(new));
    let index = match old.filter(|old| is_in(old)) {
        Some(old) if in_index(old) == in_index(new) => 0,
        Some(old) if entry(old) == entry(new) => of_index(old).max(of_index(new)),
        Some(old) if is_in(new) => of_index(old) + of_index(new),
        Some(old) => of_index(old),
        None if is_in(new) => of_index(new),
        None => 0,
    };
    u32::try_from(larger + index).unwrap().into()
}

/// The bytes of an item by DynamoDB's rules: the length of names and texts, half of a number's
/// digits plus one, and three for a map plus one for each member.
fn size(item: &Item) -> usize {
    fn value_size(value: &Value) -> usize {
        let (of, value) = value.as_object().unwrap().iter().next().unwrap();
        let number = |digits: &Value| text_of(digits).len() / 2 + 1;
        let binary = |base64: &Value| BASE64_STANDARD.decode(text_of(base64)).unwrap().len();
        let set = || value.as_array().unwrap().iter();
        match of.as_str() {
            "S" => text_of(value).len(),
            "N" => number(value),
            "BOOL" => 1,
            "B" => binary(value),
            "BS" => set().map(binary).sum(),
            "M" => {
                let members = value.as_object().unwrap().iter();
                3 + members.map(|(name, of)| 1 + name.len() + value_size(of)).sum::<usize>()
            }
            other => panic!("the simulated store does not know the size of {other}"),
        }
    }
    fn text_of(value: &Value) -> &str {
        value.as_str().unwrap()
    }
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

impl State {
    /// Executes one of the waiting requests; false if there is none.
    fn answer_one(&mut self, schedule: &mut Schedule) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let index = schedule.random.usize(..self.waiting.len());
        let next = self.waiting.swap_remove(index);
        let mut answer = self.answer(&next.operation, next.body);
        if schedule.has_faults && schedule.random.u8(..) < 3 {
            answer = error(500, "InternalServerError", Map::new());
        }
        // If its handler has died, the answer is dropped.
        let _ = next.answer.send(answer);
        true
    }

    fn answer(&mut self, operation: &str, body: Map<String, Value>) -> Answer {
        let mut request = Request::new(body);
        let answer = match operation {
            "GetItem" => self.get(&mut request),
            "BatchGetItem" => self.batch_get(&mut request),
            "PutItem" => self.put(&mut request),
            "UpdateItem" => self.update(&mut request),
            "DeleteItem" => self.delete(&mut request),
            "Query" => self.query(&mut request),
            "Scan" => self.scan(&mut request),
            other => panic!("the simulated store does not know {other}"),
        };
        request.finish();
        answer
    }

    fn get(&self, request: &mut Request) -> Answer {
        let is_consistent = request.take("ConsistentRead").is_some();
        let key = request.key();
        let item = self.items.get(&key);
        let mut answer = item.map_or_else(|| json!({}), |item| json!({ "Item": item }));
        request.add_read_units(&mut answer, item, is_consistent);
        (200, answer)
    }

    /// Of many keys it reads a part only, as DynamoDB may do.
    fn batch_get(&self, request: &mut Request) -> Answer {
        let asked = request.take("RequestItems").unwrap();
        let (table, of_table) = asked.as_object().unwrap().iter().next().unwrap();
        assert_eq!(of_table["ConsistentRead"], true);
        let keys = of_table["Keys"].as_array().unwrap();
        assert!((1..=100).contains(&keys.len()), "{} keys", keys.len());
        let (read, left) = keys.split_at(keys.len().div_ceil(2));
        let key = |key: &Value| -> Key {
            let [pk, sk] = TABLE.key.map(|name| text(&key[name]).to_owned());
            (pk, sk)
        };
        let distinct: BTreeSet<Key> = keys.iter().map(key).collect();
        assert_eq!(distinct.len(), keys.len(), "a key is named twice");
        let items: Vec<&Item> = read.iter().filter_map(|read| self.items.get(&key(read))).collect();
        let mut answer = json!({ "Responses": { table: &items }, "UnprocessedKeys": {} });
        if !left.is_empty() {
            answer["UnprocessedKeys"] = json!({ table: { "Keys": left, "ConsistentRead": true } });
        }
        let mut units = json!({});
        request.add_read_units(&mut units, items, true);
        if let Some(units) = units.get("ConsumedCapacity") {
            answer["ConsumedCapacity"] = json!([units]);
        }
        (200, answer)
    }

    fn put(&mut self, request: &mut Request) -> Answer {
        let item: Item = serde_json::from_value(request.take("Item").unwrap()).unwrap();
        let [pk, sk] = TABLE.key.map(|name| text(&item[name]).to_owned());
        let key = (pk, sk);
        if let Some(refused) = self.refuse(request, &key) {
            return refused;
        }
        self.write(key, item);
        (200, json!({}))
    }

    fn delete(&mut self, request: &mut Request) -> Answer {
        let key = request.key();
        if let Some(refused) = self.refuse(request, &key) {
            return refused;
        }
        if let Some(old) = self.remove(&key) {
            self.record(&key, Some(&old), None, false);
        }
        (200, json!({}))
    }

    fn update(&mut self, request: &mut Request) -> Answer {
        let key = request.key();
        let asked = request.take("ReturnConsumedCapacity");
        if let Some(refused) = self.refuse(request, &key) {
            return refused;
        }
        let [pk, sk] = TABLE.key;
        let mut item = self.items.get(&key).cloned().unwrap_or_else(|| {
            [(pk, &key.0), (sk, &key.1)]
                .map(|(name, id)| (name.to_owned(), json!({ "S": id })))
                .into()
        });
        let before = item.clone();
        request.parser("UpdateExpression").unwrap().update(&before, &mut item);
        let old = self.items.get(&key);
        let consumed = json!({ "CapacityUnits": write_units(old, &item) });
        self.write(key, item);
        match asked.as_ref().and_then(Value::as_str) {
            None => (200, json!({})),
            Some("TOTAL") => (200, json!({ "ConsumedCapacity": consumed })),
            Some(other) => panic!("the simulated store does not return {other} consumed capacity"),
        }
    }

    /// The refusal of a write whose condition does not hold.
    fn refuse(&self, request: &mut Request, key: &Key) -> Option<Answer> {
        let returned = request.take("ReturnValuesOnConditionCheckFailure");
        let mut condition = request.parser("ConditionExpression")?;
        let empty = Item::new();
        let old = self.items.get(key);
        if condition.whole_condition(old.unwrap_or(&empty)) {
            return None;
        }
        let mut details = Map::new();
        match (returned.as_ref().and_then(Value::as_str), old) {
            (None, _) | (Some("ALL_OLD"), None) => {}
            (Some("ALL_OLD"), Some(old)) => {
                details.insert("Item".to_owned(), json!(old));
            }
            (Some(other), _) => panic!("the simulated store does not return {other}"),
        }
        // A refused write does not execute its update.
        request.take("UpdateExpression");
        request.forget_unused();
        Some(error(400, "ConditionalCheckFailedException", details))
    }

    fn write(&mut self, key: Key, item: Item) {
        let bytes = serde_json::to_string(&item).unwrap().len();
        assert!(bytes < MAX_ITEM_BYTES, "an item of {bytes} bytes: {item:?}");
        for (name, value) in &item {
            let is_key =
                TABLE.key.contains(&name.as_str()) || TABLE.index_key.contains(&name.as_str());
            assert!(!is_key || !text(value).is_empty(), "an empty key: {item:?}");
            let is_empty = value.get("BS").and_then(Value::as_array).is_some_and(Vec::is_empty);
            assert!(!is_empty, "an empty set: {item:?}");
        }
        if item.contains_key(TABLE.index_key[0]) {
            let in_index = in_index(&item);
            let left_out =
                item.keys().find(|name| !in_index.contains_key(*name) && *name != "extra");
            assert_eq!(left_out, None, "the index would not have it: {item:?}");
        }
        let old = self.items.get(&key).cloned();
        self.record(&key, old.as_ref(), Some(&item), false);
        let now = self.now();
        if let Some(index) = &mut self.index {
            index.write(&key, Some(item.clone()), now);
        }
        self.items.insert(key, item);
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        let now = self.now();
        if let Some(index) = &mut self.index {
            index.write(key, None, now);
        }
        self.items.remove(key)
    }

    fn now(&self) -> u64 {
        self.time.unwrap_or(TIME_MS)
    }

    /// Adds a record to the stream. A write that changes nothing has none.
    fn record(&mut self, key: &Key, old: Option<&Item>, new: Option<&Item>, by_ttl: bool) {
        if old == new {
            return;
        }
        let name = match (old, new) {
            (None, _) => "INSERT",
            (_, None) => "REMOVE",
            _ => "MODIFY",
        };
        let number = self.stream.len() as u128;
        let [pk, sk] = TABLE.key;
        let mut record = json!({
            "eventID": format!("{number:032x}"),
            "eventName": name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": self.now() / 1000,
                "Keys": { pk: { "S": key.0 }, sk: { "S": key.1 } },
                "SequenceNumber": (10_u128.pow(20) + number).to_string(),
                "SizeBytes": 100,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/rollcall/stream/1",
        });
        for (image, item) in [("OldImage", old), ("NewImage", new)] {
            if let Some(item) = item {
                record["dynamodb"][image] = json!(item);
            }
        }
        if by_ttl {
            record["userIdentity"] =
                json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
        }
        self.stream.push(record);
    }

    /// Few items on a page, before the filter. Every item counts half a read unit.
    fn scan(&self, request: &mut Request) -> Answer {
        assert_eq!(request.take("ReturnConsumedCapacity"), Some(json!("TOTAL")));
        let [pk, sk] = TABLE.key;
        let start: Option<Item> =
            request.take("ExclusiveStartKey").map(|start| serde_json::from_value(start).unwrap());
        let start = start.map(|start| [pk, sk].map(|name| text(&start[name]).to_owned()));
        let after = self.items.iter().filter(|((pk, sk), _)| {
            start.as_ref().is_none_or(|from| [pk, sk] > [&from[0], &from[1]])
        });
        let read: Vec<(&Key, &Item)> = after.take(PAGE).collect();
        let mut filter = request.parser("FilterExpression").unwrap();
        filter.whole_condition(&Item::new());
        let found: Vec<&Item> = read
            .iter()
            .map(|(_, item)| *item)
            .filter(|item| filter.whole_condition(item))
            .collect();
        let units = f64::from(u32::try_from(read.len()).unwrap()) / 2.0;
        let mut answer = json!({
            "Items": found, "Count": found.len(), "ScannedCount": read.len(),
            "ConsumedCapacity": { "CapacityUnits": units },
        });
        // Like the real one, it may report a next page that is empty.
        if let Some(((last_pk, last_sk), _)) = read.last().filter(|_| read.len() == PAGE) {
            answer["LastEvaluatedKey"] = json!({ pk: { "S": last_pk }, sk: { "S": last_sk } });
        }
        (200, answer)
    }

    fn query(&self, request: &mut Request) -> Answer {
        let is_consistent = request.take("ConsistentRead") == Some(json!(true));
        assert!(!is_consistent || !request.has("IndexName"), "an index has no consistent reads");
        let index = request.take("IndexName");
        let [pk, sk] = match &index {
            None => TABLE.key,
            Some(index) => {
                assert_eq!(index, <&str>::from(TABLE.index));
                TABLE.index_key
            }
        };
        let place =
            |item: &Item| [sk, TABLE.key[0], TABLE.key[1]].map(|name| text(&item[name]).to_owned());
        let mut condition = request.parser("KeyConditionExpression").unwrap();
        condition.whole_condition(&Item::new());
        assert!(condition.names.iter().all(|name| [pk, sk].contains(&name.as_str())));
        assert_eq!(condition.tokens[..2], [pk, "="], "a query names its partition");
        let partition = condition.values[&condition.tokens[2]].clone();
        let items: Vec<&Item> = match (&index, &self.index) {
            (None, _) => {
                let first = (text(&partition).to_owned(), String::new());
                let items = self.items.range(&first..);
                items.take_while(|((pk, _), _)| *pk == first.0).map(|(_, item)| item).collect()
            }
            (Some(_), Some(lagging)) => lagging.items(self.now()).collect(),
            (Some(_), None) => self.items.values().collect(),
        };
        let mut found: Vec<&Item> = items
            .into_iter()
            .filter(|item| item.get(pk) == Some(&partition))
            .filter(|item| condition.whole_condition(item))
            .collect();
        found.sort_by_key(|item| place(item));
        let is_forward = request.take("ScanIndexForward") != Some(json!(false));
        if !is_forward {
            found.reverse();
        }
        if let Some(start) = request.take("ExclusiveStartKey") {
            let start: Item = serde_json::from_value(start).unwrap();
            let start = place(&start);
            found.retain(|item| if is_forward { place(item) > start } else { place(item) < start });
        }
        let limit =
            request.take("Limit").map(|limit| serde_json::from_value::<usize>(limit).unwrap());
        let large = self.page.unwrap_or(PAGE);
        let page = limit.filter(|limit| *limit < LARGE_LIMIT.max(large)).unwrap_or(large);
        let rest = found.split_off(page.min(found.len()));
        let mut answer = json!({ "Count": found.len(), "ScannedCount": found.len() });
        // Like the real one, it may report a next page that is empty.
        if let Some(last) = found.last().filter(|_| !rest.is_empty() || limit == Some(found.len()))
        {
            let names = TABLE.key.into_iter().chain([pk, sk]);
            let key: Item = names.map(|name| (name.to_owned(), last[name].clone())).collect();
            answer["LastEvaluatedKey"] = json!(key);
        }
        request.add_read_units(&mut answer, found.iter().copied(), is_consistent);
        match request.take("Select").as_ref().and_then(Value::as_str) {
            None if index.is_some() => {
                answer["Items"] = found.iter().map(|item| json!(in_index(item))).collect();
            }
            None => answer["Items"] = json!(found),
            Some("COUNT") => {}
            Some(other) => panic!("the simulated store does not select {other}"),
        }
        (200, answer)
    }
}

fn error(status: u16, name: &str, mut details: Map<String, Value>) -> Answer {
    let full_name = format!("com.amazonaws.dynamodb.v20120810#{name}");
    details.insert("__type".to_owned(), json!(full_name));
    (status, Value::Object(details))
}

/// A request. Every field must be used.
struct Request {
    fields: Map<String, Value>,
    values: HashMap<String, Value>,
    used: BTreeSet<String>,
}

impl Request {
    fn new(mut fields: Map<String, Value>) -> Self {
        let table = fields.remove("TableName");
        // One that reads several items names the table with their keys.
        assert!(table.is_some() || fields.contains_key("RequestItems"));
        let values = fields.remove("ExpressionAttributeValues").unwrap_or_else(|| json!({}));
        Self { fields, values: serde_json::from_value(values).unwrap(), used: BTreeSet::new() }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field)
    }

    fn key(&mut self) -> Key {
        let key = self.take("Key").unwrap();
        let [pk, sk] = TABLE.key.map(|name| text(&key[name]).to_owned());
        (pk, sk)
    }

    /// The units that a read consumes: one, or half of one, for each 4 KB of what it read together.
    fn add_read_units<'a>(
        &mut self,
        answer: &mut Value,
        read: impl IntoIterator<Item = &'a Item>,
        is_consistent: bool,
    ) {
        let Some(asked) = self.take("ReturnConsumedCapacity") else { return };
        assert_eq!(asked, "TOTAL");
        let bytes: usize = read.into_iter().map(size).sum();
        let parts = u32::try_from(bytes.div_ceil(4096).max(1)).unwrap();
        let units = f64::from(parts) * if is_consistent { 1.0 } else { 0.5 };
        answer["ConsumedCapacity"] = json!({ "CapacityUnits": units });
    }

    fn parser(&mut self, field: &str) -> Option<Parser> {
        let expression = self.take(field)?;
        let tokens = tokens(expression.as_str().unwrap());
        let named = tokens.iter().filter(|token| token.starts_with(':'));
        self.used.extend(named.clone().cloned());
        let values = named.map(|name| (name.clone(), self.values[name].clone())).collect();
        Some(Parser { tokens, next: 0, values, names: BTreeSet::new() })
    }

    fn forget_unused(&mut self) {
        self.used.extend(self.values.keys().cloned());
    }

    /// DynamoDB refuses values that no expression uses.
    fn finish(self) {
        assert!(self.fields.is_empty(), "the simulated store does not know {:?}", self.fields);
        let unused = self.values.keys().find(|name| !self.used.contains(*name));
        assert_eq!(unused, None, "a value that no expression uses");
    }
}

fn text(value: &Value) -> &str {
    value["S"].as_str().unwrap()
}

fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::<String>::new();
    let mut is_word = false;
    for character in expression.chars() {
        let continues = character.is_alphanumeric() || "_:#".contains(character);
        let is_comparator = "<>=".contains(character)
            && tokens.last().is_some_and(|last| last == "<" || last == ">");
        match tokens.last_mut() {
            Some(last) if (is_word && continues) || is_comparator => last.push(character),
            _ if character.is_whitespace() => {}
            _ => tokens.push(character.to_string()),
        }
        is_word = continues;
    }
    tokens
}

/// Reads an expression against an item.
struct Parser {
    tokens: Vec<String>,
    next: usize,
    values: HashMap<String, Value>,
    /// The attributes that the expression has named.
    names: BTreeSet<String>,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.next).map_or("", String::as_str)
    }

    fn token(&mut self) -> String {
        let token = self.peek().to_owned();
        self.next += 1;
        token
    }

    fn skip(&mut self, token: &str) -> bool {
        let is_it = self.peek() == token;
        self.next += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, token: &str) {
        assert!(self.skip(token), "{token} expected at {} of {:?}", self.next, self.tokens);
    }

    fn name(&mut self) -> String {
        let name = self.token();
        let is_name =
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(is_name && !name.is_empty(), "{name} is no name in {:?}", self.tokens);
        self.names.insert(name.clone());
        name
    }

    fn value(&mut self) -> Value {
        let name = self.token();
        self.values.get(&name).unwrap_or_else(|| panic!("{name} of {:?}", self.tokens)).clone()
    }

    fn whole_condition(&mut self, item: &Item) -> bool {
        self.next = 0;
        let holds = self.any(item);
        assert_eq!(self.next, self.tokens.len(), "{:?}", self.tokens);
        holds
    }

    fn any(&mut self, item: &Item) -> bool {
        let mut holds = self.all(item);
        while self.skip("OR") {
            holds |= self.all(item);
        }
        holds
    }

    fn all(&mut self, item: &Item) -> bool {
        let mut holds = self.condition(item);
        while self.skip("AND") {
            holds &= self.condition(item);
        }
        holds
    }

    fn condition(&mut self, item: &Item) -> bool {
        if self.skip("(") {
            let holds = self.any(item);
            self.expect(")");
            return holds;
        }
        if self.skip("NOT") {
            return !self.condition(item);
        }
        if self.skip("contains") {
            self.expect("(");
            let set = item.get(&self.name()).map(|set| sets(Some(set), set).1);
            self.expect(",");
            let member = self.value()["B"].as_str().unwrap().to_owned();
            self.expect(")");
            return set.is_some_and(|set| set.contains(&member));
        }
        for function in ["attribute_exists", "attribute_not_exists", "begins_with"] {
            if !self.skip(function) {
                continue;
            }
            self.expect("(");
            let attribute = item.get(&self.name());
            let holds = match function {
                "attribute_exists" => attribute.is_some(),
                "attribute_not_exists" => attribute.is_none(),
                _ => {
                    self.expect(",");
                    let prefix = self.value();
                    attribute.is_some_and(|attribute| text(attribute).starts_with(text(&prefix)))
                }
            };
            self.expect(")");
            return holds;
        }
        let attribute = item.get(&self.name()).map(comparable);
        let comparator = self.token();
        let value = comparable(&self.value());
        if comparator == "BETWEEN" {
            self.expect("AND");
            let to = comparable(&self.value());
            return attribute.is_some_and(|it| same_type(&it, &value) && value <= it && it <= to);
        }
        let Some(attribute) = attribute.filter(|attribute| same_type(attribute, &value)) else {
            return false;
        };
        match comparator.as_str() {
            "=" => attribute == value,
            "<>" => attribute != value,
            "<" => attribute < value,
            "<=" => attribute <= value,
            ">" => attribute > value,
            ">=" => attribute >= value,
            other => panic!("the simulated store does not compare by {other}"),
        }
    }

    /// Executes an update.
    fn update(&mut self, before: &Item, item: &mut Item) {
        let mut written = BTreeSet::new();
        while self.next < self.tokens.len() {
            let clause = self.token();
            loop {
                let name = self.name();
                assert!(!TABLE.key.contains(&name.as_str()), "an update of a key");
                assert!(written.insert(name.clone()), "two updates of {name}");
                match clause.as_str() {
                    "SET" => {
                        self.expect("=");
                        let value = if self.skip("if_not_exists") {
                            self.expect("(");
                            let kept = before.get(&self.name()).cloned();
                            self.expect(",");
                            let value = self.value();
                            self.expect(")");
                            kept.unwrap_or(value)
                        } else {
                            self.value()
                        };
                        item.insert(name, value);
                    }
                    "REMOVE" => {
                        item.remove(&name);
                    }
                    "ADD" if self.values[self.peek()].get("N").is_some() => {
                        let number = |value: &Value| -> i64 {
                            value["N"].as_str().unwrap().parse().unwrap()
                        };
                        let added = number(&self.value());
                        let sum = item.get(&name).map_or(0, number) + added;
                        item.insert(name, json!({ "N": sum.to_string() }));
                    }
                    "ADD" => {
                        let (kind, mut set, added) = sets(item.get(&name), &self.value());
                        set.extend(added);
                        item.insert(name, json!({ kind: set }));
                    }
                    "DELETE" => {
                        let (kind, mut set, deleted) = sets(item.get(&name), &self.value());
                        set.retain(|member| !deleted.contains(member));
                        if set.is_empty() {
                            item.remove(&name);
                        } else {
                            item.insert(name, json!({ kind: set }));
                        }
                    }
                    other => panic!("the simulated store does not know {other}"),
                }
                if !self.skip(",") {
                    break;
                }
            }
        }
    }
}

/// Reads a set that is added or deleted, and the set that it is applied to.
fn sets(old: Option<&Value>, other: &Value) -> (String, BTreeSet<String>, BTreeSet<String>) {
    let kind = other.as_object().unwrap().keys().next().unwrap();
    assert_eq!(kind, "BS", "the simulated store knows no such set: {other}");
    let read = |value: &Value| serde_json::from_value(value[kind].clone()).unwrap();
    (kind.clone(), old.map(read).unwrap_or_default(), read(other))
}

/// A value that compares as DynamoDB does.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Comparable {
    Text(String),
    Number(i128),
    Bytes(Vec<u8>),
    Set(BTreeSet<String>),
}

fn comparable(value: &Value) -> Comparable {
    let (kind, content) = value.as_object().unwrap().iter().next().unwrap();
    if kind == "BS" {
        return Comparable::Set(serde_json::from_value(content.clone()).unwrap());
    }
    let content = content.as_str().unwrap();
    match kind.as_str() {
        "S" => Comparable::Text(content.to_owned()),
        "N" => Comparable::Number(content.parse().unwrap()),
        "B" => Comparable::Bytes(BASE64_STANDARD.decode(content).unwrap()),
        other => panic!("the simulated store does not compare {other}"),
    }
}

/// Two values of different types never compare as true.
fn same_type(a: &Comparable, b: &Comparable) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}
