//! Chat's REST API.

use std::{sync::Arc, time::Duration};

use super::{
    caller::Caller,
    kept::Kept,
    limits::{Counted, Limit},
};
use crate::{
    callback::Secret,
    domain::{App, UnixMillis, UserId},
    providers::{
        api::{AccountDevices, ApiError, Nonce},
        tencent::{
            ApiAccount,
            api::{self, ONLINE_STATUS},
        },
    },
    user_sig::{Claims, Lifetime, SdkAppId},
};

/// Questions about users of an app.
const QUESTIONS: Limit = Limit::per_second(200);

/// How long the administrator's UserSig is valid.
const VALID_FOR: Duration = Duration::from_hours(24);

/// What a provider said of one user's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSaid {
    /// Who.
    pub user: UserId,
    /// When they were asked about, by our clock.
    pub at: UnixMillis,
    /// What was said.
    pub devices: AccountDevices,
}

/// Asks Chat about one app.
#[derive(Debug, Clone)]
pub struct ChatApi {
    app: App,
    account: Arc<ApiAccount>,
    user_sig: Arc<Kept>,
    caller: Caller,
}

impl ChatApi {
    pub(super) fn new(app: App, account: ApiAccount, caller: Caller) -> Self {
        Self { app, account: Arc::new(account), user_sig: Arc::default(), caller }
    }

    /// On which devices some users are online, 500 at a time. A user of whom Chat says nothing clear
    /// is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. Nothing follows from it about anybody.
    pub async fn online_status(&self, users: &[UserId]) -> Result<Vec<AccountSaid>, ApiError> {
        let mut said = Vec::new();
        for batch in users.chunks(api::MAX_USERS) {
            let counted = [(Counted::App(self.app.clone(), ONLINE_STATUS), QUESTIONS)];
            let request = |at: UnixMillis, nonce: Nonce| {
                let [a, b, c, d, ..] = nonce.0;
                let random = u32::from_be_bytes([a, b, c, d]);
                api::online_status(&self.account, &self.user_sig(at)?, batch, random)
            };
            let read = |_, answer: &_| api::read_online_status(batch, answer);
            let asked = self.caller.ask(&counted, request, read).await.inspect_err(|error| {
                if error.is_about_credentials() {
                    self.user_sig.forget();
                }
            })?;
            let mut answer = asked.answer;
            for user in batch {
                if let Some((user, devices)) = answer.remove_entry(user) {
                    said.push(AccountSaid { user, at: asked.at, devices });
                }
            }
        }
        Ok(said)
    }

    /// The administrator's UserSig.
    fn user_sig(&self, now: UnixMillis) -> Result<Secret, ApiError> {
        if let Some(user_sig) = self.user_sig.get(now) {
            return Ok(user_sig);
        }
        let failed = |why| ApiError::NotAsked { action: ONLINE_STATUS, why };
        let account = &self.account;
        let claims = Claims {
            app: SdkAppId::try_from(u64::from(account.app))
                .map_err(|_| failed("the app's id is no SDKAppID"))?,
            user: account
                .admin
                .parse()
                .map_err(|_| failed("`admin` is not 1 to 32 characters of [A-Za-z0-9_-]"))?,
            issued_at: now.seconds(),
            lifetime: Lifetime::from_seconds(VALID_FOR.as_secs()).unwrap_or(Lifetime::DEFAULT),
        };
        let ticket = claims.user_sig(&account.secret_key);
        let ticket = ticket.ok().and_then(|ticket| Secret::new(ticket.expose().to_owned()));
        let user_sig = ticket.ok_or(failed("no UserSig can be minted"))?;
        self.user_sig.keep(user_sig.clone(), now, VALID_FOR);
        Ok(user_sig)
    }
}
