//! The account with which ZEGO's Server API is asked.

use serde::Deserialize;

use super::{Zego, apps::SERVER_SECRET_FORM};
use crate::{
    callback::{AppWarning, AppWarnings, Provider, Secret, SecretKind},
    domain::AppId,
    providers::{
        Robots,
        api::{BaseUrl, PlainHttp, ProviderApisError, number},
    },
};

/// The secret that signs requests to the Server API. It is not the one of callbacks.
pub const SERVER_SECRET: SecretKind =
    SecretKind { name: "server_secret", form: Some(SERVER_SECRET_FORM) };

/// The Server API of RTC that is nearest to most.
const URL: &str = "https://rtc-api.zego.im";

/// The same of ZIM.
const ZIM_URL: &str = "https://zim-api.zego.im";

/// What is needed to ask about an app.
#[derive(Debug, Clone)]
pub struct ApiAccount {
    /// Its AppID.
    pub app: u32,
    /// The secret that signs.
    pub server_secret: Secret,
    /// The Server API of RTC.
    pub url: BaseUrl,
    /// The Server API of ZIM.
    pub zim_url: BaseUrl,
    /// Which users are no people, as the app has them: what asks has no access to the apps.
    pub robots: Robots,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::providers) struct ApiAccountJson {
    server_secret: String,
    url: Option<String>,
    zim_url: Option<String>,
    #[serde(default)]
    robots: Vec<String>,
}

/// Reads an account, and adds what is odd about it; `None` if its secret is blank.
pub(in crate::providers) fn read_api_account(
    id: &AppId,
    json: ApiAccountJson,
    warnings: &mut AppWarnings,
) -> Result<Option<ApiAccount>, ProviderApisError> {
    let app = number(id).ok_or_else(|| ProviderApisError::Number(Zego::NAME, id.clone()))?;
    let url = |field, text: Option<String>, published| match text {
        None => Ok(BaseUrl::published(published)),
        Some(text) => BaseUrl::new(&text, PlainHttp::Loopback)
            .map_err(|fault| ProviderApisError::Url(Zego::NAME, id.clone(), field, fault)),
    };
    let robots = Robots::read(json.robots, warnings);
    let (url, zim_url) = (url("url", json.url, URL)?, url("zim_url", json.zim_url, ZIM_URL)?);
    let secret = SERVER_SECRET.take_all(vec![json.server_secret], warnings).pop();
    let Some(server_secret) = secret else {
        warnings.add(AppWarning::NotAsked);
        return Ok(None);
    };
    Ok(Some(ApiAccount { app, server_secret, url, zim_url, robots }))
}
