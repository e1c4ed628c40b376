//! How ZEGO's records are read.

use super::{changes::Changes, room, says::says, visits::Visits, zim};
use crate::{
    domain::{Kind, Mark, Role, RoomId, Visit},
    providers::rules::{
        self, Months, NewestMark, RoleRules, RoomEnds, RoomRules, Rules, SeatRules,
    },
};

/// ZEGO has rooms of two kinds: each life of one of RTC's has an id, and ZIM's have no such ids. ZIM has
/// devices, and its logins are counted by month.
pub static RULES: Rules = Rules {
    tracks: &[],
    rooms: Some(|room, _| if room::is_zim(room) { &zim::ROOMS } else { &ROOMS }),
    roles: RoleRules {
        names: &[
            (Role(0), "unspecified"),
            (Role(1), "anchor"),
            (Role(2), "audience"),
            // Cloud recording, moderation, and robots: ZIM's rooms have no other role.
            (Role::ADMIN, "admin"),
        ],
        services: &[Role::ADMIN],
    },
    devices: Some(zim::DEVICES),
    months: Months::Counted,
};

/// RTC's rooms.
static ROOMS: RoomRules = RoomRules {
    visits: || Box::<Visits>::default(),
    of_newest: visits_of_newest,
    ends: RoomEnds::Lives,
    says,
    numbered: Some(|| Box::<Changes>::default()),
};

/// What the store has to know of the marks of the seats in a room.
pub(in crate::providers) fn seats(room: &RoomId) -> &'static SeatRules {
    if room::is_zim(room) { &zim::SEATS } else { &SEATS }
}

/// Within a session the higher sequence decides, so the last login and the last logout by sequence
/// stay on the seat.
static SEATS: SeatRules = SeatRules {
    newest: |mark| if mark.kind == Kind::Leave { NewestMark::Left } else { NewestMark::In },
    deciding: rules::last_by_sequence,
};

/// A visit that is completed first may have begun before the marks that are known.
fn visits_of_newest(marks: &[Mark]) -> Vec<Visit> {
    let completed = rules::completed(Box::<Visits>::default(), marks.to_vec());
    completed.into_iter().filter(|visits| !visits.is_empty()).skip(1).flatten().collect()
}
