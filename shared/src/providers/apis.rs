//! The accounts with which the providers' server APIs are asked.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    api::ProviderApisError,
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "9193cc662a4c0ec135ec71fb57194b38";

    fn read(json: &str) -> Result<ProviderApis, ProviderApisError> {
        ProviderApis::from_json(json)
    }

    fn openim(fields: &str) -> Result<ProviderApis, ProviderApisError> {
        read(&format!(r#"{{"openim":{{"main":{{{fields}}}}}}}"#))
    }

    #[test]
    fn the_contracts_example_is_read() {
        let json = r#"{
            "zego":    {"1":          {"server_secret":"hunter2","url":"https://rtc-api.zego.im","zim_url":"https://zim-api.zego.im"}},
            "openim":  {"main":       {"secret":"hunter2","admin":"imAdmin","url":"http://10.0.0.7:10002"}},
            "tencent": {"1400000000": {"admin":"administrator","secret_key":"hunter2","url":"https://adminapisgp.im.qcloud.com"}}}"#;
        let apis = read(&format!("\u{feff}{json}")).unwrap();
        assert!(!format!("{apis:?}").contains("hunter2"));
        assert_eq!(apis.apps().count(), 3);
        for app in apis.apps() {
            assert!(apis.of(&app).is_some(), "{app:?}");
        }
        let other = App { provider: ProviderName::Zego, id: "2".parse().unwrap() };
        assert!(apis.of(&other).is_none());
        assert!(read(&format!("\u{feff}\u{feff}{json}")).is_err(), "there is one at most");
    }

    #[test]
    fn an_app_with_a_blank_secret_is_left_out_and_the_others_stay() {
        for blank in ["", "   ", "\t", "\n", "\u{a0}", "\u{feff}", "\u{200b}"] {
            let blank = serde_json::Value::from(blank);
            let apis = read(&format!(
                r#"{{
                    "zego": {{"1": {{"server_secret": {blank}}}, "2": {{"server_secret": "{SECRET}"}}}},
                    "openim": {{"main": {{"secret": {blank}, "url": "https://im.example.com"}}}},
                    "tencent": {{
                        "3": {{"admin": "a", "secret_key": {blank}, "url": "https://example.com"}},
                        "4": {{"admin": {blank}, "secret_key": "x", "url": "https://example.com"}}
                    }}
                }}"#
            ))
            .unwrap();
            let left: Vec<App> = apis.apps().collect();
            assert_eq!(left, [App { provider: ProviderName::Zego, id: "2".parse().unwrap() }]);
        }
    }

    #[test]
    fn what_surrounds_a_value_is_trimmed() {
        let apis = read(
            r#"{
                "zego": {"1": {"server_secret": " a\n", "url": "\thttps://example.com/ "}},
                "openim": {"main": {"secret": "\ufeffb", "admin": " me ", "url": "https://example.com"},
                           "other": {"secret": "b", "admin": " ", "url": "https://example.com"}},
                "tencent": {"3": {"admin": "me\r\n", "secret_key": "c ", "url": "https://example.com"}}
            }"#,
        )
        .unwrap();
        let zego = &apis.zego[&"1".parse().unwrap()];
        assert_eq!((zego.server_secret.expose(), zego.url.as_str()), ("a", "https://example.com"));
        let openim = &apis.openim[&"main".parse().unwrap()];
        assert_eq!((openim.secret.expose(), openim.admin.as_str()), ("b", "me"));
        assert_eq!(apis.openim[&"other".parse().unwrap()].admin, "imAdmin");
        let tencent = &apis.tencent[&"3".parse().unwrap()];
        assert_eq!((tencent.secret_key.expose(), tencent.admin.as_str()), ("c", "me"));
    }

    #[test]
    fn faults_are_named_and_never_with_the_value() {
        let secret = r#""secret":"hunter2""#;
        for (read, words) in [
            (read(""), "is broken at line 1"),
            (read("[]"), "is broken"),
            (read(r#"{"zeego":{}}"#), "is broken"),
            (read(r#"{"zego":{"1":{"server_secret":["hunter2"]}}}"#), "is broken"),
            (read(r#"{"zego":{"1":{"server_secrets":"hunter2"}}}"#), "is broken"),
            (read(r#"{"zego":{"1":{}}}"#), "is broken"),
            (openim(secret), "is broken"),
            (openim(&format!(r#"{secret},{secret},"url":"https://example.com""#)), "is broken"),
            (
                openim(&format!(r#"{secret},"url":"https://me:hunter2@example.com""#)),
                "gives the openim app `main` a `url` that has a user in it",
            ),
            (
                openim(&format!(r#"{secret},"url":"https://example.com/?key=hunter2""#)),
                "a `url` that has a `?`",
            ),
            (openim(&format!(r#"{secret},"url":"hunter2""#)), "that is not a URL"),
            (
                read(r#"{"zego":{"1":{"server_secret":"hunter2","url":"http://example.com"}}}"#),
                "gives the zego app `1` a `url` that begins with http://",
            ),
            (
                read(r#"{"zego":{"1":{"server_secret":"hunter2","zim_url":"http://hunter2"}}}"#),
                "a `zim_url` that begins with http://",
            ),
            (
                read(
                    r#"{"tencent":{"1":{"admin":"a","secret_key":"hunter2","url":"http://a.b"}}}"#,
                ),
                "gives the tencent app `1` a `url` that begins with http://",
            ),
            (
                read(r#"{"zego":{"one":{"server_secret":"hunter2"}}}"#),
                "names the zego app `one`, whose id is not a whole number",
            ),
            (
                read(r#"{"zego":{"0":{"server_secret":"hunter2"}}}"#),
                "whose id is not a whole number",
            ),
            (
                read(r#"{"zego":{"1":{"server_secret":"hunter2"},"1":{"server_secret":"x"}}}"#),
                "names the zego app `1` twice",
            ),
            (read(r#"{"zego":{"":{"server_secret":"hunter2"}}}"#), "names an app that cannot be"),
        ] {
            let error = read.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_ones_own_openim() {
        let zego =
            |url| read(&format!(r#"{{"zego":{{"1":{{"server_secret":"x","url":"{url}"}}}}}}"#));
        assert!(zego("http://127.0.0.1:9300").is_ok());
        assert!(zego("http://10.0.0.7").is_err());
        assert!(openim(r#""secret":"x","url":"http://openim.internal:10002""#).is_ok());
    }
}
