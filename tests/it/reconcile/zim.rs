//! What ZIM says of who is online. It names neither a session nor a device.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use rollcall::runtime;
use rollcall_local::provider::{Action as Asked, Behaviour, Fault, Faults, Lie};
use rollcall_players::zim::{Action, Event, EventName::UserAction};
use serde_json::{Value, json};

use super::{World, found, post, post_at};
use crate::support::{player_secrets, zim_event};

const ADA: &str = "zego/1/users/ada";

/// Something happens to a session, so many seconds after the start.
async fn report(world: &World, user: &str, session: &str, action: Action, second: u64) {
    let event = Event {
        user: user.to_owned(),
        session: session.to_owned(),
        action,
        login_time: world.start.plus(0),
        ..zim_event(UserAction, world.start.plus(1000 * second))
    };
    let (secret, now) = (player_secrets().zego.unwrap(), runtime::now());
    let reply = world.handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await;
    assert_eq!(reply.outcome, Some("applied"));
}

/// From now on these sessions are connected, by ZIM.
fn know(world: &World, users: &[(&str, &[&str], bool)]) {
    let user = |(user, online, is_lost): &(&str, &[&str], bool)| {
        ((*user).to_owned(), json!({ "online": online, "is_lost": is_lost }))
    };
    let users: BTreeMap<String, Value> = users.iter().map(user).collect();
    world.known.know(json!({ "zim": { "1": users } }));
}

async fn open_sessions(world: &World, user: &str) -> Vec<String> {
    let answer = world.get(&format!("/presence/zego/1/users/{user}")).await;
    let open = answer["sessions"].as_array().unwrap().iter();
    let open = open.filter(|session| session["left_at"].is_null());
    let mut open: Vec<String> =
        open.map(|session| session["session"].as_str().unwrap().to_owned()).collect();
    assert_eq!(answer["online"], !open.is_empty(), "{answer}");
    open.sort();
    open
}

#[tokio::test]
async fn somebody_who_is_offline_is_offline_in_all_their_sessions() {
    // Lost connections, a logout, and somebody who was forgotten.
    for users in [&[("ada", &[][..], true)][..], &[("ada", &[], false)], &[]] {
        let world = World::new();
        for session in ["1", "2", "3"] {
            report(&world, "ada", session, Action::Login, 0).await;
        }
        report(&world, "ada", "3", Action::Logout, 5).await;
        know(&world, users);
        let (asks, _) = world.asks(Behaviour::default()).await;
        let (_, dry) = post_at(&asks, ADA, "dry_run=true", runtime::now()).await;
        assert_eq!(found(&dry), (0, 2, 0, false), "{dry}");
        assert_eq!(open_sessions(&world, "ada").await, ["1", "2"]);

        assert_eq!(found(&post(&asks, ADA).await), (0, 2, 2, false));
        assert_eq!(open_sessions(&world, "ada").await, [""; 0]);
        let ada = world.get("/presence/zego/1/users/ada").await;
        assert_ne!(ada["checked_at"], Value::Null, "{ada}");
        let explained = world.get("/explain/zego/1/users/ada").await;
        let ended = |session: &str| {
            let devices = explained["devices"].as_array().unwrap();
            let of = devices.iter().find(|of| of["session"] == session).unwrap();
            (of["stays"][0]["reason"].clone(), of["stays"][0]["assumed"].clone())
        };
        assert_eq!(ended("1"), (json!("reconciled"), json!(true)), "{ada}");
        assert_eq!(ended("3"), (json!("normal"), json!(false)), "{ada}");
        // The same again changes nothing.
        assert_eq!(found(&post(&asks, ADA).await), (0, 0, 0, false));
        // What arrives later counts.
        report(&world, "ada", "4", Action::Login, 60).await;
        assert_eq!(open_sessions(&world, "ada").await, ["4"]);
    }
}

#[tokio::test]
async fn the_only_session_of_somebody_who_is_online_is_confirmed() {
    let world = World::new();
    report(&world, "ada", "1", Action::Login, 0).await;
    report(&world, "ada", "2", Action::Login, 0).await;
    report(&world, "ada", "2", Action::Offline, 5).await;
    know(&world, &[("ada", &["1"], false)]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, ADA).await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    assert_eq!(open_sessions(&world, "ada").await, ["1"]);
    let ada = world.get("/presence/zego/1/users/ada").await;
    assert_eq!(ada["checked_at"], answer["checked_at"], "{ada}");
}

/// Of several it cannot be said which.
#[tokio::test]
async fn several_sessions_of_somebody_who_is_online_are_left_as_they_are() {
    let world = World::new();
    for session in ["1", "2"] {
        report(&world, "ada", session, Action::Login, 0).await;
    }
    know(&world, &[("ada", &["2"], false)]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, ADA).await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    assert_eq!(open_sessions(&world, "ada").await, ["1", "2"]);
}

/// A login that was lost: in which session and on what, nobody says, so nothing is stored.
#[tokio::test]
async fn somebody_who_is_online_and_known_nowhere_is_found_and_not_invented() {
    let world = World::new();
    report(&world, "ada", "1", Action::Login, 0).await;
    report(&world, "ada", "1", Action::Logout, 5).await;
    know(&world, &[("ada", &["2"], false)]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    for _ in 0..2 {
        assert_eq!(found(&post(&asks, ADA).await), (1, 0, 0, false));
        assert_eq!(open_sessions(&world, "ada").await, [""; 0]);
    }
}

/// Those who ever logged in are asked about, a hundred in one question.
#[tokio::test]
async fn a_pass_over_an_app_asks_about_a_hundred_at_once_and_within_the_limit() {
    let world = World::new();
    let people: Vec<String> = (0..250).map(|number| format!("p{number:03}")).collect();
    for user in &people {
        report(&world, user, "1", Action::Login, 0).await;
    }
    let known: Vec<(&str, &[&str], bool)> = people
        .iter()
        .enumerate()
        .map(|(number, user)| (user.as_str(), if number < 10 { &[][..] } else { &["1"][..] }, true))
        .collect();
    know(&world, &known);
    let (asks, provider) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, "zego/1").await;
    assert_eq!(found(&answer), (0, 10, 10, false), "{answer}");
    assert_eq!((&answer["people"], &answer["complete"]), (&json!(250), &json!(true)), "{answer}");
    for (number, user) in people.iter().enumerate().step_by(5) {
        assert_eq!(open_sessions(&world, user).await.len(), usize::from(number >= 10), "{user}");
    }
    let asked: Vec<_> = provider.counts();
    let (_, count) = asked.iter().find(|(of, _)| *of == Asked::QueryUserOnlineState).unwrap();
    // The list of people has sixteen parts, each of which ends with fewer than a hundred.
    assert_eq!(count.answered, 16, "{count:?}");
    assert_eq!(count.refused, 0);
}

#[tokio::test]
async fn nothing_follows_from_an_answer_that_is_none() {
    let world = World::new();
    report(&world, "ada", "1", Action::Login, 0).await;
    know(&world, &[]);
    for (kind, code) in [
        (Fault::Status, Value::Null),
        (Fault::Code, json!(100_000_015)),
        (Fault::Json, Value::Null),
        (Fault::Hang, Value::Null),
    ] {
        let faults = Faults { percent: 100.0, kinds: vec![kind] };
        let (asks, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
        let (status, answer) = post_at(&asks, ADA, "", runtime::now()).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{kind:?}: {answer}");
        let error = &answer["error"];
        assert_eq!((&error["code"], &error["provider_code"]), (&json!("provider_failed"), &code));
        assert_eq!(open_sessions(&world, "ada").await, ["1"], "{kind:?}");
    }
    // A clock that is wrong: ZEGO's gateway refuses the signature.
    let (asks, _) = world.asks(Behaviour { clock_ms: 3_600_000, ..Behaviour::default() }).await;
    let (status, answer) = post_at(&asks, ADA, "", runtime::now()).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{answer}");
    assert_eq!(answer["error"]["provider_code"], 100_000_004, "{answer}");
    // Answers about somebody else.
    let lie = Behaviour { lie: Some(Lie::OtherUsers), ..Behaviour::default() };
    let (asks, _) = world.asks(lie).await;
    let answer = post(&asks, ADA).await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    assert_eq!(open_sessions(&world, "ada").await, ["1"]);
}

/// The brake holds up a pass that would end many at once.
#[tokio::test]
async fn a_pass_that_would_end_many_sessions_is_braked() {
    let world = World::new();
    for number in 0..60 {
        report(&world, &format!("p{number:02}"), "1", Action::Login, 0).await;
    }
    know(&world, &[]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    let began = runtime::now();
    let (_, first) = post_at(&asks, "zego/1", "", began).await;
    let (_, out, stored, braked) = found(&first);
    assert!(out == 60 && stored <= 50 && braked, "{first}");
    let (_, second) = post_at(&asks, "zego/1", "", began.after(Duration::from_secs(40))).await;
    assert_eq!(found(&second), (0, 60 - stored, 60 - stored, false), "{second}");
}

/// Callbacks of ZIM's that came in while the answer was on its way are newer than the answer.
#[tokio::test]
async fn a_login_just_before_the_answer_is_newer_than_it() {
    let world = World::new();
    let second = (runtime::now().0 - world.start.0) / 1000;
    report(&world, "ada", "1", Action::Login, second).await;
    know(&world, &[]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, ADA).await;
    assert_eq!(answer["stored"], 0, "{answer}");
    assert_eq!(open_sessions(&world, "ada").await, ["1"]);
}
