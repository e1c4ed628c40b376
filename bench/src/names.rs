//! The names of all subjects, and what each does.

use std::sync::LazyLock;

use clap::ValueEnum;
use rollcall::routes::{CALLBACKS, QUERY, USER_SIG, ZEGO_TOKEN};
use rollcall_players::zego::EventName as Zego;

/// The kind of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// One of Rollcall's callback functions.
    Callback,
    /// Another function of Rollcall.
    Function,
    /// A peer that is a native binary.
    NativePeer,
    /// A peer that is a script.
    ScriptPeer,
}

/// The events of a subject's common path. Every one is new, and the events that must come before it
/// have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Common {
    /// A ZEGO event, and the one that comes before it.
    Zego(Option<Zego>, Zego),
    OpenImRegister,
    OpenImOnline,
    OpenImOffline,
    OpenImUpdate,
    OpenImDocumentedRegister,
    ChatLaterLogin,
    TrtcEnter,
    RoomEnter,
    ZimLaterLogin,
    ZimEnter,
    Presence,
    MintUserSig,
    MintZegoToken,
    /// A callback function that [`common`] does not know.
    Unknown(&'static str),
}

/// Rollcall's functions with routes, each with its most common event.
pub(crate) static FUNCTIONS: LazyLock<Vec<(&str, Kind, Common)>> = LazyLock::new(|| {
    let callbacks = CALLBACKS.iter().map(|names| names.function);
    let callbacks = callbacks.map(|function| (function, Kind::Callback, common(function)));
    let asked = [
        (QUERY, Common::Presence),
        (USER_SIG, Common::MintUserSig),
        (ZEGO_TOKEN, Common::MintZegoToken),
    ];
    let asked = asked.map(|(function, common)| (function, Kind::Function, common));
    callbacks.chain(asked).collect()
});

/// The most common event of a callback function: the event of its name, unless this function names
/// another.
fn common(function: &'static str) -> Common {
    match function {
        "zego-room-logout" => Common::Zego(Some(Zego::RoomLogin), Zego::RoomLogout),
        "zego-room-close" => Common::Zego(Some(Zego::RoomCreate), Zego::RoomClose),
        "zego-user-action" => Common::ZimLaterLogin,
        "zego-room-event" => Common::ZimEnter,
        "openim-user-register" => Common::OpenImRegister,
        "openim-user-online" => Common::OpenImOnline,
        "openim-user-offline" => Common::OpenImOffline,
        "openim-user-update" => Common::OpenImUpdate,
        "openim-any" => Common::OpenImDocumentedRegister,
        "tencent-chat-state" => Common::ChatLaterLogin,
        "tencent-trtc-event" => Common::TrtcEnter,
        "tencent-room-event" => Common::RoomEnter,
        _ => match function.strip_prefix("zego-").map(|name| Zego::from_str(name, false)) {
            Some(Ok(name)) => Common::Zego(None, name),
            _ => Common::Unknown(function),
        },
    }
}

pub(crate) const BARE: &str = "rust-bare";
pub(crate) const TUNED: &str = "rust-tuned";
pub(crate) const ORDINARY: &str = "rust-ordinary";
pub(crate) const PYTHON: &str = "python-powertools";
pub(crate) const NODE: &str = "node-powertools";

/// The peers that are built by cargo, each in its folder of `peers/`.
pub(crate) const NATIVE_PEERS: [&str; 3] = [BARE, TUNED, ORDINARY];
