//! `callbackAfterUserOfflineCommand`: a device went offline.

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback of a device that went offline.
#[derive(Debug)]
pub struct UserOffline;

impl Callback for UserOffline {
    type Provider = OpenIm;

    const FUNCTION: &'static str = "openim-user-offline";
    const ROUTES: &'static [&'static str] =
        &["/openim/callbackAfterUserOfflineCommand", "/openim/callbackUserOfflineCommand"];
    const EVENT: &'static str = Command::UserOffline.event();

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserOffline))
    }
}
