//! `room_create`: a life of a room began (Server API, "Room Created Callback").

use super::{Zego, event};
use crate::{
    callback::{Callback, FieldError, ParseError, Parsed, Verified},
    domain::{Boundary, Creator},
};

/// The callback `room_create`.
#[derive(Debug)]
pub struct RoomCreate;

impl Callback for RoomCreate {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let creator = match request.body().id("id_name") {
            Ok(user) => Some(Creator::Named(user)),
            Err(FieldError::Missing(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let at = event::time(request, "room_create_time")?;
        event::boundary(request, Boundary::Created { at, creator })
    }
}
