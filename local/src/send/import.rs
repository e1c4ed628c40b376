//! Imports users whom OpenIM registered before Rollcall got registrations: what
//! `/user/get_users` answers is sent as the webhooks that were missed.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use rollcall::providers::openim::AppCredentials;
use rollcall_players::{Answer, openim};
use serde::Deserialize;
use serde_json::value::RawValue;

/// How long the users of one call may be, in bytes. The limits are 4 MiB of body, and 6 MB of JSON
/// in which that body is a text.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// How often a batch is sent if a part of it could not be stored in time.
const ATTEMPTS: u32 = 4;

/// How long the first pause between them is; each one is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);

/// How many reasons are kept to be shown.
const EXAMPLES: usize = 3;

/// Why a file cannot be imported. Nothing has been sent then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not JSON.
    #[error("is not JSON at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A value in it is neither users nor an answer that has some.
    #[error(
        "has neither users nor an answer of /user/get_users in value {0}: a user has `userID`, and \
         an answer has `data.users`"
    )]
    NotUsers(usize),
    /// OpenIM refused to answer.
    #[error("holds a refusal of OpenIM in value {value}, errCode {code}: {message}")]
    Refusal {
        /// Which value, from 1.
        value: usize,
        /// Its `errCode`.
        code: i64,
        /// Its `errMsg`.
        message: String,
    },
}

/// The result of an import.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Users who were not known.
    pub applied: usize,
    /// Users who were.
    pub duplicates: usize,
    /// Users who are not known now either.
    pub not_stored: usize,
    /// Some reasons for that.
    pub examples: Vec<String>,
}

/// An answer of OpenIM's API, or a user.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    #[serde(rename = "userID")]
    user_id: Option<Box<RawValue>>,
    #[serde(rename = "errCode")]
    error_code: Option<i64>,
    #[serde(rename = "errMsg")]
    error_message: Option<String>,
    data: Option<Data>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    users: Option<Vec<Box<RawValue>>>,
    /// `/user/get_users_info` calls them so.
    #[serde(rename = "usersInfo")]
    users_info: Option<Vec<Box<RawValue>>>,
}

/// Reads users: arrays of them, answers of `/user/get_users`, or users themselves, as many as there
/// are, one after the other or line by line.
///
/// # Errors
///
/// [`ImportError`] if anything else is among them.
pub fn read(json: &[u8]) -> Result<Vec<Box<RawValue>>, ImportError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut users = Vec::new();
    let values = serde_json::Deserializer::from_slice(json).into_iter::<Box<RawValue>>();
    for (number, value) in (1..).zip(values) {
        let value = value
            .map_err(|error| ImportError::Json { line: error.line(), column: error.column() })?;
        let not_users = |_| ImportError::NotUsers(number);
        if value.get().starts_with('[') {
            users.extend(
                serde_json::from_str::<Vec<Box<RawValue>>>(value.get()).map_err(not_users)?,
            );
            continue;
        }
        let object: Object = serde_json::from_str(value.get()).map_err(not_users)?;
        match object {
            Object { user_id: Some(_), .. } => users.push(value),
            Object { error_code: Some(code), error_message, .. } if code != 0 => {
                let message = error_message.unwrap_or_default();
                return Err(ImportError::Refusal { value: number, code, message });
            }
            Object { data: Some(Data { users: found, users_info }), .. } => {
                users.extend(found.into_iter().chain(users_info).flatten());
            }
            // An answer with an empty result has no `data`.
            Object { error_code: Some(_), .. } => {}
            Object { .. } => return Err(ImportError::NotUsers(number)),
        }
    }
    Ok(users)
}

/// Sends users in batches of up to `batch`, one after the other, and calls `answered` with the number
/// of users after each.
///
/// # Errors
///
/// If there is no answer, or the credentials are refused. What was sent before stays; all of it can
/// be sent again.
pub async fn send(
    client: &Client,
    url: &str,
    credentials: &AppCredentials,
    users: &[Box<RawValue>],
    batch: usize,
    mut answered: impl FnMut(usize),
) -> Result<Imported, String> {
    let mut imported = Imported::default();
    let (objects, others): (Vec<&RawValue>, Vec<&RawValue>) =
        users.iter().map(AsRef::as_ref).partition(|user| user.get().starts_with('{'));
    for other in &others {
        imported.fail(1, format!("{} is not a user", start_of(other.get())));
    }
    answered(others.len());
    for batch in batches(&objects, batch) {
        imported.send(client, url, credentials, batch).await?;
        answered(batch.len());
    }
    Ok(imported)
}

/// The beginning of something that may be long.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}

fn batches<'a>(users: &'a [&'a RawValue], most: usize) -> impl Iterator<Item = &'a [&'a RawValue]> {
    let mut rest = users;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |user: &&&RawValue| {
            bytes += user.get().len() + 1;
            bytes <= MAX_BATCH_BYTES
        };
        let count = rest.iter().take(most.max(1)).take_while(fits).count().max(1);
        let (batch, later) = rest.split_at_checked(count)?;
        rest = later;
        Some(batch)
    })
}

impl Imported {
    /// Whether all are known now.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.not_stored == 0
    }

    fn fail(&mut self, users: usize, reason: String) {
        self.not_stored += users;
        if self.examples.len() < EXAMPLES && !self.examples.contains(&reason) {
            self.examples.push(reason);
        }
    }

    /// Sends one batch, again if some of it could not be stored in time: who is stored already is a
    /// duplicate then.
    async fn send(
        &mut self,
        client: &Client,
        url: &str,
        credentials: &AppCredentials,
        users: &[&RawValue],
    ) -> Result<(), String> {
        let callback = openim::registrations(users, credentials);
        let (mut applied, mut pause) = (0, PAUSE);
        for attempt in 1.. {
            let answer = callback.send(client, url).await.map_err(|error| {
                let cause = std::error::Error::source(&error)
                    .map_or_else(String::new, |source| format!(": {source}"));
                format!("{} does not answer{cause}", callback.address(url))
            })?;
            if answer.status == StatusCode::UNAUTHORIZED {
                return Err(format!("{} {}", answer.status.as_u16(), answer.body));
            }
            let Counted { new, not_stored } = Counted::of(&answer, users.len());
            applied = users.len().min(applied + new);
            let may_pass = answer.status.is_server_error() && attempt < ATTEMPTS;
            if not_stored > 0 && may_pass {
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            if not_stored > 0 {
                self.fail(not_stored, format!("{} {}", answer.status.as_u16(), answer.body));
            }
            self.applied += applied;
            self.duplicates += users.len().saturating_sub(applied + not_stored);
            break;
        }
        Ok(())
    }
}

/// What an answer says of a batch.
struct Counted {
    /// How many were not known before. What is in the queue counts as such.
    new: usize,
    not_stored: usize,
}

impl Counted {
    /// One user is counted by the outcome, several by the header that counts them.
    fn of(answer: &Answer, users: usize) -> Self {
        let Some(counts) = &answer.counts else {
            let is_new = matches!(answer.outcome.as_deref(), Some("applied" | "spilled"));
            let (new, not_stored) = match (answer.status.is_success(), is_new) {
                (true, true) => (users, 0),
                (true, false) => (0, 0),
                (false, _) => (0, users),
            };
            return Self { new, not_stored };
        };
        let count = |name: &str| {
            let counts = counts.split(',').filter_map(|count| count.trim().split_once('='));
            let found = counts.filter(|(found, _)| *found == name);
            found.filter_map(|(_, count)| count.parse::<usize>().ok()).sum::<usize>()
        };
        Self { new: count("applied") + count("spilled"), not_stored: count("not_stored") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(json: &str) -> Result<Vec<String>, String> {
        let users = read(json.as_bytes()).map_err(|error| error.to_string())?;
        let user = |user: Box<RawValue>| {
            let user: serde_json::Value = serde_json::from_str(user.get()).unwrap();
            user["userID"].as_str().unwrap_or("-").to_owned()
        };
        Ok(users.into_iter().map(user).collect())
    }

    #[test]
    fn users_are_read_from_arrays_answers_and_lines() {
        let (a, b) = (r#"{"userID":"a","ex":"[1]"}"#, r#"{"userID":"b"}"#);
        let answer = |users: &str| {
            format!(
                r#"{{"errCode":0,"errMsg":"","errDlt":"","data":{{"total":2,"users":{users}}}}}"#
            )
        };
        for json in [
            format!("[{a},{b}]"),
            format!("{a}\n{b}\n"),
            format!("\u{feff} [{a}] {b}"),
            answer(&format!("[{a},{b}]")),
            answer(&format!("[{a}]")) + &answer(&format!("[{b}]")),
            answer("null") + &answer("[]") + r#"{"errCode":0,"errMsg":""}"# + &format!("[{a},{b}]"),
            format!(r#"{{"errCode":0,"data":{{"usersInfo":[{a},{b}]}}}}"#),
        ] {
            assert_eq!(ids(&json).unwrap(), ["a", "b"], "{json}");
        }
        assert_eq!(ids("").unwrap(), Vec::<String>::new());
        assert_eq!(ids("[null,1]").unwrap(), ["-", "-"]);
        for (json, says) in [
            ("[", "is not JSON at line 1"),
            ("[]\n{\"userID\":", "is not JSON at line 2"),
            ("null", "in value 1"),
            ("[] {}", "in value 2"),
            (r#"{"errCode":1501,"errMsg":"TokenExpired"}"#, "errCode 1501: TokenExpired"),
        ] {
            let error = ids(json).unwrap_err();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn a_batch_has_few_enough_users_and_bytes_and_no_user_is_left_out() {
        let user =
            |bytes: usize| RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        let users: Vec<Box<RawValue>> =
            [10, 10, 10, 600_000, 600_000, 2_000_000, 10, 10].map(user).into();
        let users: Vec<&RawValue> = users.iter().map(AsRef::as_ref).collect();
        let sizes = |most| batches(&users, most).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(100), [4, 1, 1, 2]);
        assert_eq!(sizes(2), [2, 2, 1, 1, 2]);
        assert_eq!(sizes(1), [1; 8]);
        assert_eq!(batches(&[], 5).count(), 0);
    }
}
