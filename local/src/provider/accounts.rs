//! Who may ask: the credentials of the apps, in the form of `ROLLCALL_PROVIDER_APIS`.

use std::{collections::BTreeMap, fmt};

use rollcall::callback::Secret;
use serde::{Deserialize, Deserializer, de::Error};

/// The credentials of the apps whose providers are played.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Accounts {
    pub(super) zego: BTreeMap<String, Zego>,
    pub(super) openim: BTreeMap<String, OpenIm>,
    pub(super) tencent: BTreeMap<String, Tencent>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Zego {
    #[serde(deserialize_with = "secret")]
    pub(super) server_secret: Secret,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct OpenIm {
    #[serde(deserialize_with = "secret")]
    pub(super) secret: Secret,
    pub(super) admin: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tencent {
    pub(super) admin: String,
    #[serde(deserialize_with = "secret")]
    pub(super) secret_key: Secret,
}

/// A text that is not the accounts' JSON. It says where, and nothing of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountError {
    line: usize,
    column: usize,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column } = self;
        write!(f, "cannot be read: line {line}, column {column}")
    }
}

impl std::error::Error for AccountError {}

impl Accounts {
    /// Reads the JSON of `ROLLCALL_PROVIDER_APIS`.
    ///
    /// # Errors
    ///
    /// If it is no such JSON, or a secret is blank.
    pub fn from_json(json: &str) -> Result<Self, AccountError> {
        // The error's own text may quote a secret.
        serde_json::from_str(json)
            .map_err(|error| AccountError { line: error.line(), column: error.column() })
    }

    /// The ids of the apps, by provider.
    #[must_use]
    pub fn ids(&self) -> [(&'static str, Vec<&str>); 3] {
        fn of<A>(apps: &BTreeMap<String, A>) -> Vec<&str> {
            apps.keys().map(String::as_str).collect()
        }
        [("zego", of(&self.zego)), ("openim", of(&self.openim)), ("tencent", of(&self.tencent))]
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let text = String::deserialize(deserializer)?;
    Secret::new(text).ok_or_else(|| D::Error::custom("blank"))
}
