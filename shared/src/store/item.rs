//! Reading and writing attributes.

use std::{borrow::Cow, collections::HashMap};

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::AttributeValue::{self, B, Bool, Bs, M, N, S},
};

use super::StoreError;
use crate::domain::{Detail, Mark, SeatSeen, Seen, SessionMark, Stamp, UnixMillis, UnixSeconds};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The newest mark of a seat. It decides whether a write changes who is in the room.
pub(super) const NEWEST: &str = "k";
/// All marks of a seat except those that were moved.
pub(super) const MARKS: &str = "marks";
/// The newest of the marks that were moved from a seat to other items.
pub(super) const MOVED_TO: &str = "moved_to";
/// Of a seat, the newest observation that the person is in, see [`crate::domain::Seen`].
pub(super) const SEEN_IN: &str = "seen_in";
/// The same that they are not.
pub(super) const SEEN_OUT: &str = "seen_out";
/// Of a device, when the provider last said that it is online, by our clock.
pub(super) const SEEN_ONLINE: &str = "seen_online";
/// The same that it is offline.
pub(super) const SEEN_OFFLINE: &str = "seen_offline";
/// Of a life or a device, when the provider last confirmed what is known, by our clock.
pub(super) const CHECKED_AT: &str = "checked_at";
/// Of a room, when the newest answer was asked for that somebody is in it, by our clock. It is not
/// older than any observation on a seat of the room.
pub(super) const SEEN_AT: &str = "seen_at";
/// When DynamoDB may delete the item, in Unix seconds.
pub(super) const EXPIRES_AT: &str = "expires_at";
pub(super) const DISPLAY_NAME: &str = "display_name";
pub(super) const DETAILS: &str = "details";
pub(super) const CREATED_AT: &str = "created_at";
/// Of a boundary, the hash of the user who created the room: their own creation does not end their stay.
pub(super) const CREATOR: &str = "creator";
pub(super) const CLOSED_AT: &str = "closed_at";

/// The newest event of each kind of a device, see [`crate::domain::Stamp`].
pub(super) const ONLINE_STAMP: &str = "online_stamp";
pub(super) const OFFLINE_STAMP: &str = "offline_stamp";
pub(super) const LOGOUT_STAMP: &str = "logout_stamp";
pub(super) const KICKED_STAMP: &str = "kicked_stamp";
/// The month that the login of `online_stamp` is counted for; of sessions, the newest month in which
/// their user was counted.
pub(super) const COUNTED_MONTH: &str = "counted_month";
/// The marks of a user's sessions, see [`crate::domain::SessionMark`].
pub(super) const SESSIONS: &str = "sessions";
/// The SHA-256 of the body that a signature is valid for.
pub(super) const BODY: &str = "body";
/// Of a month, the earliest login by which its user counts for it; of sessions, the earliest one that
/// is counted for `counted_month`.
pub(super) const LOGIN_AT: &str = "login_at";
/// The random key with which the erasures of an app hash the ids of users.
pub(super) const HASH_KEY: &str = "hash_key";
/// What is not newer than this was erased.
pub(super) const ERASED_AT: &str = "erased_at";
/// How many items were deleted or shortened.
pub(super) const ERASED_ITEMS: &str = "erased_items";
/// Of a live room, about when its newest fact was stored.
pub(super) const LAST_AT: &str = "last_at";
/// Of a live room, about when a fact was stored that came late.
pub(super) const LATE_AT: &str = "late_at";
/// Of a live room, when the last pass began that asked the provider who is in.
pub(super) const PASSED_AT: &str = "passed_at";
/// When the brake held an answer up first.
pub(super) const BRAKED_AT: &str = "braked_at";
/// A digest of that answer.
pub(super) const BRAKED: &str = "braked";
/// Digests of the answers that could not be made to agree with a provider, or of devices that the
/// brake held up.
pub(super) const DIFFERED: &str = "differed";
/// Until when a message waits that has a room checked.
pub(super) const CHECK_UNTIL: &str = "check_until";
/// What the message was sent for.
pub(super) const CHECK_BY: &str = "check_by";
/// When the check is due, if nothing changes before.
pub(super) const CHECK_AT: &str = "check_at";
/// How often what is known of an ended life has changed after it was settled, plus one.
pub(super) const REVISION: &str = "revision";
/// When a fact about a room was found, by our clock.
pub(super) const SETTLED_AT: &str = "settled_at";
/// For how long nothing had changed then, in seconds.
pub(super) const SETTLE_SECONDS: &str = "settle_seconds";
pub(super) const BEGAN_AT: &str = "began_at";
pub(super) const ENDED_AT: &str = "ended_at";
pub(super) const PEOPLE: &str = "people";
pub(super) const PERSON_MS: &str = "person_ms";
pub(super) const MISSING: &str = "missing";
pub(super) const DIGEST: &str = "digest";
/// When the last person left a room.
pub(super) const EMPTIED_AT: &str = "emptied_at";
/// Why they left.
pub(super) const REASON: &str = "reason";
/// Who sweeps.
pub(super) const LEASE_OWNER: &str = "lease_owner";
/// Until when nobody else does.
pub(super) const LEASE_UNTIL: &str = "lease_until";
/// How far the sweep has come, as JSON.
pub(super) const PROGRESS: &str = "progress";
/// When a pass began.
pub(super) const SAMPLED_AT: &str = "sampled_at";
/// How long it took, in milliseconds.
pub(super) const TOOK_MS: &str = "took_ms";
/// In how many rooms it found somebody.
pub(super) const ROOMS: &str = "room_count";
/// How many people it found.
pub(super) const ONLINE: &str = "people_count";
/// There if it has not counted everybody.
pub(super) const AT_LEAST: &str = "at_least";
pub(super) const SOURCE: &str = "source";
/// The `source` of a registration that was a login. All others have `callback`.
pub(super) const FIRST_LOGIN: &str = "first_login";
/// The same of a registration that the provider listed when it was asked.
pub(super) const RECONCILED: &str = "reconciled";
pub(super) const RECORDED_AT: &str = "recorded_at";
pub(super) const CREATE_TIME: &str = "create_time";
/// Of a registration, when the newest change of the profile was reported.
pub(super) const PROFILE_CHANGED_AT: &str = "profile_changed_at";
/// Of a registration, when the provider was asked for the profile that it has.
pub(super) const PROFILE_READ_AT: &str = "profile_read_at";
pub(super) const AVATAR_URL: &str = "avatar_url";
pub(super) const EXTRA: &str = "extra";
pub(super) const EXTRA_TRUNCATED: &str = "extra_truncated";
pub(super) const MANAGER_LEVEL: &str = "manager_level";
pub(super) const RECEIVE_OPTION: &str = "receive_option";

/// The attributes that the index has beside the keys: everything that a seat, a life, a boundary, a live
/// room, a month or a registration may have, except [`EXTRA`].
pub(super) const IN_INDEX: [&str; 26] = [
    NEWEST,
    MARKS,
    MOVED_TO,
    SEEN_IN,
    SEEN_OUT,
    CHECKED_AT,
    SEEN_AT,
    EXPIRES_AT,
    DISPLAY_NAME,
    DETAILS,
    CREATED_AT,
    CREATOR,
    CLOSED_AT,
    LOGIN_AT,
    LAST_AT,
    LATE_AT,
    PASSED_AT,
    SOURCE,
    RECORDED_AT,
    CREATE_TIME,
    PROFILE_CHANGED_AT,
    PROFILE_READ_AT,
    AVATAR_URL,
    EXTRA_TRUNCATED,
    MANAGER_LEVEL,
    RECEIVE_OPTION,
];

/// The details of a registration that are attributes of their own: they were, before there were
/// details. All others are in `details`.
pub(super) const OLD_DETAILS: [&str; 5] =
    [AVATAR_URL, EXTRA, EXTRA_TRUNCATED, MANAGER_LEVEL, RECEIVE_OPTION];

/// An item with these attributes.
pub(super) fn of(attributes: impl IntoIterator<Item = (&'static str, AttributeValue)>) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn string(text: impl Into<String>) -> AttributeValue {
    S(text.into())
}

pub(super) fn bytes(bytes: Blob) -> AttributeValue {
    B(bytes)
}

/// A set of marks, in bytes. DynamoDB takes no empty set.
pub(super) fn mark_set(marks: Vec<Blob>) -> AttributeValue {
    Bs(marks)
}

/// A detail, if it is to be stored.
pub(super) fn detail(detail: &Detail) -> Option<AttributeValue> {
    match detail {
        Detail::Missing => None,
        Detail::Flag(flag) => Some(Bool(*flag)),
        Detail::Number(number) => Some(N(number.to_string())),
        Detail::Text(text) => Some(string(text)),
    }
}

pub(super) fn read_detail(value: &AttributeValue) -> Detail {
    match value {
        Bool(flag) => Detail::Flag(*flag),
        N(number) => number.parse().map_or(Detail::Missing, Detail::Number),
        S(text) => Detail::Text(text.clone()),
        _ => Detail::Missing,
    }
}

pub(super) fn details<'a>(
    details: impl IntoIterator<Item = (&'a Cow<'static, str>, &'a Detail)>,
) -> AttributeValue {
    let stored = |(name, value): (&Cow<'_, str>, _)| Some((name.to_string(), detail(value)?));
    M(details.into_iter().filter_map(stored).collect())
}

pub(super) fn number(number: u64) -> AttributeValue {
    N(number.to_string())
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    match item.get(name) {
        Some(S(text)) => Ok(text),
        _ => Err(StoreError::Item("a string is missing")),
    }
}

/// Whether the item of a registration has one, and not only a change of the profile.
pub(super) fn is_registered(item: &Item) -> bool {
    item.contains_key(RECORDED_AT)
}

/// When a user was registered, as well as their registration says.
pub(super) fn registered_at(item: &Item) -> Result<UnixMillis, StoreError> {
    let at = match millis(item, CREATE_TIME)? {
        None => millis(item, RECORDED_AT)?,
        at => at,
    };
    at.ok_or(StoreError::Item("a registration has no time"))
}

/// The bytes of an optional attribute.
pub(super) fn optional_bytes<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    item.get(name).and_then(|value| value.as_b().ok()).map(AsRef::as_ref)
}

/// A whole number of an optional attribute.
pub(super) fn optional_number(item: &Item, name: &str) -> Option<u64> {
    item.get(name).and_then(|value| value.as_n().ok()?.parse().ok())
}

/// The text of an optional attribute.
pub(super) fn optional_text(item: &Item, name: &str) -> Option<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned()
}

pub(super) fn millis(item: &Item, name: &str) -> Result<Option<UnixMillis>, StoreError> {
    match item.get(name) {
        None => Ok(None),
        Some(N(number)) => match number.parse() {
            Ok(number) => Ok(Some(UnixMillis(number))),
            Err(_) => Err(StoreError::Item("a time is not a whole number")),
        },
        Some(_) => Err(StoreError::Item("a time is not a number")),
    }
}

/// The newest event in a device's register.
pub(super) fn stamp(item: &Item, register: &str) -> Result<Option<Stamp>, StoreError> {
    Ok(millis(item, register)?.map(|number| Stamp::from_number(number.0)))
}

pub(super) fn newest(item: &Item) -> Result<Mark, StoreError> {
    match item.get(NEWEST) {
        Some(B(bytes)) => read_mark(bytes.as_ref()),
        _ => Err(StoreError::Item("the newest mark is missing")),
    }
}

pub(super) fn moved_to(item: &Item) -> Result<Option<Mark>, StoreError> {
    match item.get(MOVED_TO) {
        None => Ok(None),
        Some(B(bytes)) => read_mark(bytes.as_ref()).map(Some),
        Some(_) => Err(StoreError::Item("a mark is not bytes")),
    }
}

pub(super) fn read_mark(bytes: &[u8]) -> Result<Mark, StoreError> {
    Mark::from_bytes(bytes).map_err(|_| StoreError::Item("a mark is not one"))
}

/// An observation on a seat.
pub(super) fn seen(item: &Item, name: &str) -> Result<Option<Seen>, StoreError> {
    let read =
        |bytes| Seen::from_bytes(bytes).map_err(|_| StoreError::Item("an observation is not one"));
    optional_bytes(item, name).map(read).transpose()
}

/// The observations on a seat.
pub(super) fn seat_seen(item: &Item) -> Result<SeatSeen, StoreError> {
    Ok(SeatSeen { came: seen(item, SEEN_IN)?, gone: seen(item, SEEN_OUT)? })
}

/// The bytes of the marks of a seat; none if it has none.
pub(super) fn mark_bytes(item: &Item) -> &[Blob] {
    match item.get(MARKS) {
        Some(Bs(marks)) => marks,
        _ => &[],
    }
}

pub(super) fn marks(item: &Item) -> Result<Vec<Mark>, StoreError> {
    mark_bytes(item).iter().map(|bytes| read_mark(bytes.as_ref())).collect()
}

/// The bytes of the marks of sessions; none if there are none.
pub(super) fn session_bytes(item: &Item) -> &[Blob] {
    match item.get(SESSIONS) {
        Some(Bs(marks)) => marks,
        _ => &[],
    }
}

pub(super) fn read_session(bytes: &[u8]) -> Result<SessionMark, StoreError> {
    SessionMark::from_bytes(bytes).map_err(|_| StoreError::Item("a mark of a session is not one"))
}

pub(super) fn sessions(item: &Item) -> Result<Vec<SessionMark>, StoreError> {
    session_bytes(item).iter().map(|bytes| read_session(bytes.as_ref())).collect()
}

pub(super) fn session_mark(mark: &SessionMark) -> AttributeValue {
    bytes(Blob::new(mark.to_bytes()))
}

/// Marks of sessions as a set. DynamoDB takes no empty one.
pub(super) fn session_set<'a>(marks: impl IntoIterator<Item = &'a SessionMark>) -> AttributeValue {
    mark_set(marks.into_iter().map(|mark| Blob::new(mark.to_bytes())).collect())
}

/// Whether the item has expired. DynamoDB may take days to delete it.
pub(super) fn is_expired(item: &Item, now: UnixMillis) -> bool {
    match item.get(EXPIRES_AT) {
        Some(N(at)) => at.parse().is_ok_and(|at| UnixSeconds(at) <= now.seconds()),
        _ => false,
    }
}
