//! Seats that grow: the move of their oldest marks, and expiry.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    types::AttributeValue::{self, Ns},
};
use rollcall::{
    callback::Secret,
    domain::{Mark, UnixMillis},
};
use rollcall_players::{
    tencent::EventName::{TrtcCreate, TrtcDismiss, TrtcEnter},
    zego::{
        Event,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};
use serde_json::Value;

use crate::support::{
    Database, Handlers, Moment, RETENTION, SECRET, TABLE_NAME, TRTC_KEY, dump, tencent_event,
    union, zego_event,
};

/// One write unit is a kilobyte. The last event may exceed it before the oldest marks are moved.
const MAX_SEAT_BYTES: usize = 1024 + 200;

/// Ada comes and goes `times` times.
pub(crate) fn comings_and_goings(start: Moment, times: u64) -> Vec<Event> {
    (0..times)
        .flat_map(|time| {
            let session = (100_000_000_000_000_000 + time).to_string();
            let login = Event {
                session,
                sequence: 2 * time + 1,
                ..zego_event(RoomLogin, start.plus(100 * time))
            };
            let at = start.plus(100 * time + 50);
            let logout = Event { name: RoomLogout, at, sequence: 2 * time + 2, ..login.clone() };
            [login, logout]
        })
        .collect()
}

async fn deliver(handlers: &Handlers, event: &Event, now: UnixMillis) -> String {
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let reply = handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await;
    reply.outcome.unwrap().to_owned()
}

fn seat(items: &HashMap<String, Value>) -> &Value {
    items.iter().find(|(key, _)| key.contains(" seat#")).unwrap().1
}

/// The size of the only seat, as DynamoDB counts it: names and values, binary ones half their hex.
async fn seat_size(database: &Database) -> usize {
    fn size(value: &Value) -> usize {
        match value {
            Value::Array(set) => set.iter().map(size).sum(),
            Value::Object(map) => map.iter().map(|(name, value)| name.len() + size(value)).sum(),
            value => value.as_str().map_or(0, str::len),
        }
    }
    let items = dump(&database.client).await;
    let seat = seat(&items);
    let hex: usize = ["marks", "k", "moved_to"].iter().map(|name| size(&seat[name])).sum();
    size(seat) - hex / 2
}

#[tokio::test]
async fn a_seat_stays_small_and_no_mark_is_lost() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = start.plus(60_000);
    let mut events = comings_and_goings(start, 100);
    events.pop();
    for event in &events {
        assert_eq!(deliver(&handlers, event, now).await, "applied");
        assert!(seat_size(&database).await <= MAX_SEAT_BYTES);
    }
    let items = dump(&database.client).await;
    assert!(items.len() > 5, "marks were moved, a few at a time: {} items", items.len());
    let all = union(dump(&database.client).await);
    let seat = all.values().next().unwrap();
    assert_eq!(seat["marks"].as_array().unwrap().len(), events.len());
    assert_in_since(&handlers, start.plus(9900), Some(start.plus(9850)), now).await;

    // Old events that come again may be stored again, but do not change who is in.
    for event in events.iter().step_by(7) {
        assert_ne!(deliver(&handlers, event, now).await, "applied");
    }
    assert_in_since(&handlers, start.plus(9900), Some(start.plus(9850)), now).await;
    let again = union(dump(&database.client).await);
    assert_eq!(again.values().next().unwrap()["marks"], seat["marks"]);
}

#[tokio::test]
async fn a_seat_is_read_only_to_move_its_marks() {
    let (database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    for event in comings_and_goings(start, 30) {
        assert_eq!(deliver(&handlers, &event, start.plus(60_000)).await, "applied");
    }
    let reads = proxy.take().into_iter().filter(|request| request.operation == "GetItem").count();
    let items = dump(&database.client).await;
    let moves = items.keys().filter(|key| key.contains(" moved#")).count();
    assert!(moves > 1);
    assert_eq!(reads, moves);
}

/// The keys count as part of a write, too.
#[tokio::test]
async fn a_seat_fits_one_write_unit_with_its_keys() {
    // A number takes fewer bytes than its digits, which are counted here.
    const UNIT: usize = 1024 + 20;
    let start = Moment::recent();
    for length in [3, 100] {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        for event in comings_and_goings(start, 15) {
            let event = Event { user: "a".repeat(length), room: "l".repeat(length), ..event };
            deliver(&handlers, &event, start.plus(60_000)).await;
            let size = seat_size(&database).await;
            assert!(size <= UNIT, "{size}");
        }
        assert!(dump(&database.client).await.len() > 1, "some were moved");
    }
}

/// Until version 0.1 was done, a seat also held the sequences of its marks, a life its creator, and
/// the end of a life or of a TRTC room its reason. Nothing read them, and nothing needs them.
#[tokio::test]
async fn old_items_with_more_attributes_are_read_written_and_shrunk_as_new_ones() {
    let start = Moment::recent();
    let now = start.plus(50_000);
    let (old, new) = (Database::start().await, Database::start().await);
    let both = [&old, &new].map(|database| Handlers::on(&database.url));
    let trtc = |name, at| {
        let key = Secret::new(TRTC_KEY.to_owned()).unwrap();
        tencent_event(name, start.plus(at)).callback(&key)
    };
    let events = comings_and_goings(start, 20);
    let (before, after) = events.split_at(9);
    for handlers in &both {
        deliver(handlers, &zego_event(RoomCreate, start.plus(0)), now).await;
        for event in before {
            deliver(handlers, event, now).await;
        }
        for (name, at) in [(TrtcCreate, 0), (TrtcEnter, 10), (TrtcDismiss, 500)] {
            handlers.deliver(&trtc(name, at), now).await;
        }
        let earlier_life = Event { life: 6, ..zego_event(RoomClose, start.plus(0)) };
        deliver(handlers, &earlier_life, now).await;
    }
    add_what_old_versions_stored(&old.client).await;

    let answers = async || {
        let mut answers = both.each_ref().map(|_| Vec::new());
        for (handlers, answers) in both.iter().zip(&mut answers) {
            for path in [
                "/presence/zego/1/users/ada",
                "/presence/zego/1/rooms/lobby",
                "/attendance/zego/1/rooms/lobby",
                "/attendance/zego/1/users/ada",
                "/presence/tencent/1400000000/rooms/lobby",
                "/attendance/tencent/1400000000/users/ada",
            ] {
                let (status, answer) = handlers.get(path, "", now).await;
                assert_eq!(status, 200, "{path}: {answer}");
                answers.push(answer);
            }
        }
        answers
    };
    let [of_old, of_new] = answers().await;
    assert_eq!(of_old, of_new);

    // In order, late, and again; the last logout goes before its login.
    let mut more: Vec<&Event> = after.iter().chain(before).collect();
    more.swap(9, 10);
    let close = zego_event(RoomClose, start.plus(9000));
    more.extend([&close, &close]);
    for event in more {
        let [of_old, of_new] = both.each_ref().map(|handlers| deliver(handlers, event, now));
        let (of_old, of_new) = (of_old.await, of_new.await);
        // A duplicate of a moved mark is not recognized, and an old seat has moved more.
        let is_same = of_old == of_new || [&*of_old, &*of_new].iter().all(|one| *one != "applied");
        assert!(is_same, "{of_old} {of_new}: {event:?}");
    }
    for handlers in &both {
        handlers.deliver(&trtc(TrtcEnter, 600), now).await;
    }
    let [of_old, of_new] = answers().await;
    assert_eq!(of_old, of_new);

    let items = dump(&old.client).await;
    assert!(items.keys().filter(|key| key.contains(" moved#")).count() > 1, "marks were moved");
    let mut left = union(items);
    let mut old_attributes = 0;
    for item in left.values_mut() {
        let is_life = item["sk"].as_str().unwrap().starts_with("life#");
        let item = item.as_object_mut().unwrap();
        let of_lives = ["creator"].iter().filter(|_| is_life);
        for name in ["seqs", "close_reason"].iter().chain(of_lives) {
            old_attributes += usize::from(item.remove(*name).is_some());
        }
    }
    assert_eq!(old_attributes, 7, "two seats, two lives with both, one dismissal");
    assert_eq!(left, union(dump(&new.client).await));
}

/// Gives all items the attributes that they had in versions that stored more.
async fn add_what_old_versions_stored(client: &Client) {
    for (key, item) in dump(client).await {
        let (pk, sk) = key.split_once(' ').unwrap();
        let update = client
            .update_item()
            .table_name(TABLE_NAME)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .key("sk", AttributeValue::S(sk.to_owned()));
        let reason = AttributeValue::N("1".to_owned());
        let kind = sk.split('#').next().unwrap();
        let update = match kind {
            "seat" | "moved" => {
                let marks = item["marks"].as_array().unwrap().iter();
                let sequences = marks.map(|mark| {
                    let bytes = hex::decode(mark.as_str().unwrap()).unwrap();
                    Mark::from_bytes(&bytes).unwrap().order.sequence.to_string()
                });
                let sequences: BTreeSet<String> = sequences.collect();
                update
                    .update_expression("ADD seqs :seqs")
                    .expression_attribute_values(":seqs", Ns(sequences.into_iter().collect()))
            }
            "life" => update
                .update_expression("SET creator = :creator, close_reason = :reason")
                .expression_attribute_values(":creator", AttributeValue::S("ada".to_owned()))
                .expression_attribute_values(":reason", reason),
            "boundary" if item.get("closed_at").is_some() => update
                .update_expression("SET close_reason = :reason")
                .expression_attribute_values(":reason", reason),
            "boundary" => continue,
            other => panic!("{other} has no such attributes"),
        };
        update.send().await.unwrap();
    }
}

/// Relogins that keep their session are marks of one session. Marks that decide something must not
/// be moved.
#[tokio::test]
async fn a_session_with_many_relogins_ends_when_it_ends() {
    let start = Moment::recent();
    let now = start.plus(60_000);
    // Relogins with a clock that is behind the logout's, and with one that is ahead.
    for ahead in [0, 1000] {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        let login = zego_event(RoomLogin, start.plus(0));
        // The logout with the highest sequence has the first login's time, so its mark is old.
        let logout =
            Event { name: RoomLogout, at: start.plus(900), sequence: 999, ..login.clone() };
        deliver(&handlers, &login, now).await;
        deliver(&handlers, &logout, now).await;
        for time in 1..60 {
            let at = start.plus(ahead + time);
            let again = Event { login_time: at, at, sequence: time + 1, ..login.clone() };
            deliver(&handlers, &again, now).await;
        }
        assert!(seat_size(&database).await <= MAX_SEAT_BYTES);
        let (_, ada) = handlers.get("/presence/zego/1/users/ada", "", now).await;
        assert_eq!(ada["online"], false);
        assert_eq!(ada["sessions"][0]["entered_at"], start.0);
        let (_, room) = handlers.get("/presence/zego/1/rooms/lobby", "", now).await;
        assert_eq!(room["online"], 0);
    }
}

/// The latest time may be that of an old session, whose logout came late.
#[tokio::test]
async fn the_time_when_somebody_was_last_seen_is_not_moved_away() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = start.plus(60_000);
    let login = Event { session: "1".to_owned(), ..zego_event(RoomLogin, start.plus(0)) };
    let at = start.plus(50_000);
    let logout = Event { name: RoomLogout, at, sequence: 999, ..login };
    deliver(&handlers, &logout, now).await;
    for event in comings_and_goings(start, 20) {
        deliver(&handlers, &event, now).await;
    }
    let (_, ada) = handlers.get("/presence/zego/1/users/ada", "", now).await;
    assert_eq!(ada["last_seen_at"], at.0);
}

#[tokio::test]
async fn a_crash_between_the_two_writes_of_a_move_changes_nothing() {
    let (database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let now = start.plus(60_000);
    // The marks are added to the other item; that they are deleted from the seat fails.
    proxy.refuse(|request| request.body.contains("DELETE marks"));
    let events = comings_and_goings(start, 10);
    for event in &events {
        assert_eq!(deliver(&handlers, event, now).await, "applied");
    }
    let count = async || {
        let all = union(dump(&database.client).await);
        all.values().next().unwrap()["marks"].as_array().unwrap().len()
    };
    assert_eq!(count().await, events.len());
    assert!(dump(&database.client).await.len() > 1, "some marks are in both places");

    proxy.refuse(|_| false);
    let back = Event {
        session: "200000000000000000".to_owned(),
        sequence: 99,
        ..zego_event(RoomLogin, start.plus(5000))
    };
    deliver(&handlers, &back, now).await;
    assert_eq!(count().await, events.len() + 1);
    assert!(seat_size(&database).await <= MAX_SEAT_BYTES);
    assert_in_since(&handlers, start.plus(5000), Some(start.plus(950)), now).await;
}

#[tokio::test]
async fn readers_compare_the_time_and_do_not_wait_for_ttl() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = start.plus(1000);
    let close = zego_event(RoomClose, start.plus(500));
    deliver(&handlers, &zego_event(RoomLogin, start.plus(0)), now).await;
    deliver(&handlers, &close, now).await;
    let expiry = now.after(RETENTION);
    let status = async |path: &str, at| handlers.get(path, "", at).await.0.as_u16();
    let (user, room) = ("/presence/zego/1/users/ada", "/presence/zego/1/rooms/lobby");
    assert_eq!(status(user, UnixMillis(expiry.0 - 1000)).await, 200);
    assert_eq!(status(user, UnixMillis(expiry.0 + 1000)).await, 404);
    // The life is kept twice as long, so that no late login can open it again.
    assert_eq!(status(room, UnixMillis(expiry.0 + 1000)).await, 200);
    let twice = expiry.after(RETENTION);
    assert_eq!(status(room, UnixMillis(twice.0 - 1000)).await, 200);
    assert_eq!(status(room, UnixMillis(twice.0 + 1000)).await, 404);
}

/// Ada is in the lobby since `entered`, and had left before at `left`.
async fn assert_in_since(
    handlers: &Handlers,
    entered: UnixMillis,
    left: Option<UnixMillis>,
    now: UnixMillis,
) {
    let (_, ada) = handlers.get("/presence/zego/1/users/ada", "", now).await;
    assert_eq!(ada["sessions"][0]["entered_at"], entered.0, "{ada}");
    assert_eq!(ada["sessions"][0]["left_at"], Value::Null);
    assert_eq!(ada["sessions"][1]["left_at"].as_u64(), left.map(|left| left.0));
    let (_, room) = handlers.get("/presence/zego/1/rooms/lobby", "", now).await;
    assert_eq!(room["members"][0]["entered_at"], entered.0);
}
