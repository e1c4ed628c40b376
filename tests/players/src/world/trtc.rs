//! A small TRTC.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{self, TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit, TrtcRole},
    Options,
};
use rollcall::domain::UnixMillis;

use super::{Act, Reported, Step, Timeline, Truth, USERS, is_robot};

/// Two numeric rooms of which one has a namesake of letters: as they are asked for.
const ROOMS: [&str; 3] = ["lobby", "123", "s:123"];

/// How long after a connection was replaced its kick is reported at most.
const REPLACED: u64 = 5000;
const KICKED: u8 = 3;

#[derive(Default)]
pub(super) struct Trtc {
    open: BTreeMap<usize, BTreeSet<usize>>,
    /// The time and the rank of the last event of somebody in a room.
    last: BTreeMap<(usize, usize), (u64, u8)>,
    /// Who is in by the last report, and when such a person last entered once more.
    inside: BTreeSet<(usize, usize)>,
    entered_again: BTreeMap<(usize, usize), u64>,
    /// When the kicks of replaced connections are reported.
    kicks: BTreeSet<((usize, usize), u64)>,
    /// The time of the last event of a room.
    last_in_room: BTreeMap<usize, u64>,
}

impl Trtc {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        let is_in = self.open.get(&step.place).is_some_and(|inside| inside.contains(&step.user));
        match step.act {
            Act::TrtcRole if is_in => self.report_in_turn(TrtcRole, 1, step, timeline),
            Act::TrtcExit if is_in => {
                self.exit(step, timeline);
                self.open.get_mut(&step.place).unwrap().remove(&step.user);
            }
            Act::TrtcEnter => self.enter(step, is_in, timeline),
            Act::TrtcDismiss => self.dismiss(step, timeline),
            _ => {}
        }
    }

    fn enter(&mut self, step: &Step, is_in: bool, timeline: &mut Timeline) {
        if !self.open.contains_key(&step.place) {
            // The creation comes a moment before its creator's entry, at the same time, or after.
            let last = self.last_in_room.get(&step.place).copied().unwrap_or_default();
            timeline.now = timeline.now.max(last + 2);
            let (entered, created) = (timeline.now, timeline.now - 1 + u64::from(step.how / 4 % 3));
            self.open.insert(step.place, BTreeSet::new());
            timeline.now = created;
            self.report(TrtcCreate, step, timeline);
            timeline.now = entered;
            self.report_in_turn(TrtcEnter, 3, step, timeline);
            timeline.now = entered.max(created);
        } else if is_in && step.how % 4 >= 2 {
            // Another network, another try: they are still here.
            self.take_turn(3, step, timeline);
            let mut event = event(TrtcEnter, step, timeline.now);
            event.options.enter_reason = step.how % 4;
            timeline.report(super::Event::Tencent(event));
            self.replace(step, timeline);
        } else {
            self.report_in_turn(TrtcEnter, 3, step, timeline);
            if is_in {
                self.replace(step, timeline);
            }
        }
        self.open.get_mut(&step.place).unwrap().insert(step.user);
    }

    /// The kick of the connection that somebody had is reported, or not.
    fn replace(&mut self, step: &Step, timeline: &mut Timeline) {
        if step.is_even(4) {
            let at = timeline.now + [0, 1, 200, REPLACED][usize::from(step.how / 4 % 4)];
            // Two exits at one millisecond have no order.
            if !self.kicks.insert(((step.user, step.place), at)) {
                return;
            }
            let mut exit = event(TrtcExit, step, at);
            exit.options.exit_reason = KICKED;
            timeline.reported.push(Reported { at, event: super::Event::Tencent(exit) });
        }
    }

    fn exit(&mut self, step: &Step, timeline: &mut Timeline) {
        // Earlier, it would be taken for that of a connection which was replaced.
        if event(TrtcExit, step, 0).options.exit_reason == KICKED
            && let Some(entered) = self.entered_again.get(&(step.user, step.place))
        {
            timeline.now = timeline.now.max(entered + REPLACED + 1);
        }
        self.report_in_turn(TrtcExit, 2, step, timeline);
    }

    /// Ends a room: the exits of those inside are reported, or not.
    fn dismiss(&mut self, step: &Step, timeline: &mut Timeline) {
        let Some(inside) = self.open.remove(&step.place) else { return };
        if step.is_even(0) {
            for user in inside {
                self.exit(&Step { user, ..*step }, timeline);
            }
        }
        self.report(TrtcDismiss, step, timeline);
    }

    /// At one millisecond the events of a person in a room have an order. An event that would break it
    /// happens later.
    fn take_turn(&mut self, rank: u8, step: &Step, timeline: &mut Timeline) {
        let last = self.last.entry((step.user, step.place)).or_default();
        if (timeline.now, rank) <= *last {
            timeline.now = last.0 + 1;
        }
        let who = (step.user, step.place);
        while rank == 2 && self.kicks.contains(&(who, timeline.now)) {
            timeline.now += 1;
        }
        *last = (timeline.now, rank);
        match rank {
            2 => drop(self.inside.remove(&who)),
            3 if !self.inside.insert(who) => drop(self.entered_again.insert(who, timeline.now)),
            _ => {}
        }
        let last = self.last_in_room.entry(step.place).or_default();
        *last = timeline.now.max(*last);
    }

    fn report_in_turn(&mut self, event: EventName, rank: u8, step: &Step, timeline: &mut Timeline) {
        self.take_turn(rank, step, timeline);
        self.report(event, step, timeline);
    }

    fn report(&mut self, name: EventName, step: &Step, timeline: &mut Timeline) {
        let last = self.last_in_room.entry(step.place).or_default();
        *last = timeline.now.max(*last);
        let event = event(name, step, timeline.now);
        timeline.report(super::Event::Tencent(event));
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (index, room) in ROOMS.into_iter().enumerate() {
            let inside = self.open.get(&index).into_iter().flatten();
            let people: BTreeSet<String> = inside.map(|user| USERS[*user].to_owned()).collect();
            truth.online.extend(people.iter().map(|user| format!("tencent/1400000000/{user}")));
            let of_room = truth.rooms.entry(format!("tencent/1400000000/{room}")).or_default();
            of_room.extend(people.into_iter().filter(|user| !is_robot(user)));
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
