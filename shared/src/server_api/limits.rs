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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::ProviderName;

    const SECOND: Duration = Duration::from_secs(1);

    fn counted(app: u8, room: Option<u8>) -> Vec<(Counted, Limit)> {
        let id = format!("{app}").parse().unwrap();
        let app = App { provider: ProviderName::Zego, id };
        match room {
            None => vec![(Counted::App(app, "few"), Limit::per_second(3))],
            Some(room) => {
                let room = format!("{room}").parse().unwrap();
                let of_room = Counted::Room(app.clone(), "many", room);
                let of_app = (Counted::App(app, "many"), Limit::per_second(20));
                vec![(of_room, Limit::per_second(1)), of_app]
            }
        }
    }

    /// The most of some moments, in milliseconds, that lie within one second.
    fn most_in_a_second(mut moments: Vec<u128>) -> usize {
        moments.sort_unstable();
        let until = |from: u128| moments.iter().filter(move |at| (from..from + 1000).contains(*at));
        moments.iter().map(|from| until(*from).count()).max().unwrap_or(0)
    }

    proptest! {
        /// In any order of questions, and however the network delays a request by less than a tenth of a
        /// second: no second has more requests than a limit allows.
        #[test]
        fn no_window_ever_has_more_requests_than_the_limit(
            requests in prop::collection::vec(
                (0_u8..2, prop::option::of(0_u8..4), 0_u64..400, 0_u128..100, prop::bool::weighted(0.05)),
                1..200,
            ),
        ) {
            let start = Instant::now();
            let (mut limits, mut asked_at) = (Limits::default(), start);
            let mut sent: HashMap<Counted, (Limit, Vec<u128>)> = HashMap::new();
            for (app, room, pause, delay, is_refused) in requests {
                asked_at += Duration::from_millis(pause);
                let counted = counted(app, room);
                let mut now = asked_at;
                while let Err(next) = limits.take(&counted, now) {
                    prop_assert!(next > now, "a wait that ends");
                    prop_assert!(next - now <= 2 * SECOND, "it waits for one place only");
                    now = next;
                }
                for (kind, limit) in &counted {
                    let times = &mut sent.entry(kind.clone()).or_insert((*limit, Vec::new())).1;
                    times.push((now - start).as_millis() + delay);
                }
                if is_refused {
                    limits.back_off(&counted, now);
                    prop_assert!(limits.take(&counted, now + SECOND / 2).is_err());
                }
                asked_at = now;
            }
            for (kind, (limit, moments)) in sent {
                let most = most_in_a_second(moments);
                prop_assert!(most <= limit.per_second as usize, "{kind:?}: {most}");
            }
        }
    }

    #[test]
    fn a_limit_is_used_up_to_nine_tenths_and_rooms_do_not_hold_each_other_up() {
        let (start, mut limits) = (Instant::now(), Limits::default());
        let (mut now, mut sent) = (start, 0);
        while now < start + 10 * SECOND {
            match limits.take(&counted(1, None), now) {
                Ok(()) => sent += 1,
                Err(next) => now = next,
            }
        }
        assert_eq!(sent, 28, "of 30");
        assert!(limits.take(&counted(1, Some(1)), now).is_ok());
        let soon = now + Limit::per_second(20).spacing();
        assert!(limits.take(&counted(1, Some(1)), soon).is_err());
        assert!(limits.take(&counted(1, Some(2)), soon).is_ok(), "nothing was taken in vain");
        assert!(limits.take(&counted(2, Some(2)), soon).is_ok());
    }

    #[test]
    fn what_may_be_sent_again_is_forgotten() {
        let (mut now, mut limits) = (Instant::now(), Limits::default());
        for n in 0..10_000_u64 {
            let room = format!("{n}").parse().unwrap();
            let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
            let kind = Counted::Room(app, "many", room);
            assert!(limits.take(&[(kind, Limit::per_second(1))], now).is_ok());
            now += Duration::from_millis(5);
            assert!(limits.next.len() <= MANY, "{}", limits.next.len());
        }
    }
}
