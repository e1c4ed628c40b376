//! The command line.

pub(crate) mod ask;
pub(crate) mod board;
pub(crate) mod check;
pub(crate) mod erase;
pub(crate) mod export;
mod heard;
mod introduction;
pub(crate) mod provider;
pub(crate) mod reconcile;
pub(crate) mod resync;
pub(crate) mod send;
pub(crate) mod serve;
mod target;
mod tickets;
pub(crate) mod token;
pub(crate) mod user_sig;

use std::{collections::HashMap, sync::OnceLock};

use clap::{Parser, Subcommand};
use rollcall::{
    callback::{Provider, Secret, SecretFault, SecretKind},
    config::Apps,
    domain::{App, AppId, ProviderName},
    providers::{openim::OpenIm, tencent::Chat},
};
use rollcall_local::{EXAMPLE_APPS, board::log_line};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer, filter::Targets, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

/// What is shown instead of success: one clear line.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Rollcall on this machine: a gateway that answers ZEGOCLOUD's callbacks and your queries, with an
/// embedded DynamoDB.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) serve: serve::ServeArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a callback as its provider would, and print the answer.
    Send(Box<send::SendArgs>),
    /// Play the providers' server APIs, which say who is there, whatever callbacks were lost
    Provider(provider::ProviderArgs),
    /// Serve the board of a stack on this machine: who is where, live, in a browser
    Board(board::BoardArgs),
    /// Send one callback of each kind and each query, and report what was right
    Check(check::CheckArgs),
    /// Ask who is online, who is or was in a room, and what they did there
    Ask(Box<ask::AskArgs>),
    /// Write attendance, registrations or reports as CSV
    Export(Box<export::ExportArgs>),
    /// Erase everything that is stored about a user
    Erase(erase::EraseArgs),
    /// Ask a provider who is really there, and repair what lost callbacks left wrong
    Reconcile(reconcile::ReconcileArgs),
    /// After `relay` has missed records, send an event for each room and person to ask about again
    Resync(resync::ResyncArgs),
    /// Mint or verify Tencent's UserSig.
    UserSig(user_sig::UserSigArgs),
    /// Mint or verify ZEGO's token (token04).
    Token(token::TokenArgs),
}

/// Logs in readable lines.
pub(crate) fn log_to_stderr(filter: Targets) {
    tracing_subscriber::registry().with(lines(filter)).init();
}

/// The same. Whatever the filter is, the board learns what is said of callbacks.
pub(crate) fn log_to_stderr_and_board(filter: Targets) {
    tracing_subscriber::registry().with(lines(filter)).with(log_line::layer()).init();
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(filter: Targets) -> impl Layer<S> {
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    lines.with_filter(filter)
}

/// Rollcall's own logs, down to this level.
pub(crate) fn only_rollcall(level: Level) -> Targets {
    Targets::new().with_target("rollcall", level)
}

/// The apps of `ROLLCALL_APPS`, else the examples. They are read once, so that each warning about
/// them is logged once.
fn apps() -> Result<Apps, Failure> {
    static APPS: OnceLock<Apps> = OnceLock::new();
    if let Some(apps) = APPS.get() {
        return Ok(apps.clone());
    }
    let apps = match Apps::from_env()? {
        Some(apps) => apps,
        None => Apps::from_json(EXAMPLE_APPS)?,
    };
    Ok(APPS.get_or_init(|| apps).clone())
}

/// Ids in a fixed order.
fn ids<A>(apps: &HashMap<AppId, A>) -> Vec<&AppId> {
    let mut ids: Vec<&AppId> = apps.keys().collect();
    ids.sort();
    ids
}

/// The apps of these providers, in a fixed order.
fn apps_of(apps: &Apps, providers: impl IntoIterator<Item = ProviderName>) -> Vec<App> {
    let mut all = Vec::new();
    for provider in providers {
        let ids = match provider {
            provider if provider == OpenIm::NAME => ids(&apps.openim),
            provider if provider == Chat::NAME => ids(&apps.tencent),
            _ => ids(&apps.zego),
        };
        all.extend(ids.into_iter().map(|id| App { provider, id: id.clone() }));
    }
    all
}

/// The first app of a provider, by its id.
fn first<A>(apps: &HashMap<AppId, A>) -> Option<(&AppId, &A)> {
    apps.iter().min_by_key(|(id, _)| *id)
}

/// The secret of an option. Prints a line for each thing that is wrong with it.
fn secret(option: &str, text: String, kind: SecretKind) -> Result<Secret, Failure> {
    let (secret, faults) = kind.take(text);
    let secret = secret.ok_or_else(|| {
        // What is not used has a fault for it.
        format!("{option} {}", faults.last().copied().unwrap_or(SecretFault::Blank))
    })?;
    for fault in faults {
        eprintln!("rollcall: {option} {fault}");
    }
    Ok(secret)
}
