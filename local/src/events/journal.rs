//! The newest events, for everyone who reads them.

use std::sync::Arc;

use rollcall::relay::Event;

use crate::ring::{self, Ring};

/// How many events are remembered.
const REMEMBERED: usize = 10_000;

/// An event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// What identifies it.
    pub id: String,
    /// Its type, such as `presence.entered`.
    pub name: &'static str,
    /// Whose app it is about.
    pub provider: &'static str,
    /// The app that it is about.
    pub app: String,
    /// The event as one line of JSON.
    pub json: String,
}

/// The newest events, up to a number. Older ones are forgotten.
#[derive(Debug)]
pub struct Journal(Arc<Ring<Line>>);

/// A place in the journal.
pub type Reader = ring::Reader<Line>;

impl Default for Journal {
    fn default() -> Self {
        Self(Arc::new(Ring::new(REMEMBERED, 0)))
    }
}

impl Journal {
    /// Adds an event.
    ///
    /// # Errors
    ///
    /// If the event cannot be written as JSON.
    pub fn add(&self, event: &Event) -> Result<(), serde_json::Error> {
        let (provider, app) = event.app();
        let line = Line {
            id: event.id().to_owned(),
            name: event.name(),
            provider: provider.as_str(),
            app: app.as_str().to_owned(),
            json: serde_json::to_string(event)?,
        };
        self.0.add(|_| line);
        Ok(())
    }

    /// Ends all readers once they have read what is here.
    pub fn close(&self) {
        self.0.close();
    }

    /// A reader of the events that come from now on.
    #[must_use]
    pub fn from_now(&self) -> Reader {
        self.0.from_now()
    }

    /// A reader of the events after the one with this id; of all that are remembered if that one is
    /// not.
    #[must_use]
    pub fn after(&self, id: &str) -> Reader {
        self.0.after(|line| line.id == id)
    }
}
