//! Tencent: Chat's `State.StateChange`, TRTC's room events.

use std::collections::HashMap;

use crate::{callback::Secret, domain::AppId};

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
