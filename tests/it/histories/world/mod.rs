//! Small providers: they live through what people do, know who is where, and tell of it as the real
//! ones do. Nothing here knows Rollcall's rules.
//!
//! What a provider's own callbacks cannot tell apart (`docs/design.md` names it) does not happen in
//! these worlds: the clock moves on by a millisecond instead.

mod chat;
mod openim;
mod trtc;
mod zego;

use std::collections::{BTreeMap, BTreeSet};

use rollcall::{
    callback::Secret,
    domain::UnixMillis,
    providers::{openim::AppCredentials, tencent::sign_trtc},
};
use rollcall_local::send;

use super::history::{Act, History, Step};
use crate::support::{CHAT_TOKEN, SECRET, TRTC_KEY, apps};

/// 2026-08-31T23:59:30Z: a month is about to end.
pub(super) const START: u64 = 1_788_220_770_000;

pub(super) const USERS: [&str; 6] = ["ada", "bob", "cy#d", "dée", "e%41", "f/g"];

/// What a provider tells of.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Zego(send::zego::Event),
    Tencent(send::tencent::Event),
    /// An entry into a TRTC room with a `Reason` of its own: 2 another network, 3 another try.
    TrtcAgain(send::tencent::Event, u8),
    OpenIm(send::openim::Event),
}

/// An event, and when its callback is first sent.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) at: u64,
    pub(super) event: Event,
}

/// Where people are and what they are, by the providers themselves.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Truth {
    /// Who is in a room, by the path of the question.
    pub(super) rooms: BTreeMap<String, BTreeSet<String>>,
    /// Who is online, by the path of the question.
    pub(super) online: BTreeSet<String>,
}

/// What has been told, and the time.
pub(super) struct Teller {
    now: u64,
    told: Vec<Told>,
}

impl Teller {
    fn tell(&mut self, event: Event) {
        self.told.push(Told { at: self.now, event });
    }
}

/// Lives through a history.
pub(super) fn live(history: &History) -> (Vec<Told>, Truth, u64) {
    let mut teller = Teller { now: START + 1, told: Vec::new() };
    let (mut zego, mut trtc) = (zego::Zego::default(), trtc::Trtc::default());
    let (mut chat, mut openim) = (chat::Chat::default(), openim::OpenIm::default());
    for step in &history.steps {
        teller.now += step.wait;
        openim.repeat(&mut teller);
        match step.act {
            Act::ZegoLogin | Act::ZegoLogout | Act::ZegoClose => zego.act(step, &mut teller),
            Act::TrtcEnter | Act::TrtcExit | Act::TrtcRole | Act::TrtcDismiss => {
                trtc.act(step, &mut teller);
            }
            Act::ChatLogin | Act::ChatLogout | Act::ChatDisconnect => chat.act(step, &mut teller),
            Act::OpenImRegister | Act::OpenImOnline | Act::OpenImOffline => {
                openim.act(step, &mut teller);
            }
        }
    }
    let mut truth = Truth::default();
    zego.know(&mut truth);
    trtc.know(&mut truth);
    chat.know(&mut truth);
    openim.know(&mut truth);
    (teller.told, truth, teller.now)
}

fn name(step: &Step) -> String {
    USERS[step.user].to_owned()
}

impl Event {
    /// The callback, signed as it is sent.
    pub(super) fn callback(&self, sent_at: UnixMillis) -> send::Callback {
        let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
        match self {
            Self::Zego(event) => event.callback(&secret(SECRET), sent_at.seconds(), "1"),
            Self::Tencent(event) => {
                let key = if event.name.is_chat() { CHAT_TOKEN } else { TRTC_KEY };
                send::tencent::Event { now: sent_at, ..event.clone() }.callback(&secret(key))
            }
            Self::TrtcAgain(event, reason) => {
                let mut callback = Self::Tencent(event.clone()).callback(sent_at);
                let body = callback.body.replace("\"Reason\": 1", &format!("\"Reason\": {reason}"));
                assert_ne!(body, callback.body);
                let sign = sign_trtc(&secret(TRTC_KEY), body.as_bytes());
                callback.headers.iter_mut().find(|(name, _)| *name == "sign").unwrap().1 = sign;
                send::Callback { body, ..callback }
            }
            Self::OpenIm(event) => {
                send::openim::Event { now: sent_at, ..event.clone() }.callback(credentials())
            }
        }
    }
}

fn credentials() -> &'static AppCredentials {
    static CREDENTIALS: std::sync::OnceLock<AppCredentials> = std::sync::OnceLock::new();
    CREDENTIALS.get_or_init(|| apps().openim[&"main".parse().unwrap()].clone())
}
