//! `cargo run -- send`: plays the providers.

use std::{
    collections::HashSet,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Client;
use rollcall::{
    callback::Secret,
    config::settings_from_env,
    domain::{AppId, UnixMillis},
    providers::{
        openim::{AppCredentials, BASIC_PASSWORDS, Basic, SECRETS},
        tencent::{CHAT_TOKENS, LIVE_TOKENS, ROOM_PATH_KEYS, TRTC_KEYS},
        zego::CALLBACK_SECRETS,
    },
    runtime,
};
use rollcall_local::{
    ask::DEFAULT_URL,
    provider::TruthFile,
    send::{
        import,
        verify::{Sent, verify},
    },
};
use rollcall_players::{
    Callback, Event, Secrets, client, crowd,
    delivery::{Order, Plan, Tally},
    openim,
    tencent::{self, Product},
    zego, zim,
};

use super::{Failure, apps};

/// The folder in which sent events are remembered.
const FOLDER: &str = ".rollcall";

/// The most differences that are shown.
const DIFFERENCES: usize = 20;

fn events() -> String {
    fn of<E: ValueEnum>() -> String {
        let values = E::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        values.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(" | ")
    }
    format!(
        "Events:
  zego    {}
  openim  {}
  tencent {}

`send openim import FILE` imports users from before Rollcall.

With --count N a plausible history of N different events is sent instead: many people who register,
come online, enter rooms and leave them. Without an event it has all of them, of ZEGO those of RTC's
rooms, of Tencent those of Chat and TRTC, and `send all --count N` those of all providers.",
        of::<zim::OfZego>(),
        of::<openim::EventName>(),
        of::<tencent::EventName>()
    )
}

#[derive(Debug, Args)]
#[command(after_help = events())]
pub(crate) struct SendArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// ZEGOCLOUD's callbacks: of RTC's rooms, of ZIM's users and of ZIM's rooms
    Zego {
        /// The event; with --count, all events of RTC's rooms if none is given
        #[arg(required_unless_present = "count")]
        event: Option<zim::OfZego>,
        #[command(flatten)]
        options: zego::Options,
        #[command(flatten)]
        of_zim: zim::Options,
        /// The callback secret [default: the app's first one in `ROLLCALL_APPS`, else the
        /// example's]
        #[arg(long)]
        secret: Option<String>,
        #[command(flatten)]
        delivery: Delivery,
    },
    /// OpenIM's webhooks
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Openim {
        #[command(subcommand)]
        import: Option<OpenImCommand>,
        /// The event; with --count, all events if none is given
        #[arg(required_unless_present = "count")]
        event: Option<openim::EventName>,
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
    /// The callbacks of Tencent's Chat, TRTC, RoomEngine and Live
    Tencent {
        /// The event; with --count, all events if none is given
        #[arg(required_unless_present = "count")]
        event: Option<tencent::EventName>,
        #[command(flatten)]
        options: tencent::Options,
        /// Chat's or Live's token, TRTC's key, or the key in the address of RoomEngine's callbacks
        /// [default: as for ZEGO]
        #[arg(long)]
        secret: Option<String>,
        #[command(flatten)]
        delivery: Delivery,
    },
    /// All of them, for --count: ZEGO's app 1, OpenIM's main and Tencent's 1400000000
    #[command(mut_arg("count", |count| count.required(true)))]
    All {
        #[command(flatten)]
        delivery: Delivery,
    },
}

#[derive(Debug, Subcommand)]
enum OpenImCommand {
    /// Import users from before Rollcall, as OpenIM's API lists them
    ///
    /// FILE contains answers of `/user/get_users`, or the users in them: several in an array, or
    /// one after the other. Users who are registered here already do not change, so a file can be
    /// imported again.
    Import {
        /// The file; `-` is the standard input
        file: PathBuf,
        /// The name of the OpenIM installation
        #[arg(long, default_value = "main")]
        app: String,
        /// The `secret` in the body of a registration [default: the app's first one in
        /// `ROLLCALL_APPS`, else the example's]
        #[arg(long)]
        secret: Option<String>,
        /// The userinfo of the callback URL, `user:password` [default: likewise]
        #[arg(long)]
        basic: Option<String>,
        /// Where Rollcall listens, or the whole callback URL
        #[arg(long, default_value = DEFAULT_URL)]
        url: String,
        /// The most users in one call
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
        batch: u16,
    },
}

#[derive(Debug, Args)]
struct Delivery {
    /// Where Rollcall listens, or the whole callback URL
    #[arg(long, default_value = DEFAULT_URL)]
    url: String,
    /// Send the same callback this many times
    #[arg(long, default_value_t = 1, conflicts_with = "count")]
    times: u32,
    /// Show the callbacks without sending them
    #[arg(long, conflicts_with = "verify")]
    print: bool,
    /// Do not send this share of the events: they happen, and their callbacks are lost
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    lose: f64,
    /// Where to write what is true now, for `rollcall provider`
    #[arg(long, value_name = "FILE", default_value = TruthFile::DEFAULT)]
    truth: PathBuf,
    /// Query the record afterwards, and check that it is what was sent. `ROLLCALL_SETTINGS` has to
    /// be that of Rollcall
    #[arg(long)]
    verify: bool,
    /// Send a history of this many different events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
    #[command(flatten)]
    history: HistoryArgs,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    /// At most this many callbacks per second [default: as many as are answered]
    #[arg(long, value_name = "PER_SECOND", requires = "count", value_parser = rate)]
    rate: Option<f64>,
    /// Deliver them in random order
    #[arg(long, requires = "count")]
    shuffle: bool,
    /// Deliver this share of them a second time
    #[arg(
        long, value_name = "PERCENT", requires = "count", default_value = "0", value_parser = percent
    )]
    duplicate: f64,
    /// The most requests at the same time; with 1 they arrive in order
    #[arg(
        long, requires = "count", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    concurrency: u16,
    /// The number of the history: the same number is the same history [default: random]
    #[arg(long, requires = "count")]
    seed: Option<u32>,
    /// Unix ms of the last event: the same seed and the same time give the same history to the
    /// last byte [default: now]
    #[arg(long, value_name = "UNIX_MS", requires = "count")]
    until: Option<u64>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or_else(|| "not a number from 0.001 to 1000000".to_owned())
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "not a number from 0 to 100".to_owned())
}

pub(crate) async fn run(args: SendArgs) -> Result<ExitCode, Failure> {
    let is_right = match args.provider {
        Provider::Zego { event, options, of_zim, secret, delivery } => {
            let zego = Some(zego_secret(secret, &options.app)?);
            let secrets = Secrets { zego, ..Secrets::default() };
            let provider = match event {
                Some(event) if delivery.count.is_none() => {
                    let accepted = send_zego(event, &options, &of_zim, &secrets, &delivery).await?;
                    return Ok(exit_code(accepted));
                }
                Some(zim::OfZego::Rtc(name)) => crowd::Provider::Zego(Some(name), options),
                Some(zim::OfZego::Zim(zim::EventName::UserAction)) => crowd::Provider::Zim(options),
                Some(zim::OfZego::Zim(_)) => {
                    return Err(
                        "an event in a room of ZIM's has no time but that of its sending, so \
                         no history can have it: send it without --count"
                            .into(),
                    );
                }
                None => crowd::Provider::Zego(None, options),
            };
            delivery.play(&[provider], &secrets).await?
        }
        Provider::Openim {
            import: Some(OpenImCommand::Import { file, app, secret, basic, url, batch }),
            ..
        } => {
            let credentials = openim_credentials(&app, secret, basic)?;
            import(&file, &credentials, &url, usize::from(batch)).await?
        }
        Provider::Openim { import: None, event, options, secret, basic, delivery } => {
            let openim = openim_credentials(&options.app, secret, basic)?;
            let secrets = Secrets { openim, ..Secrets::default() };
            match event {
                Some(name) if delivery.count.is_none() => {
                    let event = openim::Event { name, options, now: runtime::now() };
                    delivery.deliver(&Event::OpenIm(event), &secrets).await?
                }
                only => delivery.play(&[crowd::Provider::OpenIm(only, options)], &secrets).await?,
            }
        }
        Provider::Tencent { event, options, secret, delivery } => {
            let secrets = tencent_secrets(secret.as_ref(), &options.app, event)?;
            match event {
                Some(name) if delivery.count.is_none() => {
                    let now = runtime::now();
                    // It happens now, also if it is sent again.
                    let options =
                        tencent::Options { time: options.time.or(Some(now.0)), ..options };
                    let event = tencent::Event { name, options, now };
                    delivery.deliver(&Event::Tencent(event), &secrets).await?
                }
                only => delivery.play(&[crowd::Provider::Tencent(only, options)], &secrets).await?,
            }
        }
        Provider::All { delivery } => {
            // All providers, with the apps that their options name by default.
            let zego = zego::Options::default();
            let openim = openim::Options::default();
            let tencent = tencent::Options::default();
            let secrets = Secrets {
                zego: Some(zego_secret(None, &zego.app)?),
                openim: openim_credentials(&openim.app, None, None)?,
                ..tencent_secrets(None, &tencent.app, None)?
            };
            let providers = [
                crowd::Provider::Zego(None, zego),
                crowd::Provider::OpenIm(None, openim),
                crowd::Provider::Tencent(None, tencent),
            ];
            delivery.play(&providers, &secrets).await?
        }
    };
    Ok(exit_code(is_right))
}

fn exit_code(is_right: bool) -> ExitCode {
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Imports a file of OpenIM's users. Returns whether all of them are stored now.
async fn import(
    file: &Path,
    credentials: &AppCredentials,
    url: &str,
    batch: usize,
) -> Result<bool, Failure> {
    let json = if file == Path::new("-") {
        let mut json = Vec::new();
        std::io::stdin().read_to_end(&mut json).map(|_| json)
    } else {
        std::fs::read(file)
    };
    let name = file.display();
    let json = json.map_err(|error| format!("{name} cannot be read: {error}"))?;
    let users = import::read(&json).map_err(|error| format!("{name} {error}"))?;
    let bar = progress(users.len())?;
    let started = Instant::now();
    let answered = |users| bar.inc(u64::try_from(users).unwrap_or_default());
    let imported = import::send(&client()?, url, credentials, &users, batch, answered).await;
    bar.finish_and_clear();
    let imported = imported
        .map_err(|error| format!("{error}; what was imported stays, and can be imported again"))?;
    println!(
        "{} users in {:.2} s: {} applied, {} duplicates, {} not stored",
        users.len(),
        started.elapsed().as_secs_f64(),
        imported.applied,
        imported.duplicates,
        imported.not_stored
    );
    for example in &imported.examples {
        println!("  such as: {example}");
    }
    Ok(imported.is_success())
}

/// A progress bar, which is drawn on a terminal only.
fn progress(length: usize) -> Result<ProgressBar, Failure> {
    let bar = ProgressBar::new(u64::try_from(length)?);
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len}, {per_sec}, {eta} to go")?);
    Ok(bar)
}

async fn send_zego(
    name: zim::OfZego,
    options: &zego::Options,
    of_zim: &zim::Options,
    secrets: &Secrets,
    delivery: &Delivery,
) -> Result<bool, Failure> {
    let (folder, now) = (Path::new(FOLDER), runtime::now());
    let (event, is_accepted, file, written) = match name {
        zim::OfZego::Rtc(name) => {
            let file = zego::Rooms::file(folder);
            let mut rooms = zego::Rooms::read(&file);
            let event = Event::Zego(rooms.happen(name, options, now));
            let is_accepted = delivery.send(&event, secrets).await?;
            let is_kept = is_accepted && !delivery.print;
            let written = if is_kept { rooms.write(&file) } else { Ok(()) };
            (event, is_accepted, file, written)
        }
        zim::OfZego::Zim(name) => {
            let file = zim::Sessions::file(folder);
            let mut sessions = zim::Sessions::read(&file);
            let event = Event::Zim(sessions.happen(name, options, of_zim, now));
            let is_accepted = delivery.send(&event, secrets).await?;
            let is_kept = is_accepted && !delivery.print;
            let written = if is_kept { sessions.write(&file) } else { Ok(()) };
            (event, is_accepted, file, written)
        }
    };
    if let Err(error) = written {
        let file = file.display();
        eprintln!("rollcall: {file} cannot be written ({error}): a later logout will not fit");
    }
    Ok(is_accepted && delivery.check(&event).await?)
}

impl Delivery {
    /// Sends or prints one callback. Returns whether it was accepted every time and, with
    /// `--verify`, recorded as it was sent.
    async fn deliver(&self, event: &Event, secrets: &Secrets) -> Result<bool, Failure> {
        Ok(self.send(event, secrets).await? && self.check(event).await?)
    }

    async fn check(&self, event: &Event) -> Result<bool, Failure> {
        Ok(!self.verify || self.verify(&client()?, Sent::Alone(event)).await?)
    }

    /// Sends or prints one callback. Returns whether it was accepted every time.
    async fn send(&self, event: &Event, secrets: &Secrets) -> Result<bool, Failure> {
        let callback = event.callback(secrets, runtime::now())?;
        if self.print {
            self.show(&callback);
            return Ok(true);
        }
        if fastrand::f64() * 100.0 < self.lose {
            self.remember([event]);
            println!("lost: it happened, and its callback is not sent");
            return Ok(true);
        }
        let client = client()?;
        let mut is_accepted = true;
        for _ in 0..self.times {
            let answer = callback.send(&client, &self.url).await.map_err(|error| {
                let cause = std::error::Error::source(&error)
                    .map_or(String::new(), |source| format!(": {source}"));
                let address = callback.address(&self.url);
                format!("{address} does not answer{cause}; is `cargo run` running?")
            })?;
            let outcome = answer.outcome.as_deref().unwrap_or("-");
            println!("{} {outcome} {}", answer.status.as_u16(), answer.body);
            is_accepted &= answer.status.is_success();
        }
        if is_accepted {
            self.remember([event]);
        }
        Ok(is_accepted)
    }

    /// Writes what is true after these events, which a `rollcall provider` answers with.
    fn remember<'e>(&self, events: impl IntoIterator<Item = &'e Event>) {
        if let Err(error) = TruthFile::at(&self.truth).add(events) {
            let file = self.truth.display();
            eprintln!(
                "rollcall: {file} cannot be written ({error}): `provider` will not know of it"
            );
        }
    }

    /// Sends or prints a history. Returns whether all of it was accepted and, with `--verify`,
    /// recorded as it was sent.
    async fn play(
        &self,
        providers: &[crowd::Provider],
        secrets: &Secrets,
    ) -> Result<bool, Failure> {
        let Some(count) = self.count else { return Err("--count is missing".into()) };
        let HistoryArgs { rate, shuffle, duplicate, concurrency, seed, until } = self.history;
        let seed = seed.unwrap_or_else(|| fastrand::u32(..));
        let script = crowd::Script {
            count: usize::try_from(count)?,
            seed,
            until: until.map_or_else(runtime::now, UnixMillis),
        };
        let events = script.play(providers);
        let plan = Plan {
            order: if shuffle { Order::Shuffled } else { Order::Happened },
            repeated: duplicate,
            lost: self.lose,
            rate,
            concurrency: usize::from(concurrency),
        };
        let deliveries = plan.deliveries(events.len());
        if self.print {
            for event in deliveries {
                self.show(&events[event].callback(secrets, runtime::now())?);
            }
            return Ok(true);
        }
        // It happened, also if nobody receives it.
        self.remember(&events);
        let client = client()?;
        let bar = progress(deliveries.len())?;
        let tally =
            plan.deliver(&client, &self.url, &events, secrets, &deliveries, || bar.inc(1)).await;
        bar.finish_and_clear();
        let tally = tally.map_err(|error| format!("{error}; is `cargo run` running?"))?;
        summarize(&tally, deliveries.len(), events.len(), &script);
        let lost = events.len() - deliveries.iter().collect::<HashSet<_>>().len();
        if lost > 0 {
            println!("  lost           {lost}");
        }
        let is_recorded = !self.verify || {
            let sent = events.into_iter().zip(&tally.accepted);
            let accepted = sent.filter_map(|(event, is_accepted)| is_accepted.then_some(event));
            self.verify(&client, Sent::History(&accepted.collect::<Vec<_>>())).await?
        };
        Ok(tally.is_success() && is_recorded)
    }

    fn show(&self, callback: &Callback) {
        println!("POST {}", callback.url(&self.url));
        for (name, value) in &callback.headers {
            println!("{name}: {value}");
        }
        println!("{}", callback.body);
    }

    async fn verify(&self, client: &Client, sent: Sent<'_>) -> Result<bool, Failure> {
        let settings = settings_from_env()?;
        let verdict = verify(sent, (&apps()?.robots, &settings), client, &self.url).await;
        if verdict.wrong.is_empty() {
            println!("the record is what was sent: {verdict}");
            return Ok(true);
        }
        let wrong = &verdict.wrong;
        println!("the record is not what was sent: {} differences in {verdict}", wrong.len());
        for line in wrong.iter().take(DIFFERENCES) {
            println!("  {line}");
        }
        Ok(false)
    }
}

fn summarize(tally: &Tally, deliveries: usize, events: usize, script: &crowd::Script) {
    let took = tally.took.as_secs_f64();
    let answered = u32::try_from(tally.latencies.len()).unwrap_or(u32::MAX);
    let rate = f64::from(answered) / took.max(f64::EPSILON);
    println!(
        "{deliveries} callbacks of {events} events in {took:.2} s, {rate:.0} per second, \
         seed {}, names with {}",
        script.seed,
        script.tag()
    );
    for ((status, outcome), count) in &tally.answers {
        println!("  {status} {outcome:<10} {count}");
    }
    if tally.unanswered > 0 {
        println!("  no answer      {}", tally.unanswered);
    }
    let ms = |percent| tally.percentile(percent).unwrap_or_default().as_secs_f64() * 1e3;
    println!(
        "  answered after p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        ms(50),
        ms(99),
        ms(100)
    );
    for example in &tally.examples {
        println!("  such as: {example}");
    }
}

fn zego_secret(given: Option<String>, app: &str) -> Result<Secret, Failure> {
    if let Some(given) = given {
        return super::secret("--secret", given, CALLBACK_SECRETS);
    }
    let apps = apps()?;
    let app_of_it = app.parse().ok().and_then(|id: AppId| apps.zego.get(&id).cloned());
    let first = app_of_it.and_then(|app| app.callback_secrets.into_iter().next());
    first.ok_or_else(|| {
        format!("no secret is known for ZEGO app {app}: give one with --secret").into()
    })
}

/// The secrets that this event is signed with, or those of a history if there is none.
fn tencent_secrets(
    given: Option<&String>,
    app: &str,
    event: Option<tencent::EventName>,
) -> Result<Secrets, Failure> {
    let secret = |product| {
        let is_needed = match event {
            Some(event) => event.product() == product,
            None => matches!(product, Product::Chat | Product::Trtc),
        };
        is_needed.then(|| tencent_secret(given.cloned(), app, product)).transpose()
    };
    Ok(Secrets {
        chat: secret(Product::Chat)?,
        trtc: secret(Product::Trtc)?,
        live: secret(Product::Live)?,
        room: secret(Product::Room)?,
        ..Secrets::default()
    })
}

fn tencent_secret(given: Option<String>, app: &str, product: Product) -> Result<Secret, Failure> {
    if let Some(given) = given {
        let kind = match product {
            Product::Chat => CHAT_TOKENS,
            Product::Trtc => TRTC_KEYS,
            Product::Live => LIVE_TOKENS,
            Product::Room => ROOM_PATH_KEYS,
        };
        return super::secret("--secret", given, kind);
    }
    let apps = apps()?;
    let known = app.parse().ok().and_then(|id: AppId| apps.tencent.get(&id).cloned());
    let secrets = known.map(|app| match product {
        Product::Chat => app.chat_tokens,
        Product::Trtc => app.trtc_keys,
        Product::Live => app.live_tokens,
        Product::Room => app.room_path_keys,
    });
    let first = secrets.and_then(|secrets| secrets.into_iter().next());
    first.ok_or_else(|| {
        format!("no secret is known for Tencent app {app}: give one with --secret").into()
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
            format!("no credentials are known for OpenIM app {app}: give --secret or --basic")
                .into()
        });
    }
    let mut credentials = AppCredentials::default();
    if let Some(secret) = secret {
        credentials.secrets.push(super::secret("--secret", secret, SECRETS)?);
    }
    if let Some(basic) = basic {
        let (user, password) = basic.split_once(':').ok_or("--basic has to be user:password")?;
        let password =
            super::secret("the password of --basic", password.to_owned(), BASIC_PASSWORDS)?;
        let basic = Basic::new(user, password);
        credentials.basic.push(basic.map_err(|error| format!("the user of --basic {error}"))?);
    }
    Ok(credentials)
}
