//! The local gateway under load: `cargo run --release`, with its store in a folder, and `wrk`. With
//! events off and on, and with an open board, one after the other.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{Failure, board, dynamodb, subjects::Callbacks};

/// The number of prepared signed callbacks: more than are sent, so that each is new.
const BODIES: usize = 150_000;
const CONNECTIONS: u32 = 8;
const SECONDS: u32 = 15;

/// The result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Load {
    pub(crate) callbacks_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Callbacks that were answered, each of them new.
    pub(crate) answered: u64,
    /// Answers other than 200.
    pub(crate) refused: u64,
    /// Callbacks that were answered but are not in the store.
    pub(crate) lost: u64,
    pub(crate) connections: u32,
    pub(crate) seconds: f64,
}

/// What the gateway does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// Each new fact is an event: the default.
    Events,
    /// The same, and the board is open in a browser.
    Board,
}

impl Beside {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Events => "events",
            Self::Board => "board",
        }
    }

    /// The value of `--events`.
    fn events(self) -> &'static str {
        if self == Self::Nothing { "off" } else { "on" }
    }
}

/// Sends every body once, one after another, from wrk's one thread.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local bodies = io.open(os.getenv("BODIES"), "r")
function request() return wrk.format(nil, nil, nil, bodies:read("*l")) end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

pub(crate) async fn load(
    gateway: &Path,
    callbacks: &mut Callbacks,
    folder: &Path,
    beside: Beside,
) -> Result<Load, Failure> {
    let folder = &folder.join(format!("beside-{}", beside.name()));
    std::fs::create_dir_all(folder)?;
    let bodies = folder.join("bodies");
    let script = folder.join("load.lua");
    let mut text = String::new();
    for _ in 0..BODIES {
        text.push_str(&callbacks.login_body()?);
        text.push('\n');
    }
    std::fs::write(&bodies, text)?;
    std::fs::write(&script, SCRIPT)?;

    let mut gateway = Command::new(gateway)
        .args(["--port", "0", "--dynamodb-port", "0", "--events", beside.events(), "--data"])
        .arg(folder.join("store"))
        .env_remove("ROLLCALL_APPS")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("gateway.log"))?)
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(gateway.stdout.take().ok_or("no output")?).lines();
    // The first line is the board's address.
    let _ = lines.next_line().await?;
    let line = lines.next_line().await?.ok_or("the gateway says nothing")?;
    let url = |after: &str| {
        let (_, rest) = line.split_once(after)?;
        rest.split([',', ' ']).next()
    };
    let (Some(url), Some(store)) = (url("listens on "), url("DynamoDB on ")) else {
        return Err(format!("the gateway says: {line}").into());
    };

    let board = match beside {
        Beside::Board => Some(board::open(url).await?),
        Beside::Nothing | Beside::Events => None,
    };
    let started = Instant::now();
    let wrk = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{SECONDS}s"),
            "--timeout",
            "10s",
            "-s",
        ])
        .arg(&script)
        .arg(format!("{url}/zego/room-login"))
        .env("BODIES", &bodies)
        .kill_on_drop(true)
        .output();
    let limit = Duration::from_secs(u64::from(SECONDS) * 3);
    let output = tokio::time::timeout(limit, wrk)
        .await?
        .map_err(|error| format!("wrk cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<u64> = result
        .ok_or_else(|| format!("wrk says: {text}{}", String::from_utf8_lossy(&output.stderr)))?
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let &[answered, micros, p50, p99, refused] = numbers.as_slice() else {
        return Err("wrk says something else".into());
    };
    let (beside, took) = (beside.name(), started.elapsed().as_secs_f64());
    eprintln!("gateway with {beside} beside: {answered} callbacks in {took:.1} s");
    if let Some(board) = board {
        let seen = board.close();
        eprintln!("the board: {} bytes of streams, {} answers", seen.streamed, seen.answers);
        if seen.streamed == 0 || seen.answers == 0 {
            return Err("the board saw nothing".into());
        }
    }
    let stored = seats(store).await?;
    gateway.kill().await?;
    let seconds = micros as f64 / 1e6;
    Ok(Load {
        callbacks_per_second: answered as f64 / seconds,
        p50_ms: p50 as f64 / 1e3,
        p99_ms: p99 as f64 / 1e3,
        answered,
        refused,
        // Callbacks in flight when the time was over are stored but not answered.
        lost: answered.saturating_sub(refused).saturating_sub(stored),
        connections: CONNECTIONS,
        seconds,
    })
}

/// The seats in the store: one for each callback.
async fn seats(store: &str) -> Result<u64, Failure> {
    let (mut count, mut from) = (0, json!(null));
    loop {
        let mut scan = json!({ "TableName": "rollcall", "Select": "COUNT" });
        if !from.is_null() {
            scan["ExclusiveStartKey"] = from;
        }
        let page = dynamodb::ask(store, "Scan", &scan).await?;
        count += page["Count"].as_u64().unwrap_or_default();
        from = page["LastEvaluatedKey"].clone();
        if from.is_null() {
            return Ok(count);
        }
    }
}
