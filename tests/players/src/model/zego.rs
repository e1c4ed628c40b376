//! ZEGO: a room has lives, a person has sessions in a life, and every change of a life's list of people
//! has a number.

use std::collections::{BTreeMap, BTreeSet};

use crate::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};

use super::Arrived;
use crate::answers::{self, Answers, End, Room, Stay};

pub(super) fn know(arrived: &[Arrived], answers: &mut Answers) {
    let events = arrived.iter().filter_map(|arrived| match &arrived.event {
        crate::Event::Zego(event) => Some(event),
        _ => None,
    });
    let mut rooms = BTreeMap::<(&str, &str), Vec<&Event>>::new();
    for event in events {
        rooms.entry((&event.app, &event.room)).or_default().push(event);
    }
    for ((app, name), events) in rooms {
        let lives = lives(&events);
        let newest = lives.last();
        let mut room = Room {
            life: newest.map(|newest| newest.id.clone()),
            open: newest.is_some_and(|newest| newest.closed.is_none()),
            members: BTreeMap::new(),
        };
        for user in users(&events) {
            let (mut stays, mut seen) = (Vec::new(), None);
            for life in &lives {
                let here =
                    |event: &&&Event| event.life.to_string() == life.id && event.user == user;
                let marks: Vec<&Event> = events
                    .iter()
                    .filter(here)
                    .copied()
                    .filter(|event| event.name.is_seat())
                    .collect();
                seen = seen.max(marks.iter().map(|mark| mark.at.0).max());
                stays.extend(visits(&marks).into_iter().map(|(stay, end)| {
                    let end = end.or_else(|| assumed_end(life, &lives, stay.entered_at?));
                    (stay, end)
                }));
            }
            let known = answers.users.entry(format!("zego/{app}/{user}")).or_default();
            known.last_seen_at = known.last_seen_at.max(seen);
            for (stay, end) in one_life_at_a_time(&stays) {
                if let Some(end) = end {
                    known.over.insert((stay, end));
                } else {
                    known.open.insert(stay.clone());
                    if stay.role.as_deref() != Some("admin") {
                        room.members.insert(user.to_owned(), stay);
                    }
                }
            }
        }
        let known = lives.iter().map(|life| answers::Life {
            id: life.id.clone(),
            created: life.created,
            end: assumed_end(life, &lives, life.created.unwrap_or(0)),
        });
        answers.lives.insert(format!("zego/{app}/{name}"), known.collect());
        answers.rooms.insert(format!("zego/{app}/{name}"), room);
    }
}

struct Life {
    id: String,
    created: Option<u64>,
    closed: Option<u64>,
    began: u64,
}

/// The lives of a room, the newest last: by their creation, else their first login, else their close.
fn lives(events: &[&Event]) -> Vec<Life> {
    let ids: BTreeSet<u64> = events.iter().map(|event| event.life).collect();
    let mut lives: Vec<Life> = ids
        .into_iter()
        .filter_map(|id| {
            let of_life = || events.iter().filter(|event| event.life == id);
            let at = |name| of_life().find(|event| event.name == name).map(|event| event.at.0);
            let first_login = of_life()
                .filter(|event| event.name.is_seat())
                .map(|event| event.login_time.0)
                .min();
            let (created, closed) = (at(RoomCreate), at(RoomClose));
            let began = created.or(first_login).or(closed)?;
            Some(Life { id: id.to_string(), created, closed, began })
        })
        .collect();
    // At the same millisecond one life ends before the next begins.
    lives.sort_by_key(|life| (life.began, life.closed.is_none(), life.created.is_some()));
    lives
}

/// The end of a visit whose own end never came.
fn assumed_end(life: &Life, lives: &[Life], entered_at: u64) -> Option<End> {
    if let Some(closed) = life.closed {
        return Some(End::assumed(closed.max(entered_at), "room_closed"));
    }
    let newer = lives.iter().skip_while(|other| other.id != life.id).skip(1);
    let is_recorded = |life: &&Life| life.created.is_some() || life.closed.is_some();
    let replacing = newer.clone().find(is_recorded).or(newer.last())?;
    let end = End::assumed(replacing.began.max(entered_at), "room_replaced");
    // Readers do not look at every login for the first one.
    Some(End { is_about: replacing.created.is_none(), ..end })
}

/// Nobody is in two lives of a room: a stay ends at the latest when the person's next stay in
/// another life begins.
fn one_life_at_a_time(stays: &[(Stay, Option<End>)]) -> Vec<(Stay, Option<End>)> {
    let began = |stay: &Stay| (stay.entered_at, stay.life.clone());
    let ended = stays.iter().map(|(stay, end)| {
        let others = stays.iter().map(|(other, _)| other).filter(|other| other.life != stay.life);
        let later = others.filter(|other| began(other) > began(stay));
        let next = later.filter_map(|other| other.entered_at).min().unwrap_or(u64::MAX);
        let end = end.clone().map(|end| End { at: end.at.min(next), ..end });
        (stay.clone(), end)
    });
    ended.collect()
}

/// The visits of one person to one life: session by session, and in each by the number of the change.
fn visits(marks: &[&Event]) -> Vec<(Stay, Option<End>)> {
    // Session ids are numbers of any length.
    let order = |event: &Event| {
        let is_logout = event.name == RoomLogout;
        (event.login_time, event.session.len(), event.session.clone(), event.sequence, is_logout)
    };
    let mut sessions = BTreeMap::<&str, Vec<&Event>>::new();
    for mark in marks {
        sessions.entry(&mark.session).or_default().push(mark);
    }
    let mut sessions: Vec<Vec<&Event>> = sessions.into_values().collect();
    sessions.sort_by_key(|session| session.iter().map(|mark| order(mark)).max());
    let mut visits = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let mut in_order = session.clone();
        in_order.sort_by_key(|mark| (mark.sequence, mark.name == RoomLogout));
        let next = sessions
            .get(index + 1)
            .and_then(|next| next.iter().map(|mark| mark.login_time.0).min());
        let mut open: Option<Stay> = None;
        // When the stay before ended, in this session.
        let mut free_from = 0;
        for mark in in_order {
            let stay = open.take().unwrap_or_else(|| begin(mark, marks, free_from, order));
            if mark.name == RoomLogin {
                open = Some(Stay { role: Some(role(mark)), ..stay });
            } else {
                free_from =
                    mark.at.0.min(next.unwrap_or(u64::MAX)).max(stay.entered_at.unwrap_or(0));
                visits.push((stay, Some(End::reported(free_from, reason(mark)))));
            }
        }
        let superseded = next.map(|next| End::assumed(next, "superseded"));
        visits.extend(open.map(|stay| (stay, superseded)));
    }
    visits
}

/// The name is that of the newest event, also for earlier visits.
fn begin<K: Ord>(
    mark: &Event,
    marks: &[&Event],
    free_from: u64,
    order: impl Fn(&Event) -> K,
) -> Stay {
    let newest = marks.iter().max_by_key(|mark| order(mark));
    Stay {
        place: mark.room.clone(),
        life: Some(mark.life.to_string()),
        session: Some(mark.session.clone()),
        name: newest.map(|newest| newest.nickname.clone()),
        role: Some(role(mark)),
        entered_at: Some(mark.login_time.0.max(free_from)),
        is_entry_assumed: mark.login_time.0 < free_from,
        is_about: false,
    }
}

fn users<'a>(events: &[&'a Event]) -> BTreeSet<&'a str> {
    events.iter().filter(|event| event.name.is_seat()).map(|event| event.user.as_str()).collect()
}

fn role(event: &Event) -> String {
    match event.role {
        0 => "unspecified".to_owned(),
        1 => "anchor".to_owned(),
        2 => "audience".to_owned(),
        4 => "admin".to_owned(),
        code => format!("role_{code}"),
    }
}

fn reason(event: &Event) -> String {
    match event.reason {
        0 => "normal".to_owned(),
        1 => "heartbeat_timeout".to_owned(),
        2 => "disconnected".to_owned(),
        3 => "kicked".to_owned(),
        4 => "token_expired".to_owned(),
        code => format!("reason_{code}"),
    }
}
