//! Rooms grow in the middle of random histories: the operator sets another number of shards, or other
//! rooms, again and again. Instances that know the new setting start at any moment, also at the same
//! moment, and those from before go on. The reader is as old as the history, so it knows only what it
//! has read in the last minute. It finds what a reader finds that starts now, at any time; and in the
//! end the answers are the model's and the truth.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::Duration,
};

use rollcall::{
    domain::{RoomShards, Settings, Shards, UnixMillis},
    providers::tencent::RoomEvent,
    record::Records,
    store::{Reader, Writer},
};
use rollcall_players::{answers::compare, model::Arrived};

use super::{
    History, Kind, Played, System, hold,
    play::{Asked, encode, secrets},
    share, simulated_runtime,
};
use crate::support::{Handlers, RETENTION, Schedule, TABLE_NAME, iam};

/// No time passes in simulated histories.
const LIMIT: Duration = Duration::from_secs(20);

/// The numbers that an operator sets. Each of 64 shards is a query for each question, so few histories
/// have so many.
const NUMBERS: [u8; 10] = [4, 5, 7, 8, 8, 8, 11, 16, 16, 16];

#[test]
fn promise_3_convergent_a_room_that_grows_in_the_middle_loses_nobody() {
    let system = System::simulated();
    let spread = Cell::new(0);
    let check = async |history: &History| {
        system.clear();
        let grown = Box::pin(grow(history, &system, &NUMBERS)).await?;
        spread.set(spread.get() + grown);
        Ok(())
    };
    for acts in ["zego", "trtc", "trtc room", "zim-room"] {
        for loses in [false, true] {
            hold(share(20), Kind { acts, loses }, &check, &simulated_runtime());
        }
    }
    assert!(spread.get() > 0, "no row was ever in a new shard");
}

#[test]
fn promise_3_convergent_a_room_that_grows_from_4_to_64_loses_nobody() {
    let system = System::simulated();
    let check = async |history: &History| {
        system.clear();
        Box::pin(grow(history, &system, &[64])).await.map(drop)
    };
    hold(share(4), Kind { acts: "zego trtc", loses: false }, &check, &simulated_runtime());
}

/// Plays a history in which rooms grow. Returns how many rows are in new shards.
async fn grow(history: &History, system: &System, numbers: &[u8]) -> Result<usize, String> {
    let played = Played::with_a_setting(history);
    system.set(played.settings());
    let mut growth = Growth {
        system,
        settings: played.settings(),
        asked: Asked::about(&played.reported, &played.truth),
        random: fastrand::Rng::with_seed(history.seed ^ 64),
        numbers,
        configured: None,
        instances: vec![system.handlers()],
        partitions: HashMap::new(),
    };
    let mut arrived = played.arrived.clone();
    arrived.sort_by_key(|arrived| arrived.received_at);
    let random = fastrand::Rng::with_seed(history.seed);
    let mut schedule = Schedule { random, has_faults: history.has_faults };
    for together in arrived.chunks(history.at_once) {
        let now = together.iter().map(|arrived| arrived.received_at).max().unwrap_or_default();
        system.store().set_time(now);
        growth.deliver(together, &mut schedule).await;
        growth.check_partitions()?;
        Box::pin(growth.ask(now)).await?;
    }
    played.check(history, system).await?;
    Ok(growth.partitions.values().filter(|partition| shard(partition) >= 4).count())
}

fn shard(partition: &str) -> u8 {
    partition.rsplit('#').next().unwrap().parse().unwrap()
}

struct Growth<'a> {
    system: &'a System,
    settings: Settings,
    asked: Asked,
    random: fastrand::Rng,
    numbers: &'a [u8],
    /// What the operator has set.
    configured: Option<RoomShards>,
    /// All that were ever started: some never heard of a new number.
    instances: Vec<Handlers>,
    /// The partition of the row of each seat.
    partitions: HashMap<String, String>,
}

impl Growth<'_> {
    /// The operator sets another number now and then, also a smaller one, and of other rooms.
    fn configure(&mut self) {
        if self.random.u8(..4) > 0 {
            return;
        }
        let number = *self.random.choice(self.numbers).unwrap();
        let some = self.random.choice(&self.asked.rooms).and_then(|path| path.split('/').nth(2));
        let some = some.map(|room| format!("*{}", room.chars().last().unwrap()));
        let rooms = some.filter(|_| self.random.bool()).unwrap_or_else(|| "*".to_owned());
        let shards = Shards::new(number).unwrap();
        self.configured = Some(RoomShards { rooms: rooms.parse().unwrap(), shards });
    }

    /// An instance for the next callback, and whether it starts with it.
    fn instance(&mut self) -> (Handlers, bool) {
        self.configure();
        if let Some(configured) = self.configured.clone().filter(|_| self.random.u8(..3) == 0) {
            let mut handlers = self.system.handlers();
            handlers.receiver.store =
                Writer::new(self.system.store().client(), TABLE_NAME, RETENTION)
                    .with_room_shards(configured);
            self.instances.push(handlers.clone());
            return (handlers, true);
        }
        let newest = self.instances.last().filter(|_| self.random.bool());
        let instance = newest.or_else(|| self.random.choice(&self.instances));
        (instance.unwrap().clone(), false)
    }

    /// Delivers callbacks at the same time, until each is answered with success.
    async fn deliver(&mut self, together: &[Arrived], schedule: &mut Schedule) {
        let mut left: Vec<&Arrived> = together.iter().collect();
        while !left.is_empty() {
            let mut handlers = Vec::new();
            for arrived in &left {
                let (instance, starts) = self.instance();
                handlers.push(async move {
                    let at = UnixMillis(arrived.received_at);
                    if starts {
                        let receiver = &instance.receiver;
                        let start = async {
                            receiver.store.warm_up(LIMIT, at).await;
                            receiver.warm_up::<RoomEvent>(LIMIT, at).await;
                        };
                        iam::acting_as("tencent-room-event", start).await;
                    }
                    let callback = arrived.event.callback(secrets(), at).unwrap();
                    instance.deliver(&callback, at).await
                });
            }
            let replies = self.system.store().interleave(schedule, handlers).await;
            let failed = left.into_iter().zip(replies).filter(|(arrived, reply)| match reply {
                Some(reply) if reply.status == 200 => false,
                Some(reply) if reply.status != 503 || !schedule.has_faults => {
                    panic!("{}: {}: {arrived:?}", reply.status, reply.body)
                }
                _ => true,
            });
            left = failed.map(|(arrived, _)| arrived).collect();
        }
    }

    /// The row of a seat in a life stays in its partition.
    fn check_partitions(&mut self) -> Result<(), String> {
        for item in self.system.store().items() {
            let text = |name: &str| item.get(name).map(|value| value["S"].as_str().unwrap());
            let (Some(pk), Some(sk), Some(partition)) = (text("pk"), text("sk"), text("gsi1pk"))
            else {
                continue;
            };
            if !sk.starts_with("seat#") {
                continue;
            }
            let is_in_life = !sk.ends_with('#') && !sk.ends_with("%room_engine");
            let known = self.partitions.insert(format!("{pk} {sk}"), partition.to_owned());
            if is_in_life && known.as_deref().is_some_and(|known| known != partition) {
                return Err(format!("{pk} {sk} has moved from {known:?} to {partition}"));
            }
        }
        Ok(())
    }

    /// Asks about one of the rooms: the reader that is as old as the history finds what a new one
    /// finds.
    async fn ask(&mut self, now: u64) -> Result<(), String> {
        let Some(path) = self.random.choice(&self.asked.rooms) else { return Ok(()) };
        let (app, room) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
        let reader = Reader::new(self.system.store().client(), TABLE_NAME);
        let reader = reader.with_settings(self.settings.clone());
        let mut handlers = self.system.handlers();
        handlers.queries.records = Records::new(reader, Duration::ZERO);
        let new = System::Simulated(self.system.store().clone(), RefCell::new(handlers));
        let query = format!("room={}&limit=100", encode(&room[1..]));
        for (path, list) in [("presence", "members"), ("attendance", "sessions")] {
            let path = format!("/{path}/{app}/rooms");
            let answer = self.system.pages(&path, &query, list, now).await;
            compare(&path, &answer, &new.pages(&path, &query, list, now).await)?;
        }
        Ok(())
    }
}
