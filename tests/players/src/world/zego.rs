//! A small ZEGOCLOUD.

use std::collections::BTreeMap;

use crate::zego::{
    Event,
    EventName::{self, RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use rollcall::domain::UnixMillis;

use super::{Act, Step, Timeline, Truth, USERS, is_robot, name};

const ROOMS: [&str; 3] = ["lobby", "#library", "7"];

#[derive(Default)]
pub(super) struct Zego {
    sessions: u64,
    open: BTreeMap<usize, Life>,
    /// When somebody last logged in to a room that is closed now.
    last_logins: BTreeMap<usize, u64>,
}

struct Life {
    id: u64,
    created: u64,
    last_login: u64,
    sequence: u64,
    inside: BTreeMap<usize, Session>,
    /// The last session of those who have left.
    left: BTreeMap<usize, Session>,
}

#[derive(Clone)]
struct Session {
    id: String,
    login_time: u64,
    role: u16,
    nickname: String,
}

impl Zego {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        match step.act {
            Act::ZegoLogin => self.login(step, timeline),
            Act::ZegoLogout => self.leave(step, step.how % 5, timeline),
            _ => self.close(step, timeline),
        }
    }

    fn login(&mut self, step: &Step, timeline: &mut Timeline) {
        if !self.open.contains_key(&step.place) {
            // Two lives with logins at one millisecond cannot be distinguished without a creation.
            let last_login = self.last_logins.get(&step.place).copied().unwrap_or_default();
            timeline.now = timeline.now.max(last_login + 1);
            // Lives have no order by number.
            let id = timeline.now.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ step.place as u64;
            let now = timeline.now;
            let life = Life {
                id,
                created: now,
                last_login: now,
                sequence: 0,
                inside: BTreeMap::new(),
                left: BTreeMap::new(),
            };
            self.open.insert(step.place, life);
            self.report(RoomCreate, step, None, 0, timeline);
        }
        let was_in = self.open[&step.place].inside.get(&step.user).cloned();
        let has_left = self.open[&step.place].left.get(&step.user).cloned();
        let keeps_session = step.is_even(0);
        // The provider may take the new connection for the old session: nobody leaves.
        let (id, login_time) = match (&was_in, has_left) {
            (Some(session), _) if keeps_session => (session.id.clone(), timeline.now),
            (Some(_), _) => {
                self.leave(step, 3, timeline);
                (self.new_session(), timeline.now)
            }
            // Or the session goes on, whose login was at another time.
            (None, Some(session)) if keeps_session => {
                (session.id, if step.is_even(1) { session.login_time } else { timeline.now })
            }
            (None, _) => (self.new_session(), timeline.now),
        };
        let role = [2, 1, 2, 4, 0, 9][usize::from(step.how / 2 % 6)];
        let nickname = format!("{} {}", USERS[step.user], step.how % 3);
        let session = Session { id, login_time, role, nickname };
        let life = self.open.get_mut(&step.place).unwrap();
        life.last_login = timeline.now;
        life.sequence += 1;
        life.inside.insert(step.user, session.clone());
        self.report(RoomLogin, step, Some(&session), 0, timeline);
    }

    /// Their numbers grow from eight digits to nine.
    fn new_session(&mut self) -> String {
        self.sessions += 1;
        (99_999_995 + self.sessions).to_string()
    }

    fn leave(&mut self, step: &Step, reason: u8, timeline: &mut Timeline) {
        let Some(life) = self.open.get_mut(&step.place) else { return };
        let Some(session) = life.inside.remove(&step.user) else { return };
        life.sequence += 1;
        life.left.insert(step.user, session.clone());
        self.report(RoomLogout, step, Some(&session), reason, timeline);
    }

    /// Ends a life: with a close, with logouts of those inside, or with both.
    fn close(&mut self, step: &Step, timeline: &mut Timeline) {
        let Some(life) = self.open.get(&step.place) else { return };
        timeline.now = timeline.now.max(life.created + 1);
        let (has_logouts, has_close) =
            [(false, true), (true, true), (true, false)][usize::from(step.how % 3)];
        if has_logouts {
            for user in life.inside.keys().copied().collect::<Vec<_>>() {
                self.leave(&Step { user, ..*step }, 3, timeline);
            }
        }
        if has_close {
            self.report(RoomClose, step, None, step.how % 4, timeline);
        }
        let life = self.open.remove(&step.place).unwrap();
        self.last_logins.insert(step.place, life.last_login);
    }

    fn report(
        &self,
        event: EventName,
        step: &Step,
        session: Option<&Session>,
        reason: u8,
        timeline: &mut Timeline,
    ) {
        let life = &self.open[&step.place];
        let is_replaced = step.act == Act::ZegoLogin;
        let at = match event {
            RoomLogin => session.map_or(timeline.now, |session| session.login_time),
            // The connection that was replaced ends later, or another server's clock is slow.
            RoomLogout if is_replaced => {
                timeline.now + [0, 2, 3000, 0][usize::from(step.how / 4 % 4)]
            }
            RoomLogout => timeline.now - [0, 0, 2, 0][usize::from(step.how / 4 % 4)],
            RoomCreate | RoomClose => timeline.now,
        };
        let event = Event {
            name: event,
            app: "1".to_owned(),
            room: ROOMS[step.place].to_owned(),
            life: life.id,
            user: name(step),
            nickname: session.map(|session| session.nickname.clone()).unwrap_or_default(),
            session: session.map(|session| session.id.clone()).unwrap_or_default(),
            login_time: UnixMillis(session.map_or(timeline.now, |session| session.login_time)),
            at: UnixMillis(at),
            sequence: life.sequence,
            role: session.map_or(0, |session| session.role),
            relogin: step.is_even(0),
            reason,
        };
        timeline.report(super::Event::Zego(event));
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (index, room) in ROOMS.into_iter().enumerate() {
            let mut people = std::collections::BTreeSet::new();
            for (user, session) in self.open.get(&index).into_iter().flat_map(|life| &life.inside) {
                truth.online.insert(format!("zego/1/{}", USERS[*user]));
                let key = (format!("zego/1/{room}"), USERS[*user].to_owned());
                // Recorders, moderation and robots are no people.
                let role = if is_robot(USERS[*user]) { 4 } else { session.role };
                truth.sessions.insert(key, (session.login_time, role));
                if role != 4 {
                    people.insert(USERS[*user].to_owned());
                }
            }
            truth.rooms.insert(format!("zego/1/{room}"), people);
        }
    }
}
