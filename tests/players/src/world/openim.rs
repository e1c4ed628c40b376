//! A small OpenIM, of three ages: a device's connection has an id, or its being online is repeated,
//! or it is reported once.

use std::collections::{BTreeMap, BTreeSet};

use crate::openim::{
    Event,
    EventName::{self, UserOffline, UserOnline, UserRegister, UserUpdate, UserUpdateEx},
    Options, Platform, Server,
};
use rollcall::domain::UnixMillis;

use super::{Act, Reported, Step, Timeline, Truth, USERS};

const PLATFORMS: [Platform; 3] = [Platform::Ios, Platform::Web, Platform::HarmonyOs];

/// After how many ms a server without connection ids repeats who is online: after this many, or
/// twice as many.
const REPEATED: u64 = 600_000;

/// How a server of some age reports a connection.
#[derive(Clone, PartialEq, Eq)]
enum Connection {
    Named(String),
    Repeated,
    ReportedOnce,
}

#[derive(Default)]
pub(super) struct OpenIm {
    connections: u64,
    registered: BTreeSet<usize>,
    /// The connection of somebody's platform, and when it was last reported as online.
    online: BTreeMap<(usize, usize), (Connection, u64)>,
    repetitions: u64,
}

impl OpenIm {
    pub(super) fn act(&mut self, step: &Step, timeline: &mut Timeline) {
        match step.act {
            Act::OpenImRegister => self.register(step, timeline),
            Act::OpenImUpdate => self.update(step, timeline),
            Act::OpenImOnline => {
                // A new token pushes the old connection out: both are reported at the same moment.
                self.offline(step, timeline);
                let connection = match (step.is_even(0), step.is_even(1)) {
                    (true, _) => {
                        self.connections += 1;
                        Connection::Named(format!("c{}", self.connections))
                    }
                    (false, true) => Connection::Repeated,
                    (false, false) => Connection::ReportedOnce,
                };
                Self::report(
                    UserOnline,
                    step.user,
                    step.place,
                    &connection,
                    timeline.now,
                    timeline,
                );
                self.online.insert((step.user, step.place), (connection, timeline.now));
            }
            _ => self.offline(step, timeline),
        }
    }

    fn offline(&mut self, step: &Step, timeline: &mut Timeline) {
        let Some((connection, reported)) = self.online.remove(&(step.user, step.place)) else {
            return;
        };
        // At one millisecond online wins, and it can only have come later.
        timeline.now = timeline.now.max(reported + 1);
        Self::report(UserOffline, step.user, step.place, &connection, timeline.now, timeline);
    }

    fn register(&mut self, step: &Step, timeline: &mut Timeline) {
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
            // Missing, plausible, before OpenIM existed, and ahead of our clock.
            create_time: [0, timeline.now - 100, 1, timeline.now + 3_600_000]
                [usize::from(step.how / 4 % 4)],
            documented: step.is_even(1),
            ..options()
        };
        let event = Event { name: UserRegister, options, now: UnixMillis(timeline.now) };
        timeline.report(super::Event::OpenIm(event));
    }

    /// Somebody changes their name, their picture or `ex`. They may have registered before there was
    /// anybody to receive that.
    fn update(&self, step: &Step, timeline: &mut Timeline) {
        if !self.registered.contains(&step.user) && step.is_even(2) {
            return;
        }
        let text = |what: &str| format!("{what} {}", step.how);
        let options = Options {
            users: vec![USERS[step.user].to_owned()],
            name: step.is_even(0).then(|| text(USERS[step.user])),
            face_url: if step.is_even(1) { String::new() } else { text("http://x/") },
            ex: if step.is_even(3) { String::new() } else { text("{}") },
            ..Options::default()
        };
        let name = if step.is_even(4) { UserUpdate } else { UserUpdateEx };
        let event = Event { name, options, now: UnixMillis(timeline.now) };
        timeline.report(super::Event::OpenIm(event));
    }

    /// Repeats who is online.
    pub(super) fn repeat(&mut self, timeline: &mut Timeline) {
        let mut due = Vec::new();
        for (device, (connection, reported)) in &mut self.online {
            if *connection != Connection::Repeated {
                continue;
            }
            loop {
                let after = REPEATED * (1 + self.repetitions % 2);
                if *reported + after > timeline.now {
                    break;
                }
                self.repetitions += 1;
                *reported += after;
                due.push((*device, *reported));
            }
        }
        for ((user, platform), at) in due {
            Self::report(UserOnline, user, platform, &Connection::Repeated, at, timeline);
        }
    }

    fn report(
        name: EventName,
        user: usize,
        platform: usize,
        connection: &Connection,
        at: u64,
        timeline: &mut Timeline,
    ) {
        let options = Options {
            users: vec![USERS[user].to_owned()],
            platform: PLATFORMS[platform],
            conn_id: match connection {
                Connection::Named(id) => id.clone(),
                Connection::Repeated | Connection::ReportedOnce => String::new(),
            },
            server: match connection {
                Connection::ReportedOnce => Server::V2,
                Connection::Named(_) | Connection::Repeated => Server::V3,
            },
            seq: Some(at),
            ..options()
        };
        let event = super::Event::OpenIm(Event { name, options, now: UnixMillis(at) });
        timeline.reported.push(Reported { at, event });
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
