//! The DynamoDB client, and what it has in common with the clients of other services.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
    retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
};
use aws_smithy_http_client::{
    Builder,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

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

/// What all clients share, as the environment configures it: region, credentials and endpoints as
/// the SDK reads them, roots from `AWS_CA_BUNDLE` if set, one HTTP client. No call takes longer than
/// `budget`.
///
/// # Errors
///
/// [`ConnectError`] if `AWS_CA_BUNDLE` is set but unusable.
pub async fn sdk_config(budget: Duration) -> Result<SdkConfig, ConnectError> {
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
        .timeout_config(timeouts(budget))
        .retry_config(RetryConfig::standard())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    Ok(config)
}

/// A client as the environment configures it.
#[must_use]
pub fn connect(config: &SdkConfig) -> Client {
    Client::new(config)
}

/// What all clients share, for services at `endpoint` that ask for no credentials, such as the
/// embedded DynamoDB.
#[must_use]
pub fn sdk_config_to(endpoint: &str, budget: Duration) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Builder::new().build_http())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(timeouts(budget))
        .retry_config(RetryConfig::standard())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

/// A client for a DynamoDB at `endpoint`, see [`sdk_config_to`].
#[must_use]
pub fn connect_to(endpoint: &str, budget: Duration) -> Client {
    connect(&sdk_config_to(endpoint, budget))
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

/// Two attempts fit into the budget.
fn timeouts(budget: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(budget / 3)
        .operation_attempt_timeout(budget / 2)
        .operation_timeout(budget)
        .build()
}
