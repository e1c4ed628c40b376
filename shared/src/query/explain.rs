//! Why the answers about a person are as they are: every mark and every register, and what became of
//! it.

use serde::{Deserialize, Serialize};

use super::{QueryError, attendance, cursor, reasons::Reasons, rows::Rows};
use crate::{
    domain::{Ending, Kind, LeaveReason, LifeId, Mark, Platform, RoomId, SessionId, UserId},
    record::{DeviceStay, ExplainedDevice, ExplainedMark, Record, Seats},
};

/// A page of what is known of a person.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    provider: &'static str,
    app: String,
    user: String,
    /// When this was true.
    as_of: u64,
    rooms: Vec<ExplainedRoom>,
    devices: Vec<DeviceRow>,
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
    Mark { room: RoomId, life: Option<LifeId>, mark: Mark },
    Device { device: Platform, session: Option<SessionId> },
}

/// The marks on one seat, and the stays that they show.
#[derive(Debug, Serialize)]
struct ExplainedRoom {
    room: String,
    life: Option<String>,
    marks: Vec<MarkRow>,
    stays: Vec<RoomStayRow>,
}

/// A row of a page.
#[derive(Debug, Serialize)]
enum Row {
    Mark(Box<MarkOfRoom>),
    Device(DeviceRow),
}

#[derive(Debug, Serialize)]
struct MarkOfRoom {
    room: String,
    life: Option<String>,
    mark: MarkRow,
    /// If it is the first mark of that stay.
    stay: Option<RoomStayRow>,
}

#[derive(Debug, Serialize)]
struct MarkRow {
    kind: Kind,
    at: u64,
    order: Order,
    session: Option<String>,
    role: String,
    reason: Option<String>,
    says: String,
    #[serde(flatten)]
    reasons: Reasons,
}

#[derive(Debug, Serialize)]
struct Order {
    time: u64,
    session: Option<String>,
    sequence: u64,
}

#[derive(Debug, Serialize)]
struct RoomStayRow {
    #[serde(flatten)]
    session: attendance::AttendanceSession,
    #[serde(flatten)]
    reasons: Reasons,
}

#[derive(Debug, Serialize)]
struct DeviceRow {
    device: String,
    session: Option<String>,
    registers: Vec<RegisterRow>,
    stays: [DeviceStayRow; 1],
}

#[derive(Debug, Serialize)]
struct RegisterRow {
    kind: &'static str,
    at: u64,
    says: String,
    #[serde(flatten)]
    reasons: Reasons,
}

#[derive(Debug, Serialize)]
struct DeviceStayRow {
    entered_at: Option<u64>,
    entered_assumed: bool,
    left_at: Option<u64>,
    duration_ms: Option<u64>,
    reason: Option<String>,
    assumed: bool,
    #[serde(flatten)]
    reasons: Reasons,
}

impl MarkRow {
    fn new(explained: &ExplainedMark) -> Self {
        let Mark { order, kind, at, reason, .. } = &explained.mark;
        let session = order.session.as_ref().map(ToString::to_string);
        Self {
            kind: *kind,
            at: at.0,
            order: Order { time: order.time.0, session: session.clone(), sequence: order.sequence },
            session,
            role: explained.role.to_string(),
            reason: (*kind == Kind::Leave).then(|| LeaveReason::to_string(reason)),
            says: explained.says.clone(),
            reasons: Reasons::of_mark(explained),
        }
    }
}

impl DeviceRow {
    fn new(record: Record<'_>, explained: &ExplainedDevice) -> Self {
        let DeviceStay { platform, connection, beginning, ending } = &explained.stay;
        let registers = explained.registers.iter().map(|register| RegisterRow {
            kind: register.register.name(),
            at: register.at.0,
            says: register.says.clone(),
            reasons: Reasons::of_register(explained, register.rule),
        });
        let entered_at = beginning.at().map(|at| at.0);
        let left_at = ending.map(|ending| ending.at().0);
        let until = left_at.unwrap_or(record.now().0);
        let stay = DeviceStayRow {
            entered_at,
            entered_assumed: beginning.is_assumed(),
            left_at,
            duration_ms: entered_at.map(|entered_at| until.saturating_sub(entered_at)),
            reason: ending.map(Ending::reason),
            assumed: ending.is_some_and(Ending::is_assumed),
            reasons: Reasons::of_device(explained),
        };
        Self {
            device: platform.to_string(),
            session: connection.as_ref().map(ToString::to_string),
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
    let (provider, app) = (record.app().provider.as_str(), record.app().id.to_string());
    let (rooms, devices) = grouped(rows.into_vec());
    let (user, as_of) = (user.to_string(), record.now().0);
    Ok(Explanation { provider, app, user, as_of, rooms, devices, next })
}

async fn add_marks(
    record: Record<'_>,
    user: &UserId,
    room: Option<&RoomId>,
    start: Option<&Place>,
    rowed: &mut Rowed,
) -> Result<(), QueryError> {
    let start = match start {
        Some(Place::Mark { room, life, mark }) => Some((room, life.as_ref(), mark)),
        _ => None,
    };
    let from = start.map(|(room, life, _)| (room, life));
    let seats = match (room, from) {
        (Some(room), _) => Seats::In(room),
        (None, Some((room, _))) => Seats::From(room),
        (None, None) => Seats::All,
    };
    let mut seats = record.explained_seats(user, seats);
    while let Some(mut marks) = seats.next_marks(from).await? {
        let (room, life) = (marks.room().clone(), marks.life().cloned());
        let is_start = from == Some((&room, life.as_ref()));
        let after = start.map(|(_, _, mark)| mark).filter(|_| is_start);
        while let Some(explained) = marks.next(after).await? {
            let stay = explained.is_first.then(|| RoomStayRow {
                reasons: Reasons::of_visit(&explained.stay.visit),
                session: attendance::AttendanceSession::new(record, user, explained.stay.clone()),
            });
            let row = Row::Mark(Box::new(MarkOfRoom {
                room: room.to_string(),
                life: life.as_ref().map(ToString::to_string),
                mark: MarkRow::new(&explained),
                stay,
            }));
            let (room, life) = (room.clone(), life.clone());
            rowed.add(row, Place::Mark { room, life, mark: explained.mark });
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
fn grouped(rows: Vec<Row>) -> (Vec<ExplainedRoom>, Vec<DeviceRow>) {
    let (mut rooms, mut devices) = (Vec::<ExplainedRoom>::new(), Vec::new());
    for row in rows {
        match row {
            Row::Device(device) => devices.push(device),
            Row::Mark(of_room) => {
                let MarkOfRoom { room, life, mark, stay } = *of_room;
                if rooms.last().is_none_or(|last| last.room != room || last.life != life) {
                    rooms.push(ExplainedRoom { room, life, marks: Vec::new(), stays: Vec::new() });
                }
                if let Some(last) = rooms.last_mut() {
                    last.marks.push(mark);
                    last.stays.extend(stay);
                }
            }
        }
    }
    (rooms, devices)
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz_cursor(data: &[u8]) {
    cursor::fuzz::<Place>(data);
}
