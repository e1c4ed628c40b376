//! Delivers many callbacks: at a rate, out of order and more than once, as providers do.

use std::{
    collections::BTreeMap,
    error::Error as _,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use reqwest::Client;
use rollcall::runtime;

use super::{Answer, Event, Secrets};

/// A repetition follows at most this many callbacks after the first one, unless all are shuffled.
const FARTHEST_REPETITION: usize = 20;

/// How many refused callbacks are kept to be shown.
const EXAMPLES: usize = 3;

/// How events are delivered.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// In which order.
    pub order: Order,
    /// How many percent of the events are delivered a second time.
    pub repeated: f64,
    /// How many percent of the events are never delivered.
    pub lost: f64,
    /// The highest rate, in callbacks per second; as fast as possible without one.
    pub rate: Option<f64>,
    /// How many callbacks may be sent at the same time.
    pub concurrency: usize,
}

/// In which order events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they happened. With several under way they may overtake each other all the same.
    Happened,
    /// At random.
    Shuffled,
}

/// The result of a delivery.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many answers there were of each status and `x-rollcall-outcome`.
    pub answers: BTreeMap<(u16, String), usize>,
    /// How many callbacks had no answer.
    pub unanswered: usize,
    /// Some answers that were refusals, and reasons for having no answer.
    pub examples: Vec<String>,
    /// Whether an event was accepted at least once, for each event.
    pub accepted: Vec<bool>,
    /// From the moment at which a callback was sent to the end of its answer, the shortest first.
    pub latencies: Vec<Duration>,
    /// How long all of it took.
    pub took: Duration,
}

impl Tally {
    /// Whether every callback was accepted.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.unanswered == 0 && self.answers.keys().all(|(status, _)| (200..300).contains(status))
    }

    /// The latency that this many percent of the answers did not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    fn count(&mut self, event: usize, sent: Result<(Answer, Duration), String>) {
        let (answer, latency) = match sent {
            Ok(answered) => answered,
            Err(error) => {
                self.unanswered += 1;
                return self.show(error);
            }
        };
        let status = answer.status.as_u16();
        self.latencies.push(latency);
        if answer.status.is_success() {
            self.accepted[event] = true;
        } else {
            self.show(format!("{status} {}", answer.body));
        }
        let outcome = answer.outcome.unwrap_or_else(|| "-".to_owned());
        *self.answers.entry((status, outcome)).or_default() += 1;
    }

    fn show(&mut self, example: String) {
        if self.examples.len() < EXAMPLES && !self.examples.contains(&example) {
            self.examples.push(example);
        }
    }
}

impl Plan {
    /// Which event is delivered when, by its place in the history.
    #[must_use]
    pub fn deliveries(&self, events: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..events).collect();
        fastrand::shuffle(&mut all);
        all.truncate(events - share(events, self.lost));
        let again = &all[..share(all.len(), self.repeated)];
        if self.order == Order::Shuffled {
            let mut deliveries = [&all[..], again].concat();
            fastrand::shuffle(&mut deliveries);
            return deliveries;
        }
        let mut deliveries: Vec<(usize, usize)> =
            all.iter().map(|event| (*event, *event)).collect();
        let later = |event| event + fastrand::usize(1..=FARTHEST_REPETITION);
        deliveries.extend(again.iter().map(|event| (later(*event), *event)));
        deliveries.sort_unstable();
        deliveries.into_iter().map(|(_, event)| event).collect()
    }

    /// Delivers the events in the order of `deliveries`, and calls `answered` after each.
    ///
    /// # Errors
    ///
    /// If the first callback already has no answer.
    pub async fn deliver(
        &self,
        client: &Client,
        url: &str,
        events: &[Event],
        secrets: &Secrets,
        deliveries: &[usize],
        mut answered: impl FnMut(),
    ) -> Result<Tally, String> {
        let mut tally = Tally { accepted: vec![false; events.len()], ..Tally::default() };
        let started = Instant::now();
        let due = |number: usize| {
            // Exact up to 2^53 callbacks.
            #[expect(clippy::cast_precision_loss, reason = "as exact as has to be")]
            self.rate.map(|rate| started + Duration::from_secs_f64(number as f64 / rate))
        };
        let sent = stream::iter(deliveries.iter().enumerate())
            .then(async |(number, event)| {
                if let Some(due) = due(number) {
                    tokio::time::sleep_until(due.into()).await;
                }
                *event
            })
            .map(async |event| (event, send(client, url, &events[event], secrets).await))
            .buffer_unordered(self.concurrency);
        let mut sent = std::pin::pin!(sent);
        while let Some((event, sent)) = sent.next().await {
            if let (Err(error), true) = (&sent, tally.latencies.is_empty()) {
                return Err(error.clone());
            }
            tally.count(event, sent);
            answered();
        }
        tally.took = started.elapsed();
        tally.latencies.sort_unstable();
        Ok(tally)
    }
}

/// So many percent of a number of events, at most all.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of events"
)]
fn share(events: usize, percent: f64) -> usize {
    let share = (events as f64 * percent / 100.0).round() as usize;
    share.min(events)
}

/// Signs it now and sends it: a signature is valid for some minutes only, and a history may take
/// longer.
async fn send(
    client: &Client,
    url: &str,
    event: &Event,
    secrets: &Secrets,
) -> Result<(Answer, Duration), String> {
    let callback = event.callback(secrets, runtime::now()).map_err(|error| error.to_string())?;
    let sent = Instant::now();
    let answer = callback.send(client, url).await.map_err(|error| {
        let cause = error.source().map_or(String::new(), |source| format!(": {source}"));
        // Its text has the whole URL, with Tencent's signature.
        format!("{} does not answer{cause}", callback.address(url))
    })?;
    Ok((answer, sent.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(order: Order, repeated: f64) -> Plan {
        Plan { order, repeated, lost: 0.0, rate: None, concurrency: 1 }
    }

    #[test]
    fn every_event_is_delivered_and_the_share_of_them_twice() {
        for order in [Order::Happened, Order::Shuffled] {
            for (share, repeated) in [(0.0, 0), (10.0, 20), (100.0, 200)] {
                let deliveries = plan(order, share).deliveries(200);
                assert_eq!(deliveries.len(), 200 + repeated, "{order:?} {share}");
                let mut times = vec![0; 200];
                for event in deliveries {
                    times[event] += 1;
                }
                assert!(times.iter().all(|times| (1..=2).contains(times)), "{order:?} {share}");
            }
        }
    }

    #[test]
    fn a_share_of_the_events_is_never_delivered() {
        for order in [Order::Happened, Order::Shuffled] {
            for (lost, left) in [(0.0, 200), (10.0, 180), (100.0, 0)] {
                let deliveries = Plan { lost, ..plan(order, 100.0) }.deliveries(200);
                let delivered: std::collections::BTreeSet<usize> =
                    deliveries.iter().copied().collect();
                assert_eq!(delivered.len(), left, "{order:?} {lost}");
                assert_eq!(deliveries.len(), 2 * left, "nothing that is lost comes once");
            }
        }
        let deliveries = Plan { lost: 50.0, ..plan(Order::Happened, 0.0) }.deliveries(200);
        assert!(deliveries.is_sorted());
    }

    #[test]
    fn only_shuffled_events_are_out_of_order() {
        assert!(plan(Order::Happened, 0.0).deliveries(200).is_sorted());
        assert!(!plan(Order::Shuffled, 0.0).deliveries(200).is_sorted());
        let mut seen = std::collections::BTreeSet::new();
        let deliveries = plan(Order::Happened, 100.0).deliveries(200);
        let first: Vec<usize> =
            deliveries.into_iter().filter(|event| seen.insert(*event)).collect();
        assert!(first.is_sorted(), "repetitions come later");
    }

    #[test]
    fn percentiles_are_those_of_the_answers() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let tally = Tally { latencies, ..Tally::default() };
        assert_eq!(tally.percentile(50), Some(Duration::from_millis(100)));
        assert_eq!(tally.percentile(99), Some(Duration::from_millis(198)));
        assert_eq!(tally.percentile(100), Some(Duration::from_millis(200)));
        assert_eq!(Tally::default().percentile(50), None);
    }
}
