//! The store's stream on its way to a backend's copy: delivered at least once, in batches, its
//! shards in any interleaving, by relays that die between any two steps, over a bus that refuses,
//! repeats and reorders.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{FutureExt, future};
use jsonschema::Validator;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rollcall::{
    domain::{SessionState, UnixMillis},
    relay::{Bus, BusError, Entry, LiveRooms, Received, Relay},
    routes::RELAY,
    store::{ErasureList, LiveMarker, Reader, ReceivedIn, Scanner},
};
use rollcall_local::resync::{Found, Place, Resync};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    copy::Copy,
    history::{History, Kind},
    hold,
    play::{Played, System},
    share, simulated_runtime,
};
use crate::support::{Item, RETENTION, Simulated, TABLE_NAME, iam, secrets};

/// What an `href` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How many shards the stream has. All records of one partition are in one.
const SHARDS: usize = 3;

/// What has a name of a callback's own field, and nothing in an event.
const OF_CALLBACKS: [&str; 4] = ["signature", "nonce", "callback_data", "details"];

/// A bus that fails, and takes some events without saying so.
struct TestBus {
    random: Mutex<fastrand::Rng>,
    has_faults: bool,
    taken: Mutex<Vec<Entry>>,
    /// Whether the relay that uses it is dead.
    is_dead: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bus for &TestBus {
    const MAX_ENTRIES: usize = 3;
    const MAX_BYTES: usize = 2 << 10;

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<bool>, BusError> {
        assert!(!entries.is_empty() && entries.len() <= Self::MAX_ENTRIES);
        let bytes: usize = entries.iter().map(|entry| entry.bytes()).sum();
        assert!(bytes <= Self::MAX_BYTES || entries.len() == 1, "{bytes} bytes");
        let fate = if self.has_faults { lock(&self.random).u8(..) } else { 255 };
        if fate < 20 {
            return Err(BusError::EventBridge("down".to_owned()));
        }
        let mut taken = Vec::new();
        for entry in entries {
            let is_taken = !self.has_faults || lock(&self.random).u8(..) > 20;
            taken.push(is_taken);
            if is_taken {
                lock(&self.taken).push((*entry).clone());
            }
        }
        if fate < 40 {
            // The relay dies, and nobody learns what was taken.
            *lock(&self.is_dead) = true;
            return future::pending().await;
        }
        Ok(taken)
    }
}

/// The erasures in a store, read each time.
pub(crate) fn erasures(store: &Simulated) -> ErasureList {
    ErasureList::new(Reader::new(store.client(), TABLE_NAME), Duration::ZERO)
}

/// The list of live rooms in a store, of a relay that has just started.
pub(crate) fn live_rooms(store: &Simulated) -> LiveRooms {
    LiveRooms::new(LiveMarker::new(store.client(), TABLE_NAME, RETENTION))
}

/// The relay and the copy behind it.
struct Downstream {
    bus: TestBus,
    /// How many records of each shard were relayed.
    relayed: [usize; SHARDS],
    /// What the bus took and the copy has not got yet.
    waiting: Vec<Value>,
    /// Nobody is erased here.
    erasures: ErasureList,
    /// The lists that each shard's relay keeps. They race.
    live: [LiveRooms; SHARDS],
    copy: Copy,
    /// Every event by its id.
    events: BTreeMap<String, Value>,
}

impl Downstream {
    fn new(seed: u64, has_faults: bool, system: &System) -> Self {
        let bus = TestBus {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            has_faults,
            taken: Mutex::default(),
            is_dead: Mutex::default(),
        };
        Self {
            bus,
            relayed: [0; SHARDS],
            waiting: Vec::new(),
            erasures: erasures(system.store()),
            live: std::array::from_fn(|_| live_rooms(system.store())),
            copy: Copy::of(Connection::open_in_memory().unwrap()).unwrap(),
            events: BTreeMap::new(),
        }
    }

    /// Lets the relay have a batch of one shard. Returns whether there was one.
    async fn relay(
        &mut self,
        stream: &[Value],
        shard: usize,
        random: &mut fastrand::Rng,
        now: u64,
    ) -> bool {
        let shard_of = |record: &Value| {
            let pk = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap();
            pk.bytes().map(usize::from).sum::<usize>() % SHARDS
        };
        let records = stream.iter().filter(|record| shard_of(record) == shard);
        let size = random.usize(1..5);
        let records: Vec<&Value> = records.skip(self.relayed[shard]).take(size).collect();
        if records.is_empty() {
            return false;
        }
        let received: Vec<Received> = records
            .iter()
            .map(|record| Received {
                sequence_number: record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned(),
                record: serde_json::from_value((*record).clone()),
            })
            .collect();
        let deadline = Instant::now() + Duration::from_millis(250);
        let live = self.live[shard].clone();
        let relay = Relay { bus: &self.bus, erasures: self.erasures.clone(), live, checks: None };
        let relaying = relay.relay(&received, UnixMillis(now), deadline);
        let kept = iam::acting_as(RELAY, Box::pin(relaying)).await;
        let is_dead = std::mem::take(&mut *lock(&self.bus.is_dead));
        let is_repeated = self.bus.has_faults && random.u8(..) < 20;
        if !is_dead && !is_repeated {
            // Lambda delivers again from the first one that failed on.
            let first = kept.iter().map(|number| number.parse::<u128>().unwrap()).min();
            let first = first.map(|number| number.to_string());
            let place = |number| received.iter().position(|one| one.sequence_number == number);
            self.relayed[shard] += first.map_or(records.len(), |number| place(number).unwrap());
        }
        true
    }

    /// Gives the copy some of the events, in any order, some of them twice.
    async fn deliver(&mut self, system: &System, random: &mut fastrand::Rng, now: u64, all: bool) {
        for Entry { detail, detail_type, app } in lock(&self.bus.taken).drain(..) {
            let event: Value = serde_json::from_str(&detail).unwrap();
            assert_eq!(event["type"], detail_type);
            assert_eq!(format!("{}/{}", text(&event["provider"]), text(&event["app"])), app);
            let known = self.events.insert(text(&event["id"]).to_owned(), event.clone());
            assert!(known.is_none_or(|known| known == event), "two facts have one id: {event}");
            self.waiting.push(event);
        }
        random.shuffle(&mut self.waiting);
        let left = if all { 0 } else { random.usize(..=self.waiting.len()) };
        while self.waiting.len() > left {
            let most = self.waiting.len() - left;
            let mut events = self.waiting.split_off(self.waiting.len() - random.usize(1..=most));
            if self.bus.has_faults && random.u8(..) < 60 {
                // Some come again later.
                self.waiting.extend_from_slice(&events[..events.len() / 2]);
                events.push(events[0].clone());
            }
            let ask = async |href: &str| ask(system, href, now).await;
            self.copy.take(&events, now, ask).await.unwrap();
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn ask(system: &System, href: &str, now: u64) -> Result<Option<Value>, String> {
    let (path, query) = href.split_once('?').unwrap();
    let (status, answer) = system.handlers().get(path, query, UnixMillis(now)).await;
    match status.as_u16() {
        200 => Ok(Some(answer)),
        404 => Ok(None),
        status => Err(format!("{href}: {status}")),
    }
}

/// Every new fact has an event of its own, and no event is without a fact. Counted from the images
/// themselves.
fn check_events(stream: &[Value], events: &BTreeMap<String, Value>) -> Result<(), String> {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let facts = events.iter().filter(|(_, event)| event["type"] != "resync");
    for (id, _) in facts {
        *ids.entry(id.split_once('-').unwrap().0).or_default() += 1;
    }
    for record in stream {
        let images = &record["dynamodb"];
        let (old, new) = (&images["OldImage"], &images["NewImage"]);
        let marks = |image: &Value| -> BTreeSet<String> {
            let marks = image["marks"]["BS"].as_array().into_iter().flatten();
            marks.map(|mark| text(mark).to_owned()).collect()
        };
        let changed = |names: &[&str]| {
            names.iter().filter(|name| !new[**name].is_null() && new[**name] != old[**name]).count()
        };
        // A login that only its end names is part of that end.
        let of_sessions = |image: &Value| -> BTreeSet<Vec<u8>> {
            let marks = image["sessions"]["BS"].as_array().into_iter().flatten();
            let marks = marks.map(|mark| BASE64_STANDARD.decode(text(mark)).unwrap());
            marks.filter(|mark| mark[8] != SessionState::LoginNamed as u8).collect()
        };
        let sk = text(&images["Keys"]["sk"]["S"]);
        let facts = match sk.split('#').next().unwrap() {
            _ if new.is_null() => usize::from(record["userIdentity"].is_null()),
            "seat" => marks(new).difference(&marks(old)).count(),
            "life" | "boundary" => changed(&["created_at", "closed_at"]),
            "device" => changed(&["online_stamp", "offline_stamp", "logout_stamp", "kicked_stamp"]),
            // Those that are moved there are known.
            "sessions" if sk != "sessions#" => 0,
            "sessions" => of_sessions(new).difference(&of_sessions(old)).count(),
            // A change of the profile may come before the registration, and a profile that was
            // read comes after it.
            "registration" => {
                let [was_registered, is_registered] = [old, new].map(|image| !image["k"].is_null());
                let read = if was_registered { changed(&["profile_read_at"]) } else { 0 };
                usize::from(was_registered != is_registered)
                    + changed(&["profile_changed_at"])
                    + read
            }
            "settled" | "emptied" => usize::from(old.is_null()),
            "moved" | "month" | "live" | "app" | "check" | "second_track" => 0,
            other => panic!("{other} is new: does it have events?"),
        };
        let id = text(&record["eventID"]);
        let got = ids.remove(id).unwrap_or(0);
        if got != facts {
            return Err(format!("{got} events of {facts} facts: {record:#}"));
        }
    }
    if ids.is_empty() { Ok(()) } else { Err(format!("events without a fact: {ids:?}")) }
}

/// The copy is what the queries answer about the time at which it was read.
async fn check_copy(copy: &Copy, system: &System, known: &HashSet<String>) -> Result<(), String> {
    let mut copied = HashSet::new();
    for (href, read_at, answer) in copy.answers().unwrap() {
        let expected = whole(system, &href, read_at).await;
        let (got, expected) = (comparable(&href, answer), comparable(&href, expected));
        if got != expected {
            return Err(format!("{href} at {read_at}: got {got:#}\nexpected {expected:#}"));
        }
        copied.insert(href);
    }
    let missing: Vec<_> = known.difference(&copied).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the copy lacks {missing:?}")) }
}

/// All pages of an answer.
async fn whole(system: &System, href: &str, now: u64) -> Option<Value> {
    let mut answer = ask(system, href, now).await.unwrap()?;
    while let Some(next) = answer["next"].as_str().map(str::to_owned) {
        let mut page = ask(system, &format!("{href}&next={next}"), now).await.unwrap().unwrap();
        answer["next"] = page["next"].take();
        for list in ["members", "sessions"] {
            if let (Some(list), Some(more)) =
                (answer[list].as_array_mut(), page[list].as_array_mut())
            {
                list.append(more);
            }
        }
    }
    Some(answer)
}

/// What a copy keeps right: rosters, and who is online where. How a visit of the past ended may be
/// corrected by a fact about the room, and is asked for when it is needed.
fn comparable(href: &str, answer: Option<Value>) -> Value {
    let Some(mut answer) = answer else { return Value::Null };
    if href.starts_with("/registrations") {
        // An earlier receipt corrects it without an event.
        return json!(true);
    }
    answer.as_object_mut().unwrap().remove("as_of");
    if let Some(sessions) = answer.get_mut("sessions").and_then(Value::as_array_mut) {
        sessions.retain(|session| session["left_at"].is_null());
    }
    answer
}

/// The events are as `docs/events` says, and tell nothing else.
fn check_schemas(
    events: &BTreeMap<String, Value>,
    schemas: &BTreeMap<String, Validator>,
) -> Result<(), String> {
    for event in events.values() {
        let schema = &schemas[text(&event["type"])];
        schema.validate(event).map_err(|error| format!("{error}: {event}"))?;
        let printed = event.to_string();
        for name in OF_CALLBACKS {
            assert!(event.get(name).is_none(), "{printed}");
        }
        assert_eq!(secrets::find(&printed), None, "a secret: {printed}");
    }
    Ok(())
}

pub(crate) fn schemas() -> BTreeMap<String, Validator> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/events");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Nothing but what the schema names may be in an event of this version.
        let mut strict = schema;
        strict["unevaluatedProperties"] = json!(false);
        (name, jsonschema::validator_for(&strict).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

async fn hold_relay(
    history: &History,
    system: &System,
    schemas: &BTreeMap<String, Validator>,
) -> Result<(), String> {
    let played = Played::new(history);
    let mut downstream = Downstream::new(history.seed, history.has_faults, system);
    let last = Cell::new(0);
    played
        .deliver_with(history, system, async |schedule, now| {
            let random = &mut schedule.random;
            let stream = system.store().stream(0);
            for _ in 0..random.usize(..4) {
                let shard = random.usize(..SHARDS);
                downstream.relay(&stream, shard, random, now).await;
            }
            downstream.deliver(system, random, now, false).await;
            last.set(now);
        })
        .await;
    let stream = system.store().stream(0);
    let mut random = fastrand::Rng::with_seed(history.seed);
    for shard in 0..SHARDS {
        while downstream.relay(&stream, shard, &mut random, last.get()).await {}
    }
    downstream.deliver(system, &mut random, last.get(), true).await;
    check_events(&stream, &downstream.events)?;
    check_schemas(&downstream.events, schemas)?;
    check_copy(&downstream.copy, system, &hrefs(system.store())).await
}

/// A relay that was down for longer than the stream keeps records: those of a whole interval are
/// lost. After that an operator closes the gap.
async fn hold_resync(
    history: &History,
    system: &System,
    schemas: &BTreeMap<String, Validator>,
) -> Result<(), String> {
    let played = Played::new(history);
    let mut downstream = Downstream::new(history.seed, history.has_faults, system);
    let mut random = fastrand::Rng::with_seed(history.seed);
    let steps = played.arrived.len().div_ceil(history.at_once).max(1);
    let first = random.usize(..steps);
    let lost_steps = first..=random.usize(first..steps);
    let (mut step, mut arrived, mut lost) = (0, 0, 0..0);
    let mut span: Option<ReceivedIn> = None;
    let mut records = 0;
    played
        .deliver_with(history, system, async |schedule, now| {
            let stream = system.store().stream(0);
            if lost_steps.contains(&step) {
                let from = span.map_or(UnixMillis(arrived), |span| span.from);
                span = Some(ReceivedIn { from, to: UnixMillis(now) });
                lost = if step == first { records..stream.len() } else { lost.start..stream.len() };
            }
            (step, arrived, records) = (step + 1, now, stream.len());
            let random = &mut schedule.random;
            let left = without(&stream, &lost);
            for _ in 0..random.usize(..4) {
                let shard = random.usize(..SHARDS);
                downstream.relay(&left, shard, random, now).await;
            }
            downstream.deliver(system, random, now, false).await;
        })
        .await;
    let left = without(&system.store().stream(0), &lost);
    for shard in 0..SHARDS {
        while downstream.relay(&left, shard, &mut random, arrived).await {}
    }
    downstream.deliver(system, &mut random, arrived, true).await;
    check_events(&left, &downstream.events)?;
    if let Some(ReceivedIn { from, to }) = span {
        let span = ReceivedIn { from: from.before(played.latest(history)), to };
        downstream.resync(system, span, &mut random, arrived).await;
        downstream.deliver(system, &mut random, arrived, true).await;
    }
    check_schemas(&downstream.events, schemas)?;
    check_copy(&downstream.copy, system, &hrefs(system.store())).await
}

fn without(stream: &[Value], lost: &std::ops::Range<usize>) -> Vec<Value> {
    [&stream[..lost.start], &stream[lost.end..]].concat()
}

impl Downstream {
    /// What `rollcall resync` does, interrupted now and then, and continued from its word.
    async fn resync(
        &self,
        system: &System,
        span: ReceivedIn,
        random: &mut fastrand::Rng,
        now: u64,
    ) {
        let scanner = Scanner::new(system.store().client(), TABLE_NAME, RETENTION);
        let limit = Duration::from_millis(250);
        let run = || {
            let (erasures, live) = (self.erasures.clone(), live_rooms(system.store()));
            let relay = Relay { bus: &self.bus, erasures, live, checks: None };
            Resync::new(scanner.clone(), relay, None, span, limit)
        };
        let (mut resync, mut place) = (run(), Some(Place::start(UnixMillis(now))));
        while let Some(at) = place.clone() {
            let mut found = Found::default();
            let read = resync.page(&at, UnixMillis(now), &mut found);
            if let Ok(next) = iam::acting_as(iam::RESYNC, Box::pin(read)).await {
                place = next;
            }
            if random.u8(..) < 20 {
                resync = run();
                place = place.map(|place| Place::of_token(&place.token()).unwrap());
            }
        }
    }
}

/// The queries about everybody and every room of which something is stored.
fn hrefs(store: &Simulated) -> HashSet<String> {
    let is_of_somebody = |item: &Item| text(&item["pk"]["S"]).split('#').count() > 3;
    let href = |item: Item| {
        let parts: Vec<&str> = text(&item["pk"]["S"]).split('#').collect();
        let id = percent_decode_str(parts[3]).decode_utf8().unwrap();
        let id = utf8_percent_encode(&id, PLAIN);
        format!("/presence/{}/{}/{}s?{}={id}", parts[0], parts[1], parts[2], parts[2])
    };
    store.items().into_iter().filter(is_of_somebody).map(href).collect()
}

fn hold_events(thousandths: u32, loses: bool) {
    let (system, schemas) = (System::simulated(), schemas());
    let check = async |history: &History| {
        system.clear();
        hold_relay(history, &system, &schemas).boxed_local().await
    };
    hold(share(thousandths), Kind { acts: "", loses }, &check, &simulated_runtime());
}

#[test]
fn promise_9_reported_every_fact_is_an_event_and_a_copy_that_asks_is_right() {
    hold_events(80, false);
}

#[test]
fn promise_9_reported_the_same_when_callbacks_are_lost() {
    hold_events(40, true);
}

fn hold_resyncs(thousandths: u32, loses: bool) {
    let (system, schemas) = (System::simulated(), schemas());
    let check = async |history: &History| {
        system.clear();
        hold_resync(history, &system, &schemas).boxed_local().await
    };
    hold(share(thousandths), Kind { acts: "", loses }, &check, &simulated_runtime());
}

#[test]
fn promise_9_reported_a_copy_is_right_again_after_a_gap_and_a_resync() {
    hold_resyncs(50, false);
}

#[test]
fn promise_9_reported_the_same_gap_when_callbacks_are_lost() {
    hold_resyncs(30, true);
}
