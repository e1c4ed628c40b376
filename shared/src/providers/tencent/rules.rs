//! How Tencent's records are read.

use super::{
    device, says,
    trtc_event::{ANCHOR, AUDIENCE, FOUR},
    visits::{self, Visits},
};
use crate::{
    domain::{Beginning, Kind, Role, Stamp, Track},
    providers::{
        AtOnce,
        entries::Entries,
        rules::{
            self, DeviceRules, Months, NewestMark, RoleRules, RoomEnds, RoomRules, Rules, SeatRules,
        },
    },
};

/// The rooms as TRTC reports them: their lives have no ids.
static OF_TRTC: RoomRules = RoomRules {
    visits: || Box::<Visits>::default(),
    of_newest: Visits::of_newest,
    ends: RoomEnds::Boundaries(AtOnce::DismissedLast),
    says: says::mark,
    numbered: None,
};

/// The same rooms as `RoomEngine` reports them.
static OF_ROOM_ENGINE: RoomRules = RoomRules {
    visits: || Box::<Entries>::default(),
    of_newest: Entries::of_newest,
    ends: RoomEnds::Boundaries(AtOnce::DismissedLast),
    says: says::room_mark,
    numbered: None,
};

/// TRTC and `RoomEngine` report the same rooms, and Chat has devices. Tencent counts its users by month.
pub static RULES: Rules = Rules {
    tracks: &[(Track::Media, "trtc"), (Track::RoomEngine, "room_engine")],
    rooms: Some(|_, track| match track {
        Track::Media => &OF_TRTC,
        Track::RoomEngine => &OF_ROOM_ENGINE,
    }),
    roles: RoleRules {
        names: &[
            (Role(0), "unspecified"),
            (ANCHOR, "anchor"),
            (AUDIENCE, "audience"),
            // Tencent has no such role: it is that of robots.
            (Role::ADMIN, "admin"),
            (FOUR, "role_4"),
        ],
        services: &[Role::ADMIN],
    },
    devices: Some(DeviceRules {
        beginning: |device| {
            device.online.map_or(Beginning::Unknown, |online: Stamp| Beginning::Known(online.at()))
        },
        decide: |device, _now| device::decide(device),
        says: says::register,
    }),
    months: Months::Counted,
};

/// What the store has to know of the marks that a track leaves.
pub(in crate::providers) fn seats(track: Track) -> &'static SeatRules {
    match track {
        Track::Media => &OF_TRTC_SEATS,
        Track::RoomEngine => &OF_ROOM_ENGINE_SEATS,
    }
}

/// The newest entry and the newest exit stay on the seat: an exit that may belong to a replaced
/// connection depends on the entry before it.
static OF_TRTC_SEATS: SeatRules = SeatRules {
    newest: |mark| match mark.kind {
        Kind::Enter | Kind::Stay => NewestMark::In,
        Kind::Leave if visits::leaves_for_certain(mark) => NewestMark::Left,
        Kind::Leave => NewestMark::Unclear,
    },
    deciding: rules::last_by_sequence,
};

/// The newest mark of `RoomEngine`'s decides alone, and it stays on the seat anyway.
static OF_ROOM_ENGINE_SEATS: SeatRules = SeatRules {
    newest: |mark| if mark.kind == Kind::Leave { NewestMark::Left } else { NewestMark::In },
    deciding: |_| Vec::new(),
};
