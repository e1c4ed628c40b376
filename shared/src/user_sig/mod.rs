//! Tencent's UserSig: the ticket with which a user logs in to Chat and TRTC. A backend mints it.
//! Rollcall can mint tickets, and can explain what is wrong with one.
//!
//! Source: version 2 of the tickets as the `tls-sig-api-v2` packages of `tencentyun` make them,
//! and the UserSig codes of Chat's error codes (Tencent Cloud, document 1047/34348).
//!
//! ```
//! use rollcall::{
//!     callback::Secret,
//!     domain::UnixSeconds,
//!     user_sig::{Claims, Expected, Invalid, Lifetime, SdkAppId, UserId, verify},
//! };
//!
//! let key = Secret::new("the SecretKey of the console".to_owned()).unwrap();
//! let app: SdkAppId = "1400000000".parse()?;
//! let ada: UserId = "ada".parse()?;
//! let issued_at = UnixSeconds(1_700_000_000);
//!
//! let claims = Claims { app, user: ada.clone(), issued_at, lifetime: Lifetime::DEFAULT };
//! let ticket = claims.user_sig(&key)?;
//!
//! let keys = [key];
//! let expected = Expected { app, user: ada };
//! let valid = verify(ticket.expose(), &expected, |_| &keys, issued_at).unwrap();
//! assert_eq!(valid.expires_at, UnixSeconds(1_700_604_800));
//!
//! let later = UnixSeconds(1_700_604_801);
//! assert_eq!(verify(ticket.expose(), &expected, |_| &keys, later), Err(Invalid::Expired));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod http;
mod invalid;
mod mint;
mod parameters;
mod payload;
mod ticket;
mod userbuf;
mod verify;

#[cfg(test)]
mod tests;

pub use http::UserSigs;
#[cfg(test)]
pub(crate) use http::schemas;
pub use invalid::Invalid;
pub use mint::{Claims, MintError};
pub use parameters::{Lifetime, ParameterError, Privileges, Room, SdkAppId, UserId};
pub use ticket::Flaw;
pub use verify::{Expected, verify};

/// Checks an arbitrary ticket, and an arbitrary content of a ticket. For `fuzz/`.
///
/// # Panics
///
/// If a forged ticket is accepted, or a genuine one is refused.
#[cfg(any(test, fuzzing))]
#[expect(clippy::unwrap_used, reason = "a target is to fail")]
pub fn fuzz(data: &[u8]) {
    use crate::{callback::Secret, domain::UnixSeconds};

    let keys = [Secret::new("5bd2850fff3ecb11d7c805251c51ee46".to_owned()).unwrap()];
    let expected =
        Expected { app: SdkAppId::try_from(1_400_000_000).unwrap(), user: "ada".parse().unwrap() };
    let verify = |ticket: &str| verify(ticket, &expected, |_| &keys, UnixSeconds(1_700_000_000));
    if let Ok(text) = std::str::from_utf8(data) {
        // An arbitrary text never has a valid signature.
        assert!(verify(text).is_err());
        let ticket = ticket::encode(text).unwrap();
        let decoded = ticket::decode(ticket.expose());
        assert_eq!(decoded.is_ok(), data.len() <= ticket::MAX_CONTENT_BYTES);
        assert!(decoded.ok().is_none_or(|content| content == data));
        assert!(verify(ticket.expose()).is_err());
        if let Ok(user) = text.parse() {
            let issued_at = UnixSeconds(1_700_000_000);
            let claims = Claims { app: expected.app, user, issued_at, lifetime: Lifetime::DEFAULT };
            let genuine = claims.user_sig(&keys[0]).unwrap();
            let verdict = verify(genuine.expose());
            assert_eq!(verdict.err(), (text != "ada").then_some(Invalid::OtherUser));
        }
    }
}
