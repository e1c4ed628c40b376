//! A copy of rooms and people, kept right by one rule: on any event, ask its `href`, and replace
//! what you have, unless what you have was read later.
//!
//! Events may come twice, late and in any order. That changes nothing, because an event only says
//! what to ask about. People on whom the answer about a room and the copy disagree are asked about,
//! too: a room that closes ends the visits of people who have no event of their own.

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

/// What an `href` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const SCHEMA: &str = "
    -- The copy can be asked for again, so no statement waits for the disk.
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS answers (
        href TEXT PRIMARY KEY,
        -- When it was asked, in Unix milliseconds.
        read_at INTEGER NOT NULL,
        -- Null if nothing is known.
        answer TEXT,
        -- Whether it was asked again after the index had caught up.
        is_settled INTEGER NOT NULL DEFAULT 0
    );
    -- Who is in which room, by the answers about people.
    CREATE TABLE IF NOT EXISTS inside (person TEXT NOT NULL, room TEXT NOT NULL, PRIMARY KEY (room, person));
    CREATE INDEX IF NOT EXISTS inside_by_person ON inside (person);
    CREATE TABLE IF NOT EXISTS last_event (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL);
";

/// Why the copy could not follow an event. The event can be taken again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError<E> {
    /// `SQLite` failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What came is not an event or an answer.
    #[error("{0} is no event or answer of Rollcall")]
    Unreadable(String),
    /// The question was not answered.
    #[error("{0}")]
    Unanswered(E),
}

/// The copy.
pub(crate) struct Copy(Connection);

impl Copy {
    pub(crate) fn of(database: Connection) -> rusqlite::Result<Self> {
        database.execute_batch(SCHEMA)?;
        Ok(Self(database))
    }

    /// Takes events, in the order of their arrival. `ask` answers a query at this time; `None` if
    /// nothing is known. What several events are about is asked once.
    pub(crate) async fn take<E>(
        &self,
        events: &[Value],
        now: u64,
        ask: impl AsyncFn(&str) -> Result<Option<Value>, E>,
    ) -> Result<(), CopyError<E>> {
        let (mut about, mut last) = (BTreeSet::new(), None);
        for event in events {
            let text = |name: &str| event[name].as_str();
            let (Some(id), Some(href)) = (text("id"), text("href")) else {
                return Err(CopyError::Unreadable(event.to_string()));
            };
            about.insert(href.to_owned());
            if let (Some(user), Some(app)) = (text("user"), App::of(event)) {
                about.insert(app.person(user));
            }
            last = Some(id);
        }
        self.read(about, now, &ask).await?;
        if let Some(id) = last {
            self.0.execute("REPLACE INTO last_event VALUES (1, ?1)", [id])?;
        }
        Ok(())
    }

    /// Asks once more about all that was last read before this time. The answers about rooms come
    /// from an index that may be a moment behind the event.
    pub(crate) async fn settle<E>(
        &self,
        before: u64,
        now: u64,
        ask: impl AsyncFn(&str) -> Result<Option<Value>, E>,
    ) -> Result<(), CopyError<E>> {
        let open = "SELECT href FROM answers WHERE NOT is_settled AND read_at < ?1";
        let hrefs: BTreeSet<String> = self
            .0
            .prepare(open)?
            .query_map([before], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.read(hrefs.clone(), now, &ask).await?;
        for href in hrefs {
            self.0.execute("UPDATE answers SET is_settled = 1 WHERE href = ?1", [href])?;
        }
        Ok(())
    }

    /// The id of the last event that was taken.
    pub(crate) fn last_event(&self) -> rusqlite::Result<Option<String>> {
        self.0.query_row("SELECT id FROM last_event", [], |row| row.get(0)).optional()
    }

    /// Everything that is known: when it was asked, and the answer, by `href`.
    pub(crate) fn answers(&self) -> rusqlite::Result<Vec<(String, u64, Option<Value>)>> {
        let all = "SELECT href, read_at, answer FROM answers ORDER BY href";
        let row = |row: &rusqlite::Row<'_>| {
            let answer: Option<String> = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, answer.and_then(|text| serde_json::from_str(&text).ok())))
        };
        self.0.prepare(all)?.query_map([], row)?.collect()
    }

    async fn read<E>(
        &self,
        mut about: BTreeSet<String>,
        now: u64,
        ask: &impl AsyncFn(&str) -> Result<Option<Value>, E>,
    ) -> Result<(), CopyError<E>> {
        // Rooms first: their answers name more people to ask about.
        let rooms: Vec<String> =
            about.iter().filter(|href| href.contains("/rooms?")).cloned().collect();
        for room in rooms {
            about.remove(&room);
            let answer = all_pages(&room, ask).await?;
            self.replace(&room, now, answer.as_ref())?;
            about.extend(self.who_disagree(&room, answer.as_ref())?);
        }
        for href in about {
            let answer = all_pages(&href, ask).await?;
            if self.replace(&href, now, answer.as_ref())? && href.contains("/users?") {
                self.place(&href, answer.as_ref())?;
            }
        }
        Ok(())
    }

    /// Replaces an answer, unless the other one was read later.
    fn replace(&self, href: &str, now: u64, answer: Option<&Value>) -> rusqlite::Result<bool> {
        let replaced = self.0.execute(
            "INSERT INTO answers (href, read_at, answer) VALUES (?1, ?2, ?3)
             ON CONFLICT (href) DO UPDATE SET read_at = ?2, answer = ?3, is_settled = 0
             WHERE read_at <= ?2",
            params![href, now, answer.map(ToString::to_string)],
        )?;
        Ok(replaced > 0)
    }

    /// Notes in which rooms a person is.
    fn place(&self, person: &str, answer: Option<&Value>) -> rusqlite::Result<()> {
        let Some((answer, app)) = answer.and_then(|answer| Some((answer, App::of(answer)?))) else {
            return self.0.execute("DELETE FROM inside WHERE person = ?1", [person]).map(|_| ());
        };
        self.0.execute("DELETE FROM inside WHERE person = ?1", [person])?;
        for session in answer["sessions"].as_array().into_iter().flatten() {
            if let (Some(room), true) = (session["room"].as_str(), session["left_at"].is_null()) {
                let room = app.room(room);
                self.0.execute("REPLACE INTO inside VALUES (?1, ?2)", [person, &room])?;
            }
        }
        Ok(())
    }

    /// The people whom the answer about a room puts in or out, and the answer about them does not.
    fn who_disagree(
        &self,
        room: &str,
        answer: Option<&Value>,
    ) -> rusqlite::Result<BTreeSet<String>> {
        let inside = "SELECT person FROM inside WHERE room = ?1";
        let inside: BTreeSet<String> = self
            .0
            .prepare(inside)?
            .query_map([room], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let members =
            answer.and_then(|answer| Some((answer["members"].as_array()?, App::of(answer)?)));
        let members: BTreeSet<String> = members
            .into_iter()
            .flat_map(|(members, app)| {
                members.iter().filter_map(move |member| Some(app.person(member["user"].as_str()?)))
            })
            .collect();
        Ok(inside.symmetric_difference(&members).cloned().collect())
    }
}

/// All pages of an answer as one. The lists of later pages are added to those of the first.
async fn all_pages<E>(
    href: &str,
    ask: &impl AsyncFn(&str) -> Result<Option<Value>, E>,
) -> Result<Option<Value>, CopyError<E>> {
    let answer = async |href: &str| ask(href).await.map_err(CopyError::Unanswered);
    let Some(mut whole) = answer(href).await? else { return Ok(None) };
    while let Some(next) = whole["next"].as_str() {
        let page = answer(&format!("{href}&next={next}")).await?;
        let Some(mut page) = page else { return Ok(None) };
        whole["next"] = page["next"].take();
        for list in ["members", "sessions"] {
            if let (Some(list), Some(more)) =
                (whole[list].as_array_mut(), page[list].as_array_mut())
            {
                list.append(more);
            }
        }
    }
    Ok(Some(whole))
}

/// The beginning of the queries about an app.
struct App(String);

impl App {
    /// The app of an event or an answer.
    fn of(value: &Value) -> Option<Self> {
        let (provider, app) = (value["provider"].as_str()?, value["app"].as_str()?);
        Some(Self(format!("/presence/{provider}/{}", utf8_percent_encode(app, PLAIN))))
    }

    fn person(&self, user: &str) -> String {
        format!("{}/users?user={}", self.0, utf8_percent_encode(user, PLAIN))
    }

    fn room(&self, room: &str) -> String {
        format!("{}/rooms?room={}", self.0, utf8_percent_encode(room, PLAIN))
    }
}
