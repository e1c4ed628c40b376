//! `cargo run -- send`: plays the providers.

use std::{path::Path, process::ExitCode};

use clap::{Args, Subcommand};
use rollcall::{
    callback::Secret,
    domain::AppId,
    providers::openim::{AppCredentials, Basic},
    runtime,
};
use rollcall_local::send::{Callback, client, openim, tencent, zego};

use super::{Failure, apps};

/// Where what was sent is remembered.
const FOLDER: &str = ".rollcall";

const EVENTS: &str = "Events:
  zego    room-login | room-logout | room-create | room-close
  openim  user-register | user-online | user-offline
  tencent chat-login | chat-logout | chat-disconnect | trtc-enter | trtc-exit | trtc-create
          | trtc-dismiss | trtc-role";

#[derive(Debug, Args)]
#[command(after_help = EVENTS)]
pub(crate) struct SendArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// ZEGOCLOUD: room-login, room-logout, room-create, room-close
    Zego {
        /// What happens
        event: zego::EventName,
        #[command(flatten)]
        options: zego::Options,
        /// The callback secret [default: the app's first one in `ROLLCALL_APPS`, else the
        /// example's]
        #[arg(long)]
        secret: Option<String>,
        #[command(flatten)]
        delivery: Delivery,
    },
    /// OpenIM: user-register, user-online, user-offline
    Openim {
        /// What happens
        event: openim::EventName,
        #[command(flatten)]
        options: openim::Options,
        /// The `secret` in the body of a registration [default: as for ZEGO]
        #[arg(long)]
        secret: Option<String>,
        /// The userinfo of the callback URL, `user:password` [default: as for ZEGO]
        #[arg(long)]
        basic: Option<String>,
        #[command(flatten)]
        delivery: Delivery,
    },
    /// Tencent: Chat's chat-login, chat-logout, chat-disconnect and TRTC's trtc-enter, trtc-exit,
    /// trtc-create, trtc-dismiss, trtc-role
    Tencent {
        /// What happens
        event: tencent::EventName,
        #[command(flatten)]
        options: tencent::Options,
        /// Chat's token or TRTC's key [default: as for ZEGO]
        #[arg(long)]
        secret: Option<String>,
        #[command(flatten)]
        delivery: Delivery,
    },
}

#[derive(Debug, Args)]
struct Delivery {
    /// Where Rollcall listens, or the whole callback URL
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    url: String,
    /// Send the same callback that many times
    #[arg(long, default_value_t = 1)]
    times: u32,
    /// Show the callback without sending it
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: SendArgs) -> Result<ExitCode, Failure> {
    let is_accepted = match args.provider {
        Provider::Zego { event, options, secret, delivery } => {
            send_zego(event, &options, secret, &delivery).await?
        }
        Provider::Openim { event, options, secret, basic, delivery } => {
            let credentials = openim_credentials(&options.app, secret, basic)?;
            let event = openim::Event { name: event, options, now: runtime::now() };
            delivery.deliver(&event.callback(&credentials)).await?
        }
        Provider::Tencent { event, options, secret, delivery } => {
            let secret = tencent_secret(secret, &options.app, event)?;
            let event = tencent::Event { name: event, options, now: runtime::now() };
            delivery.deliver(&event.callback(&secret)).await?
        }
    };
    Ok(if is_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send_zego(
    name: zego::EventName,
    options: &zego::Options,
    secret: Option<String>,
    delivery: &Delivery,
) -> Result<bool, Failure> {
    let secret = zego_secret(secret, &options.app)?;
    let file = zego::Rooms::file(Path::new(FOLDER));
    let mut rooms = zego::Rooms::read(&file);
    let now = runtime::now();
    let event = rooms.happen(name, options, now);
    let callback = event.callback(&secret, now.seconds(), &zego::nonce(now.seconds()));
    let is_accepted = delivery.deliver(&callback).await?;
    if is_accepted
        && !delivery.print
        && let Err(error) = rooms.write(&file)
    {
        let file = file.display();
        eprintln!("rollcall: {file} cannot be written ({error}): a later logout will not fit");
    }
    Ok(is_accepted)
}

impl Delivery {
    /// Sends or prints a callback, and says whether it was accepted every time.
    async fn deliver(&self, callback: &Callback) -> Result<bool, Failure> {
        if self.print {
            println!("POST {}", callback.url(&self.url));
            for (name, value) in &callback.headers {
                println!("{name}: {value}");
            }
            println!("{}", callback.body);
            return Ok(true);
        }
        let client = client()?;
        let mut is_accepted = true;
        for _ in 0..self.times {
            let answer = callback.send(&client, &self.url).await.map_err(|error| {
                let cause = std::error::Error::source(&error)
                    .map_or(String::new(), |source| format!(": {source}"));
                let url = callback.url(&self.url);
                format!("{url} does not answer{cause}; is `cargo run` running?")
            })?;
            let outcome = answer.outcome.as_deref().unwrap_or("-");
            println!("{} {outcome} {}", answer.status.as_u16(), answer.body);
            is_accepted &= answer.status.is_success();
        }
        Ok(is_accepted)
    }
}

fn zego_secret(given: Option<String>, app: &str) -> Result<Secret, Failure> {
    if let Some(given) = given {
        return Secret::new(given).ok_or_else(|| "--secret is empty".into());
    }
    let apps = apps()?;
    let secrets = app.parse().ok().and_then(|id: AppId| apps.zego.get(&id).cloned());
    let first = secrets.and_then(|secrets| secrets.into_iter().next());
    first.ok_or_else(|| {
        format!("no secret is known of ZEGO app {app}: give one with --secret").into()
    })
}

fn tencent_secret(
    given: Option<String>,
    app: &str,
    event: tencent::EventName,
) -> Result<Secret, Failure> {
    if let Some(given) = given {
        return Secret::new(given).ok_or_else(|| "--secret is empty".into());
    }
    let apps = apps()?;
    let known = app.parse().ok().and_then(|id: AppId| apps.tencent.get(&id).cloned());
    let secrets = known.map(|app| if event.is_chat() { app.chat_tokens } else { app.trtc_keys });
    let first = secrets.and_then(|secrets| secrets.into_iter().next());
    first.ok_or_else(|| {
        format!("no secret is known of Tencent app {app}: give one with --secret").into()
    })
}

fn openim_credentials(
    app: &str,
    secret: Option<String>,
    basic: Option<String>,
) -> Result<AppCredentials, Failure> {
    if secret.is_none() && basic.is_none() {
        let apps = apps()?;
        let known = app.parse().ok().and_then(|id: AppId| apps.openim.get(&id).cloned());
        return known.ok_or_else(|| {
            format!("nothing is known of OpenIM app {app}: give --secret or --basic").into()
        });
    }
    let mut credentials = AppCredentials::default();
    credentials.secrets.extend(secret.and_then(Secret::new));
    if let Some(basic) = basic {
        let (user, password) = basic.split_once(':').ok_or("--basic has to be user:password")?;
        let password = Secret::new(password.to_owned()).ok_or("--basic has an empty password")?;
        credentials.basic.push(Basic { user: user.to_owned(), password });
    }
    Ok(credentials)
}
