//! Plays the providers' server APIs: ZEGO's `DescribeUserList`, `DescribeUsers`, `DescribeUserNum` and
//! (of ZIM) `QueryUserOnlineState`, Chat's `query_online_status`, and what `OpenIM`'s REST API says of users.
//!
//! [`Provider::answer`] is the whole of it: a request and the time in, a response out. [`serve`]
//! puts it on a port. It answers from a [`Truth`]: a file that `send` writes, or a test's world.

mod chat;
mod faults;
mod http;
mod limits;
mod openim;
mod truth;
mod zego;
mod zim;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use rollcall::{domain::UnixMillis, providers::ProviderApis};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};

pub use faults::{Fault, Faults, Lie};
pub use http::serve;
pub use limits::{ACTIONS, Action, Count, Limits};
pub use truth::{Truth, TruthFile};

/// Where `rollcall provider` listens by default, and [`EXAMPLE_APIS`] points to.
pub const DEFAULT_PORT: u16 = 9700;

/// The server APIs of the example apps: `ROLLCALL_PROVIDER_APIS` where it is not set. The secrets
/// are the ones that the providers publish in their own examples.
pub const EXAMPLE_APIS: &str = r#"{
    "zego": {"1": {
        "server_secret": "9193cc662a4c0ec135ec71fb57194b38",
        "url": "http://127.0.0.1:9700",
        "zim_url": "http://127.0.0.1:9700"
    }},
    "openim": {"main": {
        "secret": "openIM123",
        "admin": "imAdmin",
        "url": "http://127.0.0.1:9700"
    }},
    "tencent": {"1400000000": {
        "admin": "administrator",
        "secret_key": "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",
        "url": "http://127.0.0.1:9700"
    }}
}"#;

/// How `OpenIM` and ZEGO are played where real ones differ, and what goes wrong.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// For how long a change is not seen in the answers.
    pub lag: Duration,
    /// How far the providers' clocks are ahead of ours, in ms; negative, if they are behind. It
    /// counts when a signature or a token is old. A time that a callback names, too, is the same here.
    pub clock_ms: i64,
    /// What goes wrong, and how often.
    pub faults: Faults,
    /// What is not true in every answer.
    pub lie: Option<Lie>,
    /// How `DescribeUsers` answers about somebody who is not in the room.
    pub absent: Absent,
    /// The age of the `OpenIM` server.
    pub openim: OpenImAge,
    /// For how long an `OpenIM` token is valid.
    pub token_life: Duration,
    /// How many requests are answered in a second.
    pub limits: Limits,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            lag: Duration::ZERO,
            clock_ms: 0,
            faults: Faults::default(),
            lie: None,
            absent: Absent::Status,
            openim: OpenImAge::Current,
            token_life: Duration::from_hours(90 * 24),
            limits: Limits::default(),
        }
    }
}

/// How `DescribeUsers` answers about somebody who is not in a room with others in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Absent {
    /// `Status` 0, as its page says.
    #[default]
    Status,
    /// The whole request has code 50003.
    #[value(name = "50003")]
    NotOnline,
    /// The whole request has code 105.
    #[value(name = "105")]
    NoSuchUser,
}

/// The age of an `OpenIM` server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OpenImAge {
    /// From 3.8.1 on: `/auth/get_admin_token`.
    #[default]
    Current,
    /// Up to 3.8.0: `/auth/user_token`.
    Old,
}

/// The providers' servers.
pub struct Provider {
    accounts: ProviderApis,
    truth: Truth,
    behaviour: Behaviour,
    state: Mutex<State>,
}

/// What changes from request to request.
struct State {
    requests: u64,
    random: fastrand::Rng,
    limiter: limits::Limiter,
    tokens: openim::Tokens,
}

/// What an answer depends on.
struct Scene<'a> {
    accounts: &'a ProviderApis,
    behaviour: &'a Behaviour,
    servers: &'a Servers,
    /// By the provider's clock.
    now: UnixMillis,
}

/// A request to one of the actions.
struct Call<'a> {
    request: &'a Request<Bytes>,
    /// The parameters of its query, decoded.
    query: Vec<(String, String)>,
}

impl Call<'_> {
    /// A parameter that is not empty.
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn header(&self, name: &str) -> Option<&str> {
        let value = self.request.headers().get(name).and_then(|value| value.to_str().ok());
        value.filter(|value| !value.is_empty())
    }
}

impl Provider {
    /// Answers for these accounts, from this truth. What is left to chance depends on the seed.
    #[must_use]
    pub fn new(accounts: ProviderApis, truth: Truth, behaviour: Behaviour, seed: u64) -> Self {
        let state = State {
            requests: 0,
            random: fastrand::Rng::with_seed(seed),
            limiter: limits::Limiter::default(),
            tokens: openim::Tokens::default(),
        };
        Self { accounts, truth, behaviour, state: Mutex::new(state) }
    }

    /// The answer to a request at this time by our clock; none if the request hangs.
    pub fn answer(&self, request: &Request<Bytes>, now: UnixMillis) -> Option<Response<String>> {
        let now_there = UnixMillis(now.0.saturating_add_signed(self.behaviour.clock_ms));
        let lag = u64::try_from(self.behaviour.lag.as_millis()).unwrap_or(u64::MAX);
        let servers = self.truth.at(UnixMillis(now.0.saturating_sub(lag)));
        let scene = Scene {
            accounts: &self.accounts,
            behaviour: &self.behaviour,
            servers: &servers,
            now: now_there,
        };
        let query = request.uri().query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let call = Call { request, query };
        let Some(action) = Action::of(&call, self.behaviour.openim) else {
            return Some(response(
                StatusCode::NOT_FOUND,
                "text/plain",
                "404 page not found".into(),
            ));
        };
        let mut state = self.state();
        state.requests += 1;
        let fault = self.behaviour.faults.strike(&mut state.random);
        if fault.is_some() {
            state.limiter.failed(action);
        }
        let said = match fault {
            Some(Fault::Hang) => return None,
            Some(Fault::Status) => {
                let says = "<html><body>503 Service Unavailable</body></html>";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Some(response(status, "text/html", says.to_owned()));
            }
            Some(Fault::Code) => internal_error(action, state.requests),
            Some(Fault::Json) | None if action.is_zim() => {
                zim::answer(&scene, &call, action, &mut state)
            }
            Some(Fault::Json) | None if action.is_zego() => {
                zego::answer(&scene, &call, action, &mut state)
            }
            Some(Fault::Json) | None if action.is_chat() => {
                chat::answer(&scene, &call, action, &mut state)
            }
            Some(Fault::Json) | None => openim::answer(&scene, &call, action, &mut state),
        };
        let mut body = said.to_string();
        if fault == Some(Fault::Json) {
            // A connection that broke off, behind a proxy that did not notice.
            let half = body.len() / 2;
            body.truncate((0..=half).rev().find(|at| body.is_char_boundary(*at)).unwrap_or(0));
        }
        Some(response(StatusCode::OK, "application/json", body))
    }

    /// How many requests there were, by action.
    #[must_use]
    pub fn counts(&self) -> Vec<(Action, Count)> {
        self.state().limiter.counts()
    }

    /// Forgets the tokens of `OpenIM`, as after the server's secret has changed.
    pub fn forget_tokens(&self) {
        self.state().tokens = openim::Tokens::default();
    }

    /// A panic elsewhere leaves counters that are still right enough.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("behaviour", &self.behaviour).finish_non_exhaustive()
    }
}

/// The provider's answer when its own servers fail.
fn internal_error(action: Action, request: u64) -> Value {
    if action.is_zim() {
        zim::envelope(zego::INTERNAL, request, &[], &[])
    } else if action.is_zego() {
        zego::envelope(zego::INTERNAL, request, &json!({}))
    } else if action.is_chat() {
        chat::failure(chat::INTERNAL)
    } else {
        openim::failure(openim::INTERNAL)
    }
}

fn response(status: StatusCode, media_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let media_type = ::http::HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// A field of a JSON object that is a list of texts.
fn texts(body: &Value, field: &str) -> Option<Vec<String>> {
    let texts = body[field].as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
    texts.collect()
}
