//! The address of a server API.

use std::{fmt, net::IpAddr};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::callback::trim;

/// Where a server API may be asked without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// On this machine.
    Loopback,
    /// Anywhere: an installation of one's own may be in the same private network.
    Anywhere,
}

/// Why a text is no [`BaseUrl`]. The text follows the name of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It is no URL, or has another scheme.
    #[error("is not a URL that begins with https://")]
    NotUrl,
    /// Its credentials would be sent in plain text.
    #[error("begins with http://, which would send credentials in plain text: use https://")]
    Plain,
    /// It has a user or a password.
    #[error("has a user in it: credentials have fields of their own")]
    Userinfo,
    /// It has a query or a fragment.
    #[error("has a `?` or a `#`: only a host and a path may be in it")]
    Query,
}

/// The address below which all paths of a server API are, without a `/` at its end.
///
/// ```
/// use rollcall::providers::api::{BaseUrl, PlainHttp, UrlFault};
///
/// let url = BaseUrl::new(" https://rtc-api.zego.im/", PlainHttp::Loopback)?;
/// assert_eq!(url.as_str(), "https://rtc-api.zego.im");
/// let plain = BaseUrl::new("http://rtc-api.zego.im", PlainHttp::Loopback);
/// assert_eq!(plain, Err(UrlFault::Plain));
/// # Ok::<(), UrlFault>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Checks an address, without what [`trim`] removes.
    ///
    /// # Errors
    ///
    /// [`UrlFault`]
    pub fn new(text: &str, plain: PlainHttp) -> Result<Self, UrlFault> {
        let text = trim(text);
        if text.contains(['?', '#']) {
            return Err(UrlFault::Query);
        }
        let url: Uri = text.parse().map_err(|_| UrlFault::NotUrl)?;
        let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) else {
            return Err(UrlFault::NotUrl);
        };
        if authority.as_str().contains('@') {
            return Err(UrlFault::Userinfo);
        }
        if authority.host().is_empty() || (authority.port().is_none() && has_colon(authority)) {
            return Err(UrlFault::NotUrl);
        }
        let is_plain = *scheme == Scheme::HTTP;
        if !is_plain && *scheme != Scheme::HTTPS {
            return Err(UrlFault::NotUrl);
        }
        if is_plain && plain == PlainHttp::Loopback && !is_loopback(authority.host()) {
            return Err(UrlFault::Plain);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// A provider's published address.
    pub(in crate::providers) fn published(url: &'static str) -> Self {
        Self(url.to_owned())
    }

    /// The address, without a `/` at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Whether something follows a host that is no port.
fn has_colon(authority: &Authority) -> bool {
    authority.as_str().len() > authority.host().len()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_travel_over_tls_or_stay_on_this_machine() {
        for (text, loopback, anywhere) in [
            ("https://rtc-api.zego.im", Ok(()), Ok(())),
            ("HTTPS://rtc-api.zego.im:8443/base/", Ok(()), Ok(())),
            ("http://127.0.0.1:9300", Ok(()), Ok(())),
            ("http://127.9.9.9", Ok(()), Ok(())),
            ("http://[::1]:9300", Ok(()), Ok(())),
            ("http://localhost:9300/", Ok(()), Ok(())),
            ("http://rtc-api.zego.im", Err(UrlFault::Plain), Ok(())),
            ("http://127.0.0.1.example.com", Err(UrlFault::Plain), Ok(())),
            ("http://localhost.example.com", Err(UrlFault::Plain), Ok(())),
            ("http://10.0.0.7:10002", Err(UrlFault::Plain), Ok(())),
            ("https://u:p@example.com", Err(UrlFault::Userinfo), Err(UrlFault::Userinfo)),
            ("https://u@example.com", Err(UrlFault::Userinfo), Err(UrlFault::Userinfo)),
            ("https://example.com?key=1", Err(UrlFault::Query), Err(UrlFault::Query)),
            ("https://example.com/#top", Err(UrlFault::Query), Err(UrlFault::Query)),
            ("", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("   ", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("example.com", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("/base", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("https://", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("https://example.com:x", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("https://example.com:99999", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("ftp://example.com", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
            ("https://exa mple.com", Err(UrlFault::NotUrl), Err(UrlFault::NotUrl)),
        ] {
            assert_eq!(BaseUrl::new(text, PlainHttp::Loopback).map(drop), loopback, "{text}");
            assert_eq!(BaseUrl::new(text, PlainHttp::Anywhere).map(drop), anywhere, "{text}");
        }
    }
}
