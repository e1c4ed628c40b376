//! What the clients of all AWS services share: region, credentials and endpoints from the
//! environment, and one HTTP client.
//!
//! `aws-config` would do this too. But it also brings all other sources of credentials, with two
//! more clients, an XML parser and Unicode's tables for host names: a megabyte that Lambda loads
//! and never uses.

mod http;
mod trust;

use std::{env, time::Duration};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion, stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{
    region::Region,
    sdk_config::Builder,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

pub use aws_types::SdkConfig;

pub use self::{http::HttpClient, trust::Trust};

/// How often a call is tried, if its time allows.
const ATTEMPTS: u32 = 4;

/// The longest random pause before the second attempt. The third waits up to twice as long. The
/// SDK's own pause after throttling is up to a second, which is too long for a callback.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Why an AWS client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable that Lambda sets is missing.
    #[error("{0} is not set")]
    Missing(&'static str),
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
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// The base configuration of all AWS clients of a function. Region and credentials come from
/// Lambda's environment, because other sources need the network. Endpoints are read as the SDK
/// reads them. The roots are Amazon's own, or those of `AWS_CA_BUNDLE`.
///
/// # Errors
///
/// [`EnvironmentError`] if a variable is missing, or the bundle is unusable.
pub fn from_env() -> Result<SdkConfig, EnvironmentError> {
    let trust = match variable("AWS_CA_BUNDLE") {
        Some(path) => Trust::bundle(path)?,
        None => Trust::amazon()?,
    };
    let region = required("AWS_REGION").or_else(|_| required("AWS_DEFAULT_REGION"));
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let mut config = shared(HttpClient::https(trust), credentials, Region::new(region?))
        .service_config(Environment);
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    config.set_use_fips(variable("AWS_USE_FIPS_ENDPOINT").map(|on| on == "true"));
    config.set_use_dual_stack(variable("AWS_USE_DUALSTACK_ENDPOINT").map(|on| on == "true"));
    Ok(config.build())
}

/// The configuration for a service at `endpoint` that checks no credentials, such as the embedded
/// DynamoDB. It has no TLS.
#[must_use]
pub fn at(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    let region = Region::from_static("us-east-1");
    shared(HttpClient::plain(), credentials, region).endpoint_url(endpoint).build()
}

fn shared(http: HttpClient, credentials: Credentials, region: Region) -> Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        // The environment's credentials do not change, so no cache is needed.
        .identity_cache(IdentityCache::no_cache())
        .retry_config(retries())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// The time limits of a call. With all retries, and with its answer read, it takes at most `whole`.
/// An attempt that hangs leaves enough time for another one, on another connection.
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

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.trim().is_empty())
}

fn required(name: &'static str) -> Result<String, EnvironmentError> {
    variable(name).ok_or(EnvironmentError::Missing(name))
}

/// A service's own settings, such as `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        variable(&format!("{}_{service}", key.env()))
    }
}
