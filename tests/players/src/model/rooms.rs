//! Tencent's rooms, which two products report. Of each, who is where follows from its own events. If
//! both count, what they report of the same time is one stay.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    answers::{Answers, End, Room, Stay},
    tencent::{
        Event,
        EventName::{
            LiveCreate, LiveDestroy, LiveOffline, RoomCreate, RoomDestroy, RoomLeave, RoomUpdate,
            TrtcCreate, TrtcDismiss, TrtcExit,
        },
    },
};

use super::{Arrived, room_engine, trtc};

/// Which of Tencent's products decide who is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rooms {
    /// `RoomEngine`, and Live.
    RoomEngine,
    /// TRTC.
    Trtc,
    /// Either: who is in by one of them is in.
    Both,
}

/// A stay, and how it ended unless it lasts.
type Visit = (Stay, Option<End>);

pub(super) fn know(arrived: &[Arrived], counted: Rooms, answers: &mut Answers) {
    let events = arrived.iter().filter_map(|arrived| match &arrived.event {
        crate::Event::Tencent(event) => counts(event, counted).then_some(event),
        _ => None,
    });
    // Another provider's app may have other robots.
    let of_tencent =
        arrived.iter().filter(|arrived| matches!(arrived.event, crate::Event::Tencent(_)));
    let robots: BTreeSet<&String> = of_tencent.flat_map(|arrived| &arrived.robots).collect();
    let mut rooms = BTreeMap::<(&str, String), Vec<&Event>>::new();
    for event in events {
        rooms.entry((&event.options.app, room(event))).or_default().push(event);
    }
    for ((app, name), mut events) in rooms {
        events.sort_by_key(|event| (event.at(), rank(event)));
        let (engine, trtc): (Vec<&Event>, Vec<&Event>) =
            events.iter().copied().partition(|event| event.name.is_room_engine());
        let seats = || events.iter().copied().filter(|event| is_seat(event));
        let users: BTreeSet<&String> = seats().flat_map(people).collect();
        let mut members = BTreeMap::new();
        for user in users {
            let known = answers.users.entry(format!("tencent/{app}/{user}")).or_default();
            let own = seats().filter(|event| people(event).any(|own| own == user));
            known.last_seen_at = known.last_seen_at.max(own.map(Event::at).max());
            let of_trtc = trtc::visits(&name, user, &trtc);
            let role = if robots.contains(user) { "admin" } else { "unspecified" };
            let of_engine = room_engine::visits(&name, user, role, &engine);
            for (stay, end) in united(of_trtc, of_engine) {
                if let Some(end) = end {
                    known.over.insert((stay, end));
                } else {
                    known.open.insert(stay.clone());
                    members.insert(user.clone(), stay);
                }
            }
        }
        members.retain(|_, stay: &mut Stay| stay.role.as_deref() != Some("admin"));
        // Each product that says anything of the room itself has to say that it is over.
        let newest = [&trtc, &engine].map(|of| of.iter().rev().find(|event| !is_seat(event)));
        let newest: Vec<&Event> = newest.into_iter().flatten().copied().collect();
        let is_over =
            |event: &&Event| matches!(event.name, TrtcDismiss | RoomDestroy | LiveDestroy);
        let is_closed = !newest.is_empty() && newest.iter().all(is_over);
        let open = !is_closed || !members.is_empty();
        let room = Room { life: None, open, members };
        answers.rooms.insert(format!("tencent/{app}/{name}"), room);
    }
}

/// Whether an event says anything that counts.
fn counts(event: &Event, counted: Rooms) -> bool {
    match counted {
        _ if event.name == RoomUpdate => false,
        Rooms::Both => !event.name.is_chat(),
        Rooms::Trtc => event.name.is_trtc(),
        Rooms::RoomEngine => event.name.is_room_engine(),
    }
}

fn rank(event: &Event) -> Option<usize> {
    if event.name.is_trtc() { trtc::rank(event) } else { room_engine::rank(event) }
}

/// `RoomEngine`'s room is TRTC's string room.
fn room(event: &Event) -> String {
    if event.name.is_trtc() { trtc::room(event) } else { trtc::string_room(&event.options.room) }
}

/// Whether an event is about people in a room.
pub(super) fn is_seat(event: &Event) -> bool {
    let is_rooms_own = matches!(
        event.name,
        TrtcCreate | TrtcDismiss | RoomCreate | RoomDestroy | RoomUpdate | LiveCreate | LiveDestroy
    );
    !event.name.is_chat() && !is_rooms_own
}

/// Whether people left a room.
pub(super) fn is_exit(event: &Event) -> bool {
    matches!(event.name, TrtcExit | RoomLeave | LiveOffline)
}

/// Whom it is about.
pub(super) fn people(event: &Event) -> impl Iterator<Item = &String> {
    let is_of_several = event.name.is_room_engine();
    event.options.people().take(if is_of_several { usize::MAX } else { 1 })
}

/// What two products say of one person in one room. A visit by one and a visit by the other that
/// share a moment are of one stay, and so are all that are connected in this way.
fn united(trtc: Vec<Visit>, engine: Vec<Visit>) -> Vec<Visit> {
    let of_trtc = trtc.len();
    let all: Vec<Visit> = trtc.into_iter().chain(engine).collect();
    let mut stays: Vec<usize> = (0..all.len()).collect();
    for first in 0..of_trtc {
        for second in of_trtc..all.len() {
            let begin = begin(&all[first]).max(begin(&all[second]));
            if begin <= end(&all[first]).min(end(&all[second])) {
                let (kept, joined) = (stays[first], stays[second]);
                for stay in &mut stays {
                    if *stay == joined {
                        *stay = kept;
                    }
                }
            }
        }
    }
    let numbers: BTreeSet<usize> = stays.iter().copied().collect();
    let parts = |number| {
        let is_part = move |(_, stay): &(usize, &usize)| **stay == number;
        stays.iter().enumerate().filter(is_part).map(|(index, _)| index)
    };
    let one = |number: usize| {
        // At one moment, what was reported beats what was inferred, and TRTC beats the other.
        let last = parts(number).max_by_key(|index| {
            let visit = &all[*index];
            let is_reported = visit.1.as_ref().is_some_and(|end| !end.is_assumed);
            (end(visit), is_reported, *index < of_trtc, begin(visit))
        });
        let first = parts(number)
            .filter_map(|index| Some((all[index].0.entered_at?, all[index].0.is_entry_assumed)))
            .min();
        let is_named = |index: &usize| all[*index].0.role.as_deref() != Some("unspecified");
        let role = parts(number)
            .filter(is_named)
            .min_by_key(|index| Reverse((end(&all[*index]), begin(&all[*index]))))
            .and_then(|index| all[index].0.role.clone());
        let (stay, end) = &all[last?];
        let stay = Stay {
            entered_at: first.map(|(at, _)| at),
            is_entry_assumed: first.is_none_or(|(_, is_assumed)| is_assumed),
            role: role.or(Some("unspecified".to_owned())),
            ..stay.clone()
        };
        Some((stay, end.clone()))
    };
    numbers.into_iter().filter_map(one).collect()
}

/// A visit of which only the end is known takes no time.
fn begin(visit: &Visit) -> u64 {
    visit.0.entered_at.unwrap_or_else(|| end(visit))
}

fn end(visit: &Visit) -> u64 {
    visit.1.as_ref().map_or(u64::MAX, |end| end.at)
}
