//! The HTTP client of the AWS clients: only HTTP/1.1 over `rustls` with `ring`.
//!
//! `aws-smithy-http-client` would add HTTP/2, proxies, and a certificate verifier that cannot be
//! replaced.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::http::Uri;
use aws_smithy_runtime_api::client::{
    connection::{CaptureSmithyConnection, ConnectionMetadata},
    http::{self, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, retry::ErrorKind};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{CaptureConnection, Connect, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower::{
    Service,
    timeout::{Timeout, error::Elapsed},
    util::MapFuture,
};

use super::Trust;

/// How long a connection may be idle and still be used. AWS's servers keep one longer: 60 s by the
/// default of its SDKs. The first attempt on a connection that the server has dropped would fail,
/// and a function that was frozen meanwhile does not notice the drop.
const IDLE: Duration = Duration::from_secs(50);

/// An HTTP client that keeps its connections.
pub struct HttpClient {
    connect: Box<dyn Fn(Option<Duration>) -> SharedHttpConnector + Send + Sync>,
    /// By their connect timeouts.
    connectors: Mutex<HashMap<Option<Duration>, SharedHttpConnector>>,
}

impl HttpClient {
    /// A client for HTTPS servers whose certificates `trust` accepts, and for HTTP servers.
    #[must_use]
    pub fn https(trust: Trust) -> Self {
        Self::new(move |timeout| {
            let https = HttpsConnectorBuilder::new()
                .with_tls_config(trust.0.clone())
                .https_or_http()
                .enable_http1()
                .wrap_connector(tcp());
            pooled(Timeout::new(https, timeout.unwrap_or(Duration::MAX)))
        })
    }

    /// A client without TLS.
    #[must_use]
    pub fn plain() -> Self {
        Self::new(|timeout| pooled(Timeout::new(tcp(), timeout.unwrap_or(Duration::MAX))))
    }

    fn new(
        connect: impl Fn(Option<Duration>) -> SharedHttpConnector + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Box::new(connect), connectors: Mutex::default() }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

fn pooled<S>(connector: S) -> SharedHttpConnector
where
    S: Service<Uri, Future: Send + 'static> + Clone + Send + Sync + 'static,
    MapFuture<S, fn(S::Future) -> Pin<Box<S::Future>>>: Connect,
{
    let boxed: fn(S::Future) -> Pin<Box<S::Future>> = Box::pin;
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(MapFuture::new(connector, boxed));
    SharedHttpConnector::new(Connector(client))
}

impl http::HttpClient for HttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeout = settings.connect_timeout();
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.entry(timeout).or_insert_with(|| (self.connect)(timeout)).clone()
    }
}

struct Connector<C>(Client<C, SdkBody>);

impl<C> fmt::Debug for Connector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl<C: Connect + Clone + Send + Sync + 'static> http::HttpConnector for Connector<C> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        // The SDK closes a connection after a server error, to reach another server.
        let connection = capture_connection(&mut request);
        if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
            capture.set_connection_retriever(move || Some(metadata(connection.clone())));
        }
        let response = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = response.await.map_err(connector_error)?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn metadata(connection: CaptureConnection) -> ConnectionMetadata {
    let poison = move || {
        if let Some(connection) = connection.connection_metadata().as_ref() {
            connection.poison();
        }
    };
    ConnectionMetadata::builder().proxied(false).poison_fn(poison).build()
}

/// The kind of error, from which the SDK decides whether to try again.
fn connector_error(error: legacy::Error) -> ConnectorError {
    let io = error.is_connect() || source::<std::io::Error>(&error).is_some();
    match source::<hyper::Error>(&error) {
        _ if source::<Elapsed>(&error).is_some() => ConnectorError::timeout(error.into()),
        Some(http) if http.is_user() => ConnectorError::user(error.into()),
        // The server closed the connection without an answer, as it does with an idle one.
        Some(http) if http.is_incomplete_message() => {
            ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
        }
        Some(http) if http.is_closed() || http.is_canceled() => ConnectorError::io(error.into()),
        _ if io => ConnectorError::io(error.into()),
        _ => ConnectorError::other(error.into(), None),
    }
}

fn source<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(<dyn Error>::downcast_ref)
}
