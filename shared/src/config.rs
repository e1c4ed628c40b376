//! The environment variables that configure Rollcall.

use std::{collections::HashMap, num::ParseIntError, time::Duration};

use serde::Deserialize;

use crate::{
    callback::{AppWarning, AppWarnings, Provider, SecretFault},
    domain::{AppId, ProviderName},
    providers::{
        openim::{self, AppCredentials, Basic, BasicUserError, OpenIm},
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
    /// A byte order mark before it is skipped. A blank secret is left out: it verifies nothing. An
    /// app that is left without any is known, but all its callbacks are refused. What is odd about
    /// an app is logged, each thing once.
    ///
    /// # Errors
    ///
    /// [`AppsError`] if it is not such JSON.
    pub fn from_json(json: &str) -> Result<Self, AppsError> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        // Serde would take a list for a struct's fields, and an empty one for the defaults.
        if !json.trim_start().starts_with('{') {
            return Err(AppsError::Json { line: 1, column: 1 });
        }
        // The error's own text may quote what it found, and that may be a secret.
        let apps: AppsJson = serde_json::from_str(json)
            .map_err(|error| AppsError::Json { line: error.line(), column: error.column() })?;
        // They are logged once it is certain that these apps are the ones.
        let mut warnings = Vec::new();
        let apps = Self {
            zego: zego_apps(apps.zego, &mut warnings)?,
            openim: openim_apps(apps.openim, &mut warnings)?,
            tencent: tencent_apps(apps.tencent, &mut warnings)?,
        };
        warnings.iter().for_each(AppWarnings::log);
        Ok(apps)
    }
}

fn zego_apps(
    apps: HashMap<String, ZegoAppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<zego::Apps, AppsError> {
    let mut read = zego::Apps::new();
    for (id, app) in apps {
        let id = app_id(&id)?;
        let mut warnings = AppWarnings::new(ProviderName::Zego, id.clone());
        warnings.expect_number();
        let secrets = zego::CALLBACK_SECRETS.take_all(app.callback_secrets, &mut warnings);
        if secrets.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        all_warnings.push(warnings);
        read.insert(id, secrets);
    }
    Ok(read)
}

fn openim_apps(
    apps: HashMap<String, OpenImAppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<openim::Apps, AppsError> {
    let mut read = openim::Apps::new();
    for (id, app) in apps {
        let id = app_id(&id)?;
        let mut warnings = AppWarnings::new(ProviderName::OpenIm, id.clone());
        warnings.expect_trimmed();
        let mut basic = Vec::new();
        for BasicJson { user, password } in app.basic {
            let passwords = openim::BASIC_PASSWORDS.take_all(vec![password], &mut warnings);
            for password in passwords {
                match Basic::new(&user, password) {
                    Ok(known) => {
                        if known.user().len() < user.len() {
                            let fault = SecretFault::Surrounded;
                            warnings.add(AppWarning::Secret(openim::BASIC_USER, fault));
                        }
                        basic.push(known);
                    }
                    Err(BasicUserError::Blank) => {
                        let fault = SecretFault::Blank;
                        warnings.add(AppWarning::Secret(openim::BASIC_USER, fault));
                    }
                    Err(BasicUserError::Colon) => return Err(AppsError::BasicUser(id)),
                }
            }
        }
        let secrets = openim::SECRETS.take_all(app.secrets, &mut warnings);
        if secrets.is_empty() && basic.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        all_warnings.push(warnings);
        read.insert(id, AppCredentials { secrets, basic });
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

fn tencent_apps(
    apps: HashMap<String, TencentAppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<tencent::Apps, AppsError> {
    let mut read = tencent::Apps::new();
    for (id, app) in apps {
        let id = app_id(&id)?;
        let mut warnings = AppWarnings::new(ProviderName::Tencent, id.clone());
        warnings.expect_number();
        let credentials = tencent::AppCredentials {
            secret_keys: tencent::SECRET_KEYS.take_all(app.secret_keys, &mut warnings),
            chat_tokens: tencent::CHAT_TOKENS.take_all(app.chat_tokens, &mut warnings),
            trtc_keys: tencent::TRTC_KEYS.take_all(app.trtc_keys, &mut warnings),
        };
        let tencent::AppCredentials { secret_keys, chat_tokens, trtc_keys } = &credentials;
        if secret_keys.is_empty() && chat_tokens.is_empty() && trtc_keys.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        all_warnings.push(warnings);
        read.insert(id, credentials);
    }
    Ok(read)
}

fn app_id(id: &str) -> Result<AppId, AppsError> {
    id.parse().map_err(|_| AppsError::AppId)
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
    use crate::callback::Secret;

    #[test]
    fn broken_apps_are_told_by_their_place_and_never_by_their_content() {
        for json in [
            "",
            "nonsense",
            "[]",
            r#"{"zego":{"1":{"callback_secrets":"hunter2"}}}"#,
            r#"{"zeego":{}}"#,
            "\u{feff}",
            "\u{feff}[]",
        ] {
            let error = Apps::from_json(json).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_blank_secret_of_any_kind_is_left_out() {
        for blank in ["", "   ", "\t", "\n", "\u{a0}", "\u{feff}", "\u{200b}"] {
            let blank = serde_json::Value::from(blank);
            let json = format!(
                r#"{{
                    "zego": {{"1": {{"callback_secrets": [{blank}, "x"]}}, "2": {{"callback_secrets": [{blank}]}}}},
                    "openim": {{"main": {{"secrets": [{blank}], "basic": [
                        {{"user": "openim", "password": {blank}}}, {{"user": {blank}, "password": "x"}}
                    ]}}}},
                    "tencent": {{"3": {{"secret_keys": [{blank}], "chat_tokens": [{blank}], "trtc_keys": [{blank}]}}}}
                }}"#
            );
            let apps = Apps::from_json(&json).unwrap();
            assert_eq!(apps.zego[&"1".parse().unwrap()].len(), 1);
            assert!(apps.zego[&"2".parse().unwrap()].is_empty());
            let openim = &apps.openim[&"main".parse().unwrap()];
            assert!(openim.secrets.is_empty() && openim.basic.is_empty());
            let tencent = &apps.tencent[&"3".parse().unwrap()];
            assert!(tencent.secret_keys.is_empty() && tencent.chat_tokens.is_empty());
            assert!(tencent.trtc_keys.is_empty());
        }
    }

    #[test]
    fn what_surrounds_a_secret_of_any_kind_is_trimmed() {
        let apps = Apps::from_json(
            r#"{
                "zego": {"1": {"callback_secrets": [" a\n"]}},
                "openim": {"main": {"secrets": ["\tb"], "basic": [{"user": " u ", "password": "c\u00a0"}]}},
                "tencent": {"3": {"secret_keys": ["d\r\n"], "chat_tokens": ["\ufeffe"], "trtc_keys": ["f "]}}
            }"#,
        )
        .unwrap();
        let text = |secrets: &[Secret]| secrets[0].expose().to_owned();
        assert_eq!(text(&apps.zego[&"1".parse().unwrap()]), "a");
        let openim = &apps.openim[&"main".parse().unwrap()];
        assert_eq!(text(&openim.secrets), "b");
        assert_eq!(openim.basic[0].user_pass(), "u:c");
        let tencent = &apps.tencent[&"3".parse().unwrap()];
        assert_eq!(text(&tencent.secret_keys), "d");
        assert_eq!(text(&tencent.chat_tokens), "e");
        assert_eq!(text(&tencent.trtc_keys), "f");
    }

    #[test]
    fn a_byte_order_mark_before_the_apps_is_skipped() {
        let json = "\u{feff}{\"zego\":{\"1\":{\"callback_secrets\":[\"x\"]}}}";
        assert_eq!(Apps::from_json(json).unwrap().zego.len(), 1);
        assert!(Apps::from_json(&format!("\u{feff}{json}")).is_err(), "there is one at most");
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
        let by_white_space = r#"{"openim":{"one":{"secrets":["x "]},"two":{"secrets":["\tx"]}}}"#;
        let error = Apps::from_json(by_white_space).unwrap_err();
        assert!(matches!(error, AppsError::SharedCredential(..)), "{error}");
        let colon = r#"{"openim":{"one":{"basic":[{"user":"a:b","password":"c"}]}}}"#;
        assert!(matches!(Apps::from_json(colon), Err(AppsError::BasicUser(_))));
    }

    #[test]
    fn the_other_providers_may_share_the_json() {
        assert!(Apps::from_json(r#"{"openim":{"main":{"secrets":[]}},"tencent":{}}"#).is_ok());
    }
}
