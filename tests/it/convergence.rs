//! Random histories in random orders, with duplicates, losses and concurrent handlers, against the
//! real store.
//!
//! A small ZEGOCLOUD lives through each history first, so the truth does not come from our own
//! rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::join_all;
use proptest::{prelude::*, sample::Index, test_runner::Config};
use rollcall::{callback::Secret, domain::UnixMillis};
use rollcall_local::send::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::support::{Database, Handlers, SECRET, dump_union, names};

const START: u64 = 1_790_000_000_000;
const USERS: [&str; 3] = ["ada", "bob", "cy#d"];
const ROOMS: [&str; 2] = ["lobby", "library"];

/// When everything is delivered and asked: all events have happened, none is too old.
const NOW: UnixMillis = UnixMillis(START + 600_000);

/// What somebody does, and how long after what was done before.
#[derive(Debug, Clone)]
enum Step {
    Login { user: usize, room: usize, keeps_session: bool, ms: u64 },
    Logout { user: usize, room: usize, ms: u64 },
    Kick { user: usize, room: usize, ms: u64 },
    Close { room: usize, ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (user, room) = (0..USERS.len(), 0..ROOMS.len());
    // Often in the same millisecond.
    let ms = prop_oneof![2 => Just(0_u64), 1 => 1..3_u64, 1 => 3..5000_u64];
    prop_oneof![
        5 => (user.clone(), room.clone(), any::<bool>(), ms.clone()).prop_map(
            |(user, room, keeps_session, ms)| Step::Login { user, room, keeps_session, ms }
        ),
        3 => (user.clone(), room.clone(), ms.clone())
            .prop_map(|(user, room, ms)| Step::Logout { user, room, ms }),
        1 => (user, room.clone(), ms.clone())
            .prop_map(|(user, room, ms)| Step::Kick { user, room, ms }),
        1 => (room, ms).prop_map(|(room, ms)| Step::Close { room, ms }),
    ]
}

/// A small ZEGOCLOUD: it knows who is where, and tells of every change.
#[derive(Default)]
struct Zego {
    now: u64,
    sessions: u64,
    rooms: BTreeMap<usize, Life>,
    ended: BTreeMap<usize, u64>,
    events: Vec<Event>,
}

struct Life {
    id: u64,
    created: u64,
    sequence: u64,
    inside: BTreeMap<usize, Session>,
}

#[derive(Clone)]
struct Session {
    id: u64,
    login_time: u64,
}

impl Zego {
    fn live(steps: &[Step]) -> Self {
        let mut zego = Self { now: START, ..Self::default() };
        for step in steps {
            match *step {
                Step::Login { user, room, keeps_session, ms } => {
                    zego.now += ms;
                    zego.login(user, room, keeps_session);
                }
                Step::Logout { user, room, ms } => {
                    zego.now += ms;
                    zego.leave(user, room, 0);
                }
                Step::Kick { user, room, ms } => {
                    zego.now += ms;
                    zego.leave(user, room, 3);
                }
                Step::Close { room, ms } => {
                    zego.now += ms;
                    zego.close(room);
                }
            }
        }
        zego
    }

    fn login(&mut self, user: usize, room: usize, keeps_session: bool) {
        if !self.rooms.contains_key(&room) {
            // Two lives of a room cannot begin in the same millisecond: nothing could tell which
            // of them is the newer one.
            self.now = self.now.max(self.ended.get(&room).map_or(0, |created| created + 1));
            // Lives have no order by number.
            let id = self.now.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ room as u64;
            let life = Life { id, created: self.now, sequence: 0, inside: BTreeMap::new() };
            self.rooms.insert(room, life);
            self.tell(RoomCreate, user, room, None, 0);
        }
        let was_in = self.rooms[&room].inside.get(&user).cloned();
        let session = match was_in {
            // The provider takes the new connection for the old session: nobody leaves.
            Some(session) if keeps_session => Session { login_time: self.now, ..session },
            Some(_) => {
                self.leave(user, room, 3);
                self.new_session()
            }
            None => self.new_session(),
        };
        if let Some(life) = self.rooms.get_mut(&room) {
            life.sequence += 1;
            life.inside.insert(user, session.clone());
        }
        self.tell(RoomLogin, user, room, Some(&session), 0);
    }

    fn new_session(&mut self) -> Session {
        self.sessions += 1;
        Session { id: 99_999_999 + self.sessions, login_time: self.now }
    }

    fn leave(&mut self, user: usize, room: usize, reason: u8) {
        let Some(life) = self.rooms.get_mut(&room) else { return };
        let Some(session) = life.inside.remove(&user) else { return };
        life.sequence += 1;
        self.tell(RoomLogout, user, room, Some(&session), reason);
    }

    /// Closes a room, with people in it or not. Those inside get no logout of their own.
    fn close(&mut self, room: usize) {
        if let Some(created) = self.rooms.get(&room).map(|life| life.created) {
            self.tell(RoomClose, 0, room, None, 0);
            self.rooms.remove(&room);
            self.ended.insert(room, created);
        }
    }

    fn tell(
        &mut self,
        name: rollcall_local::send::zego::EventName,
        user: usize,
        room: usize,
        session: Option<&Session>,
        reason: u8,
    ) {
        let life = &self.rooms[&room];
        self.events.push(Event {
            name,
            app: String::new(),
            room: ROOMS[room].to_owned(),
            life: life.id,
            user: USERS[user].to_owned(),
            nickname: USERS[user].to_uppercase(),
            session: session.map(|session| session.id.to_string()).unwrap_or_default(),
            login_time: UnixMillis(session.map_or(self.now, |session| session.login_time)),
            at: UnixMillis(self.now),
            sequence: life.sequence,
            role: 2,
            relogin: false,
            reason,
        });
    }

    /// Who is in the rooms, by what ZEGO itself knows.
    fn truth(&self) -> Value {
        let rooms = ROOMS.iter().enumerate().map(|(index, room)| {
            let inside = self.rooms.get(&index).map(|life| {
                let mut names: Vec<_> = life.inside.keys().map(|user| USERS[*user]).collect();
                names.sort_unstable();
                json!({ "life": life.id.to_string(), "open": true, "members": names })
            });
            ((*room).to_owned(), inside.unwrap_or_else(|| json!("closed or unknown")))
        });
        let users = USERS.iter().enumerate().map(|(index, user)| {
            let online = self.rooms.values().any(|life| life.inside.contains_key(&index));
            ((*user).to_owned(), json!(online))
        });
        rooms.chain(users).collect()
    }
}

/// How a history is delivered.
#[derive(Debug, Clone)]
struct Delivery {
    /// Which events are sent, in which order; some of them more than once.
    order: Vec<usize>,
    /// How many handlers work at the same time.
    at_once: usize,
}

fn shuffled(events: usize, picks: &[Index], duplicates: &[Index], at_once: usize) -> Delivery {
    let mut order: Vec<usize> = (0..events).collect();
    if events > 0 {
        order.extend(duplicates.iter().map(|pick| pick.index(events)));
    }
    for (place, pick) in picks.iter().enumerate().take(order.len()) {
        let other = pick.index(order.len());
        order.swap(place, other);
    }
    Delivery { order, at_once }
}

fn delivery() -> impl Strategy<Value = (Vec<Index>, Vec<Index>, usize)> {
    let picks = prop::collection::vec(any::<Index>(), 60);
    (picks, prop::collection::vec(any::<Index>(), 0..8), 1..5_usize)
}

/// One store for all histories: every delivery has an app of its own.
struct World {
    database: Database,
    handlers: Handlers,
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD
        .get_or_init(async || {
            let database = Database::start().await;
            let handlers = Handlers::on(&database.url);
            World { database, handlers }
        })
        .await
}

/// The runtime outlives the tests, since the store lives in it.
fn runtime() -> &'static Runtime {
    static RUNTIME: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// What is stored of an app, and what queries say of it.
#[derive(Debug, PartialEq)]
struct State {
    records: HashMap<String, Value>,
    answers: BTreeMap<String, Value>,
}

/// Delivers events to an app of their own and says what became of them.
async fn deliver(events: &[Event], delivery: &Delivery) -> (State, Value) {
    static NEXT_APP: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1000);
    let app = NEXT_APP.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
    let world = world().await;
    let handlers = world.handlers.for_app(&app);
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for together in delivery.order.chunks(delivery.at_once) {
        let replies = together.iter().map(|index| {
            let event = Event { app: app.clone(), ..events[*index].clone() };
            // Every sending is signed anew, as it may be at the provider's.
            let callback = event.callback(&secret, NOW.seconds(), &index.to_string());
            let handlers = &handlers;
            async move { handlers.deliver(&callback, NOW).await }
        });
        for reply in join_all(replies).await {
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    }

    let mut answers = BTreeMap::new();
    let mut seen = serde_json::Map::new();
    for room in ROOMS {
        let path = format!("/presence/zego/{app}/rooms/{room}");
        let (_, mut answer) = handlers.get(&path, "", NOW).await;
        let open = answer["open"] == true;
        let told = json!({ "life": answer["life"], "open": true, "members": if open { names(&answer) } else { vec![] } });
        seen.insert(room.to_owned(), if open { told } else { json!("closed or unknown") });
        answer.as_object_mut().unwrap().remove("app");
        answers.insert(room.to_owned(), answer);
    }
    for user in USERS {
        let path = format!("/presence/zego/{app}/users/{user}");
        let (_, mut answer) = handlers.get(&path, "", NOW).await;
        seen.insert(user.to_owned(), json!(answer["online"] == true));
        answer.as_object_mut().unwrap().remove("app");
        answers.insert(user.to_owned(), answer);
    }
    // The partitions of these users and rooms; `#` is escaped.
    let users = USERS.map(|user| format!("user#{}", user.replace('#', "%23")));
    let partitions = users.into_iter().chain(ROOMS.map(|room| format!("room#{room}")));
    let records = dump_union(&world.database.client, &app, partitions).await;
    (State { records, answers }, Value::Object(seen))
}

fn in_order(events: usize) -> Delivery {
    Delivery { order: (0..events).collect(), at_once: 1 }
}

fn config(cases: u32) -> Config {
    // The histories are in the code, so there is nothing to keep but the seed that is printed.
    Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() }
}

proptest! {
    #![proptest_config(config(60))]

    /// Promise 3: in any order, with any duplicates and any interleaving, the same records, the
    /// same answers, and the right ones.
    #[test]
    fn promise_3_convergent_every_order_ends_in_the_truth(
        steps in prop::collection::vec(step(), 1..25),
        (picks, duplicates, at_once) in delivery(),
    ) {
        let zego = Zego::live(&steps);
        let events = &zego.events;
        let mixed = shuffled(events.len(), &picks, &duplicates, at_once);
        runtime().block_on(async {
            let (expected, seen) = deliver(events, &in_order(events.len())).await;
            prop_assert_eq!(seen, zego.truth(), "in order: {:#?}", events);
            let (state, seen) = deliver(events, &mixed).await;
            prop_assert_eq!(seen, zego.truth(), "{:?} of {:#?}", mixed, events);
            prop_assert_eq!(state, expected, "{:?} of {:#?}", mixed, events);
            Ok(())
        })?;
    }

    /// Promise 3, when callbacks are lost: what did arrive decides, not the order in which it did.
    #[test]
    fn promise_3_convergent_what_was_lost_is_lost_in_every_order(
        steps in prop::collection::vec(step(), 1..25),
        lost in prop::collection::vec(any::<Index>(), 1..6),
        (picks, duplicates, at_once) in delivery(),
    ) {
        let zego = Zego::live(&steps);
        let lost: BTreeSet<usize> = match zego.events.len() {
            0 => BTreeSet::new(),
            events => lost.iter().map(|index| index.index(events)).collect(),
        };
        let all = zego.events.into_iter().enumerate();
        let arrived: Vec<Event> =
            all.filter(|(index, _)| !lost.contains(index)).map(|(_, event)| event).collect();
        let mixed = shuffled(arrived.len(), &picks, &duplicates, at_once);
        runtime().block_on(async {
            let (expected, _) = deliver(&arrived, &in_order(arrived.len())).await;
            let (state, _) = deliver(&arrived, &mixed).await;
            prop_assert_eq!(state, expected, "{:?} of {:#?}", mixed, arrived);
            Ok(())
        })?;
    }

    /// Promise 2: an event delivered any number of times leaves what one delivery leaves.
    #[test]
    fn promise_2_idempotent_many_deliveries_leave_what_one_leaves(
        steps in prop::collection::vec(step(), 1..15),
        times in prop::collection::vec(1..6_usize, 60),
        at_once in 1..5_usize,
    ) {
        let zego = Zego::live(&steps);
        let events = &zego.events;
        let order = (0..events.len()).flat_map(|event| std::iter::repeat_n(event, times[event % 60]));
        let repeated = Delivery { order: order.collect(), at_once };
        runtime().block_on(async {
            let (expected, _) = deliver(events, &in_order(events.len())).await;
            let (state, _) = deliver(events, &repeated).await;
            prop_assert_eq!(state, expected);
            Ok(())
        })?;
    }
}
