//! The DynamoDB client.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{IdentityCache, retry::RetryConfig, timeout::TimeoutConfig},
};

use crate::aws::{self, EnvironmentError};

/// A client as the environment configures it, see [`aws::from_environment`]. No call takes longer
/// than `budget`.
///
/// # Errors
///
/// [`EnvironmentError`] if something is missing there.
pub fn connect(budget: Duration) -> Result<Client, EnvironmentError> {
    Ok(client(aws::from_environment()?, budget))
}

/// A client for a DynamoDB at `endpoint` that asks for no credentials, such as the embedded one.
#[must_use]
pub fn connect_to(endpoint: &str, budget: Duration) -> Client {
    client(aws::at(endpoint), budget)
}

fn client(config: aws::ConfigBuilder, budget: Duration) -> Client {
    let config = config
        .timeout_config(timeouts(budget))
        .retry_config(RetryConfig::standard())
        // The environment's credentials stay as they are: there is nothing to look up.
        .identity_cache(IdentityCache::no_cache());
    Client::new(&config.build())
}

/// Two attempts fit into the budget.
fn timeouts(budget: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(budget / 3)
        .operation_attempt_timeout(budget / 2)
        .operation_timeout(budget)
        .build()
}
