//! How Tencent's records are read.

use super::{
    device, says,
    trtc_event::{ANCHOR, AUDIENCE},
    visits::{self, Visits},
};
use crate::{
    domain::{Beginning, Role, Stamp},
    providers::rules::{DeviceRules, Months, RoleRules, RoomEnds, RoomRules, Rules},
};

/// TRTC has rooms whose lives have no ids, and Chat has devices. Tencent counts its users by month.
pub static RULES: Rules = Rules {
    rooms: Some(RoomRules {
        visits: || Box::<Visits>::default(),
        of_newest: Visits::of_newest,
        ends: RoomEnds::Boundaries(visits::ends),
        roles: RoleRules {
            names: &[(Role(0), "unspecified"), (ANCHOR, "anchor"), (AUDIENCE, "audience")],
            services: &[],
        },
        says: says::mark,
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
