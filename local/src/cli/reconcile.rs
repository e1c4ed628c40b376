//! `cargo run -- reconcile`: asks a provider who is really there, and repairs the record.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rollcall::domain::{AppId, ProviderName};
use rollcall_local::ask::{
    DEFAULT_URL, export,
    reconcile::{Subject, Writing, reconcile},
    shown,
    time::Moment,
};

use super::{
    Failure,
    ask::Span,
    target::{About, Target, no_answer, print, provider},
};

/// A busy Rollcall is asked again.
const RETRIES: u32 = 4;

#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(crate) struct ReconcileArgs {
    /// The provider
    #[arg(value_parser = provider())]
    provider: ProviderName,
    /// The app's id [default: the provider's first app in `ROLLCALL_APPS`, else the example's]
    app: Option<AppId>,
    /// Who is in this room (ZEGO) [default: all people by their devices, and ZEGO's live rooms]
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    room: Option<String>,
    /// On which devices this user is online (Tencent Chat, OpenIM, ZEGO's ZIM)
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Store nothing, and show what would be stored
    #[arg(long, global = true)]
    dry_run: bool,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Where Rollcall listens, such as `https://ID.execute-api.REGION.amazonaws.com`
    #[arg(long, global = true, default_value = DEFAULT_URL)]
    url: String,
    #[command(subcommand)]
    of: Option<Of>,
}

#[derive(Debug, Subcommand)]
enum Of {
    /// Record registrations of OpenIM whose callbacks were lost
    Registrations {
        #[command(flatten)]
        span: Span,
    },
}

pub(crate) async fn run(args: ReconcileArgs) -> Result<ExitCode, Failure> {
    let ReconcileArgs { provider, app, room, user, dry_run, json, url, of } = args;
    let subject = match (room, user, of) {
        (None, None, None) => Subject::App,
        (Some(room), None, None) => Subject::Room(room),
        (_, Some(user), None) => Subject::User(user),
        (None, None, Some(Of::Registrations { span })) => Subject::Registrations {
            from: span.from.map(Moment::first),
            to: span.to.map(Moment::last),
        },
        (_, _, Some(_)) => {
            return Err("registrations are those of an app: leave out --room and --user".into());
        }
    };
    let target = Target::named(provider, app, url);
    let app = target.app(About::Presence)?;
    let client = target.client(RETRIES)?;
    let writing = if dry_run { Writing::DryRun } else { Writing::Stored };
    let answer = match reconcile(&client, &app, &subject, writing).await {
        Ok(answer) => answer,
        Err(error) => {
            let subject = match subject {
                Subject::Room(room) => export::Subject::Room(room),
                Subject::User(user) => export::Subject::User(user),
                Subject::App | Subject::Registrations { .. } => export::Subject::Everybody,
            };
            return no_answer(error, &app, &subject);
        }
    };
    let says = || match &subject {
        Subject::Registrations { .. } => shown::reconciled_registrations(&answer, writing),
        _ => shown::reconciled(&answer, writing),
    };
    print(&if json { format!("{answer}\n") } else { says() })?;
    Ok(ExitCode::SUCCESS)
}
