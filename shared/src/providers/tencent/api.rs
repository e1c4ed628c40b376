//! Chat's REST API: who is online on which device now (`query_online_status`, Tencent Cloud,
//! document 1047/35477).
//!
//! POST with JSON. The credential, a `UserSig` of an administrator of the app, is in the query.
//! Status 200 says nothing: `ErrorCode` does.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::{api_account::ApiAccount, platform::platform_of_api};
use crate::{
    callback::{Fields, Secret},
    domain::{Platform, UserId},
    providers::api::{
        AccountDevices, Answer, ApiError, ApiRequest, Cause, Others, Query, body, post, rows,
    },
};

/// About how many users one question can be.
pub const MAX_USERS: usize = 500;

/// The name of the question.
pub const ONLINE_STATUS: &str = "query_online_status";

/// Asks on which devices some users, at most [`MAX_USERS`], are online.
///
/// `random` is any number, a new one for each request.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn online_status(
    account: &ApiAccount,
    admins_user_sig: &Secret,
    asked: &[UserId],
    random: u32,
) -> Result<ApiRequest, ApiError> {
    let query = Query::default()
        .with("sdkappid", account.app)
        .with("identifier", &account.admin)
        .with_secret("usersig", admins_user_sig)
        .with("random", random)
        .with("contenttype", "json");
    let path = "/v4/openim/query_online_status";
    let url = format!("{}{path}?{}", account.url.as_str(), query.as_str());
    let json = json!({ "To_Account": asked, "IsNeedDetail": 1 });
    post(ONLINE_STATUS, &url, &[], &json)
}

/// Reads the answer to [`online_status`]. A user of whom it says nothing clear is left out.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_online_status(
    asked: &[UserId],
    answer: &Answer,
) -> Result<HashMap<UserId, AccountDevices>, ApiError> {
    let fields = body(ONLINE_STATUS, answer)?;
    check(&fields)?;
    let mut said: HashMap<UserId, Option<AccountDevices>> = HashMap::new();
    let asked: HashSet<&UserId> = asked.iter().collect();
    for row in rows(ONLINE_STATUS, &fields, "QueryResult")?.into_iter().flatten() {
        let Ok(user) = row.id::<UserId>("To_Account") else { continue };
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
    if fields.is_named("ErrorList") {
        for row in rows(ONLINE_STATUS, &fields, "ErrorList")?.into_iter().flatten() {
            if let Ok(user) = row.id::<UserId>("To_Account") {
                said.remove(&user);
            }
        }
    }
    Ok(said.into_iter().filter_map(|(user, devices)| Some((user, devices?))).collect())
}

/// A status of a user, or of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Online,
    /// Offline: a phone that lost its connection without a logout, and would get a push
    /// notification.
    PushOnline,
    Offline,
}

/// Older pages name the field `State`.
fn status(row: &Fields) -> Option<Status> {
    let text = ["Status", "State"].iter().find_map(|name| row.text(name).ok().flatten())?;
    Some(match text.to_ascii_lowercase().as_str() {
        "online" => Status::Online,
        "pushonline" => Status::PushOnline,
        "offline" => Status::Offline,
        _ => return None,
    })
}

/// What a row says of its user's devices; `None` if nothing clear.
fn devices(row: &Fields) -> Option<AccountDevices> {
    let is_online = status(row)? == Status::Online;
    let has_details = row.is_named("Detail");
    let details = if has_details { rows(ONLINE_STATUS, row, "Detail").ok()? } else { Vec::new() };
    let (mut online, mut offline) = (Vec::new(), Vec::new());
    let (mut unclear, mut others) = (Vec::new(), Others::Offline);
    for detail in details {
        let read = detail.and_then(|detail| Some((platforms(&detail)?, status(&detail)?)));
        let Some(((platform, may_be), status)) = read else {
            others = Others::Unknown;
            continue;
        };
        unclear.extend(may_be);
        match status {
            Status::Online => online.push(platform),
            Status::PushOnline | Status::Offline => offline.push(platform),
        }
    }
    // One that is online somewhere, but nowhere that is listed, or the other way round.
    let is_listed = !online.is_empty();
    if is_online != is_listed && (is_listed || others == Others::Offline) {
        return None;
    }
    Some(AccountDevices::online_on(online).offline_on(offline).leaving_open(unclear, others))
}

/// The kind of device of a detail, and the kinds which its name may also mean; `None` if it has no
/// name of ours.
fn platforms(detail: &Fields) -> Option<(Platform, Vec<Platform>)> {
    platform_of_api(detail.text("Platform").ok()??)
}

/// Whether the question was answered.
fn check(fields: &Fields) -> Result<(), ApiError> {
    let unreadable = |why| ApiError::Unreadable { action: ONLINE_STATUS, why };
    let code = fields
        .required_integer("ErrorCode")
        .map_err(|_| unreadable("its code is missing, or no number"))?;
    let cause = match code {
        0 => {
            let is_ok = fields.text("ActionStatus").ok().flatten() == Some("OK");
            return if is_ok {
                Ok(())
            } else {
                Err(unreadable("it has the code 0, but is not OK"))
            };
        }
        // The administrator's UserSig (70001 to 70052), or its rights.
        60_010 | 60_012 | 60_020 | 70_001..=70_020 | 70_050..=70_052 | 70_403 => Cause::Credentials,
        _ => Cause::Other,
    };
    Err(ApiError::Refused { action: ONLINE_STATUS, code, cause })
}

#[cfg(test)]
mod tests;
