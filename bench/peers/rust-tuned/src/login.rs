//! ZEGOCLOUD's `room_login`, and who sent it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// How far the time of a signature may be from ours, in seconds.
const WINDOW: u64 = 600;

/// The callback, as far as it is verified and stored.
#[derive(Deserialize)]
pub(crate) struct Login<'a> {
    #[serde(borrow)]
    appid: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    nonce: Cow<'a, str>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) room_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_account: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) user_nickname: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) session_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) login_time: Cow<'a, str>,
}

/// Why a callback is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refused {
    /// It is not a `room_login`.
    Body,
    App,
    Time,
    Signature,
}

impl<'a> Login<'a> {
    /// Reads a callback, and checks its app, its time and its signature.
    pub(crate) fn verified(
        body: &'a [u8],
        app: &str,
        secret: &str,
        now: u64,
    ) -> Result<Self, Refused> {
        let login: Self = serde_json::from_slice(body).map_err(|_| Refused::Body)?;
        if login.appid != app {
            return Err(Refused::App);
        }
        let signed_at: u64 = login.timestamp.parse().map_err(|_| Refused::Body)?;
        if now.abs_diff(signed_at) > WINDOW {
            return Err(Refused::Time);
        }
        let mut presented = [0; 20];
        hex::decode_to_slice(login.signature.as_bytes(), &mut presented)
            .map_err(|_| Refused::Signature)?;
        let expected = sign(secret, &login.timestamp, &login.nonce);
        if bool::from(expected.ct_eq(&presented)) { Ok(login) } else { Err(Refused::Signature) }
    }
}

/// SHA-1 of the three texts in their order.
fn sign(secret: &str, timestamp: &str, nonce: &str) -> [u8; 20] {
    let mut parts = [secret, timestamp, nonce];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
