//! Who was where, from when to when, and why they left.

use std::pin::{Pin, pin};

use futures::{Stream, StreamExt, TryStreamExt, stream::Peekable};
use serde::{Deserialize, Serialize};

use super::{
    Page, QueryError, cursor,
    rows::{Earliest, Rows},
    visits::{RoomEnds, visits},
};
use crate::{
    domain::{App, Ending, RoomId, UnixMillis, UserId, Visit},
    store::{Member, Reader, Seat, SeatsFrom, StoreError},
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
struct Session {
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
    fn new(app: &App, now: UnixMillis) -> Self {
        let (provider, app) = (app.provider.as_str(), app.id.to_string());
        Self { provider, app, as_of: now.0, sessions: Vec::new(), next: None }
    }
}

impl Session {
    fn new(user: &UserId, seat: &Seat, visit: &Visit, now: UnixMillis) -> Self {
        let left_at = visit.ending.map(|ending| ending.at().0);
        let entered_at = visit.beginning.at().map(|at| at.0);
        let until = left_at.unwrap_or(now.0);
        Self {
            user: user.to_string(),
            name: seat.name.clone(),
            room: seat.room.to_string(),
            life: seat.life.as_ref().map(ToString::to_string),
            session: visit.session.as_ref().map(ToString::to_string),
            role: visit.role.to_string(),
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
    store: &Reader,
    app: &App,
    room: &RoomId,
    page: &Page<'_>,
    now: UnixMillis,
) -> Result<Attendance, QueryError> {
    let start = page.next.map(cursor::read::<RoomPlace>).transpose()?;
    let start = start.unwrap_or(RoomPlace { seat: String::new(), visits: 0 });
    let (mut answer, mut rows) = (Attendance::new(app, now), Rows::new(page.limit));
    let mut ends = RoomEnds::new(store, app, room.clone(), now);
    let from = SeatsFrom::Place(&start.seat);
    let mut seats = pin!(store.seats_of_room(app, room, from, page.limit.min(SEATS_AT_FIRST), now));
    let mut seen = 0;
    'page: while let Some(found) = seats.try_next().await? {
        let place = |visits| RoomPlace { seat: found.place.clone(), visits };
        if seen >= MAX_SEATS {
            answer.next = cursor::write(&place(0));
            break;
        }
        seen += 1;
        let Member { user, seat } = &found.member;
        let skipped = if found.place == start.seat { start.visits } else { 0 };
        let mut visits = pin!(visits(store, app, user, seat, now));
        let mut number = 0;
        while let Some(mut visit) = visits.try_next().await? {
            number += 1;
            if number <= skipped || !page.may_hold(&visit) {
                continue;
            }
            visit.ending = ends.ending(user, seat.life.as_ref(), &visit).await?;
            if !page.holds(&visit) {
                continue;
            }
            if rows.add(Session::new(user, seat, &visit, now)).is_break() {
                answer.next = cursor::write(&place(number - 1));
                break 'page;
            }
        }
    }
    if seen == 0 && page.next.is_none() && !store.has_lives(app, room, now).await? {
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
    store: &Reader,
    app: &App,
    user: &UserId,
    page: &Page<'_>,
    now: UnixMillis,
) -> Result<Attendance, QueryError> {
    let after = page.next.map(cursor::read::<VisitPlace>).transpose()?;
    let mut first = Earliest::<VisitPlace, Session>::new(page.limit);
    let mut is_known = false;
    let mut rest = pin!(store.seats_of_user(app, user, now).peekable());
    while let Some((room, seats)) = seats_of_next_room(&mut rest).await? {
        is_known = true;
        let mut ends = RoomEnds::of_person(store, app, user, room, seats.clone(), now);
        for seat in seats {
            let mut visits = pin!(visits(store, app, user, &seat, now));
            let mut number = 0;
            while let Some(mut visit) = visits.try_next().await? {
                number += 1;
                let place = VisitPlace {
                    entered_at: visit.place().0,
                    room: seat.room.to_string(),
                    life: seat.life.as_ref().map(ToString::to_string),
                    number,
                };
                let is_earlier = after.as_ref().is_some_and(|after| place <= *after);
                if is_earlier || !first.may_take(&place) || !page.may_hold(&visit) {
                    continue;
                }
                visit.ending = ends.ending(user, seat.life.as_ref(), &visit).await?;
                if page.holds(&visit) {
                    first.take(place, Session::new(user, &seat, &visit, now));
                }
            }
        }
    }
    if !is_known && !super::presence::is_user_known(store, app, user, now).await? {
        return Err(QueryError::Unknown("user"));
    }
    let (sessions, last) = first.into_page();
    let next = last.and_then(|last| cursor::write(&last));
    Ok(Attendance { sessions, next, ..Attendance::new(app, now) })
}

/// A person's seats in the next room: those of one room lie together.
async fn seats_of_next_room(
    rest: &mut Pin<&mut Peekable<impl Stream<Item = Result<Seat, StoreError>>>>,
) -> Result<Option<(RoomId, Vec<Seat>)>, StoreError> {
    let Some(first) = rest.try_next().await? else { return Ok(None) };
    let room = first.room.clone();
    let mut seats = vec![first];
    let is_of_room = |seat: &Result<Seat, _>| seat.as_ref().map_or(true, |seat| seat.room == room);
    while let Some(seat) = rest.as_mut().next_if(is_of_room).await.transpose()? {
        seats.push(seat);
    }
    Ok(Some((room, seats)))
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursors(data: &[u8]) {
    cursor::fuzz::<RoomPlace>(data);
    cursor::fuzz::<VisitPlace>(data);
}
