//! How `OpenIM`'s records are read.

use super::{
    device::{decide, device_beginning},
    says::says,
};
use crate::providers::rules::{DeviceRules, Months, NO_ROLES, NO_SEATS, Rules, SeatRules};

/// `OpenIM` has devices and no rooms.
pub static RULES: Rules = Rules {
    tracks: &[],
    rooms: None,
    roles: NO_ROLES,
    devices: Some(DeviceRules { beginning: device_beginning, decide, says }),
    months: Months::NotCounted,
};

/// Nobody takes a seat.
pub static SEATS: SeatRules = NO_SEATS;
