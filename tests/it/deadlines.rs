//! Promise 6: an answer is sent within 1.5 s even when every dependency hangs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream};
use http::StatusCode;
use rollcall::{callback::Secret, domain::UnixMillis, handler, queue::Queue};
use rollcall_players::{Callback, openim, zego::EventName::RoomLogin};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{
    Fault, Moment, Outage, SECRET, apps, iam, openim_event, store_at, zego_event,
};

/// The default of `ROLLCALL_BUDGET_MS`.
const BUDGET: Duration = Duration::from_millis(1500);

/// How many cases run concurrently: they must wait for their faults, not for a core.
const AT_ONCE: usize = 2;

fn login(start: Moment) -> (Callback, UnixMillis) {
    let now = start.plus(1000);
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    (zego_event(RoomLogin, start.plus(0)).callback(&secret, now.seconds(), "1"), now)
}

/// Twice that, for cases that also have work to do: a debug build on a busy machine is slow.
const BUSY: Duration = Duration::from_secs(3);

/// Delivers a callback. Returns its answer and how long that took. The answer must come before a
/// timer of `within` ends, which a busy machine delays as much.
async fn timed(
    outage: &Outage,
    callback: &Callback,
    now: UnixMillis,
    within: Duration,
) -> (u16, &'static str, Duration) {
    let started = Instant::now();
    let reply = tokio::select! {
        biased;
        reply = outage.handlers.deliver(callback, now) => reply,
        () = tokio::time::sleep(within) => panic!("there is no answer within {within:?}"),
    };
    (reply.status.as_u16(), reply.outcome.unwrap(), started.elapsed())
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Hang,
        Fault::Reset,
        Fault::internal_error(),
        Fault::throttling(),
        Fault::LoseAnswer,
        Fault::Slow(Duration::from_secs(10)),
        Fault::Drip(Duration::from_millis(100)),
    ]
}

/// Promise 6: whatever the store does, the answer is in time, and the callback is safe.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_a_store_that_fails_leaves_time_for_the_queue() {
    let tried = faults().into_iter().map(async |fault| {
        let outage = Outage::start(BUSY).await;
        outage.store.break_with(Some(fault));
        let (callback, now) = login(Moment::recent());
        let (status, outcome, _) = timed(&outage, &callback, now, BUSY).await;
        assert_eq!((status, outcome), (200, "spilled"), "{fault:?}");
    });
    stream::iter(tried).for_each_concurrent(AT_ONCE, |tried| tried).await;
}

/// Promise 6: when the queue does not answer either, the provider gets a 503 in time.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_when_everything_hangs_the_answer_is_503() {
    let tried = faults().into_iter().map(async |fault| {
        let outage = Outage::start(BUDGET).await;
        outage.store.break_with(Some(Fault::Hang));
        outage.sqs.break_with(Some(fault));
        let (callback, now) = login(Moment::recent());
        let (status, outcome, _) = timed(&outage, &callback, now, BUDGET).await;
        assert_eq!((status, outcome), (503, "rejected"), "{fault:?}");
    });
    stream::iter(tried).for_each_concurrent(AT_ONCE, |tried| tried).await;
}

/// Promise 6: a batch has no more time than a single event.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_a_thousand_registrations_are_spilled_in_time() {
    // A debug build signs a quarter of a megabyte slowly.
    let budget = BUSY * 2;
    let outage = Outage::start(budget).await;
    let now = Moment::recent().plus(0);
    let mut event = openim_event(openim::EventName::UserRegister, now);
    event.options.users = (0..1000).map(|number| format!("user{number}")).collect();
    let callback = event.callback(&apps().openim[&"main".parse().unwrap()]);
    outage.store.break_with(Some(Fault::Hang));
    let (status, outcome, _) = timed(&outage, &callback, now, budget).await;
    assert_eq!((status, outcome), (200, "spilled"));
}

/// Promise 6: `ROLLCALL_BUDGET_MS` is the time for the whole answer.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_the_budget_sets_all_times() {
    for budget in [2000, 4000].map(Duration::from_millis) {
        let outage = Outage::start(budget).await;
        outage.store.break_with(Some(Fault::Hang));
        let (callback, now) = login(Moment::recent());
        let (_, outcome, took) = timed(&outage, &callback, now, budget).await;
        assert_eq!(outcome, "spilled");
        assert!(took >= handler::store_limit(budget), "{took:?}");
        outage.sqs.break_with(Some(Fault::Hang));
        let (_, outcome, _) = timed(&outage, &callback, now, budget).await;
        assert_eq!(outcome, "rejected");
    }
}

/// Promise 6 if nothing answers at all: no address, no port, no listener that accepts.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_an_unreachable_service_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_address = closed.local_addr().unwrap();
    drop(closed);
    // Once the backlog of connections is full, no other connection can be made.
    let full = TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let waiting = (0..4).map(|_| TcpStream::connect(full.local_addr().unwrap()));
    let waiting =
        waiting.map(|connecting| tokio::time::timeout(Duration::from_millis(200), connecting));
    let _waiting = join_all(waiting).await;

    let endpoints = [
        format!("http://{}", silent.local_addr().unwrap()),
        format!("http://{closed_address}"),
        format!("http://{}", full.local_addr().unwrap()),
        "http://store.invalid".to_owned(),
    ];
    let tried = endpoints.into_iter().map(async |endpoint| {
        let mut outage = Outage::start(BUSY).await;
        let nowhere = iam::config(&endpoint);
        outage.handlers.receiver.store = store_at(&nowhere, handler::store_limit(BUSY));
        let (callback, now) = login(Moment::recent());
        let (status, outcome, _) = timed(&outage, &callback, now, BUSY).await;
        assert_eq!((status, outcome), (200, "spilled"), "{endpoint}");
        outage.handlers.receiver.spill = Some(Queue::new(&nowhere, "http://queue/SpillQueue"));
        outage.handlers.receiver.budget = BUDGET;
        let (status, outcome, _) = timed(&outage, &callback, now, BUDGET).await;
        assert_eq!((status, outcome), (503, "rejected"), "{endpoint}");
    });
    stream::iter(tried).for_each_concurrent(AT_ONCE, |tried| tried).await;
}

/// A connection that died unnoticed, as can happen after a pause, costs some time but not the
/// answer.
#[tokio::test]
async fn a_half_open_connection_is_given_up_for_another_one() {
    let outage = Outage::start(BUSY).await;
    let (callback, now) = login(Moment::recent());
    assert_eq!(timed(&outage, &callback, now, BUSY).await.1, "applied");
    let is_dead = AtomicBool::new(true);
    outage.store.faults(move |_| is_dead.swap(false, Ordering::Relaxed).then_some(Fault::Hang));
    let (_, outcome, took) = timed(&outage, &callback, now, BUSY).await;
    assert_eq!(outcome, "duplicate");
    assert!(took < handler::store_limit(BUSY), "{took:?}");
}

/// Temporary faults are retried, others are not.
#[tokio::test]
async fn a_short_fault_is_tried_again_and_expired_credentials_are_not() {
    let (callback, now) = login(Moment::recent());
    for fault in [Fault::throttling(), Fault::internal_error(), Fault::Reset] {
        let outage = Outage::start(BUSY).await;
        let is_first = AtomicBool::new(true);
        outage.store.faults(move |_| is_first.swap(false, Ordering::Relaxed).then_some(fault));
        assert_eq!(timed(&outage, &callback, now, BUSY).await.1, "applied", "{fault:?}");
        assert_eq!(outage.store.take().len(), 2, "{fault:?}");
    }
    let outage = Outage::start(BUSY).await;
    let expired = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    outage.store.break_with(Some(Fault::Answer(StatusCode::FORBIDDEN, expired)));
    let (_, outcome, took) = timed(&outage, &callback, now, BUSY).await;
    assert_eq!(outcome, "spilled");
    assert_eq!(outage.store.take().len(), 1);
    assert!(took < handler::store_limit(BUSY), "{took:?}");
}
