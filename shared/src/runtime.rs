//! The Lambda functions' main: the only place that names Lambda's runner, the environment and the
//! clock.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Debug,
    marker::PhantomData,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::Response;
use lambda_http::{
    Adapter, Body, IntoResponse, LambdaEvent, Request, RequestExt,
    lambda_runtime::{self, Service, service_fn},
    request::LambdaRequest,
    tower::ServiceExt,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{self, format::JsonFields},
};

pub use lambda_http::Error;

use crate::{
    apps::AppsSource,
    aws,
    callback::{Callback, RawRequest, Reply},
    config::{Apps, AppsFrom, AppsOf, Config, ReplayConfig},
    domain::UnixMillis,
    handler::{self, Receiver},
    metrics::EmbeddedMetrics,
    query::{Queries, QueryRequest},
    replay::{Received, Replay},
    spill::Queue,
    store::{self, Reader, Writer},
    user_sig::UserSigs,
};

/// What is left as it is in a path: all that an id may hold to travel in one, and the separator.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'~').remove(b'-');

/// How long a function's start may wait for the table. Lambda gives a start the whole CPU and ten
/// seconds, but somebody is waiting for it.
const WARM_UP_LIMIT: Duration = Duration::from_millis(300);

/// Runs the function of one callback type until Lambda ends it.
///
/// # Errors
///
/// If the environment is not as the contract says, or the runtime API is not there.
pub fn run_callback<C: Callback>() -> Result<(), Error>
where
    Apps: AppsOf<C::Provider>,
{
    run(async {
        let config = Config::from_env()?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, handler::store_limit(config.budget));
        let store = Writer::new(client, &config.table, config.retention);
        let (apps, ()) = tokio::join!(apps(&aws, config.budget), store.warm_up(WARM_UP_LIMIT));
        let receiver = Receiver {
            apps: apps?,
            store,
            spill: config.spill_queue_url.map(|url| Queue::new(&aws, url)),
            max_age: config.max_age,
            replay_guard: config.replay_guard,
            budget: config.budget,
        };
        lambda_runtime::run(service(CallbackFunction::<C>::new(receiver))).await
    })
}

/// Runs the function that answers queries until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_query() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let client = store::connect(&aws::from_env()?, config.budget);
        let store = Reader::new(client, &config.table);
        store.warm_up(WARM_UP_LIMIT).await;
        lambda_runtime::run(service(Queries { store })).await
    })
}

/// Runs the function that replays the spill queue until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_spill_replay() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let queues = ReplayConfig::from_env()?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, REPLAY_LIMIT);
        let replay = Replay {
            store: Writer::new(client, &config.table, config.retention),
            queue: Queue::new(&aws, queues.spill_queue_url),
            dead_letters: Queue::new(&aws, queues.dead_letter_queue_url),
        };
        lambda_runtime::run(replay_service(replay)).await
    })
}

/// Runs the function that mints and verifies UserSigs until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_user_sig() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let apps = apps(&aws::from_env()?, config.budget).await?;
        lambda_runtime::run(service(UserSigs { apps })).await
    })
}

/// How long one write may take when nobody waits for the answer.
const REPLAY_LIMIT: Duration = Duration::from_secs(5);

/// What Lambda hands over of messages of SQS.
#[derive(Debug, Deserialize)]
pub struct SqsEvent {
    #[serde(rename = "Records")]
    records: Vec<SqsMessage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SqsMessage {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
}

/// Which messages stay in the queue, as Lambda's partial batch responses name them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SqsBatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Serves the batches of messages that Lambda hands to the function that replays.
#[must_use]
pub fn replay_service(
    replay: Replay,
) -> impl Service<
    LambdaEvent<SqsEvent>,
    Response: Serialize + Debug + Send,
    Error = Infallible,
    Future: Send,
> {
    let replay = Arc::new(replay);
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let replay = replay.clone();
        async move {
            let received_at = now();
            let received = |message: SqsMessage| {
                let number = |name| message.attributes.get(name)?.parse::<u64>().ok();
                let count = number("ApproximateReceiveCount");
                Received {
                    receive_count: count.and_then(|count| count.try_into().ok()).unwrap_or(1),
                    sent_at: number("SentTimestamp").map_or(received_at, UnixMillis),
                    message_id: message.message_id,
                    receipt_handle: message.receipt_handle,
                    received_at,
                    body: message.body,
                }
            };
            let messages = event.payload.records.into_iter().map(received).collect();
            // Lambda ends a function that takes longer, and then nothing of the batch counts as done.
            let left = event.context.deadline.saturating_sub(received_at.0);
            let after = |percent| Instant::now() + Duration::from_millis(left * percent / 100);
            let kept = replay.replay(messages, after(70), after(90)).await;
            let failure = |item_identifier| BatchItemFailure { item_identifier };
            let batch_item_failures = kept.into_iter().map(failure).collect();
            Ok::<_, Infallible>(SqsBatchResponse { batch_item_failures })
        }
    })
}

/// The time by the machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> UnixMillis {
    SystemTime::now().into()
}

fn run(function: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    log_to_stdout();
    // A function has one request at a time, and at 256 MB a seventh of a CPU.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(function).inspect_err(|error| {
        tracing::error!(%error, "the function cannot start");
    })
}

/// One JSON object per line, which is what `CloudWatch` Logs Insights reads by itself. The level is
/// Lambda's own setting. If `ROLLCALL_METRICS_NAMESPACE` names a namespace, the lines about callbacks
/// are metrics, too.
fn log_to_stdout() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok();
    let level = level.and_then(|level| LevelFilter::from_str(&level).ok());
    let lines =
        fmt::format().json().flatten_event(true).with_target(false).with_current_span(false);
    let log = tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .with_max_level(level.unwrap_or(LevelFilter::INFO));
    let namespace = std::env::var("ROLLCALL_METRICS_NAMESPACE").ok();
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => log.event_format(EmbeddedMetrics::new(&namespace, lines, now)).init(),
        None => log.event_format(lines).init(),
    }
}

/// The apps, read from their secret if that is where they are. A function starts without them, too:
/// the first request asks again.
async fn apps(aws: &aws::SdkConfig, budget: Duration) -> Result<AppsSource, Error> {
    match AppsFrom::from_env()? {
        AppsFrom::Environment(apps) => Ok(apps.into()),
        AppsFrom::Secret(id) => {
            let apps = AppsSource::secret(aws, id, budget);
            apps.get(now()).await;
            Ok(apps)
        }
    }
}

/// What a Lambda function does with a request of its HTTP API.
pub trait Function: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// The function of callback type `C`.
#[derive(Debug)]
pub struct CallbackFunction<C> {
    receiver: Receiver,
    callback: PhantomData<fn() -> C>,
}

impl<C> CallbackFunction<C> {
    /// Takes callbacks with `receiver`.
    #[must_use]
    pub fn new(receiver: Receiver) -> Self {
        Self { receiver, callback: PhantomData }
    }
}

impl<C: Callback> Function for CallbackFunction<C>
where
    Apps: AppsOf<C::Provider>,
{
    async fn answer(&self, request: Request) -> Reply {
        self.receiver.receive::<C>(&raw_request(request)).await
    }
}

impl Function for Queries {
    async fn answer(&self, request: Request) -> Reply {
        Self::answer(self, &query_request(request)).await
    }
}

impl Function for UserSigs {
    async fn answer(&self, request: Request) -> Reply {
        Self::answer(self, &query_request(request)).await
    }
}

/// Serves the events that Lambda hands to a function.
pub fn service(
    function: impl Function,
) -> impl Service<
    LambdaEvent<LambdaRequest>,
    Response: Serialize + Debug + Send,
    Error = Infallible,
    Future: Send,
> {
    let function = Arc::new(function);
    let service = service_fn(move |request| {
        let function = function.clone();
        async move { Ok::<Reply, Infallible>(function.answer(request).await) }
    });
    Adapter::from(service).map_request(with_escaped_path)
}

/// Without a look at character sets, whose tables are a twentieth of a binary: all answers are UTF-8.
impl IntoResponse for Reply {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let response = Response::<String>::from(self).map(Body::from);
        Box::pin(std::future::ready(response))
    }
}

/// API Gateway hands over paths decoded, and a decoded path need not be a URI, without which
/// `lambda_http` cannot build a request.
fn with_escaped_path(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        let path = request.raw_path.take();
        request.raw_path = path.map(|path| utf8_percent_encode(&path, PATH).to_string());
    }
    event
}

fn raw_request(request: Request) -> RawRequest {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    RawRequest { headers: parts.headers, query, body: bytes(body), received_at: now() }
}

fn query_request(request: Request) -> QueryRequest {
    let path = percent_decode_str(request.raw_http_path()).decode_utf8_lossy().into_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    QueryRequest { method: parts.method, path, query, body: bytes(body), received_at: now() }
}

/// The body as it was sent: `lambda_http` has undone base64.
fn bytes(body: Body) -> Bytes {
    match body {
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        _ => Bytes::new(),
    }
}
