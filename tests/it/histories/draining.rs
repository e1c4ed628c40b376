//! The drain of the spill queue beside live callbacks: many messages at once are stored while others
//! arrive, and handlers die, that of the drain too.

use rollcall_players::model::Arrived;

use super::{
    history::{History, Kind},
    hold,
    play::{Played, System},
    share, simulated_runtime,
    spilling::{Spilling, Waiting},
};
use crate::support::Schedule;

/// Promise 5: nothing that was answered with 2xx is ever missing, and the order in which it is stored
/// does not matter.
#[test]
fn promise_5_never_lost_a_drain_beside_live_callbacks_ends_as_the_model_says() {
    let system = System::simulated();
    let runtime = simulated_runtime();
    for loses in [false, true] {
        let check = async |history: &History| {
            system.clear();
            Box::pin(drain(history, &system)).await
        };
        hold(share(50), Kind { acts: "", loses }, &check, &runtime);
    }
}

async fn drain(history: &History, system: &System) -> Result<(), String> {
    let played = Played::with_a_setting(history);
    system.set(played.settings());
    let mut arrived = played.arrived.clone();
    arrived.sort_by_key(|arrived| arrived.received_at);
    let mut spilling = Spilling::new(system, Some(history.seed));
    let random = fastrand::Rng::with_seed(history.seed);
    let mut schedule = Schedule { random, has_faults: history.has_faults };
    for together in arrived.chunks(history.at_once) {
        let now = together.iter().map(|arrived| arrived.received_at).max().unwrap();
        system.store().set_time(now);
        let (down, live): (Vec<Arrived>, Vec<Arrived>) =
            together.iter().cloned().partition(|_| spilling.is_next_spilled());
        for arrived in down {
            spilling.spill(&arrived).await;
        }
        let messages = spilling.take_some();
        replay(&spilling, &messages, &live, now, system, &mut schedule).await;
        // What was not stored because its handler died arrives again.
        system.deliver(&live, &mut schedule).await;
    }
    let waiting = spilling.take_all();
    replay(&spilling, &waiting, &[], played.now, system, &mut schedule).await;
    played.check(history, system).await
}

/// Replays messages until none of them stays in the queue, beside callbacks.
async fn replay(
    spilling: &Spilling,
    messages: &[Waiting],
    live: &[Arrived],
    now: u64,
    system: &System,
    schedule: &mut Schedule,
) {
    let mut left: Vec<&Waiting> = messages.iter().collect();
    while !left.is_empty() {
        let replay = spilling.replay(&left, now);
        match system.beside(live, schedule, replay).await {
            Some(kept) => left.retain(|waiting| kept.contains(&waiting.message_id)),
            None => assert!(schedule.has_faults, "only a fault ends a drain"),
        }
    }
}
