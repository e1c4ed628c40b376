//! The requests of a backend: `DELETE /users/{provider}/{app}/{user}`.

use http::StatusCode;
use serde::Serialize;

use super::Erase;
use crate::{
    domain::{App, IdError, ProviderName},
    http::{Reply, Request},
    routes::MatchedPath,
    store::{PassEnd, Person},
};

#[derive(Debug, Serialize)]
struct Answer<'a> {
    provider: &'static str,
    app: &'a str,
    user: &'a str,
    /// What is not newer than this was erased.
    at: u64,
    erased: u64,
    complete: bool,
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(
        "there is no such route; an id with a character outside [A-Za-z0-9._~-] is erased as a \
         parameter: DELETE /users/{{provider}}/{{app}}?user=..."
    )]
    NoRoute,
    #[error("there is no such provider")]
    UnknownProvider,
    #[error("`user` is missing")]
    NoUser,
    #[error("`{0}` {1}")]
    BadId(&'static str, IdError),
}

impl From<RequestError> for Reply {
    fn from(error: RequestError) -> Self {
        let (status, code) = match error {
            RequestError::NoRoute | RequestError::UnknownProvider => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            RequestError::NoUser | RequestError::BadId(..) => {
                (StatusCode::BAD_REQUEST, "bad_parameter")
            }
        };
        Self::error(status, code, error.to_string())
    }
}

impl Erase {
    /// Erases the person whom a request names; every failure becomes an error body.
    pub async fn answer(&self, request: &Request) -> Reply {
        let person = match read(request) {
            Ok(person) => person,
            Err(error) => return error.into(),
        };
        match self.first_pass(&person, request.received_at).await {
            Ok(passed) => Reply::json(
                StatusCode::OK,
                &Answer {
                    provider: person.app.provider.as_str(),
                    app: person.app.id.as_str(),
                    user: person.user.as_str(),
                    at: passed.at.0,
                    erased: passed.items,
                    complete: passed.end == PassEnd::Complete,
                },
            ),
            Err(error) => {
                tracing::error!(%error, "a person could not be erased");
                let message = "the person could not be erased completely: ask again";
                Reply::error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.to_owned())
            }
        }
    }
}

/// Reads whom to erase.
fn read(request: &Request) -> Result<Person, RequestError> {
    let path = MatchedPath::of_erased(&request.method, &request.path);
    let path = path.ok_or(RequestError::NoRoute)?;
    let provider = ProviderName::by_name(path.provider).ok_or(RequestError::UnknownProvider)?;
    let app = path.app.parse().map_err(|error| RequestError::BadId("app", error))?;
    let user = if let Some(user) = path.id {
        user.to_owned()
    } else {
        let mut parameters = form_urlencoded::parse(request.query.as_bytes());
        let user = parameters.find(|(name, _)| name == "user");
        user.ok_or(RequestError::NoUser)?.1.into_owned()
    };
    let user = user.parse().map_err(|error| RequestError::BadId("user", error))?;
    Ok(Person { app: App { provider, id: app }, user })
}
