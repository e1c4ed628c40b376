//! `GET /rooms`, and the list behind it.

use std::{sync::atomic::Ordering, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures::TryStreamExt;
use rollcall::{
    callback::Secret,
    config::Events,
    domain::{App, ProviderName, UnixMillis},
    http::Request,
    query::Queries,
    relay::{LiveRooms, Received, Relay},
    routes::{ERASE, QUERY, RELAY},
    store::{self, Lateness, LiveMarker, LiveRoom, MARKED_FOR, Reader},
};
use rollcall_players::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    histories::{
        live::AllTaken,
        relay::{erasures, live_rooms},
    },
    support::{Handlers, Item, RETENTION, SECRET, Simulated, TABLE_NAME, iam, zego_event},
};

const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 600_000);

/// A store, its handlers, and a relay that reads its stream.
struct World {
    store: Simulated,
    handlers: Handlers,
    live: LiveRooms,
    relayed: usize,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        store.set_time(START);
        let (handlers, live) = (Handlers::with(store.client()), live_rooms(&store));
        Self { store, handlers, live, relayed: 0 }
    }

    async fn send(&self, event: &Event) {
        let secret = Secret::new(SECRET.to_owned()).unwrap();
        let nonce = format!("{}{}{}", event.user, event.room, event.at.0);
        let now = NOW.max(event.at).max(event.login_time);
        let callback = event.callback(&secret, now.seconds(), &nonce);
        let reply = self.handlers.deliver(&callback, now).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Relays what is new in the stream.
    async fn relay(&mut self) {
        let records = self.store.stream(self.relayed);
        self.relayed += records.len();
        let (kept, _) = relay(&self.store, self.live.clone(), &records).await;
        assert_eq!(kept, [""; 0]);
    }

    async fn get(&self, query: &str) -> Value {
        let (status, answer) = self.handlers.get("/rooms/zego/1", query, NOW).await;
        assert_eq!(status, 200, "{query}: {answer}");
        answer
    }

    /// The rooms on all pages, and how many pages there are.
    async fn pages(&self, query: &str) -> (Vec<String>, usize) {
        let (mut rooms, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let page = self.get(&format!("{query}{next}")).await;
            let found = page["rooms"].as_array().unwrap();
            rooms.extend(found.iter().map(|room| room["room"].as_str().unwrap().to_owned()));
            pages += 1;
            let Some(cursor) = page["next"].as_str() else { return (rooms, pages) };
            next = format!("&next={cursor}");
        }
    }

    /// The items of the list.
    fn listed(&self) -> Vec<Item> {
        let is_live = |item: &Item| item["sk"]["S"] == "live";
        self.store.items().into_iter().filter(is_live).collect()
    }

    fn reader(&self) -> Reader {
        Reader::new(self.store.client(), TABLE_NAME)
    }

    fn marker(&self) -> LiveMarker {
        LiveMarker::new(self.store.client(), TABLE_NAME, RETENTION)
    }

    /// The list as who removes rooms from it reads it.
    async fn live(&self) -> Vec<LiveRoom> {
        let (reader, app) = (self.reader(), app());
        let rooms = reader.live_rooms(&app, None, 10, NOW).try_collect();
        iam::acting_as(QUERY, rooms).await.unwrap()
    }
}

fn app() -> App {
    App { provider: ProviderName::Zego, id: "1".parse().unwrap() }
}

/// Relays records; returns the numbers of those that must come again, and how many events the bus
/// took.
async fn relay(store: &Simulated, live: LiveRooms, records: &[Value]) -> (Vec<String>, usize) {
    let received = records.iter().map(|record| Received {
        sequence_number: record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned(),
        record: serde_json::from_value(record.clone()),
    });
    let received: Vec<Received> = received.collect();
    let bus = AllTaken::default();
    let taken = bus.events.clone();
    let relay = Relay { bus, erasures: erasures(store), live, checks: None };
    let deadline = Instant::now() + Duration::from_secs(1);
    let kept = iam::acting_as(RELAY, relay.relay(&received, NOW, deadline)).await;
    (kept, taken.load(Ordering::Relaxed))
}

/// A login of a user in a room, some ms after the start.
fn login(room: &str, user: u64, after: u64) -> Event {
    Event {
        room: room.to_owned(),
        user: format!("u{user}"),
        session: (100_000_000_000_000_000 + user).to_string(),
        sequence: user + 1,
        ..zego_event(RoomLogin, UnixMillis(START + after))
    }
}

/// Rooms `r0` to `r8` with 0 to 8 people, `closed`, and `other`.
async fn rooms() -> World {
    let mut world = World::new();
    for number in 0..9 {
        let room = format!("r{number}");
        world
            .send(&Event { room: room.clone(), ..zego_event(RoomCreate, UnixMillis(START)) })
            .await;
        for user in 0..number.max(1) {
            world.send(&login(&room, user, 1000)).await;
        }
    }
    world
        .send(&Event { name: RoomLogout, at: UnixMillis(START + 2000), ..login("r0", 0, 1000) })
        .await;
    world.send(&login("closed", 0, 1000)).await;
    let closed = zego_event(RoomClose, UnixMillis(START + 2000));
    world.send(&Event { room: "closed".to_owned(), ..closed }).await;
    world.send(&login("other", 0, 1000)).await;
    world.relay().await;
    world
}

#[tokio::test(start_paused = true)]
async fn live_rooms_are_listed_page_by_page_each_once_with_the_people_in_them() {
    let world = rooms().await;
    let all = ["closed", "other", "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"];
    for limit in [1, 2, 3, 5, 10, 11, 100] {
        let (found, pages) = world.pages(&format!("min_people=0&limit={limit}")).await;
        assert_eq!(found, all, "{limit}");
        assert_eq!(pages, all.len().div_ceil(limit), "{limit}");
        let (found, _) = world.pages(&format!("limit={limit}")).await;
        assert_eq!(found, ["other", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8"], "{limit}");
        let (found, _) = world.pages(&format!("limit={limit}&min_people=7")).await;
        assert_eq!(found, ["r7", "r8"], "{limit}");
        let (found, _) = world.pages(&format!("limit={limit}&prefix=r&min_people=0")).await;
        assert_eq!(found, all[2..], "{limit}");
        let (found, _) = world.pages(&format!("limit={limit}&prefix=r1&min_people=0")).await;
        assert_eq!(found, ["r1"], "{limit}");
        let (found, pages) = world.pages(&format!("limit={limit}&count=false")).await;
        assert_eq!((found, pages), (all.map(str::to_owned).to_vec(), all.len().div_ceil(limit)));
        let (found, _) = world.pages(&format!("limit={limit}&prefix=r&count=false")).await;
        assert_eq!(found, all[2..], "{limit}");
    }
    let answer = world.get("prefix=r3").await;
    assert_eq!(
        answer,
        json!({
            "provider": "zego", "app": "1", "as_of": NOW, "next": null, "totals": null,
            "rooms": [{
                "room": "r3", "life": "7", "open": true, "opened_at": START,
                "online": 3, "online_at_least": null, "last_activity_at": START,
                "checked_at": null, "missing": 0,
            }],
        })
    );
    assert_eq!(
        world.get("prefix=r3&count=false").await["rooms"],
        json!([{
            "room": "r3", "life": null, "open": null, "opened_at": null,
            "online": null, "online_at_least": null, "last_activity_at": START,
            "checked_at": null, "missing": null,
        }])
    );
    let closed = &world.get("prefix=closed&min_people=0").await["rooms"][0];
    assert_eq!([&closed["open"], &closed["online"]], [&json!(false), &json!(0)], "{closed}");
    // What somebody who left proves lost is in the list, too.
    world.send(&Event { sequence: 9, ..login("r3", 8, 3000) }).await;
    assert_eq!(world.get("prefix=r3").await["rooms"][0]["missing"], 5);
    let request = "format=csv&prefix=r8";
    let request = Request::get("/rooms/zego/1", request, NOW);
    let reply = world.handlers.queries.answer(&request);
    let csv = iam::acting_as(QUERY, reply).await.body;
    let expected = format!(
        "room,life,open,opened_at,online,online_at_least,last_activity_at,checked_at,missing\r\n\
         r8,7,true,{START},8,,{START},,0\r\n"
    );
    assert_eq!(csv, expected);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_prefix_goes_through_a_thousand_rooms_and_says_where_to_go_on() {
    let world = World::new();
    let (marker, app) = (world.marker(), app());
    for number in 0..1005 {
        let room = format!("x{number:04}").parse().unwrap();
        iam::acting_as(RELAY, marker.mark(&app, &room, UnixMillis(START), Lateness::InTime))
            .await
            .unwrap();
    }
    let mut world = world;
    world.send(&login("y", 0, 0)).await;
    world.relay().await;
    let first = world.get("prefix=y").await;
    assert_eq!(first["rooms"], json!([]));
    let next = first["next"].as_str().unwrap();
    let second = world.get(&format!("prefix=y&next={next}")).await;
    assert_eq!((&second["rooms"][0]["room"], &second["next"]), (&json!("y"), &Value::Null));
    // Of a marked room nothing is known, but that it was marked. A thousand cost one page of the list.
    assert_eq!(world.get("min_people=0&limit=100").await["rooms"], json!([]));
    let listed = world.get("count=false&limit=1000").await;
    assert_eq!(listed["rooms"].as_array().unwrap().len(), 1000);
    let next = listed["next"].as_str().unwrap();
    let rest = world.get(&format!("count=false&limit=1000&next={next}")).await;
    assert_eq!((rest["rooms"].as_array().unwrap().len(), &rest["next"]), (6, &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn damaged_parameters_are_refused_and_cursors_lead_nowhere_else() {
    let world = rooms().await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "min_people=-1",
        "min_people=5001",
        "min_people=x",
        "count=true",
        "count=",
        "count=false&limit=1001",
        "count=false&min_people=0",
        "next=x",
        "next=",
        "next=e30",
        "prefix=%FF",
        "format=xml",
        "next=%00",
    ] {
        let (status, answer) = world.handlers.get("/rooms/zego/1", query, NOW).await;
        assert_eq!(
            (status.as_u16(), &answer["error"]["code"]),
            (400, &json!("bad_parameter")),
            "{query}"
        );
    }
    let cursor = |after: &str| BASE64_URL_SAFE_NO_PAD.encode(json!({ "after": after }).to_string());
    for after in ["", "\0", "/", "0", "#", &format!("{:0>16}#", 5)] {
        let found = world.pages(&format!("min_people=0&next={}", cursor(after))).await.0;
        assert_eq!(found.len(), 11, "{after:?}");
    }
    for after in [":", "in#", "zego", "~", "\u{10ffff}", "9"] {
        let found = world.pages(&format!("min_people=0&next={}", cursor(after))).await.0;
        assert_eq!(found, [""; 0], "{after:?}");
    }
    let (status, _) = world
        .handlers
        .get("/rooms/zego/1", &format!("next={}", cursor(&"x".repeat(1001))), NOW)
        .await;
    assert_eq!(status, 400);
    let known = [("/rooms/zego/2", 200), ("/rooms/openim/main", 200), ("/rooms/else/1", 404)];
    for (path, expected) in known {
        let (status, answer) = world.handlers.get(path, "min_people=0", NOW).await;
        assert_eq!(status, expected, "{path}: {answer}");
        assert!(expected == 404 || answer["rooms"] == json!([]), "{answer}");
    }
    let (status, answer) = world.handlers.get("/presence/zego/1/rooms/r3", "count=true", NOW).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("bad_parameter")));
}

#[tokio::test(start_paused = true)]
async fn without_events_the_list_is_a_409_and_everything_else_is_answered() {
    let world = rooms().await;
    let queries = Queries { events: Events::Off, ..world.handlers.queries.clone() };
    let handlers = Handlers { queries, ..world.handlers.clone() };
    for query in ["", "limit=0"] {
        let (status, answer) = handlers.get("/rooms/zego/1", query, NOW).await;
        assert_eq!((status.as_u16(), &answer["error"]["code"]), (409, &json!("events_off")));
    }
    assert_eq!(handlers.get("/presence/zego/1/rooms/r3", "", NOW).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_room_is_marked_once_in_five_minutes_and_its_time_never_goes_back() {
    let mut world = World::new();
    let minutes = |minutes: u64| START + minutes * 60_000;
    for (at, last_at, writes) in
        [(0, 0, 1), (1, 0, 1), (4, 0, 1), (5, 5, 2), (9, 5, 2), (70, 70, 3)]
    {
        world.store.set_time(minutes(at));
        world.send(&login("lobby", at, at * 60_000)).await;
        // A relay that has just started writes no more than one that remembers.
        if at % 2 == 0 {
            world.live = live_rooms(&world.store);
        }
        world.relay().await;
        let listed = world.listed();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0]["last_at"]["N"], minutes(last_at).to_string(), "{at}");
        assert!(!listed[0].contains_key("late_at"));
        let is_mark = |record: &&Value| record["dynamodb"]["Keys"]["sk"]["S"] == "live";
        assert_eq!(world.store.stream(0).iter().filter(is_mark).count(), writes, "{at}");
    }
    // It comes late, by the stream of another shard that is behind.
    world.store.set_time(minutes(40));
    world.send(&Event { at: UnixMillis(minutes(3)), ..login("lobby", 70, 70 * 60_000) }).await;
    let late =
        Event { name: RoomLogout, at: UnixMillis(minutes(8)), ..login("lobby", 9, 9 * 60_000) };
    world.send(&late).await;
    let again = Event { session: "1".to_owned(), ..login("lobby", 9, 60_000) };
    world.send(&again).await;
    world.relay().await;
    let listed = world.listed();
    assert_eq!(listed[0]["last_at"]["N"], minutes(70).to_string());
    assert_eq!(listed[0]["late_at"]["N"], minutes(40).to_string());
    let expires_at = listed[0]["expires_at"]["N"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(
        expires_at
            > (minutes(70) + u64::try_from(MARKED_FOR.as_millis()).unwrap()) / 1000
                + RETENTION.as_secs()
    );
    let apps = world.reader();
    assert_eq!(iam::acting_as(QUERY, apps.apps(NOW)).await.unwrap(), [app()]);
}

#[tokio::test(start_paused = true)]
async fn a_room_leaves_the_list_only_if_it_was_not_marked_since_it_was_read() {
    let mut world = rooms().await;
    let marker = world.marker();
    let remove = async |live: &LiveRoom| {
        iam::acting_as(ERASE, marker.remove_if_unchanged(&app(), live)).await.unwrap()
    };
    let read = world.live().await;
    let of = |room: &str| read.iter().find(|live| live.room.as_str() == room).unwrap();
    world.store.set_time(START + 600_000);
    world.send(&login("r1", 5, 600_000)).await;
    world.relay().await;
    assert!(!remove(of("r1")).await);
    // A late fact, so that somebody looks at the room.
    world.store.set_time(START);
    let app = app();
    let mark = marker.mark(&app, &of("r2").room, UnixMillis(START), Lateness::Late);
    iam::acting_as(RELAY, mark).await.unwrap();
    assert!(!remove(of("r2")).await);
    assert!(remove(of("r0")).await);
    let left: Vec<String> = world.live().await.iter().map(|live| live.room.to_string()).collect();
    assert_eq!(left.len(), read.len() - 1);
    assert!(!left.contains(&"r0".to_owned()));
}

#[tokio::test]
async fn records_whose_room_could_not_be_marked_come_again_and_their_events_go_on() {
    let (store, records) = crate::relay::records().await;
    let of_rooms: Vec<String> = records
        .iter()
        .filter(|record| {
            let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap();
            ["seat#", "life#", "boundary#"].iter().any(|prefix| sk.starts_with(prefix))
        })
        .map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned())
        .collect();
    assert!(!of_rooms.is_empty() && of_rooms.len() < records.len());
    let nowhere = iam::config("http://127.0.0.1:1");
    let nowhere = store::connect(&nowhere, Duration::from_millis(100));
    let broken = LiveRooms::new(LiveMarker::new(nowhere, TABLE_NAME, RETENTION));
    let facts = crate::relay::events_of(&records).len();
    // What was not written is not remembered.
    for _ in 0..2 {
        let (mut kept, taken) = relay(&store, broken.clone(), &records).await;
        kept.sort_by_key(|number| number.parse::<u128>().unwrap());
        assert_eq!((kept, taken), (of_rooms.clone(), facts));
    }
    assert_eq!(relay(&store, live_rooms(&store), &records).await, (Vec::new(), facts));
    assert_eq!(relay(&store, live_rooms(&store), &records).await, (Vec::new(), facts));
}
