//! Plays the providers: their callbacks, real field for real field and correctly signed; small worlds
//! of people who do something; and a model of the right answers.
//!
//! The tests' histories, the benchmarks and `send` use it. It is independent: it names
//! Rollcall's signatures, routes and ids, and none of its rules (`tests/it/architecture.rs` checks that).

pub mod answers;
pub mod crowd;
pub mod delivery;
pub mod model;
pub mod openim;
pub mod report;
pub mod servers;
pub mod tencent;
pub mod world;
pub mod zego;

use std::time::Duration;

use reqwest::{Client, redirect::Policy};
use rollcall::{
    callback::Secret, domain::UnixMillis, endpoint::Endpoint, http::Reply,
    providers::openim::AppCredentials, routes::PATH_KEY,
};

/// How long to wait for an answer. Providers wait some seconds, but the first call of a function under `cargo lambda watch` waits for the compiler.
const PATIENCE: Duration = Duration::from_mins(5);

/// An event of any provider.
#[derive(Debug, Clone)]
pub enum Event {
    /// ZEGO's.
    Zego(zego::Event),
    /// `OpenIM`'s.
    OpenIm(openim::Event),
    /// Tencent's.
    Tencent(tencent::Event),
}

/// An event that its options describe.
#[derive(Debug, Clone)]
pub struct Sent<N, O> {
    /// Which event.
    pub name: N,
    /// To whom it happens, and what the callback says of it.
    pub options: O,
    /// When it is sent. It happens at the same time, unless the options say otherwise.
    pub now: UnixMillis,
}

/// What the callbacks of one app of each provider are signed with, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// ZEGO's callback secret.
    pub zego: Option<Secret>,
    /// What an `OpenIM` server sends along.
    pub openim: AppCredentials,
    /// Chat's token.
    pub chat: Option<Secret>,
    /// TRTC's key.
    pub trtc: Option<Secret>,
    /// Live's token.
    pub live: Option<Secret>,
    /// The key in the path of `RoomEngine`'s callbacks.
    pub room: Option<Secret>,
}

/// An event that cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no secret is known that signs callbacks of {0}")]
pub struct NoSecret(&'static str);

impl Event {
    /// The times that it names, in Unix ms.
    #[must_use]
    pub fn times(&self) -> Vec<u64> {
        match self {
            Self::Zego(event) if event.name.is_seat() => vec![event.login_time.0, event.at.0],
            Self::Zego(event) => vec![event.at.0],
            Self::OpenIm(event) => vec![event.at()],
            Self::Tencent(event) => vec![event.at()],
        }
    }

    /// Its callback, signed at `now`.
    ///
    /// # Errors
    ///
    /// If there is no secret for it.
    pub fn callback(&self, secrets: &Secrets, now: UnixMillis) -> Result<Callback, NoSecret> {
        match self {
            Self::Zego(event) => {
                let secret = secrets.zego.as_ref().ok_or(NoSecret("ZEGO"))?;
                Ok(event.callback(secret, now.seconds(), &zego::nonce(now.seconds())))
            }
            Self::OpenIm(event) => Ok(event.callback(&secrets.openim)),
            Self::Tencent(event) => {
                let (secret, whose) = match event.name.product() {
                    tencent::Product::Chat => (&secrets.chat, "Chat"),
                    tencent::Product::Trtc => (&secrets.trtc, "TRTC"),
                    tencent::Product::Live => (&secrets.live, "Live"),
                    tencent::Product::Room => (&secrets.room, "RoomEngine"),
                };
                let secret = secret.as_ref().ok_or(NoSecret(whose))?;
                Ok(tencent::Event { now, ..event.clone() }.callback(secret))
            }
        }
    }
}

/// An HTTP client whose TLS is by `ring`, like the rest of Rollcall's.
///
/// # Errors
///
/// If the machine's certificates cannot be read.
pub fn client() -> reqwest::Result<Client> {
    // It fails only if a provider is installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A signed request is for the address that was given, and for no other.
    Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()
}

/// Where the gateway is, if `url` is the whole URL of a callback.
#[must_use]
pub fn gateway(url: &str) -> &str {
    route_of(url).map_or(url, |(before, _)| before).trim_end_matches('/')
}

/// What comes before the path, and the route, if `url` is the whole URL of a callback.
fn route_of(url: &str) -> Option<(&str, &'static str)> {
    let mut routes = Endpoint::ALL.into_iter().flat_map(|endpoint| endpoint.routes);
    routes.find_map(|route| {
        let Some(before_key) = route.strip_suffix(PATH_KEY) else {
            return Some((url.strip_suffix(route)?, *route));
        };
        let (before, key) = url.rsplit_once(before_key)?;
        (!key.is_empty() && !key.contains('/')).then_some((before, *route))
    })
}

/// A callback that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The path it is posted to, as the table of routes writes it.
    pub route: &'static str,
    /// The key at the end of the path, if it has one. It is a secret.
    pub path_key: Option<String>,
    /// The query string, if it has one.
    pub query: Option<String>,
    /// Its headers, besides the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// The answer to a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: reqwest::StatusCode,
    /// The value of `x-rollcall-outcome`, if there was one.
    pub outcome: Option<String>,
    /// The value of `x-rollcall-counts`, if there was one.
    pub counts: Option<String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    ///
    /// If it breaks off.
    pub async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let header = |name| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Ok(Self {
            status: response.status(),
            outcome: header(Reply::OUTCOME_HEADER),
            counts: header(Reply::COUNTS_HEADER),
            body: response.text().await?,
        })
    }
}

impl Callback {
    /// Where it goes, without the query and without the key in the path, for people to read: `url` is
    /// the gateway's, or the whole URL of a callback, were it another one's.
    #[must_use]
    pub fn address(&self, url: &str) -> String {
        let (before, route) = route_of(url).unwrap_or((url.trim_end_matches('/'), self.route));
        format!("{before}{route}")
    }

    /// The path it is posted to, with its key.
    #[must_use]
    pub fn path(&self) -> String {
        let key = self.path_key.as_deref().unwrap_or(PATH_KEY);
        self.route.replace(PATH_KEY, key)
    }

    /// Where it goes: the whole address, with its key and the query.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let mut url = match route_of(url) {
            Some(_) => url.to_owned(),
            None => format!("{}{}", url.trim_end_matches('/'), self.path()),
        };
        if let Some(query) = &self.query {
            url.push('?');
            url.push_str(query);
        }
        url
    }

    /// Posts it.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn send(&self, client: &Client, url: &str) -> reqwest::Result<Answer> {
        let mut request = client.post(self.url(url)).header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        Answer::read(request.body(self.body.clone()).send().await?).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use clap::ValueEnum;

    /// Everyone can try what is added to Rollcall.
    #[test]
    fn every_callback_type_has_an_event_to_send() {
        let now = UnixMillis(1_795_332_720_000);
        let secret = Secret::new("secret".to_owned()).unwrap();
        let mut routes = BTreeSet::new();
        for name in zego::EventName::value_variants() {
            let event = zego::Rooms::default().happen(*name, &zego::Options::default(), now);
            routes.insert(event.callback(&secret, now.seconds(), "17").route);
        }
        for (name, documented) in openim::EventName::value_variants()
            .iter()
            .flat_map(|name| [(name, false), (name, true)])
        {
            let options = openim::Options { documented, ..openim::Options::default() };
            let event = openim::Event { name: *name, options, now };
            routes.insert(event.callback(&AppCredentials::default()).route);
        }
        for name in tencent::EventName::value_variants() {
            let event = tencent::Event { name: *name, options: tencent::Options::default(), now };
            routes.insert(event.callback(&secret).route);
        }
        for Endpoint { function, routes: own, .. } in Endpoint::ALL {
            assert!(own.iter().any(|route| routes.contains(route)), "{function}");
        }
    }

    #[test]
    fn a_key_in_a_path_is_sent_and_never_shown() {
        let secret = Secret::new("k".repeat(32)).unwrap();
        let (name, options) = (tencent::EventName::RoomEnter, tencent::Options::default());
        let event = tencent::Event { name, options, now: UnixMillis(1_795_332_720_000) };
        let callback = event.callback(&secret);
        let whole = format!("http://h/tencent/room/{}", secret.expose());
        for url in ["http://h", "http://h/", whole.as_str()] {
            assert!(callback.url(url).starts_with(&format!("{whole}?SdkAppid=")), "{url}");
            assert_eq!(callback.address(url), "http://h/tencent/room/{key}");
            assert_eq!(gateway(url), "http://h");
        }
        assert_eq!(gateway("http://h/tencent/room"), "http://h");
    }
}
