//! What a ticket says, and its signature.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use sha2::{Digest, Sha256};

use super::Invalid;
use crate::{callback::Secret, domain::UnixSeconds};

/// The version of tickets that are signed with HMAC-SHA256.
const VERSION: &str = "2.0";

const HMAC_BLOCK_BYTES: usize = 64;

/// The JSON of a ticket. Numbers are whole and never negative, as serde reads them.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    #[serde(rename = "TLS.ver")]
    version: String,
    #[serde(rename = "TLS.identifier")]
    pub(super) user: String,
    #[serde(rename = "TLS.sdkappid")]
    pub(super) app: u32,
    /// When the ticket was minted, in Unix seconds.
    #[serde(rename = "TLS.time")]
    issued_at: u64,
    /// How long it is good for, in seconds: a duration, not a moment.
    #[serde(rename = "TLS.expire")]
    lifetime_s: u64,
    /// Standard base64 of the bytes.
    #[serde(rename = "TLS.userbuf", default, skip_serializing_if = "Option::is_none")]
    pub(super) userbuf: Option<String>,
    /// Standard base64 of the HMAC.
    #[serde(rename = "TLS.sig")]
    pub(super) sig: String,
}

impl Payload {
    /// A payload that is signed with `key`.
    pub(super) fn signed(
        user: &str,
        app: u32,
        issued_at: UnixSeconds,
        lifetime_s: u64,
        userbuf: Option<&[u8]>,
        key: &Secret,
    ) -> Self {
        let unsigned = Self {
            version: VERSION.to_owned(),
            user: user.to_owned(),
            app,
            issued_at: issued_at.0,
            lifetime_s,
            userbuf: userbuf.map(|bytes| BASE64_STANDARD.encode(bytes)),
            sig: String::new(),
        };
        Self { sig: unsigned.sig_by(key), ..unsigned }
    }

    /// Reads the content of a ticket.
    pub(super) fn read(content: &[u8]) -> Result<Self, Invalid> {
        // Serde would take a list for the fields.
        if !content.trim_ascii_start().starts_with(b"{") {
            return Err(Invalid::Undecodable);
        }
        let payload: Self =
            serde_json::from_slice(content).map_err(|error| match error.classify() {
                Category::Data => Invalid::Malformed,
                Category::Io | Category::Syntax | Category::Eof => Invalid::Undecodable,
            })?;
        let is_base64 = |text: &String| BASE64_STANDARD.decode(text).is_ok();
        if payload.version != VERSION || !payload.userbuf.iter().all(is_base64) {
            return Err(Invalid::Malformed);
        }
        Ok(payload)
    }

    /// When the ticket was minted.
    pub(super) fn issued_at(&self) -> UnixSeconds {
        UnixSeconds(self.issued_at)
    }

    /// The last second in which the ticket is good; `None` if there is no such number.
    pub(super) fn expires_at(&self) -> Option<UnixSeconds> {
        self.issued_at.checked_add(self.lifetime_s).map(UnixSeconds)
    }

    /// `TLS.sig` as this key would make it.
    pub(super) fn sig_by(&self, key: &Secret) -> String {
        BASE64_STANDARD.encode(hmac_sha256(key, &self.message()))
    }

    /// What is signed. Every line ends with a line feed, the last one too.
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
