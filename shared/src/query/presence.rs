//! Whether people are online, and where.

use std::cmp::Reverse;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    QueryError, cursor,
    names::{ReasonName, RoleName},
    rows::Rows,
};
use crate::{
    domain::{
        AppId, Ending, LifeId, Platform, ProviderName, RoomId, SessionId, UnixMillis, UserId,
    },
    http::read_object,
    record::{DeviceStay, Person, Record, RecordError, RoomStay, Stay},
};

/// How many users can be asked for at once.
const MAX_USERS: usize = 100;

/// How many of them are read at the same time.
const CONCURRENT_USERS: usize = 10;

/// A person, with a page of their sessions.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct UserPresence {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// Who it is.
    user: UserId,
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// Whether the person is in a room or online on a device.
    online: bool,
    /// When the newest event of this person happened. Null if they are registered but were never
    /// online.
    last_seen_at: Option<UnixMillis>,
    /// When the provider last confirmed this, by Rollcall's clock: who is in the rooms that the
    /// person is in, or each of their devices. Null if it was never asked.
    checked_at: Option<UnixMillis>,
    /// The open sessions, and the last ended one of each room and device. The open ones come
    /// first; in both groups, those that began last come first.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    sessions: Vec<PresenceSession>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// Which page of a person's sessions is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionsPage<'a> {
    pub(super) limit: usize,
    pub(super) next: Option<&'a str>,
}

/// Where a page of a person's sessions ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionPlace {
    /// Who has left by then is over on every page. Who leaves while the pages are read keeps the
    /// place that the first page gave them.
    over_by: u64,
    last: SessionOrder,
}

/// The order of a person's sessions: open ones first, then by their beginning, the newest first.
/// The rest keeps two of one millisecond apart.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct SessionOrder {
    is_over: bool,
    entered_at: Reverse<Option<u64>>,
    room: Option<String>,
    life: Option<String>,
    device: Option<String>,
    session: Option<String>,
}

impl SessionOrder {
    fn of(session: &PresenceSession, over_by: u64) -> Self {
        Self {
            is_over: session.left_at.is_some_and(|left_at| left_at.0 <= over_by),
            entered_at: Reverse(session.entered_at.map(|at| at.0)),
            room: session.room.as_ref().map(ToString::to_string),
            life: session.life.as_ref().map(ToString::to_string),
            device: session.device.as_ref().map(ToString::to_string),
            session: session.session.as_ref().map(ToString::to_string),
        }
    }
}

/// A stay in a room or online on a device.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PresenceSession {
    /// The room. Null for a stay on a device.
    room: Option<RoomId>,
    /// The life of the room. Null for a device, and in Tencent's rooms and ZIM's, which have no
    /// lives.
    life: Option<LifeId>,
    /// ZEGO's session in an RTC room or of a ZIM device, or OpenIM's connection if its server sends
    /// connection ids. Tencent has none, and neither have ZIM's rooms.
    session: Option<SessionId>,
    /// The kind of device, such as `IOS`. Null for a stay in a room.
    device: Option<Platform>,
    /// The newest name of this person in that life of the room. Null for a device, or if the
    /// provider sent none.
    name: Option<String>,
    /// The role at the end of the stay, or now if it lasts. Null for a device.
    role: Option<RoleName>,
    /// When it began. Null if only the end is known.
    entered_at: Option<UnixMillis>,
    /// Whether the beginning was inferred: its own callback never arrived, or its time is before
    /// the end of the previous stay. Then `entered_at` is the earliest time at which the person is
    /// known to have been in, or null. A device without a connection id has the last repetition
    /// of "online" there.
    entered_assumed: bool,
    /// When it ended. Null while it lasts.
    left_at: Option<UnixMillis>,
    /// Why it ended. Null while it lasts.
    reason: Option<ReasonName>,
    /// Whether the end was inferred, because its own callback never arrived.
    assumed: bool,
}

/// Whether one of several people is online.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct UserSummary {
    /// Who it is.
    user: UserId,
    /// Whether the person is in a room or online on a device. False for an unknown person.
    online: bool,
    /// When the newest event of this person happened. Null if they are unknown, or registered but
    /// were never online.
    last_seen_at: Option<UnixMillis>,
}

/// Which of several people are online.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct UsersPresence {
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// In the order of the request.
    #[cfg_attr(test, schemars(length(max = MAX_USERS)))]
    users: Vec<UserSummary>,
}

pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
    page: SessionsPage<'_>,
) -> Result<UserPresence, QueryError> {
    let place = page.next.map(cursor::read::<SessionPlace>).transpose()?;
    let person = record.person(user).await?.ok_or(QueryError::Unknown("user"))?;
    let online = person.is_online();
    let Person { last_seen_at, stays, checked_at } = person;
    // Some clocks are ahead of ours.
    let newest_end = stays.iter().filter_map(|stay| stay.ending().map(Ending::at)).max();
    let now = record.now();
    let over_by =
        place.as_ref().map_or(newest_end.unwrap_or(now).max(now).0, |place| place.over_by);
    let with_order = stays.into_iter().map(|stay| {
        let session = PresenceSession::from(stay);
        (SessionOrder::of(&session, over_by), session)
    });
    let mut sessions: Vec<_> = with_order
        .filter(|(order, _)| place.as_ref().is_none_or(|place| *order > place.last))
        .collect();
    sessions.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut rows = Rows::new(page.limit);
    let (mut last, mut next) = (None, None);
    for (order, session) in sessions {
        if rows.add(session).is_break() {
            next = last.and_then(|last| cursor::write(&SessionPlace { over_by, last }));
            break;
        }
        last = Some(order);
    }
    Ok(UserPresence {
        provider: record.app().provider,
        app: record.app().id.clone(),
        user: user.clone(),
        as_of: now,
        online,
        last_seen_at,
        checked_at,
        sessions: rows.into_vec(),
        next,
    })
}

impl From<Stay> for PresenceSession {
    fn from(stay: Stay) -> Self {
        let (beginning, ending) = (stay.beginning(), stay.ending());
        let (room, life, session, device, name, role) = match stay {
            Stay::Room(RoomStay { room, life, name, role, visit }) => {
                (Some(room), life, visit.session, None, name, Some(role))
            }
            Stay::Device(DeviceStay { platform, connection, .. }) => {
                (None, None, connection, Some(platform), None, None)
            }
        };
        Self {
            room,
            life,
            session,
            device,
            name,
            role: role.map(RoleName::from),
            entered_at: beginning.at(),
            entered_assumed: beginning.is_assumed(),
            left_at: ending.map(Ending::at),
            reason: ending.map(ReasonName::from),
            assumed: ending.is_some_and(Ending::is_assumed),
        }
    }
}

/// Reads `{"users":["a","b"]}`.
pub(super) fn read_users(body: &[u8]) -> Result<Vec<UserId>, QueryError> {
    #[derive(Deserialize)]
    struct Body {
        users: Vec<String>,
    }
    let bad = |why: &str| QueryError::BadParameter("users", why.to_owned());
    let body: Body = read_object(body)
        .map_err(|_| bad(r#"is missing: the body has to be {"users":["..."]}"#))?;
    if body.users.len() > MAX_USERS {
        return Err(bad(&format!("holds more than {MAX_USERS} ids")));
    }
    let id = |text: String| text.parse().map_err(|error| bad(&format!("holds an id that {error}")));
    body.users.into_iter().map(id).collect()
}

pub(super) async fn users(
    record: Record<'_>,
    users: Vec<UserId>,
) -> Result<UsersPresence, QueryError> {
    let summaries = stream::iter(users).map(async |id| {
        let person = record.person(&id).await?;
        Ok::<_, RecordError>(UserSummary {
            online: person.as_ref().is_some_and(Person::is_online),
            last_seen_at: person.and_then(|person| person.last_seen_at),
            user: id,
        })
    });
    Ok(UsersPresence {
        as_of: record.now(),
        users: summaries.buffered(CONCURRENT_USERS).try_collect().await?,
    })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<SessionPlace>(data);
}
