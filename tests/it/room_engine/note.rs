//! The note that an app has a second track: who writes it, and how long it holds.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall::{domain::UnixMillis, providers::tencent::RoomEvent, store::Writer};
use rollcall_players::tencent::EventName::{LiveOnline, RoomCreate, RoomEnter, TrtcEnter};
use serde_json::Value;

use super::{APP, NOW, event, secret};
use crate::support::{
    Database, Handlers, OTHER_SECRET, Proxy, RETENTION, TABLE_NAME, client_of, dump, iam,
    tencent_secret,
};

const DAY: Duration = Duration::from_hours(24);
const LIMIT: Duration = Duration::from_secs(20);

/// A new process, which starts as the function does.
async fn process(proxy: &Proxy, now: UnixMillis) -> Handlers {
    let handlers = Handlers::on(&proxy.url);
    start(&handlers, now).await;
    handlers
}

async fn start(handlers: &Handlers, now: UnixMillis) {
    iam::acting_as("tencent-room-event", async {
        handlers.receiver.store.warm_up(LIMIT, now).await;
        handlers.receiver.warm_up::<RoomEvent>(LIMIT, now).await;
    })
    .await;
}

/// Ada enters a room of that name. Returns the operations of the function.
async fn enter(
    handlers: &Handlers,
    proxy: &Proxy,
    app: &str,
    room: &str,
    now: UnixMillis,
) -> Vec<String> {
    let mut entered = event(RoomEnter, 0);
    entered.options.time = Some(now.0);
    entered.now = now;
    let key = if app == APP { tencent_secret(RoomEnter) } else { secret(OTHER_SECRET) };
    app.clone_into(&mut entered.options.app);
    room.clone_into(&mut entered.options.room);
    proxy.take();
    let reply = handlers.deliver(&entered.callback(&key), now).await;
    assert_eq!((reply.status.as_u16(), reply.outcome), (200, Some("applied")), "{}", reply.body);
    proxy.take().into_iter().map(|request| request.operation).collect()
}

async fn note_of(database: &Database, app: &str) -> Option<u64> {
    let all = dump(&database.client).await;
    all.get(&format!("tencent#{app}#erasures second_track")).and_then(expiry)
}

/// From when on DynamoDB may delete an item, in seconds.
fn expiry(item: &Value) -> Option<u64> {
    Some(item.get("expires_at")?.as_str()?.parse().unwrap())
}

const ONE: [&str; 1] = ["UpdateItem"];
const TWO: [&str; 2] = ["UpdateItem", "UpdateItem"];

#[tokio::test]
async fn only_the_very_first_callback_of_an_app_is_two_requests() {
    let (database, proxy, first) = Handlers::observed().await;
    start(&first, NOW).await;
    // Two apps can prove such callbacks: their notes, and the number of shards.
    let reads: Vec<_> = proxy.take().into_iter().map(|request| request.operation).collect();
    assert_eq!(reads, ["GetItem"; 3]);
    assert_eq!(enter(&first, &proxy, APP, "a", NOW).await, TWO);
    assert_eq!(enter(&first, &proxy, APP, "b", NOW).await, ONE);

    let second = process(&proxy, NOW).await;
    assert_eq!(enter(&second, &proxy, APP, "c", NOW).await, ONE);
    // The other app has none.
    assert_eq!(note_of(&database, "1400000001").await, None);
    assert_eq!(enter(&second, &proxy, "1400000001", "a", NOW).await, TWO);
    assert_eq!(enter(&second, &proxy, "1400000001", "b", NOW).await, ONE);
    let third = process(&proxy, NOW).await;
    for app in [APP, "1400000001"] {
        assert!(note_of(&database, app).await.is_some());
        assert_eq!(enter(&third, &proxy, app, "d", NOW).await, ONE);
    }
}

#[tokio::test]
async fn a_note_that_will_not_outlive_what_is_stored_is_renewed_once() {
    let (database, proxy, first) = Handlers::observed().await;
    assert_eq!(enter(&first, &proxy, APP, "a", NOW).await, TWO);
    let written = note_of(&database, APP).await.unwrap();

    let in_a_week = NOW.after(7 * DAY);
    let still = process(&proxy, in_a_week).await;
    assert_eq!(enter(&still, &proxy, APP, "b", in_a_week).await, ONE);
    assert_eq!(note_of(&database, APP).await, Some(written));

    // Each of them knows only what it has read. The one that is second changes nothing.
    let later = in_a_week.after(Duration::from_secs(1));
    let renews = process(&proxy, later).await;
    assert_eq!(enter(&renews, &proxy, APP, "c", later).await, TWO);
    let renewed = note_of(&database, APP).await.unwrap();
    assert_eq!(renewed, written + (7 * DAY).as_secs() + 1);
    assert_eq!(enter(&first, &proxy, APP, "d", later).await, TWO);
    let third = process(&proxy, later).await;
    for (handlers, room) in [(&renews, "e"), (&first, "f"), (&third, "g")] {
        assert_eq!(enter(handlers, &proxy, APP, room, later.after(7 * DAY)).await, ONE);
    }
    assert_eq!(note_of(&database, APP).await, Some(renewed));
}

/// A start that cannot read the notes costs a request, and nothing else.
#[tokio::test]
async fn a_process_that_could_not_read_the_note_writes_it() {
    let (database, proxy, first) = Handlers::observed().await;
    enter(&first, &proxy, APP, "a", NOW).await;
    let written = note_of(&database, APP).await;
    proxy.refuse(|request| request.operation == "GetItem");
    let second = process(&proxy, NOW).await;
    proxy.refuse(|_| false);
    assert_eq!(enter(&second, &proxy, APP, "b", NOW).await, TWO);
    assert_eq!(note_of(&database, APP).await, written);
}

/// What an operator keeps for longer needs a note that holds for longer.
#[tokio::test]
async fn a_longer_retention_renews_the_note() {
    let (database, proxy, first) = Handlers::observed().await;
    enter(&first, &proxy, APP, "a", NOW).await;
    let written = note_of(&database, APP).await.unwrap();
    let mut longer = Handlers::on(&proxy.url);
    longer.receiver.store = Writer::new(client_of(&proxy.url), TABLE_NAME, 3 * RETENTION);
    start(&longer, NOW).await;
    assert_eq!(enter(&longer, &proxy, APP, "b", NOW).await, TWO);
    let renewed = note_of(&database, APP).await.unwrap();
    assert_eq!(renewed, written + 4 * RETENTION.as_secs());
    // The old one does not shorten it.
    assert_eq!(enter(&first, &proxy, APP, "c", NOW.after(8 * DAY)).await, TWO);
    assert_eq!(note_of(&database, APP).await, Some(renewed));
}

/// What DynamoDB's time to live may delete at a time, it deletes.
async fn expire(database: &Database, now: UnixMillis) {
    for item in dump(&database.client).await.into_values() {
        if expiry(&item).is_some_and(|at| at <= now.seconds().0) {
            let key = ["pk", "sk"].map(|name| {
                let text = item[name].as_str().unwrap().to_owned();
                (name.to_owned(), AttributeValue::S(text))
            });
            let delete = database.client.delete_item().table_name(TABLE_NAME);
            delete.set_key(Some(HashMap::from(key))).send().await.unwrap();
        }
    }
}

/// Whatever starts when, and whatever expires: nothing of the second track is there without a note, and
/// no note ends before what is stored under it.
#[tokio::test]
async fn a_note_outlives_whatever_is_stored_under_it() {
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (database, proxy, _) = Handlers::observed().await;
        let (mut now, mut processes, mut writes, mut under_a_note) = (NOW, Vec::new(), 0, 0);
        for step in 0..60 {
            let hours = if random.u8(..20) == 0 { random.u64(..2400) } else { random.u64(..72) };
            now = now.after(Duration::from_hours(hours));
            expire(&database, now).await;
            if processes.is_empty() || random.bool() {
                let handlers = Handlers::on(&proxy.url);
                if random.u8(..4) > 0 {
                    start(&handlers, now).await;
                }
                processes.push(handlers);
            }
            let handlers = random.choice(&processes).unwrap();
            let name = random.choice([RoomCreate, RoomEnter, LiveOnline, TrtcEnter]).unwrap();
            let mut event = event(name, 0);
            event.options.time = Some(now.0);
            event.options.room = format!("room-{step}");
            event.now = now;
            proxy.take();
            let reply = handlers.deliver(&event.callback(&tencent_secret(name)), now).await;
            assert_eq!((reply.status.as_u16(), reply.outcome), (200, Some("applied")));
            writes += proxy.take().len() - 1;

            let stored = dump(&database.client).await;
            let note = stored.get(&format!("tencent#{APP}#erasures second_track"));
            let note = note.and_then(expiry).unwrap_or_default();
            for (key, item) in stored.iter().filter(|(key, _)| key.contains("room_engine")) {
                assert!(note >= expiry(item).unwrap() + DAY.as_secs(), "{key}: {note}");
                under_a_note += 1;
            }
        }
        assert!(under_a_note > 100, "{under_a_note}");
        println!("{} processes wrote a note {writes} times", processes.len());
    }
}
