//! ZEGOCLOUD's ZIM (In-app Chat): who is online on which device, and its own rooms.
//!
//! Its callbacks are signed as those of RTC are. Its rooms are other rooms than RTC's, with other rules:
//! neither their lives nor the people's stays have ids, and the only time of an event is when its
//! callback was sent.

#[cfg(feature = "server-api")]
pub mod api;
mod device;
mod room_event;
mod rules;
mod says;
mod user_action;
mod visits;

pub use room_event::RoomEvent;
pub(super) use rules::{DEVICES, ROOMS, SEATS};
pub use user_action::UserAction;

use super::signature::unix_millis;
use crate::{
    callback::{FieldError, Fields},
    domain::{MAX_EVENT_TIME_AHEAD, UnixMillis},
};

/// When a callback was sent.
const TIMESTAMP: &str = "timestamp";

/// A time; `None` if it is missing, empty or 0.
fn time(
    body: &Fields,
    field: &'static str,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, FieldError> {
    let Some(time) = body.integer(field)?.filter(|number| *number > 0).map(unix_millis) else {
        return Ok(None);
    };
    if time > now.after(MAX_EVENT_TIME_AHEAD) {
        return Err(FieldError::Future(field));
    }
    Ok(Some(time))
}

/// When the callback was sent.
fn sent_at(body: &Fields, now: UnixMillis) -> Result<UnixMillis, FieldError> {
    time(body, TIMESTAMP, now)?.ok_or(FieldError::Missing(TIMESTAMP))
}
