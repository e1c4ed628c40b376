//! A small ZEGOCLOUD.

use std::collections::BTreeMap;

use crate::zego::{
    Event,
    EventName::{self, RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use rollcall::domain::UnixMillis;

use super::{Act, Step, Teller, Truth, USERS, name};

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
    pub(super) fn act(&mut self, step: &Step, teller: &mut Teller) {
        match step.act {
            Act::ZegoLogin => self.login(step, teller),
            Act::ZegoLogout => self.leave(step, step.how % 5, teller),
            _ => self.close(step, teller),
        }
    }

    fn login(&mut self, step: &Step, teller: &mut Teller) {
        if !self.open.contains_key(&step.place) {
            // Two lives with logins at one millisecond cannot be told apart without a creation.
            let last_login = self.last_logins.get(&step.place).copied().unwrap_or_default();
            teller.now = teller.now.max(last_login + 1);
            // Lives have no order by number.
            let id = teller.now.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ step.place as u64;
            let now = teller.now;
            let life = Life {
                id,
                created: now,
                last_login: now,
                sequence: 0,
                inside: BTreeMap::new(),
                left: BTreeMap::new(),
            };
            self.open.insert(step.place, life);
            self.tell(RoomCreate, step, None, 0, teller);
        }
        let was_in = self.open[&step.place].inside.get(&step.user).cloned();
        let has_left = self.open[&step.place].left.get(&step.user).cloned();
        let keeps_session = step.is_even(0);
        // The provider may take the new connection for the old session: nobody leaves.
        let (id, login_time) = match (&was_in, has_left) {
            (Some(session), _) if keeps_session => (session.id.clone(), teller.now),
            (Some(_), _) => {
                self.leave(step, 3, teller);
                (self.new_session(), teller.now)
            }
            // Or the session goes on, whose login was at another time.
            (None, Some(session)) if keeps_session => {
                (session.id, if step.is_even(1) { session.login_time } else { teller.now })
            }
            (None, _) => (self.new_session(), teller.now),
        };
        let role = [2, 1, 2, 4, 0, 9][usize::from(step.how / 2 % 6)];
        let nickname = format!("{} {}", USERS[step.user], step.how % 3);
        let session = Session { id, login_time, role, nickname };
        let life = self.open.get_mut(&step.place).unwrap();
        life.last_login = teller.now;
        life.sequence += 1;
        life.inside.insert(step.user, session.clone());
        self.tell(RoomLogin, step, Some(&session), 0, teller);
    }

    /// Their numbers grow from eight digits to nine.
    fn new_session(&mut self) -> String {
        self.sessions += 1;
        (99_999_995 + self.sessions).to_string()
    }

    fn leave(&mut self, step: &Step, reason: u8, teller: &mut Teller) {
        let Some(life) = self.open.get_mut(&step.place) else { return };
        let Some(session) = life.inside.remove(&step.user) else { return };
        life.sequence += 1;
        life.left.insert(step.user, session.clone());
        self.tell(RoomLogout, step, Some(&session), reason, teller);
    }

    /// Ends a life: with a close, with logouts of those inside, or with both.
    fn close(&mut self, step: &Step, teller: &mut Teller) {
        let Some(life) = self.open.get(&step.place) else { return };
        teller.now = teller.now.max(life.created + 1);
        let (has_logouts, has_close) =
            [(false, true), (true, true), (true, false)][usize::from(step.how % 3)];
        if has_logouts {
            for user in life.inside.keys().copied().collect::<Vec<_>>() {
                self.leave(&Step { user, ..*step }, 3, teller);
            }
        }
        if has_close {
            self.tell(RoomClose, step, None, step.how % 4, teller);
        }
        let life = self.open.remove(&step.place).unwrap();
        self.last_logins.insert(step.place, life.last_login);
    }

    fn tell(
        &self,
        event: EventName,
        step: &Step,
        session: Option<&Session>,
        reason: u8,
        teller: &mut Teller,
    ) {
        let life = &self.open[&step.place];
        let is_replaced = step.act == Act::ZegoLogin;
        let at = match event {
            RoomLogin => session.map_or(teller.now, |session| session.login_time),
            // The connection that was replaced ends later, or another server's clock is slow.
            RoomLogout if is_replaced => {
                teller.now + [0, 2, 3000, 0][usize::from(step.how / 4 % 4)]
            }
            RoomLogout => teller.now - [0, 0, 2, 0][usize::from(step.how / 4 % 4)],
            RoomCreate | RoomClose => teller.now,
        };
        let event = Event {
            name: event,
            app: "1".to_owned(),
            room: ROOMS[step.place].to_owned(),
            life: life.id,
            user: name(step),
            nickname: session.map(|session| session.nickname.clone()).unwrap_or_default(),
            session: session.map(|session| session.id.clone()).unwrap_or_default(),
            login_time: UnixMillis(session.map_or(teller.now, |session| session.login_time)),
            at: UnixMillis(at),
            sequence: life.sequence,
            role: session.map_or(0, |session| session.role),
            relogin: step.is_even(0),
            reason,
        };
        teller.tell(super::Event::Zego(event));
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (index, room) in ROOMS.into_iter().enumerate() {
            let mut people = std::collections::BTreeSet::new();
            for (user, session) in self.open.get(&index).into_iter().flat_map(|life| &life.inside) {
                truth.online.insert(format!("zego/1/{}", USERS[*user]));
                // Recorders and moderation are no people.
                if session.role != 4 {
                    people.insert(USERS[*user].to_owned());
                }
            }
            truth.rooms.insert(format!("zego/1/{room}"), people);
        }
    }
}
