//! Rooms with twenty thousand people, and with a hundred thousand visits: all are found, and at
//! what cost.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::Range,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use futures::{StreamExt, stream};
use rollcall::{
    callback::Secret,
    domain::{App, ProviderName, UnixMillis},
    routes::QUERY,
    store::{Lateness, LiveMarker, Meter, Writer},
};
use rollcall_players::zego::{
    Event,
    EventName::{RoomLogin, RoomLogout},
};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::support::{
    self, Database, Fleet, Handlers, Proxy, RETENTION, SECRET, Simulated, TABLE_NAME,
    gateway_event, secrets, zego_event,
};

const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 600_000);
const PEOPLE: u32 = 20_000;

type Item = HashMap<String, AttributeValue>;

/// How often each of the `REGULARS` came.
const VISITS: u32 = 100;
const REGULARS: u32 = 1000;

/// The same mark with another sequence, as each callback of a room's life has its own.
fn renumbered(mark: &Blob, number: u32) -> Blob {
    let mut mark = mark.clone().into_inner();
    // A time of 8 bytes, then the session after its length.
    let sequence = 9 + usize::from(mark[8]);
    let sequence = &mut mark[sequence..sequence + 8];
    let own = u64::from_be_bytes(sequence.try_into().unwrap());
    sequence.copy_from_slice(&(own + (u64::from(number) << 16)).to_be_bytes());
    Blob::new(mark)
}

/// An item like this one, for another person who came at another time.
fn of_somebody_else(item: &Item, number: u32) -> Item {
    let user = format!("user{number:05}");
    let shard = Sha1::digest(&user)[0] % 4;
    let at = START + u64::from(number);
    let mut item = item.clone();
    let is_in_index = item.contains_key("gsi1pk");
    let mut set =
        |name: &str, value: String| item.insert(name.to_owned(), AttributeValue::S(value));
    set("pk", format!("zego#1#user#{user}"));
    if is_in_index {
        set("gsi1pk", format!("zego#1#room#lobby#{shard}"));
        set("gsi1sk", format!("in#{at:016}#7#{user}"));
    }
    for value in item.values_mut() {
        match value {
            AttributeValue::B(mark) => *mark = renumbered(mark, number),
            AttributeValue::Bs(marks) => {
                *marks = marks.iter().map(|mark| renumbered(mark, number)).collect();
            }
            _ => {}
        }
    }
    item
}

/// A login in a new session.
fn login(session: u64, sequence: u64, at: u64) -> Event {
    Event {
        session: (100_000_000_000_000_000 + session).to_string(),
        sequence,
        ..zego_event(RoomLogin, UnixMillis(at))
    }
}

/// As many logins of Ada, each in a new session.
fn logins(visits: u32) -> Vec<Event> {
    (0..u64::from(visits)).map(|visit| login(visit, visit + 1, START + visit)).collect()
}

/// Ada does this in the lobby, and the others with these numbers do the same. They differ from her
/// only in their names, their sequences and their times in the index.
async fn fill(database: &Database, handlers: &Handlers, of_ada: Vec<Event>, others: Range<u32>) {
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for event in of_ada {
        handlers.deliver(&event.callback(&secret, NOW.seconds(), "1"), NOW).await;
    }
    let query = database.client.query().table_name(TABLE_NAME).key_condition_expression("pk = :pk");
    let ada = AttributeValue::S("zego#1#user#ada".to_owned());
    let items = query.expression_attribute_values(":pk", ada).send().await.unwrap().items.unwrap();
    let others = others.flat_map(|number| {
        items.iter().map(move |item| {
            let put = PutRequest::builder().set_item(Some(of_somebody_else(item, number)));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        })
    });
    let batches = stream::iter(others).chunks(25).map(|puts| {
        let batch = database.client.batch_write_item().request_items(TABLE_NAME, puts);
        batch.send()
    });
    let mut done = batches.buffer_unordered(4);
    while let Some(written) = done.next().await {
        assert_eq!(written.unwrap().unprocessed_items.map_or(0, |items| items.len()), 0);
    }
}

const LOBBY: &str = "/presence/zego/1/rooms/lobby";

/// How many requests and read units the first page of the room costs, asked of a process that has
/// just started.
async fn first_page(proxy: &Proxy, query: &str) -> (usize, f64) {
    proxy.take();
    proxy.take_units();
    let mut handlers = Handlers::on(&proxy.url);
    // A debug build on a busy machine may need more than the time of a page.
    handlers.queries.limits.time = Duration::from_mins(5);
    let (status, page) = handlers.get(LOBBY, query, NOW).await;
    assert_eq!(status, 200, "{page}");
    let at_least = if query.contains("count=false") { Value::Null } else { json!(5000) };
    assert_eq!([&page["online"], &page["online_at_least"]], [&Value::Null, &at_least]);
    let limit = if query.contains("limit=1000") { 1000 } else { 100 };
    assert_eq!(page["members"].as_array().unwrap().len(), limit);
    (proxy.take().len(), proxy.take_units())
}

/// What a first page may cost, whatever the size of the room.
async fn first_pages(proxy: &Proxy, people: u32) -> Vec<(usize, f64)> {
    let mut costs = Vec::new();
    let limits = [
        ("", 12, 250.0),
        ("limit=1000", 12, 250.0),
        ("count=false", 8, 12.0),
        ("limit=1000&count=false", 12, 60.0),
    ];
    for (query, most_requests, most_units) in limits {
        let (requests, units) = first_page(proxy, query).await;
        println!("first page of {people}, {query:?}: {units} read units, {requests} requests");
        assert!(requests <= most_requests && units <= most_units, "{query}");
        costs.push((requests, units));
    }
    costs
}

/// `docs/design.md` has what is printed. The embedded database would need an hour to write them.
#[tokio::test]
#[ignore = "half a million people need a gigabyte of memory and some minutes"]
async fn the_first_page_of_half_a_million_people() {
    let store = Simulated::default();
    store.have_large_pages();
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let callback = logins(1)[0].callback(&secret, NOW.seconds(), "1");
    Handlers::with(store.client()).deliver(&callback, NOW).await;
    let is_seat = |item: &support::Item| item["sk"]["S"].as_str().unwrap().starts_with("seat#");
    let ada = store.items().into_iter().find(is_seat).unwrap();
    for (from, people) in [(1_u32, 20_000), (20_000, 500_000)] {
        for number in from..people {
            let user = format!("user{number:05}");
            let (shard, at) = (Sha1::digest(&user)[0] % 4, START + u64::from(number));
            let mut item = ada.clone();
            let keys = [
                ("pk", format!("zego#1#user#{user}")),
                ("gsi1pk", format!("zego#1#room#lobby#{shard}")),
                ("gsi1sk", format!("in#{at:016}#7#{user}")),
            ];
            item.extend(keys.map(|(name, value)| (name.to_owned(), json!({ "S": value }))));
            store.insert(item);
        }
        for query in ["", "limit=1000", "count=false", "limit=1000&count=false"] {
            let meter = Meter::default();
            let mut handlers = Handlers::with(meter.watch(&store.client()));
            handlers.queries.limits.time = Duration::from_mins(5);
            store.take_requests();
            let (status, page) = handlers.get(LOBBY, query, NOW).await;
            assert_eq!(status, 200, "{page}");
            let (requests, units) = (store.take_requests(), meter.take());
            println!("first page of {people}, {query:?}: {units} read units, {requests} requests");
            assert!(requests <= 20 && units <= 400.0);
        }
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
        let query = format!("limit=1000&count=exact{next}");
        let (status, page) = handlers.get(path, &query, NOW).await;
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
    let (database, proxy, mut handlers) = Handlers::observed().await;
    // What is tested here is the number of people, also on a busy machine.
    handlers.queries.limits.time = Duration::from_mins(5);
    fill(&database, &handlers, logins(1), 1..PEOPLE / 2).await;
    let of_half = first_pages(&proxy, PEOPLE / 2).await;
    fill(&database, &handlers, logins(1), PEOPLE / 2..PEOPLE).await;
    for ((requests, units), half) in first_pages(&proxy, PEOPLE).await.into_iter().zip(of_half) {
        // The rows of twice as many people are a little longer.
        assert!(requests == half.0 && (units - half.1).abs() < 4.0, "{units}, {half:?}");
    }

    let room = LOBBY;
    for (count, online, at_least) in [("", None, Some(5000)), ("&count=false", None, None)] {
        let (_, page) = handlers.get(room, &format!("limit=100{count}"), NOW).await;
        let counted = (page["online"].as_u64(), page["online_at_least"].as_u64());
        assert_eq!(counted, (online, at_least), "{count}");
        assert_eq!((&page["open"], page["members"].as_array().unwrap().len()), (&true.into(), 100));
        let next = format!("limit=100{count}&next={}", page["next"].as_str().unwrap());
        let (_, next) = handlers.get(room, &next, NOW).await;
        assert_eq!(
            [&next["online"], &next["online_at_least"]],
            [&page["online"], &page["online_at_least"]]
        );
        let (requests, units) = (proxy.take().len(), proxy.take_units());
        println!("two pages of a roster{count}: {units} read units, {requests} requests");
        assert!(units < 0.04 * 10_000.0, "{units}");
    }
    let marker = LiveMarker::new(database.client.clone(), TABLE_NAME, RETENTION);
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    marker.mark(&app, &"lobby".parse().unwrap(), NOW, Lateness::InTime).await.unwrap();
    let (_, live) = handlers.get("/rooms/zego/1", "min_people=5000", NOW).await;
    let live = &live["rooms"][0];
    let counted = [&live["online"], &live["online_at_least"], &live["missing"]];
    assert_eq!(counted, [&Value::Null, &5000.into(), &Value::Null], "{live}");
    let units = proxy.take_units();
    println!("a live room of {PEOPLE}: {units} read units, {} requests", proxy.take().len());
    assert!(units < 0.04 * 10_000.0, "{units}");

    let (_, first) = handlers.get(room, "limit=100&count=exact", NOW).await;
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
    proxy.take();

    let report = "/reports/zego/1/rooms/lobby";
    let (started, (status, first)) =
        (Instant::now(), handlers.get(report, "limit=1000", NOW).await);
    assert_eq!((status.as_u16(), &first["people"]), (200, &PEOPLE.into()), "{first}");
    let (units, requests) = (proxy.take_units(), proxy.take().len());
    println!(
        "a page of a report of {PEOPLE}: {units} read units, {requests} requests, {:?}",
        started.elapsed()
    );
    assert!(units < 0.06 * f64::from(PEOPLE), "{units}");
    let peak = &first["peak"]["online"];
    assert_eq!((peak, first["rows"].as_array().unwrap().len()), (&PEOPLE.into(), 1000));
    assert_eq!(first["rows"][0]["user"], "ada");
    assert_eq!(first["rows"][999]["user"], "user00999");

    // One more is too many, but not in a shorter span, nor for two people.
    fill(&database, &handlers, logins(1), PEOPLE..PEOPLE + 1).await;
    let (status, answer) = handlers.get(report, "", NOW).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &"too_large".into()));
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("/attendance") && message.contains("`from`"), "{message}");
    let (status, answer) =
        handlers.get(&format!("{report}/together"), "a=role:audience&b=ada", NOW).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &"too_large".into()));
    let (status, _) = handlers.get(&format!("{report}/together"), "a=user00001&b=ada", NOW).await;
    assert_eq!(status, 200);
    let (_, answer) = handlers.get(report, &format!("to={}", START - 1), NOW).await;
    assert_eq!(answer["people"], 0, "{answer}");
}

/// The numbers of a process in `/proc/PID/status`, in KB.
fn memory(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim_end_matches("kB").trim().parse().unwrap()
}

/// Everyone came three times, and is in. `docs/design.md` has what is printed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the binaries of the functions: .ci/tools/faults builds them"]
async fn a_report_of_twenty_thousand_people_needs_little_memory() {
    let database = Database::start().await;
    let mut handlers = Handlers::on(&database.url);
    // The binary has the real clock.
    let hundred_years = Duration::from_hours(100 * 365 * 24);
    handlers.receiver.store = Writer::new(database.client.clone(), TABLE_NAME, hundred_years);
    let visits = [(0, Some(150_000)), (200_000, Some(350_000)), (400_000, None)];
    let of_ada = visits.into_iter().zip(0..).flat_map(|((from, to), number)| {
        let login = login(number, 2 * number + 1, START + from);
        let logout = to.map(|to| Event {
            name: RoomLogout,
            at: UnixMillis(START + to),
            sequence: 2 * number + 2,
            ..login.clone()
        });
        [login].into_iter().chain(logout)
    });
    fill(&database, &handlers, of_ada.collect(), 1..PEOPLE).await;

    let limit = Duration::from_secs(20);
    let environment = vec![
        ("ROLLCALL_TABLE", TABLE_NAME.to_owned()),
        ("ROLLCALL_BUDGET_MS", limit.as_millis().to_string()),
        ("AWS_ENDPOINT_URL_DYNAMODB", database.url.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secrets::AWS_SECRET.to_owned()),
    ];
    let fleet = Fleet::start(&[QUERY], 1, environment).await;
    let process = fleet.processes(QUERY)[0];
    // A debug build on a busy machine may need more than the time of a report.
    let ask = async |path: &str, query: &str| {
        for _ in 0..5 {
            let event = gateway_event("GET", path, query, None);
            let (answer, took) = fleet.invoke(QUERY, event, limit).await.unwrap();
            if answer["statusCode"] == 200 {
                let body = answer["body"].as_str().unwrap();
                return (serde_json::from_str::<Value>(body).unwrap(), took);
            }
            let body = answer["body"].as_str().unwrap();
            assert!(body.contains("takes longer than"), "{body}");
        }
        panic!("the machine is too busy");
    };
    // What is allocated once by the first query is not the report's.
    ask("/presence/zego/1/rooms/lobby", "limit=1").await;
    // From now on the peak is that of the reports.
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    let before = memory(process, "VmRSS");
    let mut next = String::new();
    for page in ["first", "second"] {
        let query = format!("limit=1000{next}");
        let (report, took) = ask("/reports/zego/1/rooms/lobby", &query).await;
        let peak = memory(process, "VmHWM");
        println!(
            "with the {page} page of a report of {PEOPLE} people and {} visits the peak is {} KB \
             above the {before} KB before, {took:?}",
            3 * PEOPLE,
            peak - before
        );
        let people = (&report["people"], &report["peak"]["online"]);
        assert_eq!(people, (&json!(PEOPLE), &json!(PEOPLE)));
        assert_eq!(report["rows"].as_array().unwrap().len(), 1000);
        assert_eq!(report["rows"][7]["visits"], 3);
        assert!(peak - before < 16_000, "{peak} KB after {before} KB");
        next = format!("&next={}", report["next"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_hundred_thousand_visits_of_one_room_are_paged_a_few_seats_at_a_time() {
    let (database, proxy, handlers) = Handlers::observed().await;
    fill(&database, &handlers, logins(VISITS), 1..REGULARS).await;
    proxy.take();
    proxy.take_units();

    let mut units = Vec::new();
    let attendance = "/attendance/zego/1/rooms/lobby";
    let visits = pages(&handlers, attendance, "sessions", |page| {
        assert!(page["sessions"].as_array().unwrap().len() <= 1000);
        units.push(proxy.take_units());
    })
    .await;
    assert_eq!(visits.len(), REGULARS as usize);
    assert!(visits.values().all(|times| *times == u64::from(VISITS)));
    assert!(proxy.take().iter().all(|request| request.operation != "Scan"));
    let most = units.iter().copied().fold(0.0, f64::max);
    println!(
        "attendance, {VISITS} visits of each of {REGULARS}: at most {most} read units a page of 1000"
    );
    // The last page costs what the first one does: a few seats with all their marks.
    assert!(most < 60.0, "{units:?}");
}
