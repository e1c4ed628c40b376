//! The account with which OpenIM's REST API is asked.

use serde::Deserialize;

use super::OpenIm;
use crate::{
    callback::{AppWarning, AppWarnings, Provider, Secret, SecretKind, trim},
    domain::AppId,
    providers::api::{BaseUrl, PlainHttp, ProviderApisError},
};

/// The installation's secret (`share.yml`), which mints tokens. It is any text.
pub const API_SECRET: SecretKind = SecretKind::any("secret");

/// The administrator of an installation that was not changed.
const ADMIN: &str = "imAdmin";

/// What is needed to ask about an installation.
#[derive(Debug, Clone)]
pub struct ApiAccount {
    /// Its secret.
    pub secret: Secret,
    /// An administrator.
    pub admin: String,
    /// The REST API.
    pub url: BaseUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct ApiAccountJson {
    secret: String,
    admin: Option<String>,
    url: String,
}

/// Reads an account, and adds what is odd about it; `None` if its secret is blank.
pub(in crate::providers) fn read_api_account(
    id: &AppId,
    json: ApiAccountJson,
    warnings: &mut AppWarnings,
) -> Result<Option<ApiAccount>, ProviderApisError> {
    let admin = json.admin.as_deref().map(trim).filter(|admin| !admin.is_empty());
    let Some(secret) = API_SECRET.take_all(vec![json.secret], warnings).pop() else {
        warnings.add(AppWarning::NotAsked);
        return Ok(None);
    };
    let url = BaseUrl::new(&json.url, PlainHttp::Anywhere)
        .map_err(|fault| ProviderApisError::Url(OpenIm::NAME, id.clone(), "url", fault))?;
    Ok(Some(ApiAccount { secret, admin: admin.unwrap_or(ADMIN).to_owned(), url }))
}
