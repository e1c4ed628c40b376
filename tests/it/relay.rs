//! Function `relay`: records of the stream in, events out, over HTTP to a bus.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::StatusCode;
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    callback::Secret,
    relay::{Event, EventBus, Relay, events},
    routes::RELAY,
    runtime::{self, StreamEvent, relay_service},
    store::StreamRecord,
};
use rollcall_players::zego::{self, EventName};
use serde_json::{Value, json};

use crate::histories::{
    copy::Copy,
    relay::{erasures, live_rooms},
};
use crate::support::{
    BUS, EventBridge, Fault, Handlers, Moment, Proxy, SECRET, Simulated, iam, one_of_each,
    zego_event,
};

const LIMIT: Duration = Duration::from_secs(5);

/// The records of one callback of each type.
pub(crate) async fn records() -> (Simulated, Vec<Value>) {
    let store = Simulated::default();
    let handlers = Handlers::with(store.client());
    let now = runtime::now();
    for callback in one_of_each(Moment::recent(), now) {
        let reply = handlers.deliver(&callback, now).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    }
    let records = store.stream(0);
    (store, records)
}

/// The events of records, as the backend gets them.
pub(crate) fn events_of(records: &[Value]) -> Vec<Value> {
    let of = |record: &Value| -> Vec<Event> {
        events(&serde_json::from_value::<StreamRecord>(record.clone()).unwrap()).unwrap()
    };
    records.iter().flat_map(of).map(|event| serde_json::to_value(event).unwrap()).collect()
}

/// Invokes the function with these records; returns the numbers of those to be delivered again.
pub(crate) async fn invoke(
    store: &Simulated,
    url: &str,
    records: &[Value],
    limit: Duration,
) -> Vec<String> {
    let bus = EventBus::new(&iam::config(url), BUS, LIMIT);
    let live = live_rooms(store);
    let mut function = relay_service(Relay { bus, erasures: erasures(store), live, checks: None });
    let event: StreamEvent = serde_json::from_value(json!({ "Records": records })).unwrap();
    let mut context = Context::default();
    context.deadline = runtime::now().after(limit).0;
    let relaying = function.call(LambdaEvent::new(event, context));
    let answer = iam::acting_as(RELAY, relaying).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn promise_9_reported_each_fact_goes_to_the_bus_as_one_entry() {
    let (store, records) = records().await;
    let bus = EventBridge::start().await;
    assert_eq!(invoke(&store, &bus.url, &records, LIMIT).await, [""; 0]);
    let Some(entries) = bus.take() else { return };
    let mut sent: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let event: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            assert_eq!(entry["Source"], "rollcall");
            assert_eq!(entry["DetailType"], event["type"]);
            let app = [&event["provider"], &event["app"]].map(|name| name.as_str().unwrap());
            assert_eq!(entry["Resources"], json!([app.join("/")]));
            event
        })
        .collect();
    let mut expected = events_of(&records);
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    sent.sort_by_key(id);
    expected.sort_by_key(id);
    assert_eq!(sent, expected);
    let types: BTreeSet<&str> = sent.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let all = [
        "device.offline",
        "device.online",
        "presence.changed",
        "presence.entered",
        "presence.left",
        "room.closed",
        "room.opened",
        "user.changed",
        "user.registered",
    ];
    assert_eq!(
        types.into_iter().collect::<Vec<_>>(),
        all,
        "one callback of each type has them all"
    );
}

#[tokio::test]
async fn promise_9_reported_what_a_bus_refuses_is_sent_again() {
    let (store, records) = records().await;
    let bus = EventBridge::start().await;
    if !bus.refuse(7) {
        return;
    }
    assert_eq!(invoke(&store, &bus.url, &records, LIMIT).await, [""; 0]);
    assert_eq!(bus.take().unwrap().len(), events_of(&records).len(), "each is taken once");
}

#[tokio::test]
async fn promise_9_reported_records_are_delivered_again_while_a_bus_is_down() {
    let (store, records) = records().await;
    let bus = EventBridge::start().await;
    let proxy = Proxy::before(&bus.url).await;
    let with_events: Vec<String> = records
        .iter()
        .filter(|record| !events_of(std::slice::from_ref(record)).is_empty())
        .map(number)
        .collect();
    for fault in [Fault::internal_error(), Fault::Hang, Fault::Reset] {
        proxy.break_with(Some(fault));
        let kept = invoke(&store, &proxy.url, &records, Duration::from_millis(800)).await;
        assert_eq!(kept, with_events, "{fault:?}");
    }
    proxy.break_with(None);
    assert_eq!(invoke(&store, &proxy.url, &records, LIMIT).await, [""; 0]);
    // A bus that is gone, or that the function may not use.
    let kept = invoke(&store, "http://127.0.0.1:9", &records, Duration::from_millis(500)).await;
    assert_eq!(kept, with_events);
}

/// It is tried again and then given up, with the record itself. It holds up no others.
#[tokio::test]
async fn promise_9_reported_a_record_that_cannot_be_read_does_not_affect_the_others() {
    let (store, mut records) = records().await;
    let bus = EventBridge::start().await;
    let seat = |record: &Value| record["dynamodb"]["NewImage"]["marks"].is_object();
    let broken = records.iter().position(seat).unwrap();
    let all = events_of(&records).len();
    records[broken]["dynamodb"]["NewImage"]["marks"] = json!({ "BS": ["AAAA"] });
    let without = events_of(&[&records[..broken], &records[broken + 1..]].concat()).len();
    assert!(without < all);
    for newer in [json!({ "BS": ["AAAA"] }), json!({ "XS": [] }), json!(7)] {
        records[broken]["dynamodb"]["NewImage"]["marks"] = newer;
        assert_eq!(invoke(&store, &bus.url, &records, LIMIT).await, [number(&records[broken])]);
        assert!(bus.take().is_none_or(|taken| taken.len() == without));
    }
}

/// Each item of a person that is deleted on request is one event. What DynamoDB's TTL deletes is
/// none, and neither is an item of a room.
#[tokio::test]
async fn promise_9_reported_an_erasure_is_reported_and_an_expiry_is_not() {
    let (store, before) = records().await;
    let key = |item: &crate::support::Item| {
        ["pk", "sk"].map(|name| item[name]["S"].as_str().unwrap().to_owned())
    };
    let keys: Vec<[String; 2]> = store.items().iter().map(key).collect();
    let mut people = 0;
    for (place, [pk, sk]) in keys.iter().enumerate() {
        store.delete([pk, sk], place % 2 == 0);
        people += usize::from(place % 2 == 1 && pk.contains("#user#"));
    }
    assert!(people > 2);
    let erased = events_of(&store.stream(before.len()));
    assert_eq!(erased.len(), people);
    for event in erased {
        assert_eq!(event["type"], "user.erased");
        let user = event["user"].as_str().unwrap();
        assert!(
            event["href"].as_str().unwrap().ends_with(&format!("/users?user={user}")),
            "{event}"
        );
    }
}

/// Records that wait while the bus is down do not name a person who is erased meanwhile. The
/// erasure itself is reported, and so is what comes later.
#[tokio::test]
async fn promise_9_reported_nothing_goes_on_that_an_erasure_covers() {
    let (store, before) = records().await;
    let handlers = Handlers::with(store.client());
    let people: BTreeSet<String> = events_of(&before)
        .iter()
        .filter_map(|event| {
            let [provider, app, user] =
                ["provider", "app", "user"].map(|name| event[name].as_str());
            Some(format!("/users/{}/{}/{}", provider?, app?, user?))
        })
        .collect();
    let now = runtime::now();
    for path in &people {
        assert_eq!(handlers.erase(path, "", now).await.0, StatusCode::OK, "{path}");
    }
    // Somebody who comes back is reported again.
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let back = now.after(Duration::from_secs(1));
    let login = zego_event(EventName::RoomLogin, back);
    let reply = handlers.deliver(&login.callback(&secret, back.seconds(), "back"), back).await;
    assert_eq!(reply.outcome, Some("applied"));

    let bus = EventBridge::start().await;
    let all = store.stream(0);
    assert_eq!(invoke(&store, &bus.url, &all, LIMIT).await, [""; 0]);
    let Some(entries) = bus.take() else { return };
    let mut erased = BTreeSet::new();
    let mut of_people = Vec::new();
    for entry in &entries {
        let event: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
        let name = |name: &str| event[name].as_str().map(str::to_owned);
        let Some(user) = name("user") else { continue };
        let kind = name("type").unwrap();
        if kind == "user.erased" {
            let [provider, app] = ["provider", "app"].map(|of| name(of).unwrap());
            erased.insert(format!("/users/{provider}/{app}/{user}"));
        } else {
            of_people.push(kind);
        }
    }
    assert_eq!(erased, people);
    assert_eq!(of_people, ["presence.entered"], "of the one who came back only");
}

/// What the filters of `template.yaml` keep from the function has no events.
#[tokio::test]
async fn the_filters_let_every_event_through_and_nothing_else() {
    let (store, _) = records().await;
    for (place, item) in store.items().into_iter().enumerate() {
        let [pk, sk] = ["pk", "sk"].map(|name| item[name]["S"].as_str().unwrap());
        store.delete([pk, sk], place % 2 == 0);
    }
    let template = crate::template::template();
    let source = &template["Resources"]["Relay"]["Properties"]["Events"]["Changes"]["Properties"];
    let filters: Vec<Value> = source["FilterCriteria"]["Filters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap()).unwrap())
        .collect();
    for record in store.stream(0) {
        let passes = filters.iter().any(|filter| matches(filter, Some(&record)));
        let has_events = !events_of(std::slice::from_ref(&record)).is_empty();
        // Of a passed record, the function itself looks whether something is new in it.
        assert!(passes || !has_events, "{record:#}");
        let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap();
        let is_month = sk.starts_with("month#") && record["eventName"] == "INSERT";
        assert!(!is_month || !passes, "{record:#}");
        assert!(record["userIdentity"].is_null() || !passes, "{record:#}");
    }
}

/// Whether a value is as a pattern of `EventBridge` says, of which the template uses this part.
fn matches(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, pattern)| matches(pattern, value.and_then(|value| value.get(name)))),
        Value::Array(rules) => rules.iter().any(|rule| match rule {
            Value::Object(rule) => match rule.iter().next().unwrap() {
                (name, Value::String(prefix)) if name == "prefix" => {
                    value.and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix))
                }
                (name, Value::Bool(exists)) if name == "exists" => value.is_some() == *exists,
                other => panic!("{other:?}"),
            },
            literal => value == Some(literal),
        }),
        other => panic!("{other}"),
    }
}

/// An event has the names and values of the queries.
#[tokio::test]
async fn an_events_href_answers_about_what_the_event_is_about() {
    let (store, records) = records().await;
    let handlers = Arc::new(Handlers::with(store.client()));
    for event in events_of(&records) {
        let (path, query) = event["href"].as_str().unwrap().split_once('?').unwrap();
        let (status, answer) = handlers.get(path, query, runtime::now()).await;
        // Bob's profile changed, and his registration never arrived.
        if event["type"] == "user.changed" && event["user"] == "bob" {
            assert_eq!(status, StatusCode::NOT_FOUND, "{event}");
            continue;
        }
        assert_eq!(status, StatusCode::OK, "{event}");
        for name in ["provider", "app"] {
            assert_eq!(answer[name], event[name], "{event}");
        }
        let about = if path.ends_with("/rooms") { "room" } else { "user" };
        assert_eq!(answer[about], event[about], "{event}");
    }
}

/// When a room closes, visits end, and the people have no event of their own.
#[tokio::test]
async fn promise_9_reported_a_copy_learns_whom_a_room_that_closes_puts_out() {
    let store = Simulated::default();
    let handlers = Handlers::with(store.client());
    let copy = Copy::of(rusqlite::Connection::open_in_memory().unwrap()).unwrap();
    let (start, now) = (Moment::recent(), runtime::now());
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let mut seen = 0;
    let people = ["ada", "bob"];
    let logins = people.map(|user| zego::Event {
        user: user.to_owned(),
        ..zego_event(EventName::RoomLogin, start.plus(1))
    });
    let close = zego_event(EventName::RoomClose, start.plus(2));
    for (step, event) in logins.into_iter().chain([close]).enumerate() {
        let callback = event.callback(&secret, now.seconds(), &step.to_string());
        assert_eq!(handlers.deliver(&callback, now).await.outcome, Some("applied"));
        let events = events_of(&store.stream(seen));
        seen = store.stream(0).len();
        let ask = async |href: &str| {
            let (path, query) = href.split_once('?').unwrap();
            let (status, answer) = handlers.get(path, query, now).await;
            Ok::<_, String>((status == StatusCode::OK).then_some(answer))
        };
        copy.take(&events, now.0, ask).await.unwrap();
    }
    let mut online = Vec::new();
    for (href, _, answer) in copy.answers().unwrap() {
        if href.contains("/users?") {
            online.push(answer.unwrap()["online"].as_bool().unwrap());
        }
    }
    assert_eq!(online, [false, false], "of {people:?}");
}

/// The blocks of a language in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = format!("{}/../{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let start = format!("```{language}\n");
    let blocks = text.split(&start).skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap().to_owned()).collect()
}

/// The examples of `docs/events.md`.
fn examples() -> Vec<Value> {
    let blocks = blocks("docs/events.md", "json");
    let lines = blocks.iter().flat_map(|block| block.lines());
    let events = lines.filter(|line| line.starts_with("{\"type\""));
    events.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_examples_of_the_docs_are_events() {
    let schemas = crate::histories::relay::schemas();
    let mut types = BTreeSet::new();
    for example in examples() {
        let name = example["type"].as_str().unwrap();
        assert_eq!(schemas[name].validate(&example).map_err(|error| error.to_string()), Ok(()));
        let event: Event = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(event).unwrap(), example);
        types.insert(name.to_owned());
    }
    let all: BTreeSet<String> = Event::NAMES.iter().map(ToString::to_string).collect();
    assert_eq!(types, all);
    assert_eq!(schemas.into_keys().collect::<BTreeSet<_>>(), all);
}

/// Each pattern in the docs selects some of the examples there, and not all. `.ci/tools/events`
/// tries them against another implementation.
#[test]
fn the_patterns_of_the_docs_select_what_they_say() {
    let blocks = blocks("docs/events.md", "json");
    let patterns = blocks.iter().filter(|block| block.contains("\"source\": [\"rollcall\"]"));
    let selected: Vec<Vec<String>> = patterns
        .map(|pattern| {
            let pattern: Value = serde_json::from_str(pattern).unwrap();
            let entry = |event: &Value| {
                let app = [&event["provider"], &event["app"]].map(|name| name.as_str().unwrap());
                // A value that is one of several in the event's list.
                let app = app.join("/");
                json!({ "source": "rollcall", "detail-type": event["type"], "resources": app, "detail": event })
            };
            let examples = examples().into_iter();
            let chosen = examples.filter(|event| matches(&pattern, Some(&entry(event))));
            chosen.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    let entered = ["presence.entered", "presence.left"];
    // Grace has left, and the provider says that Alan is not in.
    let again = ["presence.left"];
    assert_eq!(
        selected,
        [
            [&entered[..], &["room.opened", "room.closed"], &again, &["room.settled", "resync"]]
                .concat(),
            [&entered[..], &again].concat(),
            vec!["room.closed"],
            vec!["room.settled"],
            vec!["presence.changed"],
            [
                &entered[..],
                &["room.opened", "room.closed"],
                &again,
                &["room.emptied", "room.settled"],
                &["device.online", "device.offline"],
                &["user.registered", "user.changed", "user.erased"]
            ]
            .concat(),
        ]
    );
}
