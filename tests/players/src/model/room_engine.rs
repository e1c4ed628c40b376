//! `RoomEngine` and Live: who enters is in until they leave, enter again, or their room is destroyed
//! or created anew.

use crate::{
    answers::{End, Stay},
    tencent::{
        Event,
        EventName::{
            LiveCreate, LiveDestroy, LiveOffline, LiveOnline, RoomCreate, RoomDestroy, RoomEnter,
            RoomLeave,
        },
    },
};

/// How long after its creator's entry a creation may be reported.
const CREATORS_ENTRY: u64 = 600_000;

/// The place of an event among those of the same millisecond: created, left, entered, destroyed.
pub(super) fn rank(event: &Event) -> Option<usize> {
    let ranks = [
        [RoomCreate, LiveCreate],
        [RoomLeave, LiveOffline],
        [RoomEnter, LiveOnline],
        [RoomDestroy, LiveDestroy],
    ];
    ranks.iter().position(|rank| rank.contains(&event.name))
}

/// The visits of one person to a room: its events one after another, as they happened.
pub(super) fn visits(
    room: &str,
    user: &str,
    role: &str,
    events: &[&Event],
) -> Vec<(Stay, Option<End>)> {
    let mut visits = Vec::new();
    // The visit that is open, and its end if that never comes.
    let mut open: Option<(Stay, Option<End>)> = None;
    for event in events {
        let is_own = event.options.people().any(|own| own == user);
        let now = event.at();
        let stay = |entered_at: Option<u64>| Stay {
            place: room.to_owned(),
            role: Some(role.to_owned()),
            entered_at,
            is_entry_assumed: entered_at.is_none(),
            ..Stay::default()
        };
        match event.name {
            RoomEnter | LiveOnline if is_own => {
                let before = open.replace((stay(Some(now)), None));
                let ended = |end: Option<End>| end.or(Some(End::assumed(now, "superseded")));
                visits.extend(before.map(|(stay, end)| (stay, ended(end))));
            }
            RoomLeave | LiveOffline if is_own => {
                let before = open.take().map_or_else(|| stay(None), |(stay, _)| stay);
                visits.push((before, Some(End::reported(now, reason(event)))));
            }
            RoomCreate | LiveCreate => {
                if let Some((stay, end @ None)) = &mut open {
                    let is_creators = event.options.user == user
                        && stay.entered_at.is_some_and(|at| at + CREATORS_ENTRY >= now);
                    *end = (!is_creators).then(|| End::assumed(now, "room_replaced"));
                }
            }
            RoomDestroy | LiveDestroy => {
                if let Some((_, end @ None)) = &mut open {
                    *end = Some(End::assumed(now, "room_closed"));
                }
            }
            _ => {}
        }
    }
    visits.extend(open);
    visits
}

fn reason(event: &Event) -> &'static str {
    let options = &event.options;
    let why = match event.name {
        RoomLeave => options.leave_type.as_str(),
        _ => options.cause.as_deref().unwrap_or("Leave"),
    };
    match why {
        "Leave" => "normal",
        "Expired" | "HeartbeatInterrupt" => "heartbeat_timeout",
        "Kicked" => "kicked",
        _ => "unspecified",
    }
}
