//! Checks a ticket.

use super::{Invalid, SdkAppId, UserId, payload::Payload, ticket};
use crate::{
    callback::{Secret, find_match},
    domain::UnixSeconds,
};

/// Whose ticket it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The app that the person logs in to.
    pub app: SdkAppId,
    /// The person.
    pub user: UserId,
}

/// What is known of a good ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid {
    /// When it was minted.
    pub issued_at: UnixSeconds,
    /// The last second in which it is good.
    pub expires_at: UnixSeconds,
}

/// Checks that a ticket lets `asked.user` log in to `asked.app` at the time `now`. A
/// `PrivateMapKey` is a ticket, too; what it says of its room is not looked at.
///
/// `keys` gives the keys of an app, and none for an app that is not known: any of them may have
/// signed. It is asked for `asked.app`, and for the app that the ticket names if that is another.
///
/// The order of the checks: whether there is a ticket, whether it can be read, whether it is
/// genuine, and only then app, user and time. So a forged ticket is never said to be merely
/// expired, and a code that tells of another app, another person or another time tells the truth.
///
/// # Errors
///
/// [`Invalid`]: the first check that fails.
pub fn verify<'k>(
    ticket: &str,
    asked: &Expected,
    keys: impl Fn(SdkAppId) -> &'k [Secret],
    now: UnixSeconds,
) -> Result<Valid, Invalid> {
    if ticket.is_empty() {
        return Err(Invalid::Empty);
    }
    let content = ticket::decode(ticket).map_err(Invalid::Undecodable)?;
    let payload = Payload::read(&content)?;
    let app = payload.app;

    let of_ticket = if app == asked.app { &[] } else { keys(app) };
    let sigs = keys(asked.app).iter().chain(of_ticket).map(|key| payload.sig_by(key));
    // The text is compared, so that a second base64 text of the same bytes is refused.
    find_match(sigs, &payload.sig).ok_or(Invalid::ForeignKey)?;

    if app != asked.app {
        return Err(Invalid::OtherApp);
    }
    if payload.user != asked.user.as_str() {
        return Err(Invalid::OtherUser);
    }
    let expires_at = payload.expires_at().filter(|last| now <= *last).ok_or(Invalid::Expired)?;
    Ok(Valid { issued_at: payload.issued_at(), expires_at })
}
