//! ZEGO's apps and their secrets.

use std::collections::HashMap;

use serde::Deserialize;

use super::Zego;
use crate::{
    callback::{AppWarning, AppWarnings, Secret, SecretKind},
    domain::{AppId, ProviderName},
    providers::{
        self, Configured,
        apps::{AppsError, app_id},
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
}

/// Reads the apps, and adds what is odd about them.
pub(in crate::providers) fn read_apps(
    apps: HashMap<String, AppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<Apps, AppsError> {
    let mut read = Apps::new();
    for (id, app) in apps {
        let id = app_id(&id)?;
        let mut warnings = AppWarnings::new(ProviderName::Zego, id.clone());
        warnings.expect_number();
        let secrets = CALLBACK_SECRETS.take_all(app.callback_secrets, &mut warnings);
        if secrets.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        all_warnings.push(warnings);
        read.insert(id, secrets);
    }
    Ok(read)
}
