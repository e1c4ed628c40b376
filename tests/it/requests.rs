//! How many requests and read units questions about people cost, counted between the handlers and
//! the store.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use futures::{StreamExt, stream};
use rollcall::{
    callback::Secret,
    domain::UnixMillis,
    http::{Reply, Request},
    routes::QUERY,
    store::Reader,
};
use rollcall_players::{Callback, openim, tencent, zego, zim};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, Moment, SECRET, TABLE_NAME, apps, client_of, iam, openim_event,
    tencent_event, tencent_secret, zego_event, zim_event,
};

/// Rooms that each of [`PEOPLE`] was in before.
const ROOMS: u64 = 150;

/// As many as can be asked for at once.
const PEOPLE: u64 = 100;

/// Ada is online and has been before.
struct Case {
    what: &'static str,
    path: &'static str,
    callbacks: Vec<Callback>,
    requests: usize,
}

fn zego_callback(event: &zego::Event, now: UnixMillis) -> Callback {
    event.callback(&Secret::new(SECRET.to_owned()).unwrap(), now.seconds(), "1")
}

fn zim_callback(event: &zim::Event, now: UnixMillis) -> Callback {
    event.callback(&Secret::new(SECRET.to_owned()).unwrap(), now.seconds(), "1")
}

fn cases(start: Moment, now: UnixMillis) -> Vec<Case> {
    use openim::EventName::{UserOffline, UserOnline, UserRegister};
    use tencent::EventName::{
        ChatLogin, ChatLogout, RoomCreate as EngineCreate, RoomEnter as EngineEnter, TrtcCreate,
        TrtcEnter, TrtcExit,
    };
    use zego::EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout};
    use zim::EventName::{RoomEnter, RoomExit, UserAction, ZimRoomCreate};

    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let tencent = |name, ms| {
        let event = tencent::Event { now, ..tencent_event(name, start.plus(ms)) };
        event.callback(&tencent_secret(name))
    };
    let before = |name, ms, life| zego::Event {
        life,
        room: "before".to_owned(),
        ..zego_event(name, start.plus(ms))
    };
    let left = zego::Event { sequence: 2, ..before(RoomLogout, 30, 5) };
    let of_zego = [
        before(RoomCreate, 0, 5),
        before(RoomLogin, 10, 5),
        left,
        before(RoomClose, 40, 5),
        zego_event(RoomCreate, start.plus(100)),
        zego_event(RoomLogin, start.plus(110)),
    ];
    let of_zim = [
        zim_event(UserAction, start.plus(0)),
        zim_event(ZimRoomCreate, start.plus(1000)),
        zim_event(RoomEnter, start.plus(2000)),
        zim_event(RoomExit, start.plus(4000)),
        zim_event(RoomEnter, start.plus(6000)),
    ];
    let of_openim = [(UserRegister, 0), (UserOnline, 10), (UserOffline, 20), (UserOnline, 30)];
    vec![
        Case {
            what: "OpenIM: on a device",
            path: "/presence/openim/main/users/ada",
            callbacks: of_openim
                .map(|(name, ms)| openim_event(name, start.plus(ms)).callback(&credentials))
                .to_vec(),
            requests: 2,
        },
        Case {
            what: "OpenIM: registered only",
            path: "/presence/openim/main/users/ada",
            callbacks: vec![openim_event(UserRegister, start.plus(0)).callback(&credentials)],
            requests: 2,
        },
        Case {
            what: "Tencent: on a device",
            path: "/presence/tencent/1400000000/users/ada",
            callbacks: vec![tencent(ChatLogin, 0), tencent(ChatLogout, 10), tencent(ChatLogin, 20)],
            requests: 2,
        },
        Case {
            what: "Tencent: in a room of TRTC's, and on a device",
            path: "/presence/tencent/1400000000/users/ada",
            callbacks: vec![
                tencent(ChatLogin, 0),
                tencent(TrtcCreate, 10),
                tencent(TrtcEnter, 20),
                tencent(TrtcExit, 30),
                tencent(TrtcEnter, 40),
            ],
            requests: 3,
        },
        Case {
            what: "Tencent: in a room that both tracks report",
            path: "/presence/tencent/1400000000/users/ada",
            callbacks: vec![
                tencent(EngineCreate, 0),
                tencent(TrtcCreate, 0),
                tencent(EngineEnter, 10),
                tencent(TrtcEnter, 10),
            ],
            requests: 4,
        },
        Case {
            what: "ZIM: on a device and in a room",
            path: "/presence/zego/1/users/ada",
            callbacks: of_zim.iter().map(|event| zim_callback(event, now)).collect(),
            requests: 3,
        },
        Case {
            what: "ZEGO: left a room",
            path: "/presence/zego/1/users/ada",
            callbacks: of_zego[..4].iter().map(|event| zego_callback(event, now)).collect(),
            requests: 2,
        },
        Case {
            what: "ZEGO: in a room",
            path: "/presence/zego/1/users/ada",
            callbacks: of_zego.iter().map(|event| zego_callback(event, now)).collect(),
            // The erasures, the person, the life, and five for the room's newest life.
            requests: 8,
        },
    ]
}

/// A minute has passed since the number of shards was read, as in most requests of a function.
#[tokio::test]
async fn the_page_of_a_user_takes_few_requests() {
    let (start, now) = (Moment::recent(), Moment::recent().plus(20_000));
    let (mut counted, mut stated) = (Vec::new(), Vec::new());
    for case in cases(start, now) {
        let (_database, proxy, handlers) = Handlers::observed().await;
        for callback in &case.callbacks {
            let reply = handlers.deliver(callback, now).await;
            assert_eq!(reply.outcome, Some("applied"), "{}: {}", case.what, reply.body);
        }
        // Once a minute, the number of shards is read, too.
        handlers.get("/presence/zego/1/rooms/lobby", "", now).await;
        proxy.take();
        proxy.take_units();
        let (status, page) = handlers.get(case.path, "", now).await;
        assert_eq!(status, 200, "{}: {page}", case.what);
        let (requests, units) = (proxy.take().len(), proxy.take_units());
        println!("{}: {requests} requests, {units} read units", case.what);
        counted.push((case.what, requests));
        stated.push((case.what, case.requests));
    }
    assert_eq!(counted, stated);
}

/// What is stored of the first of them is stored of all.
async fn copy_to_others(database: &Database, users: &[String]) {
    let partition = |user: &String| AttributeValue::S(format!("zego#1#user#{user}"));
    let query = database.client.query().table_name(TABLE_NAME).key_condition_expression("pk = :pk");
    let found = query.expression_attribute_values(":pk", partition(&users[0])).send().await;
    let items = found.unwrap().items.unwrap();
    let of = |user: &String| {
        let puts = items.iter().map(|item| {
            let renamed = item.iter().map(|(name, value)| match value {
                AttributeValue::S(text) => {
                    (name.clone(), AttributeValue::S(text.replace(&users[0], user)))
                }
                other => (name.clone(), other.clone()),
            });
            let put = PutRequest::builder().set_item(Some(renamed.collect()));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        });
        puts.collect::<Vec<_>>()
    };
    let puts: Vec<_> = users[1..].iter().flat_map(of).collect();
    let batches = puts.chunks(25).map(|puts| {
        database.client.batch_write_item().request_items(TABLE_NAME, puts.to_vec()).send()
    });
    let batches: Vec<_> = batches.collect();
    let mut done = stream::iter(batches).buffer_unordered(4);
    while let Some(written) = done.next().await {
        assert_eq!(written.unwrap().unprocessed_items.map_or(0, |items| items.len()), 0);
    }
}

async fn ask_for(handlers: &Handlers, users: &[String], now: UnixMillis) -> Value {
    let body = json!({ "users": users }).to_string();
    let request = Request::post("/presence/zego/1/users", body, now);
    let reply: Reply = iam::acting_as(QUERY, handlers.queries.answer(&request)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

/// Each of a hundred people was in 150 rooms before. Ids of lives and sessions are as long as
/// ZEGO's.
#[tokio::test]
async fn a_hundred_people_are_one_request_each() {
    use zego::EventName::{RoomLogin, RoomLogout};

    let (database, proxy, handlers) = Handlers::observed().await;
    let (start, now) = (Moment::recent(), Moment::recent().plus(20_000));
    let users: Vec<String> = (0..PEOPLE).map(|number| format!("user-{number:04}")).collect();
    for room in 0..ROOMS {
        let login = zego::Event {
            user: users[0].clone(),
            room: format!("room-{room:06}"),
            life: 1_000_000_000_000_000_000 + room,
            nickname: users[0].clone(),
            ..zego_event(RoomLogin, start.plus(room))
        };
        let at = start.plus(room + 5000);
        let left = zego::Event { name: RoomLogout, at, sequence: 2, ..login.clone() };
        for event in [login, left] {
            let reply = handlers.deliver(&zego_callback(&event, now), now).await;
            assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
        }
    }
    copy_to_others(&database, &users).await;
    proxy.take();
    proxy.take_units();
    let answer = ask_for(&handlers, &users, now).await;
    let (requests, units) = (proxy.take().len(), proxy.take_units());
    println!("{PEOPLE} people with {ROOMS} rooms each: {requests} requests, {units} read units");
    let found = answer["users"].as_array().unwrap();
    assert_eq!(found.len() as u64, PEOPLE);
    let last = start.plus(ROOMS - 1 + 5000);
    let is_known = |user: &Value| user["online"] == false && user["last_seen_at"] == json!(last);
    assert!(found.iter().all(is_known), "{answer}");
    assert!(requests <= 120, "{requests}");
    assert!(units <= 1500.0, "{units}");
}

/// The first answer then finds as many open connections as it uses at the same time.
#[tokio::test]
async fn the_warm_up_of_questions_opens_six_connections() {
    let (_database, proxy, _) = Handlers::observed().await;
    let reader = Reader::new(client_of(&proxy.url), TABLE_NAME);
    iam::acting_as(QUERY, reader.warm_up(Duration::from_secs(10), Moment::recent().plus(0))).await;
    let operations: Vec<_> = proxy.take().into_iter().map(|seen| seen.operation).collect();
    let count = |name| operations.iter().filter(|operation| *operation == name).count();
    assert_eq!((count("GetItem"), count("Query"), operations.len()), (1, 5, 6));
}

/// A page of everything about a user asks once which sessions are known, however many items hold
/// them.
#[tokio::test]
async fn a_page_of_many_items_of_sessions_reads_the_sessions_once() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let (start, now) = (Moment::recent(), Moment::recent().plus(20_000));
    for number in 0..60 {
        let login = zim::Event {
            session: format!("9400000000000000{number:02}"),
            ..zim_event(zim::EventName::UserAction, start.plus(number))
        };
        let lost = zim::Event { action: zim::Action::Offline, ..login.clone() };
        for event in [login, lost] {
            let reply = handlers.deliver(&zim_callback(&event, now), now).await;
            assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
        }
    }
    proxy.take();
    let (_, page) = handlers.get("/users/zego/1/ada", "limit=1000", now).await;
    let rows = page["items"].as_array().unwrap();
    let items = rows.iter().filter(|row| row["kind"] == "sessions").count();
    assert!(items > 2, "{page}");
    let seen = proxy.take();
    // One reads the erasures, and one the items.
    assert_eq!(seen.len(), 3, "{items} items of sessions: {seen:#?}");
}
