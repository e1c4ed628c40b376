//! The providers' server APIs on a port, as `rollcall provider` plays them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rollcall::config::ProviderApis;
use rollcall_local::provider::{Behaviour, DEFAULT_PORT, EXAMPLE_APIS, Provider, Truth, serve};
use rollcall_players::servers::Servers;
use serde_json::Value;
use tokio::net::TcpListener;

/// What the providers' servers know, which a test may change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Arc<Servers>>>);

impl Known {
    /// From now on they know this.
    pub(crate) fn know(&self, servers: Value) {
        *self.0.lock().unwrap() = Arc::new(serde_json::from_value(servers).unwrap());
    }

    /// What they know, at any time.
    pub(crate) fn truth(&self) -> Truth {
        let known = self.0.clone();
        Truth::new(move |_| known.lock().unwrap().clone())
    }
}

/// Server APIs on a port.
pub(crate) struct ServersOnAPort {
    known: Known,
    /// What is played.
    pub(crate) provider: Arc<Provider>,
    /// The credentials of the example apps, as `ROLLCALL_PROVIDER_APIS` has them.
    pub(crate) apis: String,
}

impl ServersOnAPort {
    pub(crate) async fn start() -> Self {
        Self::of(Known::default(), Behaviour::default()).await
    }

    /// Server APIs that know what others know, and behave like that.
    pub(crate) async fn of(known: Known, behaviour: Behaviour) -> Self {
        Self::slow(known, behaviour, Duration::ZERO).await
    }

    /// The same, each of whose answers takes so long.
    pub(crate) async fn slow(known: Known, behaviour: Behaviour, slow: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let apis = EXAMPLE_APIS.replace(&DEFAULT_PORT.to_string(), &port.to_string());
        let accounts = ProviderApis::from_json(&apis).unwrap();
        let provider = Arc::new(Provider::new(accounts, known.truth(), behaviour, 1));
        tokio::spawn(serve(provider.clone(), slow, listener, std::future::pending()));
        Self { known, provider, apis }
    }

    pub(crate) fn know(&self, servers: Value) {
        self.known.know(servers);
    }
}
