//! The names of all that is measured, and what each does.

use std::sync::LazyLock;

use clap::ValueEnum;
use rollcall::routes::{CALLBACKS, QUERY, USER_SIG};
use rollcall_players::zego::EventName as Zego;

/// What kind of thing a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A callback function of Rollcall's.
    Callback,
    /// Another function of Rollcall's.
    Function,
    /// A peer that is a native binary.
    NativePeer,
    /// A peer that is not.
    ScriptPeer,
}

/// The events of a subject's common path: every one is new to it, and what has to come before it
/// has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Common {
    /// An event of ZEGO's, and the one that comes before it.
    Zego(Option<Zego>, Zego),
    OpenImRegister,
    OpenImOnline,
    OpenImOffline,
    OpenImDocumentedRegister,
    ChatLaterLogin,
    TrtcEnter,
    Presence,
    Mint,
    /// A callback function that [`common`] does not know.
    Unknown(&'static str),
}

/// The functions of Rollcall's that have routes, each with what it does most of the time.
pub(crate) static FUNCTIONS: LazyLock<Vec<(&str, Kind, Common)>> = LazyLock::new(|| {
    let callbacks = CALLBACKS.iter().map(|names| names.function);
    let callbacks = callbacks.map(|function| (function, Kind::Callback, common(function)));
    let asked = [(QUERY, Common::Presence), (USER_SIG, Common::Mint)];
    let asked = asked.map(|(function, common)| (function, Kind::Function, common));
    callbacks.chain(asked).collect()
});

/// What a callback function does most of the time: the event of its name, if nothing else is said
/// here.
fn common(function: &'static str) -> Common {
    match function {
        "zego-room-logout" => Common::Zego(Some(Zego::RoomLogin), Zego::RoomLogout),
        "zego-room-close" => Common::Zego(Some(Zego::RoomCreate), Zego::RoomClose),
        "openim-user-register" => Common::OpenImRegister,
        "openim-user-online" => Common::OpenImOnline,
        "openim-user-offline" => Common::OpenImOffline,
        "openim-any" => Common::OpenImDocumentedRegister,
        "tencent-chat-state" => Common::ChatLaterLogin,
        "tencent-trtc-event" => Common::TrtcEnter,
        _ => match function.strip_prefix("zego-").map(|name| Zego::from_str(name, false)) {
            Some(Ok(name)) => Common::Zego(None, name),
            _ => Common::Unknown(function),
        },
    }
}

pub(crate) const BARE: &str = "rust-bare";
pub(crate) const ORDINARY: &str = "rust-ordinary";
pub(crate) const PYTHON: &str = "python-powertools";
pub(crate) const NODE: &str = "node-powertools";
