//! How `OpenIM`'s records are read.

use super::device::{device_beginning, device_ending};
use crate::providers::rules::{DeviceRules, Months, Rules};

/// `OpenIM` has devices and no rooms.
pub static RULES: Rules = Rules {
    rooms: None,
    devices: Some(DeviceRules { beginning: device_beginning, ending: device_ending }),
    months: Months::NotCounted,
};
