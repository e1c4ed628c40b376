//! `cargo run -- resync`: an operator's command for a stack, after `relay` has missed records.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use rollcall::{
    aws,
    domain::{App, AppId, ProviderName},
    relay::{EventBus, LiveRooms, Relay},
    runtime,
    store::{self, ErasureList, LiveMarker, Reader, ReceivedIn, Scanner},
};
use rollcall_local::{
    ask::time::Moment,
    resync::{Found, Place, Resync, ResyncError},
};

use super::{
    Failure,
    export::{INTERRUPTED, again},
    serve::stop_signal,
    target::provider,
};

/// How long one call to DynamoDB or `EventBridge` may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// For how long the events of a page are handed over again.
const SEND_LIMIT: Duration = Duration::from_mins(2);

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Args)]
pub(crate) struct ResyncArgs {
    /// The provider
    #[arg(long, value_parser = provider(), required_unless_present = "all", requires = "app")]
    provider: Option<ProviderName>,
    /// The app's id
    #[arg(long, value_name = "ID", required_unless_present = "all", requires = "provider")]
    app: Option<AppId>,
    /// All apps of all providers
    #[arg(long, conflicts_with_all = ["provider", "app"])]
    all: bool,
    /// When the missing records begin: 2026-11-26 (UTC), 2026-11-26T09:30:00Z or Unix ms
    #[arg(long, value_name = "TIME")]
    from: Moment,
    /// When they end; a day with all of it
    #[arg(long, value_name = "TIME")]
    to: Moment,
    /// How many minutes late callbacks came at most. After an outage in which callbacks were
    /// spilled, as long as that was
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    late: u32,
    /// The table: the stack's output `TableName`
    #[arg(long, value_name = "NAME", default_value = "rollcall")]
    table: String,
    /// The bus: the stack's output `EventBusName`
    #[arg(long, value_name = "NAME")]
    bus: String,
    /// The stack's parameter `RetentionDays`, as it was then
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    retention_days: u32,
    /// How many read units a second the scan takes at most. One reads 8 KB
    #[arg(long, value_name = "UNITS", default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..))]
    read_units: u32,
    /// Continue a run that was interrupted, with the word that it printed
    #[arg(long, value_name = "WORD")]
    resume: Option<String>,
}

pub(crate) async fn run(args: ResyncArgs) -> Result<ExitCode, Failure> {
    let span = ReceivedIn {
        from: args.from.first().before(Duration::from_mins(args.late.into())),
        to: args.to.last(),
    };
    if span.to < args.from.first() {
        return Err("--to is before --from".into());
    }
    let app = args.provider.zip(args.app).map(|(provider, id)| App { provider, id });
    let mut place = match &args.resume {
        None => Place::start(runtime::now()),
        Some(word) => Place::of_token(word)
            .ok_or("--resume needs the word that the interrupted run printed")?,
    };
    let aws = aws::from_env()?;
    let client = store::connect(&aws, CALL_LIMIT);
    let reader = Reader::new(client.clone(), args.table.as_str());
    let retention = DAY * args.retention_days;
    let relay = Relay {
        bus: EventBus::new(&aws, args.bus, CALL_LIMIT),
        erasures: ErasureList::new(reader, ErasureList::FRESH_FOR),
        live: LiveRooms::new(LiveMarker::new(client.clone(), args.table.as_str(), retention)),
        checks: None,
    };
    let scanner = Scanner::new(client, args.table.as_str(), retention);
    let items = scanner.about_items().await?;
    let mut resync = Resync::new(scanner, relay, app, span, SEND_LIMIT);

    // What a run before this one has read is not known.
    let bar =
        if args.resume.is_none() { ProgressBar::new(items) } else { ProgressBar::new_spinner() };
    let template = if args.resume.is_none() {
        "{wide_bar} {pos}/{len} items, {msg}"
    } else {
        "{spinner} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let mut found = Found::default();
    let run = scan(&mut resync, &mut place, &mut found, args.read_units, |found| {
        bar.set_position(found.items);
        bar.set_message(counts(found));
        bar.tick();
    });
    let done = tokio::select! {
        done = run => done.map_err(|error| (error.to_string(), ExitCode::FAILURE)),
        _ = stop_signal() => Err(("interrupted".to_owned(), ExitCode::from(INTERRUPTED))),
    };
    bar.finish_and_clear();
    eprintln!("rollcall: {}", counts(&found));
    if found.unreadable > 0 {
        eprintln!("rollcall: {} items cannot be read", HumanCount(found.unreadable));
    }
    if found.erased > 0 {
        eprintln!(
            "rollcall: {} people were erased in that time, and nobody knows who: ask about everyone \
             in your copy",
            HumanCount(found.erased)
        );
    }
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err((why, code)) => {
            eprintln!("rollcall: {why}");
            let word = format!("--resume={}", place.token());
            eprintln!("rollcall: this continues:\n\n  {}\n", again(&word));
            Ok(code)
        }
    }
}

/// Reads page after page. After each it waits as long as its read units take at this rate.
async fn scan(
    resync: &mut Resync<EventBus>,
    place: &mut Place,
    found: &mut Found,
    units_per_second: u32,
    progress: impl Fn(&Found),
) -> Result<(), ResyncError> {
    loop {
        let before = found.read_units;
        let next = resync.page(place, runtime::now(), found).await?;
        progress(found);
        let Some(next) = next else { return Ok(()) };
        *place = next;
        let pause = (found.read_units - before) / f64::from(units_per_second);
        tokio::time::sleep(Duration::from_secs_f64(pause.max(0.0))).await;
    }
}

fn counts(found: &Found) -> String {
    let Found { rooms, people, read_units, .. } = found;
    let (rooms, people) = (HumanCount(*rooms), HumanCount(*people));
    format!("{rooms} rooms and {people} people to ask about again; {read_units:.1} read units")
}
