//! The content of a ticket, and its signature.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Value, error::Category};
use sha2::{Digest, Sha256};

use super::{Flaw, Invalid, SdkAppId};
use crate::{
    callback::Secret,
    domain::UnixSeconds,
    login::{Defect, number, text},
};

/// The version of tickets that are signed with HMAC-SHA256.
const VERSION: &str = "2.0";

const HMAC_BLOCK_BYTES: usize = 64;

/// A whole number of at most 64 bits, with or without a sign: a package may have signed a negative
/// one. The type can hold the sum of two.
type Number = i128;

/// The JSON of a ticket.
#[derive(Serialize)]
pub(super) struct Payload {
    #[serde(rename = "TLS.ver")]
    version: &'static str,
    #[serde(rename = "TLS.identifier")]
    pub(super) user: String,
    #[serde(rename = "TLS.sdkappid")]
    pub(super) app: SdkAppId,
    /// When the ticket was minted, in Unix seconds.
    #[serde(rename = "TLS.time")]
    issued_at: Number,
    /// How long it is valid, in seconds: a duration, not a moment.
    #[serde(rename = "TLS.expire")]
    lifetime_s: Number,
    /// Standard base64 of the bytes.
    #[serde(rename = "TLS.userbuf", skip_serializing_if = "Option::is_none")]
    userbuf: Option<String>,
    /// Standard base64 of the HMAC.
    #[serde(rename = "TLS.sig")]
    pub(super) sig: String,
}

/// The JSON of an unverified ticket. Fields accept any JSON, so that an error can name the wrong
/// field.
#[derive(Deserialize)]
struct Content {
    #[serde(rename = "TLS.ver")]
    version: Option<Value>,
    #[serde(rename = "TLS.identifier")]
    user: Option<Value>,
    #[serde(rename = "TLS.sdkappid")]
    app: Option<Value>,
    #[serde(rename = "TLS.time")]
    issued_at: Option<Value>,
    #[serde(rename = "TLS.expire")]
    lifetime_s: Option<Value>,
    #[serde(rename = "TLS.userbuf")]
    userbuf: Option<Value>,
    #[serde(rename = "TLS.sig")]
    sig: Option<Value>,
}

impl Payload {
    /// A payload that is signed with `key`.
    pub(super) fn signed(
        user: &str,
        app: SdkAppId,
        issued_at: UnixSeconds,
        lifetime_s: u64,
        userbuf: Option<&[u8]>,
        key: &Secret,
    ) -> Self {
        let unsigned = Self {
            version: VERSION,
            user: user.to_owned(),
            app,
            issued_at: issued_at.0.into(),
            lifetime_s: lifetime_s.into(),
            userbuf: userbuf.map(|bytes| BASE64_STANDARD.encode(bytes)),
            sig: String::new(),
        };
        Self { sig: unsigned.sig_by(key), ..unsigned }
    }

    /// Reads the content of a ticket.
    pub(super) fn read(content: &[u8]) -> Result<Self, Invalid> {
        let damaged = Invalid::Undecodable(Flaw::Damaged);
        // Serde would accept a list for the fields.
        if !content.trim_ascii_start().starts_with(b"{") {
            return Err(damaged);
        }
        let content = serde_json::from_slice(content).map_err(|error| match error.classify() {
            Category::Data => Invalid::Malformed(Defect::Repeated),
            Category::Io | Category::Syntax | Category::Eof => damaged,
        })?;
        Self::of(content).map_err(Invalid::Malformed)
    }

    fn of(content: Content) -> Result<Self, Defect> {
        if text("TLS.ver", content.version)? != VERSION {
            return Err(Defect::Not("TLS.ver", "\"2.0\""));
        }
        let app = number("TLS.sdkappid", content.app)?;
        let app = u64::try_from(app).ok().and_then(|app| SdkAppId::try_from(app).ok());
        let userbuf = content.userbuf.map(|value| text("TLS.userbuf", Some(value))).transpose()?;
        if userbuf.iter().any(|text| BASE64_STANDARD.decode(text).is_err()) {
            return Err(Defect::Not("TLS.userbuf", "standard base64"));
        }
        let payload = Self {
            version: VERSION,
            user: text("TLS.identifier", content.user)?,
            app: app.ok_or(Defect::Not("TLS.sdkappid", "a number from 1 to 4294967295"))?,
            issued_at: number("TLS.time", content.issued_at)?,
            lifetime_s: number("TLS.expire", content.lifetime_s)?,
            userbuf,
            sig: text("TLS.sig", content.sig)?,
        };
        let is_endless = payload.issued_at + payload.lifetime_s > Number::from(u64::MAX);
        let too_long = Defect::Not("TLS.expire", "so short that its end has 64 bits");
        if is_endless { Err(too_long) } else { Ok(payload) }
    }

    /// When the ticket was minted; 1970 if that was earlier.
    pub(super) fn issued_at(&self) -> UnixSeconds {
        UnixSeconds(u64::try_from(self.issued_at).unwrap_or(0))
    }

    /// The last second in which the ticket is valid; `None` if that is before 1970.
    pub(super) fn expires_at(&self) -> Option<UnixSeconds> {
        u64::try_from(self.issued_at + self.lifetime_s).ok().map(UnixSeconds)
    }

    /// The `TLS.sig` that this key would make.
    pub(super) fn sig_by(&self, key: &Secret) -> String {
        BASE64_STANDARD.encode(hmac_sha256(key, &self.message()))
    }

    /// The signed text. Every line ends with a line feed, including the last one.
    fn message(&self) -> String {
        let Self { user, app, issued_at, lifetime_s, userbuf, .. } = self;
        let userbuf = userbuf.as_ref().map(|text| format!("TLS.userbuf:{text}\n"));
        format!(
            "TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{issued_at}\n\
             TLS.expire:{lifetime_s}\n{}",
            userbuf.unwrap_or_default()
        )
    }
}

/// HMAC-SHA256 with the key's UTF-8 bytes: the 64 hexadecimal digits of a key are not decoded.
pub(super) fn hmac_sha256(key: &Secret, message: &str) -> [u8; 32] {
    // RFC 2104: a key longer than a block is hashed, and a shorter one is padded with zeros.
    let mut block = [0; HMAC_BLOCK_BYTES];
    let key = key.expose().as_bytes();
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let mut hmac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    hmac.update(message.as_bytes());
    hmac.finalize().into_bytes().into()
}
