//! The events of ZIM's rooms: one callback type has them all, and RTC has one of their names.

use crate::callback::Fields;

/// The callback type of all of them, as the table of routes calls it.
pub(super) const ROOM_EVENT: &str = "room_event";

/// What only ZIM's callbacks about rooms have.
pub(super) const OPERATOR: &str = "operator_account";

/// An event in a room of ZIM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoomEventName {
    Create,
    Enter,
    Exit,
    Destroy,
}

impl RoomEventName {
    const ALL: [Self; 4] = [Self::Create, Self::Enter, Self::Exit, Self::Destroy];

    /// As ZIM calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "room_create",
            Self::Enter => "room_enter",
            Self::Exit => "room_exit",
            Self::Destroy => "room_destroy",
        }
    }

    /// The event of that name, if it is one of ZIM's rooms. RTC calls a creation by the same name: only
    /// its own has the id of a life, the creator's `id_name` or a time, and only ZIM's has an operator, a
    /// name or attributes.
    pub(super) fn of(name: &str, body: &Fields) -> Option<Self> {
        let of_rtc = ["room_session_id", "id_name", "room_create_time"];
        let of_zim = [OPERATOR, "room_name", "attributes"];
        let has = |fields: [&str; 3]| fields.iter().any(|field| body.is_named(field));
        let event = Self::ALL.into_iter().find(|event| event.name() == name)?;
        let is_zims = event != Self::Create || (has(of_zim) && !has(of_rtc));
        is_zims.then_some(event)
    }
}
