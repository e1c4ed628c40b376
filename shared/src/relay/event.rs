//! The events: one type for each kind of fact, with the field names of the queries.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::domain::{AppId, LifeId, ProviderName, RegistrationSource, RoomId, SessionId, UserId};

/// A fact that a provider reported, as the backend gets it.
///
/// Facts never need a correction. They may come twice, late and in any order. What follows from
/// them is asked at `href`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type")]
pub enum Event {
    /// Somebody entered a room.
    #[serde(rename = "presence.entered")]
    #[strum(serialize = "presence.entered")]
    Entered(Reported<Presence>),
    /// Somebody left a room.
    #[serde(rename = "presence.left")]
    #[strum(serialize = "presence.left")]
    Left(Reported<Presence>),
    /// The role or the network of somebody in a room changed.
    #[serde(rename = "presence.changed")]
    #[strum(serialize = "presence.changed")]
    Changed(Reported<Presence>),
    /// A room was created.
    #[serde(rename = "room.opened")]
    #[strum(serialize = "room.opened")]
    Opened(Reported<Room>),
    /// A room was closed or dismissed.
    #[serde(rename = "room.closed")]
    #[strum(serialize = "room.closed")]
    Closed(Reported<Room>),
    /// Nobody is in a room any more, and nothing has changed for a while.
    #[serde(rename = "room.emptied")]
    #[strum(serialize = "room.emptied")]
    Emptied(Reported<Emptied>),
    /// A life of a room is over, and nothing has changed for a while. If something of it changes
    /// later, there is another one with the next revision.
    #[serde(rename = "room.settled")]
    #[strum(serialize = "room.settled")]
    Settled(Reported<Settled>),
    /// A device came online, or still is.
    #[serde(rename = "device.online")]
    #[strum(serialize = "device.online")]
    Online(Reported<DeviceOnline>),
    /// A device went offline, was kicked, or its user logged out.
    #[serde(rename = "device.offline")]
    #[strum(serialize = "device.offline")]
    Offline(Reported<DeviceOffline>),
    /// A user was registered.
    #[serde(rename = "user.registered")]
    #[strum(serialize = "user.registered")]
    Registered(Reported<Registered>),
    /// The profile of a user changed, or the provider was asked for it since.
    #[serde(rename = "user.changed")]
    #[strum(serialize = "user.changed")]
    ProfileChanged(Reported<ProfileChanged>),
    /// An item about a user was deleted on request: one event for each item.
    #[serde(rename = "user.erased")]
    #[strum(serialize = "user.erased")]
    Erased(Reported<Person>),
    /// An operator closes a gap in the events: the query about a room or a person has to be asked
    /// again.
    #[serde(rename = "resync")]
    #[strum(serialize = "resync")]
    Resync(Resync),
}

impl Event {
    /// The names of all types.
    pub const NAMES: &[&str] = <Self as VariantNames>::VARIANTS;

    /// The name of its type, such as `presence.entered`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// What identifies it: the same when it is delivered again.
    #[must_use]
    pub fn id(&self) -> &str {
        self.common().id
    }

    /// The app that it happened in.
    #[must_use]
    pub fn app(&self) -> (ProviderName, &AppId) {
        let common = self.common();
        (common.provider, common.app)
    }

    /// What to ask about again; `None` if it is a fact.
    #[must_use]
    pub fn resync_subject(&self) -> Option<&Subject> {
        match self {
            Self::Resync(event) => Some(&event.about),
            _ => None,
        }
    }

    fn common(&self) -> Common<'_> {
        match self {
            Self::Entered(event) | Self::Left(event) | Self::Changed(event) => event.common(),
            Self::Opened(event) | Self::Closed(event) => event.common(),
            Self::Emptied(event) => event.common(),
            Self::Settled(event) => event.common(),
            Self::Online(event) => event.common(),
            Self::Offline(event) => event.common(),
            Self::Registered(event) => event.common(),
            Self::ProfileChanged(event) => event.common(),
            Self::Erased(event) => event.common(),
            Self::Resync(Resync { id, provider, app, .. }) => {
                Common { id, provider: *provider, app }
            }
        }
    }
}

/// What every event says.
struct Common<'a> {
    id: &'a str,
    provider: ProviderName,
    app: &'a AppId,
}

/// An event about `T`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reported<T> {
    /// What identifies the event. It is the same when the event is delivered again.
    pub id: String,
    /// When it happened, by the provider's clock, in Unix milliseconds.
    pub at: u64,
    /// Whether something newer of the same seat, life or device was known when it arrived.
    pub late: bool,
    /// Whose app it happened in.
    #[cfg_attr(test, schemars(with = "schema::Provider"))]
    pub provider: ProviderName,
    /// The app that it happened in.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub app: AppId,
    /// What it is about.
    #[serde(flatten)]
    pub about: T,
    /// A whole number of 21 to 40 digits. Of two events about one seat, life, boundary, device or
    /// registration, the one with the greater number was stored later. It says nothing about other
    /// events.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9]{21,40}$")))]
    pub version: String,
    /// The query that gives the present truth about the room or the person.
    #[cfg_attr(test, schemars(regex(pattern = "^/")))]
    pub href: String,
}

impl<T> Reported<T> {
    fn common(&self) -> Common<'_> {
        Common { id: &self.id, provider: self.provider, app: &self.app }
    }
}

/// A room or a person about whom events may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resync {
    /// What identifies the event. One run of `rollcall resync` has the same id for the same `href`.
    pub id: String,
    /// When the run began, by our clock, in Unix milliseconds.
    pub at: u64,
    /// Whose app it is about.
    #[cfg_attr(test, schemars(with = "schema::Provider"))]
    pub provider: ProviderName,
    /// The app that it is about.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub app: AppId,
    /// What it is about.
    #[serde(flatten)]
    pub about: Subject,
    /// The query that gives the present truth about the room or the person.
    #[cfg_attr(test, schemars(regex(pattern = "^/")))]
    pub href: String,
}

/// A room or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Subject {
    /// A room.
    Room {
        /// Which room.
        #[cfg_attr(test, schemars(with = "schema::Id"))]
        room: RoomId,
    },
    /// A person.
    User {
        /// Who.
        #[cfg_attr(test, schemars(with = "schema::Id"))]
        user: UserId,
    },
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Presence {
    /// Who.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
    /// In which room.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub room: RoomId,
    /// In which life of the room. Null if the provider does not distinguish lives.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub life: Option<LifeId>,
    /// Which of Tencent's products reported it: `trtc` or `room_engine`, which mostly report the same
    /// person in the same room both. Null for other providers.
    #[serde(default)]
    pub track: Option<String>,
    /// In which session. Null if the provider has no sessions.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub session: Option<SessionId>,
    /// The person's role: `anchor`, `audience`, `admin`, `unspecified` or `role_` and a code.
    pub role: String,
    /// Why they left. Null if they did not. `reconciled` if the provider was asked, and said that
    /// they are in or not.
    pub reason: Option<String>,
    /// Whether the fact was inferred, because its own callback never arrived.
    pub assumed: bool,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Room {
    /// Which room.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub room: RoomId,
    /// Which life of the room. Null if the provider does not distinguish lives.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub life: Option<LifeId>,
    /// Which of Tencent's products reported it: `trtc` or `room_engine`, which have a room of this id
    /// each. Null for other providers.
    #[serde(default)]
    pub track: Option<String>,
}

/// A room that nobody is in any more. `at` is when the last person left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Emptied {
    /// Which room.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub room: RoomId,
    /// Which life of the room. Null if the provider does not distinguish lives.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub life: Option<LifeId>,
    /// Why the last person left.
    pub reason: String,
    /// When it was known, by Rollcall's clock, in Unix milliseconds.
    pub settled_at: u64,
}

/// A life of a room that is over. `at` is when it ended. The figures are those of its report, which
/// is at `href`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Settled {
    /// Which room.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub room: RoomId,
    /// Which life of the room.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub life: LifeId,
    /// 1, and one more each time that the report has changed after it was settled. The highest
    /// revision counts.
    pub revision: u64,
    /// When the life began, in Unix milliseconds. Null if that is not known.
    pub began_at: Option<u64>,
    /// When the life ended, in Unix milliseconds.
    pub ended_at: u64,
    /// How many people were there. Null if there is no report, because they are too many.
    pub people: Option<u64>,
    /// The time that people were present, in all, in milliseconds. Null without a report.
    pub person_ms: Option<u64>,
    /// The least number of callbacks of the life that never arrived. Null without a report, and if
    /// the provider does not number them.
    pub missing: Option<u64>,
    /// The digest of the report. Null without a report.
    #[cfg_attr(test, schemars(with = "Option<schema::Digest>"))]
    pub digest: Option<String>,
    /// When it was known, by Rollcall's clock, in Unix milliseconds.
    pub settled_at: u64,
}

/// A device that is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceOnline {
    /// Whose device.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
    /// What kind of device, such as `iOS`.
    pub device: String,
    /// Which connection of it. Null if the provider does not say so.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub session: Option<SessionId>,
    /// When being online ends if it is not reported again, in Unix milliseconds. Null if it holds
    /// until the device is reported as offline.
    pub until: Option<u64>,
    /// `reconciled` if the provider said so when it was asked. Null if it reported it.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether the fact was inferred, because its own callback never arrived.
    #[serde(default)]
    pub assumed: bool,
}

/// A device that is offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceOffline {
    /// Whose device.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
    /// What kind of device, such as `iOS`.
    pub device: String,
    /// Which connection of it. Null if the provider does not say so.
    #[cfg_attr(test, schemars(with = "Option<schema::Id>"))]
    pub session: Option<SessionId>,
    /// Why.
    pub reason: String,
    /// Whether the fact was inferred, because its own callback never arrived.
    #[serde(default)]
    pub assumed: bool,
}

/// A user who was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Registered {
    /// Who.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
    /// How it is known: the provider reported it, it was the user's first login, or the provider
    /// listed the user when it was asked.
    #[cfg_attr(test, schemars(with = "schema::Source"))]
    pub source: RegistrationSource,
}

/// A user whose profile changed. `at` is when that was received, or when the provider was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProfileChanged {
    /// Who.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
    /// `reconciled` if the provider was asked for the new profile, which `href` has. Null if it only
    /// reported that the profile changed.
    pub reason: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Person {
    /// Who.
    #[cfg_attr(test, schemars(with = "schema::Id"))]
    pub user: UserId,
}

/// The schemas of the model's types, which know nothing of JSON Schema.
#[cfg(test)]
mod schema {
    use schemars::JsonSchema;

    /// 1 to 255 bytes.
    #[derive(JsonSchema)]
    #[schemars(inline)]
    pub(super) struct Id(
        #[schemars(length(min = 1, max = 255))]
        #[expect(dead_code, reason = "only its schema is used")]
        String,
    );

    #[derive(JsonSchema)]
    #[schemars(inline)]
    pub(super) struct Digest(
        #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
        #[expect(dead_code, reason = "only its schema is used")]
        String,
    );

    #[derive(JsonSchema)]
    #[schemars(inline, rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub(super) enum Provider {
        Zego,
        OpenIm,
        Tencent,
    }

    #[derive(JsonSchema)]
    #[schemars(inline, rename_all = "snake_case")]
    #[expect(dead_code, reason = "only its schema is used")]
    pub(super) enum Source {
        Callback,
        FirstLogin,
        Reconciled,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use schemars::generate::SchemaSettings;
    use serde_json::{Value, json};

    use super::*;

    /// The schema of each type, by its name.
    fn schemas() -> Vec<(String, Value)> {
        let mut settings = SchemaSettings::draft2020_12().for_serialize();
        settings.inline_subschemas = true;
        let whole = settings.into_generator().into_root_schema_for::<Event>().to_value();
        let types = whole["oneOf"].as_array().unwrap().iter().map(|schema| {
            let name = schema["properties"]["type"]["const"].as_str().unwrap().to_owned();
            let mut schema = schema.clone();
            schema["$schema"] = whole["$schema"].clone();
            schema["title"] = json!(name);
            (name, schema)
        });
        types.collect()
    }

    #[test]
    fn the_schema_of_each_event_is_the_one_in_docs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events");
        let mut names = Vec::new();
        assert!(schemas().iter().map(|(name, _)| name).eq(Event::NAMES));
        for (name, schema) in schemas() {
            let file = folder.join(format!("{name}.json"));
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("ROLLCALL_WRITE").is_some() {
                fs::write(&file, &text).unwrap();
            }
            let written = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(written, text, "{}: run this with ROLLCALL_WRITE=1", file.display());
            names.push(format!("{name}.json"));
        }
        names.sort();
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, names, "docs/events has the schemas of all types and nothing else");
    }
}
