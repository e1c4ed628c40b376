//! Plays Tencent: Chat's state changes and TRTC's room events, real field for real field.

use clap::{Args, ValueEnum};
use rollcall::{
    callback::{Routed, Secret},
    providers::tencent::{ChatState, TrtcEvent, sign_chat, sign_trtc},
};
use serde_json::{Value, json};

use super::{Callback, Sent};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EventName {
    /// A device logs in to Chat, or connects again.
    ChatLogin,
    /// Its user logs out.
    ChatLogout,
    /// Its connection breaks.
    ChatDisconnect,
    /// Somebody enters a TRTC room.
    TrtcEnter,
    /// Somebody leaves it.
    TrtcExit,
    /// A room is created.
    TrtcCreate,
    /// It is dismissed.
    TrtcDismiss,
    /// Somebody becomes an anchor, or one of the audience.
    TrtcRole,
}

impl EventName {
    /// Whether it is an event of Chat's.
    #[must_use]
    pub fn is_chat(self) -> bool {
        matches!(self, Self::ChatLogin | Self::ChatLogout | Self::ChatDisconnect)
    }
}

/// What to send; everything has a sensible default.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The `SDKAppID`
    #[arg(long, default_value = "1400000000")]
    pub app: String,
    /// Who
    #[arg(long, default_value = "ada")]
    pub user: String,
    /// A string room; a number is another room than the same digits in a string
    #[arg(long, default_value = "lobby")]
    pub room: String,
    /// A numeric room
    #[arg(long, conflicts_with_all = ["room", "count"])]
    pub room_number: Option<u32>,
    /// `OptPlatform`
    #[arg(long, default_value = "iOS", conflicts_with = "count")]
    pub platform: String,
    /// `KickedDevice`: the platforms of which a login pushes devices offline
    #[arg(long, conflicts_with = "count")]
    pub kick: Vec<String>,
    /// `Reason` of a disconnect (`LinkClose`, `TimeOut`)
    #[arg(long, default_value = "LinkClose")]
    pub reason: String,
    /// `Reason` of an entry: 1 normal, 2 another network, 3 another try
    #[arg(long, default_value_t = 1)]
    pub enter_reason: u8,
    /// `Reason` of an exit: 1 normal, 2 timeout, 3 removed, 4 cross-room cancelled, 5 killed
    #[arg(long, default_value_t = 1)]
    pub exit_reason: u8,
    /// `Role`: 20 anchor, 21 audience
    #[arg(long, default_value_t = 21)]
    pub role: u16,
    /// `EventTime`, `EventMsTs` in Unix ms [default: now]
    #[arg(long, conflicts_with = "count")]
    pub time: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self::for_user("ada", "lobby")
    }
}

impl Options {
    /// The defaults, but for who is where.
    #[must_use]
    pub fn for_user(user: &str, room: &str) -> Self {
        Self {
            app: "1400000000".to_owned(),
            user: user.to_owned(),
            room: room.to_owned(),
            room_number: None,
            platform: "iOS".to_owned(),
            kick: Vec::new(),
            reason: "LinkClose".to_owned(),
            enter_reason: 1,
            exit_reason: 1,
            role: 21,
            time: None,
        }
    }
}

/// One callback.
pub type Event = Sent<EventName, Options>;

impl Event {
    /// When it happens.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.options.time.unwrap_or(self.now.0)
    }

    /// The callback as Tencent sends it, signed with Chat's token or TRTC's key.
    #[must_use]
    pub fn callback(&self, secret: &Secret) -> Callback {
        if self.name.is_chat() { self.chat(secret) } else { self.trtc(secret) }
    }

    fn chat(&self, token: &Secret) -> Callback {
        let Options { app, user, platform, kick, reason, .. } = &self.options;
        let (action, reason) = match self.name {
            EventName::ChatLogout => ("Logout", "Unregister"),
            EventName::ChatDisconnect => ("Disconnect", reason.as_str()),
            _ => ("Login", "Register"),
        };
        let mut body = json!({
            "CallbackCommand": ChatState::EVENT,
            "EventTime": self.at(),
            "Info": { "Action": action, "To_Account": user, "Reason": reason }
        });
        if !kick.is_empty() {
            body["KickedDevice"] = kick.iter().map(|name| json!({ "Platform": name })).collect();
        }
        let time = self.now.seconds().to_string();
        let sign = sign_chat(token, &time);
        let command = ChatState::EVENT;
        let query = format!(
            "SdkAppid={app}&CallbackCommand={command}&contenttype=json&ClientIP=127.0.0.1\
             &OptPlatform={platform}&Sign={sign}&RequestTime={time}"
        );
        let route = ChatState::ROUTES[0];
        Callback { route, query: Some(query), headers: Vec::new(), body: body.to_string() }
    }

    fn trtc(&self, key: &Secret) -> Callback {
        let Options { app, user, room, room_number, role, enter_reason, exit_reason, .. } =
            &self.options;
        let at = self.at();
        let room: Value = room_number.map_or_else(|| json!(room), |number| json!(number));
        let mut info = json!({ "RoomId": room, "EventTs": at / 1000, "EventMsTs": at });
        let event = match self.name {
            EventName::TrtcCreate => 101,
            EventName::TrtcDismiss => 102,
            EventName::TrtcEnter => 103,
            EventName::TrtcExit => 104,
            _ => 105,
        };
        if event != 102 {
            info["UserId"] = json!(user);
        }
        if event >= 103 {
            info["Role"] = json!(role);
        }
        if event == 103 {
            info["TerminalType"] = json!(2);
            info["UserType"] = json!(3);
            info["Reason"] = json!(enter_reason);
        }
        if event == 104 {
            info["Reason"] = json!(exit_reason);
        }
        let body = json!({
            "EventGroupId": 1, "EventType": event, "CallbackTs": self.now.0, "EventInfo": info
        });
        // The real ones are tab-formatted, which the signature covers.
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, tabs);
        // JSON values always serialize.
        let _ = serde::Serialize::serialize(&body, &mut serializer);
        let sign = sign_trtc(key, &text);
        Callback {
            route: TrtcEvent::ROUTES[0],
            query: None,
            headers: vec![("sign", sign), ("sdkappid", app.clone())],
            body: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}
