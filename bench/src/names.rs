//! The names of all that is measured, and what each does.

use rollcall_local::send::zego::EventName as Zego;

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
}

/// The functions of Rollcall's, each with what it does most of the time.
pub(crate) const FUNCTIONS: &[(&str, Kind, Common)] = &[
    ("zego-room-login", Kind::Callback, Common::Zego(None, Zego::RoomLogin)),
    ("zego-room-logout", Kind::Callback, Common::Zego(Some(Zego::RoomLogin), Zego::RoomLogout)),
    ("zego-room-create", Kind::Callback, Common::Zego(None, Zego::RoomCreate)),
    ("zego-room-close", Kind::Callback, Common::Zego(Some(Zego::RoomCreate), Zego::RoomClose)),
    ("openim-user-register", Kind::Callback, Common::OpenImRegister),
    ("openim-user-online", Kind::Callback, Common::OpenImOnline),
    ("openim-user-offline", Kind::Callback, Common::OpenImOffline),
    ("openim-any", Kind::Callback, Common::OpenImDocumentedRegister),
    ("tencent-chat-state", Kind::Callback, Common::ChatLaterLogin),
    ("tencent-trtc-event", Kind::Callback, Common::TrtcEnter),
    ("query", Kind::Function, Common::Presence),
    ("tencent-user-sig", Kind::Function, Common::Mint),
];

pub(crate) const BARE: &str = "rust-bare";
pub(crate) const ORDINARY: &str = "rust-ordinary";
pub(crate) const PYTHON: &str = "python-powertools";
pub(crate) const NODE: &str = "node-powertools";
