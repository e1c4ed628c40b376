//! `cargo run -- export`: lists as CSV, which can be continued where they were interrupted.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use rollcall_local::ask::{
    Client,
    export::{Export, ExportError, List, Part, Place, Sink, Stream, Subject},
    time::Moment,
};

use super::{
    Failure,
    ask::Span,
    serve::stop_signal,
    target::{About, Target, not_known},
};

/// The exit code of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    list: ListArgs,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum ListArgs {
    /// Every visit to rooms, or of users
    Attendance {
        #[command(flatten)]
        subjects: Subjects,
        #[command(flatten)]
        span: Span,
    },
    /// Everybody who was registered, in the order of time
    Registrations {
        #[command(flatten)]
        span: Span,
    },
    /// What each person did in rooms, or users by day and room
    Reports {
        #[command(flatten)]
        subjects: Subjects,
        /// The room's life [default: the newest]
        #[arg(long, conflicts_with = "user")]
        life: Option<String>,
        /// How many seconds after its end a report is final [default: 600]
        #[arg(long, value_name = "SECONDS", conflicts_with = "user")]
        settle: Option<u64>,
        /// Where days begin at midnight, such as Asia/Shanghai [default: UTC]
        #[arg(long, value_name = "NAME", conflicts_with = "room")]
        timezone: Option<String>,
        #[command(flatten)]
        span: Span,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Subjects {
    /// A room; may be repeated
    #[arg(long)]
    room: Vec<String>,
    /// A user; may be repeated
    #[arg(long)]
    user: Vec<String>,
}

#[derive(Debug, Args)]
struct Output {
    /// The file, which gets its name when all of it is written [default: the standard output]
    #[arg(long, global = true, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue an export that was interrupted; without --output, with the word that it printed
    #[arg(long, global = true, value_name = "WORD", num_args = 0..=1, default_missing_value = "")]
    resume: Option<String>,
    /// The most rows in one request
    #[arg(long, global = true, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    page: u16,
    /// How often a request is repeated before the export stops
    #[arg(long, global = true, value_name = "N", default_value_t = 6,
        value_parser = clap::value_parser!(u32).range(0..=20))]
    retries: u32,
}

pub(crate) async fn run(args: ExportArgs) -> Result<ExitCode, Failure> {
    let ExportArgs { list, target, output } = args;
    let about = match list {
        ListArgs::Registrations { .. } => About::Registrations,
        _ => About::Presence,
    };
    let app = target.app(about)?;
    let (list, subjects, span, parameters) = list.parts();
    let export = Export {
        app,
        list,
        subjects,
        from: span.from.map(Moment::first),
        to: span.to.map(Moment::last),
        parameters,
        page: usize::from(output.page),
    };
    let client = target.client(output.retries)?;
    match &output.output {
        Some(file) => to_file(&export, &client, file, output.resume.is_some()).await,
        None => to_stdout(&export, &client, output.resume.as_deref()).await,
    }
}

async fn to_stdout(
    export: &Export,
    client: &Client,
    resume: Option<&str>,
) -> Result<ExitCode, Failure> {
    let mut place = match resume {
        Some(token) => export.place(token)?,
        None => export.start(),
    };
    let mut sink = Stream(std::io::stdout());
    match write(export, client, &mut place, &mut sink).await {
        // Nobody knows how much of the last page was written.
        Err(Stopped::By(error @ ExportError::Write(_))) => Err(error.into()),
        stopped => Ok(end(stopped, export, &place, || {
            format!("{} >> FILE", again(&format!("--resume={}", place.token())))
        })),
    }
}

async fn to_file(
    export: &Export,
    client: &Client,
    file: &Path,
    is_resumed: bool,
) -> Result<ExitCode, Failure> {
    let (mut part, mut place) = if is_resumed {
        let Some(resumed) = Part::resume(file, export)? else {
            eprintln!("rollcall: {} is whole", file.display());
            return Ok(ExitCode::SUCCESS);
        };
        resumed
    } else {
        (Part::begin(file)?, export.start())
    };
    let done = write(export, client, &mut place, &mut part).await;
    match &done {
        Ok(()) if place.unknown().len() < export.subjects.len() => part.finish()?,
        Ok(()) => part.discard(),
        Err(_) if place == export.start() => {
            part.discard();
            return match done {
                Err(Stopped::By(error)) => Err(error.into()),
                _ => Ok(ExitCode::from(INTERRUPTED)),
            };
        }
        Err(_) => {}
    }
    Ok(end(done, export, &place, || again("--resume")))
}

/// Why an export is not whole.
enum Stopped {
    /// Ctrl-C, or SIGTERM.
    Interrupted,
    By(ExportError),
}

/// Writes all that is left, with a progress bar if the standard error is a terminal.
async fn write(
    export: &Export,
    client: &Client,
    place: &mut Place,
    sink: &mut dyn Sink,
) -> Result<(), Stopped> {
    let subjects = u64::try_from(export.subjects.len()).unwrap_or_default();
    let bar = if subjects > 1 { ProgressBar::new(subjects) } else { ProgressBar::new_spinner() };
    let template = if subjects > 1 { "{wide_bar} {pos}/{len}, {msg}" } else { "{spinner} {msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let wrote = |place: &Place| {
        bar.set_position(u64::try_from(place.subjects()).unwrap_or_default());
        bar.set_message(format!(
            "{} rows, {}",
            HumanCount(place.rows()),
            HumanBytes(place.bytes())
        ));
        bar.tick();
    };
    // A page is written without a pause: an interruption is between two of them.
    let done = tokio::select! {
        done = export.run(client, place, sink, wrote) => done.map_err(Stopped::By),
        _ = stop_signal() => Err(Stopped::Interrupted),
    };
    bar.finish_and_clear();
    done
}

/// Says what was written, or how to continue.
fn end(
    done: Result<(), Stopped>,
    export: &Export,
    place: &Place,
    again: impl Fn() -> String,
) -> ExitCode {
    let rows = format!("{} rows", HumanCount(place.rows()));
    let (why, code) = match done {
        Ok(()) => {
            eprintln!("rollcall: {rows}");
            for unknown in place.unknown() {
                let app = &export.app;
                eprintln!("rollcall: {unknown} is not known in {} app {}", app.provider, app.id);
            }
            let is_whole = place.unknown().is_empty();
            return if is_whole { ExitCode::SUCCESS } else { not_known() };
        }
        Err(Stopped::Interrupted) => ("interrupted".to_owned(), ExitCode::from(INTERRUPTED)),
        Err(Stopped::By(error)) => (error.to_string(), ExitCode::FAILURE),
    };
    eprintln!("rollcall: {why}");
    eprintln!("rollcall: {rows} are written; this continues after them:\n\n  {}\n", again());
    code
}

/// The command that was run, with this `--resume`.
pub(crate) fn again(resume: &str) -> String {
    let mut words = Vec::new();
    let mut args = std::env::args().peekable();
    while let Some(arg) = args.next() {
        if arg == "--resume" {
            // Its word, if it has one.
            args.next_if(|next| !next.starts_with('-'));
        } else if !arg.starts_with("--resume=") {
            words.push(quoted(&arg));
        }
    }
    words.push(resume.to_owned());
    words.join(" ")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('~') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

impl ListArgs {
    fn parts(self) -> (List, Vec<Subject>, Span, Vec<(&'static str, String)>) {
        match self {
            Self::Attendance { subjects, span } => {
                (List::Attendance, subjects.all(), span, Vec::new())
            }
            Self::Registrations { span } => {
                (List::Registrations, vec![Subject::Everybody], span, Vec::new())
            }
            Self::Reports { subjects, life, settle, timezone, span } => {
                let settle = settle.map(|settle| settle.to_string());
                let given = [("life", life), ("settle", settle), ("timezone", timezone)];
                let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
                (List::Reports, subjects.all(), span, given.collect())
            }
        }
    }
}

impl Subjects {
    fn all(self) -> Vec<Subject> {
        let rooms = self.room.into_iter().map(Subject::Room);
        rooms.chain(self.user.into_iter().map(Subject::User)).collect()
    }
}
