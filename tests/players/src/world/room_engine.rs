//! A small `RoomEngine`, which has rooms of Live, too. The people in it are often in TRTC's rooms of
//! the same names.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{
        self, LiveCreate, LiveDestroy, LiveOffline, LiveOnline, RoomCreate, RoomDestroy, RoomEnter,
        RoomLeave,
    },
    Options,
};
use rollcall::domain::UnixMillis;

use super::{Step, Timeline, Truth, USERS, is_robot};

/// The rooms by their ids there, and as they are asked for. TRTC has the first and the last one, too.
const ROOMS: [(&str, &str); 3] = [("lobby", "lobby"), ("stage", "stage"), ("123", "s:123")];

/// The room that is one of Live's.
const LIVE: usize = 1;

#[derive(Default)]
pub(super) struct RoomEngine {
    open: BTreeMap<usize, BTreeSet<usize>>,
    /// Whose heartbeat was lost last in a live room.
    silent: BTreeSet<(usize, usize)>,
    /// The time and the rank of the last event of somebody in a room.
    last: BTreeMap<(usize, usize), (u64, u8)>,
    /// The time of the last event of a room.
    last_in_room: BTreeMap<usize, u64>,
}

impl RoomEngine {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        match step.act {
            super::Act::RoomEnter => self.enter(step, timeline),
            super::Act::RoomLeave => self.leave(step, timeline),
            _ => self.destroy(step, timeline),
        }
    }

    fn enter(&mut self, step: &Step, timeline: &mut Timeline) {
        let is_live = step.place == LIVE;
        let is_new = !self.open.contains_key(&step.place);
        if is_new {
            let last = self.last_in_room.get(&step.place).copied().unwrap_or_default();
            timeline.now = timeline.now.max(last + 2);
            // The creation comes a moment before its creator's entry, at the same time, or after. Or
            // the room is created for later, and nobody enters it now.
            let (entered, created) = (timeline.now, timeline.now - 1 + u64::from(step.how / 4 % 3));
            self.open.insert(step.place, BTreeSet::new());
            timeline.now = created;
            self.report(if is_live { LiveCreate } else { RoomCreate }, step, &[], timeline);
            if step.how % 4 == 3 {
                timeline.now = entered.max(created);
                return;
            }
            timeline.now = entered;
        }
        // Somebody else comes with them.
        let other = (step.user + 1) % USERS.len();
        let is_free = |inside: &BTreeSet<usize>| !inside.contains(&other);
        let brings = !is_new && step.how / 16 == 3 && is_free(&self.open[&step.place]);
        let people = if brings { vec![step.user, other] } else { vec![step.user] };
        self.take_turn(3, &people, step, timeline);
        let name = if is_live { LiveOnline } else { RoomEnter };
        let was_silent = self.silent.remove(&(step.user, step.place));
        let cause = (was_silent && !brings).then(|| "HeartbeatRecover".to_owned());
        self.report_with(name, step, &people, timeline, |options| options.cause = cause);
        timeline.now = timeline.now.max(self.last_in_room[&step.place]);
        self.open.get_mut(&step.place).unwrap().extend(people);
    }

    fn leave(&mut self, step: &Step, timeline: &mut Timeline) {
        let Some(inside) = self.open.get(&step.place) else { return };
        if !inside.contains(&step.user) {
            return;
        }
        let others = inside.iter().filter(|user| **user != step.user && step.how / 16 == 3);
        let people: Vec<usize> = std::iter::once(step.user).chain(others.copied()).collect();
        self.take_turn(1, &people, step, timeline);
        let how = usize::from(step.how % 3);
        let is_live = step.place == LIVE;
        let name = if is_live { LiveOffline } else { RoomLeave };
        self.report_with(name, step, &people, timeline, |options| {
            if is_live {
                options.cause = Some(["Leave", "HeartbeatInterrupt", "Kicked"][how].to_owned());
            } else {
                ["Leave", "Expired", "Kicked"][how].clone_into(&mut options.leave_type);
            }
        });
        for user in people {
            self.open.get_mut(&step.place).unwrap().remove(&user);
            if is_live && how == 1 {
                self.silent.insert((user, step.place));
            }
        }
    }

    /// Nobody is reported to leave.
    fn destroy(&mut self, step: &Step, timeline: &mut Timeline) {
        if self.open.remove(&step.place).is_none() {
            return;
        }
        let last = self.last_in_room.get(&step.place).copied().unwrap_or_default();
        timeline.now = timeline.now.max(last);
        self.silent.retain(|(_, place)| *place != step.place);
        let is_live = step.place == LIVE;
        self.report(if is_live { LiveDestroy } else { RoomDestroy }, step, &[], timeline);
    }

    /// At one millisecond the events of a person in a room have an order. An event that would break it
    /// happens later.
    fn take_turn(&mut self, rank: u8, people: &[usize], step: &Step, timeline: &mut Timeline) {
        let last = people.iter().filter_map(|user| self.last.get(&(*user, step.place))).max();
        if last.is_some_and(|last| (timeline.now, rank) <= *last) {
            timeline.now = last.unwrap().0 + 1;
        }
        for user in people {
            self.last.insert((*user, step.place), (timeline.now, rank));
        }
    }

    fn report(&mut self, name: EventName, step: &Step, people: &[usize], timeline: &mut Timeline) {
        self.report_with(name, step, people, timeline, |_| {});
    }

    fn report_with(
        &mut self,
        name: EventName,
        step: &Step,
        people: &[usize],
        timeline: &mut Timeline,
        change: impl FnOnce(&mut Options),
    ) {
        let last = self.last_in_room.entry(step.place).or_default();
        *last = timeline.now.max(*last);
        let mut options = Options {
            time: Some(timeline.now),
            also: people.iter().skip(1).map(|user| USERS[*user].to_owned()).collect(),
            ..Options::for_user(USERS[step.user], ROOMS[step.place].0)
        };
        change(&mut options);
        let event = Event { name, options, now: UnixMillis(timeline.now) };
        timeline.report(super::Event::Tencent(event));
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (index, (_, room)) in ROOMS.into_iter().enumerate() {
            let inside = self.open.get(&index).into_iter().flatten();
            let people: BTreeSet<String> = inside.map(|user| USERS[*user].to_owned()).collect();
            truth.online.extend(people.iter().map(|user| format!("tencent/1400000000/{user}")));
            let of_room = truth.rooms.entry(format!("tencent/1400000000/{room}")).or_default();
            of_room.extend(people.into_iter().filter(|user| !is_robot(user)));
        }
    }
}
