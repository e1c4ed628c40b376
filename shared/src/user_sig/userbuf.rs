//! The bytes that make a ticket a `PrivateMapKey`: which room, until when, and what is allowed.

use super::{Privileges, Room, SdkAppId, UserId, parameters::RoomId};
use crate::domain::UnixSeconds;

/// Only 0 is in use.
const ACCOUNT_TYPE: u32 = 0;

/// All integers are big-endian, and lengths count bytes. Unlike `TLS.expire`, `expires_at` is a
/// moment. It has 32 bits, so from 2106 on it is their maximum.
pub(super) fn userbuf(
    app: SdkAppId,
    user: &UserId,
    room: &Room,
    privileges: Privileges,
    expires_at: UnixSeconds,
) -> Vec<u8> {
    let (version, number, name) = match room.id() {
        RoomId::Number(number) => (0, *number, None),
        RoomId::Name(name) => (1, 0, Some(name)),
    };
    let mut bytes = vec![version];
    push_text(&mut bytes, user.as_str());
    let expires_at = u32::try_from(expires_at.0).unwrap_or(u32::MAX);
    for field in [app.get(), number, expires_at, privileges.0.into(), ACCOUNT_TYPE] {
        bytes.extend(field.to_be_bytes());
    }
    if let Some(name) = name {
        push_text(&mut bytes, name);
    }
    bytes
}

/// Adds a text after its length. Ids and rooms are far shorter than 64 KiB.
fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
}
