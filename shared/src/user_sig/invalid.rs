//! Why a ticket is refused, with Tencent's codes.

use super::ticket::Flaw;
use crate::login::{Defect, Refusal};

/// Why a ticket is refused. App, user and time are checked only on a genuine ticket, so the last
/// three reasons also mean that the ticket is genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no ticket.
    #[error("the UserSig is empty")]
    Empty,
    /// It is not base64 of zlib of a JSON object, or of too long a one.
    #[error("the UserSig cannot be decoded: {0}")]
    Undecodable(Flaw),
    /// It can be decoded, but does not have the content of a ticket of version 2.0.
    #[error("the UserSig is not a ticket of version 2.0: {0}")]
    Malformed(Defect),
    /// It is not signed with any of the keys.
    #[error("the UserSig is not signed with this app's key: check the SDKAppID and its SecretKey")]
    ForeignKey,
    /// It is a ticket for another app.
    #[error("the UserSig is for another SDKAppID")]
    OtherApp,
    /// It is a ticket for another user.
    #[error("the UserSig is for another UserID")]
    OtherUser,
    /// It was valid before.
    #[error("the UserSig has expired: mint a new one")]
    Expired,
}

impl Refusal for Invalid {
    /// Tencent's code for it.
    ///
    /// Source: Chat's error codes, Tencent Cloud, document 1047/34348.
    fn code(&self) -> u32 {
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

    fn might_be_by_a_new_key(&self) -> bool {
        matches!(self, Self::ForeignKey)
    }
}
