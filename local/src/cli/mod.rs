//! The command line.

pub(crate) mod send;
pub(crate) mod serve;

use clap::{Parser, Subcommand};

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
    Send(send::SendArgs),
}
