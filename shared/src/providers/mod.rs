//! The providers, one folder each. A provider never touches the store.

pub mod zego;

use crate::domain::{Mark, ProviderName, Visit};

/// The provider of that name in a route, if there is one.
#[must_use]
pub fn by_name(name: &str) -> Option<ProviderName> {
    [ProviderName::Zego].into_iter().find(|provider| provider.as_str() == name)
}

/// The visits that the marks on one seat tell of, in their order, by the provider's own rules.
#[must_use]
pub fn visits(provider: ProviderName, marks: &[Mark]) -> Vec<Visit> {
    match provider {
        ProviderName::Zego => zego::visits(marks),
    }
}
