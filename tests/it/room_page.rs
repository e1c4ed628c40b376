//! What a page of a room costs, and how long it may take.

use std::time::Duration;

use rollcall::{callback::Secret, domain::UnixMillis};
use rollcall_players::{
    tencent::EventName::{TrtcCreate, TrtcEnter},
    zego::{
        Event,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Handlers, SECRET, Simulated, TRTC_KEY, tencent_event, zego_event};

const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 600_000);

/// How long each answer of the store takes, by a clock that stands still otherwise.
const ROUND: Duration = Duration::from_millis(10);

struct World {
    store: Simulated,
    handlers: Handlers,
}

/// What one answer has cost.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    requests: usize,
    /// How many requests came one after another.
    rounds: u128,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        store.have_large_pages();
        Self { handlers: Handlers::with(store.client()), store }
    }

    async fn send(&self, event: &Event) {
        let secret = Secret::new(SECRET.to_owned()).unwrap();
        let callback = event.callback(&secret, NOW.seconds(), "1");
        assert_eq!(self.handlers.deliver(&callback, NOW).await.outcome, Some("applied"));
    }

    /// Asks for a room, as a process does that has just started.
    async fn page(&self, path: &str, query: &str) -> (Cost, Value) {
        self.store.slow_down(ROUND);
        self.store.take_requests();
        let (handlers, started) = (Handlers::with(self.store.client()), Instant::now());
        let (status, page) = handlers.get(path, query, NOW).await;
        let rounds = started.elapsed().as_millis() / ROUND.as_millis();
        assert_eq!(status, 200, "{page}");
        self.store.slow_down(Duration::ZERO);
        (Cost { requests: self.store.take_requests(), rounds }, page)
    }
}

fn login(user: u64, life: u64, after: u64) -> Event {
    Event {
        user: format!("u{user}"),
        life,
        session: (100_000_000_000_000_000 + 1000 * life + user).to_string(),
        sequence: 2 * user + 1,
        ..zego_event(RoomLogin, UnixMillis(START + after))
    }
}

fn logout(user: u64, life: u64, after: u64) -> Event {
    let at = UnixMillis(START + after + 1);
    Event { name: RoomLogout, at, sequence: 2 * user + 2, ..login(user, life, after) }
}

fn users(page: &Value) -> Vec<&str> {
    let members = page["members"].as_array().unwrap();
    members.iter().map(|member| member["user"].as_str().unwrap()).collect()
}

const LOBBY: &str = "/presence/zego/1/rooms/lobby";

#[tokio::test(start_paused = true)]
async fn a_room_of_two_people_is_eight_requests_in_two_rounds() {
    let world = World::new();
    world.send(&Event { life: 7, ..zego_event(RoomCreate, UnixMillis(START)) }).await;
    world.send(&login(1, 7, 1000)).await;
    world.send(&login(2, 7, 2000)).await;
    world.send(&login(3, 7, 2500)).await;
    world.send(&logout(3, 7, 2500)).await;
    for query in ["", "count=exact", "count=false", "limit=1000"] {
        let (cost, page) = world.page(LOBBY, query).await;
        // The erasures, the number of shards, the lives, four shards, and then the life.
        assert_eq!(cost, Cost { requests: 8, rounds: 2 }, "{query}");
        assert_eq!(users(&page), ["u2", "u1"]);
        let online = if query == "count=false" { Value::Null } else { json!(2) };
        assert_eq!([&page["online"], &page["life"]], [&online, &json!("7")]);
    }
    // What was read shortly before is not read again.
    let (store, handlers) = (&world.store, Handlers::with(world.store.client()));
    for expected in [8, 7] {
        store.take_requests();
        handlers.get(LOBBY, "", NOW).await;
        assert_eq!(store.take_requests(), expected);
    }
    // A page after the first one.
    let (_, first) = world.page(LOBBY, "limit=1").await;
    let query = format!("limit=1&next={}", first["next"].as_str().unwrap());
    let (cost, second) = world.page(LOBBY, &query).await;
    assert_eq!((users(&first), users(&second)), (vec!["u2"], vec!["u1"]));
    assert_eq!(cost, Cost { requests: 12, rounds: 4 });
}

/// A room with a past costs a few requests more, and no round.
#[tokio::test(start_paused = true)]
async fn a_room_that_many_have_left_is_twelve_requests_in_two_rounds() {
    let world = World::new();
    for life in 1..6 {
        let at = START + 10_000 * life;
        world.send(&Event { life, ..zego_event(RoomCreate, UnixMillis(at)) }).await;
        for user in 0..80 {
            world.send(&login(user, life, 10_000 * life + 10 * user)).await;
            if life < 5 || user > 1 {
                world.send(&logout(user, life, 10_000 * life + 10 * user)).await;
            }
        }
        if life < 5 {
            let closed = UnixMillis(at + 5000);
            world.send(&Event { life, ..zego_event(RoomClose, closed) }).await;
        }
    }
    let (cost, page) = world.page(LOBBY, "").await;
    assert_eq!(users(&page), ["u1", "u0"]);
    assert_eq!([&page["online"], &page["life"]], [&json!(2), &json!("5")]);
    // The erasures, the number of shards, the lives, four shards twice, and five lives with one
    // request. The simulated store answers about half of its keys, so that takes three.
    let expected = || Cost { requests: 12 + 2, rounds: 2 + 2 };
    assert_eq!(cost, expected());
    world.send(&Event { life: 5, ..zego_event(RoomClose, UnixMillis(START + 60_000)) }).await;
    let (cost, page) = world.page(LOBBY, "").await;
    assert_eq!((&page["open"], users(&page).len()), (&json!(false), 0));
    assert_eq!(cost, expected());
}

/// Its creation may be known, or not.
#[tokio::test(start_paused = true)]
async fn a_room_of_trtc_is_seven_requests_in_two_rounds() {
    for events in [&[TrtcCreate, TrtcEnter][..], &[TrtcEnter]] {
        let world = World::new();
        for (name, after) in events.iter().zip(0..) {
            let event = tencent_event(*name, UnixMillis(START + after));
            let callback = event.callback(&Secret::new(TRTC_KEY.to_owned()).unwrap());
            assert_eq!(world.handlers.deliver(&callback, NOW).await.outcome, Some("applied"));
        }
        let (cost, page) = world.page("/presence/tencent/1400000000/rooms/lobby", "").await;
        // The erasures, the number of shards, four shards, and then the boundaries.
        assert_eq!((users(&page), &page["online"]), (vec!["ada"], &json!(1)));
        assert_eq!(cost, Cost { requests: 7, rounds: 2 });
    }
}

/// With five rows on each page of the store, to count them takes too long.
#[tokio::test(start_paused = true)]
async fn a_count_that_takes_too_long_is_given_up_with_a_503_that_says_what_to_ask() {
    let store = Simulated::default();
    let world = World { handlers: Handlers::with(store.client()), store };
    world.send(&Event { life: 7, ..zego_event(RoomCreate, UnixMillis(START)) }).await;
    for user in 0..400 {
        world.send(&login(user, 7, 10 * user)).await;
    }
    let limit = world.handlers.queries.limits.time;
    assert_eq!(limit, Duration::from_secs(8));
    let ask = async |query: &str| {
        let started = Instant::now();
        let (status, answer) = world.handlers.get(LOBBY, query, NOW).await;
        (status.as_u16(), answer, started.elapsed())
    };
    assert_eq!(ask("count=exact").await.1["online"], 400);
    world.store.slow_down(Duration::from_secs(1));
    for query in ["count=exact", "changes=true&count=false&limit=1", "count=exact&limit=1"] {
        let (status, answer, took) = ask(query).await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("takes_too_long")), "{query}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("`count=exact`") && message.contains("`count=false`"),
            "{message}"
        );
        assert!((limit..limit + Duration::from_secs(1)).contains(&took), "{took:?}");
        // Nothing goes on in the background.
        world.store.take_requests();
        tokio::time::sleep(limit).await;
        assert_eq!(world.store.take_requests(), 0);
    }
    let (status, answer, _) = ask("count=false&limit=1").await;
    assert_eq!((status, users(&answer)), (200, vec!["u399"]));
    // A request that hangs is not waited for either.
    world.store.slow_down(Duration::from_hours(1));
    for (query, code) in [("count=exact", "takes_too_long"), ("", "unavailable")] {
        let (status, answer, took) = ask(query).await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!(code)), "{query}");
        assert!((limit..limit + Duration::from_secs(1)).contains(&took), "{took:?}");
    }
}
