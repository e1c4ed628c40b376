//! Changes of profiles: `callbackAfterUpdateUserInfoCommand` and
//! `callbackAfterUpdateUserInfoExCommand`.
//!
//! Read off the server's sources, from 3.5 on. They are sent on every call of the two APIs, also if
//! nothing changes, by two workers that overtake each other, and never again. The body has no time
//! and no version. The first one cannot say that a field was cleared, and neither names `ex`. So
//! only the user counts, and what the profile is has to be asked.

use super::OpenIm;
use crate::{
    callback::{ParseError, Parsed, Verified},
    domain::{Change, ProfileChange},
};

/// Reads whose profile changed. The time of receipt is the change's.
pub(super) fn change(request: &Verified<OpenIm>) -> Result<Parsed, ParseError> {
    let user = request.body().id("userID")?;
    let (app, changed_at) = (request.app(), request.received_at());
    Ok(Parsed::from(Change::Profile(ProfileChange { app, user, changed_at })))
}
