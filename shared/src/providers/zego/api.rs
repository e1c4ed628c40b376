//! ZEGOCLOUD's Server API: who is in a room now (Server API, "`DescribeUserList`",
//! "`DescribeUsers`", "`DescribeUserNum`").
//!
//! GET with everything in the query, signed with MD5 over values that do not cover the question.
//! Status 200 says nothing: `Code` does.

use std::collections::HashMap;

use md5::{Digest, Md5};

use super::{api_account::ApiAccount, room};
use crate::{
    callback::{Fields, Secret},
    domain::{Role, RoomId, Says, UnixMillis, UnixSeconds, UserId},
    providers::api::{Answer, ApiError, ApiRequest, Cause, Nonce, Query, body, rows},
};

/// How many people one page of [`UserListPage`] has.
pub const PAGE: usize = 200;

/// About how many people one question can be.
pub const MAX_USERS: usize = 10;

/// About how many rooms one question can be.
pub const MAX_ROOMS: usize = 10;

/// The name of the question for a page of a room's people.
pub const USER_LIST: &str = "DescribeUserList";

/// The name of the question about some people in a room.
pub const USERS: &str = "DescribeUsers";

/// The name of the question for the number of people in some rooms.
pub const USER_NUM: &str = "DescribeUserNum";

/// The signature of a request: 32 lower-case hexadecimal digits.
///
/// ```
/// use rollcall::{
///     callback::Secret,
///     domain::UnixSeconds,
///     providers::{api::Nonce, zego::api},
/// };
///
/// // The vector that ZEGO publishes.
/// let secret = Secret::new("9193cc662a4c0ec135ec71fb57194b38".to_owned()).unwrap();
/// let nonce = Nonce([0x4f, 0xd2, 0x46, 0x87, 0x29, 0x6d, 0xd9, 0xf3]);
/// let signature = api::sign(12345, nonce, &secret, UnixSeconds(1_615_186_943));
/// assert_eq!(signature, "43e5cfcca828314675f91b001390566a");
/// ```
#[must_use]
pub fn sign(app: u32, nonce: Nonce, server_secret: &Secret, at: UnixSeconds) -> String {
    let mut hash = Md5::new();
    for part in [&app.to_string(), &nonce.to_string(), server_secret.expose(), &at.to_string()] {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Where the next page of a list begins. It remembers the pages before, so that a list which leads
/// back to one of them ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    text: String,
    before: Vec<String>,
}

impl Marker {
    /// The marker as ZEGO wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A marker that was noted; `None` if it is empty, because then there is no next page.
    #[must_use]
    pub fn noted(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self { text, before: Vec::new() })
    }

    /// The marker after `from`; `None` if it leads back.
    fn after(from: Option<&Self>, text: &str) -> Option<Self> {
        let mut before = from.map(|from| from.before.clone()).unwrap_or_default();
        before.extend(from.map(|from| from.text.clone()));
        let is_new = before.iter().all(|known| known != text);
        is_new.then(|| Self { text: text.to_owned(), before })
    }
}

/// One page of the people in a room, by their login times, the earliest first. People move between
/// the pages meanwhile, so the list says only whom to ask about: that somebody is not in it means
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserListPage {
    /// The people, each once.
    pub people: Vec<UserId>,
    /// How many rows could not be read.
    pub unreadable: usize,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<Marker>,
}

/// What `DescribeUsers` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsersAnswer {
    /// Of each of these people whether they are in. Of others who were asked about, nothing is
    /// known.
    Of(HashMap<UserId, Says>),
    /// The room does not exist, so nobody is in.
    NoSuchRoom,
    /// Somebody of those who were asked about is not in, and ZEGO does not say who: everybody has
    /// to be asked about alone.
    AskOneByOne,
}

/// How many people are in a room, as ZEGO counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomCount {
    /// The room.
    pub room: RoomId,
    /// Everybody, robots too.
    pub people: u64,
    /// Those of them whose role is admin, such as robots that record.
    pub admins: u64,
}

/// Asks for a page of the people in a room.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn user_list(
    account: &ApiAccount,
    room: &RoomId,
    from: Option<&Marker>,
    at: UnixSeconds,
    nonce: Nonce,
) -> Result<ApiRequest, ApiError> {
    let mut query = signed(account, USER_LIST, at, nonce)
        .with("RoomId", name(USER_LIST, room)?)
        .with("Mode", 0)
        .with("Limit", PAGE);
    if let Some(marker) = from {
        query = query.with("Marker", &marker.text);
    }
    ApiRequest::get(USER_LIST, &account.url, &query)
}

/// Reads the answer to [`user_list`], which was asked `from` there.
///
/// # Errors
///
/// [`ApiError`] if it is none. An unknown room has an empty list.
pub fn read_user_list(from: Option<&Marker>, answer: &Answer) -> Result<UserListPage, ApiError> {
    let fields = body(USER_LIST, answer)?;
    match code(USER_LIST, &fields)? {
        Code::Ok => {}
        Code::NoSuchRoom => return Ok(UserListPage::default()),
        Code::Refused(error) | Code::NotIn(error) => return Err(error),
    }
    let data = data(USER_LIST, &fields)?;
    let rows = rows(USER_LIST, &data, "UserList")?;
    let mut page = UserListPage::default();
    let is_full = rows.len() >= PAGE;
    for row in rows {
        match row.and_then(|row| row.id::<UserId>("UserId").ok()) {
            Some(user) if page.people.contains(&user) => {}
            Some(user) => page.people.push(user),
            None => page.unreadable += 1,
        }
    }
    let why = "its marker is no text";
    let marker = data.text("Marker").map_err(|_| unreadable(USER_LIST, why))?;
    // ZEGO's own sample of a last page has a marker, too.
    page.next = marker.filter(|_| is_full).and_then(|marker| Marker::after(from, marker));
    Ok(page)
}

/// Asks whether some people, at most [`MAX_USERS`], are in a room.
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn users(
    account: &ApiAccount,
    room: &RoomId,
    asked: &[UserId],
    at: UnixSeconds,
    nonce: Nonce,
) -> Result<ApiRequest, ApiError> {
    let query = signed(account, USERS, at, nonce).with("RoomId", name(USERS, room)?);
    let query = asked.iter().fold(query, |query, user| query.with("UserId[]", user));
    ApiRequest::get(USERS, &account.url, &query)
}

/// Reads the answer to [`users`].
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_users(asked: &[UserId], answer: &Answer) -> Result<UsersAnswer, ApiError> {
    let fields = body(USERS, answer)?;
    match (code(USERS, &fields)?, asked) {
        (Code::Ok, _) => {}
        (Code::NoSuchRoom, _) => return Ok(UsersAnswer::NoSuchRoom),
        // About one person it is the answer.
        (Code::NotIn(_), [user]) => {
            return Ok(UsersAnswer::Of(HashMap::from([(user.clone(), Says::Out)])));
        }
        (Code::NotIn(_), _) => return Ok(UsersAnswer::AskOneByOne),
        (Code::Refused(error), _) => return Err(error),
    }
    let data = data(USERS, &fields)?;
    let mut said: HashMap<UserId, Option<Says>> = HashMap::new();
    for row in rows(USERS, &data, "UserStatusList")?.into_iter().flatten() {
        let Ok(user) = row.id::<UserId>("UserId") else { continue };
        if !asked.contains(&user) {
            continue;
        }
        let says = says(&row);
        let known = said.entry(user).or_insert(says);
        // Somebody of whom it says two things.
        if *known != says {
            *known = None;
        }
    }
    let said = said.into_iter().filter_map(|(user, says)| Some((user, says?)));
    Ok(UsersAnswer::Of(said.collect()))
}

/// What a row says of its person; `None` if it cannot be read.
fn says(row: &Fields) -> Option<Says> {
    match row.integer::<u8>("Status").ok()?? {
        0 => Some(Says::Out),
        1 => {
            let login = row.integer::<u64>("LoginTime").ok().flatten();
            let role = row.integer::<u16>("UserRole").ok().flatten().unwrap_or_default();
            let login = login.filter(|login| *login > 0).map(UnixMillis);
            Some(Says::In { login, role: Role(role) })
        }
        _ => None,
    }
}

/// Asks how many people are in some rooms, at most [`MAX_ROOMS`].
///
/// # Errors
///
/// [`ApiError::NotAsked`]
pub fn user_num(
    account: &ApiAccount,
    rooms: &[RoomId],
    at: UnixSeconds,
    nonce: Nonce,
) -> Result<ApiRequest, ApiError> {
    let mut query = signed(account, USER_NUM, at, nonce);
    for room in rooms {
        query = query.with("RoomId[]", name(USER_NUM, room)?);
    }
    ApiRequest::get(USER_NUM, &account.url, &query)
}

/// Reads the answer to [`user_num`]: the rooms that were asked about and are in it, each once.
///
/// # Errors
///
/// [`ApiError`] if it is none.
pub fn read_user_num(asked: &[RoomId], answer: &Answer) -> Result<Vec<RoomCount>, ApiError> {
    let fields = body(USER_NUM, answer)?;
    match code(USER_NUM, &fields)? {
        Code::Ok => {}
        Code::NoSuchRoom => return Ok(Vec::new()),
        Code::Refused(error) | Code::NotIn(error) => return Err(error),
    }
    let data = data(USER_NUM, &fields)?;
    let mut counts: Vec<RoomCount> = Vec::new();
    for row in rows(USER_NUM, &data, "UserCountList")?.into_iter().flatten() {
        let room = row.required("RoomId").ok().and_then(|name| room::rtc(name).ok());
        let room = room.filter(|room| asked.contains(room));
        let people = row.integer("UserCount").ok().flatten();
        let admins = row.integer("AdminUserCount").ok().flatten();
        if let (Some(room), Some(people)) = (room, people)
            && counts.iter().all(|count| count.room != room)
        {
            counts.push(RoomCount { room, people, admins: admins.unwrap_or(0) });
        }
    }
    Ok(counts)
}

/// What ZEGO calls a room.
fn name<'r>(action: &'static str, room: &'r RoomId) -> Result<&'r str, ApiError> {
    let why = "it is a room of ZIM's";
    room::rtc_name(room).ok_or(ApiError::NotAsked { action, why })
}

/// What each question of a Server API begins with, RTC's and ZIM's.
pub(super) fn signed(account: &ApiAccount, action: &str, at: UnixSeconds, nonce: Nonce) -> Query {
    Query::default()
        .with("Action", action)
        .with("AppId", account.app)
        .with("SignatureNonce", nonce)
        .with("Timestamp", at)
        .with("Signature", sign(account.app, nonce, &account.server_secret, at))
        .with("SignatureVersion", "2.0")
}

/// What `Code` says.
enum Code {
    Ok,
    /// The room does not exist, so nobody is in: an empty room is destroyed.
    NoSuchRoom,
    /// Somebody who was asked about is unknown, or not in.
    NotIn(ApiError),
    Refused(ApiError),
}

fn code(action: &'static str, fields: &Fields) -> Result<Code, ApiError> {
    let why = "its code is missing, or no number";
    let code = fields.required_integer("Code").map_err(|_| unreadable(action, why))?;
    let refused = |cause| ApiError::Refused { action, code, cause };
    Ok(match code {
        0 => Code::Ok,
        3 => Code::Refused(refused(Cause::TooLong)),
        104 | 5024 | 50_001 => Code::NoSuchRoom,
        105 | 50_003 => Code::NotIn(refused(Cause::Other)),
        206 | 207 => Code::Refused(refused(Cause::Throttled)),
        100_000_004 => Code::Refused(refused(Cause::Clock)),
        // The AppID, the signature, the app's secret, the service that is not enabled.
        9 | 100_000_001 | 100_000_005 | 100_000_010 | 100_000_011 | 100_000_016 | 100_000_017 => {
            Code::Refused(refused(Cause::Credentials))
        }
        _ => Code::Refused(refused(Cause::Other)),
    })
}

fn data(action: &'static str, fields: &Fields) -> Result<Fields, ApiError> {
    fields.object("Data").map_err(|_| unreadable(action, "its data is missing, or no object"))
}

fn unreadable(action: &'static str, why: &'static str) -> ApiError {
    ApiError::Unreadable { action, why }
}

#[cfg(test)]
mod tests;
