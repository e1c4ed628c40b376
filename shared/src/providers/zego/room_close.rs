//! `room_close`: a life of a room ended (Server API, "Room Destroyed Callback").

use super::{Zego, event};
use crate::{
    callback::{Callback, ParseError, Parsed, Verified},
    domain::Boundary,
};

/// The callback `room_close`.
#[derive(Debug)]
pub struct RoomClose;

impl Callback for RoomClose {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let reason = request.body().integer("close_reason")?;
        let at = event::time(request, "room_close_time")?;
        event::boundary(request, Boundary::Closed { at, reason })
    }
}
