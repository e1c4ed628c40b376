//! How often a server API may be asked: by app and question, and by room.
//!
//! Requests of one kind are spaced evenly, a tenth wider than the provider's limit asks for. So
//! however a provider counts, by full seconds or by the last one, there are never more than it
//! allows, even if the network delays one request by a tenth of the time and the next one not.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::domain::{App, RoomId};

/// How much wider than the limit, in percent of it.
const PERCENT: u32 = 110;

/// How long a kind of request pauses after the provider has refused one as too many: it counts those
/// of other programs, too.
const BACK_OFF: Duration = Duration::from_secs(1);

/// From how many kinds on those are forgotten that may be sent at once.
const MANY: usize = 1024;

/// A limit: so many requests of one kind per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    per_second: u32,
}

impl Limit {
    /// A limit of so many requests per second, at least one.
    #[must_use]
    pub const fn per_second(requests: u32) -> Self {
        Self { per_second: if requests == 0 { 1 } else { requests } }
    }

    /// The time between the beginnings of two requests.
    #[must_use]
    pub fn spacing(self) -> Duration {
        Duration::from_secs(1) * PERCENT / (100 * self.per_second)
    }
}

/// What a limit counts together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Counted {
    /// One question about an app.
    App(App, &'static str),
    /// One question about a room.
    Room(App, &'static str, RoomId),
}

/// When a request of each kind may be sent next. It gets the time as an input.
#[derive(Debug, Default)]
pub struct Limits {
    next: HashMap<Counted, Instant>,
}

impl Limits {
    /// Takes a place for one request that counts for all of these, if each has one now.
    ///
    /// # Errors
    ///
    /// The moment at which to try again. Nothing is taken.
    pub fn take(&mut self, counted: &[(Counted, Limit)], now: Instant) -> Result<(), Instant> {
        let next = counted.iter().filter_map(|(kind, _)| self.next.get(kind)).max();
        if let Some(next) = next.filter(|next| **next > now) {
            return Err(*next);
        }
        if self.next.len() >= MANY {
            self.next.retain(|_, next| *next > now);
        }
        for (kind, limit) in counted {
            self.next.insert(kind.clone(), now + limit.spacing());
        }
        Ok(())
    }

    /// Notes that the provider refused a request as too many.
    pub fn back_off(&mut self, counted: &[(Counted, Limit)], now: Instant) {
        for (kind, limit) in counted {
            let next = now + limit.spacing().max(BACK_OFF);
            let noted = self.next.entry(kind.clone()).or_insert(next);
            *noted = next.max(*noted);
        }
    }
}
