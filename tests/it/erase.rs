//! A person's own data, and its erasure.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use http::{Method, StatusCode};
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    callback::Secret,
    domain::UnixMillis,
    erase::Repeats,
    queue::Queue,
    record::Records,
    routes::ERASE,
    runtime::{self, erase_service},
    store::{self, ErasureList, Reader},
};
use rollcall_players::{
    Callback, openim,
    tencent::{self, EventName::ChatLogin},
    zego::{
        Event,
        EventName::{RoomLogin, RoomLogout},
    },
};
use serde_json::{Value, json};

use crate::support::{
    Database, Fault, Handlers, Moment, Outage, Proxy, SECRET, Sqs, TABLE_NAME, TestApp, apps, dump,
    gateway_event, iam, one_of_each, openim_event, tencent_event, tencent_secret, zego_event,
};

const APPS: [&str; 3] = ["zego/1", "openim/main", "tencent/1400000000"];

/// A quarter of an hour and a second, in ms.
const LATER: u64 = 901_000;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn bob(at: UnixMillis) -> Event {
    let (user, nickname) = ("bob".to_owned(), "Bob".to_owned());
    Event { user, nickname, ..zego_event(RoomLogin, at) }
}

async fn zego(handlers: &Handlers, event: &Event, now: UnixMillis) -> Option<&'static str> {
    handlers.deliver(&event.callback(&secret(SECRET), now.seconds(), "1"), now).await.outcome
}

async fn tencent(handlers: &Handlers, event: &tencent::Event) -> Option<&'static str> {
    let event = tencent::Event { now: runtime::now(), ..event.clone() };
    handlers.deliver(&event.callback(&tencent_secret(event.name)), event.now).await.outcome
}

/// Everything that is stored, without the erasures themselves.
async fn stored(database: &Database) -> Vec<(String, Value)> {
    let items = dump(&database.client).await;
    items.into_iter().filter(|(key, _)| !key.contains("#erasures ")).collect()
}

/// What is stored that names somebody anywhere, but for hashes, which may have any three digits.
async fn naming(database: &Database, user: &str) -> Vec<String> {
    let items = stored(database).await.into_iter();
    let without_hashes = |text: &str| -> String {
        let parts = text.split_inclusive(|letter: char| !letter.is_ascii_hexdigit());
        parts.filter(|part| part.len() < 64).collect()
    };
    let names = |item: &Value| without_hashes(&item.to_string().to_lowercase()).contains(user);
    items.filter(|(_, item)| names(item)).map(|(key, _)| key).collect()
}

/// Over HTTP, with every kind of item.
#[tokio::test]
async fn everything_about_a_person_can_be_read_and_then_erased() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let now = runtime::now();
    for callback in one_of_each(start, now) {
        assert_eq!(app.handlers.deliver(&callback, now).await.status, 200);
    }
    let bob = bob(start.plus(5));
    zego(&app.handlers, &bob, now).await;
    let mut kinds = BTreeSet::new();
    for of in APPS {
        let (status, data) = app.get(&format!("/users/{of}/ada")).await;
        assert_eq!(status, 200, "{data}");
        assert_eq!(app.get(&format!("/users/{of}?user=ada")).await.1["items"], data["items"]);
        let items = data["items"].as_array().unwrap();
        kinds.extend(items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()));
        assert_eq!(data["user"], "ada");

        let delete = app.http.delete(format!("{}/users/{of}/ada", app.url)).send().await.unwrap();
        let erased: Value = serde_json::from_str(&delete.text().await.unwrap()).unwrap();
        assert_eq!(erased["erased"], items.len(), "{erased}");
        assert_eq!(erased["complete"], true, "{erased}");
        for path in [
            format!("/users/{of}/ada"),
            format!("/presence/{of}/users/ada"),
            format!("/attendance/{of}/users/ada"),
            format!("/registrations/{of}/users/ada"),
        ] {
            assert_eq!(app.get(&path).await.0, 404, "{path}");
        }
        let (_, list) = app.get(&format!("/erasures/{of}")).await;
        let [erasure] = &list["erasures"].as_array().unwrap()[..] else { panic!("{list}") };
        assert_eq!(erasure["items"], items.len(), "{list}");
        assert_eq!(erasure["at"], erased["at"]);
        assert_eq!(erasure["hash"].as_str().unwrap().len(), 64, "{list}");
        assert_eq!(list["next"], Value::Null);

        // It is the same when it is requested again.
        let delete = app.http.delete(format!("{}/users/{of}?user=ada", app.url)).send();
        let again: Value =
            serde_json::from_str(&delete.await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!((&again["erased"], &again["complete"]), (&json!(0), &json!(true)));
        let (_, list) = app.get(&format!("/erasures/{of}")).await;
        assert_eq!(list["erasures"][0]["items"], items.len(), "{list}");
    }
    let all = ["device", "month", "registration", "seat", "sessions"];
    assert_eq!(kinds, all.map(str::to_owned).into());
    assert_eq!(naming(&app.database, "ada").await, Vec::<String>::new());
    assert_eq!(app.members("lobby").await, Vec::<String>::new(), "the room is closed");
    assert_eq!(app.user("bob").await["sessions"][0]["room"], "lobby", "bob is still there");
    assert_eq!(app.handlers.take_repeats().len(), 6, "one for each request");
}

/// The answer says what every attribute of an item is, in words.
#[tokio::test]
async fn the_items_say_what_is_stored() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = runtime::now();
    let login = zego_event(RoomLogin, start.plus(0));
    let logout =
        Event { name: RoomLogout, at: start.plus(10), sequence: 2, reason: 1, ..login.clone() };
    for event in [&login, &logout] {
        zego(&handlers, event, now).await;
    }
    let (_, data) = handlers.get("/users/zego/1/ada", "", now).await;
    let event = |event: &str, at: u64, sequence: u64, reason: Value| {
        json!({
            "event": event, "at": start.0 + at, "session_began_at": start.0,
            "session": "100000000000000001", "sequence": sequence, "role": "audience",
            "reason": reason
        })
    };
    let retention = 30 * 24 * 60 * 60 * 1000;
    assert_eq!(
        data["items"],
        json!([{
            "kind": "seat", "room": "lobby", "life": "7", "track": null, "name": "Ada",
            "details": {}, "observations": [],
            "marks": [event("enter", 0, 1, Value::Null),
                      event("leave", 10, 2, json!("heartbeat_timeout"))],
            "expires_at": (now.0 / 1000) * 1000 + retention
        }])
    );
    tencent(&handlers, &tencent_event(ChatLogin, start.plus(7))).await;
    let (_, data) = handlers.get("/users/tencent/1400000000/ada", "", now).await;
    let [device, month, registration] = &data["items"].as_array().unwrap()[..] else {
        panic!("{data}")
    };
    assert_eq!(device["online_at"], start.0 + 7, "{data}");
    assert_eq!(device["counted_month"], month["month"], "{data}");
    assert_eq!(month["login_at"], start.0 + 7, "{data}");
    assert_eq!(registration["registration"]["registered_at"], start.0 + 7, "{data}");
    assert_eq!(registration["expires_at"], Value::Null, "{data}");
}

#[tokio::test]
async fn a_persons_data_comes_page_by_page() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = runtime::now();
    for number in 0..7 {
        let room = format!("room{number}");
        zego(&handlers, &Event { room, ..zego_event(RoomLogin, start.plus(number)) }, now).await;
    }
    let (_, all) = handlers.get("/users/zego/1/ada", "", now).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 7);
    let (mut found, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let (_, mut page) = handlers.get("/users/zego/1/ada", &query, now).await;
        let items = page["items"].take();
        assert!(items.as_array().unwrap().len() <= 2);
        found.extend(items.as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&next={next}");
    }
    assert_eq!(json!(found), all["items"]);

    for number in 0..5 {
        let query = format!("user=u{number}");
        assert_eq!(handlers.erase("/users/zego/1", &query, now).await.0, 200);
    }
    let (_, all) = handlers.get("/erasures/zego/1", "", now).await;
    let hashes = |list: &Value| -> Vec<String> {
        let erasures = list["erasures"].as_array().unwrap().iter();
        erasures.map(|erasure| erasure["hash"].as_str().unwrap().to_owned()).collect()
    };
    let (mut found, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let (_, page) = handlers.get("/erasures/zego/1", &query, now).await;
        found.extend(hashes(&page));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&next={next}");
    }
    assert_eq!(found.len(), 5);
    assert_eq!(found, hashes(&all));
    for list in ["/users/zego/1/ada", "/erasures/zego/1"] {
        for query in ["next=x", "next=eyJhZnRlciI6MX0", "limit=0", "limit=1001"] {
            assert_eq!(handlers.get(list, query, now).await.0, 400, "{list}?{query}");
        }
        // A cursor that somebody made up is a place like any other.
        for after in ["", "\u{0}", "zzz", "seat#\u{10ffff}"] {
            let next = json!({ "after": after }).to_string();
            let next = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, next);
            let (status, answer) = handlers.get(list, &format!("next={next}"), now).await;
            assert_eq!(status, 200, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_request_that_names_nobody_erases_nothing() {
    let app = TestApp::start().await;
    let now = runtime::now();
    zego(&app.handlers, &zego_event(RoomLogin, now), now).await;
    let before = dump(&app.database.client).await;
    let long = "u".repeat(256);
    for (path, status, text) in [
        ("/users/zego/1".to_owned(), 400, "`user` is missing"),
        ("/users/zego/1?user=".to_owned(), 400, "`user` is empty"),
        (format!("/users/zego/1?user={long}"), 400, "`user` is longer than 255 bytes"),
        (format!("/users/zego/{long}/ada"), 400, "`app` is longer than 255 bytes"),
        ("/users/zego//ada".to_owned(), 400, "`app` is empty"),
        ("/users/zego/1/".to_owned(), 400, "`user` is empty"),
        ("/users/zego/1?user=ad%FF".to_owned(), 400, "`user` is not valid Unicode"),
        ("/users/zego/1/ad%FF".to_owned(), 400, "`user` is not valid Unicode"),
        ("/users/agora/1/ada".to_owned(), 404, "there is no such provider"),
        ("/users/zego/1/ada/x".to_owned(), 404, "there is no such route"),
        ("/users/zego/1/a/d/a".to_owned(), 404, "there is no such route"),
        ("/users/zego".to_owned(), 404, "there is no such route"),
        ("/presence/zego/1/users/ada".to_owned(), 404, "there is no such route"),
        ("/erasures/zego/1".to_owned(), 404, "there is no such route"),
    ] {
        let answer = app.http.delete(format!("{}{path}", app.url)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let answer = answer.text().await.unwrap();
        assert!(answer.contains(text), "{path}: {answer}");
    }
    for method in [Method::POST, Method::PUT, Method::PATCH] {
        let url = format!("{}/users/zego/1/ada", app.url);
        let answer = app.http.request(method.clone(), url).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method}");
    }
    assert_eq!(dump(&app.database.client).await, before);
    assert!(app.handlers.take_repeats().is_empty());
}

/// Promise 7: ids with any characters, and the same id in another app.
#[tokio::test]
async fn promise_7_isolated_an_erasure_is_of_one_person_in_one_app() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let now = runtime::now();
    let users = ["ada", "ada#", "a/d", "a%64a", "ad", "ada seat#lobby#", "😀", "#", "ada\u{0}"];
    for user in users {
        for (app, key) in [("1", SECRET), ("2", crate::support::OTHER_SECRET)] {
            let (user, app) = (user.to_owned(), app.to_owned());
            let login = Event { user, app, ..zego_event(RoomLogin, now) };
            handlers.deliver(&login.callback(&secret(key), now.seconds(), "1"), now).await;
        }
    }
    let mut hashes = BTreeSet::new();
    let mut left = 2 * users.len();
    for user in users {
        let user = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
        let query = format!("user={user}");
        let (_, erased) = handlers.erase("/users/zego/1", &query, now).await;
        assert_eq!(erased["erased"], 1, "{query}");
        left -= 1;
        assert_eq!(stored(&database).await.len(), left);
        assert_eq!(handlers.get("/users/zego/1", &query, now).await.0, 404);
        assert_eq!(handlers.get("/users/zego/2", &query, now).await.0, 200);
    }
    handlers.erase("/users/zego/2", "user=ada", now).await;
    for app in ["1", "2"] {
        let (_, list) = handlers.get(&format!("/erasures/zego/{app}"), "", now).await;
        for erasure in list["erasures"].as_array().unwrap() {
            assert!(hashes.insert(erasure["hash"].to_string()), "an app has its own key");
        }
    }
    assert_eq!(hashes.len(), users.len() + 1);
}

/// A callback sends one request, whether or not its person was erased. A query sends one more, at
/// most every five seconds.
#[tokio::test]
async fn an_erasure_costs_callbacks_nothing_and_queries_one_request_in_five_seconds() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let start = Moment::recent();
    let now = runtime::now();
    let login = zego_event(RoomLogin, start.plus(0));
    zego(&handlers, &login, now).await;
    assert_eq!(handlers.erase("/users/zego/1/ada", "", now).await.0, 200);
    proxy.take();
    let newer = Event { sequence: 2, ..zego_event(RoomLogin, UnixMillis(now.0 + 1)) };
    let newer = Event { session: "100000000000000002".to_owned(), ..newer };
    for event in [&newer, &newer] {
        zego(&handlers, event, now).await;
        let seen = proxy.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }

    let client = store::connect(&iam::config(&proxy.url), Duration::from_secs(10));
    let reader = Reader::new(client, TABLE_NAME);
    let records = Records::new(reader, ErasureList::FRESH_FOR);
    let queries = rollcall::query::Queries { records, ..handlers.queries.clone() };
    let cached = Handlers { queries, ..handlers.clone() };
    let lists = async |at: UnixMillis| {
        proxy.take();
        assert_eq!(cached.get("/presence/zego/1/users/ada", "", at).await.0, 200);
        proxy.take().iter().filter(|request| request.body.contains("#erasures")).count()
    };
    assert_eq!(lists(now.after(Duration::from_secs(1))).await, 1);
    assert_eq!(lists(now.after(Duration::from_millis(5999))).await, 0);
    assert_eq!(lists(now.after(Duration::from_secs(6))).await, 1);
}

/// "The earliest wins" must not let a late login of before keep a new one from being recorded.
#[tokio::test]
async fn somebody_who_comes_back_is_registered_and_counted_again() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let login = |ms| tencent_event(ChatLogin, start.plus(ms));
    tencent(&handlers, &login(0)).await;
    let (_, erased) = handlers.erase("/users/tencent/1400000000/ada", "", start.plus(1000)).await;
    assert_eq!(erased["at"], start.0 + 1000);
    assert_eq!(erased["erased"], 3, "device, month and registration: {erased}");
    let usage = async || {
        let now = runtime::now();
        let (_, usage) = handlers.get("/usage/tencent/1400000000", "", now).await;
        usage["active_users"].as_u64().unwrap()
    };
    assert_eq!(usage().await, 0, "a month's number falls");
    // A login of before comes late, and then a new one.
    tencent(&handlers, &login(500)).await;
    let registration = "/registrations/tencent/1400000000/users/ada";
    let presence = "/presence/tencent/1400000000/users/ada";
    let now = runtime::now();
    assert_eq!(handlers.get(presence, "", now).await.0, 404);
    tencent(&handlers, &login(2000)).await;
    assert_eq!(handlers.get(presence, "", now).await.1["online"], true);
    assert_eq!(handlers.get(registration, "", now).await.0, 404, "until the second pass");
    for repeat in handlers.take_repeats() {
        handlers.repeat(&repeat, start.plus(LATER)).await.unwrap();
    }
    let (_, registered) = handlers.get(registration, "", now).await;
    assert_eq!(registered["registered_at"], start.0 + 2000, "{registered}");
    assert_eq!(usage().await, 1);
    let (_, data) = handlers.get("/users/tencent/1400000000/ada", "", now).await;
    assert_eq!(data["items"][1]["login_at"], start.0 + 2000, "{data}");
    // The next login says again that both are done.
    tencent(&handlers, &login(3000)).await;
    let (_, data) = handlers.get("/users/tencent/1400000000/ada", "", now).await;
    assert_eq!(data["items"][0]["counted_month"], data["items"][1]["month"], "{data}");
    assert_eq!(usage().await, 1);
}

/// A provider's clock may be ahead of ours by ten minutes: what was there is gone all the same.
#[tokio::test]
async fn an_erasure_covers_everything_that_it_finds() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let now = runtime::now();
    let ahead = UnixMillis(now.0 + 500_000);
    assert_eq!(zego(&handlers, &zego_event(RoomLogin, ahead), now).await, Some("applied"));
    let (_, erased) = handlers.erase("/users/zego/1/ada", "", now).await;
    assert_eq!((&erased["erased"], &erased["at"]), (&json!(1), &json!(ahead.0)));
    assert!(stored(&database).await.is_empty());
    // The same callback comes again.
    zego(&handlers, &zego_event(RoomLogin, ahead), now).await;
    assert_eq!(handlers.get("/presence/zego/1/users/ada", "", now).await.0, 404);
    let (_, room) = handlers.get("/presence/zego/1/rooms/lobby", "", now).await;
    assert_eq!(room["error"]["code"], "not_found", "nobody else was in it");
    // A logout of that session says nothing new either, though it is newer.
    let logout = Event {
        name: RoomLogout,
        at: UnixMillis(ahead.0 + 1),
        sequence: 2,
        ..zego_event(RoomLogin, ahead)
    };
    zego(&handlers, &logout, now).await;
    assert_eq!(handlers.get("/attendance/zego/1/users/ada", "", now).await.0, 404);
}

#[tokio::test]
async fn what_cannot_be_erased_in_time_is_erased_when_it_is_requested_again() {
    let (database, proxy, mut handlers) = Handlers::observed().await;
    let now = runtime::now();
    for number in 0..40 {
        let room = format!("room{number}");
        zego(&handlers, &Event { room, ..zego_event(RoomLogin, now) }, now).await;
    }
    handlers.erase.limit = Duration::from_millis(1500);
    proxy.faults(|request| {
        (request.operation == "DeleteItem").then_some(Fault::Slow(Duration::from_secs(2)))
    });
    let (status, first) = handlers.erase("/users/zego/1/ada", "", now).await;
    assert_eq!((status.as_u16(), &first["complete"]), (200, &json!(false)), "{first}");
    let erased = first["erased"].as_u64().unwrap();
    assert!((1..40).contains(&erased), "{first}");
    // What is left is not there any more, to all readers.
    assert_eq!(handlers.get("/users/zego/1/ada", "", now).await.0, 404);
    proxy.break_with(None);
    let (_, second) = handlers.erase("/users/zego/1/ada", "", now).await;
    assert_eq!((&second["complete"], &second["erased"]), (&json!(true), &json!(40 - erased)));
    assert!(stored(&database).await.is_empty());
    let (_, list) = handlers.get("/erasures/zego/1", "", now).await;
    assert_eq!(list["erasures"][0]["items"], 40);
}

#[tokio::test]
async fn an_erasure_that_cannot_be_noted_or_repeated_is_refused() {
    let (database, proxy, mut handlers) = Handlers::observed().await;
    let now = runtime::now();
    zego(&handlers, &zego_event(RoomLogin, now), now).await;
    let before = stored(&database).await;
    proxy.refuse(|_| true);
    let (status, answer) = handlers.erase("/users/zego/1/ada", "", now).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &json!("unavailable")));
    proxy.break_with(None);
    // The queue does not answer: nothing is deleted without a second pass to come.
    let sqs = Sqs::start().await;
    let queue = sqs.queue("EraseQueue").await;
    let sqs = Proxy::before(&sqs.url).await;
    handlers.erase.repeats =
        Repeats::Queue(Box::new(Queue::new(&iam::config(&sqs.url), &queue.url)));
    handlers.erase.limit = Duration::from_secs(5);
    sqs.refuse(|_| true);
    assert_eq!(handlers.erase("/users/zego/1/ada", "", now).await.0, 503);
    assert_eq!(stored(&database).await, before);
    sqs.break_with(None);
    assert_eq!(handlers.erase("/users/zego/1/ada", "", now).await.0, 200);
    assert_eq!(queue.receive().await.len(), 1);
}

/// The function as Lambda calls it: with a request, and with the messages of its queue.
#[tokio::test]
async fn the_function_takes_requests_and_the_messages_that_make_it_erase_again() {
    let (database, proxy, mut handlers) = Handlers::observed().await;
    let sqs = Sqs::start().await;
    let mut queue = sqs.queue("EraseQueue").await;
    handlers.erase.repeats =
        Repeats::Queue(Box::new(Queue::new(&iam::config(&sqs.url), &queue.url)));
    let mut function = erase_service(handlers.erase.clone());
    let mut invoke = async |event: Value| {
        let mut context = Context::default();
        context.deadline = runtime::now().after(Duration::from_secs(20)).0;
        let answering = function.call(LambdaEvent::new(event, context));
        iam::acting_as(ERASE, answering).await.unwrap()
    };
    let now = runtime::now();
    let login = zego_event(RoomLogin, now.before(Duration::from_secs(1)));
    zego(&handlers, &login, now).await;
    let answer = invoke(gateway_event("DELETE", "/users/zego/1/ada", "", None)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["erased"], &body["user"]), (&json!(1), &json!("ada")));
    // The login comes again, and is erased by the message.
    zego(&handlers, &login, now).await;
    assert_eq!(stored(&database).await.len(), 1);
    proxy.refuse(|_| true);
    assert_eq!(queue.poll(async |event| Some(invoke(event).await)).await, (1, 1), "it stays");
    proxy.break_with(None);
    queue.let_time_pass().await;
    assert_eq!(queue.poll(async |event| Some(invoke(event).await)).await, (1, 0));
    assert!(stored(&database).await.is_empty());
    let (_, list) = handlers.get("/erasures/zego/1", "", now).await;
    assert_eq!(list["erasures"][0]["items"], 2);
    queue.send("nonsense").await;
    assert_eq!(queue.poll(async |event| Some(invoke(event).await)).await, (1, 1));
}

/// What waited in the spill queue is dropped if it is older than an erasure.
#[tokio::test]
async fn a_spilled_callback_does_not_bring_an_erased_person_back() {
    let mut outage = Outage::start(Duration::from_secs(10)).await;
    let start = Moment::recent();
    let now = start.plus(30_000);
    outage.store.refuse(|_| true);
    for callback in one_of_each(start, now) {
        assert_eq!(outage.handlers.deliver(&callback, now).await.outcome, Some("spilled"));
    }
    let bob = bob(start.plus(5));
    assert_eq!(zego(&outage.handlers, &bob, now).await, Some("spilled"));
    let erased_at = start.plus(31_000);
    let newer =
        Event { room: "library".to_owned(), ..zego_event(RoomLogin, UnixMillis(erased_at.0 + 1)) };
    assert_eq!(zego(&outage.handlers, &newer, runtime::now()).await, Some("spilled"));
    outage.store.break_with(None);
    for of in APPS {
        let path = format!("/users/{of}/ada");
        assert_eq!(outage.handlers.erase(&path, "", erased_at).await.0, 200);
    }
    // As long as it is not known who was erased, the messages stay.
    outage.store.refuse(|request| request.body.contains("#erasures"));
    let (messages, stayed) = outage.poll_within(Duration::from_secs(20)).await;
    assert!(messages > 0 && stayed == messages, "{stayed} of {messages}");
    outage.store.break_with(None);
    outage.queue.let_time_pass().await;
    outage.replay_all().await;
    let named = naming(&outage.database, "ada").await;
    assert_eq!(named, ["zego#1#user#ada seat#library#7"]);
    // His seat, and that his profile changed.
    assert_eq!(naming(&outage.database, "bob").await.len(), 2);
}

/// Items from before creators were hashed, and from before a month said which login it is about.
#[tokio::test]
async fn what_an_older_version_stored_is_read_and_erased() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let now = runtime::now();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: u64| AttributeValue::N(number.to_string());
    let row = format!("{:016}#1#ada", start.0 + 100);
    let room = "tencent#1400000000#room#lobby";
    let created = [
        ("pk", text(room)),
        ("sk", text(&format!("boundary#{row}"))),
        ("gsi1pk", text(&format!("{room}#lives"))),
        ("gsi1sk", text(&row)),
        ("created_at", number(start.0 + 100)),
        ("creator", text("ada")),
        ("expires_at", number(now.seconds().0 + 1000)),
    ];
    let four_hundred_days = 400 * 24 * 60 * 60;
    let month = [
        ("pk", text("tencent#1400000000#user#ada")),
        ("sk", text("month#2026-08")),
        ("gsi1pk", text("tencent#1400000000#month#2026-08#4")),
        ("gsi1sk", text("ada")),
        ("expires_at", number(start.0 / 1000 + four_hundred_days)),
    ];
    for item in [created.to_vec(), month.to_vec()] {
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let put = database.client.put_item().table_name(TABLE_NAME).set_item(Some(item));
        put.send().await.unwrap();
    }
    for (user, ms) in [("ada", 99), ("ghost", 50)] {
        let event = tencent_event(tencent::EventName::TrtcEnter, start.plus(ms));
        let options = tencent::Options { user: user.to_owned(), ..event.options };
        tencent(&handlers, &tencent::Event { options, ..event }).await;
    }
    let (_, lobby) = handlers.get("/presence/tencent/1400000000/rooms/lobby", "", now).await;
    assert_eq!(crate::support::names(&lobby), ["ada"], "a creation spares its creator");
    let (_, data) = handlers.get("/users/tencent/1400000000/ada", "", now).await;
    assert_eq!(data["items"][0]["month"], "2026-08", "{data}");
    assert_eq!(data["items"][0]["login_at"], Value::Null, "{data}");
    let (_, erased) = handlers.erase("/users/tencent/1400000000/ada", "", now).await;
    assert_eq!(erased["erased"], 2, "{erased}");
}

/// The creator of a TRTC room is not named by what is stored now.
#[tokio::test]
async fn a_trtc_rooms_creator_is_stored_as_a_hash() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let created = tencent_event(tencent::EventName::TrtcCreate, Moment::recent().plus(0));
    assert_eq!(tencent(&handlers, &created).await, Some("applied"));
    assert_eq!(tencent(&handlers, &created).await, Some("duplicate"));
    assert_eq!(stored(&database).await.len(), 1);
    assert_eq!(naming(&database, "ada").await, Vec::<String>::new());
}

/// OpenIM never registers an id again: a registration that comes late is one of before.
#[tokio::test]
async fn a_late_registration_of_openims_is_erased_by_the_second_pass() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let start = Moment::recent();
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let mut registration = openim_event(openim::EventName::UserRegister, start.plus(0));
    registration.options.create_time = start.0;
    let erased_at = start.plus(1000);
    let (status, _) = handlers.erase("/users/openim/main/ada", "", erased_at).await;
    assert_eq!(status, StatusCode::OK);
    handlers.deliver(&registration.callback(&credentials), start.plus(2000)).await;
    let path = "/registrations/openim/main/users/ada";
    assert_eq!(handlers.get(path, "", start.plus(3000)).await.0, 404);
    let (_, list) = handlers.get("/registrations/openim/main", "", start.plus(3000)).await;
    assert_eq!(list["registrations"], json!([]));
    for repeat in handlers.take_repeats() {
        handlers.repeat(&repeat, start.plus(LATER)).await.unwrap();
    }
    assert!(stored(&database).await.is_empty());
}

/// The ends of three visits, of which two began before the erasure and one after it, in the words of
/// each provider that does not name sessions. Returns the path of the person, what they did before,
/// the end, and the beginning that belongs to it.
fn visits_without_names(start: Moment) -> [(&'static str, Callback, Callback, Callback); 5] {
    use openim::EventName::{UserOffline, UserOnline};
    use tencent::EventName::{
        ChatLogout, LiveOffline, LiveOnline, RoomEnter, RoomLeave, TrtcEnter, TrtcExit,
    };
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let openim = |name, ms| openim_event(name, start.plus(ms)).callback(&credentials);
    let tencent = |name: tencent::EventName, ms| {
        let event = tencent_event(name, start.plus(ms));
        tencent::Event { now: runtime::now(), ..event }.callback(&tencent_secret(name))
    };
    [
        (
            "openim/main/ada",
            openim(UserOnline, 0),
            openim(UserOffline, 3000),
            openim(UserOnline, 2000),
        ),
        (
            "tencent/1400000000/ada",
            tencent(ChatLogin, 0),
            tencent(ChatLogout, 3000),
            tencent(ChatLogin, 2000),
        ),
        (
            "tencent/1400000000/ada",
            tencent(TrtcEnter, 0),
            tencent(TrtcExit, 3000),
            tencent(TrtcEnter, 2000),
        ),
        (
            "tencent/1400000000/ada",
            tencent(RoomEnter, 0),
            tencent(RoomLeave, 3000),
            tencent(RoomEnter, 2000),
        ),
        (
            "tencent/1400000000/ada",
            tencent(LiveOnline, 0),
            tencent(LiveOffline, 3000),
            tencent(LiveOnline, 2000),
        ),
    ]
}

/// A beginning that waited in the spill queue comes after the second pass, and its end came before.
#[tokio::test]
async fn an_end_waits_for_its_beginning_beyond_the_second_pass() {
    let start = Moment::recent();
    for (path, before, end, beginning) in visits_without_names(start) {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        let now = runtime::now();
        handlers.deliver(&before, now).await;
        assert_eq!(
            handlers.erase(&format!("/users/{path}"), "", start.plus(1000)).await.0,
            StatusCode::OK
        );
        assert_eq!(handlers.deliver(&end, now).await.outcome, Some("applied"));
        let [repeat] = &handlers.take_repeats()[..] else { panic!("one request, one repeat") };
        handlers.repeat(repeat, start.plus(LATER)).await.unwrap();
        assert_eq!(handlers.get(&format!("/users/{path}"), "", now).await.0, 404, "{path}");
        handlers.deliver(&beginning, now).await;
        let (app, user) = path.rsplit_once('/').unwrap();
        let (status, presence) =
            handlers.get(&format!("/presence/{app}/users/{user}"), "", start.plus(LATER)).await;
        assert_eq!((status.as_u16(), &presence["online"]), (200, &json!(false)), "{presence}");
        assert_eq!(presence["sessions"][0]["left_at"], start.0 + 3000, "{presence}");
        // The next pass finds nothing that waits, and leaves the visit.
        let [repeat] = &handlers.take_repeats()[..] else { panic!("{path}: nothing looks again") };
        handlers.repeat(repeat, start.plus(2 * LATER)).await.unwrap();
        assert!(handlers.take_repeats().is_empty(), "{path}");
        assert_eq!(handlers.get(&format!("/users/{path}"), "", now).await.0, 200, "{path}");
    }
}

/// An end whose beginning does not come is of a visit from before: the person's data goes in the end.
#[tokio::test]
async fn an_end_that_waited_for_a_day_is_erased() {
    let start = Moment::recent();
    let day: u64 = 24 * 60 * 60 * 1000;
    for (path, before, end, _) in visits_without_names(start) {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        let now = runtime::now();
        handlers.deliver(&before, now).await;
        handlers.erase(&format!("/users/{path}"), "", start.plus(1000)).await;
        handlers.deliver(&end, now).await;
        let (mut passes, mut at) = (0_u64, LATER);
        loop {
            let repeats = handlers.take_repeats();
            let [repeat] = &repeats[..] else { break };
            assert_eq!(stored(&database).await.len(), 1, "{path}: it waits");
            handlers.repeat(repeat, start.plus(at)).await.unwrap();
            (passes, at) = (passes + 1, at + LATER);
        }
        // The end is of 3 s after the start.
        assert_eq!(passes, (3000 + day).div_ceil(LATER), "{path}");
        assert!(stored(&database).await.is_empty(), "{path}");
        let (app, _) = path.rsplit_once('/').unwrap();
        let (_, list) = handlers.get(&format!("/erasures/{app}"), "", now).await;
        assert!(list["erasures"][0]["items"].as_u64() >= Some(2), "{list}");
    }
}
