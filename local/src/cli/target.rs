//! What `ask`, `export`, `erase` and `reconcile` have in common: which Rollcall, which app, and how they end.

use std::{
    io::{ErrorKind, Write},
    process::ExitCode,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use rollcall::{
    callback::Provider,
    config::Apps,
    domain::{App, AppId, ProviderName},
    providers::{openim::OpenIm, tencent::Chat},
};
use rollcall_local::{
    EXAMPLE_APPS,
    ask::{AskError, Client, DEFAULT_URL, export::Subject, table::plain},
};
use rollcall_players::client;

use super::{Failure, apps_of};

/// The exit code if a user or a room is not known.
const NOT_KNOWN: u8 = 3;

#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The provider [default: the first one that has an app in `ROLLCALL_APPS`, else zego, or
    /// openim for registrations]
    #[arg(long, global = true, value_parser = provider())]
    provider: Option<ProviderName>,
    /// The app's id [default: the provider's first app in `ROLLCALL_APPS`, else the example's]
    #[arg(long, global = true, value_name = "ID")]
    app: Option<AppId>,
    /// Where Rollcall listens, such as `https://ID.execute-api.REGION.amazonaws.com`
    #[arg(long, global = true, default_value = DEFAULT_URL)]
    url: String,
}

/// Which providers are tried first when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Rooms and people: all providers have them.
    Presence,
    /// Registrations: the others have those that a first login is.
    Registrations,
    /// Active users: OpenIM's are not counted.
    Usage,
    /// An erasure, whose app is guessed only if there is no other.
    Erasure,
}

impl About {
    fn providers(self) -> Vec<ProviderName> {
        let first: &[ProviderName] = match self {
            Self::Presence | Self::Erasure => &[],
            Self::Registrations => &[OpenIm::NAME, Chat::NAME],
            Self::Usage => &[Chat::NAME],
        };
        let others = ProviderName::ALL.into_iter().filter(|provider| !first.contains(provider));
        first.iter().copied().chain(others).collect()
    }
}

impl Target {
    /// This provider's app there.
    pub(crate) fn named(provider: ProviderName, app: Option<AppId>, url: String) -> Self {
        Self { provider: Some(provider), app, url }
    }

    /// Asks there, and repeats up to `retries` times what may be answered later.
    pub(crate) fn client(&self, retries: u32) -> Result<Client, Failure> {
        Ok(Client::new(client()?, &self.url).with_retries(retries))
    }

    /// The app that was named, or the first one that is known. Says which, if it was not named.
    pub(crate) fn app(&self, about: About) -> Result<App, Failure> {
        if let (Some(provider), Some(id)) = (self.provider, &self.app) {
            return Ok(App { provider, id: id.clone() });
        }
        let known = self.known(about)?;
        let fits = |app: &&App| {
            self.provider.is_none_or(|provider| provider == app.provider)
                && self.app.as_ref().is_none_or(|id| *id == app.id)
        };
        let fitting: Vec<&App> = known.iter().filter(fits).collect();
        let chosen = match (fitting[..].first(), &self.app) {
            (Some(_), None) if fitting.len() > 1 && about == About::Erasure => {
                return Err("say in which app, with --provider and --app".into());
            }
            (Some(first), None) => (*first).clone(),
            (Some(only), Some(_)) if fitting.len() == 1 => (*only).clone(),
            (_, Some(id)) => return Err(format!("say whose app {id} is, with --provider").into()),
            (None, None) => return Err("say which app, with --provider and --app".into()),
        };
        let App { provider, id } = &chosen;
        let which = if fitting.len() == 1 {
            "the only one that is known".to_owned()
        } else {
            format!("the first of {} that are known; --provider and --app choose", fitting.len())
        };
        eprintln!("rollcall: {provider} app {id}, {which}");
        Ok(chosen)
    }

    /// The apps of `ROLLCALL_APPS`, else a laptop's examples. A stack has no examples.
    fn known(&self, about: About) -> Result<Vec<App>, Failure> {
        let apps = match Apps::from_env()? {
            Some(apps) => apps,
            None if self.url.starts_with("http://") => Apps::from_json(EXAMPLE_APPS)?,
            None => Apps::default(),
        };
        Ok(apps_of(&apps, about.providers()))
    }
}

pub(crate) fn provider() -> impl TypedValueParser<Value = ProviderName> {
    let names = PossibleValuesParser::new(ProviderName::ALL.map(ProviderName::as_str));
    names.try_map(|name| ProviderName::by_name(&name).ok_or("is no provider"))
}

/// How a command ends that has no answer. Nobody who is known by an id is no failure, and has an
/// exit code of its own.
pub(crate) fn no_answer(
    error: AskError,
    app: &App,
    subject: &Subject,
) -> Result<ExitCode, Failure> {
    let AskError::NotKnown { message } = error else { return Err(error.into()) };
    let App { provider, id } = app;
    let says = match subject {
        Subject::User(user) => format!("nobody is known as {user} in {provider} app {id}"),
        Subject::Room(room) => format!("no room {room} is known in {provider} app {id}"),
        Subject::Everybody => message,
    };
    eprintln!("rollcall: {}", plain(&says));
    Ok(ExitCode::from(NOT_KNOWN))
}

/// The exit code if a user or a room is not known.
pub(crate) fn not_known() -> ExitCode {
    ExitCode::from(NOT_KNOWN)
}

/// Prints an answer. A reader that has enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("the output cannot be written: {error}").into())
        }
        _ => Ok(()),
    }
}
