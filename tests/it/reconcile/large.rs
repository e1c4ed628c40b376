//! A room so large that a pass over it takes minutes, and the rooms and requests beside it. All of it
//! in simulated time: what is asked is answered at once, and the limits are those of ZEGO.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use rollcall::{
    domain::UnixMillis,
    http::Parameters,
    providers::ProviderApis,
    reconcile::{Ran, Reconcile},
    server_api::{Patience, Transport},
};
use rollcall_local::provider::{Behaviour, EXAMPLE_APIS, Provider};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{EventName, RECONCILE, World, found, post_at};
use crate::support::{iam, reconcile_on};

/// How many people are in the hall.
const PEOPLE: usize = 20_000;

/// How many rooms there are beside it, and how many people each of them has.
const ROOMS: usize = 24;
const IN_A_ROOM: usize = 60;

/// How long Lambda lets a run go on.
const RUN: Duration = Duration::from_mins(15);

/// How far apart functions begin. They do not know of each other: the last page of one and the first
/// of another may come within a second, which would be refused, and asked again.
const APART: Duration = Duration::from_secs(2);

/// The rooms whose lists were asked for, and when, in ms since the beginning.
type Lists = Arc<Mutex<Vec<(u128, String)>>>;

/// A provider, and the time.
struct Stage {
    world: World,
    provider: Arc<Provider>,
    began: (UnixMillis, Instant),
    lists: Lists,
}

impl Stage {
    fn set(world: World) -> Self {
        let apis = ProviderApis::from_json(EXAMPLE_APIS).unwrap();
        let provider = Provider::new(apis, world.known.truth(), Behaviour::default(), 1);
        let began = (world.start.plus(60_000), Instant::now());
        Self { world, provider: Arc::new(provider), began, lists: Lists::default() }
    }

    fn now(&self) -> UnixMillis {
        self.began.0.after(self.began.1.elapsed())
    }

    /// What asks. Each keeps its own account of the limits, as each function of Lambda does.
    fn asks(&self) -> Reconcile {
        let (provider, lists, (at, began)) =
            (self.provider.clone(), self.lists.clone(), self.began);
        let transport = Transport::answered_by(
            move |request| {
                let query = Parameters::read(request.uri().query().unwrap());
                let of = |name| query.get(name).unwrap();
                if of("Action") == Some("DescribeUserList") {
                    let room = of("RoomId").unwrap().to_owned();
                    lists.lock().unwrap().push((began.elapsed().as_millis(), room));
                }
                Some(provider.answer(&request, at.after(began.elapsed()))?.map(Bytes::from))
            },
            Patience::default(),
        );
        let apis = ProviderApis::from_json(EXAMPLE_APIS).unwrap();
        let clock = Arc::new(move || at.after(began.elapsed()));
        reconcile_on(self.world.store.client(), apis, clock, transport)
    }

    async fn run(&self, id: &str, limit: Duration) -> Ran {
        let asks = self.asks();
        let run = asks.run(id, self.now(), Instant::now() + limit);
        iam::acting_as(RECONCILE, run).await.unwrap()
    }

    /// When, in ms since `since`, lists were asked for of which that is true.
    fn listed(&self, since: u128, is_of: impl Fn(&str) -> bool) -> Vec<u128> {
        let lists = self.lists.lock().unwrap();
        let listed = lists.iter().filter(|(at, room)| *at >= since && is_of(room));
        listed.map(|(at, _)| at - since).collect()
    }
}

fn is_hall(room: &str) -> bool {
    room == "hall"
}

/// Of the hall's people ten logouts and ten logins are lost, and in the rooms beside it all logins
/// but one.
async fn world() -> World {
    let mut world = World::new();
    world.store.have_large_pages();
    let start = world.start.plus(0);
    let names: Vec<String> = (0..PEOPLE + 10).map(|number| format!("p{number:05}")).collect();
    for name in &names[..PEOPLE] {
        world.store(EventName::RoomLogin, "hall", name, start).await;
    }
    let people = |names: &[String]| -> BTreeMap<String, Value> {
        let occupant = |(name, at): (&String, u64)| {
            let one =
                json!({ "session": "s", "name": name, "role": 2, "login_time": start.0 - at });
            (name.clone(), one)
        };
        names.iter().zip(0..).map(occupant).collect()
    };
    let mut rooms = BTreeMap::from([("hall".to_owned(), people(&names[10..]))]);
    for number in 0..ROOMS {
        let room = format!("r{number:02}");
        world.store(EventName::RoomLogin, &room, &names[0], start).await;
        rooms.insert(room, people(&names[..IN_A_ROOM]));
    }
    world.relay().await;
    let rooms: BTreeMap<String, Value> = rooms
        .into_iter()
        .map(|(room, people)| (room, json!({ "life": 7, "people": people })))
        .collect();
    world.known.know(json!({ "zego": { "1": rooms } }));
    world
}

#[tokio::test(start_paused = true)]
async fn a_room_of_20_000_is_walked_in_one_run_and_nothing_beside_it_waits_for_it() {
    let stage = Stage::set(world().await);

    // A request has no time for it: the next run begins with it.
    let began = Instant::now();
    let (status, answer) = post_at(&stage.asks(), "zego/1/rooms/hall", "", stage.now()).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "queued": true })));
    assert!(began.elapsed() <= Duration::from_secs(25), "{:?}", began.elapsed());

    sleep(APART).await;

    // A run without time for it asks about all others.
    let since = stage.began.1.elapsed().as_millis();
    let ran = stage.run("short", Duration::from_mins(1)).await;
    assert_eq!((ran.passes, ran.all.rooms), (2, ROOMS as u64), "{ran:?}");
    assert_eq!(stage.listed(since, is_hall)[0], 0, "it is the first");
    assert_eq!(ran.all.stored, (ROOMS * (IN_A_ROOM - 1)) as u64, "{ran:?}");

    sleep(APART).await;

    // The next one goes on with it. Meanwhile a request gets its turn, soon.
    let since = stage.began.1.elapsed().as_millis();
    let asked = async {
        sleep(Duration::from_secs(30)).await;
        let began = Instant::now();
        let (status, answer) = post_at(&stage.asks(), "zego/1/rooms/r07", "", stage.now()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
        began.elapsed()
    };
    let began = Instant::now();
    let (ran, waited) = tokio::join!(stage.run("long", RUN), asked);
    assert_eq!((ran.passes, ran.all.rooms, ran.all.failed), (3, 1, 0), "{ran:?}");
    assert_eq!((ran.all.found.in_, ran.all.found.out, ran.all.stored), (10, 10, 20), "{ran:?}");
    assert!(waited < Duration::from_secs(20), "a request waited for {waited:?}");
    // A hundred pages, each of which has its second, and one that shows that there are no more.
    assert_eq!(stage.listed(since, is_hall).len(), PEOPLE / 200 + 1);
    assert!(began.elapsed() < Duration::from_secs(150), "{:?}", began.elapsed());

    let refused: u64 = stage.provider.counts().iter().map(|(_, count)| count.refused).sum();
    assert_eq!(refused, 0, "{:?}", stage.provider.counts());
}
