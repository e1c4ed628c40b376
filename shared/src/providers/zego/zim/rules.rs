//! How ZIM's records are read.

use super::{device, says, visits::Visits};
use crate::{
    domain::{Beginning, Kind},
    providers::{
        AtOnce,
        rules::{self, DeviceRules, NewestMark, RoomEnds, RoomRules, SeatRules},
    },
};

/// ZIM's rooms, whose lives have no ids. Times are whole seconds, so a room may be destroyed and created
/// again at one time.
pub(in crate::providers::zego) static ROOMS: RoomRules = RoomRules {
    visits: || Box::<Visits>::default(),
    of_newest: Visits::of_newest,
    ends: RoomEnds::Boundaries(AtOnce::CreatedLast),
    says: says::mark,
    numbered: None,
};

/// ZIM's devices, one for each session.
pub(in crate::providers::zego) const DEVICES: DeviceRules = DeviceRules {
    beginning: |device| match device.online {
        None => Beginning::Unknown,
        // A logout is final, so a login after it is not the one that it ended.
        Some(login) if device.logged_out.is_some_and(|logout| logout.at() < login.at()) => {
            Beginning::Unknown
        }
        Some(login) if login.is_about() => Beginning::Assumed(login.at()),
        Some(login) => Beginning::Known(login.at()),
    },
    decide: |device, _now| device::decide(device),
    says: says::register,
};

/// An entry is the newest of the marks of its time, although an exit of that time may be later: that
/// depends on the marks before.
pub(in crate::providers::zego) static SEATS: SeatRules = SeatRules {
    newest: |mark| match mark.kind {
        Kind::Leave => NewestMark::Left,
        Kind::Enter | Kind::Stay => NewestMark::Unclear,
    },
    deciding: rules::last_by_sequence,
};
