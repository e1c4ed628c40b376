//! Small providers. People act in them, and they know who is where and report it as the real ones
//! do. Nothing here knows Rollcall's rules.
//!
//! Events that a provider's own callbacks cannot distinguish (`docs/design.md` names them) do not happen
//! in these worlds: the clock moves on by a millisecond instead.

#![expect(clippy::unwrap_used, reason = "a world knows what it has opened")]

mod chat;
mod openim;
mod room_engine;
mod trtc;
mod zego;
mod zim;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Event, model::Rooms, robots::is_robot};

/// 2026-08-31T23:59:30Z: a month is about to end.
pub const START: u64 = 1_788_220_770_000;

/// Who acts. In rooms, `cy#d` is a [robot](crate::robots).
const USERS: [&str; 6] = ["ada", "bob", "cy#d", "dée", "e%41", "f/g"];

/// What a person does. Each world plays the acts of its own provider, if they are possible at that
/// moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Act {
    ZegoLogin,
    ZegoLogout,
    ZegoClose,
    TrtcEnter,
    TrtcExit,
    TrtcRole,
    TrtcDismiss,
    RoomEnter,
    RoomLeave,
    RoomDestroy,
    ChatLogin,
    ChatLogout,
    ChatDisconnect,
    OpenImRegister,
    OpenImOnline,
    OpenImOffline,
    OpenImUpdate,
    ZimUserLogin,
    ZimUserLogout,
    ZimUserOffline,
    ZimRoomEnter,
    ZimRoomExit,
    ZimRoomKick,
    ZimRoomDestroy,
}

/// All of it, with its name and how often it is done.
pub const ACTS: [(Act, &str, u32); 24] = [
    (Act::ZegoLogin, "zego-login", 6),
    (Act::ZegoLogout, "zego-logout", 3),
    (Act::ZegoClose, "zego-close", 1),
    (Act::TrtcEnter, "trtc-enter", 6),
    (Act::TrtcExit, "trtc-exit", 3),
    (Act::TrtcRole, "trtc-role", 2),
    (Act::TrtcDismiss, "trtc-dismiss", 1),
    (Act::RoomEnter, "room-enter", 6),
    (Act::RoomLeave, "room-leave", 3),
    (Act::RoomDestroy, "room-destroy", 1),
    (Act::ChatLogin, "chat-login", 5),
    (Act::ChatLogout, "chat-logout", 2),
    (Act::ChatDisconnect, "chat-disconnect", 2),
    (Act::OpenImRegister, "openim-register", 2),
    (Act::OpenImOnline, "openim-online", 4),
    (Act::OpenImOffline, "openim-offline", 3),
    (Act::OpenImUpdate, "openim-update", 2),
    (Act::ZimUserLogin, "zim-user-login", 6),
    (Act::ZimUserLogout, "zim-user-logout", 2),
    (Act::ZimUserOffline, "zim-user-offline", 3),
    (Act::ZimRoomEnter, "zim-room-enter", 6),
    (Act::ZimRoomExit, "zim-room-exit", 3),
    (Act::ZimRoomKick, "zim-room-kick", 1),
    (Act::ZimRoomDestroy, "zim-room-destroy", 1),
];

/// One thing that somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How long after the step before, in ms.
    pub wait: u64,
    /// What is done.
    pub act: Act,
    /// By whom.
    pub user: usize,
    /// Which room, or which kind of device.
    pub place: usize,
    /// In which way, where there are several.
    pub how: u8,
}

impl Step {
    /// Whether it is done in a room of `RoomEngine`.
    #[must_use]
    pub fn is_room_engine(&self) -> bool {
        matches!(self.act, Act::RoomEnter | Act::RoomLeave | Act::RoomDestroy)
    }

    /// One of several choices that `how` makes.
    #[must_use]
    pub fn is_even(&self, choice: u32) -> bool {
        (self.how >> choice).is_multiple_of(2)
    }
}

/// An event, and when its callback is first sent.
#[derive(Debug, Clone)]
pub struct Reported {
    /// Unix ms.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// Where people are and in which roles, as the providers themselves know it.
#[derive(Debug, Default, PartialEq)]
pub struct Truth {
    /// Who is in a room, by the path of the query.
    pub rooms: BTreeMap<String, BTreeSet<String>>,
    /// Who is online, by the path of the query.
    pub online: BTreeSet<String>,
    /// When whoever is in a room logged in and in which role, by the path of the room and the user.
    /// Of ZEGO only.
    pub sessions: BTreeMap<(String, String), (u64, u16)>,
}

/// What was reported so far, and the time.
struct Timeline {
    now: u64,
    reported: Vec<Reported>,
}

impl Timeline {
    fn report(&mut self, event: Event) {
        self.reported.push(Reported { at: self.now, event });
    }
}

/// The truth at a time while these steps are played.
#[must_use]
pub fn truth_at(steps: &[Step], at: u64) -> Truth {
    let done = (0..=steps.len()).rev().find(|done| {
        let (_, _, now) = live(&steps[..*done], Rooms::Both);
        now <= at
    });
    live(&steps[..done.unwrap_or(0)], Rooms::Both).1
}

/// Plays these steps: what is reported, the truth at the end, and when that is. Who is in Tencent's
/// rooms is what those of its products say that count.
#[must_use]
pub fn live(steps: &[Step], rooms: Rooms) -> (Vec<Reported>, Truth, u64) {
    let mut timeline = Timeline { now: START + 1, reported: Vec::new() };
    let (mut zego, mut trtc) = (zego::Zego::default(), trtc::Trtc::default());
    let mut room_engine = room_engine::RoomEngine::default();
    let (mut chat, mut openim) = (chat::Chat::default(), openim::OpenIm::default());
    let (mut devices, mut of_zim) = (zim::Devices::default(), zim::Rooms::default());
    for step in steps {
        timeline.now += step.wait;
        openim.repeat(&mut timeline);
        match step.act {
            Act::ZegoLogin | Act::ZegoLogout | Act::ZegoClose => zego.act(step, &mut timeline),
            Act::TrtcEnter | Act::TrtcExit | Act::TrtcRole | Act::TrtcDismiss => {
                trtc.act(step, &mut timeline);
            }
            Act::RoomEnter | Act::RoomLeave | Act::RoomDestroy => {
                room_engine.act(step, &mut timeline);
            }
            Act::ChatLogin | Act::ChatLogout | Act::ChatDisconnect => chat.act(step, &mut timeline),
            Act::OpenImRegister | Act::OpenImOnline | Act::OpenImOffline | Act::OpenImUpdate => {
                openim.act(step, &mut timeline);
            }
            Act::ZimUserLogin | Act::ZimUserLogout | Act::ZimUserOffline => {
                devices.act(step, &mut timeline);
            }
            Act::ZimRoomEnter | Act::ZimRoomExit | Act::ZimRoomKick | Act::ZimRoomDestroy => {
                of_zim.act(step, &mut timeline);
            }
        }
    }
    let mut truth = Truth::default();
    zego.know(&mut truth);
    if rooms != Rooms::RoomEngine {
        trtc.know(&mut truth);
    }
    if rooms != Rooms::Trtc {
        room_engine.know(&mut truth);
    }
    chat.know(&mut truth);
    openim.know(&mut truth);
    devices.know(&mut truth);
    of_zim.know(&mut truth);
    (timeline.reported, truth, timeline.now)
}

fn name(step: &Step) -> String {
    USERS[step.user].to_owned()
}
