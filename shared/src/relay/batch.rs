//! A batch of records: its rooms are listed as live, and its events are handed over in as few calls
//! as possible, and again until they are taken or the time is over.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Bus, Entry, Event, EventBus, LiveRooms, Touched, TouchedRooms, of_people,
    pause::{FIRST_PAUSE, LONGEST_PAUSE},
    settle::ask_for_all,
    touched_rooms,
};
use crate::{
    domain::{App, RoomId, UnixMillis},
    metrics,
    settle::Checks,
    store::{ErasureList, FactOf, Lateness, StoreError, StreamRecord},
};

/// How many calls are in progress at the same time.
const CONCURRENT_CALLS: usize = 4;

/// Hands the events of the stream's records to a bus.
#[derive(Debug, Clone)]
pub struct Relay<B = EventBus> {
    /// Where the events go.
    pub bus: B,
    /// The people who were erased. What is not newer than that is not sent.
    pub erasures: ErasureList,
    /// The list of live rooms.
    pub live: LiveRooms,
    /// What has rooms checked when nothing changes for a while; `None` if nobody checks them.
    pub checks: Option<Checks>,
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
    /// Lists the rooms of these records as live, hands over their events, and has the rooms checked
    /// that they may have ended or emptied, until `deadline`. Returns the sequence numbers of the
    /// records that must be delivered again: their room was not listed, some of their events were
    /// not taken, their room may not be checked, or they cannot be read.
    pub async fn relay(
        &self,
        records: &[Received],
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<String> {
        let checked = async {
            match &self.checks {
                Some(checks) => {
                    let records = records.iter().enumerate();
                    let readable = records.filter_map(|(place, received)| {
                        Some((place, received.record.as_ref().ok()?))
                    });
                    ask_for_all(checks, readable, now, deadline).await
                }
                None => BTreeSet::new(),
            }
        };
        let (mut kept, unchecked) = tokio::join!(self.report(records, now, deadline), checked);
        kept.extend(unchecked);
        kept.into_iter().map(|record| records[record].sequence_number.clone()).collect()
    }

    /// Hands over the events. Before each try it drops those that are not newer than an erasure of
    /// their person. Returns the places of the records some of whose events were not taken.
    async fn report(
        &self,
        records: &[Received],
        now: UnixMillis,
        deadline: Instant,
    ) -> BTreeSet<usize> {
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
        let rooms = self.live.list(touched_rooms(readable), deadline).await;
        let (pending, rooms) = tokio::join!(
            self.hand_over(pending, now.after(started.elapsed()), deadline),
            self.list_again(rooms, deadline)
        );
        kept.extend(pending.iter().map(|pending| pending.record));
        kept.extend(rooms.values().flat_map(|touched| &touched.records));
        let (records_in, kept_in) = (records.len(), kept.len());
        let (unsent, unlisted) = (pending.len(), rooms.len());
        tracing::info!(
            target: metrics::RELAY,
            records = records_in, events, unsent, unlisted, kept = kept_in,
            "relay"
        );
        kept
    }

    /// Lists rooms as live and hands over events that are about nobody's facts, until `deadline`.
    /// Returns how many rooms were not listed and events not taken.
    ///
    /// # Errors
    ///
    /// If an event cannot be written as JSON.
    pub async fn send(
        &self,
        events: &[Event],
        rooms: impl IntoIterator<Item = (App, RoomId)>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Result<usize, serde_json::Error> {
        let touched = Touched { at: now, lateness: Lateness::InTime, records: Vec::new() };
        let rooms = rooms.into_iter().map(|room| (room, touched.clone())).collect();
        let pending = events
            .iter()
            .enumerate()
            .map(|(record, event)| Ok(Pending { record, of: None, entry: Entry::of(event)? }));
        let pending = pending.collect::<Result<_, serde_json::Error>>()?;
        let rooms = self.list_again(rooms, deadline).await;
        Ok(rooms.len() + self.hand_over(pending, now, deadline).await.len())
    }

    /// Lists rooms as live again and again; returns those that are not known to be listed.
    async fn list_again(&self, mut rooms: TouchedRooms, deadline: Instant) -> TouchedRooms {
        let mut pause = FIRST_PAUSE;
        while !rooms.is_empty() {
            rooms = self.live.list(rooms, deadline).await;
            let next = Instant::now() + pause;
            if next >= deadline {
                break;
            }
            if !rooms.is_empty() {
                sleep_until(next).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        rooms
    }

    /// Hands over events again and again; returns those that were not taken.
    async fn hand_over(
        &self,
        mut pending: Vec<Pending>,
        now: UnixMillis,
        deadline: Instant,
    ) -> Vec<Pending> {
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let Sorted { to_send, unknown } =
                self.without_erased(pending, now.after(started.elapsed()), deadline).await;
            pending = self.put_all(to_send, deadline).await;
            pending.extend(unknown);
            let next = Instant::now() + pause;
            if pending.is_empty() || next >= deadline {
                return pending;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
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
