//! Handlers whose store and whose queue can be broken.

use std::time::Duration;

use aws_sdk_dynamodb::config::Region;
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    aws, handler,
    queue::Queue,
    replay::{Gate, Replay},
    runtime::{self, replay_service},
    store::{self, ErasureList, Reader, Writer},
};
use serde_json::Value;

use super::{Database, Handlers, Proxy, RETENTION, Sqs, TABLE_NAME, TestQueue, iam};

/// Handlers with a store and a queue behind a proxy each, and the function that replays.
pub(crate) struct Outage {
    pub(crate) database: Database,
    pub(crate) store: Proxy,
    pub(crate) sqs: Proxy,
    pub(crate) handlers: Handlers,
    pub(crate) replay: Replay,
    pub(crate) queue: TestQueue,
    pub(crate) dead_letters: TestQueue,
    /// The queue of the second passes of erasures.
    pub(crate) erase_queue: TestQueue,
    /// The queue of the checks of rooms.
    pub(crate) settle_queue: TestQueue,
}

impl Outage {
    pub(crate) async fn start(budget: Duration) -> Self {
        let database = Database::start().await;
        let store = Proxy::before(&database.url).await;
        let sqs = Sqs::start().await;
        let (queue, dead_letters) =
            (sqs.queue("SpillQueue").await, sqs.queue("SpillDeadLetters").await);
        let erase_queue = sqs.queue("EraseQueue").await;
        let settle_queue = sqs.queue("SettleQueue").await;
        let sqs = Proxy::before(&sqs.url).await;
        let mut handlers = Handlers::on(&store.url);
        handlers.receiver.store = store_at(&of_store(&store.url), handler::store_limit(budget));
        handlers.receiver.spill = Some(Queue::new(&iam::config(&sqs.url), &queue.url));
        handlers.receiver.budget = budget;
        let client = store::connect_once(&of_store(&store.url), Duration::from_secs(5));
        let replay = Replay {
            store: Writer::new(client.clone(), TABLE_NAME, RETENTION),
            erasures: ErasureList::new(Reader::new(client, TABLE_NAME), Duration::ZERO),
            queue: Queue::new(&iam::config(&sqs.url), &queue.url),
            dead_letters: Queue::new(&iam::config(&sqs.url), &dead_letters.url),
            gate: Gate::default(),
        };
        Self {
            database,
            store,
            sqs,
            handlers,
            replay,
            queue,
            dead_letters,
            erase_queue,
            settle_queue,
        }
    }

    /// One batch of messages, replayed as Lambda does it, within `time`. Returns how many there
    /// were and how many stayed in the queue.
    pub(crate) async fn poll_within(&mut self, time: Duration) -> (usize, usize) {
        let mut function = replay_service(self.replay.clone());
        let invoke = async |event: Value| {
            let mut context = Context::default();
            context.deadline = runtime::now().after(time).0;
            let event = LambdaEvent::new(serde_json::from_value(event).unwrap(), context);
            let answer = iam::acting_as("spill-replay", function.call(event)).await.unwrap();
            Some(serde_json::to_value(answer).unwrap())
        };
        self.queue.poll(invoke).await
    }

    /// Replays until the queue is empty. No message may stay.
    pub(crate) async fn replay_all(&mut self) -> usize {
        let mut all = 0;
        loop {
            match self.poll_within(Duration::from_mins(1)).await {
                (0, _) => return all,
                (messages, stayed) => {
                    assert_eq!(stayed, 0, "the store answers");
                    all += messages;
                }
            }
        }
    }
}

/// The store's configuration in a region of its own: the SDK retries as long as a budget lasts, and all
/// clients of one region in this process share it. So no test's faults use up another's retries.
fn of_store(endpoint: &str) -> aws::SdkConfig {
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    iam::config(endpoint).into_builder().region(Region::new(format!("outage-{port}"))).build()
}

pub(crate) fn store_at(aws: &aws::SdkConfig, limit: Duration) -> Writer {
    Writer::new(store::connect(aws, limit), TABLE_NAME, RETENTION)
}
