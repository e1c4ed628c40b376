//! The environment variables that configure Rollcall.

use std::{collections::HashMap, num::ParseIntError, time::Duration};

use serde::Deserialize;

use crate::{
    callback::{Provider, Secret},
    domain::AppId,
    providers::{
        openim::{self, AppCredentials, Basic, OpenIm},
        tencent::{self, Chat, Trtc},
        zego::{self, Zego},
    },
};

/// How far a signed time may lie behind or ahead of our clock, unless `ROLLCALL_MAX_AGE_SECONDS`
/// says otherwise: longer than a provider's retries take.
const DEFAULT_MAX_AGE: Duration = Duration::from_mins(10);

/// The time for one answer, unless `ROLLCALL_BUDGET_MS` says otherwise.
const DEFAULT_BUDGET: Duration = Duration::from_millis(1500);

/// The same on a laptop without a queue: what is not stored in time is lost there, and the most
/// impatient provider that never repeats itself, OpenIM, waits 5 s.
const LAPTOP_BUDGET: Duration = Duration::from_secs(4);

const APPS: &str = "ROLLCALL_APPS";
const REPLAY_GUARD: &str = "ROLLCALL_REPLAY_GUARD";
const SPILL_QUEUE_URL: &str = "ROLLCALL_SPILL_QUEUE_URL";
const DEAD_LETTER_QUEUE_URL: &str = "ROLLCALL_SPILL_DEAD_LETTER_QUEUE_URL";

const DAY: Duration = Duration::from_hours(24);
const DEFAULT_RETENTION_DAYS: u32 = 30;
const MIN_RETENTION_DAYS: u32 = 15;

/// What is wrong with the environment. Never holds a value that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `ROLLCALL_APPS` cannot be read.
    #[error("ROLLCALL_APPS {0}")]
    Apps(#[from] AppsError),
    /// There are two sources of apps.
    #[error(
        "ROLLCALL_APPS and ROLLCALL_APPS_SECRET_ARN are both set: the apps come from one of them"
    )]
    TwoSources,
    /// A number is none.
    #[error("{name} is not a whole number: {source}")]
    Number {
        /// The variable.
        name: &'static str,
        /// The cause.
        source: ParseIntError,
    },
    /// A switch is neither on nor off.
    #[error("{0} is neither `on` nor `off`")]
    Switch(&'static str),
    /// `RETENTION_DAYS` is too small.
    #[error("RETENTION_DAYS has to be at least {MIN_RETENTION_DAYS}")]
    Retention,
    /// A variable that the function needs is not set.
    #[error("{0} has to be set")]
    Missing(&'static str),
    /// A variable is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUnicode(&'static str),
}

/// What is wrong with the apps' JSON. Never holds any of it that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// It cannot be read.
    #[error(
        "is broken at line {line}, column {column}: it has to look like \
         {{\"zego\":{{\"1\":{{\"callback_secrets\":[\"...\"]}}}}}}"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An app's id is no id.
    #[error("names an app that cannot be: its id is empty or too long")]
    AppId,
    /// Two `OpenIM` apps have a credential in common, so it could not tell which one a request is
    /// for.
    #[error("gives the OpenIM apps `{0}` and `{1}` a credential in common")]
    SharedCredential(AppId, AppId),
    /// A user of Basic credentials cannot have a colon.
    #[error("gives the OpenIM app `{0}` a `basic` user with a colon")]
    BasicUser(AppId),
}

/// The configuration of a function, from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ROLLCALL_TABLE`: the DynamoDB table; default `rollcall`.
    pub table: String,
    /// `ROLLCALL_MAX_AGE_SECONDS`: how far a signed time may lie behind or ahead of our clock;
    /// default 600.
    pub max_age: Duration,
    /// `ROLLCALL_BUDGET_MS`: the time for one answer; default 1500, and 4000 on a laptop without a
    /// queue.
    pub budget: Duration,
    /// `RETENTION_DAYS`: how long ended sessions are kept; default 30, at least 15.
    pub retention: Duration,
    /// `ROLLCALL_REPLAY_GUARD`: whether a signature that does not cover the body is good for one
    /// body only; default off.
    pub replay_guard: ReplayGuard,
    /// `ROLLCALL_SPILL_QUEUE_URL`: the SQS queue for what could not be stored; none by default.
    pub spill_queue_url: Option<String>,
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a variable is set to something it cannot be.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::with_budget(|_| DEFAULT_BUDGET)
    }

    /// Reads the environment of `cargo run`.
    ///
    /// # Errors
    ///
    /// As [`Config::from_env`].
    pub fn on_a_laptop() -> Result<Self, ConfigError> {
        Self::with_budget(|spill_queue_url| match spill_queue_url {
            Some(_) => DEFAULT_BUDGET,
            None => LAPTOP_BUDGET,
        })
    }

    /// Reads the environment, which may leave the time for one answer to `default_budget`.
    fn with_budget(
        default_budget: impl FnOnce(Option<&str>) -> Duration,
    ) -> Result<Self, ConfigError> {
        let days = number("RETENTION_DAYS")?.unwrap_or(DEFAULT_RETENTION_DAYS);
        if days < MIN_RETENTION_DAYS {
            return Err(ConfigError::Retention);
        }
        let max_age = number("ROLLCALL_MAX_AGE_SECONDS")?.map(Duration::from_secs);
        let budget = number("ROLLCALL_BUDGET_MS")?.map(Duration::from_millis);
        let spill_queue_url = variable(SPILL_QUEUE_URL)?;
        Ok(Self {
            table: variable("ROLLCALL_TABLE")?.unwrap_or_else(|| "rollcall".to_owned()),
            max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
            budget: budget.unwrap_or_else(|| default_budget(spill_queue_url.as_deref())),
            retention: DAY * days,
            replay_guard: match variable(REPLAY_GUARD)?.as_deref() {
                None | Some("off") => ReplayGuard::Off,
                Some("on") => ReplayGuard::On,
                Some(_) => return Err(ConfigError::Switch(REPLAY_GUARD)),
            },
            spill_queue_url,
        })
    }
}

/// The queues of the function that replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayConfig {
    /// `ROLLCALL_SPILL_QUEUE_URL`: the queue that is replayed.
    pub spill_queue_url: String,
    /// `ROLLCALL_SPILL_DEAD_LETTER_QUEUE_URL`: where messages go that can never be stored.
    pub dead_letter_queue_url: String,
}

impl ReplayConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a variable is missing.
    pub fn from_env() -> Result<Self, ConfigError> {
        let required = |name| variable(name)?.ok_or(ConfigError::Missing(name));
        Ok(Self {
            spill_queue_url: required(SPILL_QUEUE_URL)?,
            dead_letter_queue_url: required(DEAD_LETTER_QUEUE_URL)?,
        })
    }
}

/// Whether a signature that does not cover the body is good for one body only. It costs one more
/// write for each callback that has one, before what the callback changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplayGuard {
    /// It is good for any, as long as it is not too old.
    #[default]
    Off,
    /// It is good for one.
    On,
}

/// Where the apps come from.
#[derive(Debug, Clone)]
pub enum AppsFrom {
    /// From the environment itself. Without any, every callback is refused.
    Environment(Apps),
    /// From the Secrets Manager secret of this ARN, or of this name.
    Secret(String),
}

impl AppsFrom {
    /// Reads `ROLLCALL_APPS` and `ROLLCALL_APPS_SECRET_ARN`.
    ///
    /// # Errors
    ///
    /// As [`Apps::from_json`], or [`ConfigError::TwoSources`].
    pub fn from_env() -> Result<Self, ConfigError> {
        match (Apps::from_env()?, variable("ROLLCALL_APPS_SECRET_ARN")?) {
            (Some(_), Some(_)) => Err(ConfigError::TwoSources),
            (None, Some(secret)) => Ok(Self::Secret(secret)),
            (apps, None) => Ok(Self::Environment(apps.unwrap_or_default())),
        }
    }
}

/// The apps whose callbacks are accepted, with their secrets.
#[derive(Debug, Clone, Default)]
pub struct Apps {
    /// ZEGOCLOUD's.
    pub zego: zego::Apps,
    /// `OpenIM`'s.
    pub openim: openim::Apps,
    /// Tencent's.
    pub tencent: tencent::Apps,
}

/// Apps among which those of provider `P` are.
pub trait AppsOf<P: Provider> {
    /// The apps of that provider, and no other's secrets.
    fn apps(&self) -> &P::Apps;
}

impl AppsOf<Zego> for Apps {
    fn apps(&self) -> &zego::Apps {
        &self.zego
    }
}

impl AppsOf<OpenIm> for Apps {
    fn apps(&self) -> &openim::Apps {
        &self.openim
    }
}

impl AppsOf<Chat> for Apps {
    fn apps(&self) -> &tencent::Apps {
        &self.tencent
    }
}

impl AppsOf<Trtc> for Apps {
    fn apps(&self) -> &tencent::Apps {
        &self.tencent
    }
}

impl Apps {
    /// Reads `ROLLCALL_APPS`; `None` if it is not set.
    ///
    /// # Errors
    ///
    /// As [`Apps::from_json`].
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let apps = variable(APPS)?.as_deref().map(Self::from_json).transpose();
        Ok(apps?)
    }

    /// Reads apps from JSON.
    ///
    /// ```
    /// use rollcall::config::Apps;
    ///
    /// let apps = Apps::from_json(r#"{"zego":{"1":{"callback_secrets":["current","previous"]}}}"#)?;
    /// assert_eq!(apps.zego[&"1".parse().unwrap()].len(), 2);
    /// # Ok::<(), rollcall::config::AppsError>(())
    /// ```
    ///
    /// An empty secret is left out, with a warning: it verifies nothing. An app that is left
    /// without any is known, but all its callbacks are refused.
    ///
    /// # Errors
    ///
    /// [`AppsError`] if it is not such JSON.
    pub fn from_json(json: &str) -> Result<Self, AppsError> {
        // Serde would take a list for a struct's fields, and an empty one for the defaults.
        if !json.trim_start().starts_with('{') {
            return Err(AppsError::Json { line: 1, column: 1 });
        }
        // The error's own text may quote what it found, and that may be a secret.
        let apps: AppsJson = serde_json::from_str(json)
            .map_err(|error| AppsError::Json { line: error.line(), column: error.column() })?;
        Ok(Self {
            zego: zego_apps(apps.zego)?,
            openim: openim_apps(apps.openim)?,
            tencent: tencent_apps(apps.tencent)?,
        })
    }
}

fn zego_apps(apps: HashMap<String, ZegoAppJson>) -> Result<zego::Apps, AppsError> {
    let app = |(id, app): (String, ZegoAppJson)| {
        let id = app_id(&id)?;
        let secrets = secrets(&id, app.callback_secrets);
        if secrets.is_empty() {
            tracing::warn!(app = %id, "a ZEGO app has no callback secret: it is refused");
        }
        Ok((id, secrets))
    };
    apps.into_iter().map(app).collect()
}

fn openim_apps(apps: HashMap<String, OpenImAppJson>) -> Result<openim::Apps, AppsError> {
    let mut read = openim::Apps::new();
    for (id, app) in apps {
        let id = app_id(&id)?;
        let mut basic = Vec::new();
        for BasicJson { user, password } in app.basic {
            if user.contains(':') {
                return Err(AppsError::BasicUser(id));
            }
            let password = secrets(&id, vec![password]).pop();
            basic.extend(password.map(|password| Basic { user, password }));
        }
        let credentials = AppCredentials { secrets: secrets(&id, app.secrets), basic };
        if credentials.secrets.is_empty() && credentials.basic.is_empty() {
            tracing::warn!(app = %id, "an OpenIM app has no credentials: it is refused");
        }
        read.insert(id, credentials);
    }
    let mut owners = HashMap::new();
    for (id, app) in &read {
        let of_body = app.secrets.iter().map(|secret| ("secret", secret.expose().to_owned()));
        let of_url = app.basic.iter().map(|basic| ("basic", basic.user_pass()));
        for credential in of_body.chain(of_url) {
            if let Some(other) = owners.insert(credential, id).filter(|other| *other != id) {
                return Err(AppsError::SharedCredential(other.clone(), id.clone()));
            }
        }
    }
    Ok(read)
}

fn tencent_apps(apps: HashMap<String, TencentAppJson>) -> Result<tencent::Apps, AppsError> {
    let app = |(id, app): (String, TencentAppJson)| {
        let id = app_id(&id)?;
        let credentials = tencent::AppCredentials {
            secret_keys: secrets(&id, app.secret_keys),
            chat_tokens: secrets(&id, app.chat_tokens),
            trtc_keys: secrets(&id, app.trtc_keys),
        };
        Ok((id, credentials))
    };
    apps.into_iter().map(app).collect()
}

fn app_id(id: &str) -> Result<AppId, AppsError> {
    id.parse().map_err(|_| AppsError::AppId)
}

/// Leaves out what is empty: it verifies nothing.
fn secrets(app: &AppId, texts: Vec<String>) -> Vec<Secret> {
    let given = texts.len();
    let secrets: Vec<Secret> = texts.into_iter().filter_map(Secret::new).collect();
    if secrets.len() < given {
        tracing::warn!(%app, "an app has an empty secret: it is left out");
    }
    secrets
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppsJson {
    #[serde(default)]
    zego: HashMap<String, ZegoAppJson>,
    #[serde(default)]
    openim: HashMap<String, OpenImAppJson>,
    #[serde(default)]
    tencent: HashMap<String, TencentAppJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZegoAppJson {
    callback_secrets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenImAppJson {
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    basic: Vec<BasicJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TencentAppJson {
    #[serde(default)]
    secret_keys: Vec<String>,
    #[serde(default)]
    chat_tokens: Vec<String>,
    #[serde(default)]
    trtc_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicJson {
    user: String,
    password: String,
}

fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::NotUnicode(name)),
    }
}

fn number<N: std::str::FromStr<Err = ParseIntError>>(
    name: &'static str,
) -> Result<Option<N>, ConfigError> {
    let parse = |text: String| text.parse().map_err(|source| ConfigError::Number { name, source });
    variable(name)?.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_apps_are_told_by_their_place_and_never_by_their_content() {
        for json in [
            "",
            "nonsense",
            "[]",
            r#"{"zego":{"1":{"callback_secrets":"hunter2"}}}"#,
            r#"{"zeego":{}}"#,
        ] {
            let error = Apps::from_json(json).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn an_empty_secret_is_left_out() {
        let apps = Apps::from_json(
            r#"{"zego":{"1":{"callback_secrets":["","x"]},"2":{"callback_secrets":[""]}}}"#,
        );
        let zego = apps.unwrap().zego;
        assert_eq!(zego[&"1".parse().unwrap()].len(), 1);
        assert!(zego[&"2".parse().unwrap()].is_empty());
    }

    #[test]
    fn two_openim_apps_cannot_have_a_credential_in_common() {
        for (a, b) in [
            (r#"{"secrets":["x","y"]}"#, r#"{"secrets":["y"]}"#),
            (
                r#"{"basic":[{"user":"u","password":"p"}]}"#,
                r#"{"basic":[{"user":"u","password":"p"}]}"#,
            ),
        ] {
            let json = format!(r#"{{"openim":{{"one":{a},"two":{b}}}}}"#);
            let error = Apps::from_json(&json).unwrap_err();
            assert!(matches!(error, AppsError::SharedCredential(..)), "{error}");
        }
        let same_app = r#"{"openim":{"one":{"secrets":["x","x"]},"two":{"secrets":["z"]}}}"#;
        assert!(Apps::from_json(same_app).is_ok());
        let colon = r#"{"openim":{"one":{"basic":[{"user":"a:b","password":"c"}]}}}"#;
        assert!(matches!(Apps::from_json(colon), Err(AppsError::BasicUser(_))));
    }

    #[test]
    fn the_other_providers_may_share_the_json() {
        assert!(Apps::from_json(r#"{"openim":{"main":{"secrets":[]}},"tencent":{}}"#).is_ok());
    }
}
