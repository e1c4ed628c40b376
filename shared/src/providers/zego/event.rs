//! What the room callbacks have in common: the event's name, seats and lives.

use super::{
    Zego,
    named::{ROOM_EVENT, RoomEventName},
    room,
};
use crate::{
    callback::{Callback, FieldError, Fields, ParseError, Parsed, Provider, Verified},
    domain::{
        Boundary, Change, Detail, Details, Kind, LeaveReason, LifeChange, LifeId, Mark, Order,
        Role, Roster, SeatChange, Track, UnixMillis,
    },
    routes::CALLBACKS,
};

/// The longest text of a detail that is kept, in bytes; no field of ZEGO's is documented to be
/// longer, and a seat has to stay small.
const MAX_DETAIL_BYTES: usize = 256;

/// Whether the request is an event that `C` takes. An event that has no route here is signed and
/// harmless, so it is acknowledged: refusing it would only make ZEGO send it five times more.
///
/// # Errors
///
/// [`ParseError::WrongRoute`] for an event that has a route, but not this one.
pub(super) fn is_event<C: Callback<Provider = Zego>>(
    request: &Verified<Zego>,
) -> Result<bool, ParseError> {
    let body = request.body();
    let name = body.required("event")?;
    // RTC and ZIM have rooms, and one name for their creation.
    let of_zim = RoomEventName::of(name, body);
    let own = if of_zim.is_some() { ROOM_EVENT } else { name };
    let mut of_zego = CALLBACKS.iter().filter(|known| known.provider == Zego::NAME);
    let Some(known) = of_zego.find(|known| known.event == own) else { return Ok(false) };
    if known.event == C::EVENT {
        return Ok(true);
    }
    let event = of_zim.map_or(known.event, RoomEventName::name);
    Err(ParseError::WrongRoute { event, route: known.paths[0] })
}

/// What distinguishes a login from a logout.
pub(super) struct SeatEvent {
    pub(super) kind: Kind,
    /// The field with the event's own time, in ms.
    pub(super) at: &'static str,
    pub(super) reason: LeaveReason,
    /// The fields that are kept as they are.
    pub(super) details: &'static [&'static str],
}

/// Reads a login or a logout. Both carry the session's `login_time`, `session_id` and the room's
/// `user_update_seq`, so each has its place in the order without the other.
pub(super) fn seat(request: &Verified<Zego>, event: &SeatEvent) -> Result<Parsed, ParseError> {
    let body = request.body();
    let now = request.received_at();
    let role = body.integer("user_role")?.map(Role).unwrap_or_default();
    let mark = Mark {
        order: Order {
            time: body.event_time("login_time", now)?,
            session: Some(body.id("session_id")?),
            sequence: body.required_integer("user_update_seq")?,
        },
        kind: event.kind,
        at: body.event_time(event.at, now)?,
        role,
        reason: event.reason,
    };
    let mut details = Details::new();
    for &name in event.details {
        if let Some(text) = kept(body, name)? {
            details.insert(name.into(), Detail::Text(text));
        }
    }
    Ok(Parsed::from(Change::Seat(SeatChange {
        app: request.app(),
        user: body.id("user_account")?,
        room: room::rtc_of(body)?,
        life: Some(life(body, "room_seq")?),
        track: Track::Media,
        mark,
        roster: Roster { name: kept(body, "user_nickname")?, details },
    })))
}

/// Reads the beginning or the end of a room's life.
pub(super) fn boundary(request: &Verified<Zego>, boundary: Boundary) -> Result<Parsed, ParseError> {
    let body = request.body();
    Ok(Parsed::from(Change::Life(LifeChange {
        app: request.app(),
        room: room::rtc_of(body)?,
        life: life(body, "room_session_id")?,
        boundary,
    })))
}

/// The event time of a boundary.
pub(super) fn time(
    request: &Verified<Zego>,
    field: &'static str,
) -> Result<UnixMillis, FieldError> {
    request.body().event_time(field, request.received_at())
}

/// A life is a `UInt64`: a string in login and logout, a number in create and close.
fn life(body: &Fields, field: &'static str) -> Result<LifeId, FieldError> {
    let number: u64 = body.required_integer(field)?;
    number.to_string().parse().map_err(|error| FieldError::Id(field, error))
}

fn kept(body: &Fields, field: &'static str) -> Result<Option<String>, FieldError> {
    let text = body.shown(field)?;
    Ok(text.map(|text| text[..text.floor_char_boundary(MAX_DETAIL_BYTES)].to_owned()))
}
