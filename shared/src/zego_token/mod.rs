//! ZEGO's token04: the ticket with which a user logs in to a room of RTC, and to ZIM. A backend mints
//! it. Rollcall can mint tokens, and can explain what is wrong with one.
//!
//! Source: token04 as ZEGO's `zego_server_assistant` makes it, the "Token Assistant" of ZEGO's
//! documents that reads it, the page "Using token authentication" for privileges, and the error
//! codes of the client SDKs.
//!
//! ```
//! use rollcall::{
//!     callback::Secret,
//!     domain::UnixSeconds,
//!     providers::zego::ServerSecret,
//!     zego_token::{Claims, Expected, Invalid, Lifetime, UserId, ZegoAppId, verify},
//! };
//!
//! let secret = Secret::new("fa94dd0f974cf2e293728a526b028271".to_owned()).unwrap();
//! let key = ServerSecret::new(&secret).unwrap();
//! let app: ZegoAppId = "1234567890".parse()?;
//! let ada: UserId = "ada".parse()?;
//! let issued_at = UnixSeconds(1_700_000_000);
//!
//! let claims =
//!     Claims { app, user: ada.clone(), issued_at, lifetime: Lifetime::DEFAULT, room: None };
//! let token = claims.token(&key)?;
//!
//! let expected = Expected { app, user: ada };
//! let valid = verify(token.expose(), &expected, [(app, &key)], issued_at).unwrap();
//! assert_eq!(valid.expires_at, UnixSeconds(1_700_003_600));
//!
//! let later = UnixSeconds(1_700_003_601);
//! assert_eq!(verify(token.expose(), &expected, [(app, &key)], later), Err(Invalid::Expired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cipher;
mod content;
mod http;
mod invalid;
mod layout;
mod mint;
mod parameters;
mod verify;

#[cfg(test)]
mod tests;

pub use http::ZegoTokens;
#[cfg(test)]
pub(crate) use http::schemas;
pub use invalid::Invalid;
pub use layout::Flaw;
pub use mint::{Claims, MintError};
pub use parameters::{Lifetime, ParameterError, Permission, Room, UserId, ZegoAppId};
pub use verify::{Expected, verify};

/// Checks an arbitrary token, and an arbitrary content of a token. For `fuzz/`.
///
/// # Panics
///
/// If a token that nobody minted is accepted, or a genuine one is refused.
#[cfg(any(test, fuzzing))]
#[expect(clippy::unwrap_used, reason = "a target is to fail")]
pub fn fuzz(data: &[u8]) {
    use crate::{callback::Secret, domain::UnixSeconds, providers::zego::ServerSecret};

    let secret = Secret::new("fa94dd0f974cf2e293728a526b028271".to_owned()).unwrap();
    let key = ServerSecret::new(&secret).unwrap();
    let app = ZegoAppId::try_from(1_u64).unwrap();
    let expected = Expected { app, user: "ada".parse().unwrap() };
    let issued_at = UnixSeconds(1_700_000_000);
    let verify = |token: &str| verify(token, &expected, [(app, &key)], issued_at);

    // A content of any bytes, with the end that it names in front of it.
    let content = &data[..data.len().min(16 << 10)];
    let is_object = content::is_object(content);
    for (mode, iv, is_decrypted) in
        [(layout::Mode::Cbc, vec![7; 16], is_object), (layout::Mode::Gcm, vec![7; 12], false)]
    {
        let expires_at = content::fuzzed_end(content);
        let ciphertext = cipher::encrypt_cbc(content, &[7; 16], &key);
        let sealed = layout::Sealed { expires_at, iv, ciphertext, mode };
        let text = sealed.text();
        assert_eq!(layout::Sealed::read(text.expose()), Ok(sealed));
        let verdict = verify(text.expose());
        assert_eq!(verdict != Err(Invalid::Undecryptable), is_decrypted, "{verdict:?}");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(verify(text).is_err(), "nobody minted it");
    if let Ok(user) = text.parse() {
        let room = Room::new(text, Permission::Allowed, Permission::Denied, None).ok();
        let claims = Claims { app, user, issued_at, lifetime: Lifetime::DEFAULT, room };
        let genuine = claims.token(&key).unwrap();
        let verdict = verify(genuine.expose());
        assert_eq!(verdict.err(), (text != "ada").then_some(Invalid::OtherUser));
    }
}
