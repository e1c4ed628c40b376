//! `user_action`: a user of ZIM logged in, logged out, or lost the connection (ZIM Server API,
//! "Callbacks", "Login and logout").
//!
//! `action` 0 is a login, 1 a logout and 2 a lost connection, each of one `session_id`. Which of the
//! times a callback has is not documented. Where its own is missing, `timestamp` is about right: when
//! the callback was sent.

use super::{super::Zego, sent_at, time};
use crate::{
    callback::{Callback, FieldError, ParseError, Parsed, Verified},
    domain::{Change, SessionChange, SessionEvent, UNKNOWN_PLATFORM},
    providers::zego::event,
};

/// The callback `user_action`.
#[derive(Debug)]
pub struct UserAction;

impl Callback for UserAction {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        const OS: &str = "os";
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let (body, now) = (request.body(), request.received_at());
        let login_at = time(body, "login_time", now)?;
        let (event, own) = match body.required_integer::<u32>("action")? {
            0 => (SessionEvent::LoggedIn, login_at),
            1 => (SessionEvent::LoggedOut, time(body, "logout_time", now)?),
            2 => (SessionEvent::Offline, time(body, "offline_time", now)?),
            // An action of a later version.
            _ => return Ok(Parsed::ignored()),
        };
        let at = own.unwrap_or(sent_at(body, now)?);
        // ZEGO's own sample has a blank at its end.
        let os = body.text(OS)?.map(str::trim).filter(|os| !os.is_empty());
        let platform = os.unwrap_or(UNKNOWN_PLATFORM).parse();
        Ok(Parsed::from(Change::Session(SessionChange {
            app: request.app(),
            user: body.id("user_id")?,
            session: body.id("session_id")?,
            platform: platform.map_err(|error| FieldError::Id(OS, error))?,
            event,
            at,
            // No session ends before it begins: then one of the two times is wrong.
            login_at: login_at.filter(|login_at| *login_at <= at),
        })))
    }
}
