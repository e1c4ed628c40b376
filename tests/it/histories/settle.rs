//! Random histories in which rooms are settled: the stream goes through relays that ask for checks,
//! a queue delays the messages, and checks write what they find. Relays and checks die at any step,
//! and messages come twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::FutureExt;
use rollcall::{
    domain::{LifeId, Settings, UnixMillis},
    record::Records,
    relay::{Bus, BusError, Entry, Received, Relay, events, rooms_to_check},
    routes::{RELAY, SETTLE},
    settle::{Check, CheckQueue, Checks, Delayed, Settle},
    store::{Reader, RoomLife, Settler, StreamRecord},
};
use rollcall_players::{answers::compare, model::Rooms};
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{
    history::{History, Kind},
    hold,
    play::{Played, System, encode},
    relay::{erasures, live_rooms},
    share, simulated_runtime,
};
use crate::support::{RETENTION, Schedule, Simulated, TABLE_NAME, iam};

/// How many shards the stream has. All records of one partition are in one.
const SHARDS: usize = 3;

const GRACE: Duration = Duration::from_secs(30);

const GRACE_MS: u64 = 30_000;

/// A bus that takes everything.
#[derive(Clone)]
struct NoBus;

impl Bus for NoBus {
    const MAX_ENTRIES: usize = 10;
    const MAX_BYTES: usize = 256 << 10;

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<bool>, BusError> {
        Ok(vec![true; entries.len()])
    }
}

/// A message that waits.
#[derive(Debug, Clone)]
struct Waiting {
    at: u64,
    check: Check,
}

/// The relays, the queue and the checks.
struct Settling<'a> {
    system: &'a System,
    relay: Relay<NoBus>,
    settle: Settle,
    sent: mpsc::UnboundedReceiver<Delayed>,
    queue: Vec<Waiting>,
    /// How many records of each shard were relayed.
    relayed: [usize; SHARDS],
    clock: u64,
    has_faults: bool,
    /// When what was known of a room was last relayed completely.
    seen: BTreeMap<RoomLife, u64>,
    /// How many records of the stream were looked at.
    looked_at: usize,
    settled: Vec<Found>,
}

/// An event about a settled or an empty room, and when its item was written.
#[derive(Debug, Clone)]
struct Found {
    at: u64,
    event: Value,
}

fn checks(store: &Simulated, timer: mpsc::UnboundedSender<Delayed>) -> Checks {
    Checks {
        store: Settler::new(store.client(), TABLE_NAME, RETENTION),
        queue: CheckQueue::Timer(timer),
        grace: GRACE,
    }
}

fn shard_of(record: &Value) -> usize {
    let pk = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap();
    pk.bytes().map(usize::from).sum::<usize>() % SHARDS
}

/// What the filters of the template let through.
fn passes(record: &Value) -> bool {
    let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap();
    !sk.starts_with("check#") && !sk.starts_with("app#") && sk != "live"
}

fn read(record: &Value) -> StreamRecord {
    serde_json::from_value(record.clone()).unwrap()
}

impl<'a> Settling<'a> {
    fn new(system: &'a System, has_faults: bool, settings: Settings) -> Self {
        let (timer, sent) = mpsc::unbounded_channel();
        let store = system.store();
        let checks = checks(store, timer);
        let reader = Reader::new(store.client(), TABLE_NAME).with_settings(settings);
        let records = Records::new(reader, Duration::ZERO);
        let erasures = erasures(store);
        Self {
            system,
            relay: Relay {
                bus: NoBus,
                erasures,
                live: live_rooms(store),
                checks: Some(checks.clone()),
            },
            settle: Settle { records, checks },
            sent,
            queue: Vec::new(),
            relayed: [0; SHARDS],
            clock: 0,
            has_faults,
            seen: BTreeMap::new(),
            looked_at: 0,
            settled: Vec::new(),
        }
    }

    /// Puts what was sent into the queue.
    fn take_sent(&mut self) -> Result<(), String> {
        while let Ok(Delayed { check, delay }) = self.sent.try_recv() {
            let is_second = self.queue.iter().any(|waiting| waiting.check.of == check.of);
            if is_second && !self.has_faults {
                return Err(format!("two messages wait: {check:?}"));
            }
            let at = self.clock + u64::try_from(delay.as_millis()).unwrap();
            self.queue.push(Waiting { at, check });
        }
        Ok(())
    }

    /// What the checks have written since the last look.
    fn look(&mut self) -> Result<(), String> {
        let stream = self.system.store().stream(self.looked_at);
        self.looked_at += stream.len();
        for event in stream.iter().flat_map(|record| events(&read(record)).unwrap()) {
            if ["room.settled", "room.emptied"].contains(&event.name()) {
                let event = serde_json::to_value(&event).unwrap();
                let found = Found { at: self.clock, event };
                self.check_grace(&found)?;
                self.settled.push(found);
            }
        }
        Ok(())
    }

    /// Nothing is found before the grace is over, by the provider's clock and by ours.
    fn check_grace(&self, found: &Found) -> Result<(), String> {
        let Found { at, event } = found;
        if event["settled_at"] != *at || event["at"].as_u64().unwrap() + GRACE_MS > *at {
            return Err(format!("at {at}, which is before the grace is over: {event:#}"));
        }
        for (of, seen) in &self.seen {
            let life = of.life.as_ref().map(LifeId::as_str);
            let is_same = event["room"] == of.room.as_str()
                && event["app"] == of.app.id.as_str()
                && event["life"].as_str() == life;
            if is_same && seen + GRACE_MS > *at {
                return Err(format!("at {at}, but something changed at {seen}: {event:#}"));
            }
        }
        Ok(())
    }

    /// Lets each relay have a batch, at the same time as others do other things.
    async fn relay(&mut self, schedule: &mut Schedule) -> Result<bool, String> {
        let stream: Vec<Value> = self.system.store().stream(0);
        let mut batches = Vec::new();
        for shard in 0..SHARDS {
            let records =
                stream.iter().filter(|record| shard_of(record) == shard && passes(record));
            let size = schedule.random.usize(1..5);
            let records: Vec<&Value> = records.skip(self.relayed[shard]).take(size).collect();
            if !records.is_empty() {
                batches.push((shard, records));
            }
        }
        let now = UnixMillis(self.clock);
        let relay = &self.relay;
        let relays = batches.iter().map(|(_, records)| {
            let received: Vec<Received> = records
                .iter()
                .map(|record| Received {
                    sequence_number: record["dynamodb"]["SequenceNumber"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                    record: Ok(read(record)),
                })
                .collect();
            iam::acting_as(RELAY, async move {
                let deadline = Instant::now() + Duration::from_millis(500);
                relay.relay(&received, now, deadline).await
            })
        });
        let kept = self.system.store().interleave(schedule, relays).await;
        for ((shard, records), kept) in batches.iter().zip(kept) {
            let is_repeated = self.has_faults && schedule.random.u8(..) < 20;
            let Some(kept) = kept.filter(|_| !is_repeated) else { continue };
            let place = |number: &String| {
                let number_of = |record: &&Value| {
                    record["dynamodb"]["SequenceNumber"].as_str() == Some(number.as_str())
                };
                records.iter().position(number_of).unwrap()
            };
            let done = kept.iter().map(place).min().unwrap_or(records.len());
            self.relayed[*shard] += done;
            for record in &records[..done] {
                for of in rooms_to_check(&read(record), GRACE, now).unwrap() {
                    self.seen.insert(of, self.clock);
                }
            }
        }
        self.take_sent()?;
        Ok(!batches.is_empty())
    }

    /// Does the checks that are due by then, each at its time.
    async fn run_until(&mut self, until: u64, schedule: &mut Schedule) -> Result<(), String> {
        loop {
            let next = (0..self.queue.len()).min_by_key(|place| self.queue[*place].at);
            let Some(next) = next.filter(|next| self.queue[*next].at <= until) else { break };
            let Waiting { at, check } = self.queue.swap_remove(next);
            self.clock = self.clock.max(at);
            let (now, settle) = (UnixMillis(self.clock), &self.settle);
            let copies = if self.has_faults && schedule.random.u8(..) < 20 { 2 } else { 1 };
            let checks = (0..copies).map(|_| {
                let work = settle.check(&check, now, Instant::now() + Duration::from_mins(1));
                iam::acting_as(SETTLE, work)
            });
            let done = self.system.store().interleave(schedule, checks).await;
            if !done.iter().any(|done| matches!(done, Some(Ok(())))) {
                if !self.has_faults {
                    return Err(format!("{done:?}"));
                }
                // It becomes visible again.
                self.queue.push(Waiting { at: self.clock + 360_000, check });
            }
            self.take_sent()?;
            self.look()?;
        }
        self.clock = self.clock.max(until);
        Ok(())
    }
}

async fn ask(system: &System, href: &str, now: u64) -> Option<Value> {
    let (path, query) = href.split_once('?').unwrap();
    system.ask(path, query, now).await
}

/// The rooms and lives of which anything is stored, and the rooms whose lives have no names.
fn lives(store: &Simulated) -> BTreeSet<RoomLife> {
    let stream = store.stream(0);
    let all = Duration::ZERO;
    let now = UnixMillis(u64::MAX);
    stream
        .iter()
        .filter(|record| passes(record))
        .flat_map(|record| rooms_to_check(&read(record), all, now).unwrap())
        .collect()
}

/// For every life that is over, the newest revision is what its report says now.
async fn check_lives(settling: &Settling<'_>, is_lossless: bool) -> Result<(), String> {
    let (system, now) = (settling.system, settling.clock);
    for RoomLife { app, room, life } in lives(system.store()) {
        let Some(life) = life else { continue };
        let (provider, id) = (app.provider, encode(app.id.as_str()));
        let (escaped, of_life) = (encode(room.as_str()), encode(life.as_str()));
        let href = format!("/reports/{provider}/{id}/rooms?room={escaped}&life={of_life}");
        let report = ask(system, &format!("{href}&settle=30"), now).await;
        let report = report.ok_or_else(|| format!("{href} is not known"))?;
        let mut of_it: Vec<&Value> = settling
            .settled
            .iter()
            .map(|found| &found.event)
            .filter(|event| event["type"] == "room.settled")
            .filter(|event| event["room"] == room.as_str() && event["life"] == life.as_str())
            .filter(|event| event["app"] == app.id.as_str())
            .collect();
        of_it.sort_by_key(|event| event["revision"].as_u64());
        for (place, event) in of_it.iter().enumerate() {
            if event["revision"] != place + 1 || event["late"] != (place > 0) {
                return Err(format!("revision {}: {event:#}", place + 1));
            }
            let is_like = |name| place > 0 && of_it[place - 1][name] == event[name];
            if ["digest", "missing", "people"].into_iter().all(is_like) {
                return Err(format!("nothing has changed: {event:#}"));
            }
        }
        if report["ended_at"].is_null() {
            continue;
        }
        let Some(newest) = of_it.last() else {
            // Nothing arrives any more in a room, and its last life shows only by who came to it.
            if is_lossless || report["ended_assumed"] == false {
                return Err(format!("{href} is not settled: {report:#}"));
            }
            continue;
        };
        for name in ["began_at", "ended_at", "people", "person_ms", "missing", "digest"] {
            let is_same = newest[name] == report[name];
            if !is_same && (is_lossless || report["ended_assumed"] == false) {
                return Err(format!("{name} of {newest:#}\nin the report: {report:#}"));
            }
        }
        let of_event = ask(system, newest["href"].as_str().unwrap(), now).await;
        // An assumed end moves if somebody comes to the next life, and then the grace begins anew.
        let moved_at = report["ended_at"].as_u64().filter(|_| report["ended_assumed"] == true);
        let is_final = is_lossless || moved_at.is_none_or(|at| at + GRACE_MS <= now);
        if of_event.as_ref() != Some(&report) || is_final && report["final"] != true {
            return Err(format!("{} is {of_event:#?}\nand not {report:#}", newest["href"]));
        }
    }
    Ok(())
}

/// Every room that nobody is in any more was found empty since the last person left.
async fn check_rooms(settling: &Settling<'_>, counted: Rooms) -> Result<(), String> {
    let (system, now) = (settling.system, settling.clock);
    let rooms: BTreeSet<_> =
        lives(system.store()).into_iter().map(|RoomLife { app, room, .. }| (app, room)).collect();
    for (app, room) in rooms {
        let (provider, id) = (app.provider, encode(app.id.as_str()));
        let query = format!("room={}", encode(room.as_str()));
        let roster = system.ask(&format!("/presence/{provider}/{id}/rooms"), &query, now).await;
        let Some(roster) = roster else {
            // Only a product that does not count may have named it.
            compare(&format!("{query} is not known"), &(counted == Rooms::Both), &false)?;
            continue;
        };
        if roster["online"] != 0 {
            continue;
        }
        let path = format!("/attendance/{provider}/{id}/rooms");
        let visits = system.pages(&path, &query, "sessions", now).await.unwrap();
        let is_of_life =
            |visit: &&Value| visit["life"] == roster["life"] && visit["role"] != "admin";
        let visits = visits["sessions"].as_array().unwrap().iter().filter(is_of_life);
        let Some(last) = visits.filter_map(|visit| visit["left_at"].as_u64()).max() else {
            continue;
        };
        let found = settling.settled.iter().map(|found| &found.event).filter(|event| {
            event["type"] == "room.emptied"
                && event["room"] == room.as_str()
                && event["app"] == app.id.as_str()
                && event["life"] == roster["life"]
        });
        let newest = found.filter_map(|event| event["at"].as_u64()).max();
        if newest.is_none_or(|newest| newest < last) {
            return Err(format!("{query} is empty since {last}, and not {newest:?}: {roster:#}"));
        }
    }
    Ok(())
}

async fn hold_settled(history: &History, system: &System, loses: bool) -> Result<(), String> {
    let played = Played::with_a_setting(history);
    system.set(played.settings());
    let mut settling = Settling::new(system, history.has_faults, played.settings());
    let mut arrived = played.arrived.clone();
    arrived.sort_by_key(|arrived| arrived.received_at);
    let random = fastrand::Rng::with_seed(history.seed);
    let mut schedule = Schedule { random, has_faults: history.has_faults };
    for together in arrived.chunks(history.at_once) {
        let now = together.iter().map(|arrived| arrived.received_at).max().unwrap();
        settling.run_until(now, &mut schedule).await?;
        system.deliver(together, &mut schedule).await;
        for _ in 0..schedule.random.usize(..4) {
            settling.relay(&mut schedule).await?;
        }
    }
    // Everything has arrived.
    while settling.relay(&mut schedule).await? {}
    while !settling.queue.is_empty() {
        settling.run_until(settling.clock + 1_000_000, &mut schedule).await?;
        while settling.relay(&mut schedule).await? {}
    }
    check_lives(&settling, !loses).await?;
    check_rooms(&settling, played.rooms).await
}

fn hold_all(thousandths: u32, acts: &'static str, loses: bool) {
    let system = System::simulated();
    let check = async |history: &History| {
        system.clear();
        hold_settled(history, &system, loses).boxed_local().await
    };
    hold(share(thousandths), Kind { acts, loses }, &check, &simulated_runtime());
}

#[test]
fn promise_9_reported_every_life_that_ends_is_settled_with_what_its_report_says() {
    hold_all(85, "zego", false);
}

#[test]
fn promise_9_reported_lives_are_settled_when_callbacks_are_lost() {
    hold_all(40, "zego", true);
}

#[test]
fn promise_9_reported_every_room_without_lives_that_nobody_is_in_is_found_empty() {
    hold_all(50, "trtc", false);
}

#[test]
fn promise_9_reported_rooms_of_two_tracks_that_nobody_is_in_are_found_empty() {
    hold_all(30, "trtc room", false);
    hold_all(20, "trtc room", true);
}

#[test]
fn promise_9_reported_every_room_of_zim_that_nobody_is_in_is_found_empty() {
    hold_all(25, "zim-room", false);
}

#[test]
fn promise_9_reported_rooms_of_all_providers_are_settled() {
    hold_all(25, "", true);
}

fn hold_one(history: &str, loses: bool) {
    let (system, history) = (System::simulated(), history.parse::<History>().unwrap());
    simulated_runtime().block_on(hold_settled(&history, &system, loses)).unwrap();
}

/// Somebody who came long before the dismissal was the last to leave.
#[test]
fn promise_9_reported_a_dismissed_room_is_found_empty() {
    hold_one(
        "at-once 6 seed 5533895540518433141 faults false asks-after 0
        fates 217599,275106,2,2 0,0 0 2371
        +0 trtc-enter 0 1 0
        +651282 trtc-exit 0 1 20
        +0 trtc-dismiss 0 1 42",
        false,
    );
}

/// The last person goes on as a recorder.
#[test]
fn promise_9_reported_a_room_with_only_a_recorder_is_found_empty() {
    hold_one(
        "at-once 5 seed 2334272198634649922 faults false asks-after 0
        fates x x 0 1 0 0,0,0,0 0,0,0 3258
        +0 zego-login 0 0 0
        +0 zego-login 0 0 5
        +0 zego-login 0 0 62
        +0 zego-logout 0 0 0
        +0 zego-login 0 0 8
        +29742 zego-login 0 0 18",
        true,
    );
}

/// What shows that the next life began is lost, but for a login long after it. So the end of the life
/// is assumed, and moves to that login, which is a moment ago.
#[test]
fn promise_9_reported_an_assumed_end_may_move_after_the_life_was_settled() {
    hold_one(
        "at-once 5 seed 15967489931519745683 faults false asks-after 0
        fates 1,2,1559 x 59,137710,0 0 x x 0 4137 0,2533,1 3249 7
        +0 zego-login 0 1 0
        +0 zego-login 0 1 42
        +0 zego-close 0 1 29
        +0 zego-login 0 1 2
        +0 zego-logout 0 1 53
        +901403 zego-logout 0 0 41
        +1 zego-login 0 1 29",
        true,
    );
}
