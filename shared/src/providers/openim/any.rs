//! Whatever cannot be routed by its path: the bare URL of 2.x, `?command=` of the page and of 3.0
//! to 3.4, a doubled or trailing slash, and the commands that nobody asked for.

use super::{OpenIm, command};
use crate::callback::{Callback, ParseError, Parsed, Verified};

/// The callbacks of OpenIM that have no route of their own.
#[derive(Debug)]
pub struct Any;

impl Callback for Any {
    type Provider = OpenIm;

    fn parse(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
        command::parse(request, None)
    }
}
