//! The answers to a backend's queries: who is online, who is in this room, who is registered.
//!
//! [`Queries::answer`] takes every query of the table in `routes`.

mod answer;
mod attendance;
mod csv;
mod cursor;
mod error;
mod format;
mod names;
mod presence;
mod registrations;
mod room;
mod rows;
mod usage;

pub use error::QueryError;

use self::{
    answer::{Answer, answers},
    format::Format,
    presence::SessionsPage,
    room::{CountChanges, RoomPage},
};
use crate::{
    domain::{App, Month, MonthError, ProviderName, RoomId, UnixMillis, UserId},
    http::{Reply, Request},
    record::{self, Records},
    routes::{self, MatchedQuery},
};

answers! {
    presence::UserPresence,
    presence::UsersPresence,
    room::RoomPresence,
    attendance::Attendance,
    registrations::UserRegistration,
    registrations::Registrations,
    usage::Usage,
}

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The last time that a key can hold.
const LAST_TIME: UnixMillis = UnixMillis(9_999_999_999_999_998);

/// Answers queries from the records.
#[derive(Debug, Clone)]
pub struct Queries {
    /// What is known of all apps.
    pub records: Records,
}

/// Which part of a list is asked for: what is in a span of time, its ends included.
#[derive(Debug, Clone, Copy)]
struct Page<'a> {
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
    /// Where the page before this one ended.
    next: Option<&'a str>,
}

/// What is asked, in the words of the contract.
enum Query {
    User(UserId),
    Users,
    Room(RoomId),
    UserAttendance(UserId),
    RoomAttendance(RoomId),
    Registration(UserId),
    Registrations,
    Usage(Month),
}

impl Queries {
    /// Answers a query; every failure becomes an error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        let answer = self.try_answer(request).await;
        answer.unwrap_or_else(|error| {
            if let QueryError::Record(error) = &error {
                tracing::error!(%error, "a query could not be answered");
            }
            error.reply()
        })
    }

    async fn try_answer(&self, request: &Request) -> Result<Reply, QueryError> {
        let parameters = Parameters::read(&request.query);
        let (app, query) = route(request, &parameters)?;
        let record = self.records.of(&app, request.received_at);
        Ok(match query {
            Query::User(user) => {
                let page =
                    SessionsPage { limit: parameters.limit()?, next: parameters.get("next") };
                presence::user(record, &user, page).await?.reply()
            }
            Query::Users => {
                let users = presence::read_users(&request.body)?;
                presence::users(record, users).await?.reply()
            }
            Query::Room(room) => {
                let page = RoomPage {
                    limit: parameters.limit()?,
                    next: parameters.get("next"),
                    changes: parameters.changes()?,
                };
                room::room(record, &room, page).await?.reply()
            }
            Query::UserAttendance(user) => {
                let (page, format) = (parameters.page()?, Format::of(request, &parameters)?);
                format.reply(&attendance::user(record, &user, &page).await?)
            }
            Query::RoomAttendance(room) => {
                let (page, format) = (parameters.page()?, Format::of(request, &parameters)?);
                format.reply(&attendance::room(record, &room, &page).await?)
            }
            Query::Registration(user) => registrations::user(record, &user).await?.reply(),
            Query::Registrations => {
                let (page, format) = (parameters.page()?, Format::of(request, &parameters)?);
                format.reply(&registrations::list(record, &page).await?)
            }
            Query::Usage(month) => usage::month(record, month).await?.reply(),
        })
    }
}

fn route(request: &Request, parameters: &Parameters) -> Result<(App, Query), QueryError> {
    let matched = MatchedQuery::at(&request.method, &request.path).ok_or(QueryError::NoRoute)?;
    let user = || id("user", matched.id.or_else(|| parameters.get("user")));
    let room = || id("room", matched.id.or_else(|| parameters.get("room")));
    let provider = ProviderName::by_name(matched.provider);
    let query = match matched.query {
        routes::Query::User => Query::User(user()?),
        routes::Query::Users => Query::Users,
        routes::Query::Room => Query::Room(room()?),
        routes::Query::UserAttendance => Query::UserAttendance(user()?),
        routes::Query::RoomAttendance => Query::RoomAttendance(room()?),
        routes::Query::Registration => Query::Registration(user()?),
        routes::Query::Registrations => Query::Registrations,
        routes::Query::Usage if provider.is_some_and(record::counts_months) => {
            let month =
                parameters.get("month").map_or(Ok(Month::from(request.received_at)), str::parse);
            Query::Usage(month.map_err(|error: MonthError| {
                QueryError::BadParameter("month", error.to_string())
            })?)
        }
        routes::Query::Usage => return Err(QueryError::NoRoute),
    };
    let provider = provider.ok_or(QueryError::UnknownProvider)?;
    Ok((App { provider, id: id("app", Some(matched.app))? }, query))
}

fn id<I: std::str::FromStr<Err = crate::domain::IdError>>(
    name: &'static str,
    text: Option<&str>,
) -> Result<I, QueryError> {
    let text = text.ok_or_else(|| QueryError::BadParameter(name, "is missing".to_owned()))?;
    text.parse()
        .map_err(|error: crate::domain::IdError| QueryError::BadParameter(name, error.to_string()))
}

/// The query parameters, decoded. Of several with one name the first counts.
#[derive(Debug)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A time in Unix ms.
    fn time(&self, name: &'static str) -> Result<Option<UnixMillis>, QueryError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(time) if UnixMillis(time) <= LAST_TIME => Ok(Some(UnixMillis(time))),
            _ => Err(QueryError::BadParameter(name, "is not a time in Unix ms".to_owned())),
        }
    }

    fn page(&self) -> Result<Page<'_>, QueryError> {
        Ok(Page {
            from: self.time("from")?.unwrap_or(UnixMillis(0)),
            to: self.time("to")?.unwrap_or(LAST_TIME),
            limit: self.limit()?,
            next: self.get("next"),
        })
    }

    fn changes(&self) -> Result<CountChanges, QueryError> {
        match self.get("changes") {
            Some("true") => Ok(CountChanges::Yes),
            None | Some("false") => Ok(CountChanges::No),
            Some(_) => Err(QueryError::BadParameter("changes", "is not true or false".to_owned())),
        }
    }

    fn limit(&self) -> Result<usize, QueryError> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
            _ => Err(QueryError::BadParameter("limit", format!("is not 1 to {MAX_LIMIT}"))),
        }
    }
}

/// A cursor that somebody else made up. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub fn fuzz_cursors(data: &[u8]) {
    attendance::fuzz_cursors(data);
    presence::fuzz_cursor(data);
    room::fuzz_cursor(data);
    registrations::fuzz_cursor(data);
}
