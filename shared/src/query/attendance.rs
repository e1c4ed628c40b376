//! Who was where, from when to when, and why they left.

use serde::{Deserialize, Serialize};

use super::{
    Page, QueryError, cursor,
    rows::{Earliest, Rows},
};
use crate::{
    domain::{Ending, RoomId, UserId, Visit},
    record::{Record, RoomStay},
};

/// How many seats one page looks at. A page may end here before it is full.
const MAX_SEATS: usize = 10_000;

/// How many seats a page reads first. If each has many visits, it needs few.
const SEATS_AT_FIRST: usize = 32;

/// A page of visits.
#[derive(Debug, Serialize)]
pub(super) struct Attendance {
    provider: &'static str,
    app: String,
    /// When this was true: an open visit has lasted until then.
    as_of: u64,
    sessions: Vec<Session>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Session {
    user: String,
    name: Option<String>,
    room: String,
    life: Option<String>,
    session: Option<String>,
    role: String,
    entered_at: Option<u64>,
    entered_assumed: bool,
    left_at: Option<u64>,
    duration_ms: Option<u64>,
    reason: Option<String>,
    assumed: bool,
}

/// Where a page of a room's visits ended.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RoomPlace {
    /// The seat that comes next.
    #[serde(deserialize_with = "cursor::row")]
    seat: String,
    /// How many of its visits were on earlier pages.
    visits: usize,
}

/// Where a page of a person's visits ended: the order of its last visit.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct VisitPlace {
    /// If that is not known, when it ended.
    entered_at: u64,
    room: String,
    life: Option<String>,
    /// Its number on its seat.
    number: usize,
}

/// A visit is in the span if it lasted at any time of it.
impl Page<'_> {
    /// Whether it is, unless it ended before.
    fn may_hold(&self, visit: &Visit) -> bool {
        visit.place() <= self.to
    }

    fn holds(&self, visit: &Visit) -> bool {
        self.may_hold(visit) && visit.ending.is_none_or(|ending| ending.at() >= self.from)
    }
}

impl Attendance {
    fn new(record: Record<'_>) -> Self {
        let (provider, app) = (record.app().provider.as_str(), record.app().id.to_string());
        Self { provider, app, as_of: record.now().0, sessions: Vec::new(), next: None }
    }
}

impl Session {
    pub(super) fn new(record: Record<'_>, user: &UserId, stay: RoomStay) -> Self {
        let RoomStay { room, life, name, role, visit } = stay;
        let left_at = visit.ending.map(|ending| ending.at().0);
        let entered_at = visit.beginning.at().map(|at| at.0);
        let until = left_at.unwrap_or(record.now().0);
        Self {
            user: user.to_string(),
            name,
            room: room.to_string(),
            life: life.as_ref().map(ToString::to_string),
            session: visit.session.as_ref().map(ToString::to_string),
            role: role.into_owned(),
            entered_at,
            entered_assumed: visit.beginning.is_assumed(),
            left_at,
            duration_ms: entered_at.map(|entered_at| until.saturating_sub(entered_at)),
            reason: visit.ending.map(Ending::reason),
            assumed: visit.ending.is_some_and(Ending::is_assumed),
        }
    }
}

/// A page of the visits to a room: the person whose newest session is the oldest comes first, with
/// all their visits, oldest first.
pub(super) async fn room(
    record: Record<'_>,
    room: &RoomId,
    page: &Page<'_>,
) -> Result<Attendance, QueryError> {
    let start = page.next.map(cursor::read::<RoomPlace>).transpose()?;
    let start = start.unwrap_or(RoomPlace { seat: String::new(), visits: 0 });
    let (mut answer, mut rows) = (Attendance::new(record), Rows::new(page.limit));
    let mut seats = record.seats_of_room(room, &start.seat, page.limit.min(SEATS_AT_FIRST));
    let mut seen = 0;
    'page: while let Some((seat, mut visits)) = seats.next().await? {
        let place = |visits| RoomPlace { seat: seat.to_owned(), visits };
        if seen >= MAX_SEATS {
            answer.next = cursor::write(&place(0));
            break;
        }
        seen += 1;
        let skipped = if seat == start.seat { start.visits } else { 0 };
        let mut number = 0;
        while let Some(visit) = visits.next().await? {
            number += 1;
            if number <= skipped || !page.may_hold(&visit) {
                continue;
            }
            let stay = visits.decide(visit).await?;
            if !page.holds(&stay.visit) {
                continue;
            }
            if rows.add(Session::new(record, visits.user(), stay)).is_break() {
                answer.next = cursor::write(&place(number - 1));
                break 'page;
            }
        }
    }
    if seen == 0 && page.next.is_none() && !record.has_lives(room).await? {
        return Err(QueryError::Unknown("room"));
    }
    answer.sessions = rows.into_vec();
    Ok(answer)
}

/// A page of a person's visits to all rooms, oldest first.
///
/// Their seats lie by room, so that every page reads all of them, but keeps no more visits than it
/// returns.
pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
    page: &Page<'_>,
) -> Result<Attendance, QueryError> {
    let after = page.next.map(cursor::read::<VisitPlace>).transpose()?;
    let mut first = Earliest::<VisitPlace, Session>::new(page.limit);
    let mut is_known = false;
    let mut seats = record.seats_of_person(user);
    while let Some(mut visits) = seats.next().await? {
        is_known = true;
        let mut number = 0;
        while let Some(visit) = visits.next().await? {
            number += 1;
            let place = VisitPlace {
                entered_at: visit.place().0,
                room: visits.room().to_string(),
                life: visits.life().map(ToString::to_string),
                number,
            };
            let is_earlier = after.as_ref().is_some_and(|after| place <= *after);
            if is_earlier || !first.may_take(&place) || !page.may_hold(&visit) {
                continue;
            }
            let stay = visits.decide(visit).await?;
            if page.holds(&stay.visit) {
                first.take(place, Session::new(record, user, stay));
            }
        }
    }
    if !is_known && !record.is_known_outside_rooms(user).await? {
        return Err(QueryError::Unknown("user"));
    }
    let (sessions, last) = first.into_page();
    let next = last.and_then(|last| cursor::write(&last));
    Ok(Attendance { sessions, next, ..Attendance::new(record) })
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursors(data: &[u8]) {
    cursor::fuzz::<RoomPlace>(data);
    cursor::fuzz::<VisitPlace>(data);
}
