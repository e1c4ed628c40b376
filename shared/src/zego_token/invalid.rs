//! Why a token is refused, with the codes of ZEGO's client SDKs.

use super::layout::Flaw;
use crate::login::{Defect, Refusal};

/// Why a token is refused. App, user and time are checked only in a content that a key of the app has
/// decrypted.
///
/// AES-CBC has no signature. So nothing here says that nobody has changed the token, and there is one
/// reason for everything that a wrong key, a wrong padding or a changed byte can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no token.
    #[error("the token is empty")]
    Empty,
    /// It does not have the layout of a token04.
    #[error("the token cannot be decoded: {0}")]
    Undecodable(Flaw),
    /// No key of the app decrypts it to a JSON object.
    #[error(
        "the token cannot be decrypted with this app's key: check the AppID and its ServerSecret, \
         and whether the token was changed"
    )]
    Undecryptable,
    /// It is decrypted, but does not have the content of a token04.
    #[error("the token does not have the content of a token04: {0}")]
    Malformed(Defect),
    /// Its nonce is not a number.
    #[error("the token's `nonce` is not a whole number of at most 64 bits")]
    Nonce,
    /// It is a token for another app.
    #[error("the token is for another AppID")]
    OtherApp,
    /// It is a token for another user.
    #[error("the token is for another user")]
    OtherUser,
    /// It was valid before.
    #[error("the token has expired: mint a new one")]
    Expired,
}

impl Refusal for Invalid {
    /// The code of ZEGO's client SDKs for iOS, Android, macOS, Windows and so on.
    ///
    /// Source: ZEGO's documents, `error-code` of the client SDKs. 1002033 is the general one: the
    /// login cannot be authenticated.
    fn code(&self) -> u32 {
        match self {
            Self::Undecryptable => 1_002_033,
            Self::Empty => 1_002_067,
            Self::Undecodable(Flaw::Version | Flaw::Mode) => 1_002_079,
            Self::Undecodable(_) | Self::Malformed(_) => 1_002_075,
            Self::OtherApp => 1_002_076,
            Self::OtherUser => 1_002_077,
            Self::Expired => 1_002_078,
            Self::Nonce => 1_002_080,
        }
    }

    fn might_be_by_a_new_key(&self) -> bool {
        matches!(self, Self::Undecryptable)
    }
}
