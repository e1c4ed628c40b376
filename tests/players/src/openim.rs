//! Plays an OpenIM server: its webhooks, real field for real field.

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::{Args, ValueEnum};
use rollcall::{
    callback::{Routed, Secret},
    providers::openim::{Any, AppCredentials, UserOffline, UserOnline, UserRegister, UserUpdate},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Callback, Sent};

/// The webhooks that Rollcall records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventName {
    /// Users are registered.
    UserRegister,
    /// A device comes online, or still is.
    UserOnline,
    /// A device goes offline.
    UserOffline,
    /// A profile is updated by the deprecated API, `update_user_info`.
    #[value(aliases = ["update-user-info", "update_user_info"])]
    UserUpdate,
    /// A profile is updated by `update_user_info_ex`.
    #[value(aliases = ["update-user-info-ex", "update_user_info_ex"])]
    UserUpdateEx,
}

impl EventName {
    /// Whether a device came or went.
    fn is_of_device(self) -> bool {
        matches!(self, Self::UserOnline | Self::UserOffline)
    }

    /// Whether a profile was updated.
    #[must_use]
    pub fn is_update(self) -> bool {
        matches!(self, Self::UserUpdate | Self::UserUpdateEx)
    }
}

/// The kinds of device, by the server's ids and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Platform {
    Ios = 1,
    Android,
    Windows,
    Osx,
    Web,
    MiniWeb,
    Linux,
    Apad,
    Ipad,
    Admin,
    HarmonyOs,
}

impl Platform {
    /// The server's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ios => "IOS",
            Self::Android => "Android",
            Self::Windows => "Windows",
            Self::Osx => "OSX",
            Self::Web => "Web",
            Self::MiniWeb => "MiniWeb",
            Self::Linux => "Linux",
            Self::Apad => "APad",
            Self::Ipad => "IPad",
            Self::Admin => "Admin",
            Self::HarmonyOs => "HarmonyOS",
        }
    }
}

/// What to send; everything has a sensible default.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The name of the OpenIM installation
    #[arg(long, default_value = "main")]
    pub app: String,
    /// Who; several may be registered at once
    #[arg(long = "user", default_value = "ada")]
    pub users: Vec<String>,
    /// `nickname` [default: the user; of an update: as it was]
    #[arg(long)]
    pub name: Option<String>,
    /// `faceURL`; of an update, an empty one is as it was
    #[arg(long, default_value = "")]
    pub face_url: String,
    /// `ex`: opaque data of the app's own. An update stores it, and its callback does not say so
    #[arg(long, default_value = "")]
    pub ex: String,
    /// `createTime` in Unix ms, as the caller of the API gave it
    #[arg(long, default_value_t = 0, conflicts_with = "count")]
    pub create_time: u64,
    /// The kind of device
    #[arg(long, value_enum, default_value = "ios", conflicts_with = "count")]
    pub platform: Platform,
    /// `connID`: servers from 3.2 to 3.7 send one
    #[arg(long, default_value = "", conflicts_with_all = ["server", "documented"])]
    pub conn_id: String,
    /// The age of the server that sends the online or offline
    #[arg(long, value_enum, default_value = "v3")]
    pub server: Server,
    /// `seq`: the Unix ms of an online or offline [default: now; none if `--documented`]
    #[arg(long, conflicts_with = "count")]
    pub seq: Option<u64>,
    /// As the published pages show it (`?command=`, `users` an object, a device without `seq` and
    /// `connID`), which no server sends
    #[arg(long)]
    pub documented: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            app: "main".to_owned(),
            users: vec!["ada".to_owned()],
            name: None,
            face_url: String::new(),
            ex: String::new(),
            create_time: 0,
            platform: Platform::Ios,
            conn_id: String::new(),
            server: Server::V3,
            seq: None,
            documented: false,
        }
    }
}

/// The age of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// 2.x: no `connID`, and online is reported once.
    V2,
    /// 3.x: `connID` is empty from 3.8.2 on, and online is repeated.
    V3,
}

/// One webhook.
pub type Event = Sent<EventName, Options>;

impl Event {
    /// What `connID` holds, if the key is there at all. While it is empty, a device is online only as
    /// long as that is repeated.
    #[must_use]
    pub fn connection(&self) -> Option<&str> {
        let Options { server, documented, conn_id, .. } = &self.options;
        let is_there = *server == Server::V3 && !documented;
        is_there.then_some(conn_id.as_str())
    }

    /// When a device came or went.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.options.seq.unwrap_or(self.now.0)
    }

    /// Whether the event has its own time. The published pages show no time of a device: the time of
    /// arrival counts.
    #[must_use]
    pub fn has_time(&self) -> bool {
        !self.options.documented || self.options.seq.is_some()
    }

    /// The webhook as the server sends it. Registrations carry the platform's secret in their body,
    /// as from 3.5 to 3.8.0; everything carries the userinfo of the callback URL.
    #[must_use]
    pub fn callback(&self, credentials: &AppCredentials) -> Callback {
        let Options { users, documented, platform, server, .. } = &self.options;
        let is_v2 = *server == Server::V2 && self.name.is_of_device();
        let secret = credentials.secrets.first().map(Secret::expose);
        let operation_id = format!("send_{}", self.now);
        let (command, route) = match (self.name, is_v2) {
            (EventName::UserRegister, _) if *documented => {
                ("userRegisterAfterCommand", Any::ROUTES[0])
            }
            (EventName::UserRegister, _) => {
                ("callbackAfterUserRegisterCommand", UserRegister::ROUTES[0])
            }
            (EventName::UserOnline, false) => {
                ("callbackAfterUserOnlineCommand", UserOnline::ROUTES[0])
            }
            (EventName::UserOnline, true) => ("callbackUserOnlineCommand", Any::ROUTES[0]),
            (EventName::UserOffline, false) => {
                ("callbackAfterUserOfflineCommand", UserOffline::ROUTES[0])
            }
            (EventName::UserOffline, true) => ("callbackUserOfflineCommand", Any::ROUTES[0]),
            (EventName::UserUpdate, _) => {
                ("callbackAfterUpdateUserInfoCommand", UserUpdate::ROUTES[0])
            }
            (EventName::UserUpdateEx, _) => {
                ("callbackAfterUpdateUserInfoExCommand", UserUpdate::ROUTES[1])
            }
        };
        let route = if *documented { Any::ROUTES[0] } else { route };
        let is_whole = !documented;
        let body = match self.name {
            EventName::UserRegister => {
                let mut infos: Vec<UserInfo<'_>> =
                    users.iter().map(|user| self.info(user)).collect();
                let users = match infos.pop() {
                    Some(only) if *documented && infos.is_empty() => Users::One(only),
                    last => {
                        infos.extend(last);
                        Users::Many(infos)
                    }
                };
                serde_json::to_string(&Register { callback_command: command, secret, users })
            }
            EventName::UserUpdate | EventName::UserUpdateEx => {
                serde_json::to_string(&self.update(command))
            }
            EventName::UserOnline | EventName::UserOffline => serde_json::to_string(&Device {
                callback_command: command,
                operation_id: is_whole.then_some(&operation_id),
                platform_id: *platform as u8,
                platform: platform.name(),
                user_id: users.first().map_or("ada", String::as_str),
                seq: self.has_time().then(|| self.at()),
                is_app_background: (self.name == EventName::UserOnline && is_whole && !is_v2)
                    .then_some(false),
                conn_id: self.connection(),
            }),
        };
        Callback {
            route,
            path_key: None,
            query: documented.then(|| format!("command={command}&contenttype=json")),
            headers: headers(operation_id, credentials),
            // Structs of strings and numbers always serialize.
            body: body.unwrap_or_default(),
        }
    }

    /// What the deprecated API did not change is empty, and what the other one did not is null. `ex`
    /// is never there.
    fn update<'a>(&'a self, command: &'a str) -> Update<'a> {
        let Options { users, name, face_url, .. } = &self.options;
        let unchanged = (self.name == EventName::UserUpdate).then_some("");
        let face_url = Some(face_url.as_str()).filter(|face_url| !face_url.is_empty());
        Update {
            callback_command: command,
            user_id: users.first().map_or("ada", String::as_str),
            nick_name: name.as_deref().or(unchanged),
            face_url: face_url.or(unchanged),
            ex: unchanged,
        }
    }

    fn info<'a>(&'a self, user: &'a str) -> UserInfo<'a> {
        UserInfo {
            user_id: user,
            nickname: self.options.name.as_deref().unwrap_or(user),
            face_url: &self.options.face_url,
            ex: &self.options.ex,
            create_time: self.options.create_time,
            app_manger_level: 0,
            global_recv_msg_opt: 0,
        }
    }
}

/// The webhook of the registration of users whose JSON is known, as the server sends it.
#[must_use]
pub fn registrations(users: &[&RawValue], credentials: &AppCredentials) -> Callback {
    let secret = credentials.secrets.first().map(Secret::expose);
    let callback_command = "callbackAfterUserRegisterCommand";
    let body = serde_json::to_string(&Register { callback_command, secret, users });
    Callback {
        route: UserRegister::ROUTES[0],
        path_key: None,
        query: None,
        headers: headers("import".to_owned(), credentials),
        // Texts and JSON always serialize.
        body: body.unwrap_or_default(),
    }
}

fn headers(operation_id: String, credentials: &AppCredentials) -> Vec<(&'static str, String)> {
    let mut headers = vec![("operationid", operation_id)];
    headers.extend(credentials.basic.first().map(|basic| {
        ("authorization", format!("Basic {}", BASE64_STANDARD.encode(basic.user_pass())))
    }));
    headers
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Register<'a, U> {
    callback_command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    users: U,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Users<'a> {
    One(UserInfo<'a>),
    Many(Vec<UserInfo<'a>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserInfo<'a> {
    #[serde(rename = "userID")]
    user_id: &'a str,
    nickname: &'a str,
    #[serde(rename = "faceURL")]
    face_url: &'a str,
    ex: &'a str,
    create_time: u64,
    app_manger_level: i32,
    global_recv_msg_opt: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Update<'a> {
    callback_command: &'a str,
    #[serde(rename = "userID")]
    user_id: &'a str,
    nick_name: Option<&'a str>,
    #[serde(rename = "faceURL")]
    face_url: Option<&'a str>,
    ex: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device<'a> {
    callback_command: &'a str,
    #[serde(rename = "operationID", skip_serializing_if = "Option::is_none")]
    operation_id: Option<&'a str>,
    #[serde(rename = "platformID")]
    platform_id: u8,
    platform: &'a str,
    #[serde(rename = "userID")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_app_background: Option<bool>,
    #[serde(rename = "connID", skip_serializing_if = "Option::is_none")]
    conn_id: Option<&'a str>,
}
