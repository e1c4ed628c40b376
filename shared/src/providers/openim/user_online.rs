//! `callbackAfterUserOnlineCommand`: a device came online, or still is.

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback of a device that is online.
#[derive(Debug)]
pub struct UserOnline;

impl Callback for UserOnline {
    type Provider = OpenIm;

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserOnline))
    }
}
