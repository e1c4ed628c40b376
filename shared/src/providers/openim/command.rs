//! Which callback it is, and in which dialect.

use super::{OpenIm, UserOffline, UserOnline, UserRegister, device, user_register};
use crate::{
    callback::{Callback, FieldError, ParseError, Parsed, RawRequest, Verified},
    domain::{Account, DeviceEvent, LeaveReason},
};

/// The callbacks that are recorded. OpenIM has about fifty others on the same URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Users were registered.
    UserRegister,
    /// A device came online.
    UserOnline,
    /// A device went offline.
    UserOffline,
}

impl Command {
    /// The command of that name, in any version of the server or of its documentation.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "callbackAfterUserRegisterCommand" | Dialect::DOCUMENTED_COMMAND => {
                Some(Self::UserRegister)
            }
            // From 3.7, before.
            "callbackAfterUserOnlineCommand" | "callbackUserOnlineCommand" => {
                Some(Self::UserOnline)
            }
            "callbackAfterUserOfflineCommand" | "callbackUserOfflineCommand" => {
                Some(Self::UserOffline)
            }
            _ => None,
        }
    }
}

const ONLINE: DeviceEvent = DeviceEvent::Online(Account::Registered);
const OFFLINE: DeviceEvent = DeviceEvent::Offline(LeaveReason::Unspecified);

/// Reads whatever command the body names: it is the authority, wherever the request arrived.
/// `route` is what the route stands for, in case the body names none.
pub(super) fn parse(
    request: &Verified<OpenIm>,
    route: Option<Command>,
) -> Result<Parsed, ParseError> {
    const FIELD: &str = "callbackCommand";
    let command = match (request.body().text(FIELD)?, route) {
        (Some(name), _) => Command::by_name(name),
        (None, Some(command)) => Some(command),
        (None, None) => return Err(FieldError::Missing(FIELD).into()),
    };
    let (event, parsed) = match command {
        Some(Command::UserRegister) => {
            (UserRegister::EVENT, user_register::registrations(request)?)
        }
        Some(Command::UserOnline) => (UserOnline::EVENT, device::change(request, ONLINE)?),
        Some(Command::UserOffline) => (UserOffline::EVENT, device::change(request, OFFLINE)?),
        None => ("other", Parsed::ignored()),
    };
    Ok(Parsed { event: Some(event), ..parsed })
}

/// How a request is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As the server really speaks: `nextCode` is a number, and nothing may look like a refusal.
    Real,
    /// As the page "Callback After User Registration Request" shows: `nextCode` is a string.
    Documented,
}

impl Dialect {
    /// The command in the query string of the page.
    pub(super) const DOCUMENTED_COMMAND: &str = "userRegisterAfterCommand";

    /// The dialect of a request, by its query string.
    #[must_use]
    pub fn of(request: &RawRequest) -> Self {
        let mut parameters = form_urlencoded::parse(request.query.as_bytes());
        let documented =
            parameters.any(|(name, value)| name == "command" && value == Self::DOCUMENTED_COMMAND);
        if documented { Self::Documented } else { Self::Real }
    }
}
