//! The requests of a backend: `POST /reconcile/{provider}/{app}/...`.

use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Found, Passed, Profiles, Reconcile, ReconcileError, RoomPassed, Writing, registrations::Window,
};
use crate::{
    domain::{App, AppId, ProviderName, RoomId, UnixMillis, UserId},
    http::{ErrorCode, ParameterError, Parameters, Reply, Request, id_in_path},
    routes::{MatchedPath, Reconciled},
};

/// What a request asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    app: App,
    of: Of,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    App(Writing),
    Room(RoomId, Writing),
    User(UserId, Writing),
    Registrations(Window),
}

/// What a pass over a room or a user has found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Reconciled"))]
struct Checked {
    /// When the provider was asked.
    checked_at: UnixMillis,
    /// How the provider and the records differed.
    found: Found,
    /// How many observations were stored. 0 in a dry run.
    stored: u64,
    /// Whether so much would change that it is only remembered. The same answer half a minute later, or
    /// in a later pass, is stored, if no callback about the room came meanwhile.
    braked: bool,
    /// How many people still differ, whatever is stored. Callbacks of a clock that is ahead may be why.
    disagreements: u64,
    /// The profile of an OpenIM user, if it had changed or their registration was lost.
    profiles: Profiles,
}

/// What a pass over an app has found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReconciledApp"))]
struct CheckedApp {
    /// When the pass began.
    checked_at: UnixMillis,
    /// How many live rooms the provider was asked about.
    rooms: u64,
    /// How many people the provider was asked about by their devices.
    people: u64,
    /// How the provider and the records differed.
    found: Found,
    /// How many observations were stored. 0 in a dry run.
    stored: u64,
    /// Whether a part of it is only remembered.
    braked: bool,
    /// How many people still differ, whatever is stored.
    disagreements: u64,
    /// The profiles of OpenIM users that had changed.
    profiles: Profiles,
    /// About how many rooms, or parts of a list of people, the provider gave no answer that can be used.
    failed: u64,
    /// Whether everything was asked about. If not, the next request goes on.
    complete: bool,
}

/// A pass that is done later.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReconcileQueued"))]
struct Queued {
    /// Always true: the next pass over the app begins with this room.
    queued: bool,
}

/// Generates the schemas of the answers.
#[cfg(test)]
pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<Checked>();
    generator.subschema_for::<CheckedApp>();
    generator.subschema_for::<Queued>();
    generator.subschema_for::<super::registrations::Registrations>();
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error(
        "there is no such route; an id with a character outside [A-Za-z0-9._~-] is sent as a \
         parameter: POST /reconcile/{{provider}}/{{app}}/rooms?room=..."
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

impl From<ReconcileError> for Reply {
    fn from(error: ReconcileError) -> Self {
        let message = error.to_string();
        match error {
            ReconcileError::NothingToAsk | ReconcileError::RoomOfZim => {
                Self::error(StatusCode::NOT_FOUND, ErrorCode::NotFound, message)
            }
            ReconcileError::RoomTooLong => {
                Self::error(StatusCode::BAD_REQUEST, ErrorCode::BadParameter, message)
            }
            ReconcileError::NoCredentials => {
                Self::error(StatusCode::CONFLICT, ErrorCode::NoCredentials, message)
            }
            ReconcileError::Api(error) => Self::provider_error(error.code(), message),
            ReconcileError::Busy | ReconcileError::OutOfTime | ReconcileError::NotRead => {
                Self::error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            }
            ReconcileError::Store(_)
            | ReconcileError::Record(_)
            | ReconcileError::Progress(_)
            | ReconcileError::LeaseLost => {
                tracing::error!(%error, "a provider was asked in vain");
                let message = "the records cannot be read or written: ask again".to_owned();
                Self::error(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            }
        }
    }
}

impl From<RoomPassed> for Checked {
    fn from(passed: RoomPassed) -> Self {
        let RoomPassed { checked_at, found, stored, is_braked, disagreements, profiles, .. } =
            passed;
        Self { checked_at, found, stored, braked: is_braked, disagreements, profiles }
    }
}

impl From<Passed> for CheckedApp {
    fn from(passed: Passed) -> Self {
        Self {
            checked_at: passed.began_at,
            rooms: passed.rooms,
            people: passed.people,
            found: passed.found,
            stored: passed.stored,
            braked: passed.braked > 0,
            disagreements: passed.disagreements,
            profiles: passed.profiles,
            failed: passed.failed,
            complete: passed.is_complete,
        }
    }
}

impl Reconcile {
    /// Asks a provider what a request wants to know; every failure becomes an error body. `request_id`
    /// is of this request alone.
    pub async fn answer(&self, request: &Request, request_id: &str) -> Reply {
        let Question { app, of } = match read(request) {
            Ok(question) => question,
            Err(error) => return error.into(),
        };
        let now = request.received_at;
        let deadline = Instant::now() + self.request_limit;
        let reply = match of {
            Of::App(writing) => {
                let passed = self.pass_on_request(&app, writing, request_id, now, deadline).await;
                passed.map(|passed| Reply::json(StatusCode::OK, &CheckedApp::from(passed)))
            }
            Of::Room(room, writing) => {
                let passed = self.room_on_request(&app, &room, writing, request_id, now, deadline);
                passed.await.map(|passed| match passed {
                    Some(passed) => Reply::json(StatusCode::OK, &Checked::from(passed)),
                    None => Reply::json(StatusCode::ACCEPTED, &Queued { queued: true }),
                })
            }
            Of::User(user, writing) => {
                let passed = self.user_on_request(&app, &user, writing, now, deadline);
                passed.await.map(|passed| Reply::json(StatusCode::OK, &Checked::from(passed)))
            }
            Of::Registrations(window) => {
                let found = self.registrations(&app, &window, request_id, now, deadline).await;
                found.map(|found| Reply::json(StatusCode::OK, &found))
            }
        };
        reply.unwrap_or_else(Reply::from)
    }
}

/// Reads what a request asks about.
fn read(request: &Request) -> Result<Question, RequestError> {
    let path = MatchedPath::of_reconciled(&request.method, &request.path);
    let (of, path) = path.ok_or(RequestError::NoRoute)?;
    let provider = ProviderName::by_name(path.provider).ok_or(RequestError::UnknownProvider)?;
    let id: AppId = id_in_path("app", path.app)?;
    let parameters = Parameters::read(&request.query);
    let writing = match parameters.parsed::<bool>("dry_run")? {
        Some(true) => Writing::DryRun,
        Some(false) | None => Writing::Stored,
    };
    let of = match of {
        Reconciled::App => Of::App(writing),
        Reconciled::Room => Of::Room(parameters.id("room", path.id)?, writing),
        Reconciled::User => Of::User(parameters.id("user", path.id)?, writing),
        Reconciled::Registrations => {
            let millis = |name| Ok::<_, ParameterError>(parameters.parsed(name)?.map(UnixMillis));
            let (from, to) = (millis("from")?, millis("to")?);
            if from.zip(to).is_some_and(|(from, to)| from > to) {
                return Err(ParameterError::new("from", "is after `to`").into());
            }
            let page = parameters.parsed::<std::num::NonZeroU32>("next")?;
            Of::Registrations(Window { from, to, page, writing })
        }
    };
    Ok(Question { app: App { provider, id }, of })
}

/// What an arbitrary request asks about, or how it is refused. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(request: &Request) -> Result<App, Reply> {
    read(request).map(|question| question.app).map_err(Reply::from)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn question(path: &str, query: &str) -> Result<Of, String> {
        let request = Request {
            method: Method::POST,
            ..Request::get(path, query, UnixMillis(1_795_000_000_000))
        };
        read(&request).map(|question| question.of).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_names_a_room_a_user_an_app_or_registrations() {
        let lobby: RoomId = "lobby".parse().unwrap();
        let path = "/reconcile/zego/1/rooms";
        let room = |writing| Ok(Of::Room(lobby.clone(), writing));
        assert_eq!(question(&format!("{path}/lobby"), ""), room(Writing::Stored));
        assert_eq!(question(path, "room=lobby&dry_run=true"), room(Writing::DryRun));
        assert_eq!(question("/reconcile/zego/1", "dry_run=false"), Ok(Of::App(Writing::Stored)));
        let user = Of::User("ada".parse().unwrap(), Writing::Stored);
        assert_eq!(question("/reconcile/openim/main/users/ada", ""), Ok(user));
        let window = Window {
            from: Some(UnixMillis(1)),
            to: Some(UnixMillis(2)),
            page: "7".parse().ok(),
            writing: Writing::Stored,
        };
        let path = "/reconcile/openim/main/registrations";
        assert_eq!(question(path, "from=1&to=2&next=7"), Ok(Of::Registrations(window)));
    }

    #[test]
    fn what_is_wrong_with_a_request_is_named() {
        for (path, query, error) in [
            ("/reconcile/zego/1/rooms", "", "`room` is missing"),
            ("/reconcile/zego/1/rooms/lobby", "dry_run=yes", "`dry_run`"),
            ("/reconcile/openim/main/registrations", "from=2&to=1", "`from` is after `to`"),
            ("/reconcile/openim/main/registrations", "next=0", "`next`"),
            ("/reconcile/nobody/1", "", "no such provider"),
            ("/reconcile/zego/1/x", "", "no such route"),
        ] {
            let found = question(path, query).unwrap_err();
            assert!(found.contains(error), "{path}?{query}: {found}");
        }
    }
}
