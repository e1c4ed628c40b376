//! What is wrong with a ticket, in Tencent's codes.

use super::{
    SdkAppId, UserId,
    payload::{Defect, Payload},
    ticket::{self, Flaw},
};
use crate::{
    callback::{Secret, find_match},
    domain::UnixSeconds,
};

/// Whose ticket it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
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

/// Why a ticket is refused. What was asked is right or wrong only of a ticket that is genuine, so
/// the last three say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no ticket.
    #[error("the UserSig is empty")]
    Empty,
    /// It is not base64 of zlib of a JSON object, or of too long a one.
    #[error("the UserSig cannot be decoded: {0}")]
    Undecodable(Flaw),
    /// It can be decoded, but does not say what a ticket of version 2.0 has to say.
    #[error("the UserSig is not a ticket of version 2.0: {0}")]
    Malformed(Defect),
    /// It is signed with none of the keys.
    #[error("the UserSig is not signed with this app's key: check the SDKAppID and its SecretKey")]
    ForeignKey,
    /// It is a ticket for another app.
    #[error("the UserSig is for another SDKAppID")]
    OtherApp,
    /// It is another person's ticket.
    #[error("the UserSig is for another UserID")]
    OtherUser,
    /// It was good once.
    #[error("the UserSig has expired: mint a new one")]
    Expired,
}

impl Invalid {
    /// Tencent's code for it.
    ///
    /// Source: Chat's error codes, Tencent Cloud, document 1047/34348.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Expired => 70001,
            Self::Empty => 70002,
            Self::Undecodable(_) => 70003,
            Self::Malformed(_) => 70005,
            Self::ForeignKey => 70009,
            Self::OtherUser => 70013,
            Self::OtherApp => 70014,
        }
    }
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
    asked: &Asked,
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
