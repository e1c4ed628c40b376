//! The Lambda functions' main: the only place that names Lambda's runner, the environment and the
//! clock. Each kind of event source has its own file.

mod http;
mod log;
mod schedule;
mod sqs;
mod stream;

#[cfg(feature = "server-api")]
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use lambda_http::Error;
use lambda_http::lambda_runtime::{self, Context};
use tokio::{sync::mpsc, time::Instant};

#[cfg(feature = "server-api")]
pub use self::schedule::reconcile_service;
pub use self::{
    http::{CallbackFunction, Function, service},
    schedule::sweep_service,
    sqs::{SqsEvent, erase_service, replay_service, settle_service},
    stream::{StreamEvent, relay_service},
};
use crate::{
    apps::AppsSource,
    aws,
    breaker::{Breaker, StoreState},
    callback::Callback,
    config::{
        AppsFrom, Config, ConfigError, EraseConfig, RelayConfig, ReplayConfig, SettleConfig,
        SweepConfig, settings_from_env,
    },
    domain::UnixMillis,
    erase::{self, Erase, Repeats},
    handler::{self, Receiver},
    providers::Configured,
    query::{Queries, QueryLimits},
    queue::Queue,
    record::Records,
    relay::{EventBus, LiveRooms, Relay},
    replay::{Gate, Replay},
    settle::{CheckQueue, Checks, Settle},
    store::{self, Eraser, ErasureList, LiveMarker, Meter, Reader, Settler, SweepStore, Writer},
    sweep::{Budget, Sweep},
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
#[cfg(feature = "server-api")]
use crate::{
    apps::SecretSource,
    config::{ProviderApisFrom, ReconcileConfig},
    reconcile::{self, Reconcile},
    server_api::{Patience, ServerApis, Transport},
    store::{Observer, PassStore},
};

/// How long a function's start may wait for the table. Lambda gives a start the whole CPU and ten
/// seconds, but a callback is waiting.
const WARM_UP_LIMIT: Duration = Duration::from_millis(300);

/// Runs the function of one callback type until Lambda ends it.
///
/// # Errors
///
/// If the environment does not follow the contract, or the runtime API does not answer.
pub fn run_callback<C: Callback<Provider: Configured>>() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, handler::store_limit(config.budget));
        let store = Writer::new(client, &config.table, config.retention)
            .with_room_shards(config.room_shards);
        let started = Instant::now();
        let warm_up = store.warm_up(WARM_UP_LIMIT, now());
        let (apps, state) = tokio::join!(apps(&aws, config.budget), warm_up);
        let breaker = Breaker::default();
        breaker.note_start(started, state);
        let receiver = Receiver {
            apps: apps?,
            store,
            spill: config.spill_queue_url.map(|url| Queue::new(&aws, url)),
            breaker,
            max_age: config.max_age,
            replay_guard: config.replay_guard,
            budget: config.budget,
        };
        // A table that did not answer is not asked again: a callback is waiting.
        if state == StoreState::Answers {
            receiver.warm_up::<C>(WARM_UP_LIMIT, now()).await;
        }
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
        let store = Reader::new(client, &config.table).with_settings(settings_from_env()?);
        store.warm_up(WARM_UP_LIMIT, now()).await;
        lambda_runtime::run(service(Queries {
            records: Records::new(store, ErasureList::FRESH_FOR),
            limits: QueryLimits::DEFAULT,
            events: config.events,
        }))
        .await
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
        // The pace decides when a request is repeated.
        let client = store::connect_once(&aws, REPLAY_LIMIT);
        let store = Writer::new(client.clone(), &config.table, config.retention)
            .with_room_shards(config.room_shards);
        store.warm_up(WARM_UP_LIMIT, now()).await;
        let replay = Replay {
            erasures: ErasureList::new(Reader::new(client, &config.table), ErasureList::FRESH_FOR),
            store,
            queue: Queue::new(&aws, queues.spill_queue_url),
            dead_letters: Queue::new(&aws, queues.dead_letter_queue_url),
            gate: Gate::default(),
        };
        lambda_runtime::run(replay_service(replay)).await
    })
}

/// Runs the function that sends the table's changes as events until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_relay() -> Result<(), Error> {
    run(async {
        let config = RelayConfig::from_env()?;
        let Config { table, retention, .. } = Config::from_env()?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, PUT_LIMIT);
        let reader = Reader::new(client.clone(), &table);
        let settle = SettleConfig::from_env()?;
        let relay = Relay {
            bus: EventBus::new(&aws, config.event_bus, PUT_LIMIT),
            erasures: ErasureList::new(reader, ErasureList::FRESH_FOR),
            live: LiveRooms::new(LiveMarker::new(client.clone(), &table, retention)),
            checks: settle
                .map(|settle| checks(&aws, Settler::new(client, &table, retention), settle)),
        };
        lambda_runtime::run(relay_service(relay)).await
    })
}

/// Runs the function that checks rooms in which nothing has changed for a while until Lambda ends
/// it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_settle() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let settle = SettleConfig::from_env()?;
        let settle = settle.ok_or(ConfigError::Missing("ROLLCALL_SETTLE_QUEUE_URL"))?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, REPLAY_LIMIT);
        let reader = Reader::new(client.clone(), &config.table).with_settings(settings_from_env()?);
        let settle = Settle {
            records: Records::new(reader, ErasureList::FRESH_FOR),
            checks: checks(&aws, Settler::new(client, &config.table, config.retention), settle),
        };
        lambda_runtime::run(settle_service(settle)).await
    })
}

fn checks(aws: &aws::SdkConfig, store: Settler, settle: SettleConfig) -> Checks {
    Checks {
        store,
        queue: CheckQueue::Queue(Box::new(Queue::new(aws, settle.queue_url))),
        grace: settle.grace,
    }
}

/// Runs the function that sweeps the lists of live rooms until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_sweep() -> Result<(), Error> {
    run(async {
        let per_second = SweepConfig::from_env()?.read_units_per_second;
        let Config { table, retention, .. } = Config::from_env()?;
        let client = store::connect(&aws::from_env()?, SWEEP_LIMIT);
        let meter = Meter::default();
        let reader = Reader::new(meter.watch(&client), &table).with_settings(settings_from_env()?);
        let sweep = Sweep {
            records: Records::new(reader.clone(), ErasureList::FRESH_FOR),
            reader,
            live: LiveMarker::new(client.clone(), &table, retention),
            store: SweepStore::new(client, &table, retention),
            meter,
            budget: Budget::ReadUnitsPerSecond(per_second),
        };
        lambda_runtime::run(sweep_service(sweep)).await
    })
}

/// Runs the function that asks providers who is there until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
#[cfg(feature = "server-api")]
pub fn run_reconcile() -> Result<(), Error> {
    run(async {
        let people_per_second = ReconcileConfig::from_env()?.people_per_second;
        let Config { table, retention, room_shards, .. } = Config::from_env()?;
        let aws = aws::from_env()?;
        let client = store::connect(&aws, REPLAY_LIMIT);
        let writer = Writer::new(client.clone(), &table, retention).with_room_shards(room_shards);
        writer.warm_up(WARM_UP_LIMIT, now()).await;
        let reader = Reader::new(client.clone(), &table).with_settings(settings_from_env()?);
        let accounts = match ProviderApisFrom::from_env()? {
            ProviderApisFrom::Environment(apis) => apis.into(),
            ProviderApisFrom::Secret(id) => SecretSource::secret(&aws, id, REPLAY_LIMIT),
        };
        let transport = Transport::system(Patience::default())?;
        let reconcile = Reconcile {
            records: Records::new(reader.clone(), ErasureList::FRESH_FOR),
            reader,
            observer: Observer::new(client.clone(), &table, retention).spread_as(&writer),
            writer,
            passes: PassStore::new(client, &table),
            apis: Arc::new(ServerApis::new(accounts, transport, Arc::new(now))),
            people_per_second,
            request_limit: reconcile::REQUEST_LIMIT,
        };
        lambda_runtime::run(reconcile_service(reconcile)).await
    })
}

/// Runs the function that erases people until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_erase() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let queue = EraseConfig::from_env()?.queue_url;
        let aws = aws::from_env()?;
        let store =
            Eraser::new(store::connect(&aws, REPLAY_LIMIT), &config.table, config.retention);
        store.warm_up(WARM_UP_LIMIT, now()).await;
        let limit = erase::REQUEST_LIMIT;
        let erase = if let Some(url) = queue {
            let repeats = Repeats::Queue(Box::new(Queue::new(&aws, url)));
            Erase { store, repeats, limit }
        } else {
            tracing::warn!("without a queue an erasure is repeated only if this process lives");
            let (timer, arranged) = mpsc::unbounded_channel();
            let erase = Erase { store, repeats: Repeats::Timer(timer), limit };
            tokio::spawn(erase.clone().repeat_in_time(arranged, now));
            erase
        };
        lambda_runtime::run(erase_service(erase)).await
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

/// Runs the function that mints and verifies ZEGO's tokens until Lambda ends it.
///
/// # Errors
///
/// As [`run_callback`].
pub fn run_zego_token() -> Result<(), Error> {
    run(async {
        let config = Config::from_env()?;
        let apps = apps(&aws::from_env()?, config.budget).await?;
        lambda_runtime::run(service(ZegoTokens { apps })).await
    })
}

/// How long one write of a replay may take: no provider waits for it.
const REPLAY_LIMIT: Duration = Duration::from_secs(5);

/// How long one request of a sweep may take: the last one begins when a fifth of the time is left.
const SWEEP_LIMIT: Duration = Duration::from_secs(5);

/// How long handing over events may take: no provider waits for it.
const PUT_LIMIT: Duration = Duration::from_secs(10);

/// The time by the machine's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn now() -> UnixMillis {
    SystemTime::now().into()
}

/// How much time is left for an invocation. `cargo lambda watch` names a deadline of 1970: then it is
/// a minute.
fn time_left(context: &Context, now: UnixMillis) -> Duration {
    let is_a_time = UnixMillis(context.deadline).after(A_DAY) > now;
    let left = Duration::from_millis(context.deadline.saturating_sub(now.0));
    if is_a_time { left } else { Duration::from_mins(1) }
}

const A_DAY: Duration = Duration::from_hours(24);

fn run(function: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    log::to_stdout();
    // A function has one request at a time, and with 256 MB a seventh of a CPU.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(function).inspect_err(|error| {
        tracing::error!(%error, "the function cannot start");
    })
}

/// The apps, read from their secret if there is one. If the read fails, the function starts all the
/// same: the first request tries again.
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
