//! `cargo run`: Rollcall on this machine. `cargo run -- send`: plays the providers.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => cli::serve::run(cli.serve).await,
        Some(Command::Send(send)) => cli::send::run(send).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rollcall: {error}");
            ExitCode::FAILURE
        }
    }
}
