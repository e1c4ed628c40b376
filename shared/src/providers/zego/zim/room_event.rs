//! `room_create`, `room_enter`, `room_exit` and `room_destroy` of ZIM's rooms (ZIM Server API,
//! "Callbacks", "Room").

use std::collections::BTreeSet;

use super::{
    super::{
        Zego, event,
        named::{OPERATOR, RoomEventName},
        room,
    },
    sent_at,
};
use crate::{
    callback::{Batch, Callback, FieldError, ParseError, Parsed, Verified},
    domain::{
        Boundary, BoundaryChange, Change, Creator, Kind, LeaveReason, Mark, Order, Role, Roster,
        SeatChange, Track, UnixMillis, UserId,
    },
};

/// Of how many people who were in a room when it was destroyed the end is written. Of more, the room's
/// end alone decides: there would be no time for so many writes.
const MAX_NAMED: usize = 1000;

/// The callback of the events in ZIM's rooms.
#[derive(Debug)]
pub struct RoomEvent;

impl Callback for RoomEvent {
    type Provider = Zego;

    fn parse(request: &Verified<Zego>) -> Result<Parsed, ParseError> {
        let (body, now) = (request.body(), request.received_at());
        if !event::is_event::<Self>(request)? {
            return Ok(Parsed::ignored());
        }
        let Some(event) = RoomEventName::of(body.required("event")?, body) else {
            return Ok(Parsed::ignored());
        };
        let at = sent_at(body, now)?;
        let mut parsed = match event {
            RoomEventName::Create => {
                let creator = match body.id(OPERATOR) {
                    Ok(user) => Some(Creator::Named(user)),
                    Err(FieldError::Missing(_)) => None,
                    Err(error) => return Err(error.into()),
                };
                boundary(request, Boundary::Created { at, creator })?.into()
            }
            RoomEventName::Destroy => destruction(request, at)?,
            RoomEventName::Enter => {
                seat(request, at, &SeatEvent::Enter, body.id(OPERATOR)?)?.into()
            }
            RoomEventName::Exit => exits(request, at)?,
        };
        parsed.event = Some(event.name());
        Ok(parsed)
    }
}

/// Everybody who left. `operator_account` is who kicked them; if they left by themselves, ZEGO's pages do
/// not agree on what it is.
fn exits(request: &Verified<Zego>, at: UnixMillis) -> Result<Parsed, ParseError> {
    const USERS: &str = "exit_user_ids";
    let body = request.body();
    let reason = match body.text("exit_type")? {
        Some(how) if how.eq_ignore_ascii_case("quit") => LeaveReason::Normal,
        Some(how) if how.eq_ignore_ascii_case("kickout") => LeaveReason::Kicked,
        _ => LeaveReason::Unspecified,
    };
    let batch = Batch::read("users", body.ids::<UserId>(USERS)?)?;
    let exit = SeatEvent::Exit(reason);
    let users: BTreeSet<UserId> = batch.read.into_iter().collect();
    let changes = users.into_iter().map(|user| seat(request, at, &exit, user));
    let changes = changes.collect::<Result<_, _>>()?;
    Ok(Parsed { event: None, changes, left_out: batch.left_out })
}

/// The end of a room, and of those who were in it: no other callback names them. That one of them cannot
/// be read does not matter: the end of the room ends their stays, too.
fn destruction(request: &Verified<Zego>, at: UnixMillis) -> Result<Parsed, ParseError> {
    let users: Vec<Result<UserId, FieldError>> = request.body().ids("user_ids").unwrap_or_default();
    let users: BTreeSet<UserId> = users.into_iter().flatten().collect();
    let mut parsed: Parsed = boundary(request, Boundary::Closed { at, reason: None })?.into();
    if users.len() <= MAX_NAMED {
        let exit = SeatEvent::Exit(LeaveReason::RoomClosed);
        for user in users {
            parsed.changes.push(seat(request, at, &exit, user)?);
        }
    }
    Ok(parsed)
}

/// What happens to a person in a room.
pub(super) enum SeatEvent {
    Enter,
    Exit(LeaveReason),
}

impl SeatEvent {
    /// The order of a person's marks of one time.
    pub(super) fn rank(&self) -> u64 {
        match self {
            Self::Exit(_) => 2,
            Self::Enter => 3,
        }
    }
}

fn seat(
    request: &Verified<Zego>,
    at: UnixMillis,
    event: &SeatEvent,
    user: UserId,
) -> Result<Change, FieldError> {
    let (kind, reason) = match event {
        SeatEvent::Enter => (Kind::Enter, LeaveReason::Unspecified),
        SeatEvent::Exit(reason) => (Kind::Leave, *reason),
    };
    let order = Order { time: at, session: None, sequence: event.rank() };
    Ok(Change::Seat(SeatChange {
        app: request.app(),
        user,
        room: room::zim_of(request.body())?,
        life: None,
        track: Track::Media,
        mark: Mark { order, kind, at, role: Role::default(), reason },
        roster: Roster::default(),
    }))
}

fn boundary(request: &Verified<Zego>, boundary: Boundary) -> Result<Change, FieldError> {
    let room = room::zim_of(request.body())?;
    Ok(Change::Boundary(BoundaryChange { app: request.app(), room, track: Track::Media, boundary }))
}
