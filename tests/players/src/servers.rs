//! What the providers themselves know: who is in which room, who is connected, who is registered.
//! Their server APIs answer from it, whether or not a callback about it arrived.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Event, openim, tencent, world::Reported, zego, zim};

/// A Chat client of before 2021 that was kicked by its own platform logs out at most so many ms
/// later. The user is connected elsewhere by then.
const OLD_CLIENTS_LOGOUT: u64 = 5000;

/// What each provider's servers know at one moment, by app.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Servers {
    /// ZEGO's rooms with anybody in them, by their ids.
    pub zego: BTreeMap<String, BTreeMap<String, Room>>,
    /// The users who ever logged in to ZIM.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub zim: BTreeMap<String, BTreeMap<String, ZimUser>>,
    /// The users who ever logged in to Chat.
    pub chat: BTreeMap<String, BTreeMap<String, Account>>,
    /// The users whom an `OpenIM` server knows.
    pub openim: BTreeMap<String, BTreeMap<String, Member>>,
}

/// A room of ZEGO's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its life.
    pub life: u64,
    /// Who is in it.
    pub people: BTreeMap<String, Occupant>,
}

/// Somebody in a room of ZEGO's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupant {
    /// The session.
    pub session: String,
    /// The nickname.
    pub name: String,
    /// 1 anchor, 2 audience, 4 admin.
    pub role: u16,
    /// Unix ms.
    pub login_time: u64,
}

/// A user of ZIM.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZimUser {
    /// The sessions that are connected.
    pub online: BTreeSet<String>,
    /// Whether the last connection was lost, and nobody logged out.
    pub is_lost: bool,
}

/// A user of Chat.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The platforms, as callbacks name them, that are connected or still reached by pushes.
    pub platforms: BTreeMap<String, Link>,
    /// When a platform was last kicked by itself, in Unix ms.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kicked: BTreeMap<String, u64>,
}

/// How a platform of a Chat user is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// It is connected.
    Online,
    /// It is a phone that lost its connection without a logout.
    Push,
}

/// A user of an `OpenIM` server.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// What was registered, if it was.
    pub profile: Option<Profile>,
    /// The platforms, by the server's numbers, that are connected.
    pub platforms: BTreeSet<u8>,
}

/// A registered user of an `OpenIM` server.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// `nickname`.
    pub nickname: String,
    /// `faceURL`.
    pub face_url: String,
    /// `ex`.
    pub ex: String,
    /// When the server stored it, in Unix ms. The callback has the caller's time instead.
    pub create_time: u64,
}

impl Servers {
    /// What was known at a moment, in Unix ms, after what was reported until then.
    #[must_use]
    pub fn at(reported: &[Reported], at: u64) -> Self {
        let mut until: Vec<&Reported> = reported.iter().filter(|event| event.at <= at).collect();
        until.sort_by_key(|event| event.at);
        let mut servers = Self::default();
        for reported in until {
            servers.happen(&reported.event);
        }
        servers
    }

    /// Something happens. Events have to come in the order in which they happen.
    pub fn happen(&mut self, event: &Event) {
        match event {
            Event::Zego(event) => self.happen_in_room(event),
            Event::Zim(event) => self.happen_in_zim(event),
            Event::Tencent(event) if event.name.is_chat() => self.happen_in_chat(event),
            // No server API is asked about the rooms of Tencent's products.
            Event::Tencent(_) => {}
            Event::OpenIm(event) => self.happen_in_openim(event),
        }
    }

    fn happen_in_room(&mut self, event: &zego::Event) {
        let rooms = self.zego.entry(event.app.clone()).or_default();
        match event.name {
            zego::EventName::RoomCreate => {
                rooms.retain(|id, room| *id != event.room || room.life == event.life);
            }
            zego::EventName::RoomLogin => {
                let new = || Room { life: event.life, people: BTreeMap::new() };
                let room = rooms.entry(event.room.clone()).or_insert_with(new);
                if room.life != event.life {
                    *room = new();
                }
                let occupant = Occupant {
                    session: event.session.clone(),
                    name: event.nickname.clone(),
                    role: event.role,
                    login_time: event.login_time.0,
                };
                room.people.insert(event.user.clone(), occupant);
            }
            zego::EventName::RoomLogout => {
                if let Some(room) = rooms.get_mut(&event.room) {
                    room.people.retain(|user, occupant| {
                        *user != event.user || occupant.session != event.session
                    });
                }
            }
            zego::EventName::RoomClose => {
                rooms.retain(|id, room| *id != event.room || room.life != event.life);
            }
        }
        // An empty room is destroyed at once.
        rooms.retain(|_, room| !room.people.is_empty());
    }

    /// No server API is asked about ZIM's rooms.
    fn happen_in_zim(&mut self, event: &zim::Event) {
        if event.name != zim::EventName::UserAction {
            return;
        }
        let users = self.zim.entry(event.app.clone()).or_default();
        let user = users.entry(event.user.clone()).or_default();
        if event.action == zim::Action::Login {
            user.online.insert(event.session.clone());
        } else {
            user.online.remove(&event.session);
        }
        user.is_lost = event.action == zim::Action::Offline;
    }

    fn happen_in_chat(&mut self, event: &tencent::Event) {
        let (options, at) = (&event.options, event.at());
        let accounts = self.chat.entry(options.app.clone()).or_default();
        let account = accounts.entry(options.user.clone()).or_default();
        let platform = options.platform.as_str();
        match event.name {
            tencent::EventName::ChatLogin => {
                for kicked in &options.kick {
                    account.platforms.remove(kicked);
                }
                if options.kick.iter().any(|kicked| kicked == platform) {
                    account.kicked.insert(platform.to_owned(), at);
                }
                account.platforms.insert(platform.to_owned(), Link::Online);
            }
            tencent::EventName::ChatDisconnect if is_phone(platform) => {
                account.platforms.insert(platform.to_owned(), Link::Push);
            }
            _ => {
                let is_old_clients = event.name == tencent::EventName::ChatLogout
                    && account.kicked.get(platform).is_some_and(|kicked| {
                        (*kicked..=kicked + OLD_CLIENTS_LOGOUT).contains(&at)
                    });
                if !is_old_clients {
                    account.platforms.remove(platform);
                }
            }
        }
    }

    fn happen_in_openim(&mut self, event: &openim::Event) {
        let options = &event.options;
        let members = self.openim.entry(options.app.clone()).or_default();
        match event.name {
            openim::EventName::UserRegister => {
                for user in &options.users {
                    let member = members.entry(user.clone()).or_default();
                    // A server refuses to register somebody twice.
                    member.profile.get_or_insert_with(|| Profile {
                        nickname: options.name.clone().unwrap_or_else(|| user.clone()),
                        face_url: options.face_url.clone(),
                        ex: options.ex.clone(),
                        create_time: event.now.0,
                    });
                }
            }
            openim::EventName::UserUpdate | openim::EventName::UserUpdateEx => {
                // A server refuses to update somebody whom it does not know.
                let user = options.users.first().and_then(|user| members.get_mut(user));
                let Some(profile) = user.and_then(|member| member.profile.as_mut()) else { return };
                if let Some(name) = &options.name {
                    profile.nickname.clone_from(name);
                }
                for (new, known) in
                    [(&options.face_url, &mut profile.face_url), (&options.ex, &mut profile.ex)]
                {
                    if !new.is_empty() {
                        known.clone_from(new);
                    }
                }
            }
            openim::EventName::UserOnline | openim::EventName::UserOffline => {
                let Some(user) = options.users.first() else { return };
                let member = members.entry(user.clone()).or_default();
                let platform = options.platform as u8;
                if event.name == openim::EventName::UserOnline {
                    member.platforms.insert(platform);
                } else {
                    member.platforms.remove(&platform);
                }
            }
        }
    }
}

/// Whether a platform is reached by pushes while it is not connected.
fn is_phone(platform: &str) -> bool {
    ["ios", "ipad", "android"].iter().any(|phone| platform.eq_ignore_ascii_case(phone))
}
