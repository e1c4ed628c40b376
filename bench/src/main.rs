//! Measures Rollcall's Lambda functions and their peers: the real release binaries, driven as
//! Lambda drives them, against an embedded DynamoDB behind TLS. `bench/README.md` says how.

mod board;
mod build;
mod busy;
mod cpu;
mod dynamodb;
mod gateway;
mod lambda;
mod measure;
mod names;
mod plot;
mod report;
mod results;
mod subjects;
#[cfg(test)]
mod tuned;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use build::Binaries;
use clap::{Parser, ValueEnum};
use cpu::{Awake, Groups};
use dynamodb::DynamoDb;
use gateway::Beside;
use results::{Machine, Results, Size};
use subjects::Callbacks;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Starts, first callbacks, callbacks after ten idle minutes
    Cold,
    /// Warm callbacks: time, CPU, memory
    Warm,
    /// Write units
    Costs,
    /// Instructions, by callgrind
    Instructions,
    /// The local gateway under load, by wrk
    Gateway,
}

/// Measures Rollcall's functions and their peers.
#[derive(Debug, Parser)]
struct Args {
    /// Only these parts [default: all]
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Only these functions and peers (names of binaries, `python`, `node`) [default: all]
    #[arg(long)]
    only: Vec<String>,
    /// Cold starts of each, at each CPU share
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Blocks of 40 warm callbacks of each
    #[arg(long, default_value_t = 25)]
    blocks: usize,
    /// Measures the existing binaries, even if the sources have changed since
    #[arg(long)]
    as_they_are: bool,
    /// Lets idle CPUs sleep, which makes waking them slow
    #[arg(long)]
    let_cpus_sleep: bool,
    /// Where the results go [default: bench/results, and docs/performance.md if everything is
    /// measured]
    #[arg(long)]
    results: Option<PathBuf>,
}

impl Args {
    fn does(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }

    fn wants(&self, name: &str) -> bool {
        if name == "gateway" {
            return self.does(Part::Gateway);
        }
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let binaries = if args.as_they_are { Binaries::AsTheyAre } else { Binaries::New };
    let built = build::build(binaries, &|name| args.wants(name))?;
    let started = Instant::now();
    let folder = tempfile::tempdir()?;
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/logs");
    std::fs::create_dir_all(&logs)?;
    let dynamodb = DynamoDb::start(folder.path()).await?;
    let mut callbacks = Callbacks::new(&dynamodb).await?;
    let subjects = subjects::subjects(&built, &dynamodb, folder.path());
    let groups = Groups::find();
    let awake = if args.let_cpus_sleep { None } else { Awake::keep() };
    let machine = Machine::this(awake.as_ref());
    let mut results = Results::new(machine, built.missing, groups.is_some());

    for subject in &subjects {
        if let Some(binary) = &subject.binary {
            let (bytes, zipped_bytes) = build::sizes(binary)?;
            let subject = subject.program.name.clone();
            results.sizes.push(Size { subject, bytes, zipped_bytes });
        }
    }
    if args.does(Part::Costs) {
        results.costs = measure::costs(&subjects, &dynamodb, &mut callbacks, &logs).await?;
    }
    if args.does(Part::Cold) {
        let groups = groups.as_ref();
        results.cold =
            measure::cold(&subjects, args.rounds, groups, &dynamodb, &mut callbacks, &logs).await?;
    }
    if args.does(Part::Warm) {
        results.warm =
            measure::warm(&subjects, args.blocks, &dynamodb, &mut callbacks, &logs).await?;
    }
    if let Some(groups) = groups {
        groups.remove();
    }
    if args.does(Part::Instructions) {
        if is_there("valgrind") {
            results.instructions = measure::instructions(&subjects, &mut callbacks, &logs).await?;
        } else {
            results.missing.push("instructions: valgrind is not installed".to_owned());
        }
    }
    if let Some(gateway) = built.gateway.filter(|_| args.does(Part::Gateway)) {
        if is_there("wrk") {
            for (beside, load) in [
                (Beside::Nothing, &mut results.gateway),
                (Beside::Events, &mut results.gateway_with_events),
                (Beside::Board, &mut results.gateway_with_board),
            ] {
                let folder = folder.path();
                *load = Some(gateway::load(&gateway, &mut callbacks, folder, beside).await?);
            }
        } else {
            results.missing.push("the gateway under load: wrk is not installed".to_owned());
        }
    }
    results.seconds = started.elapsed().as_secs();

    let is_whole = args.part.is_empty() && args.only.is_empty();
    println!("{}", report::tables(&results));
    match args.results {
        Some(folder) => report::write(&results, &folder)?,
        None if is_whole => {
            let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
            report::write(&results, &bench.join("results"))?;
            report::document(&results, &bench.join("../docs/performance.md"))?;
        }
        None => eprintln!("Not everything was measured: bench/results stays as it is."),
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
