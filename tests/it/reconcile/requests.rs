//! Requests that ask about one room or one user.

use std::collections::BTreeMap;

use http::StatusCode;
use rollcall::runtime;
use rollcall_local::provider::{Absent, Action, Behaviour, Fault, Faults};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PATIENCE, World, found, post, post_at};

#[tokio::test]
async fn a_lost_logout_and_a_lost_login_are_repaired_by_one_pass() {
    let mut world = World::new();
    world.logins("lobby", &["ada", "bob"]).await;
    world.lobby(&["ada", "cyd"]);
    for absent in [Absent::Status, Absent::NotOnline] {
        let (dry, _) = world.asks(Behaviour { absent, ..Behaviour::default() }).await;
        let before = world.records();
        let (status, answer) =
            post_at(&dry, "zego/1/rooms/lobby", "dry_run=true", runtime::now()).await;
        assert_eq!((status, found(&answer)), (StatusCode::OK, (1, 1, 0, false)), "{answer}");
        // The lease was taken and given back.
        assert_eq!(world.records(), before + 2, "a dry run stores nothing");
        assert_eq!(world.members("lobby").await, ["ada", "bob"]);
    }

    let (asks, _) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, "zego/1/rooms/lobby").await;
    assert_eq!(found(&answer), (1, 1, 2, false), "{answer}");
    assert_eq!(world.members("lobby").await, ["ada", "cyd"]);
    let room = world.get("/presence/zego/1/rooms/lobby").await;
    assert_eq!(room["checked_at"], answer["checked_at"]);
    let bob = world.get("/presence/zego/1/users/bob").await;
    let session = &bob["sessions"][0];
    assert_eq!((&session["reason"], &session["assumed"]), (&json!("reconciled"), &json!(true)));

    // The same again changes nothing.
    let answer = post(&asks, "zego/1/rooms/lobby").await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    assert_eq!(world.members("lobby").await, ["ada", "cyd"]);
}

#[tokio::test]
async fn an_answer_needs_credentials_and_something_to_ask() {
    let world = World::new();
    let (asks, _) = world.asks(Behaviour::default()).await;
    for (path, status, code) in [
        ("zego/2/rooms/lobby", StatusCode::CONFLICT, "no_credentials"),
        ("openim/other/users/ada", StatusCode::CONFLICT, "no_credentials"),
        ("openim/main/rooms/lobby", StatusCode::NOT_FOUND, "not_found"),
        ("zego/1/rooms/z:lobby", StatusCode::NOT_FOUND, "not_found"),
        ("zego/1/registrations", StatusCode::NOT_FOUND, "not_found"),
        ("tencent/1400000000/registrations", StatusCode::NOT_FOUND, "not_found"),
        ("nobody/1/rooms/lobby", StatusCode::NOT_FOUND, "not_found"),
        // ZEGO says so.
        (&*format!("zego/1/rooms/{}", "r".repeat(129)), StatusCode::BAD_REQUEST, "bad_parameter"),
    ] {
        let (answered, answer) = post_at(&asks, path, "", runtime::now()).await;
        assert_eq!(
            (answered, &answer["error"]["code"]),
            (status, &json!(code)),
            "{path}: {answer}"
        );
    }
}

/// An API that fails, breaks off or hangs: nothing is stored, and the time for the answer is kept.
#[tokio::test]
async fn an_api_that_fails_is_a_502_and_nothing_is_stored() {
    let mut world = World::new();
    world.logins("lobby", &["ada"]).await;
    world.known.know(json!({}));
    for (fault, code) in [
        (Fault::Status, Value::Null),
        (Fault::Code, json!(100_000_015)),
        (Fault::Json, Value::Null),
        (Fault::Hang, Value::Null),
    ] {
        let faults = Faults { percent: 100.0, kinds: vec![fault] };
        let (asks, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
        let began = Instant::now();
        for (path, code) in [
            ("zego/1/rooms/lobby", &code),
            ("tencent/1400000000/users/ada", &Value::Null),
            ("openim/main/users/ada", &Value::Null),
        ] {
            let (status, answer) = post_at(&asks, path, "", runtime::now()).await;
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{fault:?} {path}: {answer}");
            assert_eq!(answer["error"]["code"], "provider_failed");
            if path.starts_with("zego") {
                assert_eq!(answer["error"]["provider_code"], *code, "{answer}");
            }
        }
        assert!(began.elapsed() < 4 * PATIENCE, "{fault:?} took {:?}", began.elapsed());
        assert_eq!(world.members("lobby").await, ["ada"]);
        let room = world.get("/presence/zego/1/rooms/lobby").await;
        assert_eq!(room["checked_at"], Value::Null, "{fault:?}");
    }
}

/// A room of 450 people has three pages of a list, one per second.
#[tokio::test]
async fn a_room_with_several_pages_is_asked_about_within_the_limits() {
    let mut world = World::new();
    let people: Vec<String> = (0..450).map(|number| format!("p{number:03}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    world.logins("lobby", &names[..445]).await;
    world.lobby(&names[5..]);
    let (asks, provider) = world.asks(Behaviour::default()).await;
    let answer = post(&asks, "zego/1/rooms/lobby").await;
    assert_eq!(found(&answer), (5, 5, 10, false), "{answer}");
    let counts: BTreeMap<Action, _> = provider.counts().into_iter().collect();
    assert_eq!(counts[&Action::DescribeUserList].answered, 3);
    assert_eq!(counts[&Action::DescribeUsers].answered, 1);
    assert!(provider.counts().iter().all(|(_, count)| count.refused == 0), "{counts:?}");
}
