//! ZEGO's signature does not cover the body. With the guard on, it is valid for one body only.

use std::time::Duration;

use rollcall::{
    callback::Secret,
    config::ReplayGuard,
    domain::{UnixMillis, UnixSeconds},
    handler::Receiver,
    http::Reply,
    runtime,
};
use rollcall_players::{
    Callback,
    zego::{Event, EventName},
};
use serde_json::Value;

use crate::support::{Database, Handlers, Proxy, SECRET, TestApp, dump, zego_event};

const MAX_AGE: Duration = Duration::from_mins(10);

fn signed(event: &Event, at: UnixSeconds, nonce: &str) -> Callback {
    event.callback(&Secret::new(SECRET.to_owned()).unwrap(), at, nonce)
}

fn of(user: &str, now: UnixMillis) -> Event {
    Event { user: user.to_owned(), ..zego_event(EventName::RoomLogin, now) }
}

async fn guarded() -> (Database, Proxy, Handlers) {
    let (database, proxy, handlers) = Handlers::observed().await;
    let receiver = Receiver { replay_guard: ReplayGuard::On, ..handlers.receiver.clone() };
    (database, proxy, Handlers { receiver, ..handlers })
}

fn status_and_outcome(reply: &Reply) -> (u16, &'static str) {
    (reply.status.as_u16(), reply.outcome.unwrap())
}

#[tokio::test]
async fn promise_1_authentic_a_signature_is_valid_for_one_body() {
    let app = TestApp::start_with(ReplayGuard::On).await;
    let now = runtime::now();
    let seen = signed(&of("ada", now), now.seconds(), "17");
    let send = async |callback: &Callback| {
        let answer = callback.send(&app.http, &app.url).await.unwrap();
        (answer.status.as_u16(), answer.outcome.unwrap(), answer.body)
    };
    assert_eq!(send(&seen).await.1, "applied");
    assert_eq!(send(&seen).await.1, "duplicate", "a retry with the same nonce");
    let anew = signed(&of("ada", now), now.seconds(), "18");
    assert_eq!(send(&anew).await.1, "duplicate", "a retry with another nonce");

    let forged = [
        signed(&of("eve", now), now.seconds(), "17"),
        signed(
            &Event { name: EventName::RoomLogout, sequence: 9, ..of("ada", now) },
            now.seconds(),
            "17",
        ),
        signed(&zego_event(EventName::RoomClose, now), now.seconds(), "17"),
        Callback { body: format!("{} ", seen.body), ..seen.clone() },
    ];
    for forged in forged {
        let (status, outcome, body) = send(&forged).await;
        assert_eq!((status, outcome.as_str()), (401, "rejected"), "{body}");
        assert!(body.contains("used for another body"), "{body}");
    }
    assert_eq!(app.members("lobby").await, ["ada"]);
    assert_eq!(send(&seen).await.1, "duplicate", "the first body is still accepted");
}

/// Timestamp and nonce are signed without a separator, so other values have the same signature.
#[tokio::test]
async fn promise_1_authentic_a_signature_split_in_another_way_is_the_same_signature() {
    let (_database, _proxy, handlers) = guarded().await;
    let now = runtime::now();
    let seen = signed(&of("ada", now), now.seconds(), "000");
    assert_eq!(status_and_outcome(&handlers.deliver(&seen, now).await), (200, "applied"));
    let other = signed(&of("eve", now), now.seconds(), "00");
    let body = other.body.replace(
        &format!(r#""timestamp":"{}""#, now.seconds()),
        &format!(r#""timestamp":"0{}""#, now.seconds()),
    );
    let field = |body: &str| serde_json::from_str::<Value>(body).unwrap()["signature"].to_string();
    let body = body.replace(&field(&body), &field(&seen.body));
    let split = Callback { body, ..other };
    assert_eq!(status_and_outcome(&handlers.deliver(&split, now).await), (401, "rejected"));
    // Without the guard it is accepted like the other one.
    let receiver = Receiver { replay_guard: ReplayGuard::Off, ..handlers.receiver.clone() };
    let open = Handlers { receiver, ..handlers.clone() };
    assert_eq!(status_and_outcome(&open.deliver(&split, now).await), (200, "applied"));
}

#[tokio::test]
async fn of_two_bodies_at_once_one_is_accepted() {
    let (_database, _proxy, handlers) = guarded().await;
    for round in 0..20 {
        let now = runtime::now();
        let nonce = format!("1{round}");
        let ada = signed(&of(&format!("ada{round}"), now), now.seconds(), &nonce);
        let eve = signed(&of(&format!("eve{round}"), now), now.seconds(), &nonce);
        let (ada, eve) = tokio::join!(handlers.deliver(&ada, now), handlers.deliver(&eve, now));
        let mut statuses = [ada.status.as_u16(), eve.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
    }
}

#[tokio::test]
async fn the_guard_costs_one_write_before_the_others_and_nothing_when_it_is_off() {
    let (_database, proxy, handlers) = guarded().await;
    let now = runtime::now();
    let seen = signed(&of("ada", now), now.seconds(), "17");
    assert_eq!(status_and_outcome(&handlers.deliver(&seen, now).await), (200, "applied"));
    let requests = proxy.take();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.operation == "UpdateItem"));
    assert!(requests[0].body.contains("zego#1#signature#"), "{requests:?}");
    assert!(requests[1].body.contains("zego#1#user#ada"), "{requests:?}");

    let forged = signed(&of("eve", now), now.seconds(), "17");
    assert_eq!(status_and_outcome(&handlers.deliver(&forged, now).await), (401, "rejected"));
    assert_eq!(proxy.take().len(), 1, "the guard's and no more");

    let receiver = Receiver { replay_guard: ReplayGuard::Off, ..handlers.receiver.clone() };
    let open = Handlers { receiver, ..handlers.clone() };
    assert_eq!(status_and_outcome(&open.deliver(&seen, now).await), (200, "duplicate"));
    assert_eq!(proxy.take().len(), 1);
}

/// The retry completes what a crash left undone, with the same nonce or with another one.
#[tokio::test]
async fn promise_5_never_lost_a_crash_between_the_guard_and_the_change_loses_nothing() {
    let (_database, proxy, handlers) = guarded().await;
    let now = runtime::now();
    for (user, nonce, nonce_of_retry) in [("ada", "17", "17"), ("tom", "18", "19")] {
        let [first, retry] =
            [nonce, nonce_of_retry].map(|nonce| signed(&of(user, now), now.seconds(), nonce));
        proxy.refuse(|request| !request.body.contains("#signature#"));
        assert_eq!(status_and_outcome(&handlers.deliver(&first, now).await), (503, "rejected"));
        proxy.refuse(|_| false);
        assert_eq!(status_and_outcome(&handlers.deliver(&retry, now).await), (200, "applied"));
    }
}

#[tokio::test]
async fn promise_1_authentic_what_the_guard_could_not_claim_is_not_stored() {
    let (database, proxy, handlers) = guarded().await;
    let now = runtime::now();
    proxy.refuse(|request| request.body.contains("#signature#"));
    let login = signed(&of("ada", now), now.seconds(), "17");
    assert_eq!(status_and_outcome(&handlers.deliver(&login, now).await), (503, "rejected"));
    assert!(dump(&database.client).await.is_empty());
}

/// A signature is remembered for exactly as long as it can be verified.
#[tokio::test]
async fn the_guard_outlives_the_signature_by_a_second() {
    let (database, _proxy, handlers) = guarded().await;
    let now = runtime::now();
    // Signed with a clock that is ahead.
    let signed_at = now.after(MAX_AGE).seconds();
    let login = signed(&of("ada", now), signed_at, "17");
    assert_eq!(status_and_outcome(&handlers.deliver(&login, now).await), (200, "applied"));
    let items = dump(&database.client).await;
    let (_, item) = items.iter().find(|(key, _)| key.contains("#signature#")).unwrap();
    let expires_at: u64 = item["expires_at"].as_str().unwrap().parse().unwrap();
    let last = UnixMillis((expires_at - 1) * 1000);
    assert_eq!(status_and_outcome(&handlers.deliver(&login, last).await), (200, "duplicate"));
    let after = UnixMillis(expires_at * 1000);
    assert_eq!(status_and_outcome(&handlers.deliver(&login, after).await), (401, "rejected"));
    assert!(!format!("{items:?}").contains(&login.body[..40]), "hashes only");
}
