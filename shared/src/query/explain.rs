//! Why the answers about a person are as they are: every mark and every register, and what became of
//! it.

use serde::{Deserialize, Serialize};

use super::{
    QueryError, attendance, cursor,
    names::{ReasonName, RoleName, TrackName},
    reasons::Reasons,
    rows::Rows,
};
use crate::{
    domain::{
        self, AppId, Ending, Kind, LifeId, Mark, Platform, ProviderName, RoomId, Says, Seen,
        SessionId, Track, UnixMillis, UserId,
    },
    record::{
        DeviceStay, ExplainedDevice, ExplainedMark, ExplainedSeen, OtherTrack, Record, Seats,
    },
};

/// A page of what is known of a person.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Explanation {
    /// The provider that sent the callbacks.
    provider: ProviderName,
    /// The app of the provider.
    app: AppId,
    /// Who it is about.
    user: UserId,
    /// The time for which the answer is true, by the clock of the function that answers.
    as_of: UnixMillis,
    /// The user's seats in rooms.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    rooms: Vec<ExplainedRoom>,
    /// The user's devices.
    #[cfg_attr(test, schemars(length(max = crate::query::MAX_LIMIT)))]
    devices: Vec<DeviceRow>,
    /// The parameter `next` of the next page. Null on the last page.
    next: Option<String>,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct MarksPage<'a> {
    /// Only this room, and no devices.
    pub(super) room: Option<&'a RoomId>,
    pub(super) limit: usize,
    pub(super) next: Option<&'a str>,
}

/// Where a page ended: its last row.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Mark {
        room: RoomId,
        life: Option<LifeId>,
        #[serde(default)]
        track: Track,
        mark: Mark,
    },
    Seen {
        room: RoomId,
        life: Option<LifeId>,
        kind: SeenKind,
    },
    Device {
        device: Platform,
        session: Option<SessionId>,
    },
}

/// The marks on one seat, and the stays that they show.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ExplainedRoom {
    /// The room.
    room: RoomId,
    /// The life of the room. Null in Tencent's rooms and ZIM's, which have no lives.
    life: Option<LifeId>,
    /// Which of Tencent's products reported this: the marks of the other one are another room of this
    /// list, and a stay that both reported is in the first of them. Null for other providers.
    track: Option<TrackName>,
    /// What the callbacks left, in the order in which the rules read them.
    marks: Vec<MarkRow>,
    /// What the provider said of the user in this room when it was asked. That they are in has no
    /// life: its `life` is null.
    observations: Vec<SeenRow>,
    /// The stays whose first marks or observations are on this page. The fields are those of attendance.
    stays: Vec<RoomStayRow>,
}

/// A row of a page.
#[derive(Debug, Serialize)]
enum Row {
    Mark(Box<MarkOfRoom>),
    Seen(Box<SeenOfRoom>),
    Device(DeviceRow),
}

#[derive(Debug, Serialize)]
struct SeenOfRoom {
    room: RoomId,
    life: Option<LifeId>,
    seen: SeenRow,
    /// If nothing else shows that stay.
    stay: Option<RoomStayRow>,
}

/// What the provider said when it was asked.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedObservation"))]
struct SeenRow {
    /// Whether the user is in or not.
    kind: SeenKind,
    /// When it was asked, by Rollcall's clock.
    at: UnixMillis,
    /// When the user logged in. Null if the provider did not say so, or not in the room.
    login_at: Option<UnixMillis>,
    /// The role. Null if the user is not in.
    role: Option<RoleName>,
    /// What the provider said, in words.
    says: String,
    #[serde(flatten)]
    reasons: Reasons,
}

/// What the provider said of somebody in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum SeenKind {
    /// They are in.
    In,
    /// They are not.
    Out,
}

#[derive(Debug, Serialize)]
struct MarkOfRoom {
    room: RoomId,
    life: Option<LifeId>,
    track: Track,
    mark: MarkRow,
    /// If it is the first mark of that stay.
    stay: Option<RoomStayRow>,
}

/// What one callback left.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedMark"))]
struct MarkRow {
    /// `enter`, `leave`, or `stay`: the user was in before, and their role or connection changed.
    kind: Kind,
    /// When it happened, by the provider's clock.
    at: UnixMillis,
    /// The place among the marks of this seat, field by field.
    order: Order,
    /// ZEGO's session. Null in Tencent's rooms and ZIM's, which have no sessions.
    session: Option<SessionId>,
    /// The role in the callback.
    role: RoleName,
    /// Why the user left. Null if the callback is not about a departure.
    reason: Option<ReasonName>,
    /// The callback, in the provider's terms.
    says: String,
    #[serde(flatten)]
    reasons: Reasons,
}

/// The place of a mark among those of its seat.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MarkOrder"))]
struct Order {
    /// When the session began. Without sessions, when the event happened.
    time: UnixMillis,
    /// The session. Null in Tencent's rooms and ZIM's, which have no sessions.
    session: Option<SessionId>,
    /// RTC's `user_update_seq`. In Tencent's rooms and ZIM's, the rank of the kind of event at one time.
    sequence: u64,
}

/// A stay in a room, and why it ended so.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedStay"))]
struct RoomStayRow {
    #[serde(flatten)]
    session: attendance::AttendanceSession,
    #[serde(flatten)]
    reasons: Reasons,
}

/// A device of the user.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedDevice"))]
struct DeviceRow {
    /// The kind of device, such as `IOS`.
    device: Platform,
    /// OpenIM's connection, if its server sends connection ids.
    session: Option<SessionId>,
    /// The newest event of each kind.
    registers: Vec<RegisterRow>,
    /// Its stay online.
    stays: [DeviceStayRow; 1],
}

/// The newest event of one kind.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedRegister"))]
struct RegisterRow {
    /// `online`, `offline`, `logged_out` or `kicked_by_itself`; or `seen_online` or `seen_offline`:
    /// what the provider said when it was asked.
    #[cfg_attr(
        test,
        schemars(regex(
            pattern = "^(online|offline|logged_out|kicked_by_itself|seen_online|seen_offline)$"
        ))
    )]
    kind: &'static str,
    /// When it happened, by the provider's clock, or when it was received.
    at: UnixMillis,
    /// The callback, in the provider's terms.
    says: String,
    #[serde(flatten)]
    reasons: Reasons,
}

/// A device's time online, and why it ended so.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ExplainedOnline"))]
struct DeviceStayRow {
    /// When it began. Null if only the end is known.
    entered_at: Option<UnixMillis>,
    /// Whether the beginning was inferred, because its own callback never arrived.
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
    #[serde(flatten)]
    reasons: Reasons,
}

impl MarkRow {
    fn new(record: Record<'_>, explained: &ExplainedMark, track: Track) -> Self {
        let Mark { order, kind, at, .. } = &explained.mark;
        let domain::Order { time, session, sequence } = order.clone();
        Self {
            kind: *kind,
            at: *at,
            order: Order { time, session: session.clone(), sequence },
            session,
            role: explained.role.clone().into(),
            reason: explained.mark.departure().map(ReasonName::from),
            says: explained.says.clone(),
            reasons: Reasons::of_mark(record, explained, track),
        }
    }
}

impl SeenRow {
    fn new(explained: &ExplainedSeen) -> Self {
        let Seen { at, says } = explained.seen;
        let (kind, login_at) = match says {
            Says::In { login, .. } => (SeenKind::In, login),
            Says::Out => (SeenKind::Out, None),
        };
        Self {
            kind,
            at,
            login_at,
            role: explained.role.clone().map(RoleName::from),
            says: explained.says.clone(),
            reasons: Reasons::of_seen(explained.rule),
        }
    }
}

impl DeviceRow {
    fn new(record: Record<'_>, explained: &ExplainedDevice) -> Self {
        let DeviceStay { platform, connection, beginning, ending } = &explained.stay;
        let registers = explained.registers.iter().map(|register| RegisterRow {
            kind: register.name,
            at: register.at,
            says: register.says.clone(),
            reasons: Reasons::of_register(explained, register.rule),
        });
        let (entered_at, left_at) = (beginning.at(), ending.map(Ending::at));
        let until = left_at.unwrap_or(record.now());
        let stay = DeviceStayRow {
            entered_at,
            entered_assumed: beginning.is_assumed(),
            left_at,
            duration_ms: entered_at.map(|entered_at| until.0.saturating_sub(entered_at.0)),
            reason: ending.map(ReasonName::from),
            assumed: ending.is_some_and(Ending::is_assumed),
            reasons: Reasons::of_device(explained),
        };
        Self {
            device: platform.clone(),
            session: connection.clone(),
            registers: registers.collect(),
            stays: [stay],
        }
    }
}

/// The rows of a page, and where it ends if another one follows.
struct Rowed {
    rows: Rows<Row>,
    last: Option<Place>,
    is_full: bool,
}

impl Rowed {
    fn add(&mut self, row: Row, place: Place) {
        self.is_full = self.rows.add(row).is_break();
        if !self.is_full {
            self.last = Some(place);
        }
    }
}

/// A page of a person's marks, room by room and in their order, and then of their devices.
pub(super) async fn user(
    record: Record<'_>,
    user: &UserId,
    page: MarksPage<'_>,
) -> Result<Explanation, QueryError> {
    let start = page.next.map(cursor::read::<Place>).transpose()?;
    let mut rowed = Rowed { rows: Rows::new(page.limit), last: None, is_full: false };
    if !matches!(start, Some(Place::Device { .. })) {
        add_marks(record, user, page.room, start.as_ref(), &mut rowed).await?;
    }
    if page.room.is_none() && !rowed.is_full {
        add_devices(record, user, start.as_ref(), &mut rowed).await?;
    }
    let Rowed { rows, last, is_full } = rowed;
    let next = if is_full { last.as_ref().and_then(cursor::write) } else { None };
    if last.is_none() && !record.is_known(user).await? {
        return Err(QueryError::Unknown("user"));
    }
    let (rooms, devices) = grouped(record, rows.into_vec());
    Ok(Explanation {
        provider: record.app().provider,
        app: record.app().id.clone(),
        user: user.clone(),
        as_of: record.now(),
        rooms,
        devices,
        next,
    })
}

async fn add_marks(
    record: Record<'_>,
    user: &UserId,
    room: Option<&RoomId>,
    start: Option<&Place>,
    rowed: &mut Rowed,
) -> Result<(), QueryError> {
    let start = match start {
        Some(Place::Mark { room, life, track, mark }) => {
            Some(((room, life.as_ref(), *track), Ok(mark)))
        }
        Some(Place::Seen { room, life, kind }) => {
            Some(((room, life.as_ref(), Track::Media), Err(*kind)))
        }
        _ => None,
    };
    let from = start.map(|(seat, _)| seat);
    let seats = match (room, from) {
        (Some(room), _) => Seats::In(room),
        (None, Some((room, ..))) => Seats::From(room),
        (None, None) => Seats::All,
    };
    let mut seats = record.explained_seats(user, seats);
    while let Some(mut marks) = seats.next_marks(from).await? {
        let (room, life) = (marks.room().clone(), marks.life().cloned());
        let track = marks.track();
        let is_start = from == Some((&room, life.as_ref(), track));
        let after = start.map(|(_, last)| last).filter(|_| is_start);
        let (after, after_seen) = (after.and_then(Result::ok), after.and_then(Result::err));
        // Observations come after all marks of their seat.
        while after_seen.is_none()
            && let Some(explained) = marks.next(after).await?
        {
            // Where another track decides, it is no stay of anyone.
            let listed = match &explained.other {
                OtherTrack::Nothing => Some((&explained.stay, explained.is_first)),
                OtherTrack::Decides => None,
                OtherTrack::United { stay, is_first } => Some((stay.as_ref(), *is_first)),
            };
            let stay = listed.filter(|(_, is_first)| *is_first).map(|(stay, _)| RoomStayRow {
                reasons: Reasons::of_stay(record, &explained, track, &stay.visit),
                session: attendance::AttendanceSession::new(record, user, stay.clone()),
            });
            let row = Row::Mark(Box::new(MarkOfRoom {
                room: room.clone(),
                life: life.clone(),
                track,
                mark: MarkRow::new(record, &explained, track),
                stay,
            }));
            let (room, life) = (room.clone(), life.clone());
            rowed.add(row, Place::Mark { room, life, track, mark: explained.mark });
            if rowed.is_full {
                return Ok(());
            }
        }
        for explained in marks.seen() {
            let seen = SeenRow::new(&explained);
            let kind = seen.kind;
            if after_seen.is_some_and(|after| kind <= after) {
                continue;
            }
            let stay = explained.stay.map(|stay| RoomStayRow {
                reasons: Reasons::of_visit(&stay.visit),
                session: attendance::AttendanceSession::new(record, user, stay),
            });
            let (room, life) = (room.clone(), life.clone());
            let place = Place::Seen { room: room.clone(), life: life.clone(), kind };
            rowed.add(Row::Seen(Box::new(SeenOfRoom { room, life, seen, stay })), place);
            if rowed.is_full {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn add_devices(
    record: Record<'_>,
    user: &UserId,
    start: Option<&Place>,
    rowed: &mut Rowed,
) -> Result<(), QueryError> {
    let after = match start {
        Some(Place::Device { device, session }) => {
            Some((device.as_str(), session.as_ref().map(SessionId::as_str)))
        }
        _ => None,
    };
    for explained in record.explained_devices(user).await? {
        if after.is_some_and(|after| explained.stay.place() <= after) {
            continue;
        }
        let row = Row::Device(DeviceRow::new(record, &explained));
        let DeviceStay { platform: device, connection: session, .. } = explained.stay;
        rowed.add(row, Place::Device { device, session });
        if rowed.is_full {
            break;
        }
    }
    Ok(())
}

/// The rows of one seat as one room.
fn grouped(record: Record<'_>, rows: Vec<Row>) -> (Vec<ExplainedRoom>, Vec<DeviceRow>) {
    let (mut rooms, mut devices) = (Vec::<ExplainedRoom>::new(), Vec::new());
    for row in rows {
        match row {
            Row::Device(device) => devices.push(device),
            Row::Mark(of_room) => {
                let MarkOfRoom { room, life, track, mark, stay } = *of_room;
                let track = record.track_name(track).map(TrackName::from);
                let of_room = explained_room(&mut rooms, room, life, track);
                of_room.marks.push(mark);
                of_room.stays.extend(stay);
            }
            Row::Seen(of_room) => {
                let SeenOfRoom { room, life, seen, stay } = *of_room;
                let of_room = explained_room(&mut rooms, room, life, None);
                of_room.observations.push(seen);
                of_room.stays.extend(stay);
            }
        }
    }
    (rooms, devices)
}

/// The last of these rooms, if it is this one; otherwise a new one after it.
fn explained_room(
    rooms: &mut Vec<ExplainedRoom>,
    room: RoomId,
    life: Option<LifeId>,
    track: Option<TrackName>,
) -> &mut ExplainedRoom {
    let is_last = rooms
        .last()
        .is_some_and(|last| last.room == room && last.life == life && last.track == track);
    let last = rooms.len() - usize::from(is_last);
    if !is_last {
        let (marks, observations, stays) = (Vec::new(), Vec::new(), Vec::new());
        rooms.push(ExplainedRoom { room, life, track, marks, observations, stays });
    }
    &mut rooms[last]
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
