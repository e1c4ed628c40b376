//! Plays ZEGOCLOUD: room callbacks, real field for real field.
//!
//! ZEGO knows who is in which room; so that one command's logout fits another one's login, that
//! knowledge is kept in a file.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use rollcall::{
    callback::Secret,
    domain::{UnixMillis, UnixSeconds},
    endpoint::Endpoint,
    providers::zego::{RoomClose, RoomCreate, RoomLogin, RoomLogout, sign},
};
use serde::{Deserialize, Serialize};

use super::Callback;

/// The room callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventName {
    /// Somebody enters a room.
    RoomLogin,
    /// Somebody leaves it.
    RoomLogout,
    /// A room is created.
    RoomCreate,
    /// It is closed.
    RoomClose,
}

impl EventName {
    /// Whether it is about somebody in a room.
    #[must_use]
    pub fn is_seat(self) -> bool {
        match self {
            Self::RoomLogin | Self::RoomLogout => true,
            Self::RoomCreate | Self::RoomClose => false,
        }
    }

    fn endpoint(self) -> Endpoint {
        match self {
            Self::RoomLogin => Endpoint::of::<RoomLogin>(),
            Self::RoomLogout => Endpoint::of::<RoomLogout>(),
            Self::RoomCreate => Endpoint::of::<RoomCreate>(),
            Self::RoomClose => Endpoint::of::<RoomClose>(),
        }
    }
}

/// One event in a room, with everything that ZEGO reports about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which event.
    pub name: EventName,
    /// `appid`.
    pub app: String,
    /// `room_id`.
    pub room: String,
    /// `room_seq`, `room_session_id`.
    pub life: u64,
    /// `user_account`, `id_name`.
    pub user: String,
    /// `user_nickname`.
    pub nickname: String,
    /// `session_id`.
    pub session: String,
    /// `login_time`.
    pub login_time: UnixMillis,
    /// `logout_time`, `room_create_time`, `room_close_time`.
    pub at: UnixMillis,
    /// `user_update_seq`.
    pub sequence: u64,
    /// `user_role`.
    pub role: u16,
    /// `relogin`.
    pub relogin: bool,
    /// `reason`, `close_reason`.
    pub reason: u8,
}

impl Event {
    /// The callback of this event as ZEGO sends it: all strings in login and logout, some numbers
    /// in create and close.
    #[must_use]
    pub fn callback(&self, secret: &Secret, signed_at: UnixSeconds, nonce: &str) -> Callback {
        let timestamp = signed_at.to_string();
        let common = Common {
            event: self.name.endpoint().event,
            nonce,
            signature: &sign(secret, &timestamp, nonce),
            room_id: &self.room,
        };
        let seat = || Seat {
            common: &common,
            appid: &self.app,
            timestamp: &timestamp,
            room_seq: self.life.to_string(),
            user_account: &self.user,
            user_nickname: &self.nickname,
            session_id: &self.session,
            login_time: self.login_time.to_string(),
            user_role: self.role.to_string(),
            user_update_seq: self.sequence.to_string(),
        };
        let life = || Life {
            common: &common,
            appid: Appid::from(self.app.as_str()),
            timestamp: signed_at.0,
            room_session_id: self.life,
        };
        let body = match self.name {
            EventName::RoomLogin => serde_json::to_string(&Login {
                seat: seat(),
                room_name: &self.room,
                auth_level: "4",
                relogin: if self.relogin { "1" } else { "0" },
                callback_data: "",
                term_type: "6",
            }),
            EventName::RoomLogout => serde_json::to_string(&Logout {
                seat: seat(),
                logout_time: self.at.to_string(),
                reason: self.reason.to_string(),
            }),
            EventName::RoomCreate => serde_json::to_string(&Create {
                life: life(),
                room_create_time: self.at.to_string(),
                id_name: &self.user,
            }),
            EventName::RoomClose => serde_json::to_string(&Close {
                life: life(),
                close_reason: self.reason,
                room_close_time: self.at.to_string(),
            }),
        };
        // Structs of strings and numbers always serialize.
        let body = body.unwrap_or_default();
        let (route, path_key) = (self.name.endpoint().routes[0], None);
        Callback { route, path_key, query: None, headers: Vec::new(), body }
    }
}

#[derive(Serialize)]
struct Common<'a> {
    event: &'static str,
    nonce: &'a str,
    signature: &'a str,
    room_id: &'a str,
}

#[derive(Serialize)]
struct Seat<'a> {
    #[serde(flatten)]
    common: &'a Common<'a>,
    appid: &'a str,
    timestamp: &'a str,
    room_seq: String,
    user_account: &'a str,
    user_nickname: &'a str,
    session_id: &'a str,
    login_time: String,
    user_role: String,
    user_update_seq: String,
}

#[derive(Serialize)]
struct Login<'a> {
    #[serde(flatten)]
    seat: Seat<'a>,
    room_name: &'a str,
    auth_level: &'static str,
    relogin: &'static str,
    callback_data: &'static str,
    term_type: &'static str,
}

#[derive(Serialize)]
struct Logout<'a> {
    #[serde(flatten)]
    seat: Seat<'a>,
    logout_time: String,
    reason: String,
}

#[derive(Serialize)]
struct Life<'a> {
    #[serde(flatten)]
    common: &'a Common<'a>,
    appid: Appid<'a>,
    timestamp: u64,
    room_session_id: u64,
}

#[derive(Serialize)]
struct Create<'a> {
    #[serde(flatten)]
    life: Life<'a>,
    room_create_time: String,
    id_name: &'a str,
}

#[derive(Serialize)]
struct Close<'a> {
    #[serde(flatten)]
    life: Life<'a>,
    close_reason: u8,
    room_close_time: String,
}

/// An `AppID` is a number; a made-up one may be a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Appid<'a> {
    Number(u32),
    Text(&'a str),
}

impl<'a> From<&'a str> for Appid<'a> {
    fn from(app: &'a str) -> Self {
        app.parse().map_or(Self::Text(app), Self::Number)
    }
}

/// A nonce as ZEGO makes them, as far as the known ones show: the seconds in the
/// upper half, something random in the lower one.
#[must_use]
pub fn nonce(signed_at: UnixSeconds) -> String {
    ((signed_at.0 << 32) | u64::from(fastrand::u32(..1 << 31))).to_string()
}

/// What to send; everything has a sensible default.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The ZEGO `AppID`
    #[arg(long, default_value = "1")]
    pub app: String,
    /// Who
    #[arg(long, default_value = "ada")]
    pub user: String,
    /// Where
    #[arg(long, default_value = "lobby")]
    pub room: String,
    /// Display name [default: the user]
    #[arg(long)]
    pub name: Option<String>,
    /// 1 anchor, 2 audience, 4 admin (recorders and moderation, not counted as people)
    #[arg(long, default_value_t = 2)]
    pub role: u16,
    /// `reason` of a logout (0 normal, 1 heartbeat timeout, 2 disconnected, 3 kicked or logged in
    /// again, 4 token expired), `close_reason` of a close
    #[arg(long, default_value_t = 0)]
    pub reason: u8,
    /// `room_seq`: the life of the room [default: the one that was begun last]
    #[arg(long, conflicts_with = "count")]
    pub life: Option<u64>,
    /// `session_id` [default: a new one at login, the same at logout]
    #[arg(long, conflicts_with = "count")]
    pub session: Option<String>,
    /// `login_time` in Unix ms [default: now at login, the same at logout]
    #[arg(long, conflicts_with = "count")]
    pub login_time: Option<u64>,
    /// Unix ms of a logout, a create or a close [default: now]
    #[arg(long, conflicts_with = "count")]
    pub time: Option<u64>,
    /// `user_update_seq` [default: one more than last time]
    #[arg(long, conflicts_with = "count")]
    pub seq: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self::for_user("1", "ada", "lobby")
    }
}

impl Options {
    /// The defaults, but for who is where.
    #[must_use]
    pub fn for_user(app: &str, user: &str, room: &str) -> Self {
        Self {
            app: app.to_owned(),
            user: user.to_owned(),
            room: room.to_owned(),
            name: None,
            role: 2,
            reason: 0,
            life: None,
            session: None,
            login_time: None,
            time: None,
            seq: None,
        }
    }
}

/// What ZEGO knows: by app and room, who is in it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Rooms(BTreeMap<String, BTreeMap<String, Room>>);

#[derive(Debug, Serialize, Deserialize)]
struct Room {
    life: u64,
    began_at: u64,
    create_sent: bool,
    close_sent: bool,
    sequence: u64,
    users: BTreeMap<String, Session>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    id: String,
    login_time: u64,
}

impl Room {
    fn begin(life: Option<u64>, now: UnixMillis) -> Self {
        let life = life.unwrap_or_else(|| fastrand::u64(1 << 62..1 << 63));
        Self {
            life,
            began_at: now.0,
            create_sent: false,
            close_sent: false,
            sequence: 0,
            users: BTreeMap::new(),
        }
    }
}

impl Session {
    fn begin(now: UnixMillis) -> Self {
        // ZEGO's session ids look like snowflakes that count from this moment.
        const EPOCH: u64 = 1_474_802_888_000;
        let id = (now.0.saturating_sub(EPOCH) << 22) | fastrand::u64(..1 << 22);
        Self { id: id.to_string(), login_time: now.0 }
    }
}

impl Rooms {
    /// The file in a data folder.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("sent-zego.json")
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

    /// What happens now: the next event in a room, with the ids that fit what happened before.
    pub fn happen(&mut self, name: EventName, options: &Options, now: UnixMillis) -> Event {
        let rooms = self.0.entry(options.app.clone()).or_default();
        let begin = || Room::begin(options.life, now);
        let room = rooms.entry(options.room.clone()).or_insert_with(begin);
        let begins_anew = match name {
            EventName::RoomLogin => room.close_sent,
            EventName::RoomCreate => room.create_sent,
            // The others may come late.
            _ => false,
        };
        if options.life.map_or(begins_anew, |life| life != room.life) {
            *room = begin();
        }
        let was_in = room.users.get(&options.user).cloned();
        let at = if name == EventName::RoomCreate { room.began_at } else { now.0 };
        let relogin = name == EventName::RoomLogin && was_in.is_some();
        let of_logout = was_in.filter(|_| name == EventName::RoomLogout);
        let session = of_logout.unwrap_or_else(|| Session::begin(now));
        let session = Session {
            id: options.session.clone().unwrap_or(session.id),
            login_time: options.login_time.unwrap_or(session.login_time),
        };
        let event = Event {
            name,
            app: options.app.clone(),
            room: options.room.clone(),
            life: room.life,
            user: options.user.clone(),
            nickname: options.name.clone().unwrap_or_else(|| options.user.clone()),
            session: session.id.clone(),
            login_time: UnixMillis(session.login_time),
            at: UnixMillis(options.time.unwrap_or(at)),
            sequence: options.seq.unwrap_or(room.sequence + 1),
            role: options.role,
            relogin,
            reason: options.reason,
        };
        match name {
            EventName::RoomLogin => {
                room.sequence = event.sequence;
                room.users.insert(options.user.clone(), session);
            }
            EventName::RoomLogout => {
                room.sequence = event.sequence;
                room.users.remove(&options.user);
            }
            EventName::RoomCreate => room.create_sent = true,
            EventName::RoomClose => {
                room.close_sent = true;
                room.users.clear();
            }
        }
        event
    }
}
