//! A small Chat.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{self, ChatDisconnect, ChatLogin, ChatLogout},
    Options,
};
use rollcall::domain::UnixMillis;

use super::{Act, Reported, Step, Timeline, Truth, USERS};

const PLATFORMS: [&str; 3] = ["iOS", "Android", "Web"];

/// Clients of before 2021 log out when their own platform kicks them, at most so long after.
const OLD_CLIENTS_LOGOUT: u64 = 5000;

#[derive(Default)]
pub(super) struct Chat {
    /// Who is online, on which platforms.
    online: BTreeSet<(usize, usize)>,
    /// The time and the rank of what last happened to somebody's platform.
    last: BTreeMap<(usize, usize), (u64, u8)>,
    /// When somebody's platform was last kicked by itself.
    kicked: BTreeMap<(usize, usize), u64>,
}

impl Chat {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        let device = (step.user, step.place);
        match step.act {
            Act::ChatLogin => self.login(step, timeline),
            Act::ChatLogout if self.online.contains(&device) => {
                // Earlier, it would be taken for an old client's.
                if let Some(kick) = self.kicked.get(&device) {
                    timeline.now = timeline.now.max(kick + OLD_CLIENTS_LOGOUT + 1);
                }
                self.leave(ChatLogout, step, timeline);
            }
            Act::ChatDisconnect if self.online.contains(&device) => {
                self.leave(ChatDisconnect, step, timeline);
            }
            _ => {}
        }
    }

    fn login(&mut self, step: &Step, timeline: &mut Timeline) {
        let device = (step.user, step.place);
        let others = self.online.iter().filter(|other| other.0 == step.user && **other != device);
        let kicked: Vec<_> = others.copied().filter(|_| step.is_even(0)).collect();
        let kicks_itself = step.is_even(1) && self.online.contains(&device);
        self.take_turn(device, u8::from(!kicks_itself), timeline);
        for other in &kicked {
            self.take_turn(*other, 2, timeline);
        }
        self.last.insert(device, (timeline.now, 1));
        let mut kick: Vec<String> =
            kicked.iter().map(|(_, platform)| PLATFORMS[*platform].to_owned()).collect();
        for other in &kicked {
            self.last.insert(*other, (timeline.now, 2));
            self.online.remove(other);
        }
        self.online.insert(device);
        if kicks_itself {
            kick.push(PLATFORMS[step.place].to_owned());
            self.kicked.insert(device, timeline.now);
        }
        let login = event(ChatLogin, step, timeline.now);
        let options = Options { kick, ..login.options };
        timeline.report(super::Event::Tencent(Event { options, ..login }));
        if kicks_itself && step.is_even(2) {
            let at = timeline.now
                + [0, 1, OLD_CLIENTS_LOGOUT - 1, OLD_CLIENTS_LOGOUT][usize::from(step.how / 8 % 4)];
            let logout = super::Event::Tencent(event(ChatLogout, step, at));
            timeline.reported.push(Reported { at, event: logout });
        }
    }

    fn leave(&mut self, name: EventName, step: &Step, timeline: &mut Timeline) {
        let device = (step.user, step.place);
        self.take_turn(device, 0, timeline);
        self.last.insert(device, (timeline.now, 0));
        self.online.remove(&device);
        timeline.report(super::Event::Tencent(event(name, step, timeline.now)));
    }

    /// At one millisecond the events of a device have an order. An event that would break it happens
    /// later.
    fn take_turn(&self, device: (usize, usize), rank: u8, timeline: &mut Timeline) {
        if let Some(last) = self.last.get(&device).filter(|last| (timeline.now, rank) <= **last) {
            timeline.now = last.0 + 1;
        }
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (user, _) in &self.online {
            truth.online.insert(format!("tencent/1400000000/{}", USERS[*user]));
        }
    }
}

fn event(name: EventName, step: &Step, at: u64) -> Event {
    let options = Options {
        platform: PLATFORMS[step.place].to_owned(),
        reason: ["LinkClose", "TimeOut", ""][usize::from(step.how % 3)].to_owned(),
        time: Some(at),
        ..Options::for_user(USERS[step.user], "")
    };
    Event { name, options, now: UnixMillis(at) }
}
