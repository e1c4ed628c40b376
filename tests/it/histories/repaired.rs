//! Repair: a played ZEGO is asked who is in the rooms, and answers from the truth of that moment,
//! with lag and with failures. Whatever was lost, the rosters end as the truth.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use http::StatusCode;
use rollcall::{
    domain::UnixMillis,
    http::Request,
    providers::ProviderApis,
    reconcile::Reconcile,
    routes,
    server_api::{Clock, Patience, Transport},
};
use rollcall_local::provider::{Behaviour, EXAMPLE_APIS, Faults, Lie, Provider, Truth};
use rollcall_players::{robots, servers::Servers, world::Reported};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    History, Kind, Played, System, hold,
    observed::recorders,
    play::{Rosters, encode},
    share, simulated_runtime,
};
use crate::support::{iam, reconcile_on};

/// A pass so long after the last callback is sure to see everything: by our clock, more than 10 s
/// have passed since any time that an event names, which may itself be 3 s ahead. That our clock may
/// be 5 s behind is in the lag.
const SURELY: u64 = 20_000;

/// A pass carries out what the brake of one before it has held up, from so many ms on.
const BRAKE: u64 = 31_000;

/// The example accounts, with the robots of ZEGO's app.
static APIS: LazyLock<ProviderApis> = LazyLock::new(|| {
    let mut apis: Value = serde_json::from_str(EXAMPLE_APIS).unwrap();
    apis["zego"]["1"]["robots"] = json!(robots::PATTERNS);
    ProviderApis::from_json(&apis.to_string()).unwrap()
});

/// How the played ZEGO differs from one without faults.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Oddly {
    /// For how many ms a change is not seen; negative if the provider's clock is ahead.
    pub(super) lag: i64,
    /// How many percent of the requests fail.
    pub(super) fail: f64,
    /// What is not true.
    pub(super) lie: Option<Lie>,
    /// Of what is left to chance.
    pub(super) seed: u64,
}

/// Asks about these rooms of app 1 at this time, each once. Returns whether every answer was one.
pub(super) async fn pass(
    system: &System,
    reported: &[Reported],
    rooms: &BTreeSet<String>,
    at: u64,
    oddly: Oddly,
) -> bool {
    system.store().set_time(at);
    let began = Instant::now();
    let clock: Clock = Arc::new(move || UnixMillis(at).after(began.elapsed()));
    let reported = reported.to_vec();
    let truth = Truth::new(move |at| {
        Arc::new(Servers::at(&reported, at.0.saturating_add_signed(-oddly.lag)))
    });
    let faults = Faults { percent: oddly.fail, ..Faults::default() };
    let behaviour = Behaviour { faults, lie: oddly.lie, ..Behaviour::default() };
    let provider = Provider::new(APIS.clone(), truth, behaviour, oddly.seed);
    let now = clock.clone();
    let transport = Transport::answered_by(
        move |request| Some(provider.answer(&request, now())?.map(Bytes::from)),
        Patience::default(),
    );
    let client = system.store().client();
    let reconcile = reconcile_on(client, APIS.clone(), clock.clone(), transport);
    let mut is_whole = true;
    for room in rooms {
        let (status, answer) = ask(&reconcile, room, clock()).await;
        assert!([200, 502].contains(&status.as_u16()), "{status} {answer}");
        is_whole &= status == StatusCode::OK;
    }
    is_whole
}

async fn ask(reconcile: &Reconcile, room: &str, now: UnixMillis) -> (StatusCode, Value) {
    let room = room.strip_prefix("zego/1/").unwrap();
    let query = format!("room={}", encode(room));
    let request = Request { query, ..Request::post("/reconcile/zego/1/rooms", String::new(), now) };
    let id = format!("{room}-{now}");
    let answering = Box::pin(reconcile.answer(&request, &id));
    let reply = iam::acting_as(routes::RECONCILE, answering).await;
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

/// The rooms of a history that somebody was in.
pub(super) fn rooms(played: &Played) -> BTreeSet<String> {
    played.truth.rooms.keys().filter(|room| room.starts_with("zego/1/")).cloned().collect()
}

/// Two passes after everything has arrived: the second one carries out what the brake held up.
/// Returns the rosters after each.
pub(super) async fn repaired(system: &System, played: &mut Played, oddly: Oddly) -> [Rosters; 2] {
    let rooms = rooms(played);
    let mut rosters = [Rosters::new(), Rosters::new()];
    for (rosters, after) in rosters.iter_mut().zip([SURELY, BRAKE]) {
        played.now += after;
        assert!(pass(system, &played.reported, &rooms, played.now, oddly).await);
        played.now += 1000;
        *rosters = played.rosters(system).await.0;
    }
    rosters
}

/// The rosters as the truth has them; nobody is in a room that is not known.
fn differ(played: &Played, rosters: &Rosters) -> Result<(), String> {
    for room in rooms(played) {
        let recorders = recorders(played, &room);
        let [got, expected] = [rosters.get(&room), played.truth.rooms.get(&room)].map(|people| {
            let people = people.cloned().unwrap_or_default();
            people.difference(&recorders).cloned().collect::<BTreeSet<_>>()
        });
        if got != expected {
            return Err(format!("{room}: got {got:?}, and the truth is {expected:?}"));
        }
    }
    Ok(())
}

/// Passes while callbacks arrive, one pass in which requests fail, and two without a failure.
async fn hold_repaired(history: &History, system: &System) -> Result<(), String> {
    let mut history = history.clone();
    // A callback that arrives twice at the end is as good as one: nothing is asked about the past.
    history.asks_after = 0;
    let mut played = Played::new(&history);
    let mut random = fastrand::Rng::with_seed(history.seed);
    // How late the provider's answers are by our clock: up to 3 s, and clocks that are 5 s apart.
    let lag = random.i64(-5000..=8000);
    let rooms = rooms(&played);
    let reported = played.reported.clone();
    let mut seed = history.seed;
    played
        .deliver_with(&history, system, async |_, now| {
            if random.u8(..6) == 0 {
                seed = seed.wrapping_add(1);
                let oddly = Oddly { lag, fail: 5.0, seed, ..Oddly::default() };
                pass(system, &reported, &rooms, now, oddly).await;
            }
        })
        .await;
    played.now += SURELY;
    let fails = Oddly { lag, fail: 30.0, seed: history.seed, ..Oddly::default() };
    pass(system, &reported, &rooms, played.now, fails).await;
    let [_, rosters] = repaired(system, &mut played, Oddly { lag, ..Oddly::default() }).await;
    differ(&played, &rosters)
}

/// The claim of repair: after the first pass without an error that begins after the last late
/// callback, no roster is wrong, whatever was lost.
#[test]
fn promise_3_convergent_after_a_pass_rosters_are_the_truth_whatever_was_lost() {
    let system = System::simulated();
    for loses in [true, false] {
        let check = async |history: &History| {
            system.clear();
            hold_repaired(history, &system).await
        };
        hold(share(100), Kind { acts: "zego", loses }, &check, &simulated_runtime());
    }
}

/// A pass full of lies is repaired by honest ones.
#[test]
fn promise_3_convergent_two_honest_passes_repair_a_lie() {
    const LIES: [Lie; 6] = [
        Lie::EverybodyOut,
        Lie::EverybodyIn,
        Lie::UnknownRoom,
        Lie::LoginAtZero,
        Lie::LoginInFuture,
        Lie::OtherUsers,
    ];
    let system = System::simulated();
    let check = async |history: &History| {
        system.clear();
        let mut played = Played::new(history);
        played.deliver(history, &system).await;
        let lie = LIES[usize::try_from(history.seed % LIES.len() as u64).unwrap()];
        let rooms = rooms(&played);
        for _ in 0..2 {
            played.now += BRAKE;
            let lied = Oddly { lie: Some(lie), ..Oddly::default() };
            pass(&system, &played.reported, &rooms, played.now, lied).await;
        }
        let [_, rosters] = repaired(&system, &mut played, Oddly::default()).await;
        differ(&played, &rosters).map_err(|wrong| format!("after {lie:?}: {wrong}"))
    };
    hold(share(200), Kind { acts: "zego", loses: true }, &check, &simulated_runtime());
}
