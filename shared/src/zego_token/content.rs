//! The content of a token, which is encrypted.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{Invalid, UserId, ZegoAppId};
use crate::{
    domain::UnixSeconds,
    http::read_object,
    login::{Defect, Valid, number, text},
};

/// The JSON of a new token.
#[derive(Serialize)]
pub(super) struct NewContent<'a> {
    pub(super) app_id: u32,
    pub(super) user_id: &'a str,
    /// Any number: two tokens of one second differ.
    pub(super) nonce: i32,
    /// When the token is minted, in Unix seconds.
    pub(super) ctime: u64,
    /// The last second in which it is valid, in Unix seconds.
    pub(super) expire: u64,
    /// Empty, or JSON as a text: what the token allows.
    pub(super) payload: &'a str,
}

/// The JSON of an unverified token. Fields accept any JSON, so that an error can name the wrong
/// field.
#[derive(Deserialize)]
struct AnyContent {
    app_id: Option<Value>,
    user_id: Option<Value>,
    nonce: Option<Value>,
    ctime: Option<Value>,
    expire: Option<Value>,
    payload: Option<Value>,
}

/// The content of a token.
#[derive(Debug)]
pub(super) struct Content {
    app: u32,
    user: String,
    ctime: i128,
    /// The last second in which the token is valid, in Unix seconds.
    expire: i128,
}

/// Whether these bytes are a JSON object. Those that a wrong key makes of a token never are.
pub(super) fn is_object(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(bytes).is_ok()
}

impl Content {
    /// Reads a JSON object, which says until `expires_at` outside, too.
    pub(super) fn read(object: &[u8], expires_at: i64) -> Result<Self, Invalid> {
        // Everything else has been read before.
        let any: AnyContent =
            read_object(object).map_err(|_| Invalid::Malformed(Defect::Repeated))?;
        let nonce = any.nonce.ok_or(Invalid::Malformed(Defect::Missing("nonce")))?;
        if number("nonce", Some(nonce)).is_err() {
            return Err(Invalid::Nonce);
        }
        let app = number("app_id", any.app_id).map_err(Invalid::Malformed)?;
        let app = u32::try_from(app).map_err(|_| not("app_id", "a number of 32 bits"))?;
        let user = text("user_id", any.user_id).map_err(Invalid::Malformed)?;
        let ctime = number("ctime", any.ctime).map_err(Invalid::Malformed)?;
        let expire = number("expire", any.expire).map_err(Invalid::Malformed)?;
        if expire <= ctime {
            return Err(not("expire", "later than `ctime`"));
        }
        if expire != i128::from(expires_at) {
            return Err(not("expire", "the end that is in front of the ciphertext"));
        }
        let payload = any.payload.map(|payload| text("payload", Some(payload))).transpose();
        let payload = payload.map_err(Invalid::Malformed)?.unwrap_or_default();
        let is_json = serde_json::from_str::<IgnoredAny>(&payload).is_ok();
        if !payload.is_empty() && !is_json {
            return Err(not("payload", "empty or JSON"));
        }
        Ok(Self { app, user, ctime, expire })
    }

    /// Whether it is of this app.
    pub(super) fn is_of(&self, app: ZegoAppId) -> bool {
        self.app == app.get()
    }

    /// Checks whether it lets this user log in to this app now.
    pub(super) fn check(
        &self,
        app: ZegoAppId,
        user: &UserId,
        now: UnixSeconds,
    ) -> Result<Valid, Invalid> {
        if !self.is_of(app) {
            return Err(Invalid::OtherApp);
        }
        if self.user != user.as_str() {
            return Err(Invalid::OtherUser);
        }
        let expires_at = u64::try_from(self.expire).ok().map(UnixSeconds);
        let expires_at = expires_at.filter(|last| now <= *last).ok_or(Invalid::Expired)?;
        // 1970, if it was minted before.
        let issued_at = UnixSeconds(u64::try_from(self.ctime).unwrap_or(0));
        Ok(Valid { issued_at, expires_at })
    }
}

fn not(field: &'static str, what: &'static str) -> Invalid {
    Invalid::Malformed(Defect::Not(field, what))
}

/// The end that an arbitrary content names, so that it can be put in front of the ciphertext.
#[cfg(any(test, fuzzing))]
pub(super) fn fuzzed_end(object: &[u8]) -> i64 {
    let any: Option<AnyContent> = read_object(object).ok();
    any.and_then(|any| any.expire?.as_i64()).unwrap_or_default()
}
