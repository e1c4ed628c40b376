//! The providers, one folder each. A provider never touches the store.

pub mod openim;
mod rules;
pub mod tencent;
pub mod zego;

pub use rules::{BoundaryEnds, DeviceRules, Months, RoomEnds, RoomRules, Rules, Visits};
pub use zego::{Changes, Lost};

use crate::domain::ProviderName;

/// The rules by which a provider's records are read.
#[must_use]
pub fn rules(provider: ProviderName) -> &'static Rules {
    match provider {
        ProviderName::Zego => &zego::RULES,
        ProviderName::OpenIm => &openim::RULES,
        ProviderName::Tencent => &tencent::RULES,
    }
}
