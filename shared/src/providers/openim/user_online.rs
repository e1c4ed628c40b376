//! `callbackAfterUserOnlineCommand`: a device came online, or still is.

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback of a device that is online.
#[derive(Debug)]
pub struct UserOnline;

impl Callback for UserOnline {
    type Provider = OpenIm;

    const FUNCTION: &'static str = "openim-user-online";
    const ROUTES: &'static [&'static str] =
        &["/openim/callbackAfterUserOnlineCommand", "/openim/callbackUserOnlineCommand"];
    const EVENT: &'static str = Command::UserOnline.event();

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserOnline))
    }
}
