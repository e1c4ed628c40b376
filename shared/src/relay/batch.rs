//! A batch of records: its rooms are listed as live, and its events are handed over in as few calls
//! as possible, and again until they are taken or the time is over.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Bus, Entry, EventBus, LiveRooms, TouchedRooms, of_people, touched_rooms};
use crate::{
    domain::UnixMillis,
    store::{ErasureList, FactOf, StoreError, StreamRecord},
};

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
    /// The people who were erased. What is not newer than that is not sent.
    pub erasures: ErasureList,
    /// The list of live rooms.
    pub live: LiveRooms,
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
    /// Whom it is about.
    of: Option<FactOf>,
    entry: Entry,
}

/// Events after a look at the erasures.
#[derive(Default)]
struct Sorted {
    to_send: Vec<Pending>,
    /// The erasures of their app could not be read, so they wait.
    unknown: Vec<Pending>,
}

impl<B: Bus> Relay<B> {
    /// Lists the rooms of these records as live and hands over their events, until `deadline`.
    /// Rooms come first: whoever gets an event finds its room in the list. A room that cannot be
    /// listed holds up no events. Before each try it drops events that are not newer than an
    /// erasure of their person. Returns the sequence numbers of the records that must be delivered
    /// again: their room was not listed, some of their events were not taken, or they cannot be
    /// read.
    pub async fn relay(
        &self,
        records: &[Received],
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<String> {
        let started = Instant::now();
        let (mut pending, mut kept) = (Vec::new(), BTreeSet::new());
        for (record, received) in records.iter().enumerate() {
            match entries(received) {
                Ok(entries) => {
                    let entries = entries.into_iter();
                    pending.extend(entries.map(|(of, entry)| Pending { record, of, entry }));
                }
                Err(error) => {
                    let sequence_number = &received.sequence_number;
                    tracing::error!(sequence_number, %error, "a record has no readable events");
                    kept.insert(record);
                }
            }
        }
        let events = pending.len();
        let readable = records.iter().enumerate();
        let readable = readable.filter_map(|(at, one)| Some((at, one.record.as_ref().ok()?)));
        let mut rooms: TouchedRooms = touched_rooms(readable);
        let mut pause = FIRST_PAUSE;
        loop {
            rooms = self.live.list(rooms, deadline).await;
            let Sorted { to_send, unknown } =
                self.without_erased(pending, now.after(started.elapsed()), deadline).await;
            pending = self.put_all(to_send, deadline).await;
            pending.extend(unknown);
            let next = Instant::now() + pause;
            if (pending.is_empty() && rooms.is_empty()) || next >= deadline {
                break;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        kept.extend(pending.iter().map(|pending| pending.record));
        kept.extend(rooms.values().flat_map(|touched| &touched.records));
        let (records_in, unsent, kept_in) = (records.len(), pending.len(), kept.len());
        let unlisted = rooms.len();
        tracing::info!(records = records_in, events, unsent, unlisted, kept = kept_in, "relay");
        kept.into_iter().map(|record| records[record].sequence_number.clone()).collect()
    }

    /// Drops what is not newer than an erasure of its person.
    async fn without_erased(
        &self,
        pending: Vec<Pending>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Sorted {
        let mut sorted = Sorted::default();
        let mut read = HashMap::new();
        for one in pending {
            let Some(of) = &one.of else {
                sorted.to_send.push(one);
                continue;
            };
            if !read.contains_key(&of.app) {
                let erasures = match timeout_at(deadline, self.erasures.of(&of.app, now)).await {
                    Ok(Ok(erasures)) => Some(erasures),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "it is not known who was erased");
                        None
                    }
                    Err(_) => None,
                };
                read.insert(of.app.clone(), erasures);
            }
            match read.get(&of.app) {
                Some(Some(erasures)) if erasures.cover_fact(of) => {}
                Some(Some(_)) => sorted.to_send.push(one),
                _ => sorted.unknown.push(one),
            }
        }
        sorted
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

fn entries(received: &Received) -> Result<Vec<(Option<FactOf>, Entry)>, Unreadable<'_>> {
    let record = received.record.as_ref().map_err(Unreadable::Record)?;
    let entries = of_people(record)?.into_iter().map(|(of, event)| Ok((of, Entry::of(&event)?)));
    entries.collect()
}
