//! OpenIM's REST API.

use std::sync::Arc;

use http::StatusCode;

use super::{
    caller::{Asked, Caller},
    chat::AccountSaid,
    kept::Kept,
    limits::{Counted, Limit},
};
use crate::{
    callback::Secret,
    domain::{App, Registration, RegistrationSource, UnixMillis, UserId},
    providers::{
        api::{Answer, ApiError, ApiRequest, Nonce},
        openim::{
            ApiAccount,
            api::{self, Page, RegisterStatistics, TokenDialect, UsersPage},
        },
    },
};

/// The server has no limit of its own. This one leaves it time for its users.
const QUESTIONS: Limit = Limit::per_second(20);

/// Asks one installation of `OpenIM`.
#[derive(Debug, Clone)]
pub struct OpenImApi {
    app: App,
    account: Arc<ApiAccount>,
    token: Arc<Kept>,
    caller: Caller,
}

impl OpenImApi {
    pub(super) fn new(app: App, account: ApiAccount, caller: Caller) -> Self {
        Self { app, account: Arc::new(account), token: Arc::default(), caller }
    }

    /// The administrator's token: the one that is known, or a new one.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn token(&self) -> Result<Secret, ApiError> {
        if let Some(token) = self.token.get(self.caller.now()) {
            return Ok(token);
        }
        let asked = match self.new_token(TokenDialect::AdminToken).await {
            Err(ApiError::Status { status: StatusCode::NOT_FOUND, .. }) => {
                self.new_token(TokenDialect::UserToken).await?
            }
            asked => asked?,
        };
        let token = asked.answer;
        self.token.keep(token.secret.clone(), asked.at, token.valid_for);
        Ok(token.secret)
    }

    async fn new_token(&self, dialect: TokenDialect) -> Result<Asked<api::Token>, ApiError> {
        let account = &self.account;
        let counted = [self.counted(api::ADMIN_TOKEN)];
        let request = |_, operation| api::token(account, dialect, operation);
        self.caller.ask(&counted, request, |_, answer| api::read_token(dialect, answer)).await
    }

    /// On which devices some users are online, a thousand at a time. A user of whom the server says
    /// nothing clear is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. Nothing follows from it about anybody.
    pub async fn users_status(&self, users: &[UserId]) -> Result<Vec<AccountSaid>, ApiError> {
        let mut said = Vec::new();
        for batch in users.chunks(api::MAX_USERS) {
            let request = |token: &Secret, operation| {
                api::users_status(&self.account, token, batch, operation)
            };
            let read = |_, answer: &_| api::read_users_status(batch, answer);
            let asked = self.ask(api::USERS_STATUS, request, read).await?;
            let mut answer = asked.answer;
            for user in batch {
                if let Some((user, devices)) = answer.remove_entry(user) {
                    said.push(AccountSaid { user, at: asked.at, devices });
                }
            }
        }
        Ok(said)
    }

    /// A page of the users, each as a registration from `source`. Only ordinary users and
    /// administrators are in the list.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn users(
        &self,
        page: Page,
        source: RegistrationSource,
    ) -> Result<UsersPage<Registration>, ApiError> {
        let request = |token: &Secret, operation| api::users(&self.account, token, page, operation);
        let read = |at, answer: &_| api::read_users(&self.app, source, at, answer);
        Ok(self.ask(api::USERS, request, read).await?.answer)
    }

    /// A page of the ids of all users. The pages have no order that lasts.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn all_users_uid(&self, page: Page) -> Result<UsersPage<UserId>, ApiError> {
        let request =
            |token: &Secret, operation| api::all_users_uid(&self.account, token, page, operation);
        let read = |_, answer: &_| api::read_all_users_uid(answer);
        Ok(self.ask(api::ALL_USERS_UID, request, read).await?.answer)
    }

    /// The profiles of some users, each as a registration from `source`, a thousand at a time. Who
    /// is not registered is left out.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn users_info(
        &self,
        users: &[UserId],
        source: RegistrationSource,
    ) -> Result<Vec<Registration>, ApiError> {
        let mut profiles = Vec::new();
        for batch in users.chunks(api::MAX_USERS) {
            let request =
                |token: &Secret, operation| api::users_info(&self.account, token, batch, operation);
            let read = |at, answer: &_| api::read_users_info(&self.app, source, at, answer);
            profiles.extend(self.ask(api::USERS_INFO, request, read).await?.answer);
        }
        Ok(profiles)
    }

    /// How many users registered from one moment, above 0, until another.
    ///
    /// # Errors
    ///
    /// [`ApiError`]
    pub async fn register_statistics(
        &self,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<RegisterStatistics, ApiError> {
        let request = |token: &Secret, operation| {
            api::register_statistics(&self.account, token, (from, to), operation)
        };
        let read = |_, answer: &_| api::read_register_statistics(answer);
        Ok(self.ask(api::REGISTER_STATISTICS, request, read).await?.answer)
    }

    /// Asks with the token. If the server does not accept it any more, once more with a new one.
    async fn ask<T>(
        &self,
        action: &'static str,
        request: impl Fn(&Secret, Nonce) -> Result<ApiRequest, ApiError>,
        read: impl Fn(UnixMillis, &Answer) -> Result<T, ApiError>,
    ) -> Result<Asked<T>, ApiError> {
        let counted = [self.counted(action)];
        let token = self.token().await?;
        let asked = self.caller.ask(&counted, |_, nonce| request(&token, nonce), &read).await;
        match asked {
            Err(error) if error.is_about_credentials() => {
                self.token.forget();
                let token = self.token().await?;
                self.caller.ask(&counted, |_, nonce| request(&token, nonce), &read).await
            }
            asked => asked,
        }
    }

    fn counted(&self, action: &'static str) -> (Counted, Limit) {
        (Counted::App(self.app.clone(), action), QUESTIONS)
    }
}
