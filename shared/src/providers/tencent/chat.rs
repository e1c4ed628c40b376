//! Tencent Chat's callbacks: verification and answer.
//!
//! Source: Chat server, "Webhook overview" and "Authentication". `Sign` is the SHA-256 of the token
//! and `RequestTime`. It covers neither the body nor the other parameters, so anyone who sees one
//! request can forge others for a minute.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Apps, reply};
use crate::{
    callback::{
        Fields, Provider, Redelivery, Rejection, Secret, SecretMatch, Verified, VerifyError,
        find_match,
    },
    domain::{Outcome, ProviderName, UnixMillis, UnixSeconds},
    http::{Reply, Request},
    providers::{self, Configured},
};

/// How far `RequestTime` may be from our clock: Chat's own limit.
const MAX_AGE: Duration = Duration::from_mins(1);

/// The parameter that names the app.
pub(super) const APP: &str = "SdkAppid";

pub(super) const REQUEST_TIME: &str = "RequestTime";

pub(super) const SIGN: &str = "Sign";

/// Tencent Chat as a [`Provider`].
#[derive(Debug)]
pub struct Chat;

/// The content of a verified Chat callback.
#[derive(Debug)]
pub struct StateChange {
    /// The body.
    pub body: Fields,
    /// The query string. Its `OptPlatform` is the only information about the device.
    pub parameters: Fields,
}

/// The `Sign` of a callback: 64 lower-case hexadecimal digits.
///
/// ```
/// use rollcall::{callback::Secret, providers::tencent::sign_chat};
///
/// // The vector that Tencent publishes.
/// let token = Secret::new("xxxxyyyy".to_owned()).unwrap();
/// let sign = sign_chat(&token, "1669872112");
/// assert_eq!(sign, "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061");
/// ```
#[must_use]
pub fn sign(token: &Secret, request_time: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(token.expose());
    hash.update(request_time);
    hex::encode(hash.finalize())
}

impl Configured for Chat {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.tencent
    }
}

impl Provider for Chat {
    const NAME: ProviderName = ProviderName::Tencent;
    const BODY_LIMIT: usize = 1 << 20;
    /// Its retry after a timeout is off by default.
    const REDELIVERY: Redelivery = Redelivery::Never;

    type Apps = Apps;
    type Body = StateChange;

    fn verify(
        request: &Request,
        apps: &Apps,
        max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError> {
        let parameters = Fields::from_query(&request.query);
        let app = parameters.required(APP)?.parse().map_err(|_| VerifyError::UnknownApp)?;
        let tokens = || Ok(apps.get(&app).ok_or(VerifyError::UnknownApp)?.chat_tokens.as_slice());
        let proof = verify_sign(&parameters, tokens, request.received_at, max_age)?;

        let body = Fields::from_body(&request.body).unwrap_or_default();
        let body = StateChange { body, parameters };
        Ok(Verified::new(&proof, app, body, request.received_at))
    }

    fn reply(_request: &Request, answer: &Result<Outcome, Rejection>) -> Reply {
        reply::reply(answer)
    }
}

/// Checks the `Sign` of a request, which Chat and Live make in the same way.
pub(super) fn verify_sign<'a>(
    parameters: &Fields,
    tokens: impl FnOnce() -> Result<&'a [Secret], VerifyError>,
    received_at: UnixMillis,
    max_age: Duration,
) -> Result<SecretMatch, VerifyError> {
    let request_time = parameters.required(REQUEST_TIME)?;
    let sign_sent = parameters.required(SIGN)?;
    let tokens = tokens()?;
    if tokens.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    // Anyone who knows one hash could extend it with more text, so only digits are accepted.
    let time = UnixSeconds(parameters.required_integer(REQUEST_TIME)?);
    let max_age = max_age.min(MAX_AGE);
    VerifyError::check_age(REQUEST_TIME, time, received_at.seconds(), max_age)?;
    let expected = tokens.iter().map(|token| sign(token, request_time));
    find_match(expected, sign_sent).ok_or(VerifyError::WrongSignature)
}
