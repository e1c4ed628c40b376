//! A batch of records: its events are handed over in as few calls as possible, and again until they
//! are taken or the time is over.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Bus, Entry, EventBus, events};
use crate::store::{StoreError, StreamRecord};

/// How many calls are in progress at the same time.
const CONCURRENT_CALLS: usize = 4;

/// The pause before events are handed over a second time. It doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Hands the events of the stream's records to a bus.
#[derive(Debug, Clone)]
pub struct Relay<B = EventBus> {
    /// Where the events go.
    pub bus: B,
}

/// A record as it was received.
#[derive(Debug)]
pub struct Received {
    /// Its place in its shard.
    pub sequence_number: String,
    /// The record, or why it cannot be read.
    pub record: Result<StreamRecord, serde_json::Error>,
}

/// Why the events of a record are not known.
#[derive(Debug, thiserror::Error)]
enum Unreadable<'a> {
    #[error("the record cannot be read at line {}, column {}", .0.line(), .0.column())]
    Record(&'a serde_json::Error),
    #[error(transparent)]
    Item(#[from] StoreError),
    #[error("an event cannot be written: {0}")]
    Event(#[from] serde_json::Error),
}

/// An event that the bus has not taken yet.
struct Pending {
    /// The place of its record in the batch.
    record: usize,
    entry: Entry,
}

impl<B: Bus> Relay<B> {
    /// Hands over the events of these records, until `deadline`. Returns the sequence numbers of
    /// the records that must be delivered again: some of their events were not taken, or they
    /// cannot be read.
    pub async fn relay(&self, records: &[Received], deadline: Instant) -> Vec<String> {
        let (mut pending, mut kept) = (Vec::new(), BTreeSet::new());
        for (record, received) in records.iter().enumerate() {
            match entries(received) {
                Ok(entries) => {
                    pending.extend(entries.into_iter().map(|entry| Pending { record, entry }));
                }
                Err(error) => {
                    let sequence_number = &received.sequence_number;
                    tracing::error!(sequence_number, %error, "a record has no readable events");
                    kept.insert(record);
                }
            }
        }
        let events = pending.len();
        let mut pause = FIRST_PAUSE;
        loop {
            pending = self.put_all(pending, deadline).await;
            let next = Instant::now() + pause;
            if pending.is_empty() || next >= deadline {
                break;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        kept.extend(pending.iter().map(|pending| pending.record));
        let (records_in, unsent, kept_in) = (records.len(), pending.len(), kept.len());
        tracing::info!(records = records_in, events, unsent, kept = kept_in, "relay");
        kept.into_iter().map(|record| records[record].sequence_number.clone()).collect()
    }

    /// Hands over all of these once; returns those that were not taken.
    async fn put_all(&self, pending: Vec<Pending>, deadline: Instant) -> Vec<Pending> {
        let calls = stream::iter(Self::calls(pending)).map(|call| self.put(call, deadline));
        let left: Vec<Vec<Pending>> = calls.buffered(CONCURRENT_CALLS).collect().await;
        left.into_iter().flatten().collect()
    }

    async fn put(&self, call: Vec<Pending>, deadline: Instant) -> Vec<Pending> {
        let entries: Vec<&Entry> = call.iter().map(|pending| &pending.entry).collect();
        match timeout_at(deadline, self.bus.put(&entries)).await {
            Ok(Ok(taken)) => {
                let taken = taken.into_iter().chain(std::iter::repeat(false));
                call.into_iter()
                    .zip(taken)
                    .filter(|(_, taken)| !taken)
                    .map(|(one, _)| one)
                    .collect()
            }
            Ok(Err(error)) => {
                tracing::warn!(events = call.len(), %error, "events were not taken");
                call
            }
            Err(_) => call,
        }
    }

    /// Events in as few calls as the bus allows.
    fn calls(pending: Vec<Pending>) -> Vec<Vec<Pending>> {
        let (mut calls, mut bytes) = (Vec::<Vec<Pending>>::new(), 0);
        for one in pending {
            bytes += one.entry.bytes();
            match calls.last_mut() {
                Some(call) if call.len() < B::MAX_ENTRIES && bytes <= B::MAX_BYTES => {
                    call.push(one);
                }
                _ => {
                    bytes = one.entry.bytes();
                    calls.push(vec![one]);
                }
            }
        }
        calls
    }
}

fn entries(received: &Received) -> Result<Vec<Entry>, Unreadable<'_>> {
    let record = received.record.as_ref().map_err(Unreadable::Record)?;
    let entries: Result<_, _> = events(record)?.iter().map(Entry::of).collect();
    Ok(entries?)
}
