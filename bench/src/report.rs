//! The results, as JSON, as tables, and as a plot.

use std::{fmt::Write, path::Path};

use crate::{
    Failure,
    cpu::Share,
    dynamodb::Units,
    gateway::Load,
    names::{FUNCTIONS, NODE, ORDINARY, PYTHON, TUNED},
    plot,
    results::{Machine, Results},
};

const SMALL: &str = "128 MB";

/// The functions and their peers, one line each.
fn functions(results: &Results) -> String {
    let mut text = String::from(
        "| | zip MB | start ms | first ms, full CPU | 512 MB | 256 MB | 128 MB | after 10 idle min, 128 MB | \
         warm p50 ms | p99 | p50 without the store | CPU ms | instructions | memory MB | DynamoDB requests |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for name in results.subjects() {
        let latency = results.latency(name);
        let cells = [
            results.zip(name).map(|mb| format!("{mb:.2}")),
            results.init(name).map(short),
            results.first(name, &Share::Full.name()).map(short),
            results.first(name, "512 MB").map(short),
            results.first(name, "256 MB").map(short),
            results.first(name, SMALL).map(short),
            results.after_idle(name, SMALL).map(short),
            latency.map(|spread| short(spread.median)),
            latency.map(|spread| short(spread.p99)),
            results.own(name).map(short),
            results.cpu(name).map(|ms| format!("{ms:.3}")),
            results.instructions(name).map(|count| format!("{:.0} k", count / 1e3)),
            results.memory(name).map(|mb| format!("{mb:.1}")),
            results.warm(name).map(|warm| format!("{:.2}", warm.dynamodb_requests)),
        ];
        let cells = cells.map(|cell| cell.unwrap_or_else(|| "not measured".to_owned()));
        let _ = writeln!(text, "| `{name}` | {} |", cells.join(" | "));
    }
    text
}

/// What the function of ZEGO's logins does with the tuned handler's callbacks, beside it.
fn beside_tuned(results: &Results) -> String {
    type Question = (&'static str, fn(&Results, &str) -> Option<f64>);
    const QUESTIONS: [Question; 9] = [
        ("start, ms", Results::init),
        ("first callback at 128 MB, ms", |results, name| results.first(name, SMALL)),
        ("after ten idle minutes at 128 MB, ms", |results, name| results.after_idle(name, SMALL)),
        ("warm callback, ms", |results, name| Some(results.latency(name)?.median)),
        ("without the store, ms", Results::own),
        ("CPU, ms", Results::cpu),
        ("instructions", Results::instructions),
        ("peak memory, MB", Results::memory),
        ("zip, MB", Results::zip),
    ];
    let login = FUNCTIONS[0].0;
    let mut text = format!("| | `{login}` | `{TUNED}` | ratio |\n| --- | --: | --: | --: |\n");
    for (what, of) in QUESTIONS {
        let (ours, theirs) = (of(results, login), of(results, TUNED));
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        let cells = [ours, theirs, ratio];
        let cells = cells.map(|cell| cell.map_or_else(|| "not measured".to_owned(), short));
        let _ = writeln!(text, "| {what} | {} |", cells.join(" | "));
    }
    text
}

/// A number with three significant digits.
fn short(ms: f64) -> String {
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

/// The capacity that callbacks consumed, as DynamoDB reports it.
fn write_units(results: &Results) -> String {
    let mut text = String::from(
        "| callback | by | requests | write units: table | index | together | stated |\n\
         | --- | --- | --: | --: | --: | --: | --: |\n",
    );
    for cost in &results.costs {
        let Units { requests, table_writes, index_writes, .. } = cost.units;
        let stated =
            cost.stated_write_units.map_or_else(|| "—".to_owned(), |units| units.to_string());
        let _ = writeln!(
            text,
            "| {} | `{}` | {requests} | {table_writes} | {index_writes} | {} | {stated} |",
            cost.what,
            cost.subject,
            cost.write_units(),
        );
    }
    text
}

/// List prices of us-east-1 in US dollars. `docs/performance.md` has their date.
mod price {
    pub(super) const HTTP_API_PER_MILLION: f64 = 1.0;
    pub(super) const LAMBDA_PER_MILLION: f64 = 0.2;
    /// For x86-64, the template's default.
    pub(super) const LAMBDA_PER_GB_SECOND: f64 = 0.000_016_666_7;
    pub(super) const WRITE_UNITS_PER_MILLION: f64 = 0.625;
    pub(super) const READ_UNITS_PER_MILLION: f64 = 0.125;
    pub(super) const LOGS_PER_GB: f64 = 0.5;
    /// The bytes that are logged for a callback: Rollcall's line and the gateway's access log. The
    /// others log nothing themselves: theirs are Lambda's lines `START`, `END` and `REPORT`.
    pub(super) const LOGGED_BY_ROLLCALL: f64 = 1000.0;
    pub(super) const LOGGED_BY_OTHERS: f64 = 300.0;
    /// The memory of the functions.
    pub(super) const GB: f64 = 0.25;
    /// How long DynamoDB takes for a request in the cloud, in ms. Here it takes less than one.
    pub(super) const DYNAMODB_MS: f64 = 5.0;
}

/// What a million callbacks cost: entering a room, for each function and peer.
fn prices(results: &Results) -> String {
    let mut text = String::from(
        "| a million times | HTTP API | Lambda requests | Lambda duration | DynamoDB | logs | together |\n\
         | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    let rows = [
        ("Rollcall: a person enters a room", FUNCTIONS[0].0, Some("ZEGO: a person enters")),
        ("Rollcall: the person leaves it", FUNCTIONS[1].0, Some("ZEGO: the person leaves")),
        ("Rollcall: a device comes online", FUNCTIONS[5].0, Some("OpenIM: a device comes online")),
        ("tuned Rust handler", TUNED, None),
        ("ordinary Rust handler", ORDINARY, None),
        ("Python with Powertools idempotency", PYTHON, None),
        ("Node.js with Powertools idempotency", NODE, None),
    ];
    for (what, subject, callback) in rows {
        let cost = results.costs.iter().find(|cost| {
            cost.subject == subject && callback.is_none_or(|callback| cost.what == callback)
        });
        let warm = results.cold(subject, "256 MB").and_then(|cold| cold.warm);
        let (Some(cost), Some(warm)) = (cost, warm) else { continue };
        let ms = (warm.median + cost.units.requests as f64 * price::DYNAMODB_MS).ceil();
        let duration = ms * 1e3 * price::GB * price::LAMBDA_PER_GB_SECOND;
        let dynamodb = cost.write_units() * price::WRITE_UNITS_PER_MILLION
            + cost.units.reads * price::READ_UNITS_PER_MILLION;
        let logged =
            if callback.is_some() { price::LOGGED_BY_ROLLCALL } else { price::LOGGED_BY_OTHERS };
        let logs = logged * 1e6 / 1e9 * price::LOGS_PER_GB;
        let together =
            price::HTTP_API_PER_MILLION + price::LAMBDA_PER_MILLION + duration + dynamodb + logs;
        let _ = writeln!(
            text,
            "| {what} | {:.2} $ | {:.2} $ | {duration:.2} $ ({ms:.0} ms) | {dynamodb:.2} $ ({} write units) | {logs:.2} $ | {together:.2} $ |",
            price::HTTP_API_PER_MILLION,
            price::LAMBDA_PER_MILLION,
            cost.write_units(),
        );
    }
    text
}

/// The targets, and whether they were reached.
fn targets(results: &Results) -> String {
    let mut text = String::from("| target | wanted | measured | |\n| --- | --: | --: | --- |\n");
    let mut row = |what: &str, wanted: String, measured: Option<(String, bool)>| {
        let (measured, reached) = match measured {
            Some((measured, true)) => (measured, "reached"),
            Some((measured, false)) => (measured, "**missed**"),
            None => ("not measured".to_owned(), ""),
        };
        let _ = writeln!(text, "| {what} | {wanted} | {measured} | {reached} |");
    };
    let at_most = |value: Option<f64>, limit: f64, unit: &str| {
        value.map(|value| (format!("{}{unit}", short(value)), value <= limit))
    };
    let ratio = |ours: Option<f64>, theirs: Option<f64>| Some(ours? / theirs?);
    let login = FUNCTIONS[0].0;
    let first = results.worst(|results, name| results.first(name, SMALL));
    row(
        "first callback at the share of 128 MB, slowest callback function",
        "<= 5 ms".into(),
        at_most(first, 5.0, " ms"),
    );
    let faster = ratio(results.first(ORDINARY, SMALL), first);
    row(
        "speed-up over the ordinary Rust handler",
        ">= 100".into(),
        faster.map(|times| (short(times), times >= 100.0)),
    );
    let init = results.worst(Results::init);
    row(
        "start with its read, slowest callback function, relative to the ordinary handler",
        "<= 1.3".into(),
        at_most(ratio(init, results.init(ORDINARY)), 1.3, ""),
    );
    let beside =
        |of: fn(&Results, &str) -> Option<f64>| ratio(of(results, login), of(results, ORDINARY));
    row(
        "instructions of a warm `zego-room-login`, relative to the ordinary handler",
        "<= 1.05".into(),
        at_most(beside(Results::instructions), 1.05, ""),
    );
    row(
        "its warm time, relative",
        "<= 1.15".into(),
        at_most(beside(|r, n| Some(r.latency(n)?.median)), 1.15, ""),
    );
    row(
        "its warm time without the store, relative",
        "<= 1.15".into(),
        at_most(beside(Results::own), 1.15, ""),
    );
    row("its warm CPU time, relative", "<= 1.15".into(), at_most(beside(Results::cpu), 1.15, ""));
    for (peer, name) in [(PYTHON, "Python"), (NODE, "Node.js")] {
        let times = ratio(results.cpu(peer), results.worst(Results::cpu));
        row(
            &format!("CPU of {name} with Powertools, relative to the slowest callback function"),
            ">= 10".into(),
            times.map(|times| (short(times), times >= 10.0)),
        );
    }
    row(
        "peak memory, largest callback function",
        "<= 8 MB".into(),
        at_most(results.worst(Results::memory), 8.0, " MB"),
    );
    row(
        "zip, largest callback function",
        "<= 3 MB".into(),
        at_most(results.worst(Results::zip), 3.0, " MB"),
    );
    let requests = results.worst(|results, name| Some(results.warm(name)?.dynamodb_requests));
    row(
        "most DynamoDB requests of a callback on its common path",
        "1".into(),
        requests.map(|count| (count.to_string(), (count - 1.0).abs() < f64::EPSILON)),
    );
    let mut stated =
        results.costs.iter().filter_map(|cost| Some((cost, cost.stated_write_units?))).peekable();
    let measured = stated.peek().is_some();
    let wrong = stated.filter(|(cost, units)| cost.write_units() > *units).count();
    row(
        "callbacks that consume more write units than stated",
        "0".into(),
        measured.then(|| (wrong.to_string(), wrong == 0)),
    );
    gateway_targets(results, &mut row);
    text
}

fn gateway_targets(results: &Results, row: &mut impl FnMut(&str, String, Option<(String, bool)>)) {
    let load = results.gateway.as_ref();
    row(
        "local gateway: signed callbacks per second",
        ">= 2000".into(),
        load.map(|load| {
            (format!("{:.0}", load.callbacks_per_second), load.callbacks_per_second >= 2000.0)
        }),
    );
    row(
        "local gateway: p99",
        "< 20 ms".into(),
        load.map(|load| (format!("{} ms", short(load.p99_ms)), load.p99_ms < 20.0)),
    );
    row(
        "local gateway: refused or lost",
        "0".into(),
        load.map(|load| ((load.refused + load.lost).to_string(), load.refused + load.lost == 0)),
    );
    let rate = |load: &Option<Load>| Some(load.as_ref()?.callbacks_per_second);
    for (what, with, without) in [
        (
            "local gateway with events on: share of its rate without",
            &results.gateway_with_events,
            &results.gateway,
        ),
        (
            "local gateway with an open board: share of its rate without",
            &results.gateway_with_board,
            &results.gateway_with_events,
        ),
    ] {
        let share = rate(with).zip(rate(without)).map(|(with, without)| with / without);
        let share = share.map(|share| (format!("{:.0}%", share * 100.0), share >= 0.75));
        row(what, ">= 75%".into(), share);
    }
}

/// All tables, in Markdown.
pub(crate) fn tables(results: &Results) -> String {
    let Machine { cpu, cpus, kernel, is_kept_awake } = &results.machine;
    let sleep = if *is_kept_awake { "kept from sleeping" } else { "free to sleep" };
    let mut text = format!(
        "Measured on {cpu}, {cpus} CPUs ({sleep}), Linux {kernel}, in {} s.\n\n",
        results.seconds
    );
    if !results.shares {
        text.push_str("CPU shares were not measured: no control groups that can be written.\n\n");
    }
    for missing in &results.missing {
        let _ = writeln!(text, "Not measured: {missing}\n");
    }
    for (title, table) in [
        ("Targets", targets(results)),
        ("Functions and peers", functions(results)),
        ("Beside what an expert writes", beside_tuned(results)),
        ("Requests and write units", write_units(results)),
        ("Cost of a million callbacks", prices(results)),
    ] {
        let _ = writeln!(text, "### {title}\n\n{table}");
    }
    text
}

/// The results by subject, the instructions alone (they hardly depend on the machine), the tables
/// and the plot.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let results_json = serde_json::to_string_pretty(results)?;
    let instructions_json = serde_json::to_string_pretty(&results.instructions)?;
    std::fs::write(folder.join("results.json"), results_json + "\n")?;
    std::fs::write(folder.join("instructions.json"), instructions_json + "\n")?;
    std::fs::write(folder.join("plot.svg"), plot::svg(results))?;
    Ok(())
}

/// Puts the tables between two marks of a document.
pub(crate) fn document(results: &Results, path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)?;
    let (begin, end) = ("<!-- bench/run writes this -->\n", "<!-- to here -->");
    let before = text.find(begin).ok_or("docs/performance.md has no place for the tables")?;
    let after = text.find(end).ok_or("docs/performance.md has no end of the tables")?;
    let whole = [&text[..before + begin.len()], "\n", &tables(results), &text[after..]].concat();
    Ok(std::fs::write(path, whole)?)
}
