//! How `OpenIM`'s records are read.

use super::device::{device_beginning, device_ending};
use crate::providers::rules::{DeviceRules, Months, NO_SEATS, Rules, SeatRules};

/// `OpenIM` has devices and no rooms.
pub static RULES: Rules = Rules {
    rooms: None,
    devices: Some(DeviceRules { beginning: device_beginning, ending: device_ending }),
    months: Months::NotCounted,
};

/// Nobody takes a seat.
pub static SEATS: SeatRules = NO_SEATS;
