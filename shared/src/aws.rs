//! What all clients of AWS have in common: region, credentials, endpoints, TLS, timeouts and retries.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
    retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

/// How often a call is tried, if its time allows.
const ATTEMPTS: u32 = 4;

/// Up to how long the second attempt waits, at random, for the first; the third up to twice that. A
/// callback has no second to wait, as is the SDK's own measure for throttling.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file of `AWS_CA_BUNDLE` cannot be read.
    #[error("AWS_CA_BUNDLE names {path}, which cannot be read: {source}")]
    CaBundle {
        /// Its path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file of `AWS_CA_BUNDLE` holds no usable certificates.
    #[error("AWS_CA_BUNDLE names {path}, which holds no usable certificates")]
    NoCertificates {
        /// Its path.
        path: String,
    },
}

/// What the environment configures: region, credentials and endpoints as the SDK reads them, roots
/// from `AWS_CA_BUNDLE` if set. Nothing is connected to.
///
/// # Errors
///
/// [`ConnectError`] if `AWS_CA_BUNDLE` is set but unusable.
pub async fn from_env() -> Result<SdkConfig, ConnectError> {
    let tls = tls::Provider::Rustls(CryptoMode::Ring);
    let mut http = Builder::new().tls_provider(tls);
    if let Ok(path) = std::env::var("AWS_CA_BUNDLE") {
        http = http.tls_context(trust(path)?);
    }
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        // Lambda sets them. Other sources would be asked over the network.
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    Ok(config)
}

/// A service at `endpoint` that asks for no credentials, such as the embedded DynamoDB.
#[must_use]
pub fn at(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

/// The times within which a call has to come to an end, its answer read, all retries included:
/// `whole`. An attempt that hangs leaves the time for another one, on another connection.
pub(crate) fn timeouts(whole: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(whole / 3)
        .operation_attempt_timeout(whole / 2)
        .operation_timeout(whole)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF)
}

fn trust(path: String) -> Result<TlsContext, ConnectError> {
    let pem = match std::fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(ConnectError::CaBundle { path, source }),
    };
    let store = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    context.map_err(|_| ConnectError::NoCertificates { path })
}
