//! Promise 8: the key in the path is in no log, answer, record, message or metric.

use std::time::Duration;

use http::StatusCode;
use rollcall::http::Request;
use rollcall_players::tencent::EventName::{
    self, LiveCreate, LiveDestroy, LiveOffline, LiveOnline, RoomCreate, RoomDestroy, RoomEnter,
    RoomLeave, RoomUpdate,
};

use super::{NOW, deliver, event, of};
use crate::{
    support::{Fault, LIVE_TOKEN, Log, Outage, PREVIOUS_ROOM_KEY, ROOM_KEY, dump, secrets},
    template,
};

const ALL: [EventName; 9] = [
    RoomCreate,
    RoomEnter,
    RoomLeave,
    RoomUpdate,
    RoomDestroy,
    LiveCreate,
    LiveOnline,
    LiveOffline,
    LiveDestroy,
];

fn expect_none(place: &str, text: &str) {
    assert_eq!(secrets::find(text), None, "{place}: {text}");
    // Nor a part that would help to guess the rest, nor the path.
    for part in [&ROOM_KEY[..12], &ROOM_KEY[20..], &PREVIOUS_ROOM_KEY[..12], &LIVE_TOKEN[..12]] {
        assert!(!text.contains(part), "{place}: {text}");
    }
}

/// Applied, repeated, refused in every way, spilled, and lost.
#[tokio::test]
async fn promise_8_discreet_the_key_in_the_path_is_nowhere_whatever_happens() {
    let (log, guard) = Log::capture_all();
    let mut outage = Outage::start(Duration::from_secs(10)).await;
    let post = async |path: &str, query: &str, body: &str| {
        let request =
            Request { query: query.to_owned(), ..Request::post(path, body.to_owned(), NOW) };
        outage.handlers.receive(path, &request).await
    };
    let mut answers = Vec::new();
    for (seconds, name) in (0..).zip(ALL) {
        let event = of(&["ada", "bob"], event(name, seconds));
        for _ in 0..2 {
            answers.push((200, deliver(&outage.handlers, &event).await));
        }
    }
    let good = event(RoomEnter, 0).callback(&super::secret(ROOM_KEY));
    let (path, query) = (good.path(), good.query.clone().unwrap());
    let too_much = " ".repeat((1 << 20) + 1);
    for (path, query, body, status) in [
        (path.clone(), query.as_str(), "{}", 400),
        (path.clone(), query.as_str(), "", 400),
        (
            path.clone(),
            query.as_str(),
            r#"{"CallbackCommand":"Room.CallbackAfterMemberEnter"}"#,
            400,
        ),
        (path.clone(), query.as_str(), too_much.as_str(), 413),
        (path.clone(), "", good.body.as_str(), 401),
        (path.clone(), "SdkAppid=9", good.body.as_str(), 401),
        (path.clone(), "SdkAppid=1400000001", good.body.as_str(), 401),
        (path.clone(), "SdkAppid=1400000002", good.body.as_str(), 401),
        (path[..path.len() - 1].to_owned(), query.as_str(), good.body.as_str(), 401),
        (format!("{path}0"), query.as_str(), good.body.as_str(), 401),
        (format!("/tencent/room/{PREVIOUS_ROOM_KEY}"), query.as_str(), good.body.as_str(), 200),
        (path.clone(), query.as_str(), r#"{"CallbackCommand":"State.StateChange"}"#, 400),
        (path.clone(), query.as_str(), r#"{"EventGroupId":1}"#, 400),
    ] {
        answers.push((status, post(&path, query, body).await));
    }
    let sound = answers.len();
    for fault in [Fault::internal_error(), Fault::throttling(), Fault::LoseAnswer] {
        outage.store.break_with(Some(fault));
        for name in [RoomEnter, LiveOnline, RoomDestroy] {
            let event = of(&["cyd", "dan"], event(name, 100));
            answers.push((200, deliver(&outage.handlers, &event).await));
        }
    }
    outage.sqs.break_with(Some(Fault::internal_error()));
    answers.push((503, deliver(&outage.handlers, &event(RoomEnter, 101)).await));
    assert!(
        answers[sound..answers.len() - 1].iter().all(|(_, reply)| reply.outcome == Some("spilled"))
    );
    for (status, reply) in &answers {
        assert_eq!(reply.status, StatusCode::from_u16(*status).unwrap(), "{}", reply.body);
        expect_none("an answer", &format!("{reply:?}"));
    }
    let messages = outage.sqs.take();
    assert!(messages.len() >= 9, "{}", messages.len());
    for request in messages.into_iter().chain(outage.store.take()) {
        expect_none("a request", &request.body);
    }
    outage.sqs.break_with(None);
    outage.store.break_with(None);
    outage.replay_all().await;
    let records = dump(&outage.database.client).await;
    assert!(records.len() > 4, "{records:?}");
    expect_none("a record", &format!("{records:?}"));
    drop(guard);
    let text = log.text();
    assert!(text.contains("room_enter") && text.contains("live_online"), "{text}");
    expect_none("the log", &text);
    assert!(!text.contains("/tencent/room/"), "the log has the path: {text}");
}

/// API Gateway's own log: it names routes, and nothing that was sent.
#[test]
fn promise_8_discreet_the_access_log_has_the_route_and_no_path() {
    let template = template::template();
    let mut formats = 0;
    for (name, resource) in template["Resources"].as_object().unwrap() {
        let format = &resource["Properties"]["AccessLogSettings"]["Format"];
        let Some(format) = format.as_str() else { continue };
        formats += 1;
        for (place, _) in format.match_indices("$context.") {
            let variable = &format[place + "$context.".len()..];
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '.';
            let end = variable.find(|c| !is_of_name(c)).unwrap_or(variable.len());
            let known = [
                "requestId",
                "requestTimeEpoch",
                "routeKey",
                "status",
                "responseLatency",
                "integrationStatus",
                "error.message",
                "integrationErrorMessage",
                "responseLength",
            ];
            assert!(known.contains(&&variable[..end]), "{name} logs {}", &variable[..end]);
        }
    }
    assert_eq!(formats, 1);
}
