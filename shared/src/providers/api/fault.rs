//! What can be wrong with the accounts of the server APIs.

use super::UrlFault;
use crate::{
    domain::{AppId, ProviderName},
    providers::AppsError,
};

/// What is wrong with the accounts' JSON. Never holds any of it that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ProviderApisError {
    /// It cannot be read.
    #[error(
        "is broken at line {line}, column {column}: it has to look like \
         {{\"zego\":{{\"1\":{{\"server_secret\":\"...\"}}}}}}"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An app cannot be, or is there twice.
    #[error(transparent)]
    App(#[from] AppsError),
    /// An app's id has to be a number.
    #[error("names the {0} app `{1}`, whose id is not a whole number from 1 to {max}", max = u32::MAX)]
    Number(ProviderName, AppId),
    /// A URL cannot be used.
    #[error("gives the {0} app `{1}` a `{2}` that {3}")]
    Url(ProviderName, AppId, &'static str, UrlFault),
}
