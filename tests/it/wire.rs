//! The costs of callbacks and queries, counted between the handlers and the store.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::{DeleteGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate};
use rollcall::{
    aws,
    store::{self, TABLE},
};
use rollcall_players::zego::{
    Event,
    EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, Moment, Proxy, SECRET, TABLE_NAME, apps, iam, openim_event, zego_event,
};

#[tokio::test]
async fn an_event_in_order_is_one_request_and_a_late_one_two() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let login = zego_event(RoomLogin, start.plus(0));
    let logout = Event { name: RoomLogout, at: start.plus(10), sequence: 2, ..login.clone() };
    let again = Event {
        session: "100000000000000002".to_owned(),
        sequence: 5,
        ..zego_event(RoomLogin, start.plus(20))
    };
    let late = Event { name: RoomLogout, at: start.plus(15), sequence: 4, ..login.clone() };
    let deliveries = [
        (&zego_event(RoomCreate, start.plus(0)), "applied", 1),
        (&login, "applied", 1),
        (&login, "duplicate", 1),
        (&logout, "applied", 1),
        (&again, "applied", 1),
        (&late, "stale", 2),
        (&late, "duplicate", 1),
        (&logout, "duplicate", 1),
        (&zego_event(RoomClose, start.plus(30)), "applied", 1),
        (&zego_event(RoomClose, start.plus(30)), "duplicate", 1),
    ];
    for (event, outcome, requests) in deliveries {
        let reply = deliver(&handlers, event, start).await;
        assert_eq!(reply.outcome, Some(outcome), "{event:?}");
        let seen = proxy.take();
        assert_eq!(seen.len(), requests, "{event:?}: {seen:?}");
        assert!(seen.iter().all(|request| request.operation == "UpdateItem"));
    }
}

#[tokio::test]
async fn a_refused_callback_is_no_request_at_all() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let unknown = Event { app: "9".to_owned(), ..zego_event(RoomLogin, start.plus(0)) };
    assert_eq!(deliver(&handlers, &unknown, start).await.status, 401);
    assert!(proxy.take().is_empty());
}

/// After it, the first callback finds an open connection.
#[tokio::test]
async fn the_warm_up_is_one_read() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let warm_up =
        handlers.receiver.store.warm_up(Duration::from_secs(10), Moment::recent().plus(0));
    iam::acting_as("zego-room-login", warm_up).await;
    let seen = proxy.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].operation, "GetItem");
}

/// Promise 4: no success before the change is stored.
#[tokio::test]
async fn promise_4_durable_a_store_that_fails_is_answered_with_503() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    for event in [zego_event(RoomCreate, start.plus(0)), zego_event(RoomLogin, start.plus(0))] {
        proxy.refuse(|_| true);
        let reply = deliver(&handlers, &event, start).await;
        assert_eq!((reply.status.as_u16(), reply.outcome), (503, Some("rejected")));
        // ZEGO sends it again.
        proxy.refuse(|_| false);
        assert_eq!(deliver(&handlers, &event, start).await.outcome, Some("applied"));
    }
}

#[tokio::test]
async fn an_existing_table_is_left_unchanged_and_any_other_refusal_is_returned() {
    let database = Database::start().await;
    let proxy = Proxy::before(&database.url).await;
    let client = store::connect(&aws::at(&proxy.url), Duration::from_secs(10));
    TABLE.create(&client, TABLE_NAME).await.unwrap();
    proxy.refuse(|_| true);
    TABLE.create(&client, TABLE_NAME).await.unwrap_err();
}

/// A laptop's table of before has an index of another name.
#[tokio::test]
async fn a_table_of_before_gets_the_index_with_all_its_rows() {
    let database = Database::start().await;
    let (start, client) = (Moment::recent(), &database.client);
    let handlers = Handlers::on(&database.url);
    let login = zego_event(RoomLogin, start.plus(0));
    assert_eq!(deliver(&handlers, &login, start).await.outcome, Some("applied"));
    let name = <&str>::from(TABLE.index);
    let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(name).build().unwrap();
    let update = GlobalSecondaryIndexUpdate::builder().delete(delete).build();
    let request = client.update_table().table_name(TABLE_NAME);
    request.global_secondary_index_updates(update).send().await.unwrap();
    let room = async || {
        let path = "/presence/zego/1/rooms/lobby";
        let (status, room) = handlers.get(path, "", start.plus(1000)).await;
        (status.as_u16(), room["online"].clone())
    };
    assert_eq!(room().await.0, 503);
    for _ in 0..2 {
        TABLE.create(client, TABLE_NAME).await.unwrap();
        assert_eq!(room().await, (200, 1.into()));
    }
}

async fn deliver(handlers: &Handlers, event: &Event, start: Moment) -> rollcall::http::Reply {
    let now = start.plus(1000);
    let secret = rollcall::callback::Secret::new(SECRET.to_owned()).unwrap();
    handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await
}

/// A user is read consistently: right after the callback they are online, however far the index
/// lags behind.
#[tokio::test]
async fn a_user_does_not_wait_for_the_index() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    proxy.lag();
    let login = zego_event(RoomLogin, start.plus(0));
    let newer = Event { life: 6, ..zego_event(RoomLogin, start.plus(100)) };
    for event in [&newer, &login] {
        assert_eq!(deliver(&handlers, event, start).await.outcome, Some("applied"));
    }
    let (_, ada) = handlers.get("/presence/zego/1/users/ada", "", start.plus(1000)).await;
    let open: Vec<_> = ada["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|session| session["left_at"].is_null())
        .map(|session| &session["life"])
        .collect();
    assert_eq!(open, ["6"], "the newer life is the open one: {ada}");
}

#[tokio::test]
async fn a_device_and_a_registration_are_one_request_each() {
    use rollcall_players::openim::EventName;

    let (_database, proxy, handlers) = Handlers::observed().await;
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let now = Moment::recent().plus(0);
    let operations = [
        (EventName::UserRegister, "PutItem"),
        (EventName::UserOnline, "UpdateItem"),
        (EventName::UserOffline, "UpdateItem"),
        // Of somebody who is registered, and then of somebody who is not.
        (EventName::UserUpdate, "UpdateItem"),
    ];
    for (name, operation) in operations {
        for outcome in ["applied", "duplicate"] {
            let event = openim_event(name, now);
            let reply = handlers.deliver(&event.callback(&credentials), now).await;
            assert_eq!(reply.outcome, Some(outcome), "{name:?}");
            let seen = proxy.take();
            assert_eq!(seen.len(), 1, "{name:?}: {seen:?}");
            assert_eq!(seen[0].operation, operation);
        }
    }
    let mut unknown = openim_event(EventName::UserUpdateEx, now);
    unknown.options.users = vec!["nobody".to_owned()];
    for outcome in ["applied", "duplicate"] {
        let reply = handlers.deliver(&unknown.callback(&credentials), now).await;
        assert_eq!((reply.outcome, proxy.take().len()), (Some(outcome), 1));
    }
}

/// A registration after a change of its profile is refused once, and then keeps the change.
#[tokio::test]
async fn a_registration_after_a_change_of_the_profile_is_two_requests() {
    use rollcall_players::openim::EventName;

    let (_database, proxy, handlers) = Handlers::observed().await;
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let now = Moment::recent().plus(0);
    for (name, requests, outcome) in [
        (EventName::UserUpdate, 1, "applied"),
        (EventName::UserRegister, 2, "applied"),
        (EventName::UserRegister, 1, "duplicate"),
    ] {
        let reply = handlers.deliver(&openim_event(name, now).callback(&credentials), now).await;
        let seen = proxy.take();
        assert_eq!((reply.outcome, seen.len()), (Some(outcome), requests), "{name:?}: {seen:?}");
    }
    let path = "/registrations/openim/main/users/ada";
    let (_, ada) = handlers.get(path, "", now).await;
    assert_eq!((&ada["name"], &ada["profile_changed_at"]), (&json!("ada"), &json!(now)));
}

/// The moved marks of a seat cost a request only if the current visit began among them.
#[tokio::test]
async fn moved_marks_are_read_if_the_current_visit_began_among_them() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let login = |session: u64, sequence: u64| Event {
        session: (100_000_000_000_000_000 + session).to_string(),
        sequence,
        ..zego_event(RoomLogin, start.plus(sequence))
    };
    let requests = async || {
        proxy.take();
        let now = start.plus(1000);
        for path in ["/presence/zego/1/users/ada", "/presence/zego/1/rooms/lobby"] {
            assert_eq!(handlers.get(path, "", now).await.0, 200);
        }
        proxy.take().len()
    };
    deliver(&handlers, &login(0, 1), start).await;
    // Once a minute, the number of shards is read, too.
    requests().await;
    let with_one = requests().await;
    for sequence in 2..40 {
        deliver(&handlers, &login(sequence, sequence), start).await;
    }
    assert_eq!(requests().await, with_one, "a session each time");
    for sequence in 40..80 {
        deliver(&handlers, &login(40, sequence), start).await;
    }
    assert_eq!(requests().await, with_one + 2, "the same session each time");
}

/// Finding out whether a person came to another life before they left this one costs requests per
/// life, not per person: in the newest life, and in one whose close came later.
#[tokio::test]
async fn attendance_asks_for_each_life_whether_somebody_came_to_another_one() {
    // One for each section of each shard, one for the life and one for the erasures. To find the
    // newest life, each shard and the lives: the one that is found was read.
    assert_eq!(attendance_requests(1, None).await, 15);
    assert_eq!(attendance_requests(8, None).await, 15);
    // Two clocks may differ by ten seconds.
    assert_eq!(attendance_requests(8, Some(10_001)).await, 10);
    assert_eq!(attendance_requests(8, Some(10_000)).await, 18);
}

/// How many requests a page of people costs who have left, if the room was closed so long after, in
/// ms.
async fn attendance_requests(people: u64, closed_after: Option<u64>) -> usize {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let left_at = start.plus(500);
    for number in 0..people {
        let login =
            Event { user: format!("user{number}"), ..zego_event(RoomLogin, start.plus(number)) };
        let logout = Event { name: RoomLogout, at: left_at, sequence: 2, ..login.clone() };
        for event in [&login, &logout] {
            deliver(&handlers, event, start).await;
        }
    }
    if let Some(after) = closed_after {
        deliver(&handlers, &zego_event(RoomClose, start.plus(500 + after)), start).await;
    }
    // Once a minute, the number of shards is read, too.
    let now = start.plus(20_000);
    handlers.get("/presence/zego/1/rooms/lobby", "", now).await;
    proxy.take();
    let path = "/attendance/zego/1/rooms/lobby";
    let (_, page) = handlers.get(path, "limit=8", now).await;
    assert_eq!(page["sessions"].as_array().unwrap().len() as u64, people, "{page}");
    proxy.take().len()
}

/// A page of few visits reads few seats. A longer one requests twice as many each time.
#[tokio::test]
async fn a_reader_that_continues_asks_for_twice_as_many_each_time() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    for number in 0..100 {
        let login =
            Event { user: format!("user{number}"), ..zego_event(RoomLogin, start.plus(number)) };
        assert_eq!(deliver(&handlers, &login, start).await.outcome, Some("applied"));
    }
    for (limit, asked) in [(1, BTreeSet::from([8])), (100, BTreeSet::from([18, 36]))] {
        proxy.take();
        let path = "/attendance/zego/1/rooms/lobby";
        let (_, page) = handlers.get(path, &format!("limit={limit}"), start.plus(1000)).await;
        assert_eq!(page["sessions"].as_array().unwrap().len(), limit);
        // Those that find the newest life read both sections.
        let finds_life = |body: &str| body.contains(r#""in#""#) && body.contains(r#""left$""#);
        let bodies = proxy.take().into_iter().map(|request| request.body);
        let reads = bodies.filter(|body| body.contains("BETWEEN") && !finds_life(body));
        let limits = reads
            .map(|read| serde_json::from_str::<Value>(&read).unwrap()["Limit"].as_u64().unwrap());
        assert_eq!(limits.collect::<BTreeSet<_>>(), asked);
    }
}
