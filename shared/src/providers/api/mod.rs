//! What the providers' server APIs have in common: requests whose credentials do not print, and
//! errors that are never an answer.
//!
//! Each provider's own `api.rs` is pure: it makes a request, and reads an answer. Sending is the
//! work of [`crate::server_api`].

mod devices;
mod error;
mod fault;
#[cfg(test)]
pub(super) mod odd;
mod request;
mod rows;
mod url;

pub use devices::AccountDevices;
pub(super) use devices::Others;
pub use error::{ApiError, Cause, NoAnswer};
pub use fault::ProviderApisError;
pub use request::{Answer, ApiRequest, Nonce};
pub(super) use request::{Query, post};
pub(super) use rows::{body, rows};
pub use url::{BaseUrl, PlainHttp, UrlFault};

use crate::domain::AppId;

/// The id of an app that is a number above 0.
pub(super) fn number(app: &AppId) -> Option<u32> {
    let digits = app.as_str().bytes().all(|byte| byte.is_ascii_digit());
    app.as_str().parse().ok().filter(|app| digits && *app > 0)
}
