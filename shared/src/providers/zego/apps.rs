//! ZEGO's apps and their secrets.

use std::collections::HashMap;

use serde::Deserialize;

use super::Zego;
use crate::{
    callback::{AppWarning, AppWarnings, Provider, Secret, SecretKind},
    domain::AppId,
    providers::{
        self, Configured, Robots,
        apps::{self, AppsError, AppsJson},
    },
};

/// An app's callback secrets. ZEGO says nothing of what they look like.
pub const CALLBACK_SECRETS: SecretKind = SecretKind::any("callback_secrets");

/// ZEGO's apps by `AppID`, each with its callback secrets. The first secret signs, all verify.
pub type Apps = HashMap<AppId, Vec<Secret>>;

impl Configured for Zego {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.zego
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct AppJson {
    callback_secrets: Vec<String>,
    #[serde(default)]
    robots: Vec<String>,
}

/// Reads the apps, each with its robots, and adds what is odd about them.
pub(in crate::providers) fn read_apps(
    apps: AppsJson<AppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<HashMap<AppId, (Vec<Secret>, Robots)>, AppsError> {
    apps::read_apps(Zego::NAME, apps, all_warnings, |_, app, warnings| {
        warnings.expect_number();
        let secrets = CALLBACK_SECRETS.take_all(app.callback_secrets, warnings);
        if secrets.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        Ok((secrets, Robots::read(app.robots, warnings)))
    })
}
