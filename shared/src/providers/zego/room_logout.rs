//! `room_logout`: somebody left a room (Server API, "User Logged out Callback").

use super::{Zego, event};
use crate::{
    callback::{Callback, ParseError, Parsed, Verified},
    domain::{Kind, LeaveReason},
};

/// The callback `room_logout`.
#[derive(Debug)]
pub struct RoomLogout;

impl Callback for RoomLogout {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let logout = event::SeatEvent {
            kind: Kind::Leave,
            at: "logout_time",
            reason: reason(request.body().integer("reason")?),
            details: &[],
        };
        event::seat(request, &logout)
    }
}

/// Codes of the page as of 2026-03-16. Before, 3 was a kick only; now it is a new login, too.
pub(super) fn reason(code: Option<u8>) -> LeaveReason {
    match code {
        None => LeaveReason::Unspecified,
        Some(0) => LeaveReason::Normal,
        Some(1) => LeaveReason::HeartbeatTimeout,
        Some(2) => LeaveReason::Disconnected,
        Some(3) => LeaveReason::Kicked,
        Some(4) => LeaveReason::TokenExpired,
        Some(other) => LeaveReason::Other(other),
    }
}
