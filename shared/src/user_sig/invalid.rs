//! What is wrong with a ticket, in Tencent's codes.

use super::ticket::Flaw;

/// Why the content of a ticket says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// A field is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field cannot be what it is.
    #[error("`{0}` is not {1}")]
    Not(&'static str, &'static str),
    /// A field is named twice.
    #[error("a field is named twice")]
    Repeated,
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
