//! `callbackAfterUserRegisterCommand`: users were registered ("Callback After User Registration
//! Request").

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback after a registration.
#[derive(Debug)]
pub struct UserRegister;

impl Callback for UserRegister {
    type Provider = OpenIm;

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserRegister))
    }
}
