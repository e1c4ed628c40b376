//! What the callbacks and the queries of rooms with two tracks cost.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures::{StreamExt, stream};
use rollcall::domain::{Track, Tracks};
use rollcall_players::tencent::EventName::{
    LiveCreate, LiveDestroy, LiveOffline, LiveOnline, RoomCreate, RoomDestroy, RoomEnter,
    RoomLeave, RoomUpdate, TrtcEnter,
};
use sha1::{Digest, Sha1};

use super::{APP, NOW, counting, event, of, outcome};
use crate::support::{Database, Handlers, TABLE_NAME};

const PEOPLE: u32 = 5000;

#[tokio::test]
async fn an_event_is_one_request_and_a_late_one_two() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    // The first one of an app notes that it has a second track.
    assert_eq!(outcome(&handlers, &event(RoomCreate, 0)).await, "applied");
    let requests: Vec<_> = proxy.take().into_iter().map(|request| request.operation).collect();
    assert_eq!(requests, ["UpdateItem", "PutItem"]);
    for (event, expected, requests) in [
        (event(RoomCreate, 0), "duplicate", 1),
        (event(RoomEnter, 5), "applied", 1),
        (event(RoomEnter, 5), "duplicate", 1),
        (event(RoomLeave, 9), "applied", 1),
        (event(RoomEnter, 7), "stale", 2),
        (event(RoomEnter, 7), "duplicate", 1),
        (event(LiveOnline, 20), "applied", 1),
        (event(LiveOffline, 30), "applied", 1),
        (event(LiveOffline, 30), "duplicate", 1),
        (event(RoomUpdate, 30), "ignored", 0),
        (event(RoomDestroy, 40), "applied", 1),
        (event(RoomDestroy, 40), "duplicate", 1),
        (event(LiveCreate, 50), "applied", 1),
        (event(LiveDestroy, 60), "applied", 1),
        // The other track's seat of the same person is another item.
        (event(TrtcEnter, 6), "applied", 1),
        // One for each person.
        (of(&["bob", "cyd", "dan", "bob"], event(RoomEnter, 9)), "applied", 3),
        (of(&["bob", "cyd", "dan"], event(LiveOffline, 10)), "applied", 3),
    ] {
        assert_eq!(outcome(&handlers, &event).await, expected, "{event:?}");
        let seen = proxy.take();
        assert_eq!(seen.len(), requests, "{event:?}: {seen:?}");
        assert!(
            seen.iter()
                .all(|request| ["UpdateItem", "PutItem"].contains(&request.operation.as_str()))
        );
    }
}

/// The note of the second track is stored before what only a reader who knows of it finds.
#[tokio::test]
async fn nothing_of_a_second_track_is_stored_before_its_note() {
    let (database, proxy, handlers) = Handlers::observed().await;
    proxy.refuse(|request| request.body.contains("second_track"));
    for event in
        [event(RoomEnter, 0), of(&["bob", "cyd"], event(LiveOnline, 0)), event(RoomCreate, 0)]
    {
        assert_eq!(super::deliver(&handlers, &event).await.status, 503);
    }
    assert!(crate::support::dump(&database.client).await.is_empty());
    proxy.refuse(|_| false);
    proxy.take();
    // The first one does it for all.
    assert_eq!(outcome(&handlers, &of(&["bob", "cyd"], event(LiveOnline, 0))).await, "applied");
    assert_eq!(proxy.take().len(), 3);
}

/// An app without `RoomEngine` pays nothing for it, and one whose setting names one track does not
/// either.
#[tokio::test]
async fn who_has_one_track_only_pays_for_one() {
    let requests = async |with_second: bool, tracks: Tracks| {
        let (_database, proxy, handlers) = Handlers::observed().await;
        outcome(&handlers, &event(TrtcEnter, 0)).await;
        if with_second {
            let mut other = event(RoomEnter, 0);
            "elsewhere".clone_into(&mut other.options.room);
            outcome(&handlers, &of(&["zoe"], other)).await;
        }
        let handlers = counting(&proxy.url, &handlers, tracks);
        proxy.take();
        let mut counts = BTreeMap::new();
        for path in [
            "presence/tencent/1400000000/rooms/lobby",
            "presence/tencent/1400000000/users/ada",
            "attendance/tencent/1400000000/rooms/lobby",
            "attendance/tencent/1400000000/users/ada",
            "reports/tencent/1400000000/rooms/lobby",
        ] {
            let answer = Box::pin(handlers.get(&format!("/{path}"), "", NOW)).await;
            assert_eq!(answer.0, 200, "{path}");
            counts.insert(path, proxy.take().len());
        }
        counts
    };
    let trtc = Tracks::Only(Track::Media);
    let one = Box::pin(requests(false, Tracks::Both)).await;
    assert_eq!(Box::pin(requests(false, trtc)).await, one);
    assert_eq!(Box::pin(requests(true, trtc)).await, one);
    let two = Box::pin(requests(true, Tracks::Both)).await;
    println!("requests of an app with one track: {one:?}, with two: {two:?}");
    for (path, requests) in one {
        // When the room was created and dismissed by the other track, and the other seat of Ada.
        assert!(two[path] <= requests + 3, "{path}: {requests} and {}", two[path]);
    }
}

type Item = HashMap<String, AttributeValue>;

/// The same mark, made so much later.
fn later(mark: &Blob, ms: u64) -> Blob {
    let mut mark = mark.clone().into_inner();
    // It begins with its time, and may have it a second time.
    let own: [u8; 8] = mark[..8].try_into().unwrap();
    let other = (u64::from_be_bytes(own) + ms).to_be_bytes();
    for place in 0..=mark.len() - 8 {
        if mark[place..place + 8] == own {
            mark[place..place + 8].copy_from_slice(&other);
        }
    }
    Blob::new(mark)
}

/// The same item of another person, who came so many milliseconds later.
fn of_somebody_else(item: &Item, number: u32) -> Item {
    let (user, ms) = (format!("user{number:05}"), u64::from(number));
    let mut item = item.clone();
    let row = item.get("gsi1sk").map(|row| row.as_s().unwrap().clone());
    let mut set =
        |name: &str, value: String| item.insert(name.to_owned(), AttributeValue::S(value));
    set("pk", format!("tencent#{APP}#user#{user}"));
    if let Some(row) = row {
        set("gsi1pk", format!("tencent#{APP}#room#lobby#{}", Sha1::digest(&user)[0] % 4));
        let (section, place) = row.split_once('#').unwrap();
        let (at, place) = place.split_once('#').unwrap();
        let at = at.parse::<u64>().unwrap() + ms;
        set("gsi1sk", format!("{section}#{at:016}#{}", place.replace("ada", &user)));
    }
    for value in item.values_mut() {
        match value {
            AttributeValue::B(mark) => *mark = later(mark, ms),
            AttributeValue::Bs(marks) => {
                *marks = marks.iter().map(|mark| later(mark, ms)).collect();
            }
            _ => {}
        }
    }
    item
}

/// Ada does this, and as many others do the same.
async fn fill(
    database: &Database,
    handlers: &Handlers,
    of_ada: &[rollcall_players::tencent::Event],
) {
    for event in of_ada {
        assert_eq!(outcome(handlers, event).await, "applied");
    }
    let query = database.client.query().table_name(TABLE_NAME).key_condition_expression("pk = :pk");
    let ada = AttributeValue::S(format!("tencent#{APP}#user#ada"));
    let items = query.expression_attribute_values(":pk", ada).send().await.unwrap().items.unwrap();
    assert_eq!(items.len(), of_ada.len());
    let puts: Vec<_> = (1..PEOPLE)
        .flat_map(|number| {
            items.iter().map(move |item| {
                let put = PutRequest::builder().set_item(Some(of_somebody_else(item, number)));
                WriteRequest::builder().put_request(put.build().unwrap()).build()
            })
        })
        .collect();
    let batches: Vec<_> = puts
        .chunks(25)
        .map(|puts| {
            database.client.batch_write_item().request_items(TABLE_NAME, puts.to_vec()).send()
        })
        .collect();
    let mut done = stream::iter(batches).buffer_unordered(4);
    while let Some(written) = done.next().await {
        assert_eq!(written.unwrap().unprocessed_items.map_or(0, |items| items.len()), 0);
    }
}

/// What a list costs to page through: read units, requests, and how often each person is in it.
async fn walk(handlers: &Handlers, path: &str, list: &str, limit: u32) -> BTreeMap<String, u32> {
    let (mut times, mut next) = (BTreeMap::new(), String::new());
    loop {
        let query = format!("limit={limit}&count=exact{next}");
        let (status, page) = handlers.get(path, &query, NOW).await;
        assert_eq!(status, 200, "{page}");
        if list == "members" {
            assert_eq!(page["online"], PEOPLE);
        }
        for one in page[list].as_array().unwrap() {
            *times.entry(one["user"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let Some(cursor) = page["next"].as_str() else { return times };
        next = format!("&next={cursor}");
    }
}

/// Everyone is in by both tracks, which come together, or a minute apart.
#[tokio::test]
async fn a_large_room_of_two_tracks_costs_twice_what_it_costs_by_one() {
    let mut costs = BTreeMap::new();
    let tracks = [
        ("one", vec![event(TrtcEnter, 0)]),
        ("together", vec![event(TrtcEnter, 0), event(RoomEnter, 0)]),
        ("apart", vec![event(TrtcEnter, 0), event(RoomEnter, 60)]),
    ];
    for (name, of_ada) in tracks {
        let (database, proxy, mut handlers) = Handlers::observed().await;
        handlers.queries.limits.time = std::time::Duration::from_mins(5);
        fill(&database, &handlers, &of_ada).await;
        proxy.take();
        proxy.take_units();
        let paths = [
            ("first page", "presence", "members", 100),
            ("roster", "presence", "members", 1000),
            ("attendance", "attendance", "sessions", 1000),
            ("report", "reports", "rows", 1000),
        ];
        for (what, query, list, limit) in paths {
            let path = format!("/{query}/tencent/{APP}/rooms/lobby");
            if what == "first page" {
                let (_, page) = handlers.get(&path, "limit=100", NOW).await;
                assert_eq!(page[list].as_array().unwrap().len(), 100);
            } else {
                let times = walk(&handlers, &path, list, limit).await;
                assert_eq!(times.len(), PEOPLE as usize, "{what} {name}");
                assert!(times.values().all(|times| *times == 1), "{what} {name}");
            }
            let (requests, units) = (proxy.take().len(), proxy.take_units());
            println!("{what} of {PEOPLE} people, {name}: {units} read units, {requests} requests");
            costs.insert((what, name), (units, requests));
        }
    }
    for what in ["first page", "roster", "attendance", "report"] {
        let (units, requests) = costs[&(what, "one")];
        for name in ["together", "apart"] {
            let of_two = costs[&(what, name)];
            assert!(of_two.0 < 3.0 * units + 30.0, "{what} {name}: {} of {units}", of_two.0);
            // Of each person the other seat, a hundred with one request, on each page of a report.
            let pages = if what == "report" { 5 } else { 1 };
            let most = 2 * requests + (pages * PEOPLE / 50) as usize;
            assert!(of_two.1 <= most, "{what} {name}: {} requests, {most} expected", of_two.1);
        }
    }
}
