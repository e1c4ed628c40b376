//! What can be wrong with the apps' JSON.

use crate::domain::AppId;

/// What is wrong with the apps' JSON. Never holds any of it that could be a secret.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// It cannot be read.
    #[error(
        "is broken at line {line}, column {column}: it has to look like \
         {{\"zego\":{{\"1\":{{\"callback_secrets\":[\"...\"]}}}}}}"
    )]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An app's id is no id.
    #[error("names an app that cannot be: its id is empty or too long")]
    AppId,
    /// Two `OpenIM` apps have a credential in common, so a request could belong to either.
    #[error("gives the OpenIM apps `{0}` and `{1}` a credential in common")]
    SharedCredential(AppId, AppId),
    /// A user of Basic credentials cannot have a colon.
    #[error("gives the OpenIM app `{0}` a `basic` user with a colon")]
    BasicUser(AppId),
}

/// Reads the id of an app.
pub(super) fn app_id(id: &str) -> Result<AppId, AppsError> {
    id.parse().map_err(|_| AppsError::AppId)
}
