//! Keeps a copy of rooms and people in `SQLite`, from the events of a gateway:
//!
//! ```text
//! cargo run                                     # in one terminal
//! cargo run --example consumer -- copy.sqlite   # in another one
//! cargo run -- send zego --count 100            # in a third one
//! ```
//!
//! The rule that keeps the copy right is in `consumer/copy.rs`; `docs/events.md` has it in thirty
//! lines of Python. A consumer behind `EventBridge` takes the same events from its webhook or queue.

#[path = "consumer/copy.rs"]
mod copy;

use std::time::Duration;

use clap::Parser;
use copy::Copy;
use rollcall::runtime;
use rusqlite::Connection;
use serde_json::Value;

/// How long the index may be behind. After this, what was asked about is asked about once more.
const INDEX_LAG: Duration = Duration::from_secs(5);

/// The pause before the gateway is asked again.
const PAUSE: Duration = Duration::from_secs(1);

type Failure = Box<dyn std::error::Error>;

/// Keeps a copy of rooms and people.
#[derive(Parser)]
struct Args {
    /// File of the copy
    #[arg(default_value = "copy.sqlite")]
    file: String,
    /// Address of the gateway
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let copy = Copy::of(Connection::open(args.file)?)?;
    println!("{} answers so far", copy.answers()?.len());
    let http = rollcall_players::client()?;
    loop {
        if let Err(error) = follow(&copy, &http, &args.url).await {
            eprintln!("consumer: {error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Takes events from the last one on, until the connection ends.
async fn follow(copy: &Copy, http: &reqwest::Client, url: &str) -> Result<(), Failure> {
    let ask = async |href: &str| ask(http, url, href).await;
    let mut request = http.get(format!("{url}/events"));
    if let Some(id) = copy.last_event()? {
        request = request.header("last-event-id", id);
    }
    let mut events = request.send().await?.error_for_status()?;
    let (mut text, mut settling) = (Vec::new(), tokio::time::interval(INDEX_LAG));
    loop {
        tokio::select! {
            chunk = events.chunk() => text.extend_from_slice(&chunk?.ok_or("the gateway has stopped")?),
            _ = settling.tick() => {
                let now = runtime::now();
                copy.settle(now.before(INDEX_LAG).0, now.0, ask).await?;
            }
        }
        let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else { continue };
        let lines: Vec<u8> = text.drain(..=end).collect();
        let lines =
            lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
        let new = lines.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?;
        copy.take(&new, runtime::now().0, ask).await?;
        for event in new {
            println!("{} {}", event["type"], event["href"]);
        }
    }
}

/// The answer to a query; `None` if nothing is known.
async fn ask(
    http: &reqwest::Client,
    url: &str,
    href: &str,
) -> Result<Option<Value>, reqwest::Error> {
    let response = http.get(format!("{url}{href}")).send().await?;
    if response.status().as_u16() == 404 {
        return Ok(None);
    }
    let text = response.error_for_status()?.text().await?;
    Ok(serde_json::from_str(&text).ok())
}
