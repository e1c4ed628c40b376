//! ZEGO: a room has lives, a person has sessions in a life, and every change of a life's list of people
//! has a number.

use std::collections::{BTreeMap, BTreeSet};

use crate::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};

use super::{
    Arrived,
    seen::{Known, Observation, Word, observed},
};
use crate::answers::{self, Answers, End, Room, Stay};

pub(super) fn know(arrived: &[Arrived], seen: &[Observation], answers: &mut Answers) {
    let events = arrived.iter().filter_map(|arrived| match &arrived.event {
        crate::Event::Zego(event) => Some(event),
        _ => None,
    });
    let mut rooms = BTreeMap::<String, Vec<&Event>>::new();
    for event in events {
        rooms.entry(format!("zego/{}/{}", event.app, event.room)).or_default().push(event);
    }
    // Of a room of which nothing is known, that somebody is not in says nothing.
    for seen in seen.iter().filter(|seen| seen.shows_somebody()) {
        rooms.entry(seen.room.clone()).or_default();
    }
    for (path, events) in rooms {
        let of_room: Vec<&Observation> = seen.iter().filter(|seen| seen.room == path).collect();
        know_room(&path, &events, &of_room, answers);
    }
}

fn know_room(path: &str, events: &[&Event], seen: &[&Observation], answers: &mut Answers) {
    let lives = lives(events);
    let newest = lives.last();
    let app = path.split('/').nth(1).unwrap_or_default();
    let mut members = BTreeMap::new();
    for user in users(events, seen) {
        let of_user: Vec<&Observation> =
            seen.iter().filter(|seen| seen.user == user).copied().collect();
        let of_life = |life: &Life| -> Vec<&Event> {
            let of_life = events.iter().copied().filter(|event| event.life.to_string() == life.id);
            of_life.filter(|event| event.name.is_seat() && event.user == user).collect()
        };
        let (mut stays, mut seen_at) = (Vec::new(), None);
        for life in &lives {
            let marks = of_life(life);
            seen_at = seen_at.max(marks.iter().map(|mark| mark.at.0).max());
            stays.extend(visits(&marks).into_iter().map(|known| {
                let assumed = assumed_end(life, &lives, known.place());
                Known { end: known.end.or(assumed), ..known }
            }));
        }
        let came = of_user.iter().filter(|seen| seen.shows_somebody()).map(|seen| seen.at).max();
        let known = answers.users.entry(format!("zego/{app}/{user}")).or_default();
        // Only of somebody of whom no callback arrived a provider's answer is the last sign.
        match known.last_seen_at.filter(|_| !known.is_only_seen).max(seen_at) {
            Some(at) => (known.last_seen_at, known.is_only_seen) = (Some(at), false),
            None => {
                (known.last_seen_at, known.is_only_seen) = (known.last_seen_at.max(came), true);
            }
        }
        let room = boundaries(&lives);
        for (stay, end) in observed(one_life_at_a_time(&stays), &of_user, &room) {
            match end {
                Some(end) => _ = known.over.insert((stay, end)),
                None => _ = known.open.insert(stay),
            }
        }
        let own = newest.map(of_life).unwrap_or_default();
        members.extend(member(newest, &own, &of_user, &room).map(|stay| (user.to_owned(), stay)));
    }
    members.retain(|_, stay| stay.role.as_deref() != Some("admin"));
    let is_closed = newest.is_none_or(|newest| newest.closed.is_some());
    // Somebody was seen after the close: in which life, nobody knows.
    let life = newest.filter(|_| !is_closed || members.is_empty()).map(|newest| newest.id.clone());
    for stay in members.values_mut() {
        stay.life.clone_from(&life);
    }
    let open = !is_closed || !members.is_empty();
    answers.rooms.insert(path.to_owned(), Room { life, open, members });
    let known = lives.iter().map(|life| answers::Life {
        id: life.id.clone(),
        created: life.created,
        end: assumed_end(life, &lives, life.created.unwrap_or(0)),
    });
    answers.lives.insert(path.to_owned(), known.collect());
}

/// Who is in, to who reads the roster: it knows a person by their marks in the newest life and what
/// was observed on that seat; or else by these and by that they were seen in.
fn member(
    newest: Option<&Life>,
    marks: &[&Event],
    seen: &[&Observation],
    room: &[(u64, bool)],
) -> Option<Stay> {
    let mut stays = visits(marks);
    let life = newest.map(|newest| newest.id.as_str());
    let closed = newest.and_then(|newest| newest.closed);
    let out = seen.iter().filter(|seen| seen.life.as_deref() == life && seen.says == Word::Out);
    let out = out.map(|out| out.at).max();
    let lasts = |last: &&Known| last.end.is_none() && !out.is_some_and(|out| last.is_gone(out));
    if let Some(last) = stays.last().filter(|_| closed.is_none()).filter(lasts) {
        return Some(last.stay.clone());
    }
    if !seen.iter().any(|seen| seen.shows_somebody()) {
        return None;
    }
    for stay in &mut stays {
        let closed = closed.map(|at| End::assumed(at.max(stay.place()), "room_closed"));
        stay.end = stay.end.take().or(closed);
    }
    let of_seats: Vec<&Observation> = seen
        .iter()
        .filter(|seen| seen.life.is_none() || seen.life.as_deref() == life)
        .copied()
        .collect();
    let name = stays.last().and_then(|last| last.stay.name.clone());
    let stays = observed(stays, &of_seats, room);
    stays.into_iter().find(|(_, end)| end.is_none()).map(|(stay, _)| Stay { name, ..stay })
}

/// When the room was created and closed.
fn boundaries(lives: &[Life]) -> Vec<(u64, bool)> {
    let of_life =
        |life: &Life| [life.created.map(|at| (at, true)), life.closed.map(|at| (at, false))];
    lives.iter().flat_map(of_life).flatten().collect()
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
fn one_life_at_a_time(stays: &[Known]) -> Vec<Known> {
    let began = |stay: &Stay| (stay.entered_at, stay.life.clone());
    let ended = stays.iter().map(|known| {
        let Known { stay, end, .. } = known;
        let others = stays.iter().map(|other| &other.stay).filter(|other| other.life != stay.life);
        let later = others.filter(|other| began(other) > began(stay));
        let next = later.filter_map(|other| other.entered_at).min().unwrap_or(u64::MAX);
        let end = end.clone().map(|end| End { at: end.at.min(next), ..end });
        Known { end, ..known.clone() }
    });
    ended.collect()
}

/// The visits of one person to one life: session by session, and in each by the number of the change.
fn visits(marks: &[&Event]) -> Vec<Known> {
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
        let mut open: Option<Known> = None;
        // When the stay before ended, in this session.
        let mut free_from = 0;
        for mark in in_order {
            let mut known = open.take().unwrap_or_else(|| {
                let stay = begin(mark, marks, free_from, order);
                Known { stay, end: None, last_login: 0 }
            });
            if mark.name == RoomLogin {
                known.stay.role = Some(role(mark));
                known.last_login = mark.login_time.0;
                open = Some(known);
            } else {
                // Of a session whose logins are lost, the last one may be as late as its end.
                if known.last_login == 0 {
                    known.last_login = mark.at.0;
                }
                free_from = mark.at.0.min(next.unwrap_or(u64::MAX)).max(known.place());
                known.end = Some(End::reported(free_from, reason(mark)));
                visits.push(known);
            }
        }
        let superseded = next.map(|next| End::assumed(next, "superseded"));
        visits.extend(open.map(|known| Known { end: superseded, ..known }));
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

/// Who is known: of whom something arrived, or who was seen in.
fn users<'a>(events: &[&'a Event], seen: &[&'a Observation]) -> BTreeSet<&'a str> {
    let reported = events.iter().filter(|event| event.name.is_seat());
    let seen = seen.iter().filter(|seen| seen.shows_somebody());
    reported.map(|event| event.user.as_str()).chain(seen.map(|seen| seen.user.as_str())).collect()
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
