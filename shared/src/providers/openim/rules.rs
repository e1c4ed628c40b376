//! How `OpenIM`'s records are read.

use super::{
    device::{decide, device_beginning},
    says::says,
};
use crate::providers::rules::{DeviceRules, Months, Rules};

/// `OpenIM` has devices and no rooms.
pub static RULES: Rules = Rules {
    rooms: None,
    devices: Some(DeviceRules { beginning: device_beginning, decide, says }),
    months: Months::NotCounted,
};
