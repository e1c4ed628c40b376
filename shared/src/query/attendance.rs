//! Who was where, from when to when, and why they left.

use serde::{Deserialize, Serialize};

use super::{
    Page, QueryError,
    answer::List,
    cursor,
    names::{ReasonName, RoleName},
    rows::{Earliest, Rows},
};
use crate::{
    domain::{
        App, AppId, Ending, LifeId, ProviderName, RoomId, SessionId, UnixMillis, UserId, Visit,
    },
    record::{Record, RoomStay},
};

/// How many seats one page looks at. A page may end here before it is full.
const MAX_SEATS: usize = 10_000;

/// How many seats a page reads first. If each has many visits, it needs few.
const SEATS_AT_FIRST: usize = 32;

/// A page of visits.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Attendance {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// The time for which the answer is true, by the clock of the function that answers. An open
    /// visit has lasted until then.
    as_of: UnixMillis,
    /// The visits. Of a user: oldest first. Of a room: person by person, the person whose newest
    /// session began first comes first, and the visits of a person oldest first.
    #[cfg_attr(test, schemars(length(max = super::MAX_LIMIT)))]
    sessions: Vec<AttendanceSession>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// One visit of a person to a room.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct AttendanceSession {
    /// Who it was.
    user: UserId,
    /// The newest name of this person in that life of the room. Null if the provider sent none.
    name: Option<String>,
    /// The room.
    room: RoomId,
    /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
    life: Option<LifeId>,
    /// ZEGO's session. Null in Tencent's rooms and ZIM's, which have no sessions.
    session: Option<SessionId>,
    /// The role at the end of the visit, or now if it lasts.
    role: RoleName,
    /// When it began. Null if only the end is known: then the visit has its place in order and
    /// time by its end.
    entered_at: Option<UnixMillis>,
    /// Whether the beginning was inferred: its own callback never arrived, or its time is before
    /// the end of the previous visit. Then `entered_at` is the earliest time at which the person
    /// is known to have been in, or null.
    entered_assumed: bool,
    /// When it ended. Null while it lasts.
    left_at: Option<UnixMillis>,
    /// How long it lasted, or has lasted until `as_of`, in milliseconds. Null if the beginning is
    /// unknown.
    duration_ms: Option<u64>,
    /// Why it ended. Null while it lasts.
    reason: Option<ReasonName>,
    /// Whether the end was inferred, because its own callback never arrived.
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
        let App { provider, id: app } = record.app().clone();
        Self { provider, app, as_of: record.now(), sessions: Vec::new(), next: None }
    }
}

impl List for Attendance {
    type Row = AttendanceSession;

    fn rows(&self) -> &[AttendanceSession] {
        &self.sessions
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

impl AttendanceSession {
    pub(super) fn new(record: Record<'_>, user: &UserId, stay: RoomStay) -> Self {
        let RoomStay { room, life, name, role, visit } = stay;
        let left_at = visit.ending.map(Ending::at);
        let entered_at = visit.beginning.at();
        let until = left_at.unwrap_or(record.now());
        Self {
            user: user.clone(),
            name,
            room,
            life,
            session: visit.session,
            role: role.into(),
            entered_at,
            entered_assumed: visit.beginning.is_assumed(),
            left_at,
            duration_ms: entered_at.map(|entered_at| until.0.saturating_sub(entered_at.0)),
            reason: visit.ending.map(ReasonName::from),
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
            if rows.add(AttendanceSession::new(record, visits.user(), stay)).is_break() {
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
    let mut first = Earliest::<VisitPlace, AttendanceSession>::new(page.limit);
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
                first.take(place, AttendanceSession::new(record, user, stay));
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
