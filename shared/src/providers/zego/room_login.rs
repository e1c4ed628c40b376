//! `room_login`: somebody entered a room (Server API, "User Logged in Callback").

use super::{Zego, event};
use crate::{
    callback::{Callback, ParseError, Parsed, Verified},
    domain::{Kind, LeaveReason},
};

/// The callback `room_login`.
#[derive(Debug)]
pub struct RoomLogin;

impl Callback for RoomLogin {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let login = event::SeatEvent {
            kind: Kind::Enter,
            at: "login_time",
            reason: LeaveReason::Unspecified,
            details: &["room_name", "auth_level", "relogin", "callback_data", "term_type"],
        };
        event::seat(request, &login)
    }
}
