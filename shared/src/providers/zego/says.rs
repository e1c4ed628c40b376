//! What a mark says, in ZEGO's terms.

use crate::domain::{Kind, LeaveReason, Mark, Order, Role, SessionId};

/// The event that left a mark, with the fields that give it its place in the order.
pub(super) fn says(mark: &Mark, role: &str) -> String {
    let Order { time, session, sequence } = &mark.order;
    let session = session.as_ref().map_or("-", SessionId::as_str);
    let place = format!("login_time {time}, session_id {session}, user_update_seq {sequence}");
    let not_counted =
        if mark.role == Role::ADMIN { ", which does not count as a person" } else { "" };
    let role = format!("{role}{not_counted}");
    if mark.kind == Kind::Leave {
        let reason = reason(mark.reason);
        return format!(
            "room_logout: left at logout_time {}, as {role}, with reason {reason}; {place}",
            mark.at
        );
    }
    format!("room_login: entered as {role}; {place}")
}

/// The code of `room_logout`, and what it means.
fn reason(reason: LeaveReason) -> String {
    let (code, meaning) = match reason {
        // No logout is read as the end of its room.
        LeaveReason::Unspecified | LeaveReason::RoomClosed => return "none".to_owned(),
        LeaveReason::Other(code) => return code.to_string(),
        LeaveReason::Normal => (0, "normal"),
        LeaveReason::HeartbeatTimeout => (1, "heartbeat timeout"),
        LeaveReason::Disconnected => (2, "disconnected"),
        LeaveReason::Kicked => (3, "kicked out, or logged in again"),
        LeaveReason::TokenExpired => (4, "token expired"),
    };
    format!("{code} ({meaning})")
}

#[cfg(test)]
mod tests {
    use super::{super::room_logout, *};

    #[test]
    fn a_reason_is_told_by_the_code_that_it_was_read_from() {
        assert_eq!(reason(room_logout::reason(None)), "none");
        for code in 0..=u8::MAX {
            let text = reason(room_logout::reason(Some(code)));
            assert_eq!(text.split(' ').next(), Some(code.to_string().as_str()));
        }
    }
}
