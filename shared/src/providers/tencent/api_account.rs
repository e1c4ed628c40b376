//! The account with which Chat's REST API is asked.

use serde::Deserialize;

use crate::{
    callback::{AppWarning, AppWarnings, Secret, SecretKind, trim},
    domain::{AppId, ProviderName},
    providers::api::{BaseUrl, PlainHttp, ProviderApisError, number},
};

/// The key that signs the administrator's `UserSig`.
pub const SECRET_KEY: SecretKind = SecretKind { name: "secret_key", ..super::SECRET_KEYS };

/// What is needed to ask about an app.
#[derive(Debug, Clone)]
pub struct ApiAccount {
    /// Its SDKAppID.
    pub app: u32,
    /// An administrator of the app.
    pub admin: String,
    /// The key that signs the administrator's `UserSig`.
    pub secret_key: Secret,
    /// The REST API: each region has its own.
    pub url: BaseUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct ApiAccountJson {
    admin: String,
    secret_key: String,
    url: String,
}

/// Reads an account, and adds what is odd about it; `None` if its key or its administrator is
/// blank.
pub(in crate::providers) fn read_api_account(
    id: &AppId,
    json: ApiAccountJson,
    warnings: &mut AppWarnings,
) -> Result<Option<ApiAccount>, ProviderApisError> {
    let provider = ProviderName::Tencent;
    let app = number(id).ok_or_else(|| ProviderApisError::Number(provider, id.clone()))?;
    let key = SECRET_KEY.take_all(vec![json.secret_key], warnings).pop();
    let admin = trim(&json.admin);
    let (Some(secret_key), false) = (key, admin.is_empty()) else {
        warnings.add(AppWarning::NotAsked);
        return Ok(None);
    };
    let url = BaseUrl::new(&json.url, PlainHttp::Loopback)
        .map_err(|fault| ProviderApisError::Url(provider, id.clone(), "url", fault))?;
    Ok(Some(ApiAccount { app, admin: admin.to_owned(), secret_key, url }))
}
