//! Every route once: its method, its path, the function that answers it, and who calls it.
//!
//! Everything that lists routes is made from these tables, or a test compares it with them: the
//! types' own names, [`Endpoint::ALL`](crate::endpoint::Endpoint::ALL), the answers to queries, the
//! local gateway, the fuzz targets, `template.yaml`, `openapi.yaml`, `CargoLambda.toml`
//! and the folders in `functions/`.
//!
//! A function's binary must contain its own callback type only. So the table of callbacks is a
//! macro that others expand: here into names, which are all that a function links, and in
//! [`endpoint`](crate::endpoint) into the types.

use http::Method;

use crate::domain::ProviderName;

/// Hands every callback type to the macro `$expand`: `Provider = module in providers { type, the
/// provider's name of the event, its Lambda function, the paths that it is posted to }`.
///
/// A path that ends in `{proxy+}` matches any continuation, and one that ends in `{key}` any single
/// part, but neither matches the path without one, as in an API Gateway.
macro_rules! callbacks {
    ($expand:ident) => {
        $expand! {
            Zego = zego {
                RoomLogin, "room_login", "zego-room-login", ["/zego/room-login"];
                RoomLogout, "room_logout", "zego-room-logout", ["/zego/room-logout"];
                RoomCreate, "room_create", "zego-room-create", ["/zego/room-create"];
                RoomClose, "room_close", "zego-room-close", ["/zego/room-close"];
            }
            OpenIm = openim {
                UserRegister, "user_register", "openim-user-register", [
                    "/openim/callbackAfterUserRegisterCommand"
                ];
                // From 3.7, before.
                UserOnline, "user_online", "openim-user-online", [
                    "/openim/callbackAfterUserOnlineCommand", "/openim/callbackUserOnlineCommand"
                ];
                UserOffline, "user_offline", "openim-user-offline", [
                    "/openim/callbackAfterUserOfflineCommand", "/openim/callbackUserOfflineCommand"
                ];
                Any, "any", "openim-any", ["/openim", "/openim/{proxy+}"];
            }
            Tencent = tencent {
                ChatState, "State.StateChange", "tencent-chat-state", ["/tencent/chat"];
                TrtcEvent, "trtc_event", "tencent-trtc-event", ["/tencent/trtc"];
                // The key is a secret: no log has this path.
                RoomEvent, "room_event", "tencent-room-event", [
                    "/tencent/room", "/tencent/room/{key}"
                ];
            }
        }
    };
}
pub(crate) use callbacks;

/// The function that answers queries.
pub const QUERY: &str = "query";

/// The function that mints and verifies Tencent's UserSigs.
pub const USER_SIG: &str = "tencent-user-sig";

/// The function that stores what was spilled. It has no route.
pub const SPILL_REPLAY: &str = "spill-replay";

/// The function that sends the table's changes as events. It has no route.
pub const RELAY: &str = "relay";

/// The function that checks rooms in which nothing has changed for a while. It has no route.
pub const SETTLE: &str = "settle";

/// The function that sweeps the lists of live rooms. It has no route.
pub const SWEEP: &str = "sweep";

/// Where a UserSig is minted.
pub const MINT: &str = "/tencent/user-sig";

/// Where a UserSig is verified.
pub const VERIFY: &str = "/tencent/user-sig/verify";

/// The function that erases people.
pub const ERASE: &str = "erase";

/// The function that asks the providers who is really there.
pub const RECONCILE: &str = "reconcile";

/// The routes of [`RECONCILE`]. All are posted to.
static RECONCILED: [(&str, Reconciled); 6] = [
    ("/reconcile/{provider}/{app}", Reconciled::App),
    ("/reconcile/{provider}/{app}/rooms/{room}", Reconciled::Room),
    ("/reconcile/{provider}/{app}/rooms", Reconciled::Room),
    ("/reconcile/{provider}/{app}/users/{user}", Reconciled::User),
    ("/reconcile/{provider}/{app}/users", Reconciled::User),
    ("/reconcile/{provider}/{app}/registrations", Reconciled::Registrations),
];

/// What a provider is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconciled {
    /// All live rooms and all people of an app, one after another.
    App,
    /// Who is in a room.
    Room,
    /// On which devices a user is online.
    User,
    /// Which users are registered.
    Registrations,
}

/// What is stored about a user, and where they are erased.
const DATA: &str = "/users/{provider}/{app}/{user}";

/// The same, with any id as a parameter.
const DATA_OF_ANY: &str = "/users/{provider}/{app}";

/// The paths at which [`ERASE`] deletes.
const ERASED: [&str; 2] = [DATA, DATA_OF_ANY];

/// The paths that are posted to [`USER_SIG`].
const USER_SIGS: [&str; 2] = [MINT, VERIFY];

/// The routes of [`QUERY`]. The names in braces are those of [`MatchedQuery`].
static QUERIES: [(Method, &str, Query); 26] = [
    (Method::GET, "/presence/{provider}/{app}/users/{user}", Query::User),
    (Method::GET, "/presence/{provider}/{app}/users", Query::User),
    (Method::POST, "/presence/{provider}/{app}/users", Query::Users),
    (Method::GET, "/presence/{provider}/{app}/rooms/{room}", Query::Room),
    (Method::GET, "/presence/{provider}/{app}/rooms", Query::Room),
    (Method::GET, "/rooms/{provider}/{app}", Query::LiveRooms),
    (Method::GET, "/stats/{provider}/{app}", Query::Stats),
    (Method::GET, "/attendance/{provider}/{app}/users/{user}", Query::UserAttendance),
    (Method::GET, "/attendance/{provider}/{app}/users", Query::UserAttendance),
    (Method::GET, "/attendance/{provider}/{app}/rooms/{room}", Query::RoomAttendance),
    (Method::GET, "/attendance/{provider}/{app}/rooms", Query::RoomAttendance),
    (Method::GET, "/reports/{provider}/{app}/users/{user}", Query::UserReport),
    (Method::GET, "/reports/{provider}/{app}/users", Query::UserReport),
    (Method::GET, "/reports/{provider}/{app}/rooms/{room}", Query::RoomReport),
    (Method::GET, "/reports/{provider}/{app}/rooms", Query::RoomReport),
    (Method::GET, "/reports/{provider}/{app}/rooms/{room}/together", Query::Together),
    (Method::GET, "/reports/{provider}/{app}/together", Query::Together),
    (Method::GET, "/registrations/{provider}/{app}/users/{user}", Query::Registration),
    (Method::GET, "/registrations/{provider}/{app}/users", Query::Registration),
    (Method::GET, "/registrations/{provider}/{app}", Query::Registrations),
    (Method::GET, "/usage/{provider}/{app}", Query::Usage),
    (Method::GET, "/explain/{provider}/{app}/users/{user}", Query::Explain),
    (Method::GET, "/explain/{provider}/{app}/users", Query::Explain),
    (Method::GET, DATA, Query::Data),
    (Method::GET, DATA_OF_ANY, Query::Data),
    (Method::GET, "/erasures/{provider}/{app}", Query::Erasures),
];

/// Who calls a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A provider. Its own signature is verified, because it cannot sign for IAM.
    Provider(ProviderName),
    /// The customer's own backend, which signs for IAM in the cloud.
    Backend,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as an API Gateway writes it.
    pub path: &'static str,
    /// The name of its Lambda function, and of the folder in `functions/`.
    pub function: &'static str,
    /// Who calls it.
    pub caller: Caller,
}

/// The names of a callback type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackNames {
    /// The provider that sends it.
    pub provider: ProviderName,
    /// Its type in `providers`, such as `zego::RoomLogin`.
    pub path_of_type: &'static str,
    /// The provider's name of the event.
    pub event: &'static str,
    /// The name of its Lambda function, and of the folder in `functions/`.
    pub function: &'static str,
    /// The paths that it is posted to.
    pub paths: &'static [&'static str],
}

impl CallbackNames {
    /// The callback type that is posted to `path`. An exact route has priority over one with a
    /// parameter.
    #[must_use]
    pub fn at(path: &str) -> Option<&'static Self> {
        let all =
            || CALLBACKS.iter().flat_map(|names| names.paths.iter().map(move |of| (names, *of)));
        let own = all().find(|(_, of)| *of == path);
        own.or_else(|| all().find(|(_, of)| takes(of, path))).map(|(names, _)| names)
    }
}

/// The parameter that is the last part of a route.
pub const PATH_KEY: &str = "{key}";

/// Whether a route of a callback takes a path by its parameter.
fn takes(route: &str, path: &str) -> bool {
    if let Some(before) = route.strip_suffix("{proxy+}") {
        return path.starts_with(before);
    }
    let key = route.strip_suffix(PATH_KEY).and_then(|before| path.strip_prefix(before));
    key.is_some_and(|key| !key.is_empty() && !key.contains('/'))
}

macro_rules! names {
    ($($provider:ident = $module:ident {
        $($name:ident, $event:literal, $function:literal, [$($path:literal),+];)+
    })+) => {
        /// All callback types.
        pub static CALLBACKS: &[CallbackNames] = &[$($(CallbackNames {
            provider: ProviderName::$provider,
            path_of_type: concat!(stringify!($module), "::", stringify!($name)),
            event: $event,
            function: $function,
            paths: &[$($path),+],
        }),+),+];
    };
}
callbacks!(names);

/// What a backend queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Whether a user is online.
    User,
    /// Which of several users are online.
    Users,
    /// Who is in a room.
    Room,
    /// Which rooms are live.
    LiveRooms,
    /// How many rooms and people an app had over time.
    Stats,
    /// In which rooms a user was.
    UserAttendance,
    /// Who was in a room.
    RoomAttendance,
    /// For how long a user was in rooms, by day.
    UserReport,
    /// For how long everyone was in a room.
    RoomReport,
    /// For how long two people were in a room at the same time.
    Together,
    /// When a user was registered.
    Registration,
    /// Who was registered.
    Registrations,
    /// How many users were active in a month.
    Usage,
    /// Why the answers about a user are as they are.
    Explain,
    /// What is stored about a user.
    Data,
    /// Who was erased.
    Erasures,
}

/// A query, and the parts of its path. These are not validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedQuery<'a> {
    /// What is queried.
    pub query: Query,
    /// The part of the path for `{provider}`.
    pub provider: &'a str,
    /// The part of the path for `{app}`.
    pub app: &'a str,
    /// The part of the path for `{user}` or `{room}`, if the route has one.
    pub id: Option<&'a str>,
}

impl<'a> MatchedQuery<'a> {
    /// The query with this method and this path.
    #[must_use]
    pub fn at(method: &Method, path: &'a str) -> Option<Self> {
        let of_method = QUERIES.iter().filter(|(of, ..)| of == method);
        of_method.into_iter().find_map(|(_, route, query)| Self::matching(route, *query, path))
    }

    fn matching(route: &str, query: Query, path: &'a str) -> Option<Self> {
        let MatchedPath { provider, app, id } = MatchedPath::matching(route, path)?;
        Some(Self { query, provider, app, id })
    }
}

/// The parts of the path of a route of [`QUERY`], [`ERASE`] or [`RECONCILE`]. These are not validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchedPath<'a> {
    /// The part of the path for `{provider}`.
    pub provider: &'a str,
    /// The part of the path for `{app}`.
    pub app: &'a str,
    /// The part of the path for `{user}` or `{room}`, if the route has one.
    pub id: Option<&'a str>,
}

impl<'a> MatchedPath<'a> {
    /// The user to erase with this method at this path.
    #[must_use]
    pub fn of_erased(method: &Method, path: &'a str) -> Option<Self> {
        let mut routes = ERASED.iter().filter(|_| *method == Method::DELETE);
        routes.find_map(|route| Self::matching(route, path))
    }

    /// What to ask a provider about with this method at this path.
    #[must_use]
    pub fn of_reconciled(method: &Method, path: &'a str) -> Option<(Reconciled, Self)> {
        let mut routes = RECONCILED.iter().filter(|_| *method == Method::POST);
        routes.find_map(|(route, of)| Some((*of, Self::matching(route, path)?)))
    }

    fn matching(route: &str, path: &'a str) -> Option<Self> {
        let mut matched = Self { provider: "", app: "", id: None };
        let mut segments = path.trim_start_matches('/').split('/');
        for name in route.trim_start_matches('/').split('/') {
            let segment = segments.next()?;
            match name {
                "{provider}" => matched.provider = segment,
                "{app}" => matched.app = segment,
                "{user}" | "{room}" => matched.id = Some(segment),
                literal if literal == segment => {}
                _ => return None,
            }
        }
        segments.next().is_none().then_some(matched)
    }
}

/// A managed policy of the template, for those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Everything that a backend or a support engineer asks, except all that is stored about a
    /// person.
    Ask,
    /// What is stored about a person: reads it, erases it, and lists erasures.
    Erase,
    /// Asks the providers who is really there.
    Reconcile,
}

impl Policy {
    /// The policy that allows a route or a path, if one does: minting UserSigs is in none.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        match path.trim_start_matches('/').split('/').next()? {
            "presence" | "attendance" | "registrations" | "usage" | "reports" | "explain"
            | "rooms" | "stats" => Some(Self::Ask),
            "users" | "erasures" => Some(Self::Erase),
            "reconcile" => Some(Self::Reconcile),
            _ => None,
        }
    }

    /// The stack's output with its ARN.
    #[must_use]
    pub fn output(self) -> &'static str {
        match self {
            Self::Ask => "AskPolicyArn",
            Self::Erase => "ErasePolicyArn",
            Self::Reconcile => "ReconcilePolicyArn",
        }
    }
}

/// All routes.
pub fn all() -> impl Iterator<Item = Route> {
    let callbacks = CALLBACKS.iter().flat_map(|names| {
        names.paths.iter().map(|path| Route {
            method: Method::POST,
            path,
            function: names.function,
            caller: Caller::Provider(names.provider),
        })
    });
    let of_backend = |method: &Method, path, function| Route {
        method: method.clone(),
        path,
        function,
        caller: Caller::Backend,
    };
    let queries = QUERIES.iter().map(move |(method, path, _)| of_backend(method, path, QUERY));
    let user_sigs = USER_SIGS.iter().map(move |path| of_backend(&Method::POST, path, USER_SIG));
    let erased = ERASED.iter().map(move |path| of_backend(&Method::DELETE, path, ERASE));
    let reconciled =
        RECONCILED.iter().map(move |(path, _)| of_backend(&Method::POST, path, RECONCILE));
    callbacks.chain(queries).chain(user_sigs).chain(erased).chain(reconciled)
}

/// The functions of all routes, and those that have no route, each once.
pub fn functions() -> impl Iterator<Item = &'static str> {
    let callbacks = CALLBACKS.iter().map(|names| names.function);
    callbacks.chain([QUERY, USER_SIG, ERASE, RECONCILE, SPILL_REPLAY, RELAY, SETTLE, SWEEP])
}

/// A function that a backend calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendFunction {
    /// [`QUERY`].
    Query,
    /// [`USER_SIG`].
    UserSig,
    /// [`ERASE`].
    Erase,
    /// [`RECONCILE`].
    Reconcile,
}

impl BackendFunction {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => QUERY,
            Self::UserSig => USER_SIG,
            Self::Erase => ERASE,
            Self::Reconcile => RECONCILE,
        }
    }
}

/// The function that answers a backend with this method at this path. A path that only begins like a query also
/// belongs to the query function, which then answers that there is no such route.
#[must_use]
pub fn backend_function(method: &Method, path: &str) -> Option<BackendFunction> {
    let root = |of: &str| of.find("{provider}").is_some_and(|end| path.starts_with(&of[..end]));
    if USER_SIGS.contains(&path) {
        Some(BackendFunction::UserSig)
    } else if *method == Method::DELETE && root(DATA) {
        Some(BackendFunction::Erase)
    } else if RECONCILED.iter().any(|(of, _)| root(of)) {
        Some(BackendFunction::Reconcile)
    } else {
        QUERIES.iter().any(|(_, of, _)| root(of)).then_some(BackendFunction::Query)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_routes_have_one_path_and_no_two_callback_types_one_function() {
        let all: Vec<_> = all().map(|route| (route.method.to_string(), route.path)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let functions: Vec<_> = functions().collect();
        assert_eq!(functions.iter().collect::<BTreeSet<_>>().len(), functions.len());
    }

    #[test]
    fn every_query_is_found_at_its_own_route() {
        for (method, route, query) in &QUERIES {
            let matched = MatchedQuery::at(method, route).unwrap();
            assert_eq!(
                (matched.query, matched.provider, matched.app),
                (*query, "{provider}", "{app}")
            );
            assert_eq!(matched.id.is_some(), route.contains("{user}") || route.contains("{room}"));
        }
    }

    #[test]
    fn a_path_that_is_not_a_route_is_no_query() {
        for path in ["", "/", "/presence/zego/1", "/presence/zego/1/users/a/b", "/usage/zego/1/"] {
            assert_eq!(MatchedQuery::at(&Method::GET, path), None, "{path}");
        }
        assert_eq!(MatchedQuery::at(&Method::PUT, "/usage/tencent/1"), None);
        // An API Gateway does not route these; a function answers that there is no such id.
        assert_eq!(MatchedQuery::at(&Method::GET, "/presence/zego/1/users/").unwrap().id, Some(""));
        assert_eq!(MatchedQuery::at(&Method::GET, "//usage//1").unwrap().provider, "");
    }

    #[test]
    fn an_exact_route_has_priority_over_one_with_a_proxy() {
        for names in CALLBACKS {
            for path in names.paths {
                assert_eq!(CallbackNames::at(path), Some(names));
            }
        }
        let function = |path| CallbackNames::at(path).map(|names| names.function);
        assert_eq!(function("/openim/callbackAfterSendSingleMsgCommand"), Some("openim-any"));
        assert_eq!(function("/openimx"), None);
        assert_eq!(function("/tencent/room/a-key"), Some("tencent-room-event"));
        for path in ["/tencent/room/", "/tencent/room/a/key", "/tencent/rooms", "/tencent"] {
            assert_eq!(function(path), None, "{path}");
        }
    }
}
