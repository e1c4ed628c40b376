//! A small OpenIM, of three ages: a device's connection has an id, or its being online is repeated,
//! or it is told of once.

use std::collections::{BTreeMap, BTreeSet};

use crate::openim::{
    Event,
    EventName::{self, UserOffline, UserOnline, UserRegister},
    Options, Platform, Server,
};
use rollcall::domain::UnixMillis;

use super::{Act, Step, Teller, Told, Truth, USERS};

const PLATFORMS: [Platform; 3] = [Platform::Ios, Platform::Web, Platform::HarmonyOs];

/// How often a server without connection ids says again who is online: after one of these times, or
/// after two.
const REPEATED: u64 = 600_000;

/// What a server of some age says of a connection.
#[derive(Clone, PartialEq, Eq)]
enum Connection {
    Named(String),
    Repeated,
    ToldOnce,
}

#[derive(Default)]
pub(super) struct OpenIm {
    connections: u64,
    registered: BTreeSet<usize>,
    /// The connection of somebody's platform, and when it was last told to be online.
    online: BTreeMap<(usize, usize), (Connection, u64)>,
    repetitions: u64,
}

impl OpenIm {
    pub(super) fn act(&mut self, step: &Step, teller: &mut Teller) {
        match step.act {
            Act::OpenImRegister => self.register(step, teller),
            Act::OpenImOnline => {
                // A new token pushes the old connection out: both are told of at the same moment.
                self.offline(step, teller);
                let connection = match (step.is_even(0), step.is_even(1)) {
                    (true, _) => {
                        self.connections += 1;
                        Connection::Named(format!("c{}", self.connections))
                    }
                    (false, true) => Connection::Repeated,
                    (false, false) => Connection::ToldOnce,
                };
                Self::tell(UserOnline, step.user, step.place, &connection, teller.now, teller);
                self.online.insert((step.user, step.place), (connection, teller.now));
            }
            _ => self.offline(step, teller),
        }
    }

    fn offline(&mut self, step: &Step, teller: &mut Teller) {
        let Some((connection, told)) = self.online.remove(&(step.user, step.place)) else { return };
        // At one millisecond online wins, and it can only have come later.
        teller.now = teller.now.max(told + 1);
        Self::tell(UserOffline, step.user, step.place, &connection, teller.now, teller);
    }

    fn register(&mut self, step: &Step, teller: &mut Teller) {
        // A user is registered once; a batch takes the next one with it.
        let batch = [step.user, (step.user + 1) % USERS.len()];
        let batch = &batch[..usize::from(1 + step.how % 2)];
        let new: Vec<usize> =
            batch.iter().copied().filter(|user| self.registered.insert(*user)).collect();
        if new.is_empty() {
            return;
        }
        let options = Options {
            users: new.iter().map(|user| USERS[*user].to_owned()).collect(),
            // None, plausible, of before there was an OpenIM, and ahead of our clock.
            create_time: [0, teller.now - 100, 1, teller.now + 3_600_000]
                [usize::from(step.how / 4 % 4)],
            documented: step.is_even(1),
            ..options()
        };
        let event = Event { name: UserRegister, options, now: UnixMillis(teller.now) };
        teller.tell(super::Event::OpenIm(event));
    }

    /// Says again who is online.
    pub(super) fn repeat(&mut self, teller: &mut Teller) {
        let mut due = Vec::new();
        for (device, (connection, told)) in &mut self.online {
            if *connection != Connection::Repeated {
                continue;
            }
            loop {
                let after = REPEATED * (1 + self.repetitions % 2);
                if *told + after > teller.now {
                    break;
                }
                self.repetitions += 1;
                *told += after;
                due.push((*device, *told));
            }
        }
        for ((user, platform), at) in due {
            Self::tell(UserOnline, user, platform, &Connection::Repeated, at, teller);
        }
    }

    fn tell(
        name: EventName,
        user: usize,
        platform: usize,
        connection: &Connection,
        at: u64,
        teller: &mut Teller,
    ) {
        let options = Options {
            users: vec![USERS[user].to_owned()],
            platform: PLATFORMS[platform],
            conn_id: match connection {
                Connection::Named(id) => id.clone(),
                Connection::Repeated | Connection::ToldOnce => String::new(),
            },
            server: match connection {
                Connection::ToldOnce => Server::V2,
                Connection::Named(_) | Connection::Repeated => Server::V3,
            },
            seq: Some(at),
            ..options()
        };
        let event = super::Event::OpenIm(Event { name, options, now: UnixMillis(at) });
        teller.told.push(Told { at, event });
    }

    pub(super) fn know(&self, truth: &mut Truth) {
        for (user, _) in self.online.keys() {
            truth.online.insert(format!("openim/main/{}", USERS[*user]));
        }
    }
}

fn options() -> Options {
    Options { ex: "ex".to_owned(), ..Options::default() }
}
