//! Who is online, and where.

use std::{cmp::Reverse, collections::BTreeMap, pin::pin};

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{
    QueryError, cursor,
    rows::Rows,
    visits::{RoomEnds, current_visits},
};
use crate::{
    domain::{
        App, Beginning, Boundary, Device, Ending, Life, MAX_EVENT_TIME_AHEAD, Platform,
        ProviderName, RoomId, Stamp, UnixMillis, UserId, Visit,
    },
    providers::{self, tencent, zego},
    store::{Member, Reader, RosterPage, RosterRow, Seat, SeatsFrom, StoreError},
};

/// How many users can be asked for at once.
const MAX_USERS: usize = 100;

/// How many of them are read at the same time.
const CONCURRENT_USERS: usize = 10;

/// How many rooms of a person are read at the same time.
const CONCURRENT_ROOMS: usize = 32;

/// How many seats are read with one request to count their changes, if so many fit.
const SEATS_PER_READ: usize = 1000;

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

/// What of the changes that ZEGO counted in this life of the room has arrived.
#[derive(Debug, Default, Serialize)]
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

/// Whether a room's answer tells of lost callbacks.
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

/// One seat of a user, with the visits that its marks tell of.
struct Occupied {
    seat: Seat,
    visits: Vec<Visit>,
}

pub(super) async fn user(
    store: &Reader,
    app: &App,
    user: &UserId,
    page: SessionsPage<'_>,
    now: UnixMillis,
) -> Result<UserPresence, QueryError> {
    let place = page.next.map(cursor::read::<SessionPlace>).transpose()?;
    let seen = seen(store, app, user, now).await?.ok_or(QueryError::Unknown("user"))?;
    let online = seen.is_online();
    let Seen { last_seen_at, sessions } = seen;
    // Some clocks are ahead of ours.
    let newest_end = sessions.iter().filter_map(|session| session.left_at).max();
    let over_by = place.as_ref().map_or(newest_end.unwrap_or(0).max(now.0), |place| place.over_by);
    let with_order = sessions.into_iter().map(|session| {
        let order = SessionOrder::of(&session, over_by);
        (order, session)
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
        provider: app.provider.as_str(),
        app: app.id.to_string(),
        user: user.to_string(),
        as_of: now.0,
        online,
        last_seen_at: last_seen_at.map(|at| at.0),
        sessions: rows.into_vec(),
        next,
    })
}

/// When a user was last seen, and all their sessions, in no order.
struct Seen {
    last_seen_at: Option<UnixMillis>,
    sessions: Vec<Session>,
}

impl Seen {
    fn is_online(&self) -> bool {
        self.sessions.iter().any(|session| session.left_at.is_none())
    }

    /// What is known from two sources, of which either may know nothing.
    fn both(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(mut a), Some(b)) => {
                a.sessions.extend(b.sessions);
                Some(Self { last_seen_at: a.last_seen_at.max(b.last_seen_at), ..a })
            }
            (a, b) => a.or(b),
        }
    }
}

/// What is known of a user; `None` if they are not known.
async fn seen(
    store: &Reader,
    app: &App,
    user: &UserId,
    now: UnixMillis,
) -> Result<Option<Seen>, StoreError> {
    Ok(match app.provider {
        ProviderName::Zego => in_rooms(store, app, user, now).await?,
        ProviderName::OpenIm => on_devices(store, app, user, now).await?,
        ProviderName::Tencent => {
            let (rooms, devices) = tokio::try_join!(
                in_rooms(store, app, user, now),
                on_devices(store, app, user, now)
            )?;
            Seen::both(rooms, devices)
        }
    })
}

async fn in_rooms(
    store: &Reader,
    app: &App,
    user: &UserId,
    now: UnixMillis,
) -> Result<Option<Seen>, StoreError> {
    let seats = store.seats(app, user, now).await?;
    let seen = seats.iter().flat_map(|seat| &seat.marks).map(|mark| mark.at).max();
    let mut rooms = BTreeMap::<RoomId, Vec<Occupied>>::new();
    for seat in seats {
        let visits = current_visits(store, app, user, &seat, now).await?;
        rooms.entry(seat.room.clone()).or_default().push(Occupied { seat, visits });
    }
    let rooms =
        rooms.into_iter().map(|(room, seats)| end_ghosts(store, app, user, room, seats, now));
    let rooms = stream::iter(rooms).buffered(CONCURRENT_ROOMS);
    let rooms: Vec<_> = rooms.try_collect().await?;
    let sessions = rooms.into_iter().flat_map(|seats| {
        let sessions = seats.into_iter().flat_map(|Occupied { seat, visits }| {
            visits.into_iter().map(move |visit| Session::in_room(&seat, &visit))
        });
        current_sessions(sessions)
    });
    Ok(seen.map(|seen| Seen { last_seen_at: Some(seen), sessions: sessions.collect() }))
}

/// Whether somebody is known who was never seen in a room: by their devices, or as registered.
pub(super) async fn is_user_known(
    store: &Reader,
    app: &App,
    user: &UserId,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    Ok(on_devices(store, app, user, now).await?.is_some())
}

/// Somebody who is registered is known, even if no device of theirs was ever online.
async fn on_devices(
    store: &Reader,
    app: &App,
    user: &UserId,
    now: UnixMillis,
) -> Result<Option<Seen>, StoreError> {
    let devices = store.devices(app, user, now).await?;
    if devices.is_empty() {
        let registered = store.registration(app, user).await?;
        return Ok(registered.map(|_| Seen { last_seen_at: None, sessions: Vec::new() }));
    }
    let seen = devices.iter().flat_map(|device| [device.online, device.offline, device.logged_out]);
    let last_seen_at = seen.flatten().map(Stamp::at).max();
    let mut platforms = BTreeMap::<Platform, Vec<Session>>::new();
    for device in devices {
        let ending = providers::device_ending(app.provider, &device, now);
        let beginning = providers::device_beginning(app.provider, &device);
        let session = Session::on_device(&device, beginning, ending);
        platforms.entry(device.platform).or_default().push(session);
    }
    let sessions = platforms.into_values().flat_map(current_sessions).collect();
    Ok(Some(Seen { last_seen_at, sessions }))
}

impl Session {
    fn in_room(seat: &Seat, visit: &Visit) -> Self {
        Self {
            room: Some(seat.room.to_string()),
            life: seat.life.as_ref().map(ToString::to_string),
            session: visit.session.as_ref().map(ToString::to_string),
            device: None,
            name: seat.name.clone(),
            role: Some(visit.role.to_string()),
            entered_at: visit.beginning.at().map(|at| at.0),
            entered_assumed: visit.beginning.is_assumed(),
            left_at: visit.ending.map(|ending| ending.at().0),
            reason: visit.ending.map(Ending::reason),
            assumed: visit.ending.is_some_and(Ending::is_assumed),
        }
    }

    fn on_device(device: &Device, beginning: Beginning, ending: Option<Ending>) -> Self {
        Self {
            room: None,
            life: None,
            session: device.connection.as_ref().map(ToString::to_string),
            device: Some(device.platform.to_string()),
            name: None,
            role: None,
            entered_at: beginning.at().map(|at| at.0),
            entered_assumed: beginning.is_assumed(),
            left_at: ending.map(|ending| ending.at().0),
            reason: ending.map(Ending::reason),
            assumed: ending.is_some_and(Ending::is_assumed),
        }
    }

    /// When it began, or ended if no beginning is known.
    fn began(&self) -> Option<u64> {
        self.entered_at.or(self.left_at)
    }
}

/// Ends the visits to one room whose own end never came, but which the room has ended since.
async fn end_ghosts(
    store: &Reader,
    app: &App,
    user: &UserId,
    room: RoomId,
    mut seats: Vec<Occupied>,
    now: UnixMillis,
) -> Result<Vec<Occupied>, StoreError> {
    let all = seats.iter().map(|occupied| occupied.seat.clone()).collect();
    let mut ends = RoomEnds::of_person(store, app, user, room, all, now);
    for Occupied { seat, visits } in &mut seats {
        for visit in visits {
            visit.ending = ends.ending(user, seat.life.as_ref(), visit).await?;
        }
    }
    Ok(seats)
}

/// Of one room or kind of device: the sessions that are open, and the last one that ended.
fn current_sessions(sessions: impl IntoIterator<Item = Session>) -> Vec<Session> {
    let rank = |session: &Session| (session.left_at, session.began());
    let (mut current, mut last_ended) = (Vec::new(), None::<Session>);
    for session in sessions {
        if session.left_at.is_none() {
            current.push(session);
        } else if last_ended.as_ref().is_none_or(|last| rank(&session) >= rank(last)) {
            last_ended = Some(session);
        }
    }
    current.extend(last_ended);
    current
}

/// Reads `{"users":["a","b"]}`.
pub(super) fn read_users(body: &[u8]) -> Result<Vec<UserId>, QueryError> {
    #[derive(Deserialize)]
    struct Body {
        users: Vec<String>,
    }
    let bad = |why: &str| QueryError::BadParameter("users", why.to_owned());
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| bad(r#"is missing: the body has to be {"users":["..."]}"#))?;
    if body.users.len() > MAX_USERS {
        return Err(bad(&format!("holds more than {MAX_USERS} ids")));
    }
    let id = |text: String| text.parse().map_err(|error| bad(&format!("holds an id that {error}")));
    body.users.into_iter().map(id).collect()
}

pub(super) async fn users(
    store: &Reader,
    app: &App,
    users: Vec<UserId>,
    now: UnixMillis,
) -> Result<UserSummaries, QueryError> {
    let summaries = stream::iter(users).map(async |id| {
        let seen = seen(store, app, &id, now).await?;
        Ok::<_, StoreError>(UserSummary {
            user: id.to_string(),
            online: seen.as_ref().is_some_and(Seen::is_online),
            last_seen_at: seen.and_then(|seen| seen.last_seen_at).map(|at| at.0),
        })
    });
    Ok(UserSummaries {
        as_of: now.0,
        users: summaries.buffered(CONCURRENT_USERS).try_collect().await?,
    })
}

/// What is known of a room, whoever is in it.
enum RoomState {
    /// Its newest life.
    Life(Life),
    /// When it was created and dismissed, the newest first.
    Boundaries(Vec<Boundary>),
}

impl RoomState {
    async fn read(
        store: &Reader,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Option<Self>, StoreError> {
        if app.provider != ProviderName::Tencent {
            return Ok(store.newest_life(app, room, [], now).await?.map(Self::Life));
        }
        let boundaries = store.boundaries(app, room, now).await?;
        let is_known = !boundaries.is_empty() || store.is_room_known(app, room, now).await?;
        Ok(is_known.then_some(Self::Boundaries(boundaries)))
    }

    /// The life that answers name; where lives have no names there is none.
    fn life(&self) -> Option<String> {
        match self {
            Self::Life(life) => Some(life.id.to_string()),
            Self::Boundaries(_) => None,
        }
    }

    /// Changes when a new life begins, so that a cursor of the old one can be told.
    fn version(&self) -> String {
        match self {
            Self::Life(life) => life.id.to_string(),
            Self::Boundaries(boundaries) => {
                boundaries.first().map_or_else(String::new, |newest| newest.at().to_string())
            }
        }
    }

    fn is_closed(&self) -> bool {
        match self {
            Self::Life(life) => life.closed.is_some(),
            Self::Boundaries(boundaries) => {
                matches!(boundaries.first(), Some(Boundary::Closed { .. }))
            }
        }
    }

    /// Whoever entered well before that is not in any more.
    fn since(&self) -> UnixMillis {
        let began = match self {
            Self::Life(life) => life.created,
            Self::Boundaries(boundaries) => boundaries.first().map(Boundary::at),
        };
        began.unwrap_or(UnixMillis(0)).before(MAX_EVENT_TIME_AHEAD)
    }

    /// Whether somebody counts as a person in the room.
    fn has(&self, app: &App, member: &Member) -> bool {
        let visits = providers::Visits::of(app.provider, &member.seat.marks);
        let Some(last) = visits.last() else { return false };
        let is_here = match self {
            Self::Life(life) => member.seat.life.as_ref() == Some(&life.id),
            Self::Boundaries(boundaries) => !boundaries
                .iter()
                .any(|boundary| tencent::ends(boundary, &member.user, last.last_in).is_some()),
        };
        is_here && last.ending.is_none() && last.role.is_person()
    }
}

pub(super) async fn room(
    store: &Reader,
    app: &App,
    room: &RoomId,
    page: RoomPage<'_>,
    now: UnixMillis,
) -> Result<RoomPresence, QueryError> {
    let place = page.next.map(cursor::read::<Place>).transpose()?;
    let after = place.as_ref().map(|place| place.after.as_str());
    let state = RoomState::read(store, app, room, now).await?.ok_or(QueryError::Unknown("room"))?;
    if place.as_ref().is_some_and(|place| place.life != state.version()) {
        let why = "belongs to an older life of the room: start again without it";
        return Err(QueryError::BadParameter("next", why.to_owned()));
    }
    let mut answer = RoomPresence {
        provider: app.provider.as_str(),
        app: app.id.to_string(),
        room: room.to_string(),
        life: state.life(),
        as_of: now.0,
        open: !state.is_closed(),
        online: 0,
        members: Vec::new(),
        changes: None,
        next: None,
    };
    if let (RoomState::Life(life), CountChanges::Yes) = (&state, page.changes) {
        answer.changes = Some(changes(store, app, room, life, state.since(), now).await?);
    }
    // Nobody comes back to a closed life; but a creation may have been lost after a dismissal.
    if matches!(state, RoomState::Life(_)) && state.is_closed() {
        return Ok(answer);
    }
    let is_in = |member: &Member| state.has(app, member);
    let roster_page = RosterPage { since: state.since(), after, limit: page.limit, is_in: &is_in };
    let roster = store.roster(app, room, &roster_page, now).await?;
    // Every page gives the number that the first one counted.
    answer.online = place.as_ref().map_or(roster.count, |place| place.online);
    answer.open |= answer.online > 0;
    let members = stream::iter(roster.members).map(async |RosterRow { row, member }| {
        let Member { user, seat } = member;
        let visits = current_visits(store, app, &user, &seat, now).await?;
        let visit = visits.into_iter().find(|visit| visit.ending.is_none());
        let member = visit.map(|visit| RoomMember {
            user: user.to_string(),
            name: seat.name,
            role: visit.role.to_string(),
            session: visit.session.as_ref().map(ToString::to_string),
            entered_at: visit.beginning.at().map(|at| at.0),
            entered_assumed: visit.beginning.is_assumed(),
        });
        Ok::<_, StoreError>((row, member))
    });
    let mut members = pin!(members.buffered(CONCURRENT_USERS));
    let (mut rows, mut last, mut next) = (Rows::new(page.limit), None, roster.next);
    while let Some((row, member)) = members.try_next().await? {
        if member.is_some_and(|member| rows.add(member).is_break()) {
            next = last;
            break;
        }
        last = Some(row);
    }
    answer.members = rows.into_vec();
    let (life, online) = (state.version(), answer.online);
    answer.next = next.and_then(|after| cursor::write(&Place { life, after, online }));
    Ok(answer)
}

/// Counts the changes of a life of a room. It reads all seats that were taken since it began.
async fn changes(
    store: &Reader,
    app: &App,
    room: &RoomId,
    life: &Life,
    since: UnixMillis,
    now: UnixMillis,
) -> Result<Changes, StoreError> {
    let mut changes = zego::Changes::default();
    let from = SeatsFrom::Time(since);
    let mut seats = pin!(store.seats_of_room(app, room, from, SEATS_PER_READ, now));
    while let Some(found) = seats.try_next().await? {
        let Member { user, seat } = &found.member;
        if seat.life.as_ref() != Some(&life.id) {
            continue;
        }
        let marks = store.marks(app, user, seat, now);
        let marks: Vec<_> = marks.try_collect().await?;
        if life.closed.is_some() {
            changes.seat_of_ended_life(&marks);
        } else {
            changes.seat(&marks);
        }
    }
    Ok(changes.lost().map_or_else(Changes::default, |lost| Changes {
        first: Some(lost.first),
        last: Some(lost.last),
        missing: lost.missing,
    }))
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursors(data: &[u8]) {
    cursor::fuzz::<Place>(data);
    cursor::fuzz::<SessionPlace>(data);
}
