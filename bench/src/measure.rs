//! Starts, first callbacks, warm callbacks and their costs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use crate::{
    Failure,
    cpu::{Groups, Share},
    dynamodb::{DynamoDb, Units},
    lambda::Lambda,
    names::Kind,
    subjects::{Callbacks, SPILL_QUEUE_URL, Subject},
};

/// Warm callbacks after each cold start.
const WARM_AFTER_COLD: usize = 10;

/// Callbacks of one subject in a row, before the next subject's.
const BLOCK: usize = 40;

/// Callbacks before the first that is counted.
const WARM_UP: usize = 20;

/// The median and the 99th percentile, in the unit of the samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) samples: usize,
}

impl Spread {
    pub(crate) fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
        let samples_count = samples.len();
        (samples_count > 0).then(|| Self { median: at(0.5), p99: at(0.99), samples: samples_count })
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One subject at one share, in ms.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cold {
    pub(crate) subject: String,
    pub(crate) share: String,
    /// From the start of the process to its first request for an event; always at full speed.
    pub(crate) init: Option<Spread>,
    pub(crate) first: Option<Spread>,
    pub(crate) warm: Option<Spread>,
    /// The first callback after ten idle minutes.
    pub(crate) after_idle: Option<Spread>,
}

#[derive(Default)]
struct ColdSamples {
    init: Vec<f64>,
    first: Vec<f64>,
    warm: Vec<f64>,
    after_idle: Vec<f64>,
}

/// Starts every subject again and again, in turns, at every share.
pub(crate) async fn cold(
    subjects: &[Subject],
    rounds: usize,
    groups: Option<&Groups>,
    dynamodb: &DynamoDb,
    callbacks: &mut Callbacks,
    logs: &Path,
) -> Result<Vec<Cold>, Failure> {
    let mut all = BTreeMap::<(Share, usize), ColdSamples>::new();
    for round in 0..rounds {
        eprintln!("cold starts: round {} of {rounds}", round + 1);
        callbacks.renew_tables(dynamodb).await?;
        for (share, (index, subject)) in Share::ALL
            .into_iter()
            .flat_map(|share| subjects.iter().enumerate().map(move |s| (share, s)))
        {
            let limited = match (share, groups) {
                (Share::OfMemory(_), None) => continue,
                (Share::OfMemory(mb), Some(groups)) => Some((groups, mb)),
                (Share::Full, _) => None,
            };
            // Scripts take seconds, and their times vary little.
            if subject.kind == Kind::ScriptPeer && round >= rounds.div_ceil(3) {
                continue;
            }
            let mut events = Vec::with_capacity(WARM_AFTER_COLD + 2);
            for _ in 0..WARM_AFTER_COLD + 2 {
                events.push(callbacks.next(subject.common).await?);
            }
            let samples = all.entry((share, index)).or_default();
            let (mut lambda, init) = Lambda::start(&subject.program, logs).await?;
            if let Some((groups, mb)) = limited {
                groups.limit(lambda.pid(), mb)?;
            }
            samples.init.push(ms(init));
            samples.first.push(ms(lambda.call(&events[0]).await?));
            for event in &events[1..=WARM_AFTER_COLD] {
                samples.warm.push(ms(lambda.call(event).await?));
            }
            let idle = async {
                dynamodb.close_connections();
                tokio::time::sleep(Duration::from_millis(30)).await;
            };
            let after_idle = lambda.call_after_thaw(&events[WARM_AFTER_COLD + 1], idle).await?;
            samples.after_idle.push(ms(after_idle));
            lambda.stop().await?;
        }
    }
    let spread = |((share, index), samples): ((Share, usize), ColdSamples)| Cold {
        subject: subjects[index].program.name.clone(),
        share: share.name(),
        init: Spread::of(samples.init),
        first: Spread::of(samples.first),
        warm: Spread::of(samples.warm),
        after_idle: Spread::of(samples.after_idle),
    };
    Ok(all.into_iter().map(spread).collect())
}

/// One subject, warm and at full CPU.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Warm {
    pub(crate) subject: String,
    /// In ms.
    pub(crate) latency: Option<Spread>,
    /// In ms: of each callback its time, less that in which the embedded DynamoDB worked for it.
    pub(crate) own: Option<Spread>,
    /// In ms of CPU time for each callback: medians over blocks.
    pub(crate) cpu: Option<Spread>,
    /// In MB (2^20), over the whole life of the process.
    pub(crate) peak_memory_mb: f64,
    /// For each callback.
    pub(crate) dynamodb_requests: f64,
}

/// Callbacks one after another, in alternating blocks, so that a disturbance affects all subjects.
pub(crate) async fn warm(
    subjects: &[Subject],
    blocks: usize,
    dynamodb: &DynamoDb,
    callbacks: &mut Callbacks,
    logs: &Path,
) -> Result<Vec<Warm>, Failure> {
    let mut lambdas = Vec::new();
    for subject in subjects {
        let (mut lambda, _) = Lambda::start(&subject.program, logs).await?;
        for _ in 0..WARM_UP {
            lambda.call(&callbacks.next(subject.common).await?).await?;
        }
        lambdas.push((lambda, Vec::new(), Vec::new(), Vec::new(), 0));
    }
    for block in 0..blocks {
        if block % 5 == 0 {
            eprintln!("warm callbacks: block {} of {blocks}", block + 1);
        }
        callbacks.renew_tables(dynamodb).await?;
        for (subject, (lambda, latency, own, cpu, requests)) in subjects.iter().zip(&mut lambdas) {
            let mut events = Vec::with_capacity(BLOCK);
            for _ in 0..BLOCK {
                events.push(callbacks.next(subject.common).await?);
            }
            let (used, asked) = (lambda.cpu()?, dynamodb.requests());
            for event in &events {
                let before = dynamodb.time();
                let took = lambda.call(event).await?;
                latency.push(ms(took));
                own.push(ms(took.saturating_sub(dynamodb.time().saturating_sub(before))));
            }
            cpu.push(ms(lambda.cpu()?.saturating_sub(used)) / BLOCK as f64);
            *requests += dynamodb.requests() - asked;
        }
    }
    let mut warm = Vec::new();
    for (subject, (lambda, latency, own, cpu, requests)) in subjects.iter().zip(lambdas) {
        warm.push(Warm {
            subject: subject.program.name.clone(),
            dynamodb_requests: requests as f64 / latency.len() as f64,
            latency: Spread::of(latency),
            own: Spread::of(own),
            cpu: Spread::of(cpu),
            peak_memory_mb: lambda.peak_memory()? as f64 / 1024.0,
        });
        lambda.stop().await?;
    }
    Ok(warm)
}

/// What one kind of callback costs in DynamoDB.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    pub(crate) what: String,
    pub(crate) subject: String,
    /// What the design states; `None` for peers.
    pub(crate) stated_write_units: Option<f64>,
    #[serde(flatten)]
    pub(crate) units: Units,
}

impl Cost {
    pub(crate) fn write_units(&self) -> f64 {
        self.units.table_writes + self.units.index_writes
    }
}

/// The write units of every callback for which the design states them, and of the peers.
pub(crate) async fn costs(
    subjects: &[Subject],
    dynamodb: &DynamoDb,
    callbacks: &mut Callbacks,
    logs: &Path,
) -> Result<Vec<Cost>, Failure> {
    callbacks.prepare_stated().await?;
    let stated = callbacks.stated()?;
    let mut costs = Vec::new();
    let mut lambdas = BTreeMap::new();
    for subject in subjects {
        let name = subject.program.name.as_str();
        let (mut lambda, _) = Lambda::start(&subject.program, logs).await?;
        let peer = matches!(subject.kind, Kind::NativePeer | Kind::ScriptPeer);
        if peer || subject.kind == Kind::Function {
            lambda.call(&callbacks.next(subject.common).await?).await?;
            let event = callbacks.next(subject.common).await?;
            dynamodb.count_units();
            lambda.call(&event).await?;
            costs.push(Cost {
                what: if peer { "a callback that is new" } else { "a request" }.to_owned(),
                subject: name.to_owned(),
                stated_write_units: None,
                units: dynamodb.take_units(),
            });
        }
        lambdas.insert(name, lambda);
    }
    for stated in stated {
        let Some(lambda) = lambdas.get_mut(stated.function) else { continue };
        dynamodb.count_units();
        lambda.call(&stated.event).await?;
        costs.push(Cost {
            what: stated.what.to_owned(),
            subject: stated.function.to_owned(),
            stated_write_units: Some(stated.units),
            units: dynamodb.take_units(),
        });
    }
    for lambda in lambdas.into_values() {
        lambda.stop().await?;
    }
    Ok(costs)
}

/// Instructions that one warm callback takes, counted by callgrind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Instructions {
    pub(crate) subject: String,
    pub(crate) per_callback: f64,
}

/// Callbacks that are counted: those of a run with twice as many, less those of one with as many.
const COUNTED: u32 = 40;

/// Counts the instructions of native subjects. Under callgrind they run fifty times slower, so they
/// get more time than a callback has.
pub(crate) async fn instructions(
    subjects: &[Subject],
    callbacks: &mut Callbacks,
    logs: &Path,
) -> Result<Vec<Instructions>, Failure> {
    let mut counted = Vec::new();
    for subject in subjects.iter().filter(|subject| subject.binary.is_some()) {
        eprintln!("callgrind: {}", subject.program.name);
        let mut totals = [0.0; 2];
        for (total, count) in totals.iter_mut().zip([COUNTED, 2 * COUNTED]) {
            let out = logs.join(format!("{}.callgrind", subject.program.name));
            let mut program = subject.program.clone();
            let valgrind = ["valgrind".to_owned(), "--tool=callgrind".to_owned()];
            let file = format!("--callgrind-out-file={}", out.display());
            program.command.splice(0..0, valgrind.into_iter().chain([file]));
            program.environment.push(("ROLLCALL_BUDGET_MS".to_owned(), "50000".to_owned()));
            // So slow a start opens the breaker, which then sends callbacks to the queue.
            program.environment.retain(|(name, _)| name != SPILL_QUEUE_URL);
            let (mut lambda, _) = Lambda::start(&program, logs).await?;
            for _ in 0..count {
                lambda.call(&callbacks.next(subject.common).await?).await?;
            }
            lambda.stop().await?;
            *total = callgrind_total(&out)?;
        }
        let per_callback = (totals[1] - totals[0]) / f64::from(COUNTED);
        counted.push(Instructions { subject: subject.program.name.clone(), per_callback });
    }
    Ok(counted)
}

fn callgrind_total(out: &PathBuf) -> Result<f64, Failure> {
    let text = std::fs::read_to_string(out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.or_else(|| text.lines().find_map(|line| line.strip_prefix("summary: ")));
    Ok(total.ok_or("callgrind wrote no total")?.trim().parse()?)
}
