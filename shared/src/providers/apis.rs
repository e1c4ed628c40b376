//! The accounts with which the providers' server APIs are asked.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    AppsError,
    api::UrlFault,
    apps::{self, AppsJson},
    openim::{self, OpenIm},
    tencent::{self, Chat},
    zego::{self, Zego},
};
use crate::{
    callback::{AppWarnings, Provider},
    domain::{App, AppId, ProviderName},
    http::read_object,
};

/// What is wrong with the accounts' JSON. Never holds any of it that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderApisError {
    /// It cannot be read.
    #[error(
        "is broken at line {line}, column {column}: it has to look like \
         {{\"zego\":{{\"1\":{{\"server_secret\":\"...\"}}}}}}"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An app cannot be, or is there twice.
    #[error(transparent)]
    App(#[from] AppsError),
    /// An app's id has to be a number.
    #[error("names the {0} app `{1}`, whose id is not a whole number from 1 to {max}", max = u32::MAX)]
    Number(ProviderName, AppId),
    /// A URL cannot be used.
    #[error("gives the {0} app `{1}` a `{2}` that {3}")]
    Url(ProviderName, AppId, &'static str, UrlFault),
}

/// The apps whose providers can be asked, with their credentials.
#[derive(Debug, Clone, Default)]
pub struct ProviderApis {
    /// ZEGOCLOUD's.
    pub zego: HashMap<AppId, zego::ApiAccount>,
    /// `OpenIM`'s.
    pub openim: HashMap<AppId, openim::ApiAccount>,
    /// Tencent's.
    pub tencent: HashMap<AppId, tencent::ApiAccount>,
}

/// The account of one app.
#[derive(Debug, Clone)]
pub enum ApiAccount {
    /// Of ZEGO's Server API.
    Zego(zego::ApiAccount),
    /// Of `OpenIM`'s REST API.
    OpenIm(openim::ApiAccount),
    /// Of Chat's REST API.
    Tencent(tencent::ApiAccount),
}

impl ProviderApis {
    /// Reads accounts from JSON.
    ///
    /// ```
    /// use rollcall::providers::ProviderApis;
    ///
    /// let apis = ProviderApis::from_json(
    ///     r#"{"zego": {"1": {"server_secret": "9193cc662a4c0ec135ec71fb57194b38"}}}"#,
    /// )?;
    /// assert_eq!(apis.zego[&"1".parse().unwrap()].url.as_str(), "https://rtc-api.zego.im");
    /// # Ok::<(), rollcall::providers::ProviderApisError>(())
    /// ```
    ///
    /// A byte order mark before it is skipped. An app with a blank secret is left out: its provider
    /// is not asked. What is odd about an app is logged, each thing once.
    ///
    /// # Errors
    ///
    /// [`ProviderApisError`] if it is not such JSON.
    pub fn from_json(json: &str) -> Result<Self, ProviderApisError> {
        // The error's own text may quote what it found, and that may be a secret.
        let all: AllJson = read_object(json.as_bytes()).map_err(|error| {
            ProviderApisError::Json { line: error.line().max(1), column: error.column().max(1) }
        })?;
        let mut warnings = Vec::new();
        let apis = Self {
            zego: read(Zego::NAME, all.zego, &mut warnings, zego::read_api_account)?,
            openim: read(OpenIm::NAME, all.openim, &mut warnings, openim::read_api_account)?,
            tencent: read(Chat::NAME, all.tencent, &mut warnings, tencent::read_api_account)?,
        };
        warnings.iter().for_each(AppWarnings::log);
        Ok(apis)
    }

    /// The account of an app, if it has one.
    #[must_use]
    pub fn of(&self, app: &App) -> Option<ApiAccount> {
        super::of(
            app.provider,
            self.zego.get(&app.id).cloned().map(ApiAccount::Zego),
            self.openim.get(&app.id).cloned().map(ApiAccount::OpenIm),
            self.tencent.get(&app.id).cloned().map(ApiAccount::Tencent),
        )
    }

    /// All apps that have an account.
    pub fn apps(&self) -> impl Iterator<Item = App> {
        let app = |provider| move |id: &AppId| App { provider, id: id.clone() };
        let zego = self.zego.keys().map(app(Zego::NAME));
        let openim = self.openim.keys().map(app(OpenIm::NAME));
        zego.chain(openim).chain(self.tencent.keys().map(app(Chat::NAME)))
    }
}

fn read<J, A>(
    provider: ProviderName,
    apps: AppsJson<J>,
    warnings: &mut Vec<AppWarnings>,
    account: impl Fn(&AppId, J, &mut AppWarnings) -> Result<Option<A>, ProviderApisError>,
) -> Result<HashMap<AppId, A>, ProviderApisError> {
    let accounts = apps::read_apps(provider, apps, warnings, account)?;
    Ok(accounts.into_iter().filter_map(|(app, account)| Some((app, account?))).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllJson {
    #[serde(default)]
    zego: AppsJson<zego::ApiAccountJson>,
    #[serde(default)]
    openim: AppsJson<openim::ApiAccountJson>,
    #[serde(default)]
    tencent: AppsJson<tencent::ApiAccountJson>,
}
