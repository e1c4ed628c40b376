//! `callbackAfterUserRegisterCommand`: users were registered ("Callback After User Registration
//! Request").

use super::{Command, OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callback after a registration.
#[derive(Debug)]
pub struct UserRegister;

impl Callback for UserRegister {
    type Provider = OpenIm;

    const FUNCTION: &'static str = "openim-user-register";
    const ROUTES: &'static [&'static str] = &["/openim/callbackAfterUserRegisterCommand"];
    const EVENT: &'static str = Command::UserRegister.event();

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, Some(Command::UserRegister))
    }
}
