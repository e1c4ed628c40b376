//! Writes lists as CSV, page by page, so that an interrupted export can continue: no row is lost or
//! repeated, and the header is written once.

mod csv;
mod part;

use std::io::Write;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rollcall::domain::{App, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use part::Part;

use super::{AskError, Client, Query};

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Visits.
    Attendance,
    /// Who was registered.
    Registrations,
    /// Reports per person.
    Reports,
}

/// About whom or what one list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Everybody of the app.
    Everybody,
    /// A room.
    Room(String),
    /// A user.
    User(String),
}

/// An export: one list for each subject, one after the other.
#[derive(Debug, Clone)]
pub struct Export {
    /// Which app.
    pub app: App,
    /// What of it.
    pub list: List,
    /// Of whom; at least one.
    pub subjects: Vec<Subject>,
    /// The span of time, both ends included.
    pub from: Option<UnixMillis>,
    /// The end of the span.
    pub to: Option<UnixMillis>,
    /// More parameters of each query, such as `life`.
    pub parameters: Vec<(&'static str, String)>,
    /// The most rows in one request.
    pub page: usize,
}

/// How far an export is: what is needed to continue it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which export it is of: a hash of its queries.
    export: String,
    /// How many subjects are done.
    subjects: usize,
    /// The cursor of the next page of the subject that is not done.
    next: Option<String>,
    /// The header that is written.
    header: Option<String>,
    /// Subjects that Rollcall does not know.
    #[serde(default)]
    unknown: Vec<String>,
    /// How many rows are written.
    rows: u64,
    /// How many bytes are written.
    bytes: u64,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A page could not be read. The export can continue.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A page is not what it should be.
    #[error("{0}")]
    Page(String),
    /// What was read could not be written.
    #[error("{0}")]
    Write(String),
    /// There is nothing to continue, or it is of another export.
    #[error("{0}")]
    Resume(String),
}

/// Where the CSV goes.
pub trait Sink {
    /// Writes what follows, and remembers the place after it.
    ///
    /// # Errors
    ///
    /// [`ExportError::Write`].
    fn write(&mut self, csv: &str, after: &Place) -> Result<(), ExportError>;
}

/// A stream, such as the standard output. The place is kept by its reader.
#[derive(Debug)]
pub struct Stream<W>(pub W);

impl<W: Write> Sink for Stream<W> {
    fn write(&mut self, csv: &str, _: &Place) -> Result<(), ExportError> {
        let written = self.0.write_all(csv.as_bytes()).and_then(|()| self.0.flush());
        written.map_err(|error| {
            ExportError::Write(format!(
                "the output cannot be written, and its end is missing: {error}"
            ))
        })
    }
}

impl Place {
    /// How many subjects are done.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.subjects
    }

    /// How many rows are written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many bytes are written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Subjects that Rollcall does not know.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The place as a word for the command line.
    #[must_use]
    pub fn token(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Export {
    /// Where it begins.
    #[must_use]
    pub fn start(&self) -> Place {
        Place { export: self.name(), ..Place::default() }
    }

    /// The place of a [token](Place::token).
    ///
    /// # Errors
    ///
    /// [`ExportError::Resume`] if it is none, or one of another export.
    pub fn place(&self, token: &str) -> Result<Place, ExportError> {
        let json = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
        let place = json.and_then(|json| serde_json::from_slice(&json).ok());
        let place = place.ok_or_else(|| {
            ExportError::Resume(
                "--resume needs the word that the interrupted export printed".to_owned(),
            )
        })?;
        self.check(place)
    }

    /// A place, if it is one of this export.
    fn check(&self, place: Place) -> Result<Place, ExportError> {
        if place.export == self.name() && place.subjects <= self.subjects.len() {
            return Ok(place);
        }
        let text = "this is another export than the one that was interrupted: the options have to be \
                    the same";
        Err(ExportError::Resume(text.to_owned()))
    }

    /// Whether all of it is written at this place.
    #[must_use]
    pub fn is_done(&self, place: &Place) -> bool {
        place.subjects == self.subjects.len()
    }

    /// Writes everything that follows after `place`, which moves on with each page, and calls
    /// `wrote` after each.
    ///
    /// # Errors
    ///
    /// [`ExportError`]. Everything up to `place` is written then.
    pub async fn run(
        &self,
        client: &Client,
        place: &mut Place,
        sink: &mut dyn Sink,
        mut wrote: impl FnMut(&Place),
    ) -> Result<(), ExportError> {
        while let Some(subject) = self.subjects.get(place.subjects) {
            let mut after = place.clone();
            let asked = self.query(subject).with("limit", self.page);
            let asked = asked.with_any("next", place.next.as_ref());
            let mut text = String::new();
            match client.answer(&asked).await {
                Ok(answer) => {
                    let own = subject.column();
                    let page = csv::Page::read(&answer, own).map_err(|fault| {
                        ExportError::Page(format!("{asked}: the answer {fault}"))
                    })?;
                    match &place.header {
                        None => {
                            text.push_str(&page.header);
                            after.header = Some(page.header);
                        }
                        Some(header) if *header == page.header => {}
                        Some(_) => {
                            let fault = "the columns are no longer those of the pages before: \
                                         Rollcall has changed, so export it again";
                            return Err(ExportError::Page(fault.to_owned()));
                        }
                    }
                    text.push_str(&page.text);
                    after.rows += page.rows;
                    after.next = answer.next;
                }
                Err(AskError::NotKnown { .. }) if place.next.is_none() => {
                    after.unknown.push(subject.to_string());
                    after.next = None;
                }
                Err(error) => return Err(error.into()),
            }
            if after.next.is_none() {
                after.subjects += 1;
            }
            after.bytes += u64::try_from(text.len()).unwrap_or_default();
            sink.write(&text, &after)?;
            *place = after;
            wrote(place);
        }
        Ok(())
    }

    fn query(&self, subject: &Subject) -> Query {
        let root = match self.list {
            List::Attendance => "attendance",
            List::Registrations => "registrations",
            List::Reports => "reports",
        };
        let query = match subject {
            Subject::Everybody => Query::of(&self.app, root, ""),
            Subject::Room(id) => Query::of(&self.app, root, "/rooms").with("room", id),
            Subject::User(id) => Query::of(&self.app, root, "/users").with("user", id),
        };
        let query = query.with("format", "csv");
        let query = query.with_any("from", self.from.map(|at| at.0));
        let query = query.with_any("to", self.to.map(|at| at.0));
        let parameters = self.parameters.iter();
        parameters.fold(query, |query, (name, value)| query.with(name, value))
    }

    /// A hash of all queries. How many rows a request has makes no difference.
    fn name(&self) -> String {
        let mut hash = Sha256::new();
        for subject in &self.subjects {
            hash.update(self.query(subject).path);
            hash.update("\n");
        }
        BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..12])
    }
}

impl Subject {
    /// The column that has the subject, and what is in it.
    fn column(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Everybody => None,
            Self::Room(room) => Some(("room", room)),
            Self::User(user) => Some(("user", user)),
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everybody => f.write_str("everybody"),
            Self::Room(room) => write!(f, "room {room}"),
            Self::User(user) => write!(f, "user {user}"),
        }
    }
}
