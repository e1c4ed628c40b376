//! `cargo run -- send`: plays the providers.

use std::{path::Path, process::ExitCode};

use clap::{Args, Subcommand};
use rollcall::{callback::Secret, config::Apps, domain::AppId, runtime};
use rollcall_local::{
    EXAMPLE_APPS,
    send::{
        client,
        zego::{EventName, Options, Rooms, nonce},
    },
};

use super::Failure;

/// Where what was sent is remembered.
const FOLDER: &str = ".rollcall";

#[derive(Debug, Args)]
#[command(after_help = "Events:\n  zego  room-login | room-logout | room-create | room-close")]
pub(crate) struct SendArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// ZEGOCLOUD: room-login, room-logout, room-create, room-close
    Zego {
        /// What happens
        event: EventName,
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        delivery: Delivery,
    },
}

#[derive(Debug, Args)]
struct Delivery {
    /// Where Rollcall listens, or the whole callback URL
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    url: String,
    /// The callback secret [default: the app's first one in `ROLLCALL_APPS`, else the example's]
    #[arg(long)]
    secret: Option<String>,
    /// Send the same signed callback that many times
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Show the callback without sending it
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: SendArgs) -> Result<ExitCode, Failure> {
    match args.provider {
        Provider::Zego { event, options, delivery } => zego(event, &options, &delivery).await,
    }
}

async fn zego(
    name: EventName,
    options: &Options,
    delivery: &Delivery,
) -> Result<ExitCode, Failure> {
    let secret = secret(delivery.secret.clone(), &options.app)?;
    let file = Rooms::file(Path::new(FOLDER));
    let mut rooms = Rooms::read(&file);
    let now = runtime::now();
    let event = rooms.happen(name, options, now);
    let callback = event.callback(&secret, now.seconds(), &nonce(now.seconds()));
    if delivery.print {
        println!("POST {}\n{}", callback.url(&delivery.url), callback.body);
        return Ok(ExitCode::SUCCESS);
    }
    let client = client()?;
    let mut all_accepted = true;
    for _ in 0..delivery.times {
        let answer = callback.send(&client, &delivery.url).await.map_err(|error| {
            let cause = std::error::Error::source(&error)
                .map_or(String::new(), |source| format!(": {source}"));
            format!(
                "{} does not answer{cause}; is `cargo run` running?",
                callback.url(&delivery.url)
            )
        })?;
        let outcome = answer.outcome.as_deref().unwrap_or("-");
        println!("{} {outcome} {}", answer.status.as_u16(), answer.body);
        all_accepted &= answer.status.is_success();
    }
    if !all_accepted {
        return Ok(ExitCode::FAILURE);
    }
    if let Err(error) = rooms.write(&file) {
        eprintln!(
            "rollcall: {} cannot be written ({error}): a later logout will not fit",
            file.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn secret(given: Option<String>, app: &str) -> Result<Secret, Failure> {
    if let Some(given) = given {
        return Secret::new(given).ok_or_else(|| "--secret is empty".into());
    }
    let apps = match Apps::from_env()? {
        Some(apps) => apps,
        None => Apps::from_json(EXAMPLE_APPS)?,
    };
    let secrets = app.parse().ok().and_then(|id: AppId| apps.zego.get(&id).cloned());
    let first = secrets.and_then(|secrets| secrets.into_iter().next());
    first.ok_or_else(|| {
        format!("no secret is known of ZEGO app {app}: give one with --secret").into()
    })
}
