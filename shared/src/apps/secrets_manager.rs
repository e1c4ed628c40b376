//! Secrets Manager: the only place that names it.

use std::{error::Error, time::Duration};

use aws_sdk_secretsmanager::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};

use crate::aws;

/// Why a secret could not be read. It never contains any of the secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// Secrets Manager refused, in its own words.
    #[error("Secrets Manager: {code}: {message}")]
    Refused { code: String, message: String },
    /// There was no answer.
    #[error("Secrets Manager: {0}")]
    NoAnswer(String),
    /// The answer cannot be read.
    #[error("Secrets Manager: its answer cannot be read")]
    Unreadable,
    /// The secret is binary.
    #[error("the secret is binary: store its JSON as text")]
    NoText,
    /// The secret is not the JSON that it should be.
    #[error("the secret {0}")]
    Content(String),
}

impl ReadError {
    pub(super) fn content(error: &impl ToString) -> Self {
        Self::Content(error.to_string())
    }
}

/// A secret by its name or its ARN.
#[derive(Debug)]
pub(super) struct StoredSecret {
    client: Client,
    id: String,
}

impl StoredSecret {
    pub(super) fn new(sdk: &aws::SdkConfig, id: String, limit: Duration) -> Self {
        let config = Builder::from(sdk).timeout_config(aws::timeouts(limit)).build();
        Self { client: Client::from_conf(config), id }
    }

    /// The id of its current version, and its text.
    pub(super) async fn read(&self) -> Result<(Option<String>, String), ReadError> {
        let secret = self.client.get_secret_value().secret_id(&self.id).send().await?;
        let text = secret.secret_string.ok_or(ReadError::NoText)?;
        Ok((secret.version_id, text))
    }
}

/// An SDK error displayed with its context would show the answer, and so the secret. Only parts
/// that cannot contain it are kept.
impl From<SdkError<GetSecretValueError>> for ReadError {
    fn from(error: SdkError<GetSecretValueError>) -> Self {
        match error {
            SdkError::ServiceError(context) => {
                let error = context.into_err();
                // An answer that is neither a secret nor an error counts as an unknown error.
                let Some(code) = error.code() else { return Self::Unreadable };
                let message = error.message().unwrap_or("no reason given");
                Self::Refused { code: code.to_owned(), message: message.to_owned() }
            }
            SdkError::ResponseError(_) => Self::Unreadable,
            error => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                Self::NoAnswer(text)
            }
        }
    }
}
