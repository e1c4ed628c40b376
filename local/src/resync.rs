//! `cargo run -- resync`: after `relay` has missed records, scans the table once, and sends an event
//! for each room and each person about whom a callback came in that time.

use std::{collections::HashSet, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rollcall::{
    domain::{App, UnixMillis},
    relay::{Bus, Relay, Subject, resync_events},
    store::{ReceivedIn, ScanPage, ScanPlace, Scanner, StoreError},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Scans, and sends events.
#[derive(Debug)]
pub struct Resync<B> {
    /// Reads the table.
    pub scanner: Scanner,
    /// Where the events go, and who was erased.
    pub relay: Relay<B>,
    /// The app; `None` for all.
    pub app: Option<App>,
    /// When the callbacks were received.
    pub span: ReceivedIn,
    /// For how long the events of a page are handed over again.
    pub send_limit: Duration,
    /// The ids of the events that were sent.
    sent: HashSet<String>,
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the run began.
    pub started: UnixMillis,
    /// Where the next page begins; `None` at the beginning.
    after: Option<ScanPlace>,
}

/// What was found so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Found {
    /// The rooms that have an event.
    pub rooms: u64,
    /// The people who have one, and the registrations.
    pub people: u64,
    /// How many people were erased in that time.
    pub erased: u64,
    /// How many items cannot be read.
    pub unreadable: u64,
    /// How many items were read.
    pub items: u64,
    /// How many read units that took.
    pub read_units: f64,
}

/// Why a run stopped. It can go on from its place.
#[derive(Debug, thiserror::Error)]
pub enum ResyncError {
    /// DynamoDB failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event cannot be written.
    #[error("an event cannot be written: {0}")]
    Event(#[from] serde_json::Error),
    /// The bus did not take all events, or a room could not be listed as live.
    #[error(
        "{0} events were not taken or rooms not listed: is the bus there, and do you have the policy?"
    )]
    Unsent(usize),
}

impl Place {
    /// The beginning of a run.
    #[must_use]
    pub fn start(started: UnixMillis) -> Self {
        Self { started, after: None }
    }

    /// The word by which [`Place::of_token`] finds the place again.
    #[must_use]
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }

    /// The place of a [token](Place::token); `None` if it is none.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
    }
}

impl<B: Bus> Resync<B> {
    /// A run that has sent nothing yet.
    pub fn new(
        scanner: Scanner,
        relay: Relay<B>,
        app: Option<App>,
        span: ReceivedIn,
        send_limit: Duration,
    ) -> Self {
        Self { scanner, relay, app, span, send_limit, sent: HashSet::new() }
    }

    /// Reads a page and sends its events. Returns the next place; `None` if that was the last page.
    /// `found` counts on. After an error, the page can be read again.
    ///
    /// # Errors
    ///
    /// [`ResyncError`].
    pub async fn page(
        &mut self,
        place: &Place,
        now: UnixMillis,
        found: &mut Found,
    ) -> Result<Option<Place>, ResyncError> {
        let page = self.scanner.page(self.app.as_ref(), self.span, place.after.as_ref()).await?;
        let ScanPage { facts, erased, unreadable, items, read_units, next } = page;
        let events = resync_events(&facts, place.started, &self.relay.erasures, now).await?;
        let (mut ids, mut new) = (HashSet::new(), Vec::new());
        for event in events {
            if !self.sent.contains(event.id()) && ids.insert(event.id().to_owned()) {
                new.push(event);
            }
        }
        let rooms = new.iter().filter_map(|event| match event.resync_subject() {
            Some(Subject::Room { room }) => {
                let (provider, app) = event.app();
                Some((App { provider, id: app.clone() }, room.clone()))
            }
            _ => None,
        });
        let deadline = Instant::now() + self.send_limit;
        let unsent = self.relay.send(&new, rooms, now, deadline).await?;
        if unsent > 0 {
            return Err(ResyncError::Unsent(unsent));
        }
        self.sent.extend(ids);
        for event in &new {
            match event.resync_subject() {
                Some(Subject::Room { .. }) => found.rooms += 1,
                _ => found.people += 1,
            }
        }
        found.erased += erased;
        found.unreadable += unreadable;
        found.items += items;
        found.read_units += read_units;
        Ok(next.map(|after| Place { started: place.started, after: Some(after) }))
    }
}
