//! ZEGO's apps and their secrets.

use std::{collections::HashMap, fmt};

use serde::Deserialize;

use super::Zego;
use crate::{
    callback::{AppWarning, AppWarnings, Misfit, Provider, Secret, SecretForm, SecretKind},
    domain::AppId,
    providers::{
        self, Configured, Robots,
        apps::{self, AppsError, AppsJson},
    },
};

/// An app's callback secrets. ZEGO says nothing of what they look like.
pub const CALLBACK_SECRETS: SecretKind = SecretKind::any("callback_secrets");

/// What a ServerSecret looks like.
pub(super) const SERVER_SECRET_FORM: SecretForm = SecretForm {
    words: "32 characters",
    fits: |text| text.len() == SERVER_SECRET_BYTES,
    misfit: Misfit::Used,
};

/// An app's ServerSecrets, which encrypt its tokens.
pub const SERVER_SECRETS: SecretKind =
    SecretKind { name: "server_secrets", form: Some(SERVER_SECRET_FORM) };

const SERVER_SECRET_BYTES: usize = 32;

/// A ServerSecret as a key of AES-256: its 32 characters as they are. It prints redacted.
#[derive(Clone)]
pub struct ServerSecret([u8; SERVER_SECRET_BYTES]);

impl ServerSecret {
    /// `None` if it does not have 32 bytes. Then it is no key, and not a ServerSecret either.
    #[must_use]
    pub fn new(secret: &Secret) -> Option<Self> {
        secret.expose().as_bytes().try_into().ok().map(Self)
    }

    /// The key itself. Never for a log, an error or a record.
    #[must_use]
    pub fn bytes(&self) -> &[u8; SERVER_SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(redacted)")
    }
}

/// What belongs to one AppID. Of each list the first one signs or mints, and all verify.
#[derive(Debug, Clone, Default)]
pub struct AppCredentials {
    /// The secrets of its callbacks.
    pub callback_secrets: Vec<Secret>,
    /// The keys of its tokens.
    pub server_secrets: Vec<ServerSecret>,
}

/// ZEGO's apps by AppID.
pub type Apps = HashMap<AppId, AppCredentials>;

impl Configured for Zego {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.zego
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct AppJson {
    #[serde(default)]
    callback_secrets: Vec<String>,
    #[serde(default)]
    server_secrets: Vec<String>,
    #[serde(default)]
    robots: Vec<String>,
}

/// Reads the apps, each with its robots, and adds what is odd about them. A ServerSecret that cannot
/// be a key is left out.
pub(in crate::providers) fn read_apps(
    apps: AppsJson<AppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<HashMap<AppId, (AppCredentials, Robots)>, AppsError> {
    apps::read_apps(Zego::NAME, apps, all_warnings, |_, app, warnings| {
        warnings.expect_number();
        let server_secrets = SERVER_SECRETS.take_all(app.server_secrets, warnings);
        let credentials = AppCredentials {
            callback_secrets: CALLBACK_SECRETS.take_all(app.callback_secrets, warnings),
            server_secrets: server_secrets.iter().filter_map(ServerSecret::new).collect(),
        };
        let AppCredentials { callback_secrets, server_secrets } = &credentials;
        if callback_secrets.is_empty() && server_secrets.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        Ok((credentials, Robots::read(app.robots, warnings)))
    })
}
