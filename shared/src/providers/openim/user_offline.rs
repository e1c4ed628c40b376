//! `callbackAfterUserOfflineCommand`: a device went offline.

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback of a device that went offline.
#[derive(Debug)]
pub struct UserOffline;

impl Callback for UserOffline {
    type Provider = OpenIm;

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserOffline))
    }
}
