//! `cargo run`: the gateway and the embedded DynamoDB.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
use rollcall::{
    apps::{AppsSource, SecretSource},
    aws,
    breaker::Breaker,
    config::{
        self, Apps, Config, DEFAULT_SETTLE, MAX_SETTLE, ProviderApis, ProviderApisFrom,
        settings_from_env,
    },
    domain::Settings,
    erase::{self, Erase, Repeats},
    handler::{self, Receiver},
    query::{Queries, QueryLimits},
    queue::Queue,
    record::Records,
    relay::LiveRooms,
    runtime,
    settle::{CheckQueue, Checks, Delayed, Settle},
    store::{self, Eraser, LiveMarker, Reader, Settler, TABLE, Writer},
    user_sig::UserSigs,
    zego_token::ZegoTokens,
};
use rollcall_local::{
    EXAMPLE_APPS,
    board::{Board, Callbacks},
    dynamodb::Embedded,
    events::{self, Feed, Images, Journal},
    gateway::Gateway,
    provider::EXAMPLE_APIS,
    reconcile::{reconcile_in_time, reconcile_of},
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::Level;

use super::{Failure, introduction::Introduction, log_to_stderr_and_board, only_rollcall};

/// How long requests in progress may take after a stop signal.
const GRACE: Duration = Duration::from_secs(3);

/// How long one request of the check of a room may take.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// How long one request of a pass to the store may take.
const PASS_LIMIT: Duration = Duration::from_secs(5);

/// How long creating the table may take.
const START_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port of the gateway
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Port of the embedded DynamoDB
    #[arg(long, default_value_t = 8000)]
    dynamodb_port: u16,
    /// Folder in which records are kept
    #[arg(long, value_name = "DIR", default_value = ".rollcall")]
    data: PathBuf,
    /// Keep records in memory only
    #[arg(long, conflicts_with = "data")]
    in_memory: bool,
    /// Use a running DynamoDB instead of the embedded one
    #[arg(long, value_name = "URL", conflicts_with_all = ["dynamodb_port", "data", "in_memory"])]
    dynamodb_endpoint: Option<String>,
    /// Whether each new fact is an event at GET /events, and live rooms are listed at GET /rooms
    #[arg(long, value_name = "ON|OFF", value_enum, default_value_t = Events::On)]
    events: Events,
    /// Post each event to this URL, too
    #[arg(long, value_name = "URL", value_parser = url)]
    webhook: Option<String>,
    /// For how long nothing must change in a room before it counts as settled or empty
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_SETTLE.as_secs(),
          value_parser = clap::value_parser!(u64).range(..=MAX_SETTLE.as_secs()))]
    settle: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Events {
    On,
    Off,
}

impl From<Events> for config::Events {
    fn from(events: Events) -> Self {
        match events {
            Events::On => Self::On,
            Events::Off => Self::Off,
        }
    }
}

/// An address that can be posted to.
fn url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(text.to_owned()),
        other => Err(format!("{other} is neither http nor https")),
    }
}

fn say_where(url: &str, dynamodb: &str, table: &str, events: Events) {
    println!("See it in a browser: {url}/");
    println!("Rollcall listens on {url}, its DynamoDB on {dynamodb} (table {table}).");
    if events == Events::On {
        println!("Events are at {url}/events.");
    }
}

pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse().ok());
    log_to_stderr_and_board(filter.unwrap_or_else(|| only_rollcall(Level::INFO)));
    let config = Config::on_a_laptop()?;
    let configured = Apps::from_env()?;
    let is_example = configured.is_none();
    let apps = match configured {
        Some(apps) => apps,
        None => Apps::from_json(EXAMPLE_APPS)?,
    };
    let settings = settings_from_env()?;
    let gateway = bind(args.port, "--port").await?;
    let (stop, stopped) = watch::channel(());
    let mut servers = JoinSet::<Result<(), String>>::new();

    let (dynamodb, images) = if let Some(url) = args.dynamodb_endpoint {
        (url, Images::Remote)
    } else {
        let listener = bind(args.dynamodb_port, "--dynamodb-port").await?;
        let database =
            if args.in_memory { Embedded::in_memory()? } else { Embedded::in_folder(&args.data)? };
        let url = format!("http://{}", listener.local_addr()?);
        servers.spawn(database.clone().serve(listener, until(stopped.clone())));
        (url, Images::Embedded(database))
    };
    // No client waits for an answer yet.
    TABLE.create(&store::connect(&aws::at(&dynamodb), START_LIMIT), &config.table.name).await?;
    let journal = (args.events == Events::On).then(Arc::<Journal>::default);
    let mut watched = aws::at(&dynamodb);
    if let Some(journal) = &journal {
        let limit = handler::store_limit(config.budget);
        let sweep =
            events::sweep_of(&dynamodb, limit, &config.table, config.retention, settings.clone());
        let sweeping = Box::pin(events::sweep_each_minute(sweep));
        servers.spawn(unless_stopped(sweeping, until(stopped.clone())));
        let grace = Duration::from_secs(args.settle);
        let (feed, settle, to_check) = watch(journal, images, &watched, &config, grace, &settings);
        watched = feed;
        let checking = settle.check_in_time(to_check, runtime::now);
        servers.spawn(unless_stopped(checking, until(stopped.clone())));
        if let Some(url) = args.webhook {
            let (http, events) = (rollcall_players::client()?, journal.from_now());
            servers.spawn(async move {
                events::post_all(&http, &url, events).await;
                Ok(())
            });
        }
    }
    let client = store::connect(&watched, handler::store_limit(config.budget));
    let reader = Reader::new(client.clone(), &config.table).with_settings(settings.clone());
    let (repeats, to_repeat) = mpsc::unbounded_channel();
    let erase = Erase {
        store: Eraser::new(client.clone(), &config.table, config.retention),
        repeats: Repeats::Timer(repeats),
        limit: erase::REQUEST_LIMIT,
    };
    let repeating = erase.clone().repeat_in_time(to_repeat, runtime::now);
    servers.spawn(unless_stopped(repeating, until(stopped.clone())));
    let writer = with_shards(Writer::new(client, &config.table, config.retention), &config).await;

    let spill = match config.spill_queue_url {
        Some(url) => Some(Queue::new(&aws::from_env()?, url)),
        None => None,
    };

    let url = format!("http://{}", gateway.local_addr()?);
    say_where(&url, &dynamodb, &config.table.name, args.events);
    let introduction = Introduction { url: &url, apps: &apps, is_example };
    introduction.print(config.max_age);
    let about = introduction.about(args.events == Events::On);
    let board = Board { about, callbacks: Callbacks::since(runtime::now()) };

    let apps = AppsSource::from(apps);
    let receiver = Receiver {
        apps: apps.clone(),
        store: writer,
        spill,
        breaker: Breaker::default(),
        max_age: config.max_age,
        replay_guard: config.replay_guard,
        budget: config.budget,
    };
    let (secret, passes) = provider_apis(is_example)?;
    let reconcile =
        reconcile_of(&watched, PASS_LIMIT, &config.table, config.retention, secret, settings)?;
    if passes == Passes::InTime {
        let passes = Box::pin(reconcile_in_time(reconcile.clone()));
        servers.spawn(unless_stopped(passes, until(stopped.clone())));
    }
    let (user_sigs, zego_tokens) = (UserSigs { apps: apps.clone() }, ZegoTokens { apps });
    let records = Records::new(reader, Duration::ZERO);
    let queries = Queries { records, limits: QueryLimits::DEFAULT, events: args.events.into() };
    let handlers = Gateway { receiver, queries, erase, user_sigs, zego_tokens, reconcile };
    let (callbacks, events) = (board.callbacks.clone(), journal.clone());
    servers.spawn(async move {
        let served = handlers.serve(gateway, board, events, until(stopped)).await;
        served.map_err(|error| format!("the gateway failed: {error}"))
    });

    serve_until_stopped(servers, stop, journal, &callbacks).await?;
    Ok(ExitCode::SUCCESS)
}

/// The same writer, which has written down how many shards rooms have.
async fn with_shards(writer: Writer, config: &Config) -> Writer {
    let writer = writer.with_room_shards(config.room_shards.clone());
    writer.warm_up(START_LIMIT, runtime::now()).await;
    writer
}

/// Serves until a signal or a failure. Requests in progress have some time to end.
async fn serve_until_stopped(
    mut servers: JoinSet<Result<(), String>>,
    stop: watch::Sender<()>,
    journal: Option<Arc<Journal>>,
    callbacks: &Callbacks,
) -> Result<(), Failure> {
    tokio::select! {
        signal = stop_signal() => signal?,
        Some(ended) = servers.join_next() => ended??,
    }
    println!("Stopping.");
    stop.send_replace(());
    if let Some(journal) = journal {
        journal.close();
    }
    callbacks.close();
    let all_ended = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        eprintln!("rollcall: requests were still in progress after {} s", GRACE.as_secs());
    }
    Ok(())
}

/// When the providers are asked who is really there.
#[derive(PartialEq, Eq)]
enum Passes {
    /// Every few minutes, as in a stack.
    InTime,
    /// Only when somebody asks for it: the examples' provider seldom runs.
    OnDemand,
}

/// What the providers' server APIs are asked with, that of the examples if nothing is configured.
fn provider_apis(is_example: bool) -> Result<(SecretSource<ProviderApis>, Passes), Failure> {
    Ok(match ProviderApisFrom::from_env()? {
        ProviderApisFrom::Environment(none) if is_example && none.apps().next().is_none() => {
            (ProviderApis::from_json(EXAMPLE_APIS)?.into(), Passes::OnDemand)
        }
        ProviderApisFrom::Environment(some) => (some.into(), Passes::InTime),
        ProviderApisFrom::Secret(id) => {
            (SecretSource::secret(&aws::from_env()?, id, PASS_LIMIT), Passes::InTime)
        }
    })
}

/// A configuration whose writes are events in the journal, and what checks the rooms that they are
/// about when nothing has changed for the grace.
fn watch(
    journal: &Arc<Journal>,
    images: Images,
    dynamodb: &aws::SdkConfig,
    config: &Config,
    grace: Duration,
    settings: &Settings,
) -> (aws::SdkConfig, Settle, mpsc::UnboundedReceiver<Delayed>) {
    let own = store::connect(dynamodb, CHECK_LIMIT);
    let reader = Reader::new(own.clone(), &config.table);
    let (timer, to_check) = mpsc::unbounded_channel();
    let checks = |client| Checks {
        store: Settler::new(client, &config.table, config.retention),
        queue: CheckQueue::Timer(timer.clone()),
        grace,
    };
    let live = LiveRooms::new(LiveMarker::new(own.clone(), &config.table, config.retention));
    let feed = Feed::into(journal.clone(), images, reader, live, checks(own));
    let watched = feed.watch(dynamodb.clone());
    // What it writes is watched, too: it has events.
    let client = store::connect(&watched, CHECK_LIMIT);
    let reader = Reader::new(client.clone(), &config.table).with_settings(settings.clone());
    let records = Records::new(reader, Duration::ZERO);
    let settle = Settle { records, checks: checks(client) };
    (watched, settle, to_check)
}

/// Works until it is stopped.
async fn unless_stopped(
    work: impl Future<Output = ()>,
    stop: impl Future<Output = ()>,
) -> Result<(), String> {
    tokio::select! {
        () = work => {}
        () = stop => {}
    }
    Ok(())
}

async fn bind(port: u16, option: &str) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        format!("{address} cannot be used ({error}): choose another port with {option}").into()
    })
}

async fn until(mut stopped: watch::Receiver<()>) {
    // The sender outlives the servers. If it is gone, they must stop as well.
    let _ = stopped.changed().await;
}

/// Resolves on Ctrl-C and on SIGTERM.
pub(super) async fn stop_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
