//! OpenIM's webhooks: registrations, changes of profiles, and devices that come online and go
//! offline.
//!
//! Read off the server's sources, v2 to v3.8.3. It never looks at the status of an answer, never
//! sends anything twice, and its two workers drop what waits. What its published page shows
//! (`?command=userRegisterAfterCommand`, `users` an object, `"nextCode":"0"`) no server has ever
//! sent; both dialects are understood, and each is answered in its own.

mod any;
#[cfg(feature = "server-api")]
pub mod api;
#[cfg(feature = "server-api")]
mod api_account;
mod apps;
mod command;
mod credentials;
mod device;
mod profile;
mod registration;
mod reply;
mod rules;
mod says;
mod user_offline;
mod user_online;
mod user_register;
mod user_update;

use std::time::Duration;

pub use any::Any;
#[cfg(feature = "server-api")]
pub use api_account::{API_SECRET, ApiAccount};
#[cfg(feature = "server-api")]
pub(super) use api_account::{ApiAccountJson, read_api_account};
pub use apps::{AppCredentials, Apps, BASIC_PASSWORDS, BASIC_USER, Basic, BasicUserError, SECRETS};
pub(super) use apps::{AppJson, read_apps};
pub use command::{Command, Dialect};
pub use rules::{RULES, SEATS};
pub use user_offline::UserOffline;
pub use user_online::UserOnline;
pub use user_register::UserRegister;
pub use user_update::UserUpdate;

use crate::{
    callback::{Fields, Provider, Redelivery, Rejection, Verified, VerifyError},
    domain::{Outcome, ProviderName},
    http::{Reply, Request},
};

/// OpenIM as a [`Provider`].
#[derive(Debug)]
pub struct OpenIm;

impl Provider for OpenIm {
    const NAME: ProviderName = ProviderName::OpenIm;
    /// A batch of registrations has no limit of its own at the sender.
    const BODY_LIMIT: usize = 4 << 20;
    const REDELIVERY: Redelivery = Redelivery::Never;

    type Apps = Apps;
    type Body = Fields;

    /// The age of a request is not known: nothing in it is signed.
    fn verify(
        request: &Request,
        apps: &Apps,
        _max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError> {
        credentials::verify(request, apps)
    }

    fn reply(request: &Request, answer: &Result<Outcome, Rejection>) -> Reply {
        reply::reply(Dialect::of(request), answer)
    }
}
