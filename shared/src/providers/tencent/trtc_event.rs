//! TRTC's room events: 101 created, 102 dismissed, 103 entered, 104 left, 105 changed role.

use super::Trtc;
use crate::{
    callback::{Callback, FieldError, Fields, ParseError, Parsed, Verified},
    domain::{
        Boundary, BoundaryChange, Change, Creator, IdError, Kind, LeaveReason, Mark, Order, Role,
        RoomId, Roster, SeatChange, Track, UnixMillis,
    },
};

/// The group of the room events; others are about media, recording and more.
const ROOM_EVENTS: u32 = 1;

/// The field that every event of TRTC's has, and no other callback.
pub(super) const EVENT_GROUP: &str = "EventGroupId";

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
        let group: u32 = body.required_integer(EVENT_GROUP)?;
        let event: u32 = body.required_integer("EventType")?;
        if group != ROOM_EVENTS {
            return Ok(Parsed { event: Some("other"), ..Parsed::ignored() });
        }
        let (name, change) = match event {
            101 => ("room_created", boundary(request, true)?),
            102 => ("room_dismissed", boundary(request, false)?),
            103 => ("room_entered", seat(request, TrtcRoomEvent::Entered)?),
            104 => ("room_left", seat(request, TrtcRoomEvent::Left)?),
            105 => ("role_changed", seat(request, TrtcRoomEvent::ChangedRole)?),
            _ => return Ok(Parsed { event: Some("other"), ..Parsed::ignored() }),
        };
        Ok(Parsed { event: Some(name), ..Parsed::from(change) })
    }
}

/// What happens to a person in a room.
#[derive(Clone, Copy)]
pub(super) enum TrtcRoomEvent {
    ChangedRole,
    Left,
    Entered,
}

impl TrtcRoomEvent {
    /// The order of events at the same millisecond.
    pub(super) fn rank(self) -> u64 {
        match self {
            Self::ChangedRole => 1,
            Self::Left => 2,
            Self::Entered => 3,
        }
    }
}

fn seat(request: &Verified<Trtc>, event: TrtcRoomEvent) -> Result<Change, FieldError> {
    let info = request.body().object("EventInfo")?;
    let at = time(&info, request.received_at())?;
    let code: Option<u8> = info.integer("Reason")?;
    let kind = match (event, code) {
        (TrtcRoomEvent::Left, _) => Kind::Leave,
        // Another network, or another try: they have been here.
        (TrtcRoomEvent::ChangedRole, _) | (TrtcRoomEvent::Entered, Some(2 | 3)) => Kind::Stay,
        (TrtcRoomEvent::Entered, _) => Kind::Enter,
    };
    let reason = match event {
        TrtcRoomEvent::Left => leave_reason(code),
        TrtcRoomEvent::Entered | TrtcRoomEvent::ChangedRole => LeaveReason::Unspecified,
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
        track: Track::Media,
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
    let (app, room, track) = (request.app(), room(&info)?, Track::Media);
    Ok(Change::Boundary(BoundaryChange { app, room, track, boundary }))
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
    string_room(info.required(FIELD)?).map_err(|error| FieldError::Id(FIELD, error))
}

/// A room whose id is a string: it stays as it is, unless it could be taken for another one.
pub(super) fn string_room(text: &str) -> Result<RoomId, IdError> {
    let is_ambiguous = text.starts_with("s:") || text.bytes().all(|byte| byte.is_ascii_digit());
    if is_ambiguous { format!("s:{text}").parse() } else { text.parse() }
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
