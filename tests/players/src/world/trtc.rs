//! A small TRTC.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{self, TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit, TrtcRole},
    Options,
};
use rollcall::domain::UnixMillis;

use super::{Act, Step, Teller, Told, Truth, USERS};

/// Two numeric rooms of which one has a namesake of letters: as they are asked for.
const ROOMS: [&str; 3] = ["lobby", "123", "s:123"];

/// A connection that was replaced is told to be kicked at most so long after.
const REPLACED: u64 = 5000;
const KICKED: u8 = 3;

#[derive(Default)]
pub(super) struct Trtc {
    open: BTreeMap<usize, BTreeSet<usize>>,
    /// The time and the rank of what was last told of somebody in a room.
    last: BTreeMap<(usize, usize), (u64, u8)>,
    /// Who was last told to be in, and when such a person was last told to enter once more.
    told_in: BTreeSet<(usize, usize)>,
    entered_again: BTreeMap<(usize, usize), u64>,
    /// When connections that were replaced are told to be kicked.
    kicks: BTreeSet<((usize, usize), u64)>,
    /// When anything was last told of a room.
    last_in_room: BTreeMap<usize, u64>,
}

impl Trtc {
    pub(super) fn act(&mut self, step: &Step, teller: &mut Teller) {
        let is_in = self.open.get(&step.place).is_some_and(|inside| inside.contains(&step.user));
        match step.act {
            Act::TrtcRole if is_in => self.tell_of(TrtcRole, 1, step, teller),
            Act::TrtcExit if is_in => {
                self.exit(step, teller);
                self.open.get_mut(&step.place).unwrap().remove(&step.user);
            }
            Act::TrtcEnter => self.enter(step, is_in, teller),
            Act::TrtcDismiss => self.dismiss(step, teller),
            _ => {}
        }
    }

    fn enter(&mut self, step: &Step, is_in: bool, teller: &mut Teller) {
        if !self.open.contains_key(&step.place) {
            // The creation is told of a moment before its creator's entry, at the same time, or after.
            let last = self.last_in_room.get(&step.place).copied().unwrap_or_default();
            teller.now = teller.now.max(last + 2);
            let (entered, created) = (teller.now, teller.now - 1 + u64::from(step.how / 4 % 3));
            self.open.insert(step.place, BTreeSet::new());
            teller.now = created;
            self.tell(TrtcCreate, step, teller);
            teller.now = entered;
            self.tell_of(TrtcEnter, 3, step, teller);
            teller.now = entered.max(created);
        } else if is_in && step.how % 4 >= 2 {
            // Another network, another try: they are still here.
            self.take_turn(3, step, teller);
            let mut event = event(TrtcEnter, step, teller.now);
            event.options.enter_reason = step.how % 4;
            teller.tell(super::Event::Tencent(event));
            self.replace(step, teller);
        } else {
            self.tell_of(TrtcEnter, 3, step, teller);
            if is_in {
                self.replace(step, teller);
            }
        }
        self.open.get_mut(&step.place).unwrap().insert(step.user);
    }

    /// The connection that somebody had is told to be kicked, or not.
    fn replace(&mut self, step: &Step, teller: &mut Teller) {
        if step.is_even(4) {
            let at = teller.now + [0, 1, 200, REPLACED][usize::from(step.how / 4 % 4)];
            // Two exits at one millisecond have no order.
            if !self.kicks.insert(((step.user, step.place), at)) {
                return;
            }
            let mut exit = event(TrtcExit, step, at);
            exit.options.exit_reason = KICKED;
            teller.told.push(Told { at, event: super::Event::Tencent(exit) });
        }
    }

    fn exit(&mut self, step: &Step, teller: &mut Teller) {
        // Earlier, it would be taken for that of a connection which was replaced.
        if event(TrtcExit, step, 0).options.exit_reason == KICKED
            && let Some(entered) = self.entered_again.get(&(step.user, step.place))
        {
            teller.now = teller.now.max(entered + REPLACED + 1);
        }
        self.tell_of(TrtcExit, 2, step, teller);
    }

    /// Ends a room: those inside are told to have left, or not.
    fn dismiss(&mut self, step: &Step, teller: &mut Teller) {
        let Some(inside) = self.open.remove(&step.place) else { return };
        if step.is_even(0) {
            for user in inside {
                self.exit(&Step { user, ..*step }, teller);
            }
        }
        self.tell(TrtcDismiss, step, teller);
    }

    /// At one millisecond the events of a person in a room have an order: otherwise it gets later.
    fn take_turn(&mut self, rank: u8, step: &Step, teller: &mut Teller) {
        let last = self.last.entry((step.user, step.place)).or_default();
        if (teller.now, rank) <= *last {
            teller.now = last.0 + 1;
        }
        let who = (step.user, step.place);
        while rank == 2 && self.kicks.contains(&(who, teller.now)) {
            teller.now += 1;
        }
        *last = (teller.now, rank);
        match rank {
            2 => drop(self.told_in.remove(&who)),
            3 if !self.told_in.insert(who) => drop(self.entered_again.insert(who, teller.now)),
            _ => {}
        }
        let last = self.last_in_room.entry(step.place).or_default();
        *last = teller.now.max(*last);
    }

    fn tell_of(&mut self, event: EventName, rank: u8, step: &Step, teller: &mut Teller) {
        self.take_turn(rank, step, teller);
        self.tell(event, step, teller);
    }

    fn tell(&mut self, name: EventName, step: &Step, teller: &mut Teller) {
        let last = self.last_in_room.entry(step.place).or_default();
        *last = teller.now.max(*last);
        let event = event(name, step, teller.now);
        teller.tell(super::Event::Tencent(event));
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (index, room) in ROOMS.into_iter().enumerate() {
            let inside = self.open.get(&index).into_iter().flatten();
            let people: BTreeSet<String> = inside.map(|user| USERS[*user].to_owned()).collect();
            truth.online.extend(people.iter().map(|user| format!("tencent/1400000000/{user}")));
            truth.rooms.insert(format!("tencent/1400000000/{room}"), people);
        }
    }
}

fn event(name: EventName, step: &Step, at: u64) -> Event {
    let options = Options {
        room: ROOMS[step.place].trim_start_matches("s:").to_owned(),
        room_number: (step.place == 1).then_some(123),
        role: [21, 20, 0, 7][usize::from(step.how / 16 % 4)],
        exit_reason: step.how % 6,
        time: Some(at),
        ..Options::for_user(USERS[step.user], "")
    };
    Event { name, options, now: UnixMillis(at) }
}
