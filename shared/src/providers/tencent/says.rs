//! What a mark and a register say, in Tencent's terms.

use super::{room_event::Reported, trtc_event::TrtcRoomEvent};
use crate::domain::{Device, Kind, LeaveReason, Mark, Register, Role, Stamp};

/// The room event of TRTC that left a mark.
pub(super) fn mark(mark: &Mark, role: &str) -> String {
    let at = mark.at;
    let role = format!("{role}{}", robot(mark));
    let is_entry = mark.order.sequence == TrtcRoomEvent::Entered.rank();
    let what = match mark.kind {
        Kind::Enter => format!("event 103: entered the room as {role}"),
        Kind::Stay if is_entry => format!(
            "event 103 with Reason 2 or 3: entered the room over another network, or tried again, \
             as {role}"
        ),
        Kind::Stay => format!("event 105: changed the role to {role}"),
        Kind::Leave => {
            format!("event 104: left the room as {role}, with Reason {}", reason(mark.reason))
        }
    };
    format!("{what}; EventMsTs {at}")
}

/// The callback of `RoomEngine` or Live that left a mark.
pub(super) fn room_mark(mark: &Mark, _role: &str) -> String {
    let state = "Live.CallbackAfterMemberStateChanged: EventType";
    let what = match Reported::of(mark) {
        Some(Reported::RoomEnter) => "Room.CallbackAfterMemberEnter: entered the room".to_owned(),
        Some(Reported::RoomLeave) => {
            let how = match mark.reason {
                LeaveReason::Normal => ", with Type Leave",
                LeaveReason::Kicked => ", with Type Kicked",
                LeaveReason::HeartbeatTimeout => ", with Type Expired",
                _ => "",
            };
            format!("Room.CallbackAfterMemberLeave: left the room{how}")
        }
        Some(Reported::LiveEnter) => format!("{state} Online with EventCause Enter"),
        Some(Reported::LiveRecover) => format!("{state} Online with EventCause HeartbeatRecover"),
        Some(Reported::LiveOnline) => format!("{state} Online"),
        Some(Reported::LiveOffline) => {
            let cause = match mark.reason {
                LeaveReason::Normal => " with EventCause Leave",
                LeaveReason::Kicked => " with EventCause Kicked",
                LeaveReason::HeartbeatTimeout => " with EventCause HeartbeatInterrupt",
                _ => "",
            };
            format!("{state} Offline{cause}")
        }
        // No callback of theirs leaves such a mark.
        None => "an event of RoomEngine".to_owned(),
    };
    format!("{what}{}; EventTime {}", robot(mark), mark.at)
}

/// No person has that role in Tencent's rooms: it is that of robots.
fn robot(mark: &Mark) -> &'static str {
    if mark.role == Role::ADMIN { " (a robot, which does not count as a person)" } else { "" }
}

/// The code of an exit, and what it means.
fn reason(reason: LeaveReason) -> String {
    let (code, meaning) = match reason {
        LeaveReason::Normal => (1, "normal"),
        LeaveReason::HeartbeatTimeout => (2, "timeout"),
        LeaveReason::Kicked => (3, "removed"),
        LeaveReason::Other(code) => return code.to_string(),
        // No exit of TRTC's is read as one of these.
        LeaveReason::Unspecified
        | LeaveReason::Disconnected
        | LeaveReason::TokenExpired
        | LeaveReason::RoomClosed => {
            return "none".to_owned();
        }
    };
    format!("{code} ({meaning})")
}

/// The `State.StateChange` of Chat that a register keeps.
pub(super) fn register(device: &Device, register: Register, stamp: Stamp) -> String {
    let (platform, at) = (&device.platform, stamp.at());
    let what = match register {
        Register::Online => "Action Login".to_owned(),
        Register::Offline if stamp.is_pushed_by_other_platform() => {
            format!("KickedDevice of a login on another platform names {platform}")
        }
        Register::Offline => {
            let reason = match stamp.reason() {
                LeaveReason::Disconnected => " with Reason LinkClose",
                LeaveReason::HeartbeatTimeout => " with Reason TimeOut",
                _ => "",
            };
            // Until 2019 it was a logout with that reason.
            format!("Action Disconnect{reason}")
        }
        Register::LoggedOut => "Action Logout".to_owned(),
        Register::KickedByItself => {
            format!("KickedDevice of a login on {platform} names {platform}")
        }
    };
    format!("State.StateChange: {what}; EventTime {at}")
}

#[cfg(test)]
mod tests {
    use super::{super::trtc_event::leave_reason, *};

    #[test]
    fn a_reason_is_told_by_the_code_that_it_was_read_from() {
        assert_eq!(reason(leave_reason(None)), "none");
        for code in 0..=u8::MAX {
            let text = reason(leave_reason(Some(code)));
            assert_eq!(text.split(' ').next(), Some(code.to_string().as_str()));
        }
    }
}
