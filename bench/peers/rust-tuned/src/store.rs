//! The table, and the one client of it.

use std::env::{VarError, var};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, IdentityCache, Region, SharedHttpClient,
        StalledStreamProtectionConfig,
    },
    types::AttributeValue,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use lambda_http::Error;
use serde::Serialize;

use crate::login::Login;

/// DynamoDB's certificates chain to these five roots. To parse the system's bundle takes longer than
/// the rest of a start.
const AMAZON_ROOTS: &[u8] = include_bytes!("../../../../shared/src/aws/amazon-roots.pem");

pub(crate) struct Store {
    client: Client,
    table: String,
}

/// Whether an item was there before.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stored {
    New,
    Duplicate,
}

impl Store {
    /// Lambda has all that a client needs in the environment.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let optional = |name| match var(name) {
            Ok(value) => Ok(Some(value)),
            Err(VarError::NotPresent) => Ok(None),
            Err(error) => Err(error),
        };
        let credentials = Credentials::new(
            var("AWS_ACCESS_KEY_ID")?,
            var("AWS_SECRET_ACCESS_KEY")?,
            optional("AWS_SESSION_TOKEN")?,
            None,
            "environment",
        );
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(var("AWS_REGION")?))
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::no_cache())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http()?);
        config.set_endpoint_url(optional("AWS_ENDPOINT_URL_DYNAMODB")?);
        Ok(Self { client: Client::from_conf(config.build()), table: var("TUNED_TABLE")? })
    }

    /// Opens the connection, by reading an item that never exists.
    pub(crate) async fn read_nothing(&self) -> Result<(), Error> {
        let read = self.client.get_item().table_name(&self.table);
        read.key("pk", text("none")).key("sk", text("none")).send().await?;
        Ok(())
    }

    /// Stores a login once.
    pub(crate) async fn put(&self, login: &Login<'_>) -> Result<Stored, Error> {
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", text(&format!("user#{}", login.user_account)))
            .key("sk", text(&format!("session#{}", login.session_id)))
            .update_expression("SET room_id = :room, user_nickname = :name, login_time = :at")
            .condition_expression("attribute_not_exists(pk)")
            .expression_attribute_values(":room", text(&login.room_id))
            .expression_attribute_values(":name", text(&login.user_nickname))
            .expression_attribute_values(":at", AttributeValue::N(login.login_time.to_string()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Stored::New),
            Err(error) => match error.into_service_error() {
                error if error.is_conditional_check_failed_exception() => Ok(Stored::Duplicate),
                error => Err(error.into()),
            },
        }
    }
}

/// The SDK's own client with `ring`.
fn http() -> Result<SharedHttpClient, Error> {
    let roots = match var("AWS_CA_BUNDLE") {
        Ok(path) => std::fs::read(path)?,
        Err(_) => AMAZON_ROOTS.to_vec(),
    };
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let context = TlsContext::builder().with_trust_store(trust).build()?;
    Ok(Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
