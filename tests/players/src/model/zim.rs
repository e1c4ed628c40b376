//! ZIM: the states of each session, and rooms of which neither lives nor stays have names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arrived, chat::month};
use crate::{
    answers::{Answers, End, Registration, Room, Stay, User},
    zim::{
        Action, Event,
        EventName::{RoomDestroy, UserAction, ZimRoomCreate},
    },
};

/// How long after its creator's entry a creation may be reported.
const CREATORS_ENTRY: u64 = 600_000;

pub(super) fn know(arrived: &[Arrived], answers: &mut Answers) {
    let events: Vec<&Event> = arrived
        .iter()
        .filter_map(|arrived| match &arrived.event {
            crate::Event::Zim(event) => Some(event),
            _ => None,
        })
        .collect();
    know_devices(&events, answers);
    // Another provider's app may have other robots.
    let of_zim = arrived.iter().filter(|arrived| matches!(arrived.event, crate::Event::Zim(_)));
    let robots = of_zim.flat_map(|arrived| &arrived.robots).collect();
    know_rooms(&events, &robots, answers);
}

fn know_devices(events: &[&Event], answers: &mut Answers) {
    let mut sessions = BTreeMap::<(&str, &str, &str), Vec<&Event>>::new();
    for event in events.iter().filter(|event| event.name == UserAction) {
        sessions.entry((&event.app, &event.user, &event.session)).or_default().push(event);
    }
    let mut months = BTreeMap::<String, BTreeSet<&str>>::new();
    for ((app, user, session), events) in sessions {
        // A login that only its end names counts nobody.
        let logins = events.iter().filter(|event| event.is_login());
        for at in logins.map(|event| event.told_at()) {
            let (year, month) = month(at);
            months.entry(format!("zego/{app}/{year}-{month:02}")).or_default().insert(user);
            let from = "first_login".to_owned();
            let registration = answers.registrations.entry(format!("zego/{app}/{user}"));
            let first = registration.or_insert(Registration {
                at,
                from,
                name: None,
                profile_changed_at: None,
            });
            first.at = first.at.min(at);
        }
        let known = answers.users.entry(format!("zego/{app}/{user}")).or_default();
        known.join(device(session, &events));
    }
    let counted = months.into_iter().map(|(month, users)| (month, users.len()));
    answers.active_users.extend(counted);
}

/// When a session logged in, and whether ZIM did not say when exactly. An end may name its login.
fn logins(events: &[&Event]) -> BTreeSet<(u64, bool)> {
    let login = |event: &&Event| {
        let is_about = event.action == Action::Login && event.spelling.own_time_missing;
        event.told_login_at().map(|at| (at, is_about))
    };
    events.iter().filter_map(login).collect()
}

fn device(session: &str, events: &[&Event]) -> User {
    let logins = logins(events);
    let newest = |action| {
        events.iter().filter(|event| event.action == action).map(|event| event.told_at()).max()
    };
    let (lost, out) = (newest(Action::Offline), newest(Action::Logout));
    let login = logins.iter().map(|(at, _)| *at).max();
    // A logout is final: it did not end a login that came later.
    let began = login.filter(|login| out.is_none_or(|out| *login <= out));
    let names_os = |event: &&&Event| event.action == Action::Login || !event.spelling.os_missing;
    let os = events.iter().find(names_os).map_or("Unknown", |event| event.os.trim());
    let stay = Stay {
        place: os.to_owned(),
        session: Some(session.to_owned()),
        entered_at: began,
        is_entry_assumed: !began.is_some_and(|at| logins.contains(&(at, false))),
        ..Stay::default()
    };
    let mut user = User { last_seen_at: login.max(lost).max(out), ..User::default() };
    let end = match (out, lost) {
        (Some(out), _) => Some(End::reported(out, "normal")),
        // It went on at least a second later, or not at all.
        (None, Some(lost)) if login.is_none_or(|login| login < lost + 1000) => {
            Some(End::reported(lost, "disconnected"))
        }
        _ => None,
    };
    match end {
        Some(end) => _ = user.over.insert((stay, end)),
        None => _ = user.open.insert(stay),
    }
    user
}

fn know_rooms(events: &[&Event], robots: &BTreeSet<&String>, answers: &mut Answers) {
    let mut rooms = BTreeMap::<(&str, String), Vec<&Event>>::new();
    for event in events.iter().filter(|event| event.name != UserAction) {
        rooms.entry((&event.app, event.room_id())).or_default().push(event);
    }
    for ((app, name), events) in rooms {
        let mut members = BTreeMap::new();
        let users: BTreeSet<&String> = events.iter().flat_map(|event| event.users()).collect();
        for user in users {
            let known = answers.users.entry(format!("zego/{app}/{user}")).or_default();
            let own = events.iter().filter(|event| is_about(event, user));
            known.last_seen_at = known.last_seen_at.max(own.map(|event| event.told_at()).max());
            let is_robot = robots.contains(user);
            let role = if is_robot { "admin" } else { "unspecified" };
            for (stay, end) in visits(&name, user, role, &events) {
                if let Some(end) = end {
                    known.over.insert((stay, end));
                } else {
                    known.open.insert(stay.clone());
                    if !is_robot {
                        members.insert(user.clone(), stay);
                    }
                }
            }
        }
        let (created, destroyed) = boundaries(&events);
        let is_destroyed = created.keys().max() < destroyed.iter().max();
        let open = !is_destroyed || !members.is_empty();
        answers.rooms.insert(format!("zego/{app}/{name}"), Room { life: None, open, members });
    }
}

fn is_about(event: &Event, user: &String) -> bool {
    event.users().any(|of| of == user)
}

/// When a room was created, and by whom; and when it was destroyed. Of one second, it was created last.
fn boundaries<'e>(events: &[&'e Event]) -> (BTreeMap<u64, Vec<&'e str>>, BTreeSet<u64>) {
    let mut created = BTreeMap::<u64, Vec<&str>>::new();
    for event in events.iter().filter(|event| event.name == ZimRoomCreate) {
        created.entry(event.told_at()).or_default().push(&event.user);
    }
    let destroyed = events.iter().filter(|event| event.name == RoomDestroy);
    let destroyed = destroyed.map(|event| event.told_at());
    let destroyed = destroyed.filter(|at| !created.contains_key(at)).collect();
    (created, destroyed)
}

/// The visits of one person to a room, time by time.
fn visits(room: &str, user: &String, role: &str, events: &[&Event]) -> Vec<(Stay, Option<End>)> {
    let (created, destroyed) = boundaries(events);
    let own = || events.iter().filter(|event| is_about(event, user));
    let mut times: BTreeSet<u64> = own().map(|event| event.told_at()).collect();
    times.extend(created.keys());
    times.extend(&destroyed);
    let begin = |entered_at: Option<u64>| Stay {
        place: room.to_owned(),
        role: Some(role.to_owned()),
        entered_at,
        is_entry_assumed: entered_at.is_none(),
        ..Stay::default()
    };
    let mut visits = Vec::new();
    // The visit that is open, and its end if that never comes.
    let mut open: Option<(Stay, Option<End>)> = None;
    for at in times {
        // Before everything else of its time: who was in before is out, but for the creator.
        if let (Some(creators), Some((stay, end @ None))) = (created.get(&at), &mut open) {
            let seen = stay.entered_at.unwrap_or_default();
            let is_creators = |creator: &&str| creator == user && seen + CREATORS_ENTRY >= at;
            if creators.iter().any(|creator| !is_creators(creator)) {
                *end = Some(End::assumed(at, "room_replaced"));
            }
        }
        let now = || own().filter(|event| event.told_at() == at);
        let mut has_entry = now().any(|event| event.leave_reason().is_none());
        // The end of a room comes first, and a kick before an exit.
        let reasons: BTreeSet<&str> = now().filter_map(|event| event.leave_reason()).collect();
        let ranked = ["room_closed", "kicked", "normal"].into_iter();
        let mut exits = ranked.filter(|reason| reasons.contains(reason)).peekable();
        while has_entry || exits.peek().is_some() {
            // Who is in leaves, and then enters again; who is not in enters first.
            if let Some(reason) = exits.next_if(|_| open.is_some() || !has_entry) {
                let (stay, _) = open.take().unwrap_or_else(|| (begin(None), None));
                visits.push((stay, Some(End::reported(at, reason))));
            } else {
                has_entry = false;
                if let Some((stay, end)) = open.take() {
                    visits.push((stay, end.or(Some(End::assumed(at, "superseded")))));
                }
                open = Some((begin(Some(at)), None));
            }
        }
        if let (true, Some((_, end @ None))) = (destroyed.contains(&at), &mut open) {
            *end = Some(End::assumed(at, "room_closed"));
        }
    }
    visits.extend(open);
    visits
}
