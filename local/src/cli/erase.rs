//! `cargo run -- erase`: erases a user, after it has asked.

use std::{
    io::{BufRead, IsTerminal, Write},
    process::ExitCode,
};

use clap::Args;
use rollcall::domain::App;
use rollcall_local::ask::{
    erase::{erase, found},
    table::plain,
};
use serde_json::json;

use super::{
    Failure,
    target::{About, Target, print},
};

/// A busy Rollcall is asked again.
const RETRIES: u32 = 5;

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The user's id
    user: String,
    #[command(flatten)]
    target: Target,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: EraseArgs) -> Result<ExitCode, Failure> {
    let EraseArgs { user, target, yes, json } = args;
    if !yes && !std::io::stdin().is_terminal() {
        return Err("there is no terminal to ask on, and nothing is erased: add --yes".into());
    }
    let app = target.app(About::Erasure)?;
    let client = target.client(RETRIES)?;
    let items = found(&client, &app, &user).await?;
    let App { provider, id } = &app;
    let who = format!("{} in {provider} app {id}", plain(&user));
    let found = match items {
        // Readers drop what an erasure covers, so one that was interrupted shows nothing.
        0 => format!(
            "No answer has anything about {who}; an interrupted erasure may have left something."
        ),
        1 => format!("1 item is stored about {who}."),
        items => format!("{items} items are stored about {who}."),
    };
    eprintln!("{found}");
    if !yes && !agrees()? {
        eprintln!("Nothing is erased.");
        return Ok(ExitCode::FAILURE);
    }
    let erased = erase(&client, &app, &user).await?;
    if json {
        print(&format!("{}\n", json!({ "user": user, "erased": erased, "complete": true })))?;
        return Ok(ExitCode::SUCCESS);
    }
    let items = if erased == 1 { "1 item is" } else { &format!("{erased} items are") };
    print(&format!(
        "{items} erased, and no answer names {who} any more.\nA second pass follows in 15 minutes, \
         for callbacks that their provider sends again until then.\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal.
fn agrees() -> Result<bool, Failure> {
    eprint!("Erase all of it? It cannot be undone. [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
