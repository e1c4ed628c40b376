//! Sends a request to a server API, over the HTTP client that the AWS clients use.
//!
//! A provider's certificate has any root, so the system's bundle is trusted: the file of
//! `SSL_CERT_FILE`, the folder of `SSL_CERT_DIR`, or else where the system keeps it.
//! `AWS_CA_BUNDLE` does not apply. There is no proxy, and no redirect is followed: a request holds
//! credentials, which are for the host that was configured.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::providers::api::{Answer, ApiError, ApiRequest, NoAnswer};

/// How long a connection may be idle and still be used: less than servers keep one.
const IDLE: Duration = Duration::from_secs(10);

/// The longest answer that is read: a thousand profiles with some kilobytes each.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a connection over TCP.
    pub connection: Duration,
    /// For the whole answer, connection included.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connection: Duration::from_secs(3), answer: Duration::from_secs(10) }
    }
}

/// Why there is no [`Transport`].
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A bundle has no certificate.
    #[error("a bundle of root certificates has none that can be used")]
    NoRoots,
}

/// An HTTP client that keeps its connections.
#[derive(Clone)]
pub struct Transport {
    to: To,
    patience: Patience,
}

/// Where requests go.
#[derive(Clone)]
enum To {
    /// To the host in their URL.
    Host(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    /// To a function of this process.
    Function(Arc<dyn Fn(Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync>),
}

impl Transport {
    /// A client that trusts the system's roots. If there are none, it logs a warning: then only
    /// HTTP servers can be asked.
    ///
    /// # Errors
    ///
    /// [`TransportError::Tls`]
    pub fn system(patience: Patience) -> Result<Self, TransportError> {
        let roots = rustls_native_certs::load_native_certs();
        if roots.certs.is_empty() {
            let errors = roots.errors.len();
            tracing::warn!(errors, "the system has no root certificates: set SSL_CERT_FILE");
        }
        Self::trusting(roots.certs, patience)
    }

    /// A client that trusts the roots of a PEM file's text, and no others.
    ///
    /// # Errors
    ///
    /// [`TransportError`]
    pub fn bundle(pem: &[u8], patience: Patience) -> Result<Self, TransportError> {
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
        if roots.is_empty() {
            return Err(TransportError::NoRoots);
        }
        Self::trusting(roots, patience)
    }

    fn trusting(
        certificates: Vec<CertificateDer<'static>>,
        patience: Patience,
    ) -> Result<Self, TransportError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience.connection));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(https);
        Ok(Self { to: To::Host(client), patience })
    }

    /// No HTTP: a function of this process answers, or lets a request hang. For tests, which play a
    /// provider in a time of their own.
    pub fn answered_by(
        answer: impl Fn(Request<Bytes>) -> Option<Response<Bytes>> + Send + Sync + 'static,
        patience: Patience,
    ) -> Self {
        Self { to: To::Function(Arc::new(answer)), patience }
    }

    /// Sends a request, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// [`ApiError::NoAnswer`]. It holds nothing of the request but its action.
    pub async fn send(&self, request: ApiRequest) -> Result<Answer, ApiError> {
        let action = request.action();
        let answer = tokio::time::timeout(self.patience.answer, self.exchange(request)).await;
        answer.unwrap_or(Err(NoAnswer::TimedOut)).map_err(|why| ApiError::NoAnswer { action, why })
    }

    async fn exchange(&self, request: ApiRequest) -> Result<Answer, NoAnswer> {
        let request = request.into_http();
        let client = match &self.to {
            To::Host(client) => client,
            To::Function(answer) => {
                let Some(response) = answer(request) else { return std::future::pending().await };
                let status = response.status();
                return Ok(Answer { status, body: response.into_body() });
            }
        };
        let response = client.request(request.map(Full::new)).await;
        let response = response.map_err(|error| unsent(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() { NoAnswer::TooLong } else { NoAnswer::Lost }
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// Why there is no head of an answer. The error's own text is not kept.
fn unsent(error: &legacy::Error) -> NoAnswer {
    let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    if cause::<rustls::Error>(error, |_| true) {
        NoAnswer::Tls
    } else if cause(error, is_late) {
        NoAnswer::TimedOut
    } else if error.is_connect() {
        NoAnswer::NoConnection
    } else if cause(error, hyper::Error::is_parse) {
        NoAnswer::NotHttp
    } else {
        NoAnswer::Lost
    }
}

/// Whether one of the causes of an error is such an error. An error of IO may wrap another one, which
/// is then not its source.
fn cause<E: Error + 'static>(error: &(dyn Error + 'static), is_such: impl Fn(&E) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref().is_some_and(&is_such) {
            return true;
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
