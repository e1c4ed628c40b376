//! Rooms whose rows are spread over more partitions of the index, on the real store: what that costs,
//! and when it begins. Random histories in which rooms grow are in `histories/shards.rs`.

use std::{collections::BTreeSet, time::Duration};

use rollcall::{
    domain::{RoomShards, Shards, UnixMillis},
    store::{SHARDS_FRESH_FOR, SHARDS_USED_AFTER, Writer},
};
use rollcall_players::{
    tencent,
    zego::{
        Event,
        EventName::{RoomLogin, RoomLogout},
    },
};
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::support::{
    Database, Handlers, Log, Moment, Proxy, RETENTION, SECRET, TABLE_NAME, client_of, dump, iam,
    player_secrets, tencent_event, zego_event,
};

const LIMIT: Duration = Duration::from_secs(10);

fn of(rooms: &str, shards: u8) -> RoomShards {
    RoomShards { rooms: rooms.parse().unwrap(), shards: Shards::new(shards).unwrap() }
}

/// A function's instance that starts now with this setting.
async fn start(handlers: &mut Handlers, url: &str, shards: RoomShards, now: UnixMillis) {
    let writer = Writer::new(client_of(url), TABLE_NAME, RETENTION).with_room_shards(shards);
    iam::acting_as("zego-room-login", writer.warm_up(LIMIT, now)).await;
    handlers.receiver.store = writer;
}

async fn observed() -> (Database, Proxy, Handlers, UnixMillis) {
    let (database, proxy, handlers) = Handlers::observed().await;
    (database, proxy, handlers, Moment::recent().plus(0))
}

fn login(user: &str, at: UnixMillis) -> Event {
    Event { user: user.to_owned(), ..zego_event(RoomLogin, at) }
}

async fn deliver(handlers: &Handlers, event: &Event, now: UnixMillis) {
    let secret = rollcall::callback::Secret::new(SECRET.to_owned()).unwrap();
    let reply = handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await;
    assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
}

/// The partitions of all rows of seats, and their places.
async fn rows(database: &Database) -> BTreeSet<(String, String)> {
    let items = dump(&database.client).await.into_values();
    let seats = items.filter(|item| item["sk"].as_str().unwrap().starts_with("seat#"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    seats.map(|seat| (text(&seat["gsi1pk"]), text(&seat["gsi1sk"]))).collect()
}

fn shard_of(user: &str, shards: u16) -> u16 {
    let hash = Sha1::digest(user);
    u16::from_le_bytes([hash[0], hash[1]]) % shards
}

/// Nothing is read before a write: one request and as many units as ever, before and after the number
/// is used. It is used five minutes after it was written down, and a leave does not move its row.
#[tokio::test]
async fn a_number_of_shards_is_never_read_on_the_path_of_a_callback() {
    let (database, proxy, mut handlers, now) = observed().await;
    let mut costs = Vec::new();
    let mut cost = async |handlers: &Handlers, event: &Event, now| {
        proxy.take();
        proxy.take_units();
        deliver(handlers, event, now).await;
        let operations: Vec<String> =
            proxy.take().into_iter().map(|request| request.operation).collect();
        costs.push((operations, proxy.take_units()));
    };
    let cyd = login("888120154", now);
    let leave = |event: &Event, at| Event { name: RoomLogout, at, sequence: 2, ..event.clone() };
    cost(&handlers, &cyd, now).await;
    cost(&handlers, &leave(&cyd, now.after(LIMIT)), now).await;

    start(&mut handlers, &proxy.url, of("lob*", 64), now).await;
    let started: Vec<String> = proxy.take().into_iter().map(|request| request.operation).collect();
    assert_eq!(started, ["GetItem", "UpdateItem"]);
    let just_before = UnixMillis(now.after(SHARDS_USED_AFTER).0 - 1);
    let (early, late) = (login("ada", just_before), login("grace", just_before));
    cost(&handlers, &early, just_before).await;
    let used = now.after(SHARDS_USED_AFTER);
    cost(&handlers, &leave(&early, used), used).await;
    cost(&handlers, &late, used).await;
    cost(&handlers, &leave(&late, used), used).await;
    let elsewhere = Event { room: "hall".to_owned(), ..login("grace", used) };
    cost(&handlers, &elsewhere, used).await;

    let one = vec!["UpdateItem".to_owned()];
    let [entry, exit] = [costs[0].clone(), costs[1].clone()];
    assert_eq!([&entry.0, &exit.0], [&one, &one]);
    assert!(entry.1 > 0.0 && exit.1 > entry.1, "{costs:?}");
    let expected = [&entry, &exit, &entry, &exit, &entry, &exit, &entry];
    assert_eq!(costs.iter().collect::<Vec<_>>(), expected);

    let rows = rows(&database).await;
    let shards: BTreeSet<&str> = rows.iter().map(|(partition, _)| partition.as_str()).collect();
    let lobby = |user, shards| format!("zego#1#room#lobby#{}", shard_of(user, shards));
    let expected = [lobby("888120154", 4), lobby("ada", 4), lobby("grace", 64)];
    let hall = format!("zego#1#room#hall#{}", shard_of("grace", 4));
    assert!(shard_of("grace", 64) >= 4 && shard_of("ada", 64) >= 4);
    assert_eq!(shards, expected.iter().chain([&hall]).map(String::as_str).collect());
}

/// The room's people are found at any time of the growth, once each; a page costs a query of each
/// shard.
#[tokio::test]
async fn everybody_is_found_once_while_a_room_grows_from_4_to_64() {
    let (_database, proxy, mut handlers, now) = observed().await;
    let users: Vec<String> = (0..40).map(|number| format!("user{number}")).collect();
    for user in &users[..20] {
        deliver(&handlers, &login(user, now), now).await;
    }
    let ask = async |handlers: &Handlers, path: &str, now: UnixMillis| {
        proxy.take();
        let (status, answer) = handlers.get(path, "limit=100", now).await;
        assert_eq!(status, 200, "{answer}");
        let list = if path.starts_with("/presence") { "members" } else { "sessions" };
        let rows = answer[list].as_array().unwrap();
        let found: BTreeSet<&str> = rows.iter().map(|row| row["user"].as_str().unwrap()).collect();
        assert_eq!(found.len(), rows.len(), "{answer}");
        let requests = proxy.take();
        let of_shards = requests.iter().filter(|request| request.body.contains("room_shards"));
        let found = found.into_iter().map(str::to_owned).collect::<Vec<_>>();
        (found, [requests.len(), of_shards.count()])
    };
    let [presence, attendance] = ["/presence/zego/1/rooms/lobby", "/attendance/zego/1/rooms/lobby"];
    let (found, requests) = ask(&handlers, presence, now).await;
    assert_eq!((found.len(), requests), (20, [8, 1]));
    // The newest lives, a query of each shard, the newest life, and the erasures.
    let (_, requests) = ask(&handlers, presence, now).await;
    assert_eq!(requests, [7, 0]);

    start(&mut handlers, &proxy.url, of("*", 64), now).await;
    // The reader still believes that there are four. So does everyone who writes.
    let (_, requests) = ask(&handlers, presence, now).await;
    assert_eq!(requests, [7, 0]);
    let later = now.after(SHARDS_FRESH_FOR);
    let (_, requests) = ask(&handlers, presence, later).await;
    assert_eq!(requests, [64 + 4, 1]);

    let used = now.after(SHARDS_USED_AFTER);
    for user in &users[20..] {
        deliver(&handlers, &login(user, used), used).await;
    }
    for path in [presence, attendance] {
        let (found, _) = ask(&handlers, path, used).await;
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), users.iter().collect());
    }
    for user in &users {
        let event = login(user, if users[..20].contains(user) { now } else { used });
        let leave = Event { name: RoomLogout, at: used.after(LIMIT), sequence: 2, ..event };
        deliver(&handlers, &leave, used).await;
    }
    let (found, _) = ask(&handlers, presence, used.after(LIMIT)).await;
    assert_eq!(found, Vec::<String>::new());
    let (found, _) = ask(&handlers, attendance, used.after(LIMIT)).await;
    assert_eq!(found.len(), 40);
}

/// Where lives have no names, a seat outlasts its stays: a regular's next entry is a new row, and what
/// comes of a stay stays where that is.
#[tokio::test]
async fn a_regular_of_a_room_without_lives_comes_to_a_new_shard_with_the_next_entry() {
    let (database, proxy, mut handlers, now) = observed().await;
    let secrets = player_secrets();
    let event = async |handlers: &Handlers, name, at: UnixMillis| {
        let callback = rollcall_players::Event::Tencent(tencent_event(name, at));
        let reply = handlers.deliver(&callback.callback(&secrets, at).unwrap(), at).await;
        assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
        let (partition, place) = rows(&database).await.pop_first().unwrap();
        (partition, place.split('#').next().unwrap().to_owned())
    };
    let used = now.after(SHARDS_USED_AFTER);
    let row = |section: &str, shards| {
        let partition = format!("tencent#1400000000#room#lobby#{}", shard_of("ada", shards));
        (partition, section.to_owned())
    };
    let (enter, exit) = (tencent::EventName::TrtcEnter, tencent::EventName::TrtcExit);
    assert_eq!(event(&handlers, enter, now).await, row("in", 4));
    start(&mut handlers, &proxy.url, of("*", 64), now).await;
    assert_eq!(event(&handlers, exit, used).await, row("left", 4));
    assert_eq!(event(&handlers, enter, used.after(LIMIT)).await, row("in", 64));
    // An instance that never heard of the number.
    handlers.receiver.store = Writer::new(client_of(&proxy.url), TABLE_NAME, RETENTION);
    assert_eq!(event(&handlers, exit, used.after(2 * LIMIT)).await, row("left", 64));
    assert_eq!(event(&handlers, enter, used.after(3 * LIMIT)).await, row("in", 4));
}

/// What is smaller than what the table has seen changes nothing, and the log says what is used.
#[tokio::test]
async fn a_number_below_what_the_table_has_seen_is_refused() {
    let (database, proxy, mut handlers, now) = observed().await;
    start(&mut handlers, &proxy.url, of("*", 64), now).await;
    let seen = dump(&database.client).await;
    proxy.take();
    let (log, _guard) = Log::capture();
    let used = now.after(SHARDS_USED_AFTER);
    for smaller in [of("*", 8), of("*", 4), of("final-*", 16)] {
        start(&mut handlers, &proxy.url, smaller, used).await;
    }
    let text = log.text();
    assert_eq!(text.matches("ROLLCALL_ROOM_SHARDS is refused").count(), 3, "{text}");
    for part in ["WARN", "configured_shards=8", "used_shards=64", "used_rooms=\"*\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(proxy.take().iter().all(|request| request.operation == "GetItem"));
    assert_eq!(dump(&database.client).await, seen);
    deliver(&handlers, &login("ada", used), used).await;
    let (partition, _) = rows(&database).await.pop_first().unwrap();
    assert_eq!(partition, format!("zego#1#room#lobby#{}", shard_of("ada", 64)));

    // The same number again is nothing to write down, and no reason for a warning.
    start(&mut handlers, &proxy.url, of("*", 64), used).await;
    assert_eq!(log.text().matches("ROLLCALL_ROOM_SHARDS is refused").count(), 3);
    assert_eq!(dump(&database.client).await.len(), seen.len() + 1);
}

/// A start that cannot read or write the table says so, and goes on with four shards.
#[tokio::test]
async fn without_the_table_at_its_start_a_function_has_four_shards() {
    let (database, proxy, mut handlers, now) = observed().await;
    let (log, _guard) = Log::capture();
    for operation in ["GetItem", "UpdateItem"] {
        proxy.refuse(move |request| request.operation == operation);
        start(&mut handlers, &proxy.url, of("*", 64), now).await;
    }
    proxy.refuse(|_| false);
    let text = log.text();
    assert_eq!(text.matches("the table could not be read at start").count(), 2, "{text}");
    let used = now.after(SHARDS_USED_AFTER);
    deliver(&handlers, &login("ada", used), used).await;
    let (partition, _) = rows(&database).await.pop_first().unwrap();
    assert_eq!(partition, format!("zego#1#room#lobby#{}", shard_of("ada", 4)));
}

/// How many bytes an item has by DynamoDB's rules: the length of names and texts, and three for a map
/// and one more for each member. Numbers count as texts here, which is a few bytes too many.
fn bytes_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        // A set of bytes, in hexadecimal digits.
        Value::Array(set) => set.iter().map(|bytes| bytes_of(bytes) / 2).sum(),
        Value::Object(map) => {
            3 + map.iter().map(|(name, of)| 1 + name.len() + bytes_of(of)).sum::<usize>()
        }
        _ => 1,
    }
}

/// `SEAT_BYTES` in bench/scale/src/measured.rs.
#[tokio::test]
async fn a_seat_is_as_long_as_the_simulation_of_a_day_says() {
    let (database, _proxy, handlers, now) = observed().await;
    let entry = login("888120154", now);
    deliver(&handlers, &entry, now).await;
    let later = now.after(LIMIT);
    let leave = Event { name: RoomLogout, at: later, sequence: 2, ..entry };
    deliver(&handlers, &leave, later).await;
    let items = dump(&database.client).await.into_values();
    let seats: Vec<_> =
        items.filter(|item| item["sk"].as_str().unwrap().starts_with("seat#")).collect();
    let [seat] = seats.as_slice() else { panic!("{seats:?}") };
    let bytes = bytes_of(seat);
    assert!((350..=400).contains(&bytes), "{bytes}: {seat}");
}
