//! What a register says, in OpenIM's terms.

use crate::domain::{Device, Register, SessionId, Stamp};

/// The event of a device that a register keeps.
pub(super) fn says(device: &Device, register: Register, stamp: Stamp) -> String {
    let at = stamp.at();
    let connection = device.connection.as_ref().map(SessionId::as_str);
    let connection = connection.map_or_else(String::new, |id| format!(" with connID {id}"));
    match register {
        Register::Online if device.connection.is_some() => {
            format!("user online{connection}, which is reported once; seq {at}")
        }
        Register::Online if stamp.was_reported_once() => {
            format!("user online without a connID, which is reported once; seq {at}")
        }
        Register::Online => {
            format!("user online with an empty connID, which the server repeats; seq {at}")
        }
        // OpenIM has no other events of a device.
        Register::Offline | Register::LoggedOut | Register::KickedByItself => {
            format!("user offline{connection}; seq {at}")
        }
    }
}
