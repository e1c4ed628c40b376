//! The answers to a backend's queries: who is online, who is in this room, who is registered.
//!
//! [`Queries::answer`] takes every query of the table in `routes`.

mod answer;
mod attendance;
mod csv;
mod cursor;
mod data;
mod error;
mod explain;
mod format;
mod limits;
mod names;
mod presence;
mod reasons;
mod registrations;
mod reports;
mod room;
mod rooms;
mod rows;
mod stats;
mod usage;

use tokio::time::timeout;

pub use error::QueryError;
pub use limits::QueryLimits;

use self::{
    answer::{Answer, answers},
    data::ListPage,
    explain::MarksPage,
    format::Format,
    presence::SessionsPage,
    registrations::ListExtra,
    room::{CountChanges, CountPeople, RoomPage},
};
use crate::{
    config::Events,
    domain::{App, Month, ProviderName, RoomId, UnixMillis, UserId},
    http::{Parameters, Reply, Request, id_in_path},
    record::{self, RecordError, Records},
    routes::{self, MatchedQuery},
};

answers! {
    presence::UserPresence,
    presence::UsersPresence,
    room::RoomPresence,
    rooms::LiveRooms,
    stats::Stats,
    attendance::Attendance,
    registrations::UserRegistration,
    registrations::Registrations,
    usage::Usage,
    data::PersonData,
    data::Erasures,
    reports::RoomReport,
    reports::UserReport,
    reports::Together,
    explain::Explanation,
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
    /// How much one query may take.
    pub limits: QueryLimits,
    /// Whether live rooms are listed.
    pub events: Events,
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
    LiveRooms,
    Stats,
    UserAttendance(UserId),
    RoomAttendance(RoomId),
    UserReport(UserId),
    RoomReport(RoomId),
    Together(RoomId),
    Registration(UserId),
    Registrations,
    Usage(Month),
    Explain(UserId, Option<RoomId>),
    Data(UserId),
    Erasures,
}

impl Queries {
    /// Answers a query; every failure becomes an error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        let answer = self.try_answer(request).await;
        answer.unwrap_or_else(|error| {
            match &error {
                QueryError::Record(error) => {
                    tracing::error!(%error, "a query could not be answered");
                }
                QueryError::TooLarge(_) | QueryError::TakesTooLong(_) => {
                    tracing::warn!(%error, "a query asks for too much");
                }
                _ => {}
            }
            error.reply()
        })
    }

    async fn try_answer(&self, request: &Request) -> Result<Reply, QueryError> {
        let parameters = Parameters::read(&request.query);
        let (app, query) = route(request, &parameters)?;
        if !matches!(query, Query::Room(_)) {
            return self.of_record(request, &parameters, &app, query).await;
        }
        let reads_all =
            parameters.people()? == CountPeople::All || parameters.changes()? == CountChanges::Yes;
        let answer = self.of_record(request, &parameters, &app, query);
        timeout(self.limits.time, answer).await.unwrap_or_else(|_| {
            Err(if reads_all {
                QueryError::TakesTooLong(self.limits.time)
            } else {
                RecordError::out_of_time().into()
            })
        })
    }

    async fn of_record(
        &self,
        request: &Request,
        parameters: &Parameters,
        app: &App,
        query: Query,
    ) -> Result<Reply, QueryError> {
        let (records, now) = (&self.records, request.received_at);
        let (view, rows) = match &query {
            Query::Room(room) if parameters.get("next")?.is_none() => {
                let (view, rows) = records.at_room(app, room, parameters.limit()?, now).await?;
                (view, Some(rows))
            }
            _ => (records.at(app, now).await?, None),
        };
        let record = view.record();
        Ok(match query {
            Query::User(user) => {
                let page =
                    SessionsPage { limit: parameters.limit()?, next: parameters.get("next")? };
                presence::user(record, &user, page).await?.reply()
            }
            Query::Users => {
                let users = presence::read_users(&request.body)?;
                presence::users(record, users).await?.reply()
            }
            Query::Room(room) => {
                let page = RoomPage {
                    limit: parameters.limit()?,
                    next: parameters.get("next")?,
                    changes: parameters.changes()?,
                    people: parameters.people()?,
                };
                room::room(record, &room, rows, page).await?.reply()
            }
            Query::LiveRooms | Query::Stats if self.events == Events::Off => {
                return Err(QueryError::EventsOff);
            }
            Query::LiveRooms => {
                let format = Format::of(request, parameters)?;
                format.reply(&rooms::live(record, parameters).await?)
            }
            Query::Stats => {
                let (page, format) = (parameters.page()?, Format::of(request, parameters)?);
                format.reply(&stats::samples(record, &page).await?)
            }
            Query::UserAttendance(user) => {
                let (page, format) = (parameters.page()?, Format::of(request, parameters)?);
                format.reply(&attendance::user(record, &user, &page).await?)
            }
            Query::RoomAttendance(room) => {
                let (page, format) = (parameters.page()?, Format::of(request, parameters)?);
                format.reply(&attendance::room(record, &room, &page).await?)
            }
            Query::Explain(user, room) => {
                let (limit, next) = (parameters.limit()?, parameters.get("next")?);
                let page = MarksPage { room: room.as_ref(), limit, next };
                explain::user(record, &user, page).await?.reply()
            }
            Query::UserReport(user) => {
                let format = Format::of(request, parameters)?;
                format.reply(&reports::user(record, &user, parameters, self.limits).await?)
            }
            Query::RoomReport(room) => {
                let format = Format::of(request, parameters)?;
                format.reply(&reports::room(record, &room, parameters, self.limits).await?)
            }
            Query::Together(room) => {
                reports::together(record, &room, parameters, self.limits).await?.reply()
            }
            Query::Registration(user) => registrations::user(record, &user).await?.reply(),
            Query::Data(user) => data::user(record, &user, parameters.list_page()?).await?.reply(),
            Query::Erasures => data::erasures(record, parameters.list_page()?).await?.reply(),
            Query::Registrations => {
                let (page, format) = (parameters.page()?, Format::of(request, parameters)?);
                format.reply(&registrations::list(record, &page, parameters.extra()?).await?)
            }
            Query::Usage(month) => usage::month(record, month).await?.reply(),
        })
    }
}

fn route(request: &Request, parameters: &Parameters) -> Result<(App, Query), QueryError> {
    let matched = MatchedQuery::at(&request.method, &request.path).ok_or(QueryError::NoRoute)?;
    let user = || parameters.id("user", matched.id);
    let room = || parameters.id("room", matched.id);
    let provider = ProviderName::by_name(matched.provider);
    let query = match matched.query {
        routes::Query::User => Query::User(user()?),
        routes::Query::Users => Query::Users,
        routes::Query::Room => Query::Room(room()?),
        routes::Query::LiveRooms => Query::LiveRooms,
        routes::Query::Stats => Query::Stats,
        routes::Query::UserAttendance => Query::UserAttendance(user()?),
        routes::Query::RoomAttendance => Query::RoomAttendance(room()?),
        routes::Query::UserReport => Query::UserReport(user()?),
        routes::Query::RoomReport => Query::RoomReport(room()?),
        routes::Query::Together => Query::Together(room()?),
        routes::Query::Registration => Query::Registration(user()?),
        routes::Query::Registrations => Query::Registrations,
        routes::Query::Explain => {
            let room = parameters.parsed("room")?;
            Query::Explain(user()?, room)
        }
        routes::Query::Data => Query::Data(user()?),
        routes::Query::Erasures => Query::Erasures,
        routes::Query::Usage if provider.is_some_and(record::counts_months) => {
            let month = parameters.parsed("month")?;
            Query::Usage(month.unwrap_or_else(|| Month::from(request.received_at)))
        }
        routes::Query::Usage => return Err(QueryError::NoRoute),
    };
    let provider = provider.ok_or(QueryError::UnknownProvider)?;
    Ok((App { provider, id: id_in_path("app", matched.app)? }, query))
}

impl Parameters {
    /// A time in Unix ms.
    fn time(&self, name: &'static str) -> Result<Option<UnixMillis>, QueryError> {
        let Some(text) = self.get(name)? else { return Ok(None) };
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
            next: self.get("next")?,
        })
    }

    fn list_page(&self) -> Result<ListPage<'_>, QueryError> {
        Ok(ListPage { limit: self.limit()?, next: self.get("next")? })
    }

    fn changes(&self) -> Result<CountChanges, QueryError> {
        self.either("changes", CountChanges::Yes, CountChanges::No)
    }

    fn extra(&self) -> Result<ListExtra, QueryError> {
        self.either("extra", ListExtra::Yes, ListExtra::No)
    }

    /// What a parameter chooses that is true or false, which is the default.
    fn either<T>(&self, name: &'static str, yes: T, no: T) -> Result<T, QueryError> {
        match self.get(name)? {
            Some("true") => Ok(yes),
            None | Some("false") => Ok(no),
            Some(_) => Err(QueryError::BadParameter(name, "is not true or false".to_owned())),
        }
    }

    fn people(&self) -> Result<CountPeople, QueryError> {
        match self.get("count")? {
            None => Ok(CountPeople::Some),
            Some("exact") => Ok(CountPeople::All),
            Some("false") => Ok(CountPeople::No),
            Some(_) => Err(QueryError::BadParameter("count", "is not exact or false".to_owned())),
        }
    }

    fn limit(&self) -> Result<usize, QueryError> {
        Ok(self.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT)?)
    }
}

/// A cursor that somebody else made up. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub fn fuzz_cursors(data: &[u8]) {
    attendance::fuzz_cursors(data);
    explain::fuzz_cursor(data);
    data::fuzz_cursor(data);
    presence::fuzz_cursor(data);
    room::fuzz_cursor(data);
    rooms::fuzz_cursor(data);
    stats::fuzz_cursor(data);
    registrations::fuzz_cursor(data);
    reports::fuzz_cursors(data);
}

/// Whose data an arbitrary request asks for, if it asks for that, or how it is refused. Reads all
/// other parameters, too. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_parameters(request: &Request) -> Result<Option<(App, UserId)>, Reply> {
    let parameters = Parameters::read(&request.query);
    let pages = parameters.page().and(parameters.list_page()).map(drop);
    let others = parameters.changes().map(drop).and(Format::of(request, &parameters).map(drop));
    for refused in [pages, others].into_iter().filter_map(Result::err) {
        assert_eq!(refused.reply().status, http::StatusCode::BAD_REQUEST, "{refused}");
    }
    match route(request, &parameters).map_err(|error| error.reply())? {
        (app, Query::Data(user)) => Ok(Some((app, user))),
        _ => Ok(None),
    }
}
