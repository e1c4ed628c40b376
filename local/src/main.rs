//! `cargo run`: Rollcall on this machine. `cargo run -- send`: plays the providers.
//! `cargo run -- provider`: plays their server APIs.
//! `cargo run -- board`: shows a stack in a browser. `cargo run -- check`: checks a stack.
//! `cargo run -- ask`, `export` and `erase`: ask for people.
//! `cargo run -- reconcile`: repairs the record of what the providers' callbacks left out.
//! `cargo run -- resync`: repairs a backend's copy after a gap in a stack's events.
//! `cargo run -- user-sig` and `token`: mint and verify Tencent's and ZEGO's login tickets.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, log_to_stderr, only_rollcall};
use tracing::Level;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.command.is_some() {
        // Warnings about the apps. No logs of libraries: they may contain what is sent.
        log_to_stderr(only_rollcall(Level::WARN));
    }
    let done = match cli.command {
        None => cli::serve::run(cli.serve).await,
        Some(Command::Send(send)) => cli::send::run(*send).await,
        Some(Command::Provider(provider)) => cli::provider::run(provider).await,
        Some(Command::Board(board)) => cli::board::run(board).await,
        Some(Command::Check(check)) => cli::check::run(check).await,
        Some(Command::Ask(ask)) => cli::ask::run(*ask).await,
        Some(Command::Export(export)) => cli::export::run(*export).await,
        Some(Command::Erase(erase)) => cli::erase::run(erase).await,
        Some(Command::Reconcile(reconcile)) => cli::reconcile::run(reconcile).await,
        Some(Command::Resync(resync)) => cli::resync::run(resync).await,
        Some(Command::UserSig(user_sig)) => cli::user_sig::run(user_sig),
        Some(Command::Token(token)) => cli::token::run(token),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {error}");
            ExitCode::FAILURE
        }
    }
}
