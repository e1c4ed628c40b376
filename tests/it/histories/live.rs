//! The list of live rooms: it has every room in which somebody is, whatever the relays that keep
//! it and the sweeps that shorten it do to each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use rollcall::{
    domain::{App, ProviderName, Settings, UnixMillis},
    relay::{Bus, BusError, Entry, LiveRooms, Received, Relay},
    routes::{QUERY, RELAY, SWEEP},
    store::Reader,
    sweep::{Budget, QUIET_FOR, SweepError, Swept},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    history::{History, Kind},
    hold,
    play::{Asked, Played, System, encode},
    relay::{erasures, live_rooms},
    share, simulated_runtime,
};
use crate::support::{MAX_LAG_MS, Schedule, TABLE_NAME, iam, sweep_with};

/// How many shards the stream has. All records of one partition are in one.
const SHARDS: usize = 3;

/// All that a run can read.
const PLENTY: Budget = Budget::ReadUnitsPerSecond(NonZeroU32::new(1_000_000).unwrap());

/// A bus that takes everything, and how much that was.
#[derive(Default)]
pub(crate) struct AllTaken {
    pub(crate) events: Arc<AtomicUsize>,
}

impl Bus for AllTaken {
    const MAX_ENTRIES: usize = 10;
    const MAX_BYTES: usize = 1 << 20;

    async fn put(&self, entries: &[&Entry]) -> Result<Vec<bool>, BusError> {
        self.events.fetch_add(entries.len(), Ordering::Relaxed);
        Ok(vec![true; entries.len()])
    }
}

/// The relays of the shards, which race.
struct Relays {
    relayed: [usize; SHARDS],
    live: [LiveRooms; SHARDS],
    /// Those of the sweeps.
    settings: Settings,
}

type Work<'a> = Pin<Box<dyn Future<Output = Done> + 'a>>;

/// What one of those that race has done.
enum Done {
    /// The numbers of the records that must be delivered again.
    Relayed(Vec<String>),
    Swept,
}

impl Relays {
    fn new(system: &System, settings: Settings) -> Self {
        let live = std::array::from_fn(|_| live_rooms(system.store()));
        Self { relayed: [0; SHARDS], live, settings }
    }

    /// Lets the relays have a batch of each shard, all at the same time, with a sweep beside them.
    /// Any of them may die at any step. Returns whether there was anything to relay.
    async fn step(&mut self, system: &System, schedule: &mut Schedule, now: u64) -> bool {
        let stream = system.store().stream(0);
        let shard_of = |record: &Value| {
            let pk = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap();
            pk.bytes().map(usize::from).sum::<usize>() % SHARDS
        };
        let batches: Vec<Vec<Received>> = (0..SHARDS)
            .map(|shard| {
                let records = stream.iter().filter(|record| shard_of(record) == shard);
                let size = schedule.random.usize(1..6);
                let records = records.skip(self.relayed[shard]).take(size);
                records
                    .map(|record| Received {
                        sequence_number: number(record),
                        record: serde_json::from_value(record.clone()),
                    })
                    .collect()
            })
            .collect();
        if batches.iter().all(Vec::is_empty) {
            return false;
        }
        let relays: Vec<Relay<AllTaken>> = self
            .live
            .iter()
            .map(|live| Relay {
                bus: AllTaken::default(),
                erasures: erasures(system.store()),
                live: live.clone(),
                checks: None,
            })
            .collect();
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut all: Vec<Work<'_>> = Vec::new();
        for (relay, batch) in relays.iter().zip(&batches) {
            let relaying = iam::acting_as(RELAY, relay.relay(batch, UnixMillis(now), deadline));
            all.push(Box::pin(async { Done::Relayed(relaying.await) }));
        }
        if schedule.random.u8(..) < 60 {
            // Two at once, too.
            for _ in 0..schedule.random.usize(1..3) {
                let run = schedule.random.u64(..);
                let (may_fail, settings) = (schedule.has_faults, self.settings.clone());
                all.push(Box::pin(async move {
                    let swept = sweep(system, settings, run, now).await;
                    assert!(may_fail || swept.is_ok(), "{swept:?}");
                    Done::Swept
                }));
            }
        }
        let done = system.store().interleave(schedule, all).await;
        for (shard, done) in done.into_iter().take(SHARDS).enumerate() {
            match done {
                Some(Done::Relayed(kept)) => {
                    // Lambda delivers again from the first one that failed on.
                    let first = kept.iter().map(|number| number.parse::<u128>().unwrap()).min();
                    let place = |first: u128| {
                        let is_it = |one: &Received| one.sequence_number == first.to_string();
                        batches[shard].iter().position(is_it).unwrap()
                    };
                    self.relayed[shard] += first.map_or(batches[shard].len(), place);
                }
                // What a dead one remembered is lost with it.
                _ => self.live[shard] = live_rooms(system.store()),
            }
        }
        true
    }
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

/// A run of function `sweep`. Each has a name of its own.
async fn sweep(
    system: &System,
    settings: Settings,
    run: u64,
    now: u64,
) -> Result<Option<Swept>, SweepError> {
    let sweep = sweep_with(system.store().client(), PLENTY, settings);
    let deadline = Instant::now() + Duration::from_mins(1);
    let run = run.to_string();
    let running = sweep.run(&run, UnixMillis(now), deadline);
    iam::acting_as(SWEEP, running).await
}

/// How many people are in each room in which somebody is.
async fn people(system: &System, asked: &Asked, now: u64) -> BTreeMap<String, u64> {
    let mut people = BTreeMap::new();
    for path in &asked.rooms {
        let (app, room) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
        let query = format!("room={}&count=exact&limit=1", encode(&room[1..]));
        let answer = system.ask(&format!("/presence/{app}/rooms"), &query, now).await;
        let online = answer.map_or(0, |answer| answer["online"].as_u64().unwrap());
        if online > 0 {
            people.insert(path.clone(), online);
        }
    }
    people
}

/// The rooms that are listed, and how many people are in them.
async fn listed(system: &System, limit: usize, now: u64) -> BTreeMap<String, u64> {
    let mut rooms = BTreeMap::new();
    for app in ["zego/1", "tencent/1400000000"] {
        let query = format!("min_people=0&limit={limit}");
        let all = system.pages(&format!("/rooms/{app}"), &query, "rooms", now).await.unwrap();
        for room in all["rooms"].as_array().unwrap() {
            let path = format!("{app}/{}", room["room"].as_str().unwrap());
            let known = rooms.insert(path, room["online"].as_u64().unwrap());
            assert_eq!(known, None, "a room is listed twice: {all:#}");
        }
    }
    rooms
}

/// Everything was relayed: the rooms in which people are now are listed when the index has
/// caught up.
async fn check(system: &System, asked: &Asked, now: u64) -> Result<(), String> {
    let before = people(system, asked, now).await;
    let later = now + MAX_LAG_MS;
    system.store().set_time(later);
    let limit = if now.is_multiple_of(8) { 2 } else { 100 };
    let all = listed(system, limit, later).await;
    let found = all.clone().into_iter().filter(|(_, online)| *online > 0).collect();
    let expected: BTreeMap<String, u64> = people(system, asked, later).await;
    system.store().set_time(now);
    let missing: Vec<_> = before.keys().filter(|room| !all.contains_key(*room)).collect();
    if !missing.is_empty() {
        return Err(format!("at {now} there are people in {missing:?}, which are not listed"));
    }
    if expected != found {
        return Err(format!("at {later} there is {expected:?}, and listed is {found:?}"));
    }
    Ok(())
}

/// Everything was relayed. After a sweep that begins ten minutes later, exactly the rooms with people
/// are listed, and the sample says how many they are.
async fn check_after_a_sweep(
    system: &System,
    settings: &Settings,
    asked: &Asked,
    last: u64,
) -> Result<(), String> {
    // A run that died may have the lease until then.
    let now = last + millis(QUIET_FOR);
    system.store().set_time(now);
    // The first one ends the round of a run that died.
    for run in 0..2 {
        if !matches!(sweep(system, settings.clone(), run, now).await, Ok(Some(_))) {
            return Err(format!("a sweep at {now} fails"));
        }
    }
    let later = now + MAX_LAG_MS;
    system.store().set_time(later);
    let expected = people(system, asked, later).await;
    let found = listed(system, 100, later).await;
    if found != expected {
        return Err(format!("after a sweep there is {expected:?}, and listed is {found:?}"));
    }
    sweep(system, settings.clone(), 2, later).await.map_err(|error| error.to_string())?;
    for app in ["zego/1", "tencent/1400000000"] {
        let path = format!("/rooms/{app}");
        let totals = system.ask(&path, "", later).await.unwrap()["totals"].take();
        let of_app: Vec<u64> =
            expected.iter().filter(|(room, _)| app_of(room) == app).map(|(_, of)| *of).collect();
        let online: u64 = of_app.iter().sum();
        let is_right = match totals.as_object() {
            Some(totals) => totals["rooms"] == of_app.len() && totals["online"] == online,
            None => of_app.is_empty(),
        };
        if !is_right {
            return Err(format!("{app} has {of_app:?}, and its totals are {totals}"));
        }
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

async fn hold_live(history: &History, system: &System) -> Result<(), String> {
    system.store().lag(history.seed);
    let played = Played::with_a_setting(history);
    system.set(played.settings());
    let asked = Asked::about(&played.reported, &played.truth);
    let mut relays = Relays::new(system, played.settings());
    let mut found = Ok(());
    let mut last = 0;
    played
        .deliver_with(history, system, async |schedule, now| {
            last = now;
            if found.is_err() {
                return;
            }
            let mut is_all = false;
            for _ in 0..schedule.random.usize(..8) {
                is_all = !relays.step(system, schedule, now).await;
                if is_all {
                    break;
                }
            }
            // Each question takes many requests.
            if is_all && schedule.random.u8(..) < 12 {
                found = check(system, &asked, now).await;
            }
        })
        .await;
    found?;
    let random = fastrand::Rng::with_seed(history.seed);
    let mut schedule = Schedule { random, has_faults: history.has_faults };
    while relays.step(system, &mut schedule, last).await {}
    check(system, &asked, last).await?;
    check_after_a_sweep(system, &played.settings(), &asked, last).await?;
    // Of each app that has rooms it is known.
    let reader = Reader::new(system.store().client(), TABLE_NAME);
    let apps = iam::acting_as(QUERY, reader.apps(UnixMillis(last))).await.unwrap();
    let named: BTreeSet<String> = apps.iter().map(name).collect();
    let expected: BTreeSet<String> =
        people(system, &asked, last).await.into_keys().map(|path| app_of(&path)).collect();
    if expected.is_subset(&named) { Ok(()) } else { Err(format!("{named:?} of {expected:?}")) }
}

fn name(App { provider, id }: &App) -> String {
    assert_ne!(*provider, ProviderName::OpenIm, "it has no rooms");
    format!("{provider}/{id}")
}

fn app_of(path: &str) -> String {
    path.split('/').take(2).collect::<Vec<_>>().join("/")
}

fn hold_lists(thousandths: u32, loses: bool) {
    let system = System::simulated();
    let check = async |history: &History| {
        system.clear();
        hold_live(history, &system).boxed_local().await
    };
    hold(share(thousandths), Kind { acts: "", loses }, &check, &simulated_runtime());
}

#[test]
fn promise_9_reported_every_room_with_people_is_listed_whatever_relays_and_sweeps_do() {
    hold_lists(150, false);
}

#[test]
fn promise_9_reported_every_room_with_people_is_listed_when_callbacks_are_lost() {
    hold_lists(50, true);
}
