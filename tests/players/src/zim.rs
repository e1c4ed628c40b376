//! Plays ZEGOCLOUD's ZIM: who is online, and its own rooms, real field for real field.
//!
//! ZIM knows the sessions of its users; so that one command's logout fits another one's login, that
//! knowledge is kept in a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum, builder::PossibleValue};
use rollcall::{
    callback::Secret,
    domain::{UnixMillis, UnixSeconds},
    endpoint::Endpoint,
    providers::zego::{RoomEvent, UserAction, sign},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Callback, zego};

/// The callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventName {
    /// A user of ZIM logs in, logs out or loses the connection: see --action.
    UserAction,
    /// Somebody enters a room of ZIM's.
    RoomEnter,
    /// One or more people leave it.
    RoomExit,
    /// A room of ZIM's is created: `room_create`, as RTC calls its own event.
    ZimRoomCreate,
    /// It is destroyed.
    RoomDestroy,
}

/// What a user of ZIM does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// `action` 0
    #[default]
    Login,
    /// `action` 1
    Logout,
    /// `action` 2: the connection is lost
    Offline,
}

/// An event of RTC's or of ZIM's, as one list of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfZego {
    /// RTC's.
    Rtc(zego::EventName),
    /// ZIM's.
    Zim(EventName),
}

impl ValueEnum for OfZego {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Rtc(zego::EventName::RoomLogin),
            Self::Rtc(zego::EventName::RoomLogout),
            Self::Rtc(zego::EventName::RoomCreate),
            Self::Rtc(zego::EventName::RoomClose),
            Self::Zim(EventName::UserAction),
            Self::Zim(EventName::RoomEnter),
            Self::Zim(EventName::RoomExit),
            Self::Zim(EventName::ZimRoomCreate),
            Self::Zim(EventName::RoomDestroy),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Rtc(name) => name.to_possible_value(),
            Self::Zim(name) => name.to_possible_value(),
        }
    }
}

/// How a callback says when something happened.
#[expect(clippy::struct_excessive_bools, reason = "each is a way of its own to write a callback")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spelling {
    /// Whether an end has the `login_time` of its session.
    pub login_time_missing: bool,
    /// Whether the time of the event itself is missing: then `timestamp` is all there is.
    pub own_time_missing: bool,
    /// Whether an end has no `os`.
    pub os_missing: bool,
    /// Whether times are texts.
    pub as_text: bool,
    /// Whether the `timestamp` of an event in a room has milliseconds.
    pub in_millis: bool,
}

/// One event of ZIM's, with everything that ZEGO reports about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which event.
    pub name: EventName,
    /// `appid`.
    pub app: String,
    /// `user_id`, `operator_account`, `exit_user_ids`.
    pub user: String,
    /// The other `exit_user_ids`, and all `user_ids`.
    pub others: Vec<String>,
    /// `room_id`.
    pub room: String,
    /// `user_name`, `room_name`.
    pub label: String,
    /// `os`.
    pub os: String,
    /// `action`.
    pub action: Action,
    /// `session_id`.
    pub session: String,
    /// `login_time`, in ms.
    pub login_time: UnixMillis,
    /// When it happens, in ms: `logout_time`, `offline_time`, and the `timestamp` of a room's event.
    pub at: UnixMillis,
    /// Whether `exit_type` is `Kickout`.
    pub is_kicked: bool,
    /// How times are written.
    pub spelling: Spelling,
}

impl EventName {
    /// The callback type that it belongs to.
    fn endpoint(self) -> Endpoint {
        match self {
            Self::UserAction => Endpoint::of::<UserAction>(),
            _ => Endpoint::of::<RoomEvent>(),
        }
    }

    /// As ZIM calls it.
    fn event(self) -> &'static str {
        match self {
            Self::UserAction => "user_action",
            Self::RoomEnter => "room_enter",
            Self::RoomExit => "room_exit",
            Self::ZimRoomCreate => "room_create",
            Self::RoomDestroy => "room_destroy",
        }
    }
}

impl Event {
    /// Whether its `timestamp` is when it happened, and not just when it was sent.
    fn is_stamped(&self) -> bool {
        self.name != EventName::UserAction || self.spelling.own_time_missing
    }

    /// When it happened as its callback says, in ms: in whole seconds, unless it has milliseconds.
    #[must_use]
    pub fn told_at(&self) -> u64 {
        if self.name != EventName::UserAction && self.spelling.in_millis {
            self.at.0
        } else {
            self.at.0 / 1000 * 1000
        }
    }

    /// Whether a user logs in.
    #[must_use]
    pub fn is_login(&self) -> bool {
        self.name == EventName::UserAction && self.action == Action::Login
    }

    /// When its session logged in, in ms, if the callback says so: at a login and at most ends.
    #[must_use]
    pub fn told_login_at(&self) -> Option<u64> {
        match self.action {
            _ if self.name != EventName::UserAction => None,
            Action::Login => Some(self.told_at()),
            _ if self.spelling.login_time_missing => None,
            _ => Some(self.login_time.0 / 1000 * 1000),
        }
    }

    /// The people to whom it happens. To nobody happens that a room is created.
    pub fn users(&self) -> impl Iterator<Item = &String> {
        let own = match self.name {
            EventName::UserAction | EventName::RoomEnter | EventName::RoomExit => Some(&self.user),
            EventName::ZimRoomCreate | EventName::RoomDestroy => None,
        };
        let has_others = matches!(self.name, EventName::RoomExit | EventName::RoomDestroy);
        own.into_iter().chain(self.others.iter().filter(move |_| has_others))
    }

    /// Why those leave to whom it happens, as answers call it; none if they enter.
    #[must_use]
    pub fn leave_reason(&self) -> Option<&'static str> {
        match self.name {
            EventName::RoomExit if self.is_kicked => Some("kicked"),
            EventName::RoomExit => Some("normal"),
            EventName::RoomDestroy => Some("room_closed"),
            _ => None,
        }
    }

    /// The room, as Rollcall writes it.
    #[must_use]
    pub fn room_id(&self) -> String {
        format!("z:{}", self.room)
    }

    /// The callback of this event as ZEGO sends it. Its `timestamp` is `signed_at`, unless that is when
    /// the event happened.
    #[must_use]
    pub fn callback(&self, secret: &Secret, signed_at: UnixSeconds, nonce: &str) -> Callback {
        let timestamp = match self.is_stamped() {
            false => signed_at.0,
            true if self.spelling.in_millis && self.name != EventName::UserAction => self.at.0,
            true => self.at.seconds().0,
        };
        let mut body = json!({
            "appid": self.app,
            "event": self.name.event(),
            "timestamp": timestamp,
            "nonce": nonce,
            "signature": sign(secret, &timestamp.to_string(), nonce),
        });
        let fields = match self.name {
            EventName::UserAction => self.user_action(),
            EventName::RoomEnter => json!({ "operator_account": self.user }),
            EventName::RoomExit => json!({
                "exit_type": if self.is_kicked { "Kickout" } else { "Quit" },
                "exit_user_ids": self.users().collect::<Vec<_>>(),
                "operator_account": if self.is_kicked { "moderator" } else { &self.user },
            }),
            EventName::ZimRoomCreate => json!({
                "operator_account": self.user,
                "room_name": self.label,
                "attributes": [{ "key": "topic", "value": "1", "auto_delete": 1 }],
            }),
            EventName::RoomDestroy => {
                json!({ "user_ids": self.others, "operator_account": self.user })
            }
        };
        if self.name != EventName::UserAction {
            body["room_id"] = json!(self.room);
        }
        if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
            body.extend(fields);
        }
        let route = self.name.endpoint().routes[0];
        Callback { route, query: None, headers: Vec::new(), body: body.to_string(), path_key: None }
    }

    fn user_action(&self) -> Value {
        let Spelling { login_time_missing, own_time_missing, os_missing, as_text, .. } =
            self.spelling;
        let is_login = self.action == Action::Login;
        let time = |at: UnixMillis| {
            let seconds = at.seconds().0;
            if as_text { json!(seconds.to_string()) } else { json!(seconds) }
        };
        let mut fields = json!({
            "user_id": self.user,
            "user_name": self.label,
            "action": self.action as u8,
            "session_id": self.session,
            "relogin": "0",
        });
        if is_login || !os_missing {
            fields["os"] = json!(self.os);
        }
        let own = match self.action {
            Action::Login => "login_time",
            Action::Logout => "logout_time",
            Action::Offline => "offline_time",
        };
        if !is_login && !login_time_missing {
            fields["login_time"] = time(self.login_time);
        }
        fields[own] = match own_time_missing {
            false => time(self.at),
            // Whether a field is missing, 0 or empty is not documented.
            true if as_text => json!(""),
            true => json!(0),
        };
        if self.action == Action::Logout {
            fields["logout_reason"] = json!("");
        }
        fields
    }
}

/// What to send of ZIM's, besides what RTC's events have, too.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What the user does (of user-action)
    #[arg(long, value_enum, default_value_t = Action::Login)]
    pub action: Action,
    /// `os`: PC, `IOS_PHONE`, ANDROID, MAC, LINUX, WEB, MINIPROGRAM, `ANDROID_TV` (of user-action)
    #[arg(long, default_value = "ANDROID")]
    pub os: String,
    /// Others who leave in the same callback (of room-exit), or who are still in (of room-destroy)
    #[arg(long)]
    pub other: Vec<String>,
    /// Those who leave were kicked out (of room-exit)
    #[arg(long)]
    pub kicked: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (action, os) = (Action::Login, "ANDROID".to_owned());
        Self { action, os, other: Vec::new(), kicked: false }
    }
}

/// What ZIM knows: by app and user, the sessions that last. The newest one comes last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sessions(BTreeMap<String, BTreeMap<String, Vec<Session>>>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    id: String,
    login_time: u64,
    os: String,
}

impl Sessions {
    /// The file in a data folder.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("sent-zim.json")
    }

    /// Reads what was sent before; nothing, if the file is not there or is not ours.
    #[must_use]
    pub fn read(file: &Path) -> Self {
        let text = std::fs::read(file).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps it for the next time.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, serde_json::to_vec_pretty(self)?)
    }

    /// What happens now: the next event, with the ids that fit what happened before.
    pub fn happen(
        &mut self,
        name: EventName,
        common: &zego::Options,
        options: &Options,
        now: UnixMillis,
    ) -> Event {
        let users = self.0.entry(common.app.clone()).or_default();
        let sessions = users.entry(common.user.clone()).or_default();
        let is_login = options.action == Action::Login;
        let new = || {
            // The ids in the samples have 18 digits.
            let id = 940_000_000_000_000_000 + fastrand::u64(..10_000_000_000_000_000);
            Session { id: id.to_string(), login_time: now.0, os: options.os.clone() }
        };
        let session = sessions.last().cloned().filter(|_| !is_login).unwrap_or_else(new);
        let session = Session {
            id: common.session.clone().unwrap_or(session.id),
            login_time: common.login_time.unwrap_or(session.login_time),
            ..session
        };
        if name == EventName::UserAction {
            sessions.retain(|known| known.id != session.id);
            sessions.extend(is_login.then(|| session.clone()));
        }
        let at = if is_login && name == EventName::UserAction { session.login_time } else { now.0 };
        Event {
            name,
            app: common.app.clone(),
            user: common.user.clone(),
            others: options.other.clone(),
            room: common.room.clone(),
            label: common.name.clone().unwrap_or_else(|| match name {
                EventName::UserAction => common.user.clone(),
                _ => common.room.clone(),
            }),
            os: session.os,
            action: options.action,
            session: session.id,
            login_time: UnixMillis(session.login_time),
            at: UnixMillis(common.time.unwrap_or(at)),
            is_kicked: options.kicked,
            spelling: Spelling::default(),
        }
    }
}
