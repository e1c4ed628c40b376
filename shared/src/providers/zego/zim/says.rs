//! What a mark and a register say, in ZIM's terms.

use crate::domain::{Device, Kind, LeaveReason, Mark, Register, Role, Stamp};

/// The room event of ZIM that left a mark.
pub(super) fn mark(mark: &Mark, _role: &str) -> String {
    let robot =
        if mark.role == Role::ADMIN { "; a robot, which does not count as a person" } else { "" };
    let what = match (mark.kind, mark.reason) {
        (Kind::Enter | Kind::Stay, _) => "room_enter: entered the room",
        (Kind::Leave, LeaveReason::Normal) => "room_exit: left the room, with exit_type Quit",
        (Kind::Leave, LeaveReason::Kicked) => "room_exit: left the room, with exit_type Kickout",
        (Kind::Leave, LeaveReason::RoomClosed) => {
            "room_destroy: was in the room when it was destroyed"
        }
        (Kind::Leave, _) => "room_exit: left the room, with no known exit_type",
    };
    format!("{what}; timestamp {}{robot}", mark.at)
}

/// The `user_action` that a register keeps.
pub(super) fn register(_device: &Device, register: Register, stamp: Stamp) -> String {
    let at = stamp.at();
    let what = match register {
        // An end names the login of its session, too.
        Register::Online if stamp.is_about() => {
            format!("action 0 (login) without login_time; timestamp {at}")
        }
        Register::Online => format!("the session logged in at login_time {at}"),
        Register::LoggedOut => format!("action 1 (logout) at {at}"),
        Register::Offline | Register::KickedByItself => {
            format!("action 2 (the connection was lost) at {at}")
        }
    };
    format!("user_action: {what}")
}
