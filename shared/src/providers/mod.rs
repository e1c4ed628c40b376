//! The providers, one folder each. A provider never touches the store.

pub mod openim;
pub mod tencent;
pub mod zego;

use crate::domain::{Device, Ending, Mark, ProviderName, UnixMillis, Visit};

/// The provider of that name in a route, if there is one.
#[must_use]
pub fn by_name(name: &str) -> Option<ProviderName> {
    ProviderName::ALL.into_iter().find(|provider| provider.as_str() == name)
}

/// The visits that the marks on one seat tell of, in their order, by the provider's own rules.
#[must_use]
pub fn visits(provider: ProviderName, marks: &[Mark]) -> Vec<Visit> {
    match provider {
        ProviderName::Zego => zego::visits(marks),
        // It has no rooms.
        ProviderName::OpenIm => Vec::new(),
        ProviderName::Tencent => tencent::visits(marks),
    }
}

/// How a device's stay online ended; `None` while it lasts.
#[must_use]
pub fn device_ending(provider: ProviderName, device: &Device, now: UnixMillis) -> Option<Ending> {
    match provider {
        ProviderName::OpenIm => openim::device_ending(device, now),
        ProviderName::Tencent => tencent::device_ending(device),
        // It has no devices: nobody is online through one.
        ProviderName::Zego => Some(Ending::Superseded { at: now }),
    }
}
