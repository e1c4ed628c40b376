//! Where the truth comes from: a file that `send` writes, or whatever a test knows.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rollcall::domain::UnixMillis;
use rollcall_players::{Event, servers::Servers};

/// For how long earlier states of a file are kept, in ms: more than any lag.
const KEPT_MS: u64 = 60 * 60 * 1000;

/// What the providers' servers knew at a moment.
#[derive(Clone)]
pub struct Truth(Arc<dyn Fn(UnixMillis) -> Arc<Servers> + Send + Sync>);

impl Truth {
    /// By a function of the time.
    pub fn new(at: impl Fn(UnixMillis) -> Arc<Servers> + Send + Sync + 'static) -> Self {
        Self(Arc::new(at))
    }

    /// The same at all times.
    #[must_use]
    pub fn always(servers: Servers) -> Self {
        let servers = Arc::new(servers);
        Self::new(move |_| servers.clone())
    }

    /// What is in a file, as it changes.
    #[must_use]
    pub fn of_file(file: TruthFile) -> Self {
        let states = Mutex::new(States { file, read: None, known: Vec::new() });
        Self::new(move |at| {
            let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
            states.refresh();
            states.at(at)
        })
    }

    /// What was known then.
    #[must_use]
    pub fn at(&self, at: UnixMillis) -> Arc<Servers> {
        (self.0)(at)
    }
}

impl fmt::Debug for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Truth")
    }
}

/// The file in which `send` writes what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthFile(PathBuf);

impl TruthFile {
    /// The file that is meant if none is named.
    pub const DEFAULT: &str = ".rollcall/truth.json";

    /// This file.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is in it; nothing if there is no such file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not such a file.
    pub fn read(&self) -> io::Result<Servers> {
        match fs::read(&self.0) {
            Ok(json) => Ok(serde_json::from_slice(&json)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Servers::default()),
            Err(error) => Err(error),
        }
    }

    /// Adds what happened, in the order in which it did. Several may do so at the same time.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or is not such a file.
    pub fn add<'e>(&self, events: impl IntoIterator<Item = &'e Event>) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder)?;
        }
        let lock = File::create(self.0.with_extension("lock"))?;
        lock.lock()?;
        let mut servers = self.read()?;
        for event in events {
            servers.happen(event);
        }
        // A reader sees the whole of it, before or after.
        let new = self.0.with_extension("new");
        fs::write(&new, serde_json::to_vec(&servers)?)?;
        fs::rename(&new, &self.0)
    }

    fn changed(&self) -> Option<(SystemTime, u64)> {
        let metadata = fs::metadata(&self.0).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

/// What a file had when.
struct States {
    file: TruthFile,
    /// When the state that was read last was written, and its length.
    read: Option<(SystemTime, u64)>,
    /// Each state, and when it was written, in Unix ms.
    known: Vec<(u64, Arc<Servers>)>,
}

impl States {
    fn refresh(&mut self) {
        let changed = self.file.changed();
        if changed == self.read && !self.known.is_empty() {
            return;
        }
        match self.file.read() {
            Ok(servers) => {
                let written = changed.map(|(at, _)| at.duration_since(SystemTime::UNIX_EPOCH));
                let written = written.and_then(Result::ok).unwrap_or_default().as_millis();
                let written = u64::try_from(written).unwrap_or(u64::MAX);
                self.known.retain(|(at, _)| *at + KEPT_MS > written);
                self.known.push((written, Arc::new(servers)));
                self.read = changed;
            }
            Err(error) => {
                let file = self.file.path().display();
                tracing::warn!(%error, "{file} cannot be read: what it said before counts");
                self.read = changed;
            }
        }
    }

    /// The newest state of then; before the first one, that one.
    fn at(&self, at: UnixMillis) -> Arc<Servers> {
        let newest = self.known.iter().rev().find(|(written, _)| *written <= at.0);
        let state = newest.or(self.known.first());
        state.map(|(_, servers)| servers.clone()).unwrap_or_default()
    }
}
