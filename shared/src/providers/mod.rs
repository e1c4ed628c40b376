//! The providers, one folder each. A provider never touches the store.

pub mod openim;
pub mod tencent;
pub mod zego;

use crate::domain::{Beginning, Device, Ending, Mark, ProviderName, UnixMillis, Visit};

/// Derives the visits to one seat from its marks, by the provider's own rules.
///
/// The marks have to come in their order; what is kept of them is one session's, so that a seat may
/// have any number.
#[derive(Debug)]
pub enum Visits {
    /// In a room of ZEGO's.
    Zego(zego::Visits),
    /// In a room of TRTC's.
    Tencent(tencent::Visits),
    /// `OpenIM` has no rooms.
    None,
}

impl Visits {
    /// The visits to a seat of that provider's, of which no mark has come yet.
    #[must_use]
    pub fn new(provider: ProviderName) -> Self {
        match provider {
            ProviderName::Zego => Self::Zego(zego::Visits::default()),
            ProviderName::OpenIm => Self::None,
            ProviderName::Tencent => Self::Tencent(tencent::Visits::default()),
        }
    }

    /// Takes the next mark; gives the visits that it completes, oldest first.
    pub fn push(&mut self, mark: Mark) -> Vec<Visit> {
        match self {
            Self::Zego(visits) => visits.push(mark),
            Self::Tencent(visits) => visits.push(&mark),
            Self::None => Vec::new(),
        }
    }

    /// The visits that are left when all marks have come, oldest first. Only the last one can be
    /// open.
    #[must_use]
    pub fn finish(self) -> Vec<Visit> {
        match self {
            Self::Zego(visits) => visits.finish(),
            Self::Tencent(visits) => visits.finish(),
            Self::None => Vec::new(),
        }
    }

    /// The visits that some marks of one seat tell of, oldest first.
    #[must_use]
    pub fn of(provider: ProviderName, marks: &[Mark]) -> Vec<Visit> {
        Self::completed(provider, marks).flatten().collect()
    }

    /// The visits that the newest marks of a seat tell of, if any number of older ones is not known:
    /// those that no older mark can change. What is completed first may have begun before.
    #[must_use]
    pub fn of_newest(provider: ProviderName, marks: &[Mark]) -> Vec<Visit> {
        if provider == ProviderName::Tencent {
            return tencent::Visits::of_newest(&sorted(marks));
        }
        let completed = Self::completed(provider, marks).filter(|visits| !visits.is_empty());
        completed.skip(1).flatten().collect()
    }

    /// The visits that are completed with each mark, and those that are left.
    fn completed(provider: ProviderName, marks: &[Mark]) -> impl Iterator<Item = Vec<Visit>> {
        let mut visits = Self::new(provider);
        let marks = sorted(marks).into_iter();
        let mut completed: Vec<_> = marks.map(|mark| visits.push(mark)).collect();
        completed.push(visits.finish());
        completed.into_iter()
    }
}

fn sorted(marks: &[Mark]) -> Vec<Mark> {
    let mut sorted = marks.to_vec();
    sorted.sort();
    sorted
}

/// When a device came online.
#[must_use]
pub fn device_beginning(provider: ProviderName, device: &Device) -> Beginning {
    match provider {
        ProviderName::OpenIm => openim::device_beginning(device),
        ProviderName::Tencent | ProviderName::Zego => {
            device.online.map_or(Beginning::Unknown, |online| Beginning::Known(online.at()))
        }
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
