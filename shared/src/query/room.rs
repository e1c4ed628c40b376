//! Who is in a room.

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::{QueryError, cursor, rows::Rows};
use crate::{
    domain::RoomId,
    record::{self, Member, Record, RoomStay},
};

/// A page of the people in a room.
#[derive(Debug, Serialize)]
pub(super) struct RoomPresence {
    provider: &'static str,
    app: String,
    room: String,
    life: Option<String>,
    as_of: u64,
    open: bool,
    online: usize,
    members: Vec<RoomMember>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
    next: Option<String>,
}

/// What of the numbered changes in this life of the room has arrived.
#[derive(Debug, Serialize)]
struct Changes {
    first: Option<u64>,
    last: Option<u64>,
    missing: u64,
}

/// Which page of a room is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoomPage<'a> {
    pub(super) limit: usize,
    pub(super) next: Option<&'a str>,
    pub(super) changes: CountChanges,
}

/// Whether a room's answer counts lost callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CountChanges {
    Yes,
    No,
}

#[derive(Debug, Serialize)]
struct RoomMember {
    user: String,
    name: Option<String>,
    role: String,
    session: Option<String>,
    entered_at: Option<u64>,
    entered_assumed: bool,
}

/// Where a page of a roster ended, and what its first page counted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    life: String,
    #[serde(deserialize_with = "cursor::row")]
    after: String,
    online: usize,
}

pub(super) async fn room(
    record: Record<'_>,
    id: &RoomId,
    page: RoomPage<'_>,
) -> Result<RoomPresence, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let room = record.room(id).await?.ok_or(QueryError::Unknown("room"))?;
    if place.as_ref().is_some_and(|place| place.life != room.version()) {
        let why = "belongs to an older life of the room: start again without it";
        return Err(QueryError::BadParameter("next", why.to_owned()));
    }
    let mut answer = RoomPresence {
        provider: record.app().provider.as_str(),
        app: record.app().id.to_string(),
        room: id.to_string(),
        life: room.life().map(ToString::to_string),
        as_of: record.now().0,
        open: !room.is_closed(),
        online: 0,
        members: Vec::new(),
        changes: match page.changes {
            CountChanges::Yes => record.lost_changes(&room).await?.map(Changes::from),
            CountChanges::No => None,
        },
        next: None,
    };
    if room.is_over() {
        return Ok(answer);
    }
    let mut members = record.members(&room, after, page.limit).await?;
    // Every page gives the number that the first one counted.
    answer.online = place.as_ref().map_or(members.count, |place| place.online);
    answer.open |= answer.online > 0;
    let (mut rows, mut last, mut next) = (Rows::new(page.limit), None, members.next);
    while let Some((row, member)) = members.rows.try_next().await? {
        if member.is_some_and(|member| rows.add(RoomMember::from(member)).is_break()) {
            next = last;
            break;
        }
        last = Some(row);
    }
    answer.members = rows.into_vec();
    let (life, online) = (room.version(), answer.online);
    answer.next = next.and_then(|after| cursor::write(&Place { life, after, online }));
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
            user: user.to_string(),
            name,
            role: role.into_owned(),
            session: visit.session.as_ref().map(ToString::to_string),
            entered_at: visit.beginning.at().map(|at| at.0),
            entered_assumed: visit.beginning.is_assumed(),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
