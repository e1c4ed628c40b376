//! A person's own data: everything that is stored about them. And who was erased.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{
    QueryError, cursor,
    names::{ReasonName, RoleName, TrackName},
    registrations::UserRegistration,
    rows::Rows,
};
use crate::{
    domain::{
        AppId, Details, Device, Kind, LifeId, Mark, Order, Platform, ProviderName, RoomId, Says,
        Seen, SessionId, Stamp, UnixMillis, UserId,
    },
    record::{PersonContent, PersonItem, Record},
};

/// A page of everything that is stored about a user.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct PersonData {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// Whose data it is.
    user: UserId,
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// The items of the table that are about this user.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    items: Vec<PersonRow>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// An item of the table.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PersonItem"))]
struct PersonRow {
    #[serde(flatten)]
    content: Content,
    /// When the item is deleted, unless something new is stored in it. Null for a registration and
    /// for a change of a profile, which stay.
    expires_at: Option<UnixMillis>,
}

/// What an item says, by its `kind`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PersonContent"))]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Content {
    /// The user in one life of a room.
    Seat {
        /// The room.
        room: RoomId,
        /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
        life: Option<LifeId>,
        /// Which of Tencent's products reported this. Null for other providers.
        track: Option<TrackName>,
        /// The display name of the newest event. Null if the provider sent none.
        name: Option<String>,
        /// What else the newest event says, by the provider's own field names.
        details: Details,
        /// What the events say, in the order in which the rules read them.
        marks: Vec<StoredMark>,
        /// What the provider said of the user in this room when it was asked.
        observations: Vec<StoredSeen>,
    },
    /// Older events of a seat that has many.
    OlderMarks {
        /// The room.
        room: RoomId,
        /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
        life: Option<LifeId>,
        /// Which of Tencent's products reported this. Null for other providers.
        track: Option<TrackName>,
        /// What the events say, in the order in which the rules read them.
        marks: Vec<StoredMark>,
    },
    /// A device of the user, with the newest event of each kind.
    Device {
        /// The kind of device.
        device: Platform,
        /// The connection, if the provider names it.
        session: Option<SessionId>,
        /// When it last came online. Null if no event says so.
        online_at: Option<UnixMillis>,
        /// When it last went offline. Null if no event says so.
        offline_at: Option<UnixMillis>,
        /// Why it went offline. Null if no event says that it did.
        offline_reason: Option<ReasonName>,
        /// When the user last logged out. Null if no event says so.
        logged_out_at: Option<UnixMillis>,
        /// When a login on the same platform last took its place. Null if no event says so.
        kicked_by_own_platform_at: Option<UnixMillis>,
        /// The month in UTC that the newest login is counted for, such as `2026-11`. Null if no
        /// login is.
        counted_month: Option<String>,
        /// When the provider was last asked and said that it is online. Null if it never did.
        seen_online_at: Option<UnixMillis>,
        /// When the provider was last asked and said that it is offline. Null if it never did.
        seen_offline_at: Option<UnixMillis>,
        /// When the provider last confirmed what is known of it. Null if it was never asked.
        checked_at: Option<UnixMillis>,
    },
    /// Sessions of the user, each with the newest event of each kind. Of a user with many, older ones
    /// are another item.
    Sessions {
        /// The sessions.
        sessions: Vec<StoredSession>,
        /// The newest month in UTC that a login of theirs is counted for, such as `2026-11`. Null if
        /// none is.
        counted_month: Option<String>,
    },
    /// A month in which the user counts as active.
    Month {
        /// The calendar month in UTC, such as `2026-11`.
        month: String,
        /// The login by which the user counts. Null in an item of an older version.
        login_at: Option<UnixMillis>,
    },
    /// The registration.
    Registration {
        /// As `/registrations` has it.
        registration: Box<UserRegistration>,
        /// When the newest change of the profile was reported, also if the profile was read since.
        /// Null if none was.
        changed_at: Option<UnixMillis>,
    },
    /// The profile of a user changed whose registration never arrived.
    ProfileChange {
        /// When the newest change was reported.
        changed_at: UnixMillis,
    },
}

/// A session of the user.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StoredSession {
    /// The session.
    session: Option<SessionId>,
    /// The kind of device.
    device: Platform,
    /// When it last logged in. Null if no event says so.
    online_at: Option<UnixMillis>,
    /// When its connection was last lost. Null if no event says so.
    offline_at: Option<UnixMillis>,
    /// When the user logged out. Null if no event says so.
    logged_out_at: Option<UnixMillis>,
    /// When the provider was last asked and said that it is offline. Null if it never did.
    seen_offline_at: Option<UnixMillis>,
    /// When the provider last confirmed what is known of it. Null if it was never asked.
    checked_at: Option<UnixMillis>,
}

impl From<Device> for StoredSession {
    fn from(device: Device) -> Self {
        let at = |stamp: Option<Stamp>| stamp.map(Stamp::at);
        Self {
            online_at: at(device.online),
            offline_at: at(device.offline),
            logged_out_at: at(device.logged_out),
            seen_offline_at: device.seen_offline,
            checked_at: device.checked_at,
            session: device.connection,
            device: device.platform,
        }
    }
}

/// What one event says about the user in a room.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StoredMark {
    /// `enter`, `leave`, or `stay`: the user was in before, and their role or connection changed.
    event: Kind,
    /// When it happened, by the provider's clock.
    at: UnixMillis,
    /// When the session began. Where sessions have no names (Tencent's rooms, ZIM's rooms), when the
    /// event happened.
    session_began_at: UnixMillis,
    /// The provider's session. Null in Tencent's rooms and ZIM's, which have no sessions.
    session: Option<SessionId>,
    /// RTC's `user_update_seq`. In Tencent's rooms and ZIM's, the rank of the kind of event at its time.
    sequence: u64,
    /// The role in the event.
    role: RoleName,
    /// Why the user left. Null if the event is not a departure.
    reason: Option<ReasonName>,
}

/// What the provider said of the user in a room when it was asked.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StoredSeen {
    /// Whether they were in.
    is_in: bool,
    /// When it was asked, by Rollcall's clock.
    at: UnixMillis,
    /// When they logged in. Null if the provider did not say so.
    login_at: Option<UnixMillis>,
    /// Their role. Null if they were not in.
    role: Option<RoleName>,
}

/// Where a page ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    #[serde(deserialize_with = "cursor::row")]
    after: String,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListPage<'a> {
    pub(super) limit: usize,
    /// Where the page before this one ended.
    pub(super) next: Option<&'a str>,
}

impl StoredMark {
    fn new(record: Record<'_>, mark: Mark) -> Self {
        let reason = mark.departure().map(ReasonName::from);
        let Mark { order: Order { time, session, sequence }, kind, at, role, .. } = mark;
        Self {
            event: kind,
            at,
            session_began_at: time,
            session,
            sequence,
            role: record.role_name(role).into(),
            reason,
        }
    }
}

impl StoredSeen {
    fn new(record: Record<'_>, Seen { at, says }: Seen) -> Self {
        match says {
            Says::In { login, role } => {
                let role = Some(record.role_name(role).into());
                Self { is_in: true, at, login_at: login, role }
            }
            Says::Out => Self { is_in: false, at, login_at: None, role: None },
        }
    }
}

fn events(record: Record<'_>, mut marks: Vec<Mark>) -> Vec<StoredMark> {
    marks.sort();
    marks.into_iter().map(|mark| StoredMark::new(record, mark)).collect()
}

impl Content {
    fn new(record: Record<'_>, content: PersonContent) -> Self {
        let at = |stamp: Option<Stamp>| stamp.map(Stamp::at);
        let name_of = |track| record.track_name(track).map(TrackName::from);
        match content {
            PersonContent::Seat { room, life, track, name, details, marks, seen } => {
                let track = name_of(track);
                let marks = events(record, marks);
                let observations = seen.iter().map(|seen| StoredSeen::new(record, seen)).collect();
                Self::Seat { room, life, track, name, details, marks, observations }
            }
            PersonContent::OlderMarks { room, life, track, marks } => {
                let (track, marks) = (name_of(track), events(record, marks));
                Self::OlderMarks { room, life, track, marks }
            }
            PersonContent::Device(device, month) => Self::Device {
                online_at: at(device.online),
                offline_at: at(device.offline),
                offline_reason: device.offline.map(|stamp| stamp.reason().into()),
                logged_out_at: at(device.logged_out),
                kicked_by_own_platform_at: at(device.kicked_by_itself),
                counted_month: month.map(|month| month.to_string()),
                seen_online_at: device.seen_online,
                seen_offline_at: device.seen_offline,
                checked_at: device.checked_at,
                device: device.platform,
                session: device.connection,
            },
            PersonContent::Sessions(sessions, month) => Self::Sessions {
                sessions: sessions.into_iter().map(StoredSession::from).collect(),
                counted_month: month.map(|month| month.to_string()),
            },
            PersonContent::Month(month, login_at) => {
                Self::Month { month: month.to_string(), login_at }
            }
            PersonContent::Registration(registered) => Self::Registration {
                changed_at: registered.profile.changed_at,
                registration: Box::new(registered.into()),
            },
            PersonContent::ProfileChange(changed_at) => Self::ProfileChange { changed_at },
        }
    }
}

impl PersonRow {
    fn new(record: Record<'_>, item: PersonItem) -> Self {
        let expires_at = item.expires_at.map(|at| UnixMillis(at.0.saturating_mul(1000)));
        Self { content: Content::new(record, item.content), expires_at }
    }
}

pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
    page: ListPage<'_>,
) -> Result<PersonData, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut found = record.everything_about(user, after, page.limit);
    let mut rows = Rows::new(page.limit);
    let (mut last, mut next) = (None, None);
    while let Some(item) = found.try_next().await? {
        let place = item.place.clone();
        if rows.add(PersonRow::new(record, item)).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
            break;
        }
        last = Some(place);
    }
    let items = rows.into_vec();
    if items.is_empty() && after.is_none() {
        return Err(QueryError::Unknown("user"));
    }
    Ok(PersonData {
        provider: record.app().provider,
        app: record.app().id.clone(),
        user: user.clone(),
        as_of: record.now(),
        items,
        next,
    })
}

/// A person who was erased.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Erasure {
    /// The HMAC-SHA-256 of the user's id, in hexadecimal digits. Its random key is in the table.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    hash: String,
    /// What began by then is erased.
    at: UnixMillis,
    /// How many items all requests and later passes have erased.
    items: u64,
}

/// A page of the erasures of an app.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Erasures {
    /// In the order of the hashes.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    erasures: Vec<Erasure>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

pub(super) async fn erasures(
    record: Record<'_>,
    page: ListPage<'_>,
) -> Result<Erasures, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut found = record.erasures(after);
    let mut rows = Rows::new(page.limit);
    let (mut last, mut next) = (None, None);
    while let Some(erasure) = found.try_next().await? {
        let hash = erasure.hash.to_string();
        let row = Erasure { hash: hash.clone(), at: erasure.at, items: erasure.items };
        if rows.add(row).is_break() {
            next = last.and_then(|after| cursor::write(&Place { after }));
            break;
        }
        last = Some(hash);
    }
    Ok(Erasures { erasures: rows.into_vec(), next })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
