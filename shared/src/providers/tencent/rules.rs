//! How Tencent's records are read.

use super::{
    device,
    room_visits::RoomVisits,
    says,
    trtc_event::{ANCHOR, AUDIENCE},
    visits::{self, Visits},
};
use crate::{
    domain::{Beginning, Kind, Role, Stamp, Track},
    providers::rules::{
        self, DeviceRules, Months, NewestMark, RoleRules, RoomEnds, RoomRules, Rules, SeatRules,
    },
};

/// TRTC and `RoomEngine` report the same rooms, whose lives have no ids, and Chat has devices. Tencent
/// counts its users by month.
pub static RULES: Rules = Rules {
    rooms: Some(RoomRules {
        tracks: &[(Track::Media, "trtc"), (Track::RoomEngine, "room_engine")],
        visits: |track| match track {
            Track::Media => Box::<Visits>::default(),
            Track::RoomEngine => Box::<RoomVisits>::default(),
        },
        of_newest: |track, marks| match track {
            Track::Media => Visits::of_newest(marks),
            Track::RoomEngine => RoomVisits::of_newest(marks),
        },
        ends: RoomEnds::Boundaries(visits::ends),
        roles: RoleRules {
            names: &[(Role(0), "unspecified"), (ANCHOR, "anchor"), (AUDIENCE, "audience")],
            services: &[],
        },
        says: |track, mark, role| match track {
            Track::Media => says::mark(mark, role),
            Track::RoomEngine => says::room_mark(mark),
        },
        numbered: None,
    }),
    devices: Some(DeviceRules {
        beginning: |device| {
            device.online.map_or(Beginning::Unknown, |online: Stamp| Beginning::Known(online.at()))
        },
        decide: |device, _now| device::decide(device),
        says: says::register,
    }),
    months: Months::Counted,
};

/// The newest entry and the newest exit stay on the seat: an exit that may belong to a replaced
/// connection depends on the entry before it.
pub static SEATS: SeatRules = SeatRules {
    newest: |mark| match mark.kind {
        Kind::Enter | Kind::Stay => NewestMark::In,
        Kind::Leave if visits::leaves_for_certain(mark) => NewestMark::Left,
        Kind::Leave => NewestMark::Unclear,
    },
    deciding: rules::last_by_sequence,
};

/// The newest mark of `RoomEngine`'s decides alone, and it stays on the seat anyway.
pub static ROOM_ENGINE_SEATS: SeatRules = SeatRules {
    newest: |mark| if mark.kind == Kind::Leave { NewestMark::Left } else { NewestMark::In },
    deciding: |_| Vec::new(),
};
