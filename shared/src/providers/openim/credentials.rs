//! The sender of a request, and its installation.
//!
//! OpenIM signs nothing. It sends the platform's `secret` in the body of registrations
//! (3.5 to 3.8.0), and the userinfo of its callback URL as `Authorization: Basic` (all versions).

use base64::{Engine, prelude::BASE64_STANDARD};
use http::header::AUTHORIZATION;

use super::{
    OpenIm,
    apps::{Apps, Basic},
};
use crate::{
    callback::{Fields, Secret, SecretMatch, Verified, VerifyError, find_match},
    domain::AppId,
    http::Request,
};

/// Compares the credentials of a request with those of every app, and returns the app.
pub(super) fn verify(request: &Request, apps: &Apps) -> Result<Verified<OpenIm>, VerifyError> {
    let body = Fields::from_body(&request.body)?;
    let secret = body.text("secret")?.unwrap_or_default();
    let basic = basic(request).unwrap_or_default();
    if secret.is_empty() && basic.is_empty() {
        return Err(VerifyError::NoCredentials(
            "neither `secret` in the body nor `Authorization: Basic`, which OpenIM makes of \
             https://user:password@... as its callback URL",
        ));
    }
    let mut found: Option<(&AppId, SecretMatch)> = None;
    for (app, credentials) in apps {
        let by_secret = find_match(credentials.secrets.iter().map(Secret::expose), secret);
        let by_basic = find_match(credentials.basic.iter().map(Basic::user_pass), &basic);
        if let Some(proof) = by_secret.or(by_basic) {
            // The body of one app under the credentials of another is neither's.
            if found.is_some() {
                return Err(VerifyError::WrongCredentials);
            }
            found = Some((app, proof));
        }
    }
    let (app, proof) = found.ok_or(VerifyError::WrongCredentials)?;
    let app = app.clone();
    // Neither the platform's secret nor a user's token (2.x) is of any use from here on.
    let body = body.without("secret").without("token");
    Ok(Verified::new(&proof, app, body, request.received_at))
}

/// The user and password of `Authorization: Basic`.
fn basic(request: &Request) -> Option<Vec<u8>> {
    let header = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    BASE64_STANDARD.decode(encoded.trim()).ok()
}
