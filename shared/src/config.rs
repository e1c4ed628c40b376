//! The environment variables that configure Rollcall.

use std::{
    collections::HashMap,
    num::{NonZeroU32, ParseIntError},
    time::Duration,
};

use serde::Deserialize;

use crate::domain::{
    App, AppId, ProviderName, RoomPattern, RoomPatternError, RoomShards, Settings, Shards, Track,
    Tracks, UnixMillis,
};
use crate::providers::rules;
pub use crate::providers::{Apps, AppsError};
#[cfg(feature = "server-api")]
pub use crate::providers::{ProviderApis, ProviderApisError};
use crate::store::{self, TableName};

/// How far a signed time may lie behind or ahead of our clock, unless `ROLLCALL_MAX_AGE_SECONDS`
/// says otherwise: longer than a provider's retries take.
const DEFAULT_MAX_AGE: Duration = Duration::from_mins(10);

/// The time for one answer, unless `ROLLCALL_BUDGET_MS` says otherwise.
const DEFAULT_BUDGET: Duration = Duration::from_millis(1500);

/// The same on a laptop without a queue: what is not stored in time is lost there, and the most
/// impatient provider that never repeats itself, OpenIM, waits 5 s.
const LAPTOP_BUDGET: Duration = Duration::from_secs(4);

/// How many read units per second a sweep may consume, unless
/// `ROLLCALL_SWEEP_READ_UNITS_PER_SECOND` says otherwise.
pub const DEFAULT_SWEEP_READ_UNITS: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// How many people per second are compared with what a provider says of their devices, unless
/// `ROLLCALL_RECONCILE_PEOPLE_PER_SECOND` says otherwise.
pub const DEFAULT_PEOPLE_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();

const APPS: &str = "ROLLCALL_APPS";
#[cfg(feature = "server-api")]
const PROVIDER_APIS: &str = "ROLLCALL_PROVIDER_APIS";
const SETTINGS: &str = "ROLLCALL_SETTINGS";
const REPLAY_GUARD: &str = "ROLLCALL_REPLAY_GUARD";
const SWEEP_READ_UNITS: &str = "ROLLCALL_SWEEP_READ_UNITS_PER_SECOND";
const PEOPLE_PER_SECOND: &str = "ROLLCALL_RECONCILE_PEOPLE_PER_SECOND";
const EVENTS: &str = "ROLLCALL_EVENTS";
const INDEX: &str = "ROLLCALL_INDEX";
const SPILL_QUEUE_URL: &str = "ROLLCALL_SPILL_QUEUE_URL";
const ERASE_QUEUE_URL: &str = "ROLLCALL_ERASE_QUEUE_URL";
const DEAD_LETTER_QUEUE_URL: &str = "ROLLCALL_SPILL_DEAD_LETTER_QUEUE_URL";
const EVENT_BUS: &str = "ROLLCALL_EVENT_BUS";
const SETTLE_QUEUE_URL: &str = "ROLLCALL_SETTLE_QUEUE_URL";
const SETTLE_SECONDS: &str = "ROLLCALL_SETTLE_SECONDS";
const ROOM_SHARDS: &str = "ROLLCALL_ROOM_SHARDS";
const LARGE_ROOMS: &str = "ROLLCALL_LARGE_ROOMS";

/// For how long nothing must change before a room is settled, unless `ROLLCALL_SETTLE_SECONDS` says
/// otherwise.
pub const DEFAULT_SETTLE: Duration = Duration::from_secs(30);

/// The longest such time: the longest time for which SQS delays a message.
pub const MAX_SETTLE: Duration = Duration::from_mins(15);

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
    /// `ROLLCALL_PROVIDER_APIS` cannot be read.
    #[cfg(feature = "server-api")]
    #[error("ROLLCALL_PROVIDER_APIS {0}")]
    ProviderApis(#[from] ProviderApisError),
    /// There are two sources of accounts.
    #[cfg(feature = "server-api")]
    #[error(
        "ROLLCALL_PROVIDER_APIS and ROLLCALL_PROVIDER_APIS_SECRET_ARN are both set: the accounts \
         come from one of them"
    )]
    TwoSourcesOfApis,
    /// `ROLLCALL_SETTINGS` cannot be read.
    #[error(
        "{SETTINGS} is not {{\"PROVIDER\":{{\"APP\":{{\"ignore_seen_before\":MS,\"rooms\":\"both\"}}}}}}: {0}"
    )]
    Settings(#[from] serde_json::Error),
    /// `ROLLCALL_SETTINGS` has something of an app that its provider does not have.
    #[error("{SETTINGS} has `rooms` of the {0} app `{1}`: only Tencent's rooms are reported twice")]
    NoTracks(ProviderName, AppId),
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
    /// `ROLLCALL_INDEX` names no index that a table of Rollcall's has.
    #[error("{INDEX} is neither `gsi1` nor `gsi2`")]
    Index,
    /// `RETENTION_DAYS` is too small.
    #[error("RETENTION_DAYS has to be at least {MIN_RETENTION_DAYS}")]
    Retention,
    /// `ROLLCALL_SETTLE_SECONDS` is too large.
    #[error("{SETTLE_SECONDS} has to be at most {}", MAX_SETTLE.as_secs())]
    Settle,
    /// `ROLLCALL_ROOM_SHARDS` is too small or too large.
    #[error("{ROOM_SHARDS} has to be {} to {}", Shards::FEWEST, Shards::MOST)]
    RoomShards,
    /// `ROLLCALL_LARGE_ROOMS` is no pattern.
    #[error("{LARGE_ROOMS} {0}")]
    LargeRooms(#[from] RoomPatternError),
    /// A variable that the function needs is not set.
    #[error("{0} has to be set")]
    Missing(&'static str),
    /// A variable is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUnicode(&'static str),
}

/// The configuration of a function, from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ROLLCALL_TABLE`: the DynamoDB table; default `rollcall`.
    ///
    /// `ROLLCALL_INDEX`: its index that queries use, `gsi1` or `gsi2`; default `gsi2`.
    pub table: TableName,
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
    /// `ROLLCALL_EVENTS`: whether `relay` reads the table's stream, so that live rooms are listed;
    /// default off.
    pub events: Events,
    /// `ROLLCALL_ROOM_SHARDS`: over how many partitions of the index new rows of a large room are
    /// spread, 4 to 64; default 4. `ROLLCALL_LARGE_ROOMS`: a pattern of the ids of these rooms, such as
    /// `final-*`; default `*`. The table remembers the largest number of each pattern, and a smaller
    /// one is refused.
    pub room_shards: RoomShards,
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
            table: table()?,
            max_age: max_age.unwrap_or(DEFAULT_MAX_AGE),
            budget: budget.unwrap_or_else(|| default_budget(spill_queue_url.as_deref())),
            retention: DAY * days,
            replay_guard: if switch(REPLAY_GUARD)? { ReplayGuard::On } else { ReplayGuard::Off },
            spill_queue_url,
            events: if switch(EVENTS)? { Events::On } else { Events::Off },
            room_shards: room_shards(number(ROOM_SHARDS)?, variable(LARGE_ROOMS)?.as_deref())?,
        })
    }
}

fn table() -> Result<TableName, ConfigError> {
    let index = match variable(INDEX)? {
        None => store::INDEX,
        Some(index) => index.parse().map_err(|_| ConfigError::Index)?,
    };
    let name = variable("ROLLCALL_TABLE")?.unwrap_or_else(|| "rollcall".to_owned());
    Ok(TableName { name, index })
}

fn room_shards(number: Option<u64>, rooms: Option<&str>) -> Result<RoomShards, ConfigError> {
    let shards = match number {
        None => Some(Shards::FEWEST),
        Some(number) => u8::try_from(number).ok().and_then(Shards::new),
    };
    let rooms = rooms.map_or_else(|| Ok(RoomPattern::all()), str::parse)?;
    Ok(RoomShards { rooms, shards: shards.ok_or(ConfigError::RoomShards)? })
}

/// What is set about one app, as `ROLLCALL_SETTINGS` has it. It is no secret.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppSettings {
    /// Observations from before are ignored, in Unix milliseconds; 0 ignores none.
    #[serde(default)]
    ignore_seen_before: u64,
    /// Which of Tencent's products decides who is in a room.
    rooms: Option<RoomsSetting>,
}

/// Which of Tencent's products decides who is in a room.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoomsSetting {
    RoomEngine,
    Trtc,
    Both,
}

impl From<RoomsSetting> for Tracks {
    fn from(setting: RoomsSetting) -> Self {
        match setting {
            RoomsSetting::RoomEngine => Self::Only(Track::RoomEngine),
            RoomsSetting::Trtc => Self::Only(Track::Media),
            RoomsSetting::Both => Self::Both,
        }
    }
}

/// Reads `ROLLCALL_SETTINGS`: what is set about each app, as JSON. Without it, nothing is.
///
/// # Errors
///
/// [`ConfigError`] if it is set to something else.
pub fn settings_from_env() -> Result<Settings, ConfigError> {
    variable(SETTINGS)?.map_or_else(|| Ok(Settings::new()), |json| settings(&json))
}

fn settings(json: &str) -> Result<Settings, ConfigError> {
    let apps: HashMap<ProviderName, HashMap<AppId, AppSettings>> = serde_json::from_str(json)?;
    let mut settings = Settings::new();
    for (provider, apps) in apps {
        for (id, AppSettings { ignore_seen_before, rooms }) in apps {
            if rooms.is_some() && rules(provider).track_name(Track::RoomEngine).is_none() {
                return Err(ConfigError::NoTracks(provider, id));
            }
            let app = App { provider, id };
            settings = settings.ignoring_seen_before(app.clone(), UnixMillis(ignore_seen_before));
            if let Some(rooms) = rooms {
                settings = settings.with_rooms(app, rooms.into());
            }
        }
    }
    Ok(settings)
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

/// Where the function that relays sends events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// `ROLLCALL_EVENT_BUS`: the name of the `EventBridge` bus.
    pub event_bus: String,
}

impl RelayConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the variable is missing.
    pub fn from_env() -> Result<Self, ConfigError> {
        let event_bus = variable(EVENT_BUS)?.ok_or(ConfigError::Missing(EVENT_BUS))?;
        Ok(Self { event_bus })
    }
}

/// How rooms are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleConfig {
    /// `ROLLCALL_SETTLE_QUEUE_URL`: the queue of the messages that have rooms checked.
    pub queue_url: String,
    /// `ROLLCALL_SETTLE_SECONDS`: for how long nothing must change before; 0 to 900, default 30.
    pub grace: Duration,
}

impl SettleConfig {
    /// Reads the environment; `None` if there is no queue.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a variable is set to something it cannot be.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let Some(queue_url) = variable(SETTLE_QUEUE_URL)? else { return Ok(None) };
        let grace = number(SETTLE_SECONDS)?.map_or(DEFAULT_SETTLE, Duration::from_secs);
        if grace > MAX_SETTLE {
            return Err(ConfigError::Settle);
        }
        Ok(Some(Self { queue_url, grace }))
    }
}

/// What the function that sweeps may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepConfig {
    /// `ROLLCALL_SWEEP_READ_UNITS_PER_SECOND`: how many read units it may consume, on average over a
    /// minute; default 50.
    pub read_units_per_second: NonZeroU32,
}

impl SweepConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the variable is no positive number.
    pub fn from_env() -> Result<Self, ConfigError> {
        let per_second = number(SWEEP_READ_UNITS)?.unwrap_or(DEFAULT_SWEEP_READ_UNITS);
        Ok(Self { read_units_per_second: per_second })
    }
}

/// What the function that asks providers may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// `ROLLCALL_RECONCILE_PEOPLE_PER_SECOND`: how many people per second are compared with what a
    /// provider says of their devices; default 50.
    pub people_per_second: NonZeroU32,
}

impl ReconcileConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the variable is no positive number.
    pub fn from_env() -> Result<Self, ConfigError> {
        let per_second = number(PEOPLE_PER_SECOND)?.unwrap_or(DEFAULT_PEOPLE_PER_SECOND);
        Ok(Self { people_per_second: per_second })
    }
}

/// The queue of the function that erases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraseConfig {
    /// `ROLLCALL_ERASE_QUEUE_URL`: the queue whose messages are delayed by a quarter of an hour. On
    /// a laptop there may be none; then the function itself waits.
    pub queue_url: Option<String>,
}

impl EraseConfig {
    /// Reads the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the variable is not UTF-8.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self { queue_url: variable(ERASE_QUEUE_URL)? })
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

/// Whether each new fact becomes an event, and live rooms are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Events {
    /// Nothing reads the table's stream.
    #[default]
    Off,
    /// `relay` does.
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
}

/// Where the accounts of the providers' server APIs come from.
#[cfg(feature = "server-api")]
#[derive(Debug, Clone)]
pub enum ProviderApisFrom {
    /// From the environment itself. Without any, no provider is asked.
    Environment(ProviderApis),
    /// From the Secrets Manager secret of this ARN, or of this name.
    Secret(String),
}

#[cfg(feature = "server-api")]
impl ProviderApisFrom {
    /// Reads `ROLLCALL_PROVIDER_APIS` and `ROLLCALL_PROVIDER_APIS_SECRET_ARN`.
    ///
    /// # Errors
    ///
    /// As [`ProviderApis::from_json`], or [`ConfigError::TwoSourcesOfApis`].
    pub fn from_env() -> Result<Self, ConfigError> {
        let apis = variable(PROVIDER_APIS)?.as_deref().map(ProviderApis::from_json).transpose()?;
        match (apis, variable("ROLLCALL_PROVIDER_APIS_SECRET_ARN")?) {
            (Some(_), Some(_)) => Err(ConfigError::TwoSourcesOfApis),
            (None, Some(secret)) => Ok(Self::Secret(secret)),
            (apis, None) => Ok(Self::Environment(apis.unwrap_or_default())),
        }
    }
}

fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(ConfigError::NotUnicode(name)),
    }
}

/// Whether a switch is on. It is off by default.
fn switch(name: &'static str) -> Result<bool, ConfigError> {
    match variable(name)?.as_deref() {
        None | Some("off") => Ok(false),
        Some("on") => Ok(true),
        Some(_) => Err(ConfigError::Switch(name)),
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
    fn observations_before_a_time_are_ignored_of_one_app() {
        let json = r#"{"zego":{"1":{"ignore_seen_before":1000},"2":{}}}"#;
        let settings = settings(json).unwrap();
        let counts = |app: &str, at| {
            let app = App { provider: ProviderName::Zego, id: app.parse().unwrap() };
            settings.counts_seen_at(&app, UnixMillis(at))
        };
        assert_eq!([999, 1000].map(|at| counts("1", at)), [false, true]);
        assert_eq!([0, 999].map(|at| counts("2", at)), [true, true]);
        assert!(counts("3", 0));
    }

    #[test]
    fn an_app_of_tencents_says_which_product_decides_who_is_in_its_rooms() {
        let json = r#"{"tencent":{"1":{"rooms":"room_engine","ignore_seen_before":0},
            "2":{"rooms":"trtc"},"3":{"rooms":"both"},"4":{}}}"#;
        let settings = settings(json).unwrap();
        let rooms = ["1", "2", "3", "4", "5"].map(|id| {
            settings.rooms(&App { provider: ProviderName::Tencent, id: id.parse().unwrap() })
        });
        let only = Tracks::Only;
        let (engine, trtc) = (only(Track::RoomEngine), only(Track::Media));
        assert_eq!(rooms, [engine, trtc, Tracks::Both, Tracks::Both, Tracks::Both]);
    }

    #[test]
    fn other_providers_have_no_second_track() {
        let error = settings(r#"{"zego":{"1":{"rooms":"both"}}}"#).unwrap_err().to_string();
        assert!(error.starts_with("ROLLCALL_SETTINGS has `rooms` of the zego app `1`"), "{error}");
    }

    #[test]
    fn a_room_has_4_to_64_shards_and_4_by_default() {
        let read = |number, rooms| {
            let shards = room_shards(number, rooms).map_err(|error| error.to_string())?;
            Ok((shards.shards.number(), shards.rooms.as_str().to_owned()))
        };
        assert_eq!(read(None, None), Ok((4, "*".to_owned())));
        assert_eq!(read(Some(64), Some("final-*")), Ok((64, "final-*".to_owned())));
        for number in [0, 3, 65, 260, u64::MAX] {
            let error = "ROLLCALL_ROOM_SHARDS has to be 4 to 64".to_owned();
            assert_eq!(read(Some(number), None), Err(error));
        }
        let error = read(None, Some("final-[")).unwrap_err();
        assert!(error.starts_with("ROLLCALL_LARGE_ROOMS is no pattern of room ids: "), "{error}");
    }

    #[test]
    fn settings_that_cannot_be_read_are_an_error() {
        for json in [
            "",
            "[]",
            r#"{"other":{}}"#,
            r#"{"zego":{"1":{"ignore_seen":1}}}"#,
            r#"{"tencent":{"1":{"rooms":"chat"}}}"#,
            r#"{"tencent":{"1":{"rooms":true}}}"#,
        ] {
            let error = settings(json).unwrap_err().to_string();
            assert!(error.starts_with("ROLLCALL_SETTINGS is not {"), "{error}");
        }
    }
}
