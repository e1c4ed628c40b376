//! A small Chat.

use std::collections::{BTreeMap, BTreeSet};

use crate::tencent::{
    Event,
    EventName::{self, ChatDisconnect, ChatLogin, ChatLogout},
    Options,
};
use rollcall::domain::UnixMillis;

use super::{Act, Step, Teller, Told, Truth, USERS};

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
    pub(super) fn act(&mut self, step: &Step, teller: &mut Teller) {
        let device = (step.user, step.place);
        match step.act {
            Act::ChatLogin => self.login(step, teller),
            Act::ChatLogout if self.online.contains(&device) => {
                // Earlier, it would be taken for an old client's.
                if let Some(kick) = self.kicked.get(&device) {
                    teller.now = teller.now.max(kick + OLD_CLIENTS_LOGOUT + 1);
                }
                self.leave(ChatLogout, step, teller);
            }
            Act::ChatDisconnect if self.online.contains(&device) => {
                self.leave(ChatDisconnect, step, teller);
            }
            _ => {}
        }
    }

    fn login(&mut self, step: &Step, teller: &mut Teller) {
        let device = (step.user, step.place);
        let others = self.online.iter().filter(|other| other.0 == step.user && **other != device);
        let kicked: Vec<_> = others.copied().filter(|_| step.is_even(0)).collect();
        let kicks_itself = step.is_even(1) && self.online.contains(&device);
        self.take_turn(device, u8::from(!kicks_itself), teller);
        for other in &kicked {
            self.take_turn(*other, 2, teller);
        }
        self.last.insert(device, (teller.now, 1));
        let mut kick: Vec<String> =
            kicked.iter().map(|(_, platform)| PLATFORMS[*platform].to_owned()).collect();
        for other in &kicked {
            self.last.insert(*other, (teller.now, 2));
            self.online.remove(other);
        }
        self.online.insert(device);
        if kicks_itself {
            kick.push(PLATFORMS[step.place].to_owned());
            self.kicked.insert(device, teller.now);
        }
        let login = event(ChatLogin, step, teller.now);
        let options = Options { kick, ..login.options };
        teller.tell(super::Event::Tencent(Event { options, ..login }));
        if kicks_itself && step.is_even(2) {
            let at = teller.now
                + [0, 1, OLD_CLIENTS_LOGOUT - 1, OLD_CLIENTS_LOGOUT][usize::from(step.how / 8 % 4)];
            let logout = super::Event::Tencent(event(ChatLogout, step, at));
            teller.told.push(Told { at, event: logout });
        }
    }

    fn leave(&mut self, name: EventName, step: &Step, teller: &mut Teller) {
        let device = (step.user, step.place);
        self.take_turn(device, 0, teller);
        self.last.insert(device, (teller.now, 0));
        self.online.remove(&device);
        teller.tell(super::Event::Tencent(event(name, step, teller.now)));
    }

    /// At one millisecond what happens to a device has an order: otherwise it gets later.
    fn take_turn(&self, device: (usize, usize), rank: u8, teller: &mut Teller) {
        if let Some(last) = self.last.get(&device).filter(|last| (teller.now, rank) <= **last) {
            teller.now = last.0 + 1;
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
