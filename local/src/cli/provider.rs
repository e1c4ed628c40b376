//! `cargo run -- provider`: plays the providers' server APIs on this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use rollcall::{domain::AppId, providers::ProviderApis};
use rollcall_local::ask::table::lines;
use rollcall_local::provider::{
    ACTIONS, Absent, Action, Behaviour, Count, DEFAULT_PORT, EXAMPLE_APIS, Fault, Faults, Lie,
    Limits, OpenImAge, Provider, Truth, TruthFile, serve,
};
use tokio::net::TcpListener;

use super::{Failure, ids, send::percent, serve::stop_signal};

/// How long requests in progress may take after a stop signal.
const GRACE: Duration = Duration::from_secs(1);

/// The limit of `DescribeUserList` that counts for each room.
const OF_ROOM: &str = "DescribeUserList/room";

#[derive(Debug, Args)]
#[command(after_help = limits_help())]
pub(crate) struct ProviderArgs {
    /// Port of all APIs
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
    /// What is true: the file that `send` writes. It is read again when it changes
    #[arg(long, value_name = "FILE", default_value = TruthFile::DEFAULT)]
    truth: PathBuf,
    /// For how long a change does not show in the answers
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    lag: Duration,
    /// How far the clocks that check signatures are ahead of this one; a negative number is behind
    #[arg(
        long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true,
        value_parser = clock
    )]
    clock: f64,
    /// How long each answer takes
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    slow: Duration,
    /// Let this share of the requests fail
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    fail: f64,
    /// In which way they fail; may be repeated [default: status, code and json]
    #[arg(long, value_name = "HOW", value_enum, requires = "fail")]
    fail_with: Vec<Fault>,
    /// Answer what is not true
    #[arg(long, value_enum)]
    lie: Option<Lie>,
    /// How `DescribeUsers` answers about somebody who is not in the room: by their status, or by a
    /// code of the whole request
    #[arg(long, value_enum, default_value_t)]
    absent: Absent,
    /// The age of the OpenIM server: current has `/auth/get_admin_token`, old (up to 3.8.0) has
    /// `/auth/user_token`
    #[arg(long, value_enum, default_value_t)]
    openim: OpenImAge,
    /// Another limit than the provider's own, per second and app; may be repeated
    #[arg(long, value_name = "ACTION=N", value_parser = limit)]
    limit: Vec<(Limited, u32)>,
    /// The number of all chance: the same number, the same failures [default: random]
    #[arg(long)]
    seed: Option<u64>,
}

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limited {
    App(Action),
    Room,
}

fn limits_help() -> String {
    let own = Limits::default();
    let limits = ACTIONS.iter().filter_map(|(name, action)| {
        own.per_app.get(action).map(|limit| format!("  {name}={limit}"))
    });
    let room = format!("  {OF_ROOM}={}", own.user_list_per_room);
    format!(
        "The providers' own limits:\n{}\n\nThe credentials are those of ROLLCALL_PROVIDER_APIS, else \
         the examples'.",
        limits.chain([room]).collect::<Vec<_>>().join("\n")
    )
}

fn limit(text: &str) -> Result<(Limited, u32), String> {
    let form = || "write ACTION=N, such as DescribeUsers=5".to_owned();
    let (name, number) = text.rsplit_once('=').ok_or_else(form)?;
    let number = number.parse().map_err(|_| form())?;
    if name == OF_ROOM {
        return Ok((Limited::Room, number));
    }
    let known = ACTIONS.iter().find(|(known, _)| *known == name);
    let (_, action) = known.ok_or_else(|| {
        let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        format!("{name} is none of {OF_ROOM}, {}", names.join(", "))
    })?;
    Ok((Limited::App(*action), number))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "not a number from 0 to 3600".to_owned())
}

fn clock(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.abs() <= 86_400.0);
    seconds.ok_or_else(|| "not a number from -86400 to 86400".to_owned())
}

pub(crate) async fn run(args: ProviderArgs) -> Result<ExitCode, Failure> {
    let configured = std::env::var("ROLLCALL_PROVIDER_APIS").ok().filter(|json| !json.is_empty());
    let source = if configured.is_some() { "ROLLCALL_PROVIDER_APIS" } else { "the examples" };
    let accounts = ProviderApis::from_json(configured.as_deref().unwrap_or(EXAMPLE_APIS))
        .map_err(|error| format!("ROLLCALL_PROVIDER_APIS {error}"))?;
    let names = |ids: Vec<&AppId>| {
        let ids: Vec<&str> = ids.into_iter().map(AppId::as_str).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    };
    let (zego, openim) = (names(ids(&accounts.zego)), names(ids(&accounts.openim)));
    let tencent = names(ids(&accounts.tencent));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("{address} cannot be used ({error}): choose another port with --port")
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    let file = TruthFile::at(&args.truth);
    file.read().map_err(|error| format!("{} cannot be read: {error}", args.truth.display()))?;
    let slow = args.slow;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let provider = Provider::new(accounts, Truth::of_file(file), args.behaviour(), seed);
    let provider = Arc::new(provider);

    println!("The server APIs of ZEGO, Chat and OpenIM are played on {url}.");
    println!("Apps of ZEGO: {zego}; OpenIM: {openim}; Tencent: {tencent} (those of {source}).");
    println!("They know what `send` writes into {}. Ctrl-C stops.", args.truth.display());

    let stop = async {
        // Without signals it cannot be stopped in this way.
        if stop_signal().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let serving = serve(provider.clone(), slow, listener, async {
        stop.await;
        let _ = stopping.send(());
    });
    let grace = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        served = serving => served?,
        // What hangs is left.
        () = grace => {}
    }
    print!("{}", counted(&provider.counts()));
    Ok(ExitCode::SUCCESS)
}

impl ProviderArgs {
    fn behaviour(&self) -> Behaviour {
        let mut limits = Limits::default();
        for (of, limit) in &self.limit {
            match of {
                Limited::App(action) => _ = limits.per_app.insert(*action, *limit),
                Limited::Room => limits.user_list_per_room = *limit,
            }
        }
        let mut faults = Faults { percent: self.fail, ..Faults::default() };
        if !self.fail_with.is_empty() {
            faults.kinds.clone_from(&self.fail_with);
        }
        // At most a day.
        #[expect(clippy::cast_possible_truncation, reason = "as exact as has to be")]
        let clock_ms = (self.clock * 1000.0).round() as i64;
        Behaviour {
            lag: self.lag,
            clock_ms,
            faults,
            lie: self.lie,
            absent: self.absent,
            openim: self.openim,
            limits,
            ..Behaviour::default()
        }
    }
}

/// How many requests there were, as a table.
fn counted(counts: &[(Action, Count)]) -> String {
    let header = ["action", "answered", "refused", "failed", "most in a second"];
    let rows = counts.iter().map(|(action, count)| {
        vec![
            action.name().to_owned(),
            count.answered.to_string(),
            count.refused.to_string(),
            count.failed.to_string(),
            count.most.to_string(),
        ]
    });
    let table = lines(header.map(str::to_owned).to_vec(), rows.collect());
    if table.is_empty() { "There were no requests.\n".to_owned() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_an_action_and_a_number() {
        assert_eq!(limit("DescribeUsers=5"), Ok((Limited::App(Action::DescribeUsers), 5)));
        assert_eq!(limit("DescribeUserList/room=2"), Ok((Limited::Room, 2)));
        for wrong in ["DescribeUsers", "DescribeUsers=", "DescribeUsers=x", "Other=1", "=1"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
