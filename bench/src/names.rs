//! The names of all that is measured, and what each does.

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
    ZegoEnter,
    ZegoLeave,
    ZegoCreate,
    ZegoClose,
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
pub(crate) const FUNCTIONS: [(&str, Kind, Common); 12] = [
    ("zego-room-login", Kind::Callback, Common::ZegoEnter),
    ("zego-room-logout", Kind::Callback, Common::ZegoLeave),
    ("zego-room-create", Kind::Callback, Common::ZegoCreate),
    ("zego-room-close", Kind::Callback, Common::ZegoClose),
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
