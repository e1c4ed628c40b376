//! The validated parameters of a token.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::Serialize;

use crate::login;

const MAX_USER_ID_BYTES: usize = 64;
const MAX_ROOM_ID_BYTES: usize = 127;
const MAX_STREAM_ID_BYTES: usize = 255;
const MAX_STREAMS: usize = 100;
/// The longest payload, in bytes of JSON. In the content, where it is a text, it is at most twice as
/// long.
const MAX_PAYLOAD_BYTES: usize = 8 << 10;
const DAY_S: u64 = 24 * 60 * 60;

/// Why a token cannot be minted from a value. The text follows the value's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not an AppID.
    #[error("is not a whole number from 1 to {}", u32::MAX)]
    App,
    /// It is not a user's id.
    #[error("is not 1 to {MAX_USER_ID_BYTES} bytes")]
    UserId,
    /// It is not a room's id.
    #[error("is not 1 to {MAX_ROOM_ID_BYTES} bytes")]
    RoomId,
    /// One of the streams has no id.
    #[error("has an id that is not 1 to {MAX_STREAM_ID_BYTES} bytes")]
    StreamId,
    /// There are no streams, or too many. To ZEGO, an empty list might mean any stream.
    #[error("is not 1 to {MAX_STREAMS} streams: leave it out for any stream")]
    Streams,
    /// Room and streams are too long together.
    #[error("has more than {MAX_PAYLOAD_BYTES} bytes in the token's JSON, with its streams")]
    TooLong,
}

/// The id of an app at ZEGO, an AppID: a number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZegoAppId(NonZeroU32);

impl ZegoAppId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u64> for ZegoAppId {
    type Error = ParameterError;

    fn try_from(number: u64) -> Result<Self, ParameterError> {
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        number.map(Self).ok_or(ParameterError::App)
    }
}

impl FromStr for ZegoAppId {
    type Err = ParameterError;

    /// Reads decimal digits, without a sign.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<u64>().ok()).flatten();
        number.ok_or(ParameterError::App)?.try_into()
    }
}

impl fmt::Display for ZegoAppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a user: 1 to 64 bytes, the most that ZEGO's own generators take. RTC's clients want
/// less than 64, ZIM at most 32.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

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
        let fits = (1..=MAX_USER_ID_BYTES).contains(&text.len());
        fits.then(|| Self(text.to_owned())).ok_or(ParameterError::UserId)
    }
}

/// How long a token is valid: one minute to 180 days, if nobody says an hour, as in ZEGO's examples.
/// ZEGO documents no longest lifetime. ZIM refuses a token that is valid for less than 30 seconds.
pub type Lifetime = login::Lifetime<60, { 180 * DAY_S }, { 60 * 60 }>;

/// Whether something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It is.
    Allowed,
    /// It is not.
    Denied,
}

impl From<bool> for Permission {
    fn from(is_allowed: bool) -> Self {
        if is_allowed { Self::Allowed } else { Self::Denied }
    }
}

impl From<Permission> for u8 {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Allowed => 1,
            Permission::Denied => 0,
        }
    }
}

/// What a privilege token allows, and in which room. ZEGO checks it if its support has enabled that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The JSON that a token carries as a text.
    payload: String,
}

/// The JSON of [`Room::payload`].
#[derive(Serialize)]
struct Payload<'a> {
    room_id: &'a str,
    privilege: Privilege,
    /// Null means any stream.
    stream_id_list: Option<&'a [String]>,
}

#[derive(Serialize)]
struct Privilege {
    #[serde(rename = "1")]
    login: u8,
    #[serde(rename = "2")]
    publish: u8,
}

impl Room {
    /// The room with this id, of 1 to 127 bytes: whether the user may enter it, and whether they may
    /// publish streams there, any or only `streams`: 1 to 100 ids of 1 to 255 bytes.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] if that is not so, or all together is longer than 8 KiB.
    pub fn new(
        id: &str,
        login: Permission,
        publish: Permission,
        streams: Option<&[String]>,
    ) -> Result<Self, ParameterError> {
        if !(1..=MAX_ROOM_ID_BYTES).contains(&id.len()) {
            return Err(ParameterError::RoomId);
        }
        if let Some(streams) = streams {
            if !(1..=MAX_STREAMS).contains(&streams.len()) {
                return Err(ParameterError::Streams);
            }
            if streams.iter().any(|id| !(1..=MAX_STREAM_ID_BYTES).contains(&id.len())) {
                return Err(ParameterError::StreamId);
            }
        }
        let privilege = Privilege { login: login.into(), publish: publish.into() };
        let payload = Payload { room_id: id, privilege, stream_id_list: streams };
        // Texts and small numbers are always JSON.
        let payload = serde_json::to_string(&payload).map_err(|_| ParameterError::TooLong)?;
        let fits = payload.len() <= MAX_PAYLOAD_BYTES;
        fits.then_some(Self { payload }).ok_or(ParameterError::TooLong)
    }

    /// The JSON that a token carries as a text.
    pub(super) fn payload(&self) -> &str {
        &self.payload
    }
}
