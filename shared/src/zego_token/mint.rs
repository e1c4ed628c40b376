//! New tokens.

use super::{
    Lifetime, Room, UserId, ZegoAppId,
    cipher::encrypt_cbc,
    content::NewContent,
    layout::{BLOCK_BYTES, Mode, Sealed},
};
use crate::{domain::UnixSeconds, login::Ticket, providers::zego::ServerSecret};

/// Why a token could not be minted. With valid [`Claims`], the only known causes are a machine
/// without random numbers, a lack of memory, and a clock beyond all times.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The content could not be written as JSON.
    #[error("the token's content cannot be written: {0}")]
    Content(#[from] serde_json::Error),
    /// There are no random numbers.
    #[error("there are no random numbers: {0}")]
    Random(getrandom::Error),
    /// The end is beyond 63 bits.
    #[error("the token would end after all times")]
    End,
}

/// The content of a token: who may log in to which app, from when until when, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The app.
    pub app: ZegoAppId,
    /// The person.
    pub user: UserId,
    /// When the token is minted.
    pub issued_at: UnixSeconds,
    /// How long it is valid.
    pub lifetime: Lifetime,
    /// With a room, it is a privilege token. Without one it is a basic token, which restricts
    /// nothing.
    pub room: Option<Room>,
}

/// What makes each token another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    pub(super) nonce: i32,
    pub(super) iv: [u8; BLOCK_BYTES],
}

impl Chance {
    fn from_the_system() -> Result<Self, MintError> {
        let (mut nonce, mut iv) = ([0; 4], [0; BLOCK_BYTES]);
        getrandom::fill(&mut nonce).map_err(MintError::Random)?;
        getrandom::fill(&mut iv).map_err(MintError::Random)?;
        Ok(Self { nonce: i32::from_be_bytes(nonce), iv })
    }
}

impl Claims {
    /// The last second in which the token is valid.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        self.issued_at.after(self.lifetime.duration())
    }

    /// The token, with a random IV.
    ///
    /// # Errors
    ///
    /// [`MintError`]
    pub fn token(&self, key: &ServerSecret) -> Result<Ticket, MintError> {
        self.token_with(Chance::from_the_system()?, key)
    }

    pub(super) fn token_with(
        &self,
        Chance { nonce, iv }: Chance,
        key: &ServerSecret,
    ) -> Result<Ticket, MintError> {
        let content = NewContent {
            app_id: self.app.get(),
            user_id: self.user.as_str(),
            nonce,
            ctime: self.issued_at.0,
            expire: self.expires_at().0,
            payload: self.room.as_ref().map(Room::payload).unwrap_or_default(),
        };
        let sealed = Sealed {
            expires_at: i64::try_from(content.expire).map_err(|_| MintError::End)?,
            iv: iv.to_vec(),
            ciphertext: encrypt_cbc(&serde_json::to_vec(&content)?, &iv, key),
            mode: Mode::Cbc,
        };
        Ok(sealed.text())
    }
}
