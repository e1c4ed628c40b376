//! TRTC: neither lives nor sessions have names, so the time of each event is all there is.

use crate::{
    answers::{End, Stay},
    tencent::{
        Event,
        EventName::{TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit, TrtcRole},
    },
};

/// How long after its creator's entry a creation may be reported.
const CREATORS_ENTRY: u64 = 600_000;

/// When somebody enters again, how long after it the end of their former connection may be
/// reported, as a kick.
const REPLACED: u64 = 5000;

/// The place of an event among those of the same millisecond: created, role changed, left, entered,
/// dismissed.
pub(super) fn rank(event: &Event) -> Option<usize> {
    let ranks = [TrtcCreate, TrtcRole, TrtcExit, TrtcEnter, TrtcDismiss];
    ranks.iter().position(|rank| *rank == event.name)
}

/// The visits of one person to a room: its events one after another, as they happened.
pub(super) fn visits(room: &str, user: &str, events: &[&Event]) -> Vec<(Stay, Option<End>)> {
    let mut visits = Vec::<(Stay, Option<End>)>::new();
    // When a connection was replaced whose kick was not reported yet, and the number of the visit
    // that ended by it, if one did.
    let mut replaced = Vec::<(u64, Option<usize>)>::new();
    // The visit that is open, when the person was last seen in it, and its end if that never comes.
    let mut open: Option<(Stay, u64, Option<End>)> = None;
    for event in events {
        let is_own = event.options.user == user;
        let now = event.at();
        // Another network, another try.
        let is_again = event.options.enter_reason > 1;
        let begin = || Stay {
            place: room.to_owned(),
            role: Some(role(event)),
            entered_at: Some(now),
            ..Stay::default()
        };
        match event.name {
            TrtcEnter if is_own && !is_again => {
                if let Some((stay, _, end)) = open.take() {
                    replaced.push((now, Some(visits.len())));
                    visits.push((stay, end.or(Some(End::assumed(now, "superseded")))));
                }
                open = Some((begin(), now, None));
            }
            // They are still in: no later event ended their visit.
            TrtcEnter | TrtcRole if is_own => {
                if event.name == TrtcEnter && open.is_some() {
                    replaced.push((now, None));
                }
                let unknown = || (Stay { is_entry_assumed: true, ..begin() }, now, None);
                let (stay, ..) = open.take().unwrap_or_else(unknown);
                open = Some((Stay { role: Some(role(event)), ..stay }, now, None));
            }
            TrtcExit if is_own => {
                let is_old = |(at, _): &(u64, _)| now <= *at + REPLACED;
                let old =
                    replaced.iter().position(is_old).filter(|_| event.options.exit_reason == 3);
                if let Some(old) = old {
                    let (at, visit) = replaced.remove(old);
                    if let Some(visit) = visit {
                        visits[visit].1 = Some(End::reported(at, reason(event)));
                    }
                    continue;
                }
                let unknown =
                    || (Stay { entered_at: None, is_entry_assumed: true, ..begin() }, now, None);
                let (stay, ..) = open.take().unwrap_or_else(unknown);
                visits.push((stay, Some(End::reported(now, reason(event)))));
            }
            TrtcCreate => {
                if let Some((_, seen, end @ None)) = &mut open {
                    let is_creators = is_own && *seen + CREATORS_ENTRY >= now;
                    *end = (!is_creators).then(|| End::assumed(now, "room_replaced"));
                }
            }
            TrtcDismiss => {
                if let Some((_, _, end @ None)) = &mut open {
                    *end = Some(End::assumed(now, "room_closed"));
                }
            }
            _ => {}
        }
    }
    visits.extend(open.map(|(stay, _, end)| (stay, end)));
    visits
}

/// The room 123 is another one than "123".
pub(super) fn room(event: &Event) -> String {
    let name = &event.options.room;
    match event.options.room_number {
        Some(number) => number.to_string(),
        None => string_room(name),
    }
}

pub(super) fn string_room(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_digit()) || name.starts_with("s:") {
        format!("s:{name}")
    } else {
        name.to_owned()
    }
}

fn role(event: &Event) -> String {
    match event.options.role {
        0 => "unspecified".to_owned(),
        20 => "anchor".to_owned(),
        21 => "audience".to_owned(),
        // A robot's.
        4 => "admin".to_owned(),
        code => format!("role_{code}"),
    }
}

fn reason(event: &Event) -> String {
    match event.options.exit_reason {
        1 => "normal".to_owned(),
        2 => "heartbeat_timeout".to_owned(),
        3 => "kicked".to_owned(),
        code => format!("reason_{code}"),
    }
}
