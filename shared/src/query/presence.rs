//! Whether people are online, and where.

use std::{borrow::Cow, cmp::Reverse};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{QueryError, cursor, rows::Rows};
use crate::{
    domain::{Ending, UserId},
    http::read_object,
    record::{DeviceStay, Person, Record, RecordError, RoomStay, Stay},
};

/// How many users can be asked for at once.
const MAX_USERS: usize = 100;

/// How many of them are read at the same time.
const CONCURRENT_USERS: usize = 10;

/// A person, with a page of the visits that are open, and the last one that ended in each room and
/// on each kind of device.
#[derive(Debug, Serialize)]
pub(super) struct UserPresence {
    provider: &'static str,
    app: String,
    user: String,
    /// When this was true.
    as_of: u64,
    online: bool,
    last_seen_at: Option<u64>,
    sessions: Vec<Session>,
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
    fn of(session: &Session, over_by: u64) -> Self {
        Self {
            is_over: session.left_at.is_some_and(|left_at| left_at <= over_by),
            entered_at: Reverse(session.entered_at),
            room: session.room.clone(),
            life: session.life.clone(),
            device: session.device.clone(),
            session: session.session.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Session {
    room: Option<String>,
    life: Option<String>,
    session: Option<String>,
    device: Option<String>,
    name: Option<String>,
    role: Option<String>,
    entered_at: Option<u64>,
    entered_assumed: bool,
    left_at: Option<u64>,
    reason: Option<String>,
    assumed: bool,
}

/// Whether one of several people is online.
#[derive(Debug, Serialize)]
pub(super) struct UserSummary {
    user: String,
    online: bool,
    last_seen_at: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct UserSummaries {
    as_of: u64,
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
    let Person { last_seen_at, stays } = person;
    // Some clocks are ahead of ours.
    let newest_end = stays.iter().filter_map(|stay| stay.ending().map(Ending::at)).max();
    let now = record.now();
    let over_by =
        place.as_ref().map_or(newest_end.unwrap_or(now).max(now).0, |place| place.over_by);
    let with_order = stays.into_iter().map(|stay| {
        let session = Session::from(stay);
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
        provider: record.app().provider.as_str(),
        app: record.app().id.to_string(),
        user: user.to_string(),
        as_of: now.0,
        online,
        last_seen_at: last_seen_at.map(|at| at.0),
        sessions: rows.into_vec(),
        next,
    })
}

impl From<Stay> for Session {
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
            room: room.as_ref().map(ToString::to_string),
            life: life.as_ref().map(ToString::to_string),
            session: session.as_ref().map(ToString::to_string),
            device: device.as_ref().map(ToString::to_string),
            name,
            role: role.map(Cow::into_owned),
            entered_at: beginning.at().map(|at| at.0),
            entered_assumed: beginning.is_assumed(),
            left_at: ending.map(|ending| ending.at().0),
            reason: ending.map(Ending::reason),
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
) -> Result<UserSummaries, QueryError> {
    let summaries = stream::iter(users).map(async |id| {
        let person = record.person(&id).await?;
        Ok::<_, RecordError>(UserSummary {
            user: id.to_string(),
            online: person.as_ref().is_some_and(Person::is_online),
            last_seen_at: person.and_then(|person| person.last_seen_at).map(|at| at.0),
        })
    });
    Ok(UserSummaries {
        as_of: record.now().0,
        users: summaries.buffered(CONCURRENT_USERS).try_collect().await?,
    })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<SessionPlace>(data);
}
