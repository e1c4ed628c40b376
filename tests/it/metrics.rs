//! The log line of a callback is also its metrics: what CloudWatch requires of a line, and what the
//! template's alarms and dashboard use.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use rollcall::{
    callback::Secret,
    endpoint::Endpoint,
    metrics::EmbeddedMetrics,
    providers::openim::{AppCredentials, Basic},
    queue::ReceivedMessage,
    record::Records,
    request_id::WithRequestId,
    routes::{RECONCILE, SWEEP},
    runtime,
    settle::{CheckQueue, Checks, Settle},
    store::{Reader, Settler},
    sweep::Budget,
};
use rollcall_players::{
    Callback, Secrets,
    crowd::{Provider, Script},
    openim, tencent, zego,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Subscriber;
use tracing_subscriber::fmt::{
    self, MakeWriter,
    format::{FmtSpan, JsonFields},
};

use crate::{
    relay,
    support::{
        CHAT_TOKEN, Database, EventBridge, Handlers, LIVE_TOKEN, Moment, OPENIM_PASSWORD,
        OPENIM_SECRET, Outage, RETENTION, ROOM_KEY, SECRET, Simulated, TABLE_NAME, TRTC_KEY,
        client_of, iam, one_of_each, openim_event, sweep_on,
    },
    template::template,
};

const NAMESPACE: &str = "Rollcall/test";

/// The text of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// All lines.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn providers() -> [Provider; 3] {
    [
        Provider::Zego(None, zego::Options::default()),
        Provider::OpenIm(None, openim::Options::default()),
        Provider::Tencent(None, tencent::Options::default()),
    ]
}

fn secrets(with: &str) -> Secrets {
    let secret = |genuine: &str| secret(if with.is_empty() { genuine } else { with });
    let mut openim = AppCredentials::default();
    openim.secrets.push(secret(OPENIM_SECRET));
    openim.basic.push(Basic::new("openim", secret(OPENIM_PASSWORD)).unwrap());
    Secrets {
        zego: Some(secret(SECRET)),
        openim,
        chat: Some(secret(CHAT_TOKEN)),
        trtc: Some(secret(TRTC_KEY)),
        live: Some(secret(LIVE_TOKEN)),
        room: Some(secret(ROOM_KEY)),
    }
}

/// A subscriber that writes into the log as a function does.
pub(crate) fn subscriber(log: &Log) -> impl Subscriber {
    let lines =
        fmt::format().json().flatten_event(true).with_target(false).with_current_span(false);
    tracing_subscriber::fmt()
        .fmt_fields(JsonFields::new())
        .with_span_events(FmtSpan::NONE)
        .event_format(WithRequestId(EmbeddedMetrics::new(NAMESPACE, lines, runtime::now)))
        .with_writer(log.clone())
        .finish()
}

/// The log of histories, genuine and forged, and of malformed requests.
async fn log() -> (String, usize) {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let mut sent = 0;
    let until = runtime::now();
    // In reverse order, so that many are stale, and then again.
    for (seed, with) in [(1, ""), (1, ""), (2, "forged")] {
        let script = Script { count: 200, seed, until };
        let secrets = secrets(with);
        for event in script.play(&providers()).iter().rev() {
            let callback = event.callback(&secrets, runtime::now()).unwrap();
            handlers.deliver(&callback, runtime::now()).await;
            sent += 1;
        }
    }
    // An event that is not recorded, from a verified sender.
    let online = openim_event(openim::EventName::UserOnline, until);
    let mut credentials = AppCredentials::default();
    credentials.basic.push(Basic::new("openim", secret(OPENIM_PASSWORD)).unwrap());
    let mut ignored = online.callback(&credentials);
    ignored.body = ignored.body.replace("callbackAfterUserOnlineCommand", "callbackMadeUpCommand");
    handlers.deliver(&ignored, until).await;
    sent += 1;
    // A client without a secret can still choose the body.
    for endpoint in Endpoint::ALL {
        for body in [
            json!({"event": "x".repeat(5000), "appid": "unknown"}).to_string(),
            json!({"callbackCommand": "made\nup", "userID": "\u{1F600}"}).to_string(),
            "no JSON".to_owned(),
            "x".repeat(5 << 20),
        ] {
            let route = endpoint.routes[0];
            let (path_key, query, headers) = (None, None, Vec::new());
            let callback = Callback { route, path_key, query, headers, body };
            handlers.deliver(&callback, runtime::now()).await;
            sent += 1;
        }
    }
    drop(guard);
    let text = log.text();
    (text, sent)
}

/// The log of `spill-replay` in an outage: of messages that stay and of one that cannot be read.
async fn log_of_a_replay() -> String {
    let start = Moment::recent();
    let mut outage = Outage::start(Duration::from_secs(10)).await;
    outage.store.refuse(|_| true);
    let now = start.plus(30_000);
    for callback in one_of_each(start, now).iter().take(3) {
        assert_eq!(outage.handlers.deliver(callback, now).await.outcome, Some("spilled"));
    }
    outage.queue.send("nonsense").await;
    outage.queue.aged = Duration::from_mins(20);
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let mut polled = (0, 0);
    // SQS may return fewer messages at a time than it has.
    while polled.0 < 4 {
        let (messages, stayed) = outage.poll_within(Duration::from_secs(5)).await;
        polled = (polled.0 + messages, polled.1 + stayed);
    }
    assert_eq!(polled, (4, 3));
    drop(guard);
    log.text()
}

/// The log of erasures: of a request, and of a batch of second passes of which one is not done.
async fn log_of_erasures() -> String {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let now = runtime::now();
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    assert_eq!(handlers.erase("/users/zego/1/ada", "", now).await.0, 200);
    let nonsense = ReceivedMessage {
        message_id: "1".to_owned(),
        sent_at: now.before(Duration::from_mins(20)),
        body: "nonsense".to_owned(),
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let kept = handlers.erase.repeat_all(vec![nonsense], now, deadline).await;
    assert_eq!(kept, ["1"]);
    drop(guard);
    log.text()
}

/// The log of `relay`, whose bus takes no event.
async fn log_of_relay() -> String {
    let (store, records) = relay::records().await;
    let bus = EventBridge::start().await;
    bus.refuse(usize::MAX);
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    relay::invoke(&store, &bus.url, &records, Duration::from_millis(500)).await;
    drop(guard);
    log.text()
}

#[tokio::test]
async fn each_batch_of_records_is_one_line_with_its_events_and_those_that_were_not_taken() {
    let log = log_of_relay().await;
    let mut emitted = Emitted::new();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| !line["_aws"].is_null()).collect();
    let [line] = &lines[..] else { panic!("{log}") };
    check(line, &mut emitted);
    let events = relay::events_of(&relay::records().await.1).len();
    assert_eq!(line["events"], events, "{line}");
    let is_double = std::env::var("ROLLCALL_TEST_EVENT_BRIDGE_URL").is_err();
    assert_eq!(line["unsent"], if is_double { events } else { 0 }, "{line}");
    let names: Vec<&str> = emitted.keys().map(String::as_str).collect();
    assert_eq!(names, ["events", "unsent"]);
}

/// The log of a check of a room that cannot be read.
async fn log_of_a_check() -> String {
    let store = Simulated::default();
    let (timer, _sent) = mpsc::unbounded_channel();
    let settle = Settle {
        records: Records::new(Reader::new(store.client(), TABLE_NAME), Duration::ZERO),
        checks: Checks {
            store: Settler::new(store.client(), TABLE_NAME, RETENTION),
            queue: CheckQueue::Timer(timer),
            grace: Duration::from_secs(30),
        },
    };
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let now = runtime::now();
    let nonsense = ReceivedMessage {
        message_id: "1".to_owned(),
        sent_at: now.before(Duration::from_hours(1)),
        body: "nonsense".to_owned(),
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    assert_eq!(settle.check_all(vec![nonsense], now, deadline).await, ["1"]);
    drop(guard);
    log.text()
}

/// The log of a run of the sweep.
async fn log_of_a_sweep() -> String {
    let database = Database::start().await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let sweep = sweep_on(client_of(&database.url), Budget::OneIn(NonZeroU32::MIN));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let running = sweep.run("run", runtime::now(), deadline);
    assert!(iam::acting_as(SWEEP, running).await.unwrap().is_some());
    drop(guard);
    log.text()
}

/// The log of a run of passes, without an app to ask about.
async fn log_of_passes() -> String {
    let database = Database::start().await;
    let log = Log::default();
    let guard = tracing::subscriber::set_default(subscriber(&log));
    let reconcile = Handlers::on(&database.url).reconcile;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let running = reconcile.run("run", runtime::now(), deadline);
    iam::acting_as(RECONCILE, running).await.unwrap();
    drop(guard);
    log.text()
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry.as_str().unwrap()).collect()
}

/// For each metric: its sets of dimensions, each with its values.
type Emitted = BTreeMap<String, BTreeSet<BTreeMap<String, String>>>;

/// Checks a line against CloudWatch's specification of the format, and adds its metrics.
fn check(line: &Value, emitted: &mut Emitted) {
    let aws = line["_aws"].as_object().unwrap();
    assert_eq!(aws.len(), 2, "{line}");
    let now = runtime::now().0;
    assert!((now - 600_000..=now).contains(&aws["Timestamp"].as_u64().unwrap()), "{line}");
    let directives = aws["CloudWatchMetrics"].as_array().unwrap();
    let metrics = directives.iter().map(|directive| directive["Metrics"].as_array().unwrap().len());
    assert!(metrics.sum::<usize>() <= 100, "{line}");
    for directive in directives {
        assert_eq!(directive.as_object().unwrap().len(), 3, "{line}");
        assert_eq!(directive["Namespace"], NAMESPACE);
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name} in {line}");
            let unit = metric["Unit"].as_str().unwrap();
            assert!(["Count", "Milliseconds", "Seconds"].contains(&unit), "{unit}");
            for set in directive["Dimensions"].as_array().unwrap() {
                let names = strings(set);
                assert!((1..=30).contains(&names.len()), "{line}");
                let value = |name: &str| {
                    let value = line[name].as_str().unwrap_or_else(|| panic!("{name} in {line}"));
                    assert!((1..=1024).contains(&value.len()) && value.is_ascii(), "{value}");
                    (name.to_owned(), value.to_owned())
                };
                let values = names.into_iter().map(value).collect();
                emitted.entry(name.to_owned()).or_default().insert(values);
            }
        }
    }
}

async fn emitted() -> Emitted {
    let (log, _) = log().await;
    let log = log + &log_of_a_replay().await + &log_of_erasures().await;
    let log = log + &log_of_relay().await + &log_of_a_sweep().await + &log_of_a_check().await;
    let log = log + &log_of_passes().await;
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut emitted = Emitted::new();
    for line in lines.filter(|line| !line["_aws"].is_null()) {
        check(&line, &mut emitted);
    }
    emitted
}

/// One line is both, and each member is there once: a second one of the same name would win.
#[tokio::test]
async fn each_callback_is_one_line_that_cloudwatch_takes_for_metrics() {
    let (log, sent) = log().await;
    let mut emitted = Emitted::new();
    let (mut callbacks, mut rejected) = (0, 0);
    for text in log.lines() {
        let line: Value = serde_json::from_str(text).unwrap();
        if line["message"] != "callback" {
            assert!(line["_aws"].is_null(), "{line}");
            continue;
        }
        callbacks += 1;
        check(&line, &mut emitted);
        for name in line.as_object().unwrap().keys() {
            let top_level = format!(r#""{name}":"#);
            let nested = line["_aws"].to_string().matches(&top_level).count();
            assert_eq!(text.matches(&top_level).count() - nested, 1, "{name} in {text}");
        }
        assert_eq!(line["callbacks"], 1);
        assert_eq!((&line["spilled"], &line["breaker_open"]), (&json!(0), &json!(0)));
        let is_rejected = line["outcome"] == "rejected";
        rejected += usize::from(is_rejected);
        assert_eq!(line["rejected"], u8::from(is_rejected), "{line}");
        assert_eq!(line["rejections"].is_number(), is_rejected, "{line}");
        assert_eq!(line["rejection"].is_string(), is_rejected, "{line}");
    }
    assert_eq!(callbacks, sent);
    assert!(rejected >= 200, "the forged ones");
    let names: Vec<&str> = emitted.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["breaker_open", "callbacks", "duration_ms", "rejected", "rejections", "spilled"]
    );
}

/// The only number that shows that `spill-replay` runs and fails: SQS does not report the age of
/// messages that were received three times.
#[tokio::test]
async fn each_replay_is_one_line_with_what_stays_and_for_how_long_it_has_been_there() {
    let log = log_of_a_replay().await;
    let mut emitted = Emitted::new();
    let (mut kept, mut dead_letters) = (0, 0);
    for line in log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if line["message"] != "replay" {
            assert!(line["_aws"].is_null(), "{line}");
            continue;
        }
        check(&line, &mut emitted);
        kept += line["kept"].as_u64().unwrap();
        dead_letters += line["dead_letters"].as_u64().unwrap();
        let oldest = line["oldest_kept_s"].as_u64().unwrap();
        assert_eq!(line["kept"] != 0, (1200..1260).contains(&oldest), "{line}");
    }
    assert_eq!((kept, dead_letters), (3, 1));
    let names: Vec<&str> = emitted.keys().map(String::as_str).collect();
    assert_eq!(names, ["dead_letters", "kept", "oldest_kept_s"]);
}

/// The lines about erasures name the hash and never the person.
#[tokio::test]
async fn each_erasure_is_one_line_that_names_nobody() {
    let log = log_of_erasures().await;
    let mut emitted = Emitted::new();
    let mut lines = Vec::new();
    for line in log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if !line["_aws"].is_null() {
            check(&line, &mut emitted);
            lines.push(line);
        }
    }
    let [erasure, repeats] = &lines[..] else { panic!("{log}") };
    assert_eq!((&erasure["erasures"], &erasure["erased_items"]), (&json!(1), &json!(0)));
    assert_eq!(erasure["hash"].as_str().unwrap().len(), 64, "{erasure}");
    assert_eq!((&repeats["messages"], &repeats["kept"]), (&json!(1), &json!(1)));
    assert_eq!(repeats["oldest_kept_s"], 1200, "{repeats}");
    assert!(!log.contains("ada"), "{log}");
    let names: Vec<&str> = emitted.keys().map(String::as_str).collect();
    assert_eq!(names, ["erased_items", "erasures", "kept", "oldest_kept_s"]);
}

#[tokio::test]
async fn each_run_of_the_sweep_is_one_line() {
    let log = log_of_a_sweep().await;
    let mut emitted = Emitted::new();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line] = &lines[..] else { panic!("{log}") };
    check(line, &mut emitted);
    assert_eq!((&line["function"], &line["passes"]), (&json!("sweep"), &json!(0)));
    assert!(line["read_units"].as_f64().unwrap() >= 1.0, "{line}");
    let names: Vec<&str> = emitted.keys().map(String::as_str).collect();
    assert_eq!(names, ["pass_age_s", "read_units", "removed_rooms", "swept_rooms"]);
}

/// A metric costs money for each value of its dimensions: there are few, whatever is sent.
#[tokio::test]
async fn dimensions_have_few_values_and_none_of_them_is_sent() {
    let emitted = emitted().await;
    let mut values = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (name, value) in emitted.values().flatten().flatten() {
        values.entry(name).or_default().insert(value);
    }
    let of = |name: &str| values[name].iter().copied().collect::<Vec<_>>();
    assert_eq!(of("provider"), ["openim", "tencent", "zego"]);
    for name in of("event").into_iter().chain(of("rejection")) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
        assert!(name.len() <= 30 && name.chars().all(is_name), "{name}");
    }
    assert!(of("event").len() <= 18, "{:?}", of("event"));
    assert_eq!(of("outcome"), ["applied", "duplicate", "ignored", "rejected", "stale"]);
    assert!(of("rejection").contains(&"wrong_signature"), "{:?}", of("rejection"));
    assert!(of("rejection").contains(&"too_large"), "{:?}", of("rejection"));
    let all: usize = emitted.values().map(BTreeSet::len).sum();
    assert!(all <= 150, "{all} metrics");
}

/// Promise 8: neither the log nor a metric holds a secret.
#[tokio::test]
async fn promise_8_discreet_no_line_holds_a_secret() {
    let (log, _) = log().await;
    assert!(log.contains("wrong_signature"), "the forged ones are in it");
    for secret in [SECRET, OPENIM_SECRET, OPENIM_PASSWORD, CHAT_TOKEN, TRTC_KEY, "forged"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

/// Every alarm has a metric, dimensions and values that are really written.
#[tokio::test]
async fn the_template_s_alarms_and_dashboard_name_metrics_that_are_written() {
    let emitted = emitted().await;
    let namespace = json!({ "!Sub": "Rollcall/${AWS::StackName}" });
    let template = template();
    let variables = &template["Globals"]["Function"]["Environment"]["Variables"];
    assert_eq!(variables["ROLLCALL_METRICS_NAMESPACE"], namespace);

    // What the gateway's log is counted for. It has no dimensions, which would be more metrics.
    let mut emitted = emitted;
    let resources = template["Resources"].as_object().unwrap();
    for counter in resources.values().filter(|one| one["Type"] == "AWS::Logs::MetricFilter") {
        for metric in counter["Properties"]["MetricTransformations"].as_array().unwrap() {
            assert_eq!(metric["MetricNamespace"], namespace);
            assert!(metric["Dimensions"].is_null() && metric["DefaultValue"].is_null());
            let name = metric["MetricName"].as_str().unwrap().to_owned();
            emitted.insert(name, [BTreeMap::new()].into());
        }
    }

    let mut used = BTreeSet::new();
    let mut look_at = |metric: &Value| {
        if metric["Namespace"] != namespace {
            return;
        }
        let name = metric["MetricName"].as_str().unwrap();
        let pair = |dimension: &Value| {
            let text = |name: &str| dimension[name].as_str().unwrap().to_owned();
            (text("Name"), text("Value"))
        };
        let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
        let dimensions = dimensions.map(pair).collect();
        assert!(emitted[name].contains(&dimensions), "{name} by {dimensions:?}");
        used.insert(name.to_owned());
    };
    for resource in resources.values() {
        if resource["Type"] == "AWS::CloudWatch::Alarm" {
            look_at(&resource["Properties"]);
            for query in resource["Properties"]["Metrics"].as_array().into_iter().flatten() {
                look_at(&query["MetricStat"]["Metric"]);
            }
        }
    }
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    let all = [
        "braked",
        "disagreements",
        "duration_ms",
        "gateway_throttles",
        "oldest_kept_s",
        "oldest_pass_s",
        "pass_age_s",
        "rejected",
        "spilled",
        "unanswered",
    ];
    assert_eq!(used, all);

    // The dashboard's body is JSON that contains `${...}`.
    let body = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let body = body["!Sub"][0].as_str().unwrap();
    let body = body.replace("${AWS::StackName}", "test").replace("${LambdaConcurrency}", "1000");
    let body: Value = serde_json::from_str(&body).unwrap();
    let mut shown = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let metric = metric.as_array().unwrap();
            if metric[0] == NAMESPACE {
                let name = metric[1].as_str().unwrap();
                assert!(emitted[name].contains(&BTreeMap::new()), "{name}");
                shown.insert(name.to_owned());
            }
            if let Some(expression) = metric[0]["expression"].as_str()
                && let Some(searched) = expression.split(['{', '}']).nth(1)
            {
                let mut parts = searched.split(',');
                let namespace = parts.next().unwrap().trim_matches('"');
                if namespace.starts_with("AWS/") {
                    continue;
                }
                assert_eq!(namespace, NAMESPACE, "{expression}");
                let dimensions: BTreeSet<&str> = parts.collect();
                let name = expression.split("MetricName=\"").nth(1).unwrap();
                let name = name.split('"').next().unwrap();
                let is_written = emitted[name].iter().any(|written| {
                    written.keys().map(String::as_str).collect::<BTreeSet<_>>() == dimensions
                });
                assert!(is_written, "{expression}");
                shown.insert(name.to_owned());
            }
        }
    }
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let all = [
        "braked",
        "breaker_open",
        "callbacks",
        "disagreements",
        "duration_ms",
        "events",
        "gateway_throttles",
        "oldest_pass_s",
        "pass_age_s",
        "rejected",
        "rejections",
        "seen_in",
        "seen_out",
        "spilled",
        "unsent",
    ];
    assert_eq!(shown, all);
}
