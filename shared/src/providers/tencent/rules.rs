//! How Tencent's records are read.

use super::{
    device, says,
    trtc_event::{ANCHOR, AUDIENCE, FOUR},
    visits::{self, Visits},
};
use crate::{
    domain::{Beginning, Kind, Role, Stamp},
    providers::{
        AtOnce,
        rules::{
            self, DeviceRules, Months, NewestMark, RoleRules, RoomEnds, RoomRules, Rules, SeatRules,
        },
    },
};

/// TRTC's rooms: their lives have no ids.
static ROOMS: RoomRules = RoomRules {
    visits: || Box::<Visits>::default(),
    of_newest: Visits::of_newest,
    ends: RoomEnds::Boundaries(AtOnce::DismissedLast),
    says: says::mark,
    numbered: None,
};

/// TRTC has rooms, and Chat has devices. Tencent counts its users by month.
pub static RULES: Rules = Rules {
    rooms: Some(|_| &ROOMS),
    roles: RoleRules {
        names: &[
            (Role(0), "unspecified"),
            (ANCHOR, "anchor"),
            (AUDIENCE, "audience"),
            // TRTC has no such role: it is that of robots.
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
