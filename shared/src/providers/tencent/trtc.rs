//! TRTC's callbacks: verification and answer.
//!
//! Source: TRTC, "Event callbacks" (39558, 51586). `Sign` covers the whole body, byte for byte. A
//! key is optional in Tencent's console, but required here.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use super::Apps;
use crate::{
    callback::{
        FieldError, Fields, Provider, Redelivery, Rejection, Secret, Verified, VerifyError,
        coded_reply, find_match,
    },
    domain::{Outcome, ProviderName, UnixMillis},
    http::{Reply, Request},
    providers::{self, Configured},
};

/// The header that names the app.
pub(super) const APP: &str = "SdkAppId";

/// TRTC as a [`Provider`].
#[derive(Debug)]
pub struct Trtc;

/// The `Sign` of a callback: base64 of the HMAC-SHA256 of its body.
#[must_use]
pub fn sign(key: &Secret, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

impl Configured for Trtc {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.tencent
    }
}

impl Provider for Trtc {
    const NAME: ProviderName = ProviderName::Tencent;
    const BODY_LIMIT: usize = 1 << 20;
    const REDELIVERY: Redelivery = Redelivery::Repeats;

    type Apps = Apps;
    type Body = Fields;

    fn verify(
        request: &Request,
        apps: &Apps,
        max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError> {
        const TIME: &str = "CallbackTs";
        let header = |name: &'static str| {
            let value = request.headers.get(name).map(HeaderValue::to_str).transpose();
            let value = value.map_err(|_| FieldError::Damaged(name))?;
            value.filter(|value| !value.is_empty()).ok_or(FieldError::Missing(name))
        };
        if !request.headers.contains_key(APP) && names_app(&request.query) {
            let why = "`Room.*` and `Live.*` are sent to /tencent/room, and Chat's callbacks to \
                       /tencent/chat";
            return Err(VerifyError::NoCredentials(why));
        }
        let app = header(APP)?.parse().map_err(|_| VerifyError::UnknownApp)?;
        let keys = &apps.get(&app).ok_or(VerifyError::UnknownApp)?.trtc_keys;
        if keys.is_empty() {
            return Err(VerifyError::NoSecret);
        }
        let sign_sent = header("Sign")?;
        let expected = keys.iter().map(|key| sign(key, &request.body));
        let proof = find_match(expected, sign_sent).ok_or(VerifyError::WrongSignature)?;

        let body = Fields::from_body(&request.body)?;
        let sent_at = UnixMillis(body.required_integer(TIME)?).seconds();
        VerifyError::check_age(TIME, sent_at, request.received_at.seconds(), max_age)?;
        Ok(Verified::new(&proof, app, body, request.received_at))
    }

    fn reply(_request: &Request, answer: &Result<Outcome, Rejection>) -> Reply {
        coded_reply(answer)
    }
}

/// Whether a query names an app, as those of Tencent's other callbacks do.
fn names_app(query: &str) -> bool {
    Fields::from_query_in_any_case(query, &[APP]).is_named(APP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_equals_the_published_vector() {
        let body = "ewoJIkV2ZW50R3JvdXBJZCI6CTIsCgkiRXZlbnRUeXBlIjoJMjA0LAoJIkNhbGxiYWNrVHMiOgkxNjY0MjA5NzQ4MTg4LAoJIkV2ZW50SW5mbyI6CXsKCQkiUm9vbUlkIjoJODQ4OSwKCQkiRXZlbnRUcyI6CTE2NjQyMDk3NDgsCgkJIkV2ZW50TXNUcyI6CTE2NjQyMDk3NDgxODAsCgkJIlVzZXJJZCI6CSJ1c2VyXzg1MDM0NjE0IiwKCQkiUmVhc29uIjoJMAoJfQp9";
        let body = BASE64_STANDARD.decode(body).unwrap();
        let key = Secret::new("123654".to_owned()).unwrap();
        assert_eq!(sign(&key, &body), "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA=");
    }
}
