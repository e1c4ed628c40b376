//! Which requests a browser may send, and what it may do with the answers.
//!
//! A page from elsewhere runs in the same browser as the board. It can send requests to loopback,
//! and it can give its own name this machine's address (DNS rebinding). So everything but callbacks
//! wants the `Host` at which the gateway listens, and no other page's `Origin`. No answer allows
//! another origin to read it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::reply::message;

/// The port that an address of HTTP does not name.
const HTTP_PORT: u16 = 80;

/// The headers of every answer. No script, style or connection but the board's own.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Where a page's own request comes from, in `Sec-Fetch-Site`: the page itself, or the person who
/// typed the address.
const OWN_SITES: [&str; 2] = ["same-origin", "none"];

/// Guards all requests but some.
#[derive(Debug)]
pub struct Guard {
    address: SocketAddr,
    /// Names of this machine, with the port.
    hosts: Vec<String>,
    exempt: fn(&Request) -> bool,
}

impl Guard {
    /// A guard of what listens at this address. Exempt are callbacks: they may come through a
    /// tunnel, which has another name, and they are signed.
    #[must_use]
    pub fn new(address: SocketAddr, exempt: fn(&Request) -> bool) -> Self {
        let port = address.port();
        let mut hosts = vec![address.to_string()];
        for name in ["127.0.0.1", "localhost", "[::1]"] {
            hosts.push(format!("{name}:{port}"));
            hosts.extend((port == HTTP_PORT).then(|| name.to_owned()));
        }
        Self { address, hosts, exempt }
    }

    /// The same routes, guarded.
    pub fn around(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), guard))
    }

    /// Why a request is refused, if it is.
    fn refusal(&self, request: &Request) -> Option<Refusal> {
        let Some(host) = self.host(request) else { return Some(Refusal::Host(self.address)) };
        let own = format!("http://{host}");
        let is_own = |origin: &str| origin.eq_ignore_ascii_case(&own);
        if !all(request.headers(), &header::ORIGIN, is_own) {
            return Some(Refusal::Origin);
        }
        let site = HeaderName::from_static("sec-fetch-site");
        let is_own = |site: &str| OWN_SITES.contains(&site);
        (!all(request.headers(), &site, is_own)).then_some(Refusal::Site(self.address))
    }

    /// The `Host` of a request, if it is one of this machine.
    fn host<'a>(&self, request: &'a Request) -> Option<&'a str> {
        let is_own = |host: &str| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
        // A request to a proxy names its host in its first line, too.
        let is_for_us = request.uri().authority().is_none_or(|host| is_own(host.as_str()));
        let is_for_us = is_for_us && all(request.headers(), &header::HOST, is_own);
        request.headers().get(header::HOST).filter(|_| is_for_us)?.to_str().ok()
    }
}

/// Whether all values of a header are so.
fn all(headers: &HeaderMap, name: &HeaderName, is_so: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(&is_so))
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("only callbacks may come by another Host: open http://{0}/")]
    Host(SocketAddr),
    #[error("another page may not ask this gateway")]
    Origin,
    #[error("another page may not open or ask this gateway: type http://{0}/")]
    Site(SocketAddr),
}

async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if (guard.exempt)(&request) {
        return next.run(request).await;
    }
    let mut response = match guard.refusal(&request) {
        Some(refusal) => message(StatusCode::FORBIDDEN, &refusal.to_string()),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
