//! A small ZIM: devices, of which each connection is a session, and rooms. Its times are whole seconds.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::domain::UnixMillis;

use super::{Act, Step, Timeline, Truth, USERS, is_robot};
use crate::zim::{Action, Event, EventName, Spelling};

const PLATFORMS: [&str; 3] = ["ANDROID", "WEB", "PC "];

/// RTC has rooms of the same names.
const ROOMS: [&str; 3] = ["lobby", "7", "z:7"];

#[derive(Default)]
pub(super) struct Devices {
    begun: u64,
    /// The sessions that are online, and those whose connection was lost, of each user and platform.
    sessions: BTreeMap<(usize, usize), Session>,
}

#[derive(Clone)]
struct Session {
    id: String,
    login_time: u64,
    /// When its connection was lost, if it is not online.
    lost_at: Option<u64>,
}

impl Devices {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        let device = (step.user, step.place);
        let known = self.sessions.get(&device).cloned();
        match (step.act, known) {
            (Act::ZimUserLogin, known) => self.login(step, known.as_ref(), timeline),
            // The app obeys the advice to log out, or nobody does.
            (Act::ZimUserLogout, Some(session)) => {
                self.sessions.remove(&device);
                report(Action::Logout, step, &session, timeline);
            }
            (Act::ZimUserOffline, Some(session)) if session.lost_at.is_none() => {
                self.lose(device, step, &session, timeline);
            }
            _ => {}
        }
    }

    fn login(&mut self, step: &Step, known: Option<&Session>, timeline: &mut Timeline) {
        let device = (step.user, step.place);
        // The connection comes back, and ZIM may take it for the same session: a second later at least.
        if let Some(session) = known
            && let (Some(lost_at), true) = (session.lost_at, step.is_even(0))
        {
            timeline.now = timeline.now.max((lost_at / 1000 + 1) * 1000);
            let session = Session { login_time: timeline.now, lost_at: None, ..session.clone() };
            self.sessions.insert(device, session.clone());
            return report(Action::Login, step, &session, timeline);
        }
        // An app that allows one device: the earlier ones are kicked, and ZIM reports it in one way or
        // the other.
        let kicked: Vec<_> = self
            .sessions
            .iter()
            .filter(|((user, platform), session)| {
                let is_same = *platform == step.place;
                *user == step.user && session.lost_at.is_none() && (is_same || step.is_even(1))
            })
            .map(|(device, session)| (*device, session.clone()))
            .collect();
        for (other, session) in kicked {
            let of_other = Step { place: other.1, ..*step };
            let action = if step.is_even(2) { Action::Logout } else { Action::Offline };
            self.sessions.remove(&other);
            report(action, &of_other, &session, timeline);
        }
        self.begun += 1;
        let id = (940_000_000_000_000_000 + self.begun).to_string();
        let session = Session { id, login_time: timeline.now, lost_at: None };
        self.sessions.insert(device, session.clone());
        report(Action::Login, step, &session, timeline);
    }

    fn lose(
        &mut self,
        device: (usize, usize),
        step: &Step,
        session: &Session,
        timeline: &mut Timeline,
    ) {
        let lost = Session { lost_at: Some(timeline.now), ..session.clone() };
        self.sessions.insert(device, lost);
        report(Action::Offline, step, session, timeline);
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for ((user, _), session) in &self.sessions {
            if session.lost_at.is_none() {
                truth.online.insert(format!("zego/1/{}", USERS[*user]));
            }
        }
    }
}

fn report(action: Action, step: &Step, session: &Session, timeline: &mut Timeline) {
    let spelling = Spelling {
        login_time_missing: step.is_even(3),
        own_time_missing: step.how % 7 == 6,
        os_missing: step.how % 5 == 4,
        as_text: step.is_even(4),
        in_millis: false,
    };
    let event = Event {
        name: EventName::UserAction,
        app: "1".to_owned(),
        user: USERS[step.user].to_owned(),
        others: Vec::new(),
        room: String::new(),
        label: USERS[step.user].to_owned(),
        os: PLATFORMS[step.place].to_owned(),
        action,
        session: session.id.clone(),
        login_time: UnixMillis(session.login_time),
        at: UnixMillis(timeline.now),
        is_kicked: false,
        spelling,
    };
    timeline.report(super::Event::Zim(event));
}

fn report_in_room(name: EventName, step: &Step, users: &[usize], timeline: &mut Timeline) {
    let mut others: Vec<String> = users.iter().map(|user| USERS[*user].to_owned()).collect();
    let user = match name {
        EventName::RoomDestroy => USERS[step.user].to_owned(),
        _ => others.remove(0),
    };
    let event = Event {
        name,
        app: "1".to_owned(),
        others,
        user,
        room: ROOMS[step.place].to_owned(),
        label: "A room".to_owned(),
        os: String::new(),
        action: Action::Login,
        session: String::new(),
        login_time: UnixMillis(timeline.now),
        at: UnixMillis(timeline.now / 1000 * 1000),
        is_kicked: step.act == Act::ZimRoomKick,
        spelling: Spelling { in_millis: step.is_even(5), ..Spelling::default() },
    };
    timeline.report(super::Event::Zim(event));
}

#[derive(Default)]
pub(super) struct Rooms {
    open: BTreeMap<usize, Occurrence>,
    /// The second in which a room was last destroyed, and whether somebody was in by then who had entered
    /// in that second.
    destroyed: BTreeMap<usize, (u64, bool)>,
    /// The second of the last events of somebody in a room, and how many there were.
    last: BTreeMap<(usize, usize), (u64, u8)>,
    /// All rooms that there ever were.
    known: BTreeSet<usize>,
}

struct Occurrence {
    /// The second.
    created: u64,
    /// Who is in, and the second in which they entered.
    inside: BTreeMap<usize, u64>,
}

impl Rooms {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        match step.act {
            Act::ZimRoomEnter => self.enter(step, timeline),
            Act::ZimRoomExit => self.exit(step, &[step.user], timeline),
            Act::ZimRoomKick => {
                let inside = self.open.get(&step.place).map(|room| &room.inside);
                let users: Vec<usize> =
                    inside.into_iter().flat_map(BTreeMap::keys).copied().collect();
                self.exit(step, &users, timeline);
            }
            _ => self.destroy(step, timeline),
        }
    }

    fn enter(&mut self, step: &Step, timeline: &mut Timeline) {
        if self.is_in(step.user, step.place) {
            return;
        }
        if !self.open.contains_key(&step.place) {
            // If it was destroyed in this second, who entered in it before cannot be told from who
            // enters after.
            if let Some((second, true)) = self.destroyed.get(&step.place) {
                timeline.now = timeline.now.max((second + 1) * 1000);
            }
            let created = timeline.now / 1000;
            self.known.insert(step.place);
            self.open.insert(step.place, Occurrence { created, inside: BTreeMap::new() });
            let users = vec![step.user];
            report_in_room(EventName::ZimRoomCreate, step, &users, timeline);
        }
        self.take_turn(&[step.user], step.place, timeline);
        let second = timeline.now / 1000;
        if let Some(room) = self.open.get_mut(&step.place) {
            room.inside.insert(step.user, second);
        }
        report_in_room(EventName::RoomEnter, step, &[step.user], timeline);
    }

    fn exit(&mut self, step: &Step, users: &[usize], timeline: &mut Timeline) {
        let users: Vec<usize> =
            users.iter().copied().filter(|user| self.is_in(*user, step.place)).collect();
        if users.is_empty() {
            return;
        }
        self.take_turn(&users, step.place, timeline);
        if let Some(room) = self.open.get_mut(&step.place) {
            room.inside.retain(|user, _| !users.contains(user));
        }
        report_in_room(EventName::RoomExit, step, &users, timeline);
    }

    /// Ends a room: no other callback says that those leave who are in, or they have left before.
    fn destroy(&mut self, step: &Step, timeline: &mut Timeline) {
        let Some(room) = self.open.get(&step.place) else { return };
        if step.is_even(0) {
            let users: Vec<usize> = room.inside.keys().copied().collect();
            self.exit(step, &users, timeline);
        }
        let Some(room) = self.open.remove(&step.place) else { return };
        // A room that is destroyed in the second in which it was created counts as created again.
        if !room.inside.is_empty() {
            timeline.now = timeline.now.max((room.created + 1) * 1000);
        }
        // To those who are in, it is as an exit.
        let inside: Vec<usize> = room.inside.keys().copied().collect();
        self.take_turn(&inside, step.place, timeline);
        let second = timeline.now / 1000;
        let has_just_entered = room.inside.values().any(|entered| *entered == second);
        self.destroyed.insert(step.place, (second, has_just_entered));
        report_in_room(EventName::RoomDestroy, step, &inside, timeline);
    }

    fn is_in(&self, user: usize, place: usize) -> bool {
        self.open.get(&place).is_some_and(|room| room.inside.contains_key(&user))
    }

    /// Of one second an entry and an exit of somebody can be ordered. A third event happens later.
    fn take_turn(&mut self, users: &[usize], place: usize, timeline: &mut Timeline) {
        for user in users {
            let (second, events) = self.last.get(&(*user, place)).copied().unwrap_or_default();
            if events >= 2 && timeline.now / 1000 <= second {
                timeline.now = (second + 1) * 1000;
            }
        }
        let now = timeline.now / 1000;
        for user in users {
            let last = self.last.entry((*user, place)).or_default();
            *last = if last.0 == now { (now, last.1 + 1) } else { (now, 1) };
        }
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for place in &self.known {
            let inside = self.open.get(place).into_iter().flat_map(|room| room.inside.keys());
            let people: BTreeSet<String> = inside.map(|user| USERS[*user].to_owned()).collect();
            truth.online.extend(people.iter().map(|user| format!("zego/1/{user}")));
            let people = people.into_iter().filter(|user| !is_robot(user)).collect();
            truth.rooms.insert(format!("zego/1/z:{}", ROOMS[*place]), people);
        }
    }
}
