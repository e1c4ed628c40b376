//! `callbackAfterUpdateUserInfoCommand` and `callbackAfterUpdateUserInfoExCommand`: a user's profile
//! was updated.

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback after an update of a profile, of both APIs.
#[derive(Debug)]
pub struct UserUpdate;

impl Callback for UserUpdate {
    type Provider = OpenIm;

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserUpdate))
    }
}
