//! Plays Tencent: Chat's state changes, TRTC's room events, and those of `RoomEngine` and Live, real
//! field for real field.

use std::fmt::{self, Write};

use clap::{Args, ValueEnum};
use rollcall::{
    callback::{Routed, Secret},
    providers::tencent::{ChatState, RoomEvent, TrtcEvent, sign_chat, sign_trtc},
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
    /// A room is created in RoomEngine.
    RoomCreate,
    /// It is destroyed.
    RoomDestroy,
    /// Somebody enters it.
    RoomEnter,
    /// Somebody leaves it.
    RoomLeave,
    /// Its name or its owner changes.
    RoomUpdate,
    /// A room is created in Live.
    LiveCreate,
    /// It is destroyed.
    LiveDestroy,
    /// Somebody is online in it.
    LiveOnline,
    /// Somebody is offline.
    LiveOffline,
}

/// Which of Tencent's products sends an event: each proves itself in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// By Chat's token.
    Chat,
    /// By TRTC's key.
    Trtc,
    /// By the key in the path.
    Room,
    /// By Live's token.
    Live,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Trtc => "trtc",
            Self::Room => "room",
            Self::Live => "live",
        })
    }
}

impl EventName {
    /// Which product sends it.
    #[must_use]
    pub fn product(self) -> Product {
        match self {
            Self::ChatLogin | Self::ChatLogout | Self::ChatDisconnect => Product::Chat,
            Self::TrtcEnter
            | Self::TrtcExit
            | Self::TrtcCreate
            | Self::TrtcDismiss
            | Self::TrtcRole => Product::Trtc,
            Self::RoomCreate
            | Self::RoomDestroy
            | Self::RoomEnter
            | Self::RoomLeave
            | Self::RoomUpdate => Product::Room,
            Self::LiveCreate | Self::LiveDestroy | Self::LiveOnline | Self::LiveOffline => {
                Product::Live
            }
        }
    }

    /// Whether it is an event of Chat's.
    #[must_use]
    pub fn is_chat(self) -> bool {
        self.product() == Product::Chat
    }

    /// Whether it is an event of TRTC's.
    #[must_use]
    pub fn is_trtc(self) -> bool {
        self.product() == Product::Trtc
    }

    /// Whether it is an event of `RoomEngine`'s or of Live's.
    #[must_use]
    pub fn is_room_engine(self) -> bool {
        matches!(self.product(), Product::Room | Product::Live)
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
    /// `Type` of a leave in RoomEngine (`Leave`, `Kicked`, `Expired`)
    #[arg(long, default_value = "Leave")]
    pub leave_type: String,
    /// `EventCause` in Live (`Enter`, `HeartbeatRecover`; `Leave`, `HeartbeatInterrupt`, `Kicked`)
    /// [default: Enter or Leave]
    #[arg(long)]
    pub cause: Option<String>,
    /// Another user in the same callback of RoomEngine or Live; may be repeated
    #[arg(long, value_name = "USER", conflicts_with = "count")]
    pub also: Vec<String>,
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
            leave_type: "Leave".to_owned(),
            cause: None,
            also: Vec::new(),
            time: None,
        }
    }

    /// The people whom a callback of `RoomEngine` or Live is about.
    pub fn people(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.user).chain(&self.also)
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

    /// The callback as Tencent sends it, with the secret of its product.
    #[must_use]
    pub fn callback(&self, secret: &Secret) -> Callback {
        match self.name.product() {
            Product::Chat => self.chat(secret),
            Product::Trtc => self.trtc(secret),
            Product::Room | Product::Live => self.room_engine(secret),
        }
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
        let (path_key, query, headers) = (None, Some(query), Vec::new());
        Callback { route, path_key, query, headers, body: body.to_string() }
    }

    fn room_engine(&self, secret: &Secret) -> Callback {
        let Options { app, user, room, leave_type, cause, .. } = &self.options;
        let (at, people) = (self.at(), self.options.people().collect::<Vec<_>>());
        let is_live = self.name.product() == Product::Live;
        let mut info = json!({
            "RoomId": room, "RoomName": room, "RoomType": if is_live { "Live" } else { "Meeting" },
            "Owner_Account": user, "MaxMemberCount": 300, "IsMessageDisabled": false,
            "CustomInfo": "", "IsSeatEnabled": true, "TakeSeatMode": "ApplyToTake",
            "MaxSeatCount": 8, "CreateTime": at / 1000
        });
        let mut body = match self.name {
            EventName::RoomCreate => {
                info["ScheduleStartTime"] = json!(at / 1000);
                info["ScheduleEndTime"] = json!(at / 1000 + 3600);
                info["RoomStatus"] = json!("Running");
                json!({
                    "CallbackCommand": "Room.CallbackAfterCreateRoom", "Operator_Account": user,
                    "RoomInfo": info, "ScheduleInviteeList_Account": []
                })
            }
            EventName::LiveCreate => {
                info["IsPublicVisible"] = json!(true);
                info["CoverURL"] = json!("");
                info["Category"] = json!([1, 2]);
                json!({
                    "CallbackCommand": "Live.CallbackAfterCreateRoom", "Operator_Account": user,
                    "RoomInfo": info
                })
            }
            EventName::RoomUpdate => json!({
                "CallbackCommand": "Room.CallbackAfterUpdateRoomInfo", "Operator_Account": user,
                "RoomInfo": {
                    "RoomId": room, "RoomName": "New", "Owner_Account": user,
                    "IsCloudRecordingDisabled": "false"
                }
            }),
            EventName::RoomDestroy => json!({
                "CallbackCommand": "Room.CallbackAfterDestroyRoom", "Operator_Account": "admin",
                "RoomId": room
            }),
            EventName::LiveDestroy => json!({
                "CallbackCommand": "Live.CallbackAfterDestroyRoom", "Operator_Account": user,
                "RoomId": room, "EventType": "DestroyByUser",
                // As the page shows the owner: a number, where a text is documented.
                "RoomInfo": {
                    "RoomName": room, "RoomType": "Live",
                    "Owner_Account": 144_115_216_631_667_826_u64, "ViewCount": 0
                }
            }),
            EventName::RoomEnter | EventName::RoomLeave => {
                let is_enter = self.name == EventName::RoomEnter;
                let command = if is_enter { "Enter" } else { "Leave" };
                let mut body = json!({
                    "CallbackCommand": format!("Room.CallbackAfterMember{command}"),
                    "Operator_Account": if leave_type == "Kicked" { "admin" } else { user.as_str() },
                    "RoomId": room, "MemberCount": people.len(),
                    "Type": if is_enter { "Enter" } else { leave_type.as_str() },
                    "MemberList_Account": people
                });
                if !is_enter {
                    body["Reason"] = json!("free text");
                }
                body
            }
            _ => {
                let (state, usual) = match self.name {
                    EventName::LiveOnline => ("Online", "Enter"),
                    _ => ("Offline", "Leave"),
                };
                let members = people.iter().map(|user| json!({ "Member_Account": user }));
                json!({
                    "CallbackCommand": "Live.CallbackAfterMemberStateChanged", "RoomId": room,
                    "EventType": state, "EventCause": cause.as_deref().unwrap_or(usual),
                    "MemberList": members.collect::<Vec<_>>()
                })
            }
        };
        body["EventTime"] = json!(at);
        let command = body["CallbackCommand"].as_str().unwrap_or_default();
        let mut query = format!(
            "SdkAppid={app}&CallbackCommand={command}&contenttype=json&ClientIP=127.0.0.1\
             &OptPlatform=RESTAPI"
        );
        let [plain, keyed] = [RoomEvent::ROUTES[0], RoomEvent::ROUTES[1]];
        let (route, path_key) = if is_live {
            let time = self.now.seconds().to_string();
            let _ = write!(query, "&Sign={}&RequestTime={time}", sign_chat(secret, &time));
            (plain, None)
        } else {
            (keyed, Some(secret.expose().to_owned()))
        };
        let (query, headers) = (Some(query), Vec::new());
        Callback { route, path_key, query, headers, body: body.to_string() }
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
            path_key: None,
            query: None,
            headers: vec![("sign", sign), ("sdkappid", app.clone())],
            body: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}
