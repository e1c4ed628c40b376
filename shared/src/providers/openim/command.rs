//! Which callback it is, and in which dialect.

use super::{OpenIm, device, profile, registration};
use crate::{
    callback::{FieldError, ParseError, Parsed, Verified},
    domain::{Account, DeviceEvent, LeaveReason},
    http::Request,
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
    /// A profile was updated.
    UserUpdate,
}

impl Command {
    /// Its name in the log and in the metrics: that of its callback type.
    #[must_use]
    pub fn event(self) -> &'static str {
        match self {
            Self::UserRegister => "user_register",
            Self::UserOnline => "user_online",
            Self::UserOffline => "user_offline",
            Self::UserUpdate => "user_update",
        }
    }

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
            // The deprecated API, and the other one.
            "callbackAfterUpdateUserInfoCommand" | "callbackAfterUpdateUserInfoExCommand" => {
                Some(Self::UserUpdate)
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
    let parsed = match command {
        Some(Command::UserRegister) => registration::changes(request)?,
        Some(Command::UserOnline) => device::change(request, ONLINE)?,
        Some(Command::UserOffline) => device::change(request, OFFLINE)?,
        Some(Command::UserUpdate) => profile::change(request)?,
        None => Parsed::ignored(),
    };
    Ok(Parsed { event: Some(command.map_or("other", Command::event)), ..parsed })
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
    pub fn of(request: &Request) -> Self {
        let mut parameters = form_urlencoded::parse(request.query.as_bytes());
        let documented =
            parameters.any(|(name, value)| name == "command" && value == Self::DOCUMENTED_COMMAND);
        if documented { Self::Documented } else { Self::Real }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{UserOffline, UserOnline, UserRegister, UserUpdate},
        Command,
    };
    use crate::callback::Routed;

    #[test]
    fn a_command_has_the_name_of_its_callback_type() {
        assert_eq!(Command::UserRegister.event(), UserRegister::EVENT);
        assert_eq!(Command::UserOnline.event(), UserOnline::EVENT);
        assert_eq!(Command::UserOffline.event(), UserOffline::EVENT);
        assert_eq!(Command::UserUpdate.event(), UserUpdate::EVENT);
    }
}
