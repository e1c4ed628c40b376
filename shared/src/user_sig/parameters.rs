//! The validated parameters of a ticket.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::Serialize;

use crate::login;

const MAX_USER_ID_BYTES: usize = 32;
const MAX_ROOM_NAME_BYTES: usize = 64;
const MAX_ROOM_NUMBER: u32 = 4_294_967_294;
const DAY_S: u64 = 24 * 60 * 60;

/// Why a ticket cannot be minted from a value. The text follows the value's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not an `SDKAppID`.
    #[error("is not a whole number from 1 to {}", u32::MAX)]
    SdkAppId,
    /// It is not a UserID.
    #[error("is not 1 to {MAX_USER_ID_BYTES} characters of [A-Za-z0-9_-]")]
    UserId,
    /// It is not the number of a room.
    #[error("is a number, but not a whole one from 1 to {MAX_ROOM_NUMBER}")]
    RoomNumber,
    /// It is not the name of a room.
    #[error("is a string, but not of 1 to {MAX_ROOM_NAME_BYTES} bytes")]
    RoomName,
}

/// The id of an app at Tencent, an SDKAppID: a number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SdkAppId(#[cfg_attr(test, schemars(range(max = u32::MAX)))] NonZeroU32);

impl SdkAppId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u64> for SdkAppId {
    type Error = ParameterError;

    fn try_from(number: u64) -> Result<Self, ParameterError> {
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        number.map(Self).ok_or(ParameterError::SdkAppId)
    }
}

impl FromStr for SdkAppId {
    type Err = ParameterError;

    /// Reads decimal digits, without a sign.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<u64>().ok()).flatten();
        number.ok_or(ParameterError::SdkAppId)?.try_into()
    }
}

impl fmt::Display for SdkAppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a user: 1 to 32 bytes of `[A-Za-z0-9_-]`, as Tencent requires.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TencentUserId"))]
pub struct UserId(#[cfg_attr(test, schemars(regex(pattern = "^[A-Za-z0-9_-]{1,32}$")))] String);

impl UserId {
    /// The id as the app wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let fits = (1..=MAX_USER_ID_BYTES).contains(&text.len()) && text.bytes().all(is_allowed);
        fits.then(|| Self(text.to_owned())).ok_or(ParameterError::UserId)
    }
}

/// How long a ticket is valid: one minute to 180 days, if nobody says seven days.
pub type Lifetime = login::Lifetime<60, { 180 * DAY_S }, { 7 * DAY_S }>;

/// A TRTC room. The room `123` and the room `"123"` are two rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room(RoomId);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RoomId {
    Number(u32),
    Name(String),
}

impl Room {
    /// The room with this number, 1 to 4294967294.
    ///
    /// # Errors
    ///
    /// [`ParameterError::RoomNumber`] if the number is out of that range.
    pub fn number(number: u64) -> Result<Self, ParameterError> {
        match u32::try_from(number) {
            Ok(number @ 1..=MAX_ROOM_NUMBER) => Ok(Self(RoomId::Number(number))),
            _ => Err(ParameterError::RoomNumber),
        }
    }

    /// The room with this name, of 1 to 64 bytes.
    ///
    /// # Errors
    ///
    /// [`ParameterError::RoomName`] if it is empty or longer: the official packages do not agree
    /// on what an empty name means.
    pub fn name(name: &str) -> Result<Self, ParameterError> {
        let fits = (1..=MAX_ROOM_NAME_BYTES).contains(&name.len());
        let room = fits.then(|| Self(RoomId::Name(name.to_owned())));
        room.ok_or(ParameterError::RoomName)
    }

    pub(super) fn id(&self) -> &RoomId {
        &self.0
    }
}

/// What a `PrivateMapKey` allows in its room, as a sum of bits: 1 create the room, 2 enter it,
/// 4 send audio, 8 receive audio, 16 send video, 32 receive video, 64 send the screen, 128 receive
/// the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges(pub u8);

impl Privileges {
    /// Everything.
    pub const ALL: Self = Self(u8::MAX);
}

impl Default for Privileges {
    fn default() -> Self {
        Self::ALL
    }
}
