//! Tencent's apps and their secrets.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{
    callback::{AppWarning, AppWarnings, Misfit, Secret, SecretForm, SecretKind},
    domain::{AppId, ProviderName},
    providers::{
        Robots,
        apps::{self, AppsError, AppsJson},
    },
};

/// Keys of `UserSig`. The console shows 64 hexadecimal digits.
pub const SECRET_KEYS: SecretKind = SecretKind {
    name: "secret_keys",
    form: Some(SecretForm {
        words: "64 hexadecimal digits",
        fits: |key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
        misfit: Misfit::Used,
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
        misfit: Misfit::Used,
    }),
};

/// Tokens of Live's callbacks, which are any text (`live_config/set_callback_token`).
pub const LIVE_TOKENS: SecretKind = SecretKind::any("live_tokens");

/// Keys at the end of the address that `Room.*` is sent to. Tencent documents no signature of
/// these callbacks, so anyone who knows the address can send them: a key that can be guessed is
/// not used. The address may have none of ``! $ & ?`` and no spaces (Tencent RTC, "Webhook
/// overview", 60722).
pub const ROOM_PATH_KEYS: SecretKind = SecretKind {
    name: "room_path_keys",
    form: Some(SecretForm {
        words: "32 or more ASCII letters, digits, `-` and `_`",
        fits: |key| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            key.len() >= 32 && key.bytes().all(fits)
        },
        misfit: Misfit::LeftOut,
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
    /// Tokens of Live's callbacks.
    pub live_tokens: Vec<Secret>,
    /// Keys in the address of `RoomEngine`'s callbacks.
    pub room_path_keys: Vec<Secret>,
}

/// Tencent's apps by `SDKAppID`.
pub type Apps = HashMap<AppId, AppCredentials>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct AppJson {
    #[serde(default)]
    secret_keys: Vec<String>,
    #[serde(default)]
    chat_tokens: Vec<String>,
    #[serde(default)]
    trtc_keys: Vec<String>,
    #[serde(default)]
    live_tokens: Vec<String>,
    #[serde(default)]
    room_path_keys: Vec<String>,
    #[serde(default)]
    robots: Vec<String>,
}

/// Reads the apps, each with its robots, and adds what is odd about them.
pub(in crate::providers) fn read_apps(
    apps: AppsJson<AppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<HashMap<AppId, (AppCredentials, Robots)>, AppsError> {
    apps::read_apps(ProviderName::Tencent, apps, all_warnings, |_, app, warnings| {
        warnings.expect_number();
        let credentials = AppCredentials {
            secret_keys: SECRET_KEYS.take_all(app.secret_keys, warnings),
            chat_tokens: CHAT_TOKENS.take_all(app.chat_tokens, warnings),
            trtc_keys: TRTC_KEYS.take_all(app.trtc_keys, warnings),
            live_tokens: LIVE_TOKENS.take_all(app.live_tokens, warnings),
            room_path_keys: ROOM_PATH_KEYS.take_all(app.room_path_keys, warnings),
        };
        let AppCredentials { secret_keys, chat_tokens, trtc_keys, live_tokens, room_path_keys } =
            &credentials;
        if [secret_keys, chat_tokens, trtc_keys, live_tokens, room_path_keys]
            .iter()
            .all(|secrets| secrets.is_empty())
        {
            warnings.add(AppWarning::NoSecret);
        }
        Ok((credentials, Robots::read(app.robots, warnings)))
    })
}
