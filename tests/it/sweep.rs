//! Function `sweep`: rooms in which nobody is leave the list of live rooms, and people are counted.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use lambda_http::{
    LambdaEvent,
    lambda_runtime::{Context, Service},
};
use rollcall::{
    domain::{App, Counted, ProviderName, Sample, UnixMillis},
    relay::touched_rooms,
    routes::{RELAY, SWEEP},
    runtime::{self, sweep_service},
    sweep::{Budget, LEASE, QUIET_FOR, Sweep, SweepError, Swept},
};
use rollcall_local::events::{SWEEP_BUDGET, sweep_each_minute};
use rollcall_players::zego::{Event, EventName};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::time::Instant;

use crate::{
    histories::relay::live_rooms,
    support::{
        Database, Handlers, Moment, Proxy, RETENTION, SECRET, Simulated, TABLE_NAME, client_of,
        iam, sweep_on, zego_event,
    },
};

const PLENTY: Budget = Budget::ReadUnitsPerSecond(NonZeroU32::new(10_000).unwrap());

/// A store with handlers, and what relays and sweeps do to it.
struct Stack {
    store: Simulated,
    handlers: Handlers,
    relayed: usize,
    /// When the sessions began of those who leave.
    start: UnixMillis,
}

impl Stack {
    fn new() -> Self {
        let store = Simulated::default();
        let handlers = Handlers::with(store.client());
        // The list is by the hour, so a test that takes some minutes begins with an hour.
        let start = UnixMillis(Moment::recent().plus(0).0 / 3_600_000 * 3_600_000);
        Self { store, handlers, relayed: 0, start }
    }

    /// Somebody enters or leaves a room, and that is relayed.
    async fn report(&mut self, name: EventName, room: &str, user: &str, at: UnixMillis) {
        let is_login = name == EventName::RoomLogin;
        let (sequence, login_time) = if is_login { (1, at) } else { (2, self.start) };
        let event = Event {
            room: room.to_owned(),
            user: user.to_owned(),
            sequence,
            login_time,
            ..zego_event(name, at)
        };
        self.store.set_time(at.0);
        let secret = rollcall::callback::Secret::new(SECRET.to_owned()).unwrap();
        let reply = self.handlers.deliver(&event.callback(&secret, at.seconds(), "1"), at).await;
        assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
        let records: Vec<_> = self.store.stream(self.relayed);
        self.relayed += records.len();
        let records: Vec<rollcall::store::StreamRecord> =
            records.into_iter().map(|record| serde_json::from_value(record).unwrap()).collect();
        let rooms = touched_rooms(records.iter().enumerate());
        let listing = live_rooms(&self.store);
        let listing = listing.list(rooms, Instant::now() + Duration::from_secs(10));
        assert!(iam::acting_as(RELAY, listing).await.is_empty());
        self.relayed = self.store.stream(0).len();
    }

    fn sweep(&self, budget: Budget) -> Sweep {
        sweep_on(self.store.client(), budget)
    }

    async fn swept(&self, budget: Budget, now: UnixMillis) -> Option<Swept> {
        run(&self.sweep(budget), "run", now).await.unwrap()
    }

    async fn get(&self, path: &str, query: &str, now: UnixMillis) -> Value {
        let (status, answer) = self.handlers.get(path, query, now).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn listed(&self, now: UnixMillis) -> Vec<String> {
        let answer = self.get("/rooms/zego/1", "min_people=0&limit=100", now).await;
        let rooms = answer["rooms"].as_array().unwrap();
        rooms.iter().map(|room| room["room"].as_str().unwrap().to_owned()).collect()
    }

    async fn samples(&self, now: UnixMillis) -> Vec<Value> {
        let answer = self.get("/stats/zego/1", "", now).await;
        answer["samples"].as_array().unwrap().clone()
    }
}

async fn run(sweep: &Sweep, id: &str, now: UnixMillis) -> Result<Option<Swept>, SweepError> {
    let deadline = Instant::now() + Duration::from_secs(45);
    iam::acting_as(SWEEP, sweep.run(id, now, deadline)).await
}

#[tokio::test(start_paused = true)]
async fn a_room_leaves_the_list_ten_minutes_after_its_last_fact_if_nobody_is_in() {
    let mut stack = Stack::new();
    let start = stack.start;
    for (room, user) in [("empty", "ada"), ("full", "ada"), ("full", "bob")] {
        stack.report(EventName::RoomLogin, room, user, start).await;
    }
    let left = start.after(Duration::from_mins(6));
    stack.report(EventName::RoomLogout, "empty", "ada", left).await;
    assert_eq!(stack.listed(left).await, ["empty", "full"]);

    // The list knows the time of a fact in whole seconds.
    let early =
        UnixMillis(left.seconds().0 * 1000).after(QUIET_FOR).before(Duration::from_millis(1));
    let swept = stack.swept(PLENTY, early).await.unwrap();
    assert_eq!((swept.rooms, swept.removed, swept.passes), (2, 0, 1), "{swept:?}");
    assert_eq!(stack.listed(early).await, ["empty", "full"]);
    let late = left.after(QUIET_FOR);
    let swept = stack.swept(PLENTY, late).await.unwrap();
    assert_eq!((swept.rooms, swept.removed, swept.passes), (2, 1, 1), "{swept:?}");
    assert_eq!(stack.listed(late).await, ["full"]);

    let sample = |at: UnixMillis| json!({ "at": at, "rooms": 1, "online": 2, "at_least": false, "took_ms": 0 });
    assert_eq!(stack.samples(late).await, [sample(early), sample(late)]);
    let totals = &stack.get("/rooms/zego/1", "", late.after(LEASE)).await["totals"];
    let expected = json!({
        "as_of": late, "rooms": 1, "online": 2, "at_least": false, "oldest_age_ms": 60_000
    });
    assert_eq!(*totals, expected);

    // Somebody comes back.
    let again = late.after(Duration::from_secs(1));
    stack.report(EventName::RoomLogin, "empty", "cyd", again).await;
    assert_eq!(stack.listed(again).await, ["empty", "full"]);
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_sample_has_no_totals_and_no_stats() {
    let mut stack = Stack::new();
    let start = stack.start;
    stack.report(EventName::RoomLogin, "lobby", "ada", start).await;
    assert_eq!(stack.get("/rooms/zego/1", "", start).await["totals"], Value::Null);
    let nothing = json!({ "samples": [], "peaks": [], "daily_peaks": [], "next": null });
    assert_eq!(stack.get("/stats/zego/1", "", start).await, nothing);
}

#[tokio::test(start_paused = true)]
async fn one_run_sweeps_at_a_time_until_its_lease_is_over() {
    let mut stack = Stack::new();
    let start = stack.start;
    stack.report(EventName::RoomLogin, "lobby", "ada", start).await;
    let (first, second) = (stack.sweep(PLENTY), stack.sweep(PLENTY));
    let until = start.after(LEASE);
    let taking = iam::acting_as(SWEEP, first.store.take("first", start, until));
    let mut lease = taking.await.unwrap().unwrap();
    // It dies, and its lease stays.
    for now in [start, until.before(Duration::from_millis(1))] {
        assert_eq!(run(&second, "second", now).await.unwrap(), None);
    }
    assert!(stack.samples(until).await.is_empty());
    assert_eq!(run(&second, "second", until).await.unwrap().unwrap().passes, 1);
    // It was not dead, only slow.
    let keeping = first.store.keep(&mut lease, "{}".to_owned(), until.after(LEASE));
    assert!(!iam::acting_as(SWEEP, keeping).await.unwrap());
    // A run that is over gives its lease back.
    assert_eq!(run(&second, "third", until).await.unwrap().unwrap().passes, 1);
}

/// A run uses what a minute allows and no more than one room beyond that. The next ones go on where
/// it stopped, and pay for what was too much.
#[tokio::test(start_paused = true)]
async fn a_pass_over_many_rooms_takes_as_long_as_its_budget_allows() {
    let mut stack = Stack::new();
    let start = stack.start;
    for room in 0..80 {
        stack.report(EventName::RoomLogin, &format!("r{room}"), "ada", start).await;
    }
    let per_second = 2.0;
    let budget = Budget::ReadUnitsPerSecond(NonZeroU32::new(2).unwrap());
    let (mut now, mut units, mut rooms, mut runs) = (start, 0.0, 0, 0);
    while stack.samples(now).await.is_empty() {
        runs += 1;
        let swept = stack.swept(budget, now).await.unwrap();
        units += swept.read_units;
        rooms += swept.rooms;
        let allowed = per_second * 60.0 * f64::from(runs);
        assert!(swept.read_units > 0.0 && units < allowed + 30.0, "{units} of {allowed}");
        if swept.passes == 0 {
            let again = stack.swept(budget, now).await.unwrap();
            assert_eq!(again.rooms, 0, "nothing is left");
        }
        now = now.after(Duration::from_mins(1));
    }
    assert!(runs > 2, "{runs}");
    assert_eq!(rooms, 80, "no room is read twice");
    let samples = stack.samples(now).await;
    let took = (runs - 1) * 60_000;
    let expected =
        json!({ "at": start, "rooms": 80, "online": 80, "at_least": false, "took_ms": took });
    assert_eq!(samples, [expected]);
}

/// A room moves on in the list when it is active in another hour. It is not counted twice.
#[tokio::test(start_paused = true)]
async fn a_room_that_moved_during_a_pass_is_not_counted_twice() {
    let mut stack = Stack::new();
    let hour = stack.start.after(Duration::from_hours(1));
    let start = hour.before(Duration::from_secs(90));
    // All in one part of the list, so that the first run ends within it.
    let in_one_part = |room: &String| Sha1::digest(room)[0].is_multiple_of(16);
    let rooms: Vec<String> =
        (0..).map(|room| format!("r{room}")).filter(in_one_part).take(40).collect();
    for room in &rooms {
        stack.report(EventName::RoomLogin, room, "ada", start).await;
    }
    let budget = Budget::ReadUnitsPerSecond(NonZeroU32::new(2).unwrap());
    let swept = stack.swept(budget, start).await.unwrap();
    assert!((5..35).contains(&swept.rooms), "{swept:?}");
    let later = hour.after(Duration::from_mins(5));
    for room in &rooms {
        stack.report(EventName::RoomLogin, room, "bob", later).await;
    }
    stack.swept(PLENTY, later).await.unwrap();
    let samples = stack.samples(later).await;
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert!(samples[0]["rooms"].as_u64().unwrap() <= 40, "{samples:?}");
    assert_eq!(samples[0]["at_least"], true);
    // The next pass sees all of them.
    stack.swept(PLENTY, later.after(Duration::from_mins(1))).await.unwrap();
    let samples = stack.samples(later.after(Duration::from_mins(1))).await;
    assert_eq!((&samples[1]["rooms"], &samples[1]["online"]), (&json!(40), &json!(80)));
    assert_eq!(samples[1]["at_least"], false);
}

/// On a laptop a step of t is followed by a pause of nineteen t.
#[tokio::test]
async fn a_laptop_gives_a_sweep_one_part_in_twenty_of_its_time() {
    let database = Database::start().await;
    let proxy = Proxy::before(&database.url).await;
    let handlers = Handlers::on(&proxy.url);
    let now = runtime::now();
    let secret = rollcall::callback::Secret::new(SECRET.to_owned()).unwrap();
    let login = zego_event(EventName::RoomLogin, now);
    handlers.deliver(&login.callback(&secret, now.seconds(), "1"), now).await;
    let marker = rollcall::relay::LiveRooms::new(rollcall::store::LiveMarker::new(
        client_of(&proxy.url),
        TABLE_NAME,
        RETENTION,
    ));
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    let touched = rollcall::relay::Touched {
        at: now,
        lateness: rollcall::store::Lateness::InTime,
        records: vec![0],
    };
    let rooms = [((app, "lobby".parse().unwrap()), touched)].into();
    let listing = marker.list(rooms, Instant::now() + Duration::from_secs(10));
    assert!(iam::acting_as(RELAY, listing).await.is_empty());
    let took = async |budget| {
        let sweep = sweep_on(client_of(&proxy.url), budget);
        let began = Instant::now();
        let swept = run(&sweep, "run", runtime::now()).await.unwrap().unwrap();
        assert_eq!((swept.rooms, swept.passes), (1, 1));
        began.elapsed()
    };
    let fast = took(PLENTY).await;
    let slow = took(Budget::OneIn(NonZeroU32::new(20).unwrap())).await;
    assert!(slow > 5 * fast, "{slow:?} and {fast:?}");
}

#[tokio::test(start_paused = true)]
async fn a_laptop_sweeps_each_minute() {
    let mut stack = Stack::new();
    let start = stack.start;
    stack.report(EventName::RoomLogin, "lobby", "ada", start).await;
    let sweep = stack.sweep(SWEEP_BUDGET);
    let sweeping = iam::acting_as(SWEEP, sweep_each_minute(sweep));
    let ended = tokio::time::timeout(Duration::from_secs(190), sweeping).await;
    ended.unwrap_err();
    // The clock stands still here, and so all runs have one sample.
    let newest = stack.samples(runtime::now()).await;
    assert!((1..=3).contains(&newest.len()), "{newest:?}");
    assert_eq!((&newest[0]["rooms"], &newest[0]["online"]), (&json!(1), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_cannot_be_read_holds_up_no_others() {
    let mut stack = Stack::new();
    let start = stack.start;
    for room in ["a", "b", "c", "d"] {
        stack.report(EventName::RoomLogin, room, "ada", start).await;
    }
    // What stands in the room's index is no seat.
    let damaged = stack
        .store
        .items()
        .into_iter()
        .find(|item| item["sk"]["S"].as_str().is_some_and(|sk| sk.starts_with("seat#b")));
    stack.store.damage(damaged.unwrap());
    let mut now = start;
    let mut failed = 0;
    while stack.samples(now).await.is_empty() {
        failed += usize::from(run(&stack.sweep(PLENTY), "run", now).await.is_err());
        now = now.after(Duration::from_mins(1));
        assert!(failed < 3);
    }
    assert_eq!(failed, 1, "it is said once in each pass");
    let sample = &stack.samples(now).await[0];
    assert_eq!((&sample["rooms"], &sample["at_least"]), (&json!(3), &json!(true)), "{sample}");
}

/// The event of the schedule says nothing that matters.
#[tokio::test]
async fn the_function_takes_the_event_of_its_schedule() {
    let mut stack = Stack::new();
    stack.report(EventName::RoomLogin, "lobby", "ada", Moment::recent().plus(0)).await;
    let event = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "source": "aws.events",
        "detail-type": "Scheduled Event", "account": "123456789012", "region": "us-east-1",
        "time": "2026-11-26T05:00:00Z",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/rollcall"], "detail": {},
    });
    let mut context = Context::default();
    context.request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef".to_owned();
    context.deadline = runtime::now().after(Duration::from_secs(20)).0;
    let mut function = sweep_service(stack.sweep(PLENTY));
    iam::acting_as(SWEEP, function.call(LambdaEvent::new(event, context))).await.unwrap();
    assert_eq!(stack.samples(runtime::now()).await.len(), 1);
}

/// Samples of three days, whose pages and peaks are those of a model, whatever the limit is.
#[tokio::test]
async fn stats_have_every_sample_once_and_the_highest_of_each_hour_and_day() {
    const MINUTE: u64 = 60_000;
    let stack = Stack::new();
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    let store = stack.sweep(PLENTY).store;
    let mut random = fastrand::Rng::with_seed(7);
    let first = Moment::recent().plus(0).0;
    let (mut at, mut all) = (first, BTreeMap::new());
    while all.len() < 120 {
        let online = random.u64(..1000);
        let sample = Sample {
            at: UnixMillis(at),
            took: Duration::from_millis(5),
            rooms: online / 3,
            online,
            counted: if random.bool() { Counted::All } else { Counted::AtLeast },
        };
        iam::acting_as(SWEEP, store.add_sample(&app, &sample)).await.unwrap();
        // A repetition changes nothing.
        let other = Sample { online: 5000, ..sample.clone() };
        iam::acting_as(SWEEP, store.add_sample(&app, &other)).await.unwrap();
        all.insert(at, online);
        at += random.u64(1..70) * MINUTE;
    }
    let now = UnixMillis(at);
    let times: Vec<u64> = all.keys().copied().collect();
    for limit in [1, 7, 100, 1000] {
        for (from, to) in [(0, at), (times[10], times[77]), (times[5] + 1, times[6] - 1), (9, 8)] {
            let (mut samples, mut hours, mut days) = (Vec::new(), Vec::new(), Vec::new());
            let mut next = String::new();
            loop {
                let query = format!("from={from}&to={to}&limit={limit}{next}");
                let page = stack.get("/stats/zego/1", &query, now).await;
                let list = |name: &str| page[name].as_array().unwrap().clone();
                assert!(list("samples").len() <= limit);
                samples.extend(list("samples"));
                hours.extend(list("peaks"));
                days.extend(list("daily_peaks"));
                let Some(cursor) = page["next"].as_str() else { break };
                assert_eq!(list("samples").len(), limit);
                next = format!("&next={cursor}");
            }
            let found: Vec<(u64, u64)> = samples
                .iter()
                .map(|sample| (sample["at"].as_u64().unwrap(), sample["online"].as_u64().unwrap()))
                .collect();
            let expected: Vec<_> = all
                .iter()
                .map(|(at, online)| (*at, *online))
                .filter(|(at, _)| (from..=to).contains(at))
                .collect();
            assert_eq!(found, expected, "{from} to {to} by {limit}");
            for (peaks, name, ms) in [(hours, "hour", 60 * MINUTE), (days, "day", 24 * 60 * MINUTE)]
            {
                let mut highest = BTreeMap::<u64, u64>::new();
                for (at, online) in &expected {
                    let highest = highest.entry(at / ms).or_default();
                    *highest = (*highest).max(*online);
                }
                let online: Vec<u64> =
                    peaks.iter().map(|peak| peak["online"].as_u64().unwrap()).collect();
                let expected: Vec<u64> = highest.into_values().collect();
                assert_eq!(online, expected, "{name}s of {from} to {to} by {limit}");
                assert!(peaks.iter().all(|peak| peak["at_least"] == true));
                let mut names: Vec<&str> =
                    peaks.iter().map(|peak| peak[name].as_str().unwrap()).collect();
                assert!(names.is_sorted());
                names.dedup();
                assert_eq!(names.len(), peaks.len(), "each {name} once");
            }
        }
    }
    let csv = stack.handlers.get_text("/stats/zego/1", "format=csv&limit=1", now).await;
    assert!(csv.starts_with("at,rooms,online,at_least,took_ms\r\n"), "{csv}");
}

#[tokio::test]
async fn an_hour_and_a_day_have_the_names_of_the_contract() {
    let stack = Stack::new();
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    // 2026-11-26T05:59:59.999Z.
    let at = UnixMillis(1_795_672_799_999);
    let sample = Sample { at, took: Duration::ZERO, rooms: 2, online: 17, counted: Counted::All };
    iam::acting_as(SWEEP, stack.sweep(PLENTY).store.add_sample(&app, &sample)).await.unwrap();
    let stats = stack.get("/stats/zego/1", "", at).await;
    let hour = json!([{ "hour": "2026-11-26T05", "online": 17, "at_least": true }]);
    let day = json!([{ "day": "2026-11-26", "online": 17, "at_least": true }]);
    assert_eq!((&stats["peaks"], &stats["daily_peaks"]), (&hour, &day));
}

#[tokio::test]
async fn stats_refuse_damaged_parameters_and_are_off_with_events() {
    let mut stack = Stack::new();
    let now = runtime::now();
    for query in ["limit=0", "limit=1001", "from=x", "to=-1", "next=x", "next=bnVsbA", "format=xml"]
    {
        let (status, answer) = stack.handlers.get("/stats/zego/1", query, now).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
    }
    // A cursor of the last time there is.
    let cursor = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"after":{}}}"#, u64::MAX));
    let answer = stack.get("/stats/zego/1", &format!("next={cursor}"), now).await;
    assert_eq!(answer["samples"], json!([]));
    stack.handlers.queries.events = rollcall::config::Events::Off;
    let (status, answer) = stack.handlers.get("/stats/zego/1", "", now).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::CONFLICT, &json!("events_off")));
}
