//! The newest entries of a stream, for everyone who reads them. Who adds one never waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The newest entries, up to a number. Older ones are forgotten.
#[derive(Debug)]
pub struct Ring<T> {
    kept: Mutex<Kept<T>>,
    capacity: usize,
    /// The number of the next entry; `None` when no more will come.
    next: watch::Sender<Option<u64>>,
}

#[derive(Debug)]
struct Kept<T> {
    entries: VecDeque<Arc<T>>,
    /// The number of the first of them.
    first: u64,
}

impl<T> Kept<T> {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// The entries that a reader had not read yet were forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} of them were forgotten before they were read")]
pub struct Forgotten(pub u64);

/// A place in a ring.
#[derive(Debug)]
pub struct Reader<T> {
    ring: Arc<Ring<T>>,
    next: u64,
    changes: watch::Receiver<Option<u64>>,
}

impl<T> Ring<T> {
    /// An empty ring for so many entries, whose first one gets this number.
    #[must_use]
    pub fn new(capacity: usize, first: u64) -> Self {
        let kept = Mutex::new(Kept { entries: VecDeque::new(), first });
        Self { kept, capacity, next: watch::Sender::new(Some(first)) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, which is made from its number.
    pub fn add(&self, entry: impl FnOnce(u64) -> T) {
        let mut kept = self.kept();
        if kept.entries.len() == self.capacity {
            kept.entries.pop_front();
            kept.first += 1;
        }
        let entry = Arc::new(entry(kept.next()));
        kept.entries.push_back(entry);
        let next = kept.next();
        self.next.send_if_modified(|known| {
            let is_open = known.is_some();
            *known = known.map(|_| next);
            is_open
        });
    }

    /// Ends all readers once they have read what is here.
    pub fn close(&self) {
        self.next.send_replace(None);
    }

    /// A reader of the entries that come from now on.
    #[must_use]
    pub fn from_now(self: &Arc<Self>) -> Reader<T> {
        let next = self.kept().next();
        self.reader(next)
    }

    /// A reader of the entries after the newest one that is so; of all that are kept if none is.
    #[must_use]
    pub fn after(self: &Arc<Self>, is_last: impl Fn(&T) -> bool) -> Reader<T> {
        let kept = self.kept();
        let place = kept.entries.iter().rposition(|entry| is_last(entry));
        self.reader(kept.first + place.map_or(0, |place| place as u64 + 1))
    }

    fn reader(self: &Arc<Self>, next: u64) -> Reader<T> {
        Reader { ring: self.clone(), next, changes: self.next.subscribe() }
    }
}

impl<T> Reader<T> {
    /// The next entry, once there is one; `None` when no more will come.
    ///
    /// # Errors
    ///
    /// [`Forgotten`] if the next entry is not kept any more. The reader then goes on with the
    /// oldest one that is.
    pub async fn next(&mut self) -> Result<Option<Arc<T>>, Forgotten> {
        loop {
            // Before it is looked for, so that none is missed in between.
            let is_open = self.changes.borrow_and_update().is_some();
            if let Some(entry) = self.now()? {
                return Ok(Some(entry));
            }
            if !is_open || self.changes.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    /// The next entry, if there is one already.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn now(&mut self) -> Result<Option<Arc<T>>, Forgotten> {
        let kept = self.ring.kept();
        if let Some(lost) = kept.first.checked_sub(self.next).filter(|lost| *lost > 0) {
            self.next = kept.first;
            return Err(Forgotten(lost));
        }
        let place = usize::try_from(self.next - kept.first).unwrap_or(usize::MAX);
        let entry = kept.entries.get(place).cloned();
        self.next += u64::from(entry.is_some());
        Ok(entry)
    }
}
