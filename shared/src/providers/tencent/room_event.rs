//! The events of `RoomEngine` and of Live: a room was created or destroyed, people came or left.
//!
//! Sources: Tencent RTC, documents 60733 (created), 60734 (left), 60735 (entered), 60731 (destroyed),
//! 60732 (changed) for `Room.*`, and 64422 to 64424 for `Live.*`. An event names neither a session nor
//! a device.

use std::collections::HashSet;

use super::{
    RoomEngine, TrtcEvent,
    room_engine::COMMAND,
    trtc_event::{EVENT_GROUP, string_room},
};
use crate::{
    callback::{
        Batch, Callback, FieldError, Fields, ParseError, Parsed, Routed, Verified, elements,
    },
    domain::{
        Boundary, BoundaryChange, Change, Creator, Kind, LeaveReason, MAX_EVENT_TIME_AHEAD, Mark,
        Order, Role, RoomId, Roster, SeatChange, Track, UnixMillis, UserId,
    },
    routes::CALLBACKS,
};

const ROOM_INFO: &str = "RoomInfo";
const EVENT_TIME: &str = "EventTime";
const OWNER: &str = "Owner_Account";
const OPERATOR: &str = "Operator_Account";

/// The callback of `RoomEngine` and of Live. The commands that change nobody's presence are
/// acknowledged.
#[derive(Debug)]
pub struct RoomEvent;

/// What one of these callbacks says of people. Each has its own place in the order of the events of
/// one millisecond, so that two commands are never taken for one event: who leaves comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    RoomLeave = 1,
    LiveOffline = 2,
    RoomEnter = 3,
    LiveEnter = 4,
    /// The heartbeat came back.
    LiveRecover = 5,
    /// Live names no cause that is known.
    LiveOnline = 6,
}

impl Reported {
    const ALL: [Self; 6] = [
        Self::RoomLeave,
        Self::LiveOffline,
        Self::RoomEnter,
        Self::LiveEnter,
        Self::LiveRecover,
        Self::LiveOnline,
    ];

    fn rank(self) -> u64 {
        self as u64
    }

    /// What left a mark.
    pub(super) fn of(mark: &Mark) -> Option<Self> {
        Self::ALL.into_iter().find(|reported| reported.rank() == mark.order.sequence)
    }

    fn kind(self) -> Kind {
        match self {
            Self::RoomLeave | Self::LiveOffline => Kind::Leave,
            Self::RoomEnter | Self::LiveEnter | Self::LiveRecover | Self::LiveOnline => Kind::Enter,
        }
    }
}

impl Callback for RoomEvent {
    type Provider = RoomEngine;

    fn parse(request: &Verified<RoomEngine>) -> Result<Parsed, ParseError> {
        let body = request.body();
        let named =
            |name, parsed: Result<Parsed, ParseError>| Ok(Parsed { event: Some(name), ..parsed? });
        if !body.is_named(COMMAND) && body.is_named(EVENT_GROUP) {
            return Err(wrong_route(TrtcEvent::EVENT));
        }
        match body.required(COMMAND)? {
            command @ "State.StateChange" => Err(wrong_route(command)),
            "Room.CallbackAfterCreateRoom" => named("room_create", created(request)),
            "Live.CallbackAfterCreateRoom" => named("live_create", created(request)),
            "Room.CallbackAfterDestroyRoom" => named("room_destroy", destroyed(request)),
            "Live.CallbackAfterDestroyRoom" => named("live_destroy", destroyed(request)),
            "Room.CallbackAfterMemberEnter" => {
                let reported = (Reported::RoomEnter, LeaveReason::Unspecified);
                named("room_enter", people(request, reported, "MemberList_Account", account))
            }
            "Room.CallbackAfterMemberLeave" => {
                let reported = (Reported::RoomLeave, leave_reason(body)?);
                named("room_leave", people(request, reported, "MemberList_Account", account))
            }
            // Some pages name the second one, in the query at least.
            "Live.CallbackAfterMemberStateChanged" | "Live.CallbackMemberStateChanged" => {
                let Some((name, reported)) = state(body)? else {
                    return Ok(Parsed { event: Some("other"), ..Parsed::ignored() });
                };
                named(name, people(request, reported, "MemberList", member))
            }
            // It says nothing that a query returns. Before 2025 it had the second name.
            "Room.CallbackAfterUpdateRoomInfo" | "Room.CallbackUpdateRoomInfo" => {
                Ok(Parsed { event: Some("room_update"), ..Parsed::ignored() })
            }
            _ => Ok(Parsed { event: Some("other"), ..Parsed::ignored() }),
        }
    }
}

/// The event is that of another callback type.
fn wrong_route(event: &str) -> ParseError {
    let own = CALLBACKS.iter().find(|names| names.event == event);
    own.map_or(FieldError::Missing(COMMAND).into(), |names| ParseError::WrongRoute {
        event: names.event,
        route: names.paths[0],
    })
}

/// Why people left, by `Type`. The people themselves may be kicked by somebody else, who is the
/// operator.
fn leave_reason(body: &Fields) -> Result<LeaveReason, FieldError> {
    Ok(match body.shown("Type")?.unwrap_or_default().to_ascii_lowercase().as_str() {
        "leave" => LeaveReason::Normal,
        "kicked" => LeaveReason::Kicked,
        "expired" => LeaveReason::HeartbeatTimeout,
        _ => LeaveReason::Unspecified,
    })
}

/// What a state of Live's is called in the log, what it says of people, and why they left.
type State = (&'static str, (Reported, LeaveReason));

/// Whether people are online in a live room or not, and why; `None` for a state that is not known.
fn state(body: &Fields) -> Result<Option<State>, FieldError> {
    let state = body.required("EventType")?.to_ascii_lowercase();
    let cause = body.shown("EventCause")?.unwrap_or_default().to_ascii_lowercase();
    Ok(match state.as_str() {
        "online" => {
            let reported = match cause.as_str() {
                "enter" => Reported::LiveEnter,
                "heartbeatrecover" => Reported::LiveRecover,
                _ => Reported::LiveOnline,
            };
            Some(("live_online", (reported, LeaveReason::Unspecified)))
        }
        "offline" => {
            let reason = match cause.as_str() {
                "leave" => LeaveReason::Normal,
                "heartbeatinterrupt" => LeaveReason::HeartbeatTimeout,
                "kicked" => LeaveReason::Kicked,
                _ => LeaveReason::Unspecified,
            };
            Some(("live_offline", (Reported::LiveOffline, reason)))
        }
        _ => None,
    })
}

/// One change for each of the people in a list. One that cannot be read does not affect the others:
/// nothing is sent again.
fn people(
    request: &Verified<RoomEngine>,
    (reported, reason): (Reported, LeaveReason),
    list: &'static str,
    read: fn(&str) -> Result<UserId, FieldError>,
) -> Result<Parsed, ParseError> {
    let body = request.body();
    let room = room(body, None)?;
    let at = time(body, None, request.received_at())?;
    let json = body.nested(list).ok_or(FieldError::Missing(list))?;
    let found = elements(json).ok_or(FieldError::NotList(list))?;
    if found.is_empty() {
        return Err(FieldError::Missing(list).into());
    }
    let Batch { read: users, left_out } = Batch::read("members", found.into_iter().map(read))?;
    let order = Order { time: at, session: None, sequence: reported.rank() };
    let mark = Mark { order, kind: reported.kind(), at, role: Role::default(), reason };
    let mut seen = HashSet::new();
    let new = users.into_iter().filter(|user| seen.insert(user.clone()));
    let changes = new.map(|user| {
        Change::Seat(SeatChange {
            app: request.app(),
            user,
            room: room.clone(),
            life: None,
            track: Track::RoomEngine,
            mark: mark.clone(),
            roster: Roster::default(),
        })
    });
    Ok(Parsed { event: None, changes: changes.collect(), left_out })
}

/// A user in a list of accounts.
fn account(json: &str) -> Result<UserId, FieldError> {
    const FIELD: &str = "MemberList_Account";
    // A text, or a number in place of one.
    let as_field = format!("{{\"{FIELD}\":{json}}}");
    Fields::from_json(&as_field).map_err(|_| FieldError::NotList(FIELD))?.id(FIELD)
}

/// A user in a list of members.
fn member(json: &str) -> Result<UserId, FieldError> {
    let member = Fields::from_json(json).map_err(|_| FieldError::NotList("MemberList"))?;
    member.id("Member_Account")
}

/// A room was created. Nobody is in it by that: it may be scheduled for next week.
fn created(request: &Verified<RoomEngine>) -> Result<Parsed, ParseError> {
    let body = request.body();
    let info = body.object(ROOM_INFO)?;
    let at = match time_of(&info, EVENT_TIME, request.received_at())? {
        // Some pages have the time of the event nowhere else.
        None => seconds(&info, "CreateTime", request.received_at())?,
        at => at,
    };
    let at = time(body, at, request.received_at())?;
    let creator = match info.id(OWNER) {
        Err(FieldError::Missing(_)) => match body.id(OPERATOR) {
            Err(FieldError::Missing(_)) => None,
            operator => Some(operator?),
        },
        owner => Some(owner?),
    };
    let boundary = Boundary::Created { at, creator: creator.map(Creator::Named) };
    Ok(boundary_of(request, room(body, Some(&info))?, boundary))
}

/// A room was destroyed, which reports no leave of those who are in.
fn destroyed(request: &Verified<RoomEngine>) -> Result<Parsed, ParseError> {
    let body = request.body();
    let info = if body.nested(ROOM_INFO).is_some() { Some(body.object(ROOM_INFO)?) } else { None };
    let in_info =
        info.as_ref().map(|info| time_of(info, EVENT_TIME, request.received_at())).transpose()?;
    let at = time(body, in_info.flatten(), request.received_at())?;
    let boundary = Boundary::Closed { at, reason: None };
    Ok(boundary_of(request, room(body, info.as_ref())?, boundary))
}

fn boundary_of(request: &Verified<RoomEngine>, room: RoomId, boundary: Boundary) -> Parsed {
    let (app, track) = (request.app(), Track::RoomEngine);
    Change::Boundary(BoundaryChange { app, room, track, boundary }).into()
}

/// When it happened: by the event itself, else at `other`, else on arrival.
fn time(
    body: &Fields,
    other: Option<UnixMillis>,
    received_at: UnixMillis,
) -> Result<UnixMillis, FieldError> {
    Ok(time_of(body, EVENT_TIME, received_at)?.or(other).unwrap_or(received_at))
}

/// A time in milliseconds, if there is one. 0 is none.
fn time_of(
    fields: &Fields,
    name: &'static str,
    received_at: UnixMillis,
) -> Result<Option<UnixMillis>, FieldError> {
    match fields.event_time(name, received_at) {
        Err(FieldError::Missing(_)) | Ok(UnixMillis(0)) => Ok(None),
        at => at.map(Some),
    }
}

/// The same in seconds.
fn seconds(
    fields: &Fields,
    name: &'static str,
    received_at: UnixMillis,
) -> Result<Option<UnixMillis>, FieldError> {
    let Some(seconds) = fields.integer::<u64>(name)?.filter(|seconds| *seconds > 0) else {
        return Ok(None);
    };
    let at = UnixMillis(seconds.saturating_mul(1000));
    if at > received_at.after(MAX_EVENT_TIME_AHEAD) {
        return Err(FieldError::Future(name));
    }
    Ok(Some(at))
}

/// The room, which TRTC reports as a string room.
fn room(body: &Fields, info: Option<&Fields>) -> Result<RoomId, FieldError> {
    const FIELD: &str = "RoomId";
    let in_info = || info.map_or(Ok(None), |info| info.text(FIELD));
    let text = match body.text(FIELD)? {
        None => in_info()?,
        text => text,
    };
    string_room(text.ok_or(FieldError::Missing(FIELD))?)
        .map_err(|error| FieldError::Id(FIELD, error))
}
