//! Callbacks pass by a store that does not answer.

use std::time::Duration;

use http::StatusCode;
use rollcall::{breaker::FAILURES, config::ReplayGuard, handler::Receiver};
use rollcall_players::{Callback, zego::EventName::RoomLogin};

use crate::support::{Fault, Moment, Outage, SECRET, zego_event};

/// Of a debug build.
const BUDGET: Duration = Duration::from_secs(3);

/// Delivers a login of a user. Returns status and outcome, and how often the store was asked.
async fn login(outage: &Outage, user: &str) -> (u16, &'static str, usize) {
    let now = Moment::recent().plus(1000);
    let event = rollcall_players::zego::Event {
        user: user.to_owned(),
        ..zego_event(RoomLogin, Moment::recent().plus(0))
    };
    let secret = rollcall::callback::Secret::new(SECRET.to_owned()).unwrap();
    let callback: Callback = event.callback(&secret, now.seconds(), "1");
    outage.store.take();
    let reply = outage.handlers.deliver(&callback, now).await;
    (reply.status.as_u16(), reply.outcome.unwrap(), outage.store.take().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_a_store_that_hung_is_not_waited_for_again() {
    let mut outage = Outage::start(BUDGET).await;
    outage.store.break_with(Some(Fault::Hang));
    let (status, outcome, asked) = login(&outage, "first").await;
    assert_eq!((status, outcome), (200, "spilled"));
    assert!(asked > 0);
    for user in ["second", "third"] {
        assert_eq!(login(&outage, user).await, (200, "spilled", 0));
    }
    assert!(outage.handlers.receiver.breaker.is_open());
    outage.store.break_with(None);
    assert_eq!(login(&outage, "fourth").await, (200, "spilled", 0), "it is not tried yet");
    assert_eq!(outage.replay_all().await, 4);
    let (_, room) =
        outage.handlers.get("/presence/zego/1/rooms/lobby", "", Moment::recent().plus(2000)).await;
    assert_eq!(room["online"], 4, "{room}");
}

/// One room that is too hot must not send everybody's callbacks to the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_hot_partition_is_asked_again_and_a_throttled_table_is_not() {
    const HOT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Throughput exceeds the current throughput limit","throttlingReasons":[{"reason":"IndexWriteKeyRangeThroughputExceeded","resource":"arn:aws:dynamodb:us-east-1:123456789012:table/rollcall/index/gsi1"}]}"#;
    const TABLE: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Throughput exceeds the current throughput limit","throttlingReasons":[{"reason":"TableWriteMaxOnDemandThroughputExceeded","resource":"arn:aws:dynamodb:us-east-1:123456789012:table/rollcall"}]}"#;
    for (answer, is_open) in [(HOT, false), (TABLE, true)] {
        let outage = Outage::start(BUDGET).await;
        outage.store.break_with(Some(Fault::Answer(StatusCode::BAD_REQUEST, answer)));
        for user in 0..FAILURES {
            let (status, outcome, asked) = login(&outage, &user.to_string()).await;
            assert_eq!((status, outcome), (200, "spilled"));
            assert!(asked > 0, "{answer}");
        }
        assert_eq!(outage.handlers.receiver.breaker.is_open(), is_open, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dynamodb_refuses_says_nothing_of_the_store() {
    const REFUSED: &str =
        r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"no"}"#;
    let outage = Outage::start(BUDGET).await;
    outage.store.break_with(Some(Fault::Answer(StatusCode::BAD_REQUEST, REFUSED)));
    for user in 0..=FAILURES {
        let (status, outcome, asked) = login(&outage, &user.to_string()).await;
        assert_eq!((status, outcome, asked), (200, "spilled", 1));
    }
}

/// A signature is claimed in the store, and such a callback never goes to the queue.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_on_time_a_signature_is_not_claimed_in_a_store_that_hung() {
    let mut outage = Outage::start(BUDGET).await;
    let receiver = outage.handlers.receiver.clone();
    outage.handlers.receiver = Receiver { replay_guard: ReplayGuard::On, ..receiver };
    outage.store.break_with(Some(Fault::Hang));
    let (status, outcome, asked) = login(&outage, "first").await;
    assert_eq!((status, outcome), (503, "rejected"));
    assert!(asked > 0);
    assert_eq!(login(&outage, "second").await, (503, "rejected", 0));
}

/// Without a queue there is nowhere else to go.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_every_callback_asks_the_store() {
    let mut outage = Outage::start(BUDGET).await;
    outage.handlers.receiver.spill = None;
    outage.store.break_with(Some(Fault::Reset));
    for user in 0..=FAILURES {
        let (status, outcome, asked) = login(&outage, &user.to_string()).await;
        assert_eq!((status, outcome), (503, "rejected"));
        assert!(asked > 0);
    }
}
