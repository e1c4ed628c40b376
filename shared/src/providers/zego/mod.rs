//! ZEGOCLOUD's callbacks: those of rooms (Server API, "Callback", RTC), and in `zim` those of ZIM.
//!
//! POST to one URL per event, any 2xx is success, five retries after 2, 4, 8, 16 and 32 s, then
//! the callback is lost. Order is not guaranteed.

#[cfg(feature = "server-api")]
pub mod api;
#[cfg(feature = "server-api")]
mod api_account;
mod apps;
mod body;
mod changes;
mod event;
mod named;
mod room;
mod room_close;
mod room_create;
mod room_login;
mod room_logout;
mod rules;
mod says;
mod signature;
mod visits;
mod zim;

use std::time::Duration;

#[cfg(feature = "server-api")]
pub use api_account::{ApiAccount, SERVER_SECRET};
#[cfg(feature = "server-api")]
pub(super) use api_account::{ApiAccountJson, read_api_account};
pub use apps::{AppCredentials, Apps, CALLBACK_SECRETS, SERVER_SECRETS, ServerSecret};
pub(super) use apps::{AppJson, read_apps};
pub use room::rtc_name;
pub use room_close::RoomClose;
pub use room_create::RoomCreate;
pub use room_login::RoomLogin;
pub use room_logout::RoomLogout;
pub use rules::RULES;
pub(super) use rules::seats;
pub use signature::sign;
#[cfg(feature = "server-api")]
pub use zim::api as zim_api;
pub use zim::{RoomEvent, UserAction};

use crate::{
    callback::{Fields, Provider, Redelivery, Rejection, Verified, VerifyError, coded_reply},
    domain::{Outcome, ProviderName},
    http::{Reply, Request},
};

/// ZEGOCLOUD as a [`Provider`].
#[derive(Debug)]
pub struct Zego;

impl Provider for Zego {
    const NAME: ProviderName = ProviderName::Zego;
    const BODY_LIMIT: usize = 1 << 20;
    const REDELIVERY: Redelivery = Redelivery::Repeats;

    type Apps = Apps;
    type Body = Fields;

    fn verify(
        request: &Request,
        apps: &Apps,
        max_age: Duration,
    ) -> Result<Verified<Self>, VerifyError> {
        signature::verify(request, apps, max_age)
    }

    /// ZEGO reads the status only, and takes any 2xx for success.
    fn reply(_request: &Request, answer: &Result<Outcome, Rejection>) -> Reply {
        coded_reply(answer)
    }
}
