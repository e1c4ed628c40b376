//! TRTC's room events: 101 created, 102 dismissed, 103 entered, 104 left, 105 changed role.

use super::Trtc;
use crate::{
    callback::{Callback, FieldError, Fields, ParseError, Parsed, Verified},
    domain::{
        Boundary, BoundaryChange, Change, Creator, Kind, LeaveReason, Mark, Order, Role, RoomId,
        Roster, SeatChange, UnixMillis,
    },
};

/// The group of the room events; others are about media, recording and more.
const ROOM_EVENTS: u32 = 1;

/// As TRTC's role 20 is stored.
pub(super) const ANCHOR: Role = Role(1);

/// As TRTC's role 21 is stored.
pub(super) const AUDIENCE: Role = Role(2);

/// As a role 4 of TRTC's is stored, should there ever be one: [`Role::ADMIN`] is that of robots.
pub(super) const FOUR: Role = Role(0x104);

/// The callback of TRTC's room events; the other groups are acknowledged.
#[derive(Debug)]
pub struct TrtcEvent;

impl Callback for TrtcEvent {
    type Provider = Trtc;

    fn parse(request: &Verified<Trtc>) -> Result<Parsed, ParseError> {
        let body = request.body();
        let group: u32 = body.required_integer("EventGroupId")?;
        let event: u32 = body.required_integer("EventType")?;
        if group != ROOM_EVENTS {
            return Ok(Parsed { event: Some("other"), ..Parsed::ignored() });
        }
        let (name, change) = match event {
            101 => ("room_created", boundary(request, true)?),
            102 => ("room_dismissed", boundary(request, false)?),
            103 => ("room_entered", seat(request, RoomEvent::Entered)?),
            104 => ("room_left", seat(request, RoomEvent::Left)?),
            105 => ("role_changed", seat(request, RoomEvent::ChangedRole)?),
            _ => return Ok(Parsed { event: Some("other"), ..Parsed::ignored() }),
        };
        Ok(Parsed { event: Some(name), ..Parsed::from(change) })
    }
}

/// What happens to a person in a room.
#[derive(Clone, Copy)]
pub(super) enum RoomEvent {
    ChangedRole,
    Left,
    Entered,
}

impl RoomEvent {
    /// The order of events at the same millisecond.
    pub(super) fn rank(self) -> u64 {
        match self {
            Self::ChangedRole => 1,
            Self::Left => 2,
            Self::Entered => 3,
        }
    }
}

fn seat(request: &Verified<Trtc>, event: RoomEvent) -> Result<Change, FieldError> {
    let info = request.body().object("EventInfo")?;
    let at = time(&info, request.received_at())?;
    let code: Option<u8> = info.integer("Reason")?;
    let kind = match (event, code) {
        (RoomEvent::Left, _) => Kind::Leave,
        // Another network, or another try: they have been here.
        (RoomEvent::ChangedRole, _) | (RoomEvent::Entered, Some(2 | 3)) => Kind::Stay,
        (RoomEvent::Entered, _) => Kind::Enter,
    };
    let reason = match event {
        RoomEvent::Left => leave_reason(code),
        RoomEvent::Entered | RoomEvent::ChangedRole => LeaveReason::Unspecified,
    };
    let role = match info.integer("Role")? {
        None => Role::default(),
        Some(20) => ANCHOR,
        Some(21) => AUDIENCE,
        Some(code) if Role(code) == Role::ADMIN => FOUR,
        Some(other) => Role(other),
    };
    let order = Order { time: at, session: None, sequence: event.rank() };
    Ok(Change::Seat(SeatChange {
        app: request.app(),
        user: info.id("UserId")?,
        room: room(&info)?,
        life: None,
        mark: Mark { order, kind, at, role, reason },
        roster: Roster::default(),
    }))
}

fn boundary(request: &Verified<Trtc>, is_created: bool) -> Result<Change, FieldError> {
    let info = request.body().object("EventInfo")?;
    let at = time(&info, request.received_at())?;
    let boundary = if is_created {
        let creator = match info.id("UserId") {
            Err(FieldError::Missing(_)) => None,
            creator => Some(Creator::Named(creator?)),
        };
        Boundary::Created { at, creator }
    } else {
        Boundary::Closed { at, reason: info.integer("Reason")? }
    };
    Ok(Change::Boundary(BoundaryChange { app: request.app(), room: room(&info)?, boundary }))
}

/// `EventTs`, in seconds, is kept by Tencent for compatibility only.
fn time(info: &Fields, now: UnixMillis) -> Result<UnixMillis, FieldError> {
    info.event_time("EventMsTs", now)
}

/// The room 123 and the room "123" are two rooms: the second one is `s:123` here. A string that
/// neither looks like a number nor begins with `s:` stays as it is.
fn room(info: &Fields) -> Result<RoomId, FieldError> {
    const FIELD: &str = "RoomId";
    if info.is_number(FIELD) {
        let number: u32 = info.required_integer(FIELD)?;
        return number.to_string().parse().map_err(|error| FieldError::Id(FIELD, error));
    }
    let text = info.required(FIELD)?;
    let is_ambiguous = text.starts_with("s:") || text.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_ambiguous { format!("s:{text}") } else { text.to_owned() };
    id.parse().map_err(|error| FieldError::Id(FIELD, error))
}

pub(super) fn leave_reason(code: Option<u8>) -> LeaveReason {
    match code {
        None => LeaveReason::Unspecified,
        Some(1) => LeaveReason::Normal,
        Some(2) => LeaveReason::HeartbeatTimeout,
        Some(3) => LeaveReason::Kicked,
        Some(other) => LeaveReason::Other(other),
    }
}
