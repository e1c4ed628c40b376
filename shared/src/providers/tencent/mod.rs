//! Tencent: Chat's `State.StateChange`, and TRTC's room events.
//!
//! They are two senders with nothing in common but the app: each has a signature and an answer of
//! its own, so each is a [`crate::callback::Provider`].

mod chat;
mod chat_state;
mod device;
mod platform;
mod rules;
mod trtc;
mod trtc_event;
mod visits;

use std::collections::HashMap;

pub use chat::{Chat, StateChange, sign as sign_chat};
pub use chat_state::ChatState;
pub use rules::RULES;
pub use trtc::{Trtc, sign as sign_trtc};
pub use trtc_event::TrtcEvent;

use crate::{
    callback::{Secret, SecretForm, SecretKind},
    domain::AppId,
};

/// Keys of `UserSig`. The console shows 64 hexadecimal digits.
pub const SECRET_KEYS: SecretKind = SecretKind {
    name: "secret_keys",
    form: Some(SecretForm {
        words: "64 hexadecimal digits",
        fits: |key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
    }),
};

/// Tokens of Chat's callbacks, which are any text.
pub const CHAT_TOKENS: SecretKind = SecretKind::any("chat_tokens");

/// Keys of TRTC's callbacks, as the console takes them (TRTC, "Event callbacks", 39558).
pub const TRTC_KEYS: SecretKind = SecretKind {
    name: "trtc_keys",
    form: Some(SecretForm {
        words: "1 to 32 ASCII letters and digits",
        fits: |key| {
            (1..=32).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        },
    }),
};

/// What belongs to one `SDKAppID`. Of each list the first signs, and all verify.
#[derive(Debug, Clone, Default)]
pub struct AppCredentials {
    /// Keys of `UserSig` (console: "`SecretKey`").
    pub secret_keys: Vec<Secret>,
    /// Tokens of Chat's callbacks.
    pub chat_tokens: Vec<Secret>,
    /// Keys of TRTC's callbacks.
    pub trtc_keys: Vec<Secret>,
}

/// Tencent's apps by `SDKAppID`.
pub type Apps = HashMap<AppId, AppCredentials>;
