//! A room with twenty thousand people: all of them are found, and at what cost.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt, stream};
use rollcall::{callback::Secret, domain::UnixMillis};
use rollcall_local::send::zego::EventName::RoomLogin;
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::support::{Database, Handlers, Proxy, SECRET, TABLE_NAME, zego_event};

const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 600_000);
const PEOPLE: u32 = 20_000;

type Item = HashMap<String, AttributeValue>;

/// An item as a callback leaves it, for somebody else who came at another time.
fn of_somebody_else(item: &Item, number: u64) -> Item {
    let user = format!("user{number:05}");
    let shard = Sha1::digest(&user)[0] % 4;
    let at = START + number;
    let mut item = item.clone();
    let mut set =
        |name: &str, value: String| item.insert(name.to_owned(), AttributeValue::S(value));
    set("pk", format!("zego#1#user#{user}"));
    set("gsi1pk", format!("zego#1#room#lobby#{shard}"));
    set("gsi1sk", format!("in#{at:016}#7#{user}"));
    item
}

/// Fills the lobby with people, all alike but for their names and times in the index.
async fn fill(database: &Database, handlers: &Handlers) {
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let login = zego_event(RoomLogin, UnixMillis(START));
    handlers.deliver(&login.callback(&secret, NOW.seconds(), "1"), NOW).await;
    let key = |text: &str| AttributeValue::S(text.to_owned());
    let read = database.client.get_item().table_name(TABLE_NAME);
    let read = read.key("pk", key("zego#1#user#ada")).key("sk", key("seat#lobby#7"));
    let seat = read.send().await.unwrap().item.unwrap();
    let numbers: Vec<u64> = (1..PEOPLE.into()).collect();
    let batches = numbers.chunks(25).map(|numbers| {
        let puts = numbers.iter().map(|number| {
            let put = PutRequest::builder().set_item(Some(of_somebody_else(&seat, *number)));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        });
        let batch = database.client.batch_write_item().request_items(TABLE_NAME, puts.collect());
        batch.send()
    });
    let batches: Vec<_> = batches.collect();
    let mut done = stream::iter(batches).buffer_unordered(4);
    while let Some(written) = done.next().await {
        assert_eq!(written.unwrap().unprocessed_items.map_or(0, |items| items.len()), 0);
    }
}

async fn pages(
    handlers: &Handlers,
    path: &str,
    list: &str,
    mut each: impl FnMut(&Value),
) -> BTreeMap<String, u64> {
    let (mut times, mut next) = (BTreeMap::new(), String::new());
    loop {
        let (status, page) = handlers.get(path, &format!("limit=1000{next}"), NOW).await;
        assert_eq!(status, 200, "{page}");
        each(&page);
        for one in page[list].as_array().unwrap() {
            *times.entry(one["user"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let Some(cursor) = page["next"].as_str() else { return times };
        next = format!("&next={cursor}");
    }
}

#[tokio::test]
async fn twenty_thousand_people_in_one_room_are_found_and_counted() {
    let database = Database::start().await;
    let proxy = Proxy::before(&database.url).await;
    let handlers = Handlers::on(&proxy.url);
    fill(&database, &handlers).await;
    proxy.take();
    proxy.take_units();

    let room = "/presence/zego/1/rooms/lobby";
    let (_, first) = handlers.get(room, "limit=100", NOW).await;
    assert_eq!(first["online"], PEOPLE);
    let (requests, units) = (proxy.take().len(), proxy.take_units());
    println!("first page of a roster of {PEOPLE}: {units} read units, {requests} requests");
    // docs/design.md states it: half a unit for every 4 KB of rows.
    assert!(units < 0.04 * f64::from(PEOPLE), "{units}");

    let (_, _) = handlers
        .get(room, &format!("limit=100&next={}", first["next"].as_str().unwrap()), NOW)
        .await;
    let units = proxy.take_units();
    println!("another page of 100: {units} read units");
    assert!(units < 20.0, "{units}");

    let members =
        pages(&handlers, room, "members", |page| assert_eq!(page["online"], PEOPLE)).await;
    assert_eq!(members.len(), PEOPLE as usize);
    assert!(members.values().all(|times| *times == 1));
    proxy.take_units();

    let attendance = "/attendance/zego/1/rooms/lobby";
    let visits = pages(&handlers, attendance, "sessions", |_| {}).await;
    assert_eq!(visits.len(), PEOPLE as usize);
    assert!(visits.values().all(|times| *times == 1));
    let units = proxy.take_units();
    println!("attendance of {PEOPLE}, in pages of 1000: {units} read units");
    assert!(units < 0.06 * f64::from(PEOPLE), "{units}");
}
