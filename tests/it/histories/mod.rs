//! Random histories of many people in many rooms and on many devices, of all providers, checked against
//! a reference model and against the truth. Both are in `tests/players`:
//!
//! - [`world`](rollcall_players::world): small providers that play a history and report it. They know
//!   the truth.
//! - [`model`](rollcall_players::model): what presence means, given the callbacks that arrived in no order.
//! - [`play`]: the callbacks' way through handlers and store, late, repeatedly, never, or at the same
//!   moment as others; and the queries.
//! - [`draining`]: the spill queue that is drained beside live callbacks.
//! - [`relay`]: the store's stream on its way to a backend's copy of the answers.
//! - [`observed`]: what the provider answers when it is asked, and what that repairs.
//! - [`repaired`]: the same by whole passes over a played server API.
//! - [`profiles`]: passes that read the profiles that changed.
//! - [`seen`]: any answers of a provider, whatever follows from them by the model.
//! - [`shards`]: rooms whose rows are spread over more and more partitions of the index.
//! - [`settle`]: rooms that are over or empty, and the checks that find them.
//!
//! Whatever arrived, the answers are the model's. If everything arrived, they are the truth.
//!
//! Most histories run on a simulated store, whose seed decides which handler goes on at every request,
//! and which one dies; some run on the real one. `ROLLCALL_HISTORIES` sets how many there are in all.
//!
//! A history that fails is made as short as it gets and printed. To see it again, save it in a file; once
//! its reason is found, it goes to `once_failed`.
//!
//! ```text
//! ROLLCALL_REPLAY=history.txt cargo test -p rollcall-tests --test it replay -- --nocapture
//! ```

mod breaker;
/// The logic of `cargo run --example consumer`.
#[path = "../../../local/examples/consumer/copy.rs"]
#[allow(dead_code, reason = "a history has no index that lags, and no restart")]
pub(crate) mod copy;
mod draining;
mod erasure;
mod explained;
mod history;
pub(crate) mod live;
mod observed;
mod play;
mod profiles;
pub(crate) mod relay;
mod repaired;
mod reports;
mod seen;
mod settle;
mod shards;
mod side_by_side;
mod spilling;

use std::path::Path;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use tokio::runtime::{Builder, Runtime};
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use self::{
    history::{History, Kind, histories},
    play::{Played, System},
};

/// The number of histories in all tests together. `.ci/run` sets 10,000.
const HISTORIES: u32 = 2000;

/// A test's share of them, in thousandths.
fn share(thousandths: u32) -> u32 {
    let all = std::env::var("ROLLCALL_HISTORIES").ok().and_then(|all| all.parse().ok());
    (all.unwrap_or(HISTORIES) * thousandths).div_ceil(1000)
}

/// Time stops while anything can continue, so that nothing depends on the load of the machine.
fn simulated_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// As long as the guard lives, nothing that this thread does is logged. The log of a
/// million requests is like that of a thousand, which other tests search for secrets.
fn unlogged() -> DefaultGuard {
    tracing::subscriber::set_default(NoSubscriber::new())
}

/// Checks that many histories; of those that fail it prints a short one.
fn hold(
    cases: u32,
    kind: Kind,
    check: &impl AsyncFn(&History) -> Result<(), String>,
    runtime: &Runtime,
) {
    let _unlogged = unlogged();
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 5000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&histories(kind), |history| {
        // A panic shrinks as well as an error.
        runtime.block_on(check(&history)).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => {
            // The history comes last: of a long log, CI keeps the end.
            panic!("{why}\n\n{}\n{history}", Played::new(&history).story(&history))
        }
        Err(abort) => panic!("{abort}"),
    }
}

/// The answers are the model's, and the truth if nothing was lost.
async fn hold_answers(history: &History, system: &System) -> Result<(), String> {
    let played = Played::with_a_setting(history);
    system.set(played.settings());
    played.deliver(history, system).await;
    played.check(history, system).await
}

fn hold_simulated(thousandths: u32, acts: &'static str) {
    let system = System::simulated();
    for loses in [false, true] {
        let kind = Kind { acts, loses };
        let check = async |history: &History| {
            system.clear();
            hold_answers(history, &system).await
        };
        hold(share(thousandths / 2), kind, &check, &simulated_runtime());
    }
}

#[test]
fn promise_3_convergent_zego_answers_are_the_models_and_the_truth() {
    hold_simulated(300, "zego");
}

#[test]
fn promise_3_convergent_trtc_answers_are_the_models_and_the_truth() {
    hold_simulated(250, "trtc");
}

#[test]
fn promise_3_convergent_room_engine_answers_are_the_models_and_the_truth() {
    hold_simulated(50, "room");
}

/// The same people in the same rooms, by TRTC and by `RoomEngine`.
#[test]
fn promise_3_convergent_two_tracks_of_one_room_count_nobody_twice() {
    hold_simulated(150, "trtc room");
}

#[test]
fn promise_3_convergent_chat_answers_are_the_models_and_the_truth() {
    hold_simulated(200, "chat");
}

#[test]
fn promise_3_convergent_openim_answers_are_the_models_and_the_truth() {
    hold_simulated(100, "openim");
}

#[test]
fn promise_3_convergent_zim_devices_are_the_models_and_the_truth() {
    hold_simulated(200, "zim-user");
}

#[test]
fn promise_3_convergent_zim_rooms_are_the_models_and_the_truth() {
    hold_simulated(200, "zim-room");
}

#[test]
fn promise_3_convergent_all_providers_at_once_disturb_nobody() {
    hold_simulated(50, "");
}

/// Any order, any duplicates and any interleaving leave the same records.
#[test]
fn promise_3_convergent_every_order_leaves_the_same_records() {
    let system = System::simulated();
    let check = async |history: &History| {
        let played = Played::new(history);
        system.clear();
        played.deliver_in_order(&system).await;
        let expected = system.records().await;
        system.clear();
        played.deliver(history, &system).await;
        same_records(&system.records().await, &expected)
    };
    hold(share(100), Kind { acts: "", loses: true }, &check, &simulated_runtime());
}

/// An event delivered any number of times leaves what one delivery leaves.
#[test]
fn promise_2_idempotent_many_deliveries_leave_what_one_leaves() {
    let system = System::simulated();
    let check = async |history: &History| {
        let once = Played::new(history);
        system.clear();
        once.deliver(history, &system).await;
        let expected = system.records().await;
        once.deliver_in_order(&system).await;
        once.deliver(history, &system).await;
        same_records(&system.records().await, &expected)
    };
    hold(share(50), Kind { acts: "", loses: true }, &check, &simulated_runtime());
}

fn same_records<T: PartialEq + std::fmt::Debug>(
    got: &std::collections::HashMap<String, T>,
    expected: &std::collections::HashMap<String, T>,
) -> Result<(), String> {
    for key in got.keys().chain(expected.keys()) {
        if got.get(key) != expected.get(key) {
            return Err(format!(
                "{key}: got {:#?}\nexpected {:#?}",
                got.get(key),
                expected.get(key)
            ));
        }
    }
    Ok(())
}

/// The same on the real store, with handlers that really run at the same time; and the simulated store
/// ends up with the same records.
#[test]
fn promise_3_convergent_on_the_real_store() {
    let runtime = Runtime::new().unwrap();
    let simulated = System::simulated();
    let check = async |history: &History| {
        let (played, real) = (Played::new(history), System::real().await);
        played.deliver(history, &real).await;
        played.check(history, &real).await?;
        simulated.clear();
        played.deliver(history, &simulated).await;
        same_records(&simulated.records().await, &real.records().await)
    };
    for loses in [false, true] {
        hold(share(10), Kind { acts: "", loses }, &check, &runtime);
    }
}

/// Plays a history from a file.
#[test]
fn replay() {
    let Ok(file) = std::env::var("ROLLCALL_REPLAY") else { return };
    let history = read(file.as_ref());
    println!("{}", Played::new(&history).story(&history));
    let system = System::simulated();
    simulated_runtime().block_on(hold_answers(&history, &system)).unwrap();
}

/// Histories that rarely come up at random.
#[test]
fn promise_3_convergent_what_once_failed_holds() {
    let system = System::simulated();
    let once_failed = concat!(env!("CARGO_MANIFEST_DIR"), "/it/histories/once_failed");
    for file in std::fs::read_dir(once_failed).unwrap() {
        let file = file.unwrap().path();
        system.clear();
        let held = simulated_runtime().block_on(hold_answers(&read(&file), &system));
        held.unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }
}

fn read(file: &Path) -> History {
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

/// Robots are in the rooms of every provider that has some.
#[test]
fn histories_have_robots_in_rooms() {
    use rollcall_players::{Event, robots::is_robot, zim::EventName::UserAction};

    for acts in ["zego", "trtc", "zim-room"] {
        let mut runner = TestRunner::deterministic();
        let entered = (0..100).any(|_| {
            let tree = histories(Kind { acts, loses: false }).new_tree(&mut runner).unwrap();
            let history = proptest::strategy::ValueTree::current(&tree);
            let played = Played::new(&history);
            played.known.iter().any(|arrived| {
                let of_room = !matches!(&arrived.event, Event::Zim(of) if of.name == UserAction);
                of_room && arrived.robots.iter().any(|user| is_robot(user))
            })
        });
        assert!(entered, "{acts}");
    }
}

#[test]
fn a_printed_history_comes_back() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let tree = histories(Kind { acts: "", loses: true }).new_tree(&mut runner).unwrap();
        let history = proptest::strategy::ValueTree::current(&tree);
        let printed = format!("{history}\n{}", Played::new(&history).story(&history));
        assert_eq!(printed.parse::<History>().unwrap(), history, "{printed}");
    }
}
