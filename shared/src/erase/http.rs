//! The requests of a backend: `DELETE /users/{provider}/{app}/{user}`.

use http::StatusCode;
use serde::Serialize;

use super::Erase;
use crate::{
    domain::{App, AppId, ProviderName, UnixMillis, UserId},
    http::{ErrorCode, ParameterError, Parameters, Reply, Request, id_in_path},
    routes::MatchedPath,
    store::{PassEnd, Person},
};

/// What a request has erased.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ErasedUser"))]
struct Erased<'a> {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: &'a AppId,
    /// Who was erased.
    user: &'a UserId,
    /// What began by then is erased. Later than the request if a provider's clock is ahead.
    at: UnixMillis,
    /// How many items this request has deleted, or of which it has removed the older part.
    erased: u64,
    /// Whether the first pass is over. If not, the time was over: send the request again.
    complete: bool,
}

/// Generates the schema of the answer.
#[cfg(test)]
pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<Erased<'_>>();
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
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

impl From<RequestError> for Reply {
    fn from(error: RequestError) -> Self {
        let (status, code) = match error {
            RequestError::NoRoute | RequestError::UnknownProvider => {
                (StatusCode::NOT_FOUND, ErrorCode::NotFound)
            }
            RequestError::Parameter(_) => (StatusCode::BAD_REQUEST, ErrorCode::BadParameter),
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
                &Erased {
                    provider: person.app.provider,
                    app: &person.app.id,
                    user: &person.user,
                    at: passed.at,
                    erased: passed.items,
                    complete: passed.end == PassEnd::Complete,
                },
            ),
            Err(error) => {
                tracing::error!(%error, "a person could not be erased");
                let message = "the person could not be erased completely: ask again";
                Reply::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorCode::Unavailable,
                    message.to_owned(),
                )
            }
        }
    }
}

/// Reads whom to erase.
fn read(request: &Request) -> Result<Person, RequestError> {
    let path = MatchedPath::of_erased(&request.method, &request.path);
    let path = path.ok_or(RequestError::NoRoute)?;
    let provider = ProviderName::by_name(path.provider).ok_or(RequestError::UnknownProvider)?;
    let id = id_in_path("app", path.app)?;
    let user = Parameters::read(&request.query).id("user", path.id)?;
    Ok(Person { app: App { provider, id }, user })
}

/// Whom an arbitrary request erases, or how it is refused. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(request: &Request) -> Result<Person, Reply> {
    read(request).map_err(Reply::from)
}
