//! OpenIM's REST API, read off the server's sources: who is online on which device now, and who is
//! registered.
//!
//! POST with JSON and the header `operationID`, and with the header `token` but for the questions
//! for a token. The status is 200 even for errors: `errCode` speaks. Empty `data` is left out.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{api_account::ApiAccount, device::platform_by_id, registration::registration};
use crate::{
    callback::{Fields, Secret, elements},
    domain::{App, Registration, RegistrationSource, UnixMillis, UserId},
    providers::api::{
        AccountDevices, Answer, ApiError, ApiRequest, Cause, Nonce, body, post, rows,
    },
};

/// About how many users one question can be.
pub const MAX_USERS: usize = 1000;

/// How many users one page has at most.
pub const MAX_PAGE: u32 = 1000;

/// The name of the question for a token. Servers before 3.8.1 do not know it.
pub const ADMIN_TOKEN: &str = "get_admin_token";

/// The name of the same question to older servers.
pub const USER_TOKEN: &str = "user_token";

/// The name of the question for the devices of some users.
pub const USERS_STATUS: &str = "get_users_status";

/// The name of the question for a page of the users, with their profiles.
pub const USERS: &str = "get_users";

/// The name of the question for a page of the users' ids.
pub const ALL_USERS_UID: &str = "get_all_users_uid";

/// The name of the question for the profiles of some users.
pub const USERS_INFO: &str = "get_users_info";

/// The name of the question for the number of registrations.
pub const REGISTER_STATISTICS: &str = "statistics/user/register";

/// The platform of a token for an administrator.
const ADMIN_PLATFORM: u32 = 10;

/// How a server mints the administrator's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenDialect {
    /// From 3.8.1 on.
    AdminToken,
    /// Before.
    UserToken,
}

/// A token that goes with each question.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// How long it is valid, from when it was asked for.
    pub valid_for: Duration,
}

/// A page of a list: by its number, from 1, and with so many rows at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 1.
    pub number: u32,
    /// How many rows it has, at most [`MAX_PAGE`].
    pub size: u32,
}

/// A page of users. The list has no order that lasts, so pages may overlap or leave a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersPage<U> {
    /// How many there are on all pages, as the server counts them: a hint.
    pub total: u64,
    /// The users, in the server's order.
    pub users: Vec<U>,
    /// How many rows could not be read.
    pub unreadable: usize,
}

/// How many users registered in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterStatistics {
    /// All users of the server.
    pub total: u64,
    /// Those who registered before the span.
    pub before: u64,
    /// By day in UTC, such as `2026-11-26`; a day without any may be missing.
    pub by_day: BTreeMap<String, u64>,
}

/// Asks for a token.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn token(
    account: &ApiAccount,
    dialect: TokenDialect,
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let (secret, admin) = (account.secret.expose(), &account.admin);
    let (action, path, json) = match dialect {
        TokenDialect::AdminToken => {
            let json = json!({ "secret": secret, "userID": admin });
            (ADMIN_TOKEN, "/auth/get_admin_token", json)
        }
        TokenDialect::UserToken => {
            let json = json!({ "secret": secret, "platformID": ADMIN_PLATFORM, "userID": admin });
            (USER_TOKEN, "/auth/user_token", json)
        }
    };
    let url = format!("{}{path}", account.url.as_str());
    post(action, &url, &[("operationid", &operation.to_string())], &json)
}

/// Reads the answer to [`token`].
///
/// # Errors
///
/// [`ApiError`] if it is none. A server that does not know the dialect answers with status 404.
pub fn read_token(dialect: TokenDialect, answer: &Answer) -> Result<Token, ApiError> {
    let action = match dialect {
        TokenDialect::AdminToken => ADMIN_TOKEN,
        TokenDialect::UserToken => USER_TOKEN,
    };
    let data = data(action, answer)?.unwrap_or_default();
    let token = data.text("token").ok().flatten().map(str::to_owned);
    let secret = token.and_then(Secret::new).ok_or(unreadable(action, "its token is missing"))?;
    let lifetime = data.integer("expireTimeSeconds").ok().flatten().unwrap_or(0);
    Ok(Token { secret, valid_for: Duration::from_secs(lifetime) })
}

/// Asks on which devices some users, at most [`MAX_USERS`], are online.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn users_status(
    account: &ApiAccount,
    token: &Secret,
    asked: &[UserId],
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let json = json!({ "userID": account.admin, "userIDs": asked });
    ask(USERS_STATUS, account, "/user/get_users_status", token, &json, operation)
}

/// Reads the answer to [`users_status`]. A user of whom it says nothing clear is left out.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_users_status(
    asked: &[UserId],
    answer: &Answer,
) -> Result<HashMap<UserId, AccountDevices>, ApiError> {
    let data = some_data(USERS_STATUS, answer)?;
    let asked: HashSet<&UserId> = asked.iter().collect();
    let mut said: HashMap<UserId, Option<AccountDevices>> = HashMap::new();
    for row in rows(USERS_STATUS, &data, "statusList")?.into_iter().flatten() {
        let Ok(user) = row.id::<UserId>("userID") else { continue };
        if !asked.contains(&user) {
            continue;
        }
        let devices = devices(&row);
        let known = said.entry(user).or_insert_with(|| devices.clone());
        // Somebody of whom it says two things.
        if *known != devices {
            *known = None;
        }
    }
    Ok(said.into_iter().filter_map(|(user, devices)| Some((user, devices?))).collect())
}

/// What a row says of its user's devices; `None` if nothing clear.
fn devices(row: &Fields) -> Option<AccountDevices> {
    let is_online = match row.integer::<u8>("status").ok()?? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let ids: Vec<u32> = match row.nested("platformIDs") {
        Some(json) => serde_json::from_str(json).ok()?,
        // Older pages show null for somebody who is offline.
        None if row.is_null("platformIDs") || !row.is_named("platformIDs") => Vec::new(),
        None => return None,
    };
    if is_online == ids.is_empty() {
        return None;
    }
    let platforms = ids.into_iter().map(|id| platform_by_id(id).parse().ok());
    Some(AccountDevices::online_on(platforms.collect::<Option<Vec<_>>>()?))
}

/// Asks for a page of the users with their profiles. The list has only ordinary users and
/// administrators.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn users(
    account: &ApiAccount,
    token: &Secret,
    page: Page,
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let json = json!({ "pagination": pagination(page), "userID": "", "nickName": "" });
    ask(USERS, account, "/user/get_users", token, &json, operation)
}

/// Reads the answer to [`users`], which came `at` that time.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_users(
    app: &App,
    source: RegistrationSource,
    at: UnixMillis,
    answer: &Answer,
) -> Result<UsersPage<Registration>, ApiError> {
    let data = some_data(USERS, answer)?;
    let (users, unreadable) = profiles(USERS, &data, "users", app, source, at)?;
    Ok(UsersPage { total: total(USERS, &data)?, users, unreadable })
}

/// Asks for a page of the ids of all users, notification accounts and robots too.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn all_users_uid(
    account: &ApiAccount,
    token: &Secret,
    page: Page,
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let json = json!({ "pagination": pagination(page) });
    ask(ALL_USERS_UID, account, "/user/get_all_users_uid", token, &json, operation)
}

/// Reads the answer to [`all_users_uid`].
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_all_users_uid(answer: &Answer) -> Result<UsersPage<UserId>, ApiError> {
    let action = ALL_USERS_UID;
    let data = some_data(action, answer)?;
    let ids = match data.nested("userIDs") {
        Some(json) => elements(json).ok_or(unreadable(action, "its list is no list"))?,
        None if data.is_named("userIDs") && !data.is_null("userIDs") => {
            return Err(unreadable(action, "its list is no list"));
        }
        None => Vec::new(),
    };
    let mut page = UsersPage { total: total(action, &data)?, users: Vec::new(), unreadable: 0 };
    for id in ids {
        // As a field, so that a damaged id is seen.
        let user = Fields::from_json(&format!(r#"{{"userID":{id}}}"#));
        match user.ok().and_then(|user| user.id("userID").ok()) {
            Some(user) => page.users.push(user),
            None => page.unreadable += 1,
        }
    }
    Ok(page)
}

/// Asks for the profiles of some users, at most [`MAX_USERS`].
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn users_info(
    account: &ApiAccount,
    token: &Secret,
    asked: &[UserId],
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let json = json!({ "userIDs": asked });
    ask(USERS_INFO, account, "/user/get_users_info", token, &json, operation)
}

/// Reads the answer to [`users_info`], which came `at` that time. Users who are not registered are
/// missing.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_users_info(
    app: &App,
    source: RegistrationSource,
    at: UnixMillis,
    answer: &Answer,
) -> Result<Vec<Registration>, ApiError> {
    match data(USERS_INFO, answer)? {
        Some(data) => Ok(profiles(USERS_INFO, &data, "usersInfo", app, source, at)?.0),
        None => Ok(Vec::new()),
    }
}

/// Asks how many users registered from one moment until another. Neither may be 0.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn register_statistics(
    account: &ApiAccount,
    token: &Secret,
    (from, to): (UnixMillis, UnixMillis),
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let json = json!({ "start": from.0, "end": to.0 });
    ask(REGISTER_STATISTICS, account, "/statistics/user/register", token, &json, operation)
}

/// Reads the answer to [`register_statistics`].
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_register_statistics(answer: &Answer) -> Result<RegisterStatistics, ApiError> {
    let action = REGISTER_STATISTICS;
    let data = some_data(action, answer)?;
    let why = "its counts are no numbers by day";
    let by_day = match data.nested("count") {
        Some(json) => serde_json::from_str(json).map_err(|_| unreadable(action, why))?,
        None if data.is_named("count") && !data.is_null("count") => {
            return Err(unreadable(action, why));
        }
        None => BTreeMap::new(),
    };
    let before = data.integer("before").ok().flatten();
    let before = before.ok_or(unreadable(action, "its `before` is missing, or no number"))?;
    Ok(RegisterStatistics { total: total(action, &data)?, before, by_day })
}

fn ask(
    action: &'static str,
    account: &ApiAccount,
    path: &str,
    token: &Secret,
    json: &Value,
    operation: Nonce,
) -> Result<ApiRequest, ApiError> {
    let url = format!("{}{path}", account.url.as_str());
    let headers = [("operationid", &*operation.to_string()), ("token", token.expose())];
    post(action, &url, &headers, json)
}

fn pagination(page: Page) -> Value {
    json!({ "pageNumber": page.number, "showNumber": page.size })
}

/// The profiles of a list, each as a registration, and how many could not be read.
fn profiles(
    action: &'static str,
    data: &Fields,
    name: &'static str,
    app: &App,
    source: RegistrationSource,
    at: UnixMillis,
) -> Result<(Vec<Registration>, usize), ApiError> {
    let rows = rows(action, data, name)?;
    let all = rows.len();
    let read = |row: Fields| registration(app, &row, source, at).ok();
    let profiles: Vec<_> = rows.into_iter().flatten().filter_map(read).collect();
    let unreadable = all - profiles.len();
    Ok((profiles, unreadable))
}

fn total(action: &'static str, data: &Fields) -> Result<u64, ApiError> {
    let total = data.integer("total").ok().flatten();
    total.ok_or(unreadable(action, "its total is missing, or no number"))
}

fn some_data(action: &'static str, answer: &Answer) -> Result<Fields, ApiError> {
    data(action, answer)?.ok_or(unreadable(action, "its data is missing"))
}

/// The data of an answer; `None` if it has none.
fn data(action: &'static str, answer: &Answer) -> Result<Option<Fields>, ApiError> {
    let fields = body(action, answer)?;
    let why = "its code is missing, or no number";
    let code = fields.required_integer("errCode").map_err(|_| unreadable(action, why))?;
    let cause = match code {
        0 if fields.is_null("data") || !fields.is_named("data") => return Ok(None),
        0 => {
            let data = fields.object("data");
            return data.map(Some).map_err(|_| unreadable(action, "its data is no object"));
        }
        1002 => Cause::Credentials,
        1501..=1507 => Cause::Token,
        _ => Cause::Other,
    };
    Err(ApiError::Refused { action, code, cause })
}

fn unreadable(action: &'static str, why: &'static str) -> ApiError {
    ApiError::Unreadable { action, why }
}

#[cfg(test)]
mod tests;
