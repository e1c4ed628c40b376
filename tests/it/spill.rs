//! Promise 5: a change that cannot be stored waits in the queue, and is stored when the store is
//! back.

use std::time::Duration;

use http::StatusCode;
use rollcall::{callback::Secret, domain::UnixMillis, replay::Gate, spill::MAX_MESSAGE_BYTES};
use rollcall_players::{
    Callback, openim,
    zego::{Event, EventName::RoomLogin},
};
use serde_json::{Value, json};

use crate::support::{
    Fault, Moment, Outage, SECRET, apps, dump, one_of_each, openim_event, zego_event,
};

const BUDGET: Duration = Duration::from_secs(10);

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn zego(event: &Event, now: UnixMillis) -> Callback {
    event.callback(&secret(SECRET), now.seconds(), "1")
}

/// Promise 5: replaying any change gives the same result as storing it at once, including the times
/// of receipt.
#[tokio::test]
async fn promise_5_never_lost_a_replayed_callback_leaves_what_a_stored_one_leaves() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut broken = Outage::start(BUDGET).await;
    let sound = Outage::start(BUDGET).await;
    let callbacks = one_of_each(start, now);
    broken.store.refuse(|_| true);
    for callback in &callbacks {
        let reply = broken.handlers.deliver(callback, now).await;
        assert_eq!((reply.status.as_u16(), reply.outcome), (200, Some("spilled")), "{reply:?}");
        let reply = sound.handlers.deliver(callback, now).await;
        assert_eq!((reply.status.as_u16(), reply.outcome), (200, Some("applied")), "{reply:?}");
    }
    assert!(dump(&broken.database.client).await.is_empty());

    broken.store.break_with(None);
    assert_eq!(broken.replay_all().await, callbacks.len());
    let expected = dump(&sound.database.client).await;
    assert_eq!(dump(&broken.database.client).await, expected);
    assert!(sound.sqs.take().is_empty(), "the queue costs nothing while it is not needed");
}

/// Promise 5, if the store stored a change and its answer was lost: storing it again is harmless.
#[tokio::test]
async fn promise_5_never_lost_an_answer_that_is_lost_is_no_second_event() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut broken = Outage::start(BUDGET).await;
    let sound = Outage::start(BUDGET).await;
    broken.store.break_with(Some(Fault::LoseAnswer));
    for callback in &one_of_each(start, now) {
        assert_eq!(broken.handlers.deliver(callback, now).await.outcome, Some("spilled"));
        assert_eq!(sound.handlers.deliver(callback, now).await.outcome, Some("applied"));
    }
    broken.store.break_with(None);
    broken.replay_all().await;
    assert_eq!(dump(&broken.database.client).await, dump(&sound.database.client).await);
}

/// Promises 4 and 5: without a store and without a queue there is no success.
#[tokio::test]
async fn promise_4_durable_without_a_store_and_a_queue_the_answer_is_503() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    outage.sqs.refuse(|_| true);
    for callback in &one_of_each(start, now) {
        let reply = outage.handlers.deliver(callback, now).await;
        assert_eq!((reply.status.as_u16(), reply.outcome), (503, Some("rejected")), "{reply:?}");
    }
    assert!(outage.queue.receive().await.is_empty());
    outage.handlers.receiver.spill = None;
    outage.sqs.break_with(None);
    let login = zego(&zego_event(RoomLogin, start.plus(0)), now);
    assert_eq!(outage.handlers.deliver(&login, now).await.status, 503);

    // ZEGO sends it again.
    outage.store.break_with(None);
    assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("applied"));
}

fn registrations(users: usize, extra: &str, now: UnixMillis) -> Callback {
    let mut event = openim_event(openim::EventName::UserRegister, now);
    event.options.users = (0..users).map(|number| format!("user{number:04}")).collect();
    extra.clone_into(&mut event.options.ex);
    event.callback(&apps().openim[&"main".parse().unwrap()].clone())
}

/// Promise 5: only the rest of a batch is spilled, in parts that SQS accepts.
#[tokio::test(flavor = "multi_thread")]
async fn promise_5_never_lost_what_is_left_of_a_batch_is_spilled_in_parts() {
    let now = Moment::recent().plus(0);
    // A megabyte of registrations, full of characters that JSON must escape.
    let extra = "\"\\\u{1}\u{fffe}\u{ffff}é".repeat(3000);
    for (users, extra) in [(1000, ""), (30, extra.as_str())] {
        let mut outage = Outage::start(BUDGET * 6).await;
        outage.store.faults(|request| {
            // Every other user is stored.
            let (_, user) = request.body.split_once("#user#user").unwrap();
            let is_even = user[..4].parse::<usize>().unwrap() % 2 == 0;
            (!is_even).then(Fault::internal_error)
        });
        let reply = outage.handlers.deliver(&registrations(users, extra, now), now).await;
        assert_eq!((reply.status.as_u16(), reply.outcome), (200, Some("spilled")), "{reply:?}");
        assert_eq!(dump(&outage.database.client).await.len(), users / 2);

        let messages = outage.sqs.take();
        let lengths: Vec<usize> = messages
            .iter()
            .map(|request| {
                let asked: Value = serde_json::from_str(&request.body).unwrap();
                asked["MessageBody"].as_str().unwrap().len()
            })
            .collect();
        let fewest = lengths.iter().sum::<usize>().div_ceil(MAX_MESSAGE_BYTES);
        assert!((fewest..=fewest * 2).contains(&lengths.len()), "{lengths:?}");
        outage.store.break_with(None);
        assert_eq!(outage.replay_all().await, messages.len());
        assert_eq!(dump(&outage.database.client).await.len(), users);
    }
}

/// Promise 5: a message that can never be stored goes to the dead letters with its reason, without
/// affecting others.
#[tokio::test]
async fn promise_5_never_lost_poison_goes_to_the_dead_letters_with_its_reason() {
    let now = Moment::recent().plus(0);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    let reply = outage.handlers.deliver(&registrations(10, "", now), now).await;
    assert_eq!(reply.outcome, Some("spilled"));
    let rejection =
        r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"too big"}"#;
    outage.store.faults(move |request| {
        let is_poison = request.body.contains("user0007");
        is_poison.then_some(Fault::Answer(StatusCode::BAD_REQUEST, rejection))
    });
    outage.queue.send("nonsense").await;
    outage.queue.send(r#"{"version":9,"changes":"of another time"}"#).await;
    outage.queue.send(r#"{"version":1,"event":"e","received_at":1,"changes":[{"seat":{}}]}"#).await;
    assert_eq!(outage.replay_all().await, 4);
    assert_eq!(dump(&outage.database.client).await.len(), 9, "all others are stored");

    let mut buried = Vec::new();
    for letter in outage.dead_letters.receive().await {
        let reason = letter.message_attributes.unwrap()["reason"].string_value.clone().unwrap();
        buried.push((letter.body.unwrap(), reason));
    }
    assert_eq!(buried.len(), 4, "{buried:?}");
    let with = |text: &str| {
        buried.iter().find(|(body, reason)| body.contains(text) || reason.contains(text)).unwrap()
    };
    assert_eq!(with("nonsense").1, "the message cannot be read at line 1, column 2");
    assert!(with("version 9").0.contains("of another time"));
    assert!(with("\"seat\":{}").1.contains("cannot be read"));
    let rejected: Value = serde_json::from_str(&with("too big").0).unwrap();
    assert_eq!(rejected["changes"].as_array().unwrap().len(), 1);
    assert_eq!(rejected["changes"][0]["registration"]["user"], "user0007");
}

/// Promise 5: a refusal is not an outage and does not pass by itself. The change is a dead letter
/// at once, with its reason, and can be stored from there when the cause is fixed.
#[tokio::test]
async fn promise_5_never_lost_what_dynamodb_refuses_goes_to_the_dead_letters_with_its_reason() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    for refusal in [
        "com.amazon.coral.service#AccessDeniedException",
        "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        "com.amazonaws.dynamodb.v20120810#ItemCollectionSizeLimitExceededException",
        "com.amazon.coral.service#SomethingThatNobodyKnowsYet",
    ] {
        let mut outage = Outage::start(BUDGET).await;
        let answer = json!({ "__type": refusal, "message": "not so" }).to_string();
        let refused = Fault::Answer(StatusCode::BAD_REQUEST, answer.leak());
        outage.store.break_with(Some(refused));
        let login = zego(&zego_event(RoomLogin, start.plus(0)), now);
        assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("spilled"));
        assert_eq!(outage.poll_within(Duration::from_secs(5)).await, (1, 0), "{refusal}");

        let [letter] = outage.dead_letters.receive().await.try_into().unwrap();
        let reason = letter.message_attributes.as_ref().unwrap()["reason"].string_value.as_ref();
        let code = refusal.rsplit('#').next().unwrap();
        assert!(reason.unwrap().contains(code), "{reason:?} of {refusal}");
        outage.store.break_with(None);
        outage.queue.send(&letter.body.unwrap()).await;
        assert_eq!(outage.replay_all().await, 1);
        assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("duplicate"));
    }
}

/// Promise 5: the queue deletes a message after 14 days. Two days before that, the rest of it
/// becomes a dead letter.
#[tokio::test]
async fn promise_5_never_lost_what_waited_for_twelve_days_goes_to_the_dead_letters() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    let reply = outage.handlers.deliver(&registrations(2, "", now), now).await;
    assert_eq!(reply.outcome, Some("spilled"));
    outage.queue.aged = Duration::from_mins(12 * 24 * 60 - 10);
    assert_eq!(outage.poll_within(Duration::from_secs(2)).await, (1, 1), "it can wait");
    assert!(outage.dead_letters.receive().await.is_empty());

    // Changes that can be stored are stored, however old they are.
    outage.queue.let_time_pass().await;
    outage.queue.aged = Duration::from_hours(12 * 24);
    outage.store.refuse(|request| request.body.contains("user0001"));
    // Another instance, which does not know of the outage.
    outage.replay.gate = Gate::default();
    assert_eq!(outage.poll_within(Duration::from_secs(2)).await, (1, 0));
    assert_eq!(dump(&outage.database.client).await.len(), 1);
    let [letter] = outage.dead_letters.receive().await.try_into().unwrap();
    let reason = letter.message_attributes.unwrap()["reason"].string_value.clone().unwrap();
    assert!(reason.starts_with("it could not be stored for 12 days: DynamoDB: "), "{reason}");
    let body = letter.body.unwrap();
    assert!(body.contains("user0001") && !body.contains("user0000"), "{body}");

    // From the dead letters it comes back as a new message.
    outage.queue.aged = Duration::ZERO;
    outage.queue.send(&body).await;
    assert_eq!(outage.poll_within(Duration::from_secs(2)).await, (1, 1));
    outage.queue.let_time_pass().await;
    outage.store.break_with(None);
    assert_eq!(outage.replay_all().await, 1);
    assert_eq!(dump(&outage.database.client).await.len(), 2);
}

/// Promise 5: a message that ends the process each time it is read is received until it is thirteen
/// days old. Then it is a dead letter, as it is, although the store is back.
#[tokio::test]
async fn promise_5_never_lost_what_nobody_could_read_for_thirteen_days_goes_to_the_dead_letters() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    let login = zego(&zego_event(RoomLogin, start.plus(0)), now);
    assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("spilled"));
    outage.store.break_with(None);
    outage.queue.aged = Duration::from_hours(13 * 24);
    // While they cannot be reached, it stays.
    outage.sqs.refuse(|request| request.operation == "SendMessage");
    assert_eq!(outage.poll_within(Duration::from_secs(2)).await, (1, 1));
    outage.queue.let_time_pass().await;
    outage.sqs.break_with(None);
    assert_eq!(outage.poll_within(Duration::from_secs(5)).await, (1, 0));
    assert!(dump(&outage.database.client).await.is_empty(), "it was not read");
    let [letter] = outage.dead_letters.receive().await.try_into().unwrap();
    let reason = letter.message_attributes.unwrap()["reason"].string_value.clone().unwrap();
    assert_eq!(reason, "it was neither stored nor given up for 13 days");

    // It comes back as a new message, once its cause is fixed.
    outage.queue.aged = Duration::ZERO;
    outage.queue.send(&letter.body.unwrap()).await;
    assert_eq!(outage.replay_all().await, 1);
    assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("duplicate"));
}

/// Promise 5: while the dead letters cannot be reached, an unreadable message stays in the queue.
#[tokio::test]
async fn promise_5_never_lost_poison_stays_while_the_dead_letters_cannot_be_reached() {
    let mut outage = Outage::start(BUDGET).await;
    outage.queue.send("nonsense").await;
    outage.sqs.refuse(|request| request.operation == "SendMessage");
    assert_eq!(outage.poll_within(Duration::from_secs(5)).await, (1, 1));
    outage.queue.let_time_pass().await;
    outage.sqs.break_with(None);
    assert_eq!(outage.replay_all().await, 1);
    assert_eq!(outage.dead_letters.receive().await.len(), 1);
}

/// Promise 5: in an outage nothing leaves the queue, and each message waits longer each time.
#[tokio::test]
async fn promise_5_never_lost_in_an_outage_messages_stay_and_wait_longer_each_time() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    let login = zego(&zego_event(RoomLogin, start.plus(0)), now);
    assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("spilled"));
    let expired =
        r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"too late"}"#;
    let faults = [
        Fault::internal_error(),
        Fault::throttling(),
        Fault::Reset,
        Fault::Hang,
        Fault::Answer(StatusCode::BAD_REQUEST, expired),
        Fault::Answer(StatusCode::BAD_GATEWAY, "<html>a proxy's</html>"),
    ];
    let mut longest = 10;
    for fault in faults {
        outage.store.break_with(Some(fault));
        outage.sqs.take();
        assert_eq!(outage.poll_within(Duration::from_secs(2)).await, (1, 1), "{fault:?}");
        let [request] = outage.sqs.take().try_into().unwrap();
        assert_eq!(request.operation, "ChangeMessageVisibility");
        let asked: Value = serde_json::from_str(&request.body).unwrap();
        let wait = asked["VisibilityTimeout"].as_u64().unwrap();
        assert!((longest / 2..=longest).contains(&wait), "{wait} s after {longest} s");
        longest = (longest * 2).min(5 * 60);
        outage.queue.let_time_pass().await;
    }
    assert!(outage.dead_letters.receive().await.is_empty());
    outage.store.break_with(None);
    assert_eq!(outage.replay_all().await, 1);
    assert_eq!(outage.handlers.deliver(&login, now).await.outcome, Some("duplicate"));
}

/// A batch of which some messages cannot be stored keeps only these.
#[tokio::test]
async fn only_the_messages_that_failed_stay_in_the_queue() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let mut outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    for user in ["ada", "bob", "cy"] {
        let login = Event { user: user.to_owned(), ..zego_event(RoomLogin, start.plus(0)) };
        assert_eq!(outage.handlers.deliver(&zego(&login, now), now).await.outcome, Some("spilled"));
    }
    outage.store.refuse(|request| request.body.contains("bob"));
    let mut polled = (0, 0);
    // SQS may return fewer messages at a time than it has.
    while polled.0 < 3 {
        let (messages, stayed) = outage.poll_within(Duration::from_secs(5)).await;
        polled = (polled.0 + messages, polled.1 + stayed);
    }
    assert_eq!(polled, (3, 1));
    assert_eq!(dump(&outage.database.client).await.len(), 2);
    outage.store.break_with(None);
    outage.queue.let_time_pass().await;
    assert_eq!(outage.replay_all().await, 1);
    assert_eq!(dump(&outage.database.client).await.len(), 3);
}

/// Promise 8: only the change is sent to the queue, and nothing else of the callback.
#[tokio::test]
async fn promise_8_discreet_no_message_holds_a_secret() {
    let start = Moment::recent();
    let now = start.plus(30_000);
    let outage = Outage::start(BUDGET).await;
    outage.store.refuse(|_| true);
    let callbacks = one_of_each(start, now);
    for callback in &callbacks {
        assert_eq!(outage.handlers.deliver(callback, now).await.outcome, Some("spilled"));
    }
    let sent = outage.sqs.take();
    assert_eq!(sent.len(), callbacks.len());
    for request in sent {
        assert_eq!(crate::support::secrets::find(&request.body), None);
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let message: Value = serde_json::from_str(body["MessageBody"].as_str().unwrap()).unwrap();
        let names: Vec<&String> = message.as_object().unwrap().keys().collect();
        assert_eq!(names, ["changes", "event", "received_at", "version"]);
        assert_eq!(message["received_at"], json!(now.0));
        for word in ["signature", "sign", "nonce", "secret", "token", "authorization"] {
            assert!(!request.body.to_lowercase().contains(word), "{word}: {}", request.body);
        }
    }
}
