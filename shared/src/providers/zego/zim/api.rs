//! ZIM's Server API: who is online now (ZIM Server API, "`QueryUserOnlineState`").
//!
//! It is signed as RTC's is, and is at a host of its own. It names neither a session nor a kind of
//! device: of somebody who is online it is not known where.

use std::collections::{HashMap, HashSet};

use super::super::{api::signed, api_account::ApiAccount};
use crate::{
    callback::Fields,
    domain::{UnixSeconds, UserId},
    providers::api::{AccountDevices, Answer, ApiError, ApiRequest, Cause, Nonce, body, rows},
};

/// About how many users one question can be.
pub const MAX_USERS: usize = 100;

/// The name of the question.
pub const ONLINE_STATE: &str = "QueryUserOnlineState";

/// Of a user who never existed, never logged in, or logged out.
const NOT_LOGGED_IN: u64 = 660_200_001;

/// Asks which of some users, at most [`MAX_USERS`], are online.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn online_state(
    account: &ApiAccount,
    asked: &[UserId],
    at: UnixSeconds,
    nonce: Nonce,
) -> Result<ApiRequest, ApiError> {
    let query = signed(account, ONLINE_STATE, at, nonce);
    let query = asked.iter().fold(query, |query, user| query.with("UserId[]", user));
    ApiRequest::get(ONLINE_STATE, &account.zim_url, &query)
}

/// Reads the answer to [`online_state`]. A user of whom it says nothing clear is left out.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_online_state(
    asked: &[UserId],
    answer: &Answer,
) -> Result<HashMap<UserId, AccountDevices>, ApiError> {
    let fields = body(ONLINE_STATE, answer)?;
    let why = "its code is missing, or no number";
    let code: u64 = fields.required_integer("Code").map_err(|_| unreadable(why))?;
    let failed = list(&fields, "ErrorList")?;
    // A code with a list: nobody who was asked about is known to be online.
    if code != 0 && failed.is_empty() {
        return Err(ApiError::Refused { action: ONLINE_STATE, code, cause: cause(code) });
    }
    if code == 0 && !fields.is_named("Result") {
        return Err(unreadable("its list is missing"));
    }
    let asked: HashSet<&UserId> = asked.iter().collect();
    let mut said: HashMap<UserId, Option<AccountDevices>> = HashMap::new();
    let states =
        list(&fields, "Result")?.into_iter().map(|row| (row.as_ref().and_then(state), row));
    let failed = failed.into_iter().map(|row| (row.as_ref().and_then(failure), row));
    for (devices, row) in states.chain(failed) {
        let user = row.and_then(|row| row.id::<UserId>("UserId").ok());
        let Some(user) = user.filter(|user| asked.contains(user)) else { continue };
        let known = said.entry(user).or_insert_with(|| devices.clone());
        // Somebody of whom it says two things.
        if *known != devices {
            *known = None;
        }
    }
    Ok(said.into_iter().filter_map(|(user, devices)| Some((user, devices?))).collect())
}

/// What a row says of its user; `None` if nothing clear.
fn state(row: &Fields) -> Option<AccountDevices> {
    match row.text("Status").ok()?? {
        "Online" => Some(AccountDevices::online_somewhere()),
        "Offline" => Some(AccountDevices::offline()),
        _ => None,
    }
}

/// What follows for a user of whom there is no status; `None` if nothing.
fn failure(row: &Fields) -> Option<AccountDevices> {
    let code = row.integer::<u64>("SubCode").ok()??;
    (code == NOT_LOGGED_IN).then(AccountDevices::offline)
}

/// The rows of a list that need not be there.
fn list(fields: &Fields, name: &'static str) -> Result<Vec<Option<Fields>>, ApiError> {
    if fields.is_named(name) { rows(ONLINE_STATE, fields, name) } else { Ok(Vec::new()) }
}

fn cause(code: u64) -> Cause {
    match code {
        7 | 660_300_006 => Cause::Throttled,
        100_000_004 => Cause::Clock,
        3 | 9 | 100_000_001 | 100_000_005 | 100_000_010 | 100_000_011 | 100_000_016
        | 100_000_017 => Cause::Credentials,
        _ => Cause::Other,
    }
}

fn unreadable(why: &'static str) -> ApiError {
    ApiError::Unreadable { action: ONLINE_STATE, why }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::DeviceSays,
        providers::{
            ProviderApis,
            api::odd::{json_of, odd_answers},
        },
    };

    fn users(names: &[&str]) -> Vec<UserId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn read(json: &Value) -> Result<HashMap<UserId, AccountDevices>, ApiError> {
        let answer = Answer::ok(json.to_string());
        read_online_state(&users(&["user-7", "user-8", "user-9"]), &answer)
    }

    /// Of each user, in their order: whether they are online, offline, or nothing is known.
    fn said(json: &Value) -> [Option<DeviceSays>; 3] {
        let said = read(json).unwrap();
        ["user-7", "user-8", "user-9"].map(|name| {
            let devices = said.get(&name.parse().unwrap())?;
            let web = "WEB".parse().unwrap();
            devices
                .says(&web)
                .or_else(|| devices.is_online_somewhere().then_some(DeviceSays::Online))
        })
    }

    #[test]
    fn a_request_is_signed_as_those_of_rtc_are_and_goes_to_zims_host() {
        let json = r#"{"zego":{"123456789":{"server_secret":"00112233445566778899aabbccddeeff"}}}"#;
        let mut apis = ProviderApis::from_json(json).unwrap();
        let account = apis.zego.remove(&"123456789".parse().unwrap()).unwrap();
        let nonce = Nonce([0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18]);
        let asked = users(&["user-7", "a&b"]);
        let request = online_state(&account, &asked, UnixSeconds(1_700_000_000), nonce).unwrap();
        assert_eq!(
            request.into_http().uri().to_string(),
            "https://zim-api.zego.im/?Action=QueryUserOnlineState&AppId=123456789\
             &SignatureNonce=a1b2c3d4e5f60718&Timestamp=1700000000\
             &Signature=f3b63431aad1ea08be6c1ea9de810c7b&SignatureVersion=2.0\
             &UserId%5B%5D=user-7&UserId%5B%5D=a%26b"
        );
    }

    #[test]
    fn an_answer_says_who_is_online_and_never_where() {
        let (online, offline) = (Some(DeviceSays::Online), Some(DeviceSays::Offline));
        let published = json!({
            "Code": 0, "Message": "success", "RequestId": "3436",
            "Result": [
                {"UserId": "user-7", "Status": "Online"}, {"UserId": "user-8", "Status": "Offline"}
            ],
            "ErrorList": [{"UserId": "user-9", "SubCode": 660_200_001}],
        });
        assert_eq!(said(&published), [online, offline, offline]);
        // All of them failed.
        let failed = json!({
            "Code": 660_200_001, "ErrorList": [
                {"UserId": "user-7", "SubCode": 660_200_001}, {"UserId": "user-8", "SubCode": 7}
            ],
        });
        assert_eq!(said(&failed), [offline, None, None]);
        let contradiction = json!({
            "Code": 0,
            "Result": [
                {"UserId": "user-7", "Status": "Online"}, {"UserId": "user-7", "Status": "Offline"},
                {"UserId": "user-8", "Status": "Away"}, {"UserId": "x", "Status": "Online"}, 5
            ],
            "ErrorList": [],
        });
        assert_eq!(said(&contradiction), [None, None, None]);
    }

    #[test]
    fn a_code_without_a_list_is_no_answer() {
        for (json, expected) in [
            (json!({"Code": 3, "ErrorList": []}), "credentials"),
            (json!({"Code": 7}), "too many"),
            (json!({"Code": 660_000_011, "Result": []}), "codes"),
            (json!({"Code": 0}), "missing"),
            (json!({"Code": 0, "Result": {}}), "no list"),
            (json!({"Result": []}), "code"),
        ] {
            let error = read(&json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn odd_answers_are_errors_or_say_what_they_say() {
        let good = json!({
            "Code": 0, "Message": "success", "RequestId": "3436",
            "Result": [{"UserId": "user-7", "Status": "Online"}],
            "ErrorList": [{"UserId": "user-8", "SubCode": 660_200_001_u64}],
        });
        let asked = users(&["user-7", "user-8"]);
        let mut read = 0;
        for answer in odd_answers(&good) {
            let Ok(said) = read_online_state(&asked, &answer) else { continue };
            assert_eq!(answer.status, http::StatusCode::OK);
            let json = Value::Object(json_of(&answer).unwrap());
            for (user, devices) in said {
                let says = |list: &str, field: &str, value: Value| {
                    let text = Value::from(value.to_string());
                    let rows = json[list].as_array().into_iter().flatten();
                    let mut own = rows.filter(|row| row["UserId"] == user.as_str());
                    own.any(|row| row[field] == value || row[field] == text)
                };
                let is_said = if devices.is_online_somewhere() {
                    says("Result", "Status", json!("Online"))
                } else {
                    says("Result", "Status", json!("Offline"))
                        || says("ErrorList", "SubCode", json!(660_200_001_u64))
                };
                assert!(is_said && asked.contains(&user), "{user} in {json}");
                read += 1;
            }
        }
        assert!(read > 100, "{read}");
    }
}
