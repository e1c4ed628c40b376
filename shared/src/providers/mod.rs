//! The providers, one folder each. A provider never touches the store.

#[cfg(feature = "server-api")]
pub mod api;
#[cfg(feature = "server-api")]
mod apis;
mod apps;
mod boundary;
mod entries;
pub mod openim;
mod robots;
mod rules;
pub mod tencent;
pub mod zego;

#[cfg(feature = "server-api")]
pub use api::ProviderApisError;
#[cfg(feature = "server-api")]
pub use apis::{ApiAccount, ProviderApis};
pub use apps::AppsError;
pub use boundary::{AtOnce, BoundaryEffect, boundary_effect};
pub use robots::{AllRobots, MAX_PATTERNS, Robots};
pub use rules::{
    DeviceItems, DeviceRules, Lost, Months, NewestMark, Numbered, RoleRules, RoomEnds, RoomRules,
    Rules, SeatRules, Visits,
};

use apps::AppsJson;
use serde::Deserialize;

use crate::{
    callback::{AppWarnings, Provider},
    domain::{App, Change, ProviderName, RoomId, Track},
    http::read_object,
};

/// The rules by which a provider's records are read.
#[must_use]
pub fn rules(provider: ProviderName) -> &'static Rules {
    of(provider, &zego::RULES, &openim::RULES, &tencent::RULES)
}

/// What the store has to know of the marks of the seats in a provider's room, by a track.
#[must_use]
pub fn seat_rules(provider: ProviderName, room: &RoomId, track: Track) -> &'static SeatRules {
    of(provider, zego::seats(room), &openim::SEATS, tencent::seats(track))
}

/// How the store keeps a provider's devices.
#[must_use]
pub fn device_items(provider: ProviderName) -> DeviceItems {
    of(provider, DeviceItems::Sessions, DeviceItems::Each, DeviceItems::Each)
}

/// Whether a provider with a server API for rooms can be asked who is in that one.
#[must_use]
pub fn is_asked_about(provider: ProviderName, room: &RoomId) -> bool {
    of(provider, zego::rtc_name(room).is_some(), true, true)
}

fn of<T>(provider: ProviderName, zego: T, openim: T, tencent: T) -> T {
    match provider {
        ProviderName::Zego => zego,
        ProviderName::OpenIm => openim,
        ProviderName::Tencent => tencent,
    }
}

/// The apps whose callbacks are accepted, with their secrets.
#[derive(Debug, Clone, Default)]
pub struct Apps {
    /// ZEGOCLOUD's.
    pub zego: zego::Apps,
    /// `OpenIM`'s.
    pub openim: openim::Apps,
    /// Tencent's.
    pub tencent: tencent::Apps,
    /// Which users of each app are no people.
    pub robots: AllRobots,
}

/// A provider whose apps are among those that are configured.
pub trait Configured: Provider {
    /// The apps of that provider, and no other's secrets.
    fn of(apps: &Apps) -> &Self::Apps;

    /// The apps of whose rooms its callbacks may be a second track.
    #[must_use]
    fn with_second_track(_apps: &Apps) -> Vec<App> {
        Vec::new()
    }
}

impl Apps {
    /// Reads apps from JSON.
    ///
    /// ```
    /// use rollcall::providers::Apps;
    ///
    /// let apps = Apps::from_json(r#"{"zego":{"1":{"callback_secrets":["current","previous"]}}}"#)?;
    /// assert_eq!(apps.zego[&"1".parse().unwrap()].callback_secrets.len(), 2);
    /// # Ok::<(), rollcall::providers::AppsError>(())
    /// ```
    ///
    /// A byte order mark before it is skipped. A blank secret is left out: it verifies nothing. An
    /// app that is left without any is known, but all its callbacks are refused. What is odd about
    /// an app is logged, each thing once.
    ///
    /// # Errors
    ///
    /// [`AppsError`] if it is not such JSON.
    pub fn from_json(json: &str) -> Result<Self, AppsError> {
        // The error's own text may quote what it found, and that may be a secret. It has no place
        // if this is no object.
        let apps: AllAppsJson = read_object(json.as_bytes()).map_err(|error| AppsError::Json {
            line: error.line().max(1),
            column: error.column().max(1),
        })?;
        // They are logged once it is certain that these apps are the ones.
        let mut warnings = Vec::new();
        let mut robots = AllRobots::new();
        let zego = zego::read_apps(apps.zego, &mut warnings)?;
        let tencent = tencent::read_apps(apps.tencent, &mut warnings)?;
        let apps = Self {
            zego: robots::split(zego::Zego::NAME, zego, &mut robots),
            openim: openim::read_apps(apps.openim, &mut warnings)?,
            tencent: robots::split(tencent::Chat::NAME, tencent, &mut robots),
            robots,
        };
        warnings.iter().for_each(AppWarnings::log);
        Ok(apps)
    }

    /// Gives each seat of a robot the role of a service. Every verified callback passes here once,
    /// before anything of it is stored or spilled.
    pub fn mark_robots(&self, changes: &mut [Change]) {
        robots::mark(&self.robots, changes);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllAppsJson {
    #[serde(default)]
    zego: AppsJson<zego::AppJson>,
    #[serde(default)]
    openim: AppsJson<openim::AppJson>,
    #[serde(default)]
    tencent: AppsJson<tencent::AppJson>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::Secret;

    #[test]
    fn broken_apps_are_told_by_their_place_and_never_by_their_content() {
        for json in [
            "",
            "nonsense",
            "[]",
            r#"{"zego":{"1":{"callback_secrets":"hunter2"}}}"#,
            r#"{"zeego":{}}"#,
            "\u{feff}",
            "\u{feff}[]",
        ] {
            let error = Apps::from_json(json).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_blank_secret_of_any_kind_is_left_out() {
        for blank in ["", "   ", "\t", "\n", "\u{a0}", "\u{feff}", "\u{200b}"] {
            let blank = serde_json::Value::from(blank);
            let json = format!(
                r#"{{
                    "zego": {{"1": {{"callback_secrets": [{blank}, "x"]}}, "2": {{"callback_secrets": [{blank}], "server_secrets": [{blank}]}}}},
                    "openim": {{"main": {{"secrets": [{blank}], "basic": [
                        {{"user": "openim", "password": {blank}}}, {{"user": {blank}, "password": "x"}}
                    ]}}}},
                    "tencent": {{"3": {{"secret_keys": [{blank}], "chat_tokens": [{blank}], "trtc_keys": [{blank}]}}}}
                }}"#
            );
            let apps = Apps::from_json(&json).unwrap();
            assert_eq!(apps.zego[&"1".parse().unwrap()].callback_secrets.len(), 1);
            let zego = &apps.zego[&"2".parse().unwrap()];
            assert!(zego.callback_secrets.is_empty() && zego.server_secrets.is_empty());
            let openim = &apps.openim[&"main".parse().unwrap()];
            assert!(openim.secrets.is_empty() && openim.basic.is_empty());
            let tencent = &apps.tencent[&"3".parse().unwrap()];
            assert!(tencent.secret_keys.is_empty() && tencent.chat_tokens.is_empty());
            assert!(tencent.trtc_keys.is_empty());
        }
    }

    #[test]
    fn what_surrounds_a_secret_of_any_kind_is_trimmed() {
        let apps = Apps::from_json(
            r#"{
                "zego": {"1": {"callback_secrets": [" a\n"],
                               "server_secrets": ["\ufefffa94dd0f974cf2e293728a526b028271 "]}},
                "openim": {"main": {"secrets": ["\tb"], "basic": [{"user": " u ", "password": "c\u00a0"}]}},
                "tencent": {"3": {"secret_keys": ["d\r\n"], "chat_tokens": ["\ufeffe"], "trtc_keys": ["f "]}}
            }"#,
        )
        .unwrap();
        let text = |secrets: &[Secret]| secrets[0].expose().to_owned();
        assert_eq!(text(&apps.zego[&"1".parse().unwrap()].callback_secrets), "a");
        let server_secrets = &apps.zego[&"1".parse().unwrap()].server_secrets;
        assert_eq!(server_secrets[0].bytes(), b"fa94dd0f974cf2e293728a526b028271");
        let openim = &apps.openim[&"main".parse().unwrap()];
        assert_eq!(text(&openim.secrets), "b");
        assert_eq!(openim.basic[0].user_pass(), "u:c");
        let tencent = &apps.tencent[&"3".parse().unwrap()];
        assert_eq!(text(&tencent.secret_keys), "d");
        assert_eq!(text(&tencent.chat_tokens), "e");
        assert_eq!(text(&tencent.trtc_keys), "f");
    }

    #[test]
    fn a_server_secret_that_cannot_be_a_key_is_left_out() {
        let json = r#"{"zego":{"1":{"server_secrets":
            ["hunter2", "fa94dd0f974cf2e293728a526b028271", "\u00e9a94dd0f974cf2e293728a526b028271"]}}}"#;
        let app = &Apps::from_json(json).unwrap().zego[&"1".parse().unwrap()];
        assert_eq!(app.server_secrets.len(), 1);
        assert!(!format!("{app:?}").contains("fa94dd0f"));
    }

    #[test]
    fn a_byte_order_mark_before_the_apps_is_skipped() {
        let json = "\u{feff}{\"zego\":{\"1\":{\"callback_secrets\":[\"x\"]}}}";
        assert_eq!(Apps::from_json(json).unwrap().zego.len(), 1);
        assert!(Apps::from_json(&format!("\u{feff}{json}")).is_err(), "there is one at most");
    }

    #[test]
    fn an_app_is_named_once_and_the_error_says_which_is_not() {
        for (provider, id, app) in [
            ("zego", "1", r#"{"callback_secrets":["hunter2"]}"#),
            ("openim", "main", r#"{"secrets":["hunter2"]}"#),
            ("tencent", "1400000000", r#"{"trtc_keys":["hunter2"]}"#),
        ] {
            let json = |other: &str| {
                format!(r#"{{"{provider}":{{"{id}":{app},"2":{{{other}}},"{id}":{app}}}}}"#)
            };
            let other = if provider == "zego" { r#""callback_secrets":[]"# } else { "" };
            let error = Apps::from_json(&json(other)).unwrap_err();
            let expected = format!("names the {provider} app `{id}` twice");
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"));
            let once = Apps::from_json(&json(other).replacen(id, "3", 1));
            assert!(!matches!(once, Err(AppsError::Twice(..))), "{once:?}");
        }
    }

    #[test]
    fn a_field_is_named_once_too() {
        for json in [
            r#"{"zego":{},"zego":{}}"#,
            r#"{"zego":{"1":{"callback_secrets":[],"callback_secrets":[]}}}"#,
            r#"{"openim":{"main":{"secrets":[],"secrets":[]}}}"#,
            r#"{"openim":{"main":{"basic":[{"user":"u","user":"u","password":"p"}]}}}"#,
            r#"{"tencent":{"1":{"chat_tokens":[],"trtc_keys":[],"chat_tokens":[]}}}"#,
        ] {
            let error = Apps::from_json(json).unwrap_err();
            assert!(matches!(error, AppsError::Json { .. }), "{json}: {error}");
        }
    }

    #[test]
    fn two_openim_apps_cannot_have_a_credential_in_common() {
        for (a, b) in [
            (r#"{"secrets":["x","y"]}"#, r#"{"secrets":["y"]}"#),
            (
                r#"{"basic":[{"user":"u","password":"p"}]}"#,
                r#"{"basic":[{"user":"u","password":"p"}]}"#,
            ),
        ] {
            let json = format!(r#"{{"openim":{{"one":{a},"two":{b}}}}}"#);
            let error = Apps::from_json(&json).unwrap_err();
            assert!(matches!(error, AppsError::SharedCredential(..)), "{error}");
        }
        let same_app = r#"{"openim":{"one":{"secrets":["x","x"]},"two":{"secrets":["z"]}}}"#;
        assert!(Apps::from_json(same_app).is_ok());
        let by_white_space = r#"{"openim":{"one":{"secrets":["x "]},"two":{"secrets":["\tx"]}}}"#;
        let error = Apps::from_json(by_white_space).unwrap_err();
        assert!(matches!(error, AppsError::SharedCredential(..)), "{error}");
        let colon = r#"{"openim":{"one":{"basic":[{"user":"a:b","password":"c"}]}}}"#;
        assert!(matches!(Apps::from_json(colon), Err(AppsError::BasicUser(_))));
    }

    #[test]
    fn the_other_providers_may_share_the_json() {
        assert!(Apps::from_json(r#"{"openim":{"main":{"secrets":[]}},"tencent":{}}"#).is_ok());
    }
}
