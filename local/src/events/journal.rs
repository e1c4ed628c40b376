//! The newest events, for everyone who reads them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rollcall::relay::Event;
use tokio::sync::watch;

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
pub struct Journal {
    remembered: Mutex<Remembered>,
    /// The number of the next event; `None` when no more will come.
    next: watch::Sender<Option<u64>>,
}

#[derive(Debug, Default)]
struct Remembered {
    lines: VecDeque<Arc<Line>>,
    /// The number of the first of them.
    first: u64,
}

/// The events that a reader had not read yet were forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} events were forgotten before they were read")]
pub struct Forgotten(pub u64);

/// A place in the journal.
#[derive(Debug)]
pub struct Reader {
    journal: Arc<Journal>,
    next: u64,
    changes: watch::Receiver<Option<u64>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { remembered: Mutex::default(), next: watch::Sender::new(Some(0)) }
    }
}

impl Journal {
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    ///
    /// # Errors
    ///
    /// If the event cannot be written as JSON.
    pub fn add(&self, event: &Event) -> Result<(), serde_json::Error> {
        let (provider, app) = event.app();
        let line = Arc::new(Line {
            id: event.id().to_owned(),
            name: event.name(),
            provider: provider.as_str(),
            app: app.as_str().to_owned(),
            json: serde_json::to_string(event)?,
        });
        let mut remembered = self.remembered();
        if remembered.lines.len() == REMEMBERED {
            remembered.lines.pop_front();
            remembered.first += 1;
        }
        remembered.lines.push_back(line);
        let next = remembered.first + remembered.lines.len() as u64;
        self.next.send_if_modified(|known| {
            let is_open = known.is_some();
            *known = known.map(|_| next);
            is_open
        });
        Ok(())
    }

    /// Ends all readers once they have read what is here.
    pub fn close(&self) {
        self.next.send_replace(None);
    }

    /// A reader of the events that come from now on.
    #[must_use]
    pub fn from_now(self: &Arc<Self>) -> Reader {
        let remembered = self.remembered();
        self.reader(remembered.first + remembered.lines.len() as u64)
    }

    /// A reader of the events after the one with this id; of all that are remembered if that one is
    /// not.
    #[must_use]
    pub fn after(self: &Arc<Self>, id: &str) -> Reader {
        let remembered = self.remembered();
        let place = remembered.lines.iter().rposition(|line| line.id == id);
        self.reader(remembered.first + place.map_or(0, |place| place as u64 + 1))
    }

    fn reader(self: &Arc<Self>, next: u64) -> Reader {
        Reader { journal: self.clone(), next, changes: self.next.subscribe() }
    }
}

impl Reader {
    /// The next event, once there is one; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// [`Forgotten`] if the next event is not remembered any more. The reader then goes on with the
    /// oldest one that is.
    pub async fn next(&mut self) -> Result<Option<Arc<Line>>, Forgotten> {
        loop {
            // Before it is looked for, so that none is missed in between.
            let is_open = self.changes.borrow_and_update().is_some();
            {
                let remembered = self.journal.remembered();
                if let Some(lost) = remembered.first.checked_sub(self.next).filter(|lost| *lost > 0)
                {
                    self.next = remembered.first;
                    return Err(Forgotten(lost));
                }
                let place = usize::try_from(self.next - remembered.first).unwrap_or(usize::MAX);
                if let Some(line) = remembered.lines.get(place) {
                    self.next += 1;
                    return Ok(Some(line.clone()));
                }
            }
            if !is_open || self.changes.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
