//! `OpenIM`'s installations and their secrets.

use std::collections::HashMap;

use serde::Deserialize;

use super::OpenIm;
use crate::{
    callback::{AppWarning, AppWarnings, Provider, Secret, SecretFault, SecretKind, trim},
    domain::AppId,
    providers::{
        self, Configured,
        apps::{self, AppsError, AppsJson},
    },
};

/// The platform's secrets, which are any text.
pub const SECRETS: SecretKind = SecretKind::any("secrets");

/// The name of the users of callback URLs in the apps' JSON.
pub const BASIC_USER: &str = "basic.user";

/// The passwords of callback URLs, which are any text.
pub const BASIC_PASSWORDS: SecretKind = SecretKind::any("basic.password");

/// OpenIM installations by the names that the configuration gives them. No two have a credential
/// in common, because the credential identifies the installation.
pub type Apps = HashMap<AppId, AppCredentials>;

/// The credentials that prove that a request comes from an installation.
#[derive(Debug, Clone, Default)]
pub struct AppCredentials {
    /// Values of `secret` in the body.
    pub secrets: Vec<Secret>,
    /// Userinfo of the callback URL.
    pub basic: Vec<Basic>,
}

/// The userinfo of a callback URL.
#[derive(Debug, Clone)]
pub struct Basic {
    user: String,
    password: Secret,
}

/// Why a text cannot be the user of [`Basic`] credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicUserError {
    /// It is empty, or has only characters that nobody can see.
    #[error("is empty or blank")]
    Blank,
    /// It has a colon, which separates user and password.
    #[error("has a colon")]
    Colon,
}

impl Basic {
    /// Makes credentials of a user, without what [`trim`] removes, and a password.
    ///
    /// # Errors
    ///
    /// [`BasicUserError`]
    pub fn new(user: &str, password: Secret) -> Result<Self, BasicUserError> {
        let user = trim(user).to_owned();
        if user.is_empty() {
            return Err(BasicUserError::Blank);
        }
        if user.contains(':') {
            return Err(BasicUserError::Colon);
        }
        Ok(Self { user, password })
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The text that `Authorization: Basic` has in base64.
    #[must_use]
    pub fn user_pass(&self) -> String {
        format!("{}:{}", self.user, self.password.expose())
    }
}

impl Configured for OpenIm {
    fn of(apps: &providers::Apps) -> &Apps {
        &apps.openim
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct AppJson {
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    basic: Vec<BasicJson>,
    #[serde(default)]
    robots: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicJson {
    user: String,
    password: String,
}

/// Reads the apps, and adds what is odd about them.
pub(in crate::providers) fn read_apps(
    apps: AppsJson<AppJson>,
    all_warnings: &mut Vec<AppWarnings>,
) -> Result<Apps, AppsError> {
    let read = apps::read_apps(OpenIm::NAME, apps, all_warnings, |id, app, warnings| {
        warnings.expect_trimmed();
        let mut basic = Vec::new();
        for BasicJson { user, password } in app.basic {
            let passwords = BASIC_PASSWORDS.take_all(vec![password], warnings);
            for password in passwords {
                match Basic::new(&user, password) {
                    Ok(known) => {
                        if known.user().len() < user.len() {
                            let fault = SecretFault::Surrounded;
                            warnings.add(AppWarning::Secret(BASIC_USER, fault));
                        }
                        basic.push(known);
                    }
                    Err(BasicUserError::Blank) => {
                        let fault = SecretFault::Blank;
                        warnings.add(AppWarning::Secret(BASIC_USER, fault));
                    }
                    Err(BasicUserError::Colon) => return Err(AppsError::BasicUser(id.clone())),
                }
            }
        }
        let secrets = SECRETS.take_all(app.secrets, warnings);
        if secrets.is_empty() && basic.is_empty() {
            warnings.add(AppWarning::NoSecret);
        }
        if !app.robots.is_empty() {
            warnings.add(AppWarning::RobotsWithoutRooms);
        }
        Ok(AppCredentials { secrets, basic })
    })?;
    let mut owners = HashMap::new();
    for (id, app) in &read {
        let of_body = app.secrets.iter().map(|secret| ("secret", secret.expose().to_owned()));
        let of_url = app.basic.iter().map(|basic| ("basic", basic.user_pass()));
        for credential in of_body.chain(of_url) {
            if let Some(other) = owners.insert(credential, id).filter(|other| *other != id) {
                return Err(AppsError::SharedCredential(other.clone(), id.clone()));
            }
        }
    }
    Ok(read)
}
