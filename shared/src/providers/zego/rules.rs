//! How ZEGO's records are read.

use super::{changes::Changes, says::says, visits::Visits};
use crate::{
    domain::{Kind, Mark, Role, Visit},
    providers::rules::{
        self, Months, NewestMark, RoleRules, RoomEnds, RoomRules, Rules, SeatRules,
    },
};

/// ZEGO has rooms, each life of which has an id. It has no devices, and counts no months.
pub static RULES: Rules = Rules {
    rooms: Some(RoomRules {
        visits: || Box::<Visits>::default(),
        of_newest: visits_of_newest,
        ends: RoomEnds::Lives,
        roles: RoleRules {
            names: &[
                (Role(0), "unspecified"),
                (Role(1), "anchor"),
                (Role(2), "audience"),
                // Cloud recording, moderation, and robots.
                (Role::ADMIN, "admin"),
            ],
            services: &[Role::ADMIN],
        },
        says,
        numbered: Some(|| Box::<Changes>::default()),
    }),
    devices: None,
    months: Months::NotCounted,
};

/// Within a session the higher sequence decides, so the last login and the last logout by sequence
/// stay on the seat.
pub static SEATS: SeatRules = SeatRules {
    newest: |mark| if mark.kind == Kind::Leave { NewestMark::Left } else { NewestMark::In },
    deciding: rules::last_by_sequence,
};

/// A visit that is completed first may have begun before the marks that are known.
fn visits_of_newest(marks: &[Mark]) -> Vec<Visit> {
    let completed = rules::completed(Box::<Visits>::default(), marks.to_vec());
    completed.into_iter().filter(|visits| !visits.is_empty()).skip(1).flatten().collect()
}
