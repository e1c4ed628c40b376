//! The answers to a backend's questions: who is online, who is in this room.
//!
//! Only one function and one route table: [`Queries::answer`] takes any path below `/presence`.

mod cursor;
mod error;
mod presence;

use bytes::Bytes;
use http::{Method, StatusCode};

pub use error::QueryError;

use crate::{
    callback::Reply,
    domain::{App, RoomId, UnixMillis, UserId},
    providers,
    store::Store,
};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// A question.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded as a whole, as an API Gateway HTTP API hands it over. An id with
    /// a `/` in it cannot travel in it, but can as a query parameter.
    pub path: String,
    /// The query string as it was sent.
    pub query: String,
    /// The body.
    pub body: Bytes,
    /// When it arrived, by our clock.
    pub received_at: UnixMillis,
}

/// Answers questions from the store.
#[derive(Debug, Clone)]
pub struct Queries {
    /// Where the records are.
    pub store: Store,
}

/// What is asked, in the words of the contract.
enum Question {
    User(UserId),
    Users,
    Room(RoomId),
}

impl Queries {
    /// Answers a question; every failure becomes an error body.
    pub async fn answer(&self, request: &QueryRequest) -> Reply {
        let answer = self.try_answer(request).await;
        answer.unwrap_or_else(|error| {
            if let QueryError::Store(error) = &error {
                tracing::error!(%error, "a query could not be answered");
            }
            error.reply()
        })
    }

    async fn try_answer(&self, request: &QueryRequest) -> Result<Reply, QueryError> {
        let parameters = Parameters::read(&request.query);
        let (app, question) = route(request, &parameters)?;
        let now = request.received_at;
        Ok(match question {
            Question::User(user) => {
                Reply::json(StatusCode::OK, &presence::user(&self.store, &app, &user, now).await?)
            }
            Question::Users => {
                let users = presence::read_users(&request.body)?;
                Reply::json(StatusCode::OK, &presence::users(&self.store, &app, users, now).await?)
            }
            Question::Room(room) => {
                let (limit, next) = (parameters.limit()?, parameters.get("next"));
                let answer = presence::room(&self.store, &app, &room, limit, next, now).await?;
                Reply::json(StatusCode::OK, &answer)
            }
        })
    }
}

fn route(request: &QueryRequest, parameters: &Parameters) -> Result<(App, Question), QueryError> {
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let ["presence", provider, app, question @ ..] = segments.as_slice() else {
        return Err(QueryError::NoRoute);
    };
    let provider = providers::by_name(provider).ok_or(QueryError::UnknownProvider)?;
    let app = App { provider, id: id("app", Some(app))? };
    let question = match (request.method.as_str(), question) {
        ("GET", ["users", user]) => Question::User(id("user", Some(user))?),
        ("GET", ["users"]) => Question::User(id("user", parameters.get("user"))?),
        ("POST", ["users"]) => Question::Users,
        ("GET", ["rooms", room]) => Question::Room(id("room", Some(room))?),
        ("GET", ["rooms"]) => Question::Room(id("room", parameters.get("room"))?),
        _ => return Err(QueryError::NoRoute),
    };
    Ok((app, question))
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
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn limit(&self) -> Result<usize, QueryError> {
        let Some(text) = self.get("limit") else { return Ok(DEFAULT_LIMIT) };
        match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
            _ => Err(QueryError::BadParameter("limit", format!("is not 1 to {MAX_LIMIT}"))),
        }
    }
}
