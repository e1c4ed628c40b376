//! `cargo run`: the gateway and the embedded DynamoDB.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use rollcall::{
    apps::AppsSource,
    aws,
    callback::Secret,
    config::{Apps, Config},
    domain::AppId,
    handler::{self, Receiver},
    query::Queries,
    runtime,
    spill::Queue,
    store::{self, Store, TABLE},
    user_sig::UserSigs,
};
use rollcall_local::{
    EXAMPLE_APPS,
    dynamodb::Embedded,
    gateway::Gateway,
    send::zego::{EventName, Options, Rooms, nonce},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use super::Failure;

/// How long requests under way may take once the end has been asked for.
const GRACE: Duration = Duration::from_secs(3);

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
}

pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    log_to_stderr();
    let config = Config::on_a_laptop()?;
    let configured = Apps::from_env()?;
    let is_example = configured.is_none();
    let apps = match configured {
        Some(apps) => apps,
        None => Apps::from_json(EXAMPLE_APPS)?,
    };
    let gateway = bind(args.port, "--port").await?;
    let (stop, stopped) = watch::channel(());
    let mut servers = JoinSet::<Result<(), String>>::new();

    let dynamodb = if let Some(url) = args.dynamodb_endpoint {
        url
    } else {
        let listener = bind(args.dynamodb_port, "--dynamodb-port").await?;
        let database =
            if args.in_memory { Embedded::in_memory()? } else { Embedded::in_folder(&args.data)? };
        let url = format!("http://{}", listener.local_addr()?);
        servers.spawn(database.serve(listener, until(stopped.clone())));
        url
    };
    let client = store::connect(&aws::at(&dynamodb), handler::store_limit(config.budget));
    TABLE.create(&client, &config.table).await?;
    let store = Store::new(client, &config.table, config.retention);

    let spill = match config.spill_queue_url {
        Some(url) => Some(Queue::new(&aws::from_env()?, url)),
        None => None,
    };

    let url = format!("http://{}", gateway.local_addr()?);
    println!("Rollcall listens on {url}, its DynamoDB on {dynamodb} (table {}).", config.table);
    introduce(&url, &apps, is_example);

    let apps = AppsSource::from(apps);
    let receiver = Receiver {
        apps: apps.clone(),
        store: store.clone(),
        spill,
        max_age: config.max_age,
        replay_guard: config.replay_guard,
        budget: config.budget,
    };
    let user_sigs = UserSigs { apps };
    let handlers = Gateway { receiver, queries: Queries { store }, user_sigs };
    servers.spawn(async move {
        let served = handlers.serve(gateway, until(stopped)).await;
        served.map_err(|error| format!("the gateway failed: {error}"))
    });

    tokio::select! {
        signal = stop_signal() => signal?,
        Some(ended) = servers.join_next() => ended??,
    }
    println!("Stopping.");
    stop.send_replace(());
    let all_ended = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        eprintln!("rollcall: requests were still under way after {} s", GRACE.as_secs());
    }
    Ok(ExitCode::SUCCESS)
}

/// The callback log in readable lines; `RUST_LOG` sets the level.
fn log_to_stderr() {
    let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse().ok());
    let default = || Targets::new().with_target("rollcall", tracing::Level::INFO);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter.unwrap_or_else(default)).init();
}

async fn bind(port: u16, option: &str) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        format!("{address} cannot be used ({error}): choose another port with {option}").into()
    })
}

async fn until(mut stopped: watch::Receiver<()>) {
    // The sender outlives the servers; should it be gone, they are to stop as well.
    let _ = stopped.changed().await;
}

/// Resolves on Ctrl-C and on SIGTERM.
async fn stop_signal() -> std::io::Result<()> {
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

/// Prints what to try.
fn introduce(url: &str, apps: &Apps, is_example: bool) {
    fn names<'a>(ids: impl Iterator<Item = &'a AppId>) -> String {
        let ids: Vec<&str> = ids.map(AppId::as_str).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    }
    let source =
        if is_example { "example apps, since ROLLCALL_APPS is not set" } else { "ROLLCALL_APPS" };
    let (zego, openim) = (names(apps.zego.keys()), names(apps.openim.keys()));
    let tencent = names(apps.tencent.keys());
    println!("Apps of ZEGO: {zego}; OpenIM: {openim}; Tencent: {tencent} ({source}).");
    let first = apps.zego.iter().find_map(|(id, secrets)| Some((id, secrets.first()?)));
    // Secrets that somebody configured stay off the screen, and so does what they sign.
    let Some((app, secret)) = first.filter(|_| is_example) else { return };
    println!("\nTry it, in another terminal:\n");
    println!("  cargo run -- send zego room-login --user ada --room lobby");
    println!("  curl {url}/presence/zego/{app}/rooms/lobby");
    println!("  cargo run -- send openim user-register --user ada");
    println!("  curl {url}/registrations/openim/main/users/ada");
    println!("  cargo run -- user-sig mint --user ada");
    println!("\nor send a signed callback by hand (it is good for ten minutes):\n");
    println!("  {}", curl(url, app, secret));
    println!("\nCtrl-C stops.\n");
}

fn curl(url: &str, app: &AppId, secret: &Secret) -> String {
    let now = runtime::now();
    let options = Options::for_user(app.as_str(), "grace", "library");
    let event = Rooms::default().happen(EventName::RoomLogin, &options, now);
    let callback = event.callback(secret, now.seconds(), &nonce(now.seconds()));
    format!("curl {} -d '{}'", callback.url(url), callback.body)
}
