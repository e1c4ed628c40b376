//! Checks a ticket.

use super::{Invalid, SdkAppId, UserId, payload::Payload, ticket};
use crate::{
    callback::{Secret, find_match},
    domain::UnixSeconds,
    login::Valid,
};

/// The app and the user that a ticket should be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The app that the user logs in to.
    pub app: SdkAppId,
    /// The user.
    pub user: UserId,
}

/// Checks that a ticket lets `expected.user` log in to `expected.app` at the time `now`. A
/// `PrivateMapKey` is a ticket, too. Its room is not checked.
///
/// `keys` returns the keys of an app, and none for an unknown app. Any of them may have signed. It
/// is called for `expected.app`, and for the ticket's own app if that is another one.
///
/// The order of the checks: whether there is a ticket, whether it can be read, whether it is
/// genuine, and only then app, user and time. So a forged ticket is never reported as expired, and
/// a code for another app, another user or another time is reliable.
///
/// # Errors
///
/// [`Invalid`]: the first check that fails.
pub fn verify<'k>(
    ticket: &str,
    expected: &Expected,
    keys: impl Fn(SdkAppId) -> &'k [Secret],
    now: UnixSeconds,
) -> Result<Valid, Invalid> {
    if ticket.is_empty() {
        return Err(Invalid::Empty);
    }
    let content = ticket::decode(ticket).map_err(Invalid::Undecodable)?;
    let payload = Payload::read(&content)?;
    let app = payload.app;

    let of_ticket = if app == expected.app { &[] } else { keys(app) };
    let sigs = keys(expected.app).iter().chain(of_ticket).map(|key| payload.sig_by(key));
    // The text is compared, so that a second base64 text of the same bytes is refused.
    find_match(sigs, &payload.sig).ok_or(Invalid::ForeignKey)?;

    if app != expected.app {
        return Err(Invalid::OtherApp);
    }
    if payload.user != expected.user.as_str() {
        return Err(Invalid::OtherUser);
    }
    let expires_at = payload.expires_at().filter(|last| now <= *last).ok_or(Invalid::Expired)?;
    Ok(Valid { issued_at: payload.issued_at(), expires_at })
}
