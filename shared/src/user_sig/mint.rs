//! New tickets.

use super::{Lifetime, Privileges, Room, SdkAppId, UserId, payload::Payload, ticket, userbuf};
use crate::{callback::Secret, domain::UnixSeconds, login::Ticket};

/// Why a ticket could not be minted. With valid [`Claims`], the only known cause is a lack of
/// memory.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The content could not be written as JSON.
    #[error("the ticket's content cannot be written: {0}")]
    Content(#[from] serde_json::Error),
    /// The content could not be compressed.
    #[error("the ticket cannot be compressed: {0}")]
    Compression(#[from] std::io::Error),
}

/// The content of a ticket: who may log in to which app, and from when until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The app.
    pub app: SdkAppId,
    /// The person.
    pub user: UserId,
    /// When the ticket is minted.
    pub issued_at: UnixSeconds,
    /// How long it is valid.
    pub lifetime: Lifetime,
}

impl Claims {
    /// The last second in which the ticket is valid.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        self.issued_at.after(self.lifetime.duration())
    }

    /// The UserSig: a ticket for logging in.
    ///
    /// # Errors
    ///
    /// [`MintError`]
    pub fn user_sig(&self, key: &Secret) -> Result<Ticket, MintError> {
        self.mint(None, key)
    }

    /// The `PrivateMapKey`: a ticket for one room, which TRTC requires if "advanced permission
    /// control" is on in the console.
    ///
    /// # Errors
    ///
    /// [`MintError`]
    pub fn private_map_key(
        &self,
        room: &Room,
        privileges: Privileges,
        key: &Secret,
    ) -> Result<Ticket, MintError> {
        let bytes = userbuf::userbuf(self.app, &self.user, room, privileges, self.expires_at());
        self.mint(Some(&bytes), key)
    }

    fn mint(&self, userbuf: Option<&[u8]>, key: &Secret) -> Result<Ticket, MintError> {
        let lifetime_s = self.lifetime.duration().as_secs();
        let user = self.user.as_str();
        let payload = Payload::signed(user, self.app, self.issued_at, lifetime_s, userbuf, key);
        Ok(ticket::encode(&serde_json::to_string(&payload)?)?)
    }
}
