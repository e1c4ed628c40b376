//! The command line.

pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod user_sig;

use clap::{Parser, Subcommand};
use rollcall::config::Apps;
use rollcall_local::EXAMPLE_APPS;

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
    /// Mint or verify Tencent's UserSig.
    UserSig(user_sig::UserSigArgs),
}

/// The apps of `ROLLCALL_APPS`, else the examples.
fn apps() -> Result<Apps, Failure> {
    Ok(match Apps::from_env()? {
        Some(apps) => apps,
        None => Apps::from_json(EXAMPLE_APPS)?,
    })
}
