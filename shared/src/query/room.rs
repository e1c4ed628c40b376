//! Who is in a room.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{
    QueryError, cursor,
    names::RoleName,
    rooms::{MAX_COUNTED, online},
    rows::Rows,
};
use crate::{
    domain::{AppId, Counting, LifeId, ProviderName, RoomId, SessionId, UnixMillis, UserId},
    record::{self, Member, NewestRows, Record, RoomStay},
};

/// A page of the people in a room.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RoomPresence {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// The room.
    room: RoomId,
    /// The newest life of the room. Null in Tencent's rooms and ZIM's, which have no lives, and if
    /// the provider was asked and named somebody in a room whose newest life is closed or not known.
    life: Option<LifeId>,
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// Whether the room is open. False after a close. After a dismissal in ZIM, or by each of
    /// Tencent's products that reported the room, false until someone is in again.
    open: bool,
    /// How many people are in it, as the first page counted them: all of them with `count=exact`,
    /// else up to 5000. Null if there are more, or with `count=false`.
    online: Option<usize>,
    /// How many people are in it at least. Only there if there are more than were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    online_at_least: Option<usize>,
    /// When the provider last confirmed who is in, by Rollcall's clock. Null if it was never asked
    /// about this life of the room.
    checked_at: Option<UnixMillis>,
    /// The people of this page, those who came last first.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    members: Vec<RoomMember>,
    /// With `changes=true`, in ZEGO's rooms: how many of the changes that ZEGO counted in this life
    /// of the room have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// How many of the numbered changes in one life of a room have arrived. A missing number is a lost
/// callback. The loss of the latest ones cannot be detected.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Changes {
    /// The first number that arrived. Null as long as nobody came.
    first: Option<u64>,
    /// The last number that arrived. Null as long as nobody came.
    last: Option<u64>,
    /// The smallest number of lost callbacks that explains what arrived.
    missing: u64,
}

/// Which page of a room is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomPage<'a> {
    pub(super) limit: usize,
    pub(super) next: Option<&'a str>,
    pub(super) changes: CountChanges,
    pub(super) people: CountPeople,
}

/// How far a room's answer counts the people in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountPeople {
    Some,
    All,
    No,
}

impl From<CountPeople> for Counting {
    fn from(count: CountPeople) -> Self {
        match count {
            CountPeople::Some => Self::Rows(MAX_COUNTED),
            CountPeople::All => Self::All,
            CountPeople::No => Self::No,
        }
    }
}

/// Whether a room's answer counts lost callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountChanges {
    Yes,
    No,
}

/// Someone who is in the room.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RoomMember {
    /// Who it is.
    user: UserId,
    /// Their newest name in this life of the room. Null if the provider sent none.
    name: Option<String>,
    /// Their role now.
    role: RoleName,
    /// ZEGO's session. Null in Tencent's rooms and ZIM's, which have no sessions.
    session: Option<SessionId>,
    /// When they entered.
    entered_at: Option<UnixMillis>,
    /// Whether the beginning was inferred: its own callback never arrived, or its time is before
    /// the end of the previous visit. Then `entered_at` is the earliest time at which the person
    /// is known to have been in.
    entered_assumed: bool,
}

/// Where a page of a roster ended, and what its first page counted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    life: String,
    #[serde(deserialize_with = "cursor::row")]
    after: String,
    online: Option<usize>,
    #[serde(default)]
    online_at_least: Option<usize>,
}

/// A page of a room. `rows` are its newest ones, if they were read: the first page begins with them.
pub(super) async fn room(
    record: Record<'_>,
    id: &RoomId,
    rows: Option<NewestRows>,
    page: RoomPage<'_>,
) -> Result<RoomPresence, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let mut rows = match rows {
        Some(rows) => rows,
        None => record.newest_rows(id, 0).await?,
    };
    let room = record.room_of(id, &mut rows).await?.ok_or(QueryError::Unknown("room"))?;
    if place.as_ref().is_some_and(|place| place.life != room.version()) {
        let why = "belongs to an older life of the room: start again without it";
        return Err(QueryError::BadParameter("next", why.to_owned()));
    }
    let mut answer = RoomPresence {
        provider: record.app().provider,
        app: record.app().id.clone(),
        room: id.clone(),
        life: room.life().cloned(),
        as_of: record.now(),
        open: !room.is_closed(),
        online: None,
        online_at_least: None,
        checked_at: record.checked_at(&room).await?,
        members: Vec::new(),
        changes: match page.changes {
            CountChanges::Yes => record.lost_changes(&room, usize::MAX).await?.map(Changes::from),
            CountChanges::No => None,
        },
        next: None,
    };
    if room.is_over() {
        answer.online = (page.people != CountPeople::No).then_some(0);
        return Ok(answer);
    }
    let mut members =
        record.members(&room, Some(rows), after, page.limit, page.people.into()).await?;
    // Every page gives the number that the first one counted.
    (answer.online, answer.online_at_least) = match &place {
        None => online(members.count),
        Some(place) => (place.online, place.online_at_least),
    };
    let (mut rows, mut last, mut next) = (Rows::new(page.limit), None, members.next);
    while let Some((row, member)) = members.rows.try_next().await? {
        if member.is_some_and(|member| rows.add(RoomMember::from(member)).is_break()) {
            next = last;
            break;
        }
        last = Some(row);
    }
    answer.members = rows.into_vec();
    // A page after the first one is only asked for if somebody is in.
    answer.open |= place.is_some() || !answer.members.is_empty();
    if room.is_closed() && answer.open {
        // Somebody was seen after the close: in which life, nobody knows.
        answer.life = None;
    }
    let RoomPresence { online, online_at_least, .. } = answer;
    let life = room.version();
    answer.next =
        next.and_then(|after| cursor::write(&Place { life, after, online, online_at_least }));
    Ok(answer)
}

impl From<record::Changes> for Changes {
    fn from(record::Changes { first, last, missing }: record::Changes) -> Self {
        Self { first, last, missing }
    }
}

impl From<Member> for RoomMember {
    fn from(Member { user, stay: RoomStay { name, role, visit, .. } }: Member) -> Self {
        Self {
            user,
            name,
            role: role.into(),
            session: visit.session,
            entered_at: visit.beginning.at(),
            entered_assumed: visit.beginning.is_assumed(),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
