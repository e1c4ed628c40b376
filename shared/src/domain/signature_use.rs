//! Signatures that do not cover their body.

use bytes::Bytes;

use super::UnixSeconds;

/// One use of a signature that does not cover the body. Anyone who has seen it could use it for
/// another body, unless it is valid for one body only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureUse {
    /// The signature as it was sent.
    pub signature: String,
    /// The body, byte for byte as it was sent.
    pub body: Bytes,
    /// The last second in which the signature can be verified.
    pub good_until: UnixSeconds,
}
