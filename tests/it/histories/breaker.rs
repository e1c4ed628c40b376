//! Random histories with a store that flaps, and functions that pass it by while it does not answer.
//!
//! DynamoDB is up, is down, or does anything: it hangs, fails, throttles one partition, or does what it was
//! asked for without an answer. SQS fails now and then, too. Messages are replayed at random moments.
//! At the end the answers are the model's, so nothing that was answered with 2xx is missing. When the
//! store has answered for as long as a breaker waits, no callback goes to the queue.

use std::{cell::Cell, time::Duration};

use futures::future::join_all;
use rollcall::breaker::LONGEST_WAIT;
use rollcall_players::model::Arrived;
use tokio::time::sleep;

use super::{
    history::{History, Kind},
    hold,
    play::{Played, System},
    share, simulated_runtime,
    spilling::{Mood, Spilling, Waiting},
};

/// Delivers some callbacks at once, until each is answered with success. Returns how many were spilled.
async fn deliver(spilling: &Spilling, together: &[Arrived]) -> usize {
    let deliveries = together.iter().map(async |arrived| {
        loop {
            let reply = spilling.deliver(arrived).await;
            match reply.status.as_u16() {
                200 => return reply.outcome == Some("spilled"),
                503 => sleep(Duration::from_secs(1)).await,
                status => panic!("{status}: {}: {arrived:?}", reply.body),
            }
        }
    });
    join_all(deliveries).await.into_iter().filter(|is_spilled| *is_spilled).count()
}

async fn replay(spilling: &Spilling, messages: Vec<Waiting>, now: u64) {
    let messages: Vec<&Waiting> = messages.iter().collect();
    let kept = spilling.replay(&messages, now).await;
    assert!(kept.is_empty(), "{kept:?}");
}

async fn play(history: &History, system: &System, passed_by: &Cell<u64>) -> Result<(), String> {
    system.clear();
    let played = Played::new(history);
    let mut spilling = Spilling::flapping(system, history.seed);
    let mut random = fastrand::Rng::with_seed(history.seed ^ 1);
    let mut arrived = played.arrived.clone();
    arrived.sort_by_key(|arrived| arrived.received_at);
    let (while_it_flaps, at_last) = arrived.split_at(random.usize(..=arrived.len()));
    for together in while_it_flaps.chunks(history.at_once) {
        if random.u8(..) < 96 {
            let moods = [Mood::Up, Mood::Down, Mood::Mixed];
            spilling.set_mood(moods[random.usize(..moods.len())]);
        }
        let longest = u64::try_from(LONGEST_WAIT.as_millis()).unwrap();
        sleep(Duration::from_millis(random.u64(..longest / 2))).await;
        let asked = spilling.asked();
        let spilled = deliver(&spilling, together).await;
        if spilling.asked() == asked && spilled > 0 {
            passed_by.set(passed_by.get() + 1);
        }
        spilling.collect_all(together);
        let some = spilling.take_some();
        replay(&spilling, some, together[0].received_at).await;
    }
    spilling.set_mood(Mood::Up);
    sleep(LONGEST_WAIT).await;
    for together in at_last.chunks(history.at_once) {
        let spilled = deliver(&spilling, &together[..1]).await;
        let spilled = spilled + deliver(&spilling, &together[1..]).await;
        if spilled > 0 {
            return Err(format!("{spilled} callbacks went to the queue, though the store answers"));
        }
    }
    let waiting = spilling.take_all();
    replay(&spilling, waiting, played.now).await;
    played.check(history, system).await
}

#[test]
fn promise_5_never_lost_with_a_store_that_flaps_answers_are_the_models() {
    let (system, passed_by) = (System::simulated(), Cell::new(0));
    let check = async |history: &History| Box::pin(play(history, &system, &passed_by)).await;
    for loses in [false, true] {
        hold(share(100), Kind { acts: "", loses }, &check, &simulated_runtime());
    }
    assert!(passed_by.get() > 0, "no breaker ever opened");
}
