//! The ids of rooms: RTC's room `r1` and ZIM's room `r1` are two rooms.
//!
//! RTC's is written as it is, and ZIM's is `z:r1`. An RTC room whose own id begins with `z:` or `r:` is
//! written with another `r:` before it, so no two rooms share an id.

use crate::{
    callback::{FieldError, Fields},
    domain::{IdError, RoomId},
};

/// The field with the id, in all callbacks about rooms.
const FIELD: &str = "room_id";

const ZIM: &str = "z:";

/// Before the id of an RTC room that could be taken for another one's.
const RTC: &str = "r:";

/// A room of RTC's, as RTC names it.
pub(super) fn rtc(name: &str) -> Result<RoomId, IdError> {
    if is_ambiguous(name) { format!("{RTC}{name}").parse() } else { name.parse() }
}

/// A room of ZIM's, as ZIM names it.
pub(super) fn zim(name: &str) -> Result<RoomId, IdError> {
    format!("{ZIM}{name}").parse()
}

/// The room that a callback of RTC's is about.
pub(super) fn rtc_of(body: &Fields) -> Result<RoomId, FieldError> {
    rtc(body.required(FIELD)?).map_err(|error| FieldError::Id(FIELD, error))
}

/// The room that a callback of ZIM's is about.
pub(super) fn zim_of(body: &Fields) -> Result<RoomId, FieldError> {
    zim(body.required(FIELD)?).map_err(|error| FieldError::Id(FIELD, error))
}

/// Whether a room is one of ZIM's.
pub(super) fn is_zim(room: &RoomId) -> bool {
    room.as_str().starts_with(ZIM)
}

/// What RTC calls a room; `None` for a room of ZIM's.
///
/// ```
/// use rollcall::providers::zego::rtc_name;
///
/// assert_eq!(rtc_name(&"lobby".parse()?), Some("lobby"));
/// assert_eq!(rtc_name(&"r:z:lobby".parse()?), Some("z:lobby"));
/// assert_eq!(rtc_name(&"z:lobby".parse()?), None);
/// # Ok::<(), rollcall::domain::IdError>(())
/// ```
#[must_use]
pub fn rtc_name(room: &RoomId) -> Option<&str> {
    let id = room.as_str();
    let name = id.strip_prefix(RTC).filter(|name| is_ambiguous(name)).unwrap_or(id);
    (!is_zim(room)).then_some(name)
}

fn is_ambiguous(name: &str) -> bool {
    name.starts_with(ZIM) || name.starts_with(RTC)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_cannot_meet() {
        for (name, as_rtc) in
            [("lobby", "lobby"), ("z:lobby", "r:z:lobby"), ("r:lobby", "r:r:lobby"), ("z", "z")]
        {
            assert_eq!(rtc(name).unwrap().as_str(), as_rtc);
            assert_eq!(zim(name).unwrap().as_str(), format!("z:{name}"));
        }
        assert_eq!(rtc(&format!("z:{}", "x".repeat(253))), Err(IdError::TooLong));
    }

    proptest! {
        #[test]
        fn a_room_is_asked_about_by_its_own_name(names in prop::collection::vec("([zr]:){0,3}[a-z:]{1,4}", 2)) {
            let ids: Vec<RoomId> = names.iter().flat_map(|name| [rtc(name), zim(name)]).map(Result::unwrap).collect();
            for (name, of) in names.iter().zip(ids.chunks(2)) {
                prop_assert_eq!(rtc_name(&of[0]), Some(name.as_str()));
                prop_assert_eq!(rtc_name(&of[1]), None);
            }
            let is_same = names[0] == names[1];
            prop_assert_eq!((ids[0] == ids[2], ids[1] == ids[3]), (is_same, is_same));
            prop_assert!(ids[0] != ids[3] && ids[1] != ids[2]);
        }
    }
}
