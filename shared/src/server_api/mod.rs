//! Asks the providers' server APIs: credentials, limits, HTTP, and one client for each provider.
//!
//! What is asked and what an answer means is in `providers/<name>/api.rs`. A client never answers
//! with less than it was told: an error is no answer, and who is missing in an answer is not known
//! of.

mod caller;
mod chat;
mod kept;
mod limits;
mod openim;
mod transport;
mod zego;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use self::caller::Caller;
pub use self::{
    caller::{Asked, Clock},
    chat::{AccountSaid, ChatApi},
    limits::{Counted, Limit, Limits},
    openim::OpenImApi,
    transport::{MAX_ANSWER_BYTES, Patience, Transport, TransportError},
    zego::{FollowsFrom, PersonSaid, ZegoApi},
};
use crate::{
    apps::{FromSecret, SecretSource},
    domain::App,
    providers::{ApiAccount, ProviderApis, ProviderApisError},
};

impl FromSecret for ProviderApis {
    const NAME: &'static str = "the provider APIs' secret";

    type Error = ProviderApisError;

    fn from_json(json: &str) -> Result<Self, ProviderApisError> {
        Self::from_json(json)
    }
}

/// The client of one app.
#[derive(Debug, Clone)]
pub enum ServerApi {
    /// ZEGO's Server API.
    Zego(ZegoApi),
    /// Chat's REST API.
    Chat(ChatApi),
    /// `OpenIM`'s REST API.
    OpenIm(OpenImApi),
}

/// Why there is no client of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoServerApi {
    /// No credentials are configured for it.
    #[error("no API credentials are configured for the app")]
    NotConfigured,
    /// The credentials could not be read yet. The cause is logged.
    #[error("the API credentials could not be loaded yet")]
    NotRead,
}

/// The clients of all apps whose providers can be asked.
pub struct ServerApis {
    accounts: SecretSource<ProviderApis>,
    caller: Caller,
    clients: Mutex<Clients>,
}

/// Clients are kept, because they hold tokens, and made anew when the accounts change.
#[derive(Default)]
struct Clients {
    of: Option<Arc<ProviderApis>>,
    clients: HashMap<App, ServerApi>,
}

impl ServerApis {
    /// Clients of the apps in `accounts`. `clock` says when a request was sent.
    #[must_use]
    pub fn new(
        accounts: impl Into<SecretSource<ProviderApis>>,
        transport: Transport,
        clock: Clock,
    ) -> Self {
        let caller = Caller::new(transport, clock);
        Self { accounts: accounts.into(), caller, clients: Mutex::default() }
    }

    /// The apps whose providers can be asked.
    ///
    /// # Errors
    ///
    /// [`NoServerApi::NotRead`]
    pub async fn apps(&self) -> Result<Vec<App>, NoServerApi> {
        Ok(self.accounts().await?.apps().collect())
    }

    /// The client of an app. Clients of one app share limits and tokens.
    ///
    /// # Errors
    ///
    /// [`NoServerApi`]
    pub async fn of(&self, app: &App) -> Result<ServerApi, NoServerApi> {
        let accounts = self.accounts().await?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &accounts)) {
            *clients = Clients { of: Some(accounts.clone()), clients: HashMap::new() };
        }
        if let Some(client) = clients.clients.get(app) {
            return Ok(client.clone());
        }
        let account = accounts.of(app).ok_or(NoServerApi::NotConfigured)?;
        let (named, caller) = (app.clone(), self.caller.clone());
        let client = match account {
            ApiAccount::Zego(account) => ServerApi::Zego(ZegoApi::new(named, account, caller)),
            ApiAccount::Tencent(account) => ServerApi::Chat(ChatApi::new(named, account, caller)),
            ApiAccount::OpenIm(account) => {
                ServerApi::OpenIm(OpenImApi::new(named, account, caller))
            }
        };
        clients.clients.insert(app.clone(), client.clone());
        Ok(client)
    }

    async fn accounts(&self) -> Result<Arc<ProviderApis>, NoServerApi> {
        let now = self.caller.now();
        let accounts = self.accounts.get(now).await.ok_or(NoServerApi::NotRead)?;
        self.accounts.refresh(now);
        Ok(accounts)
    }
}

impl fmt::Debug for ServerApis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerApis").finish_non_exhaustive()
    }
}
