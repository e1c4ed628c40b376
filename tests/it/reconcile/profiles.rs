//! Profiles that changed are read again from OpenIM.

use http::StatusCode;
use rollcall::{domain::UnixMillis, reconcile::Reconcile};
use rollcall_local::provider::{Action, Behaviour, Fault, Faults, Provider};
use rollcall_players::openim::{self, EventName};
use serde_json::{Value, json};

use super::{World, post_at};
use crate::support::{openim_event, player_secrets};

impl World {
    /// An event of a user of OpenIM's arrives, some ms after the start.
    async fn openim(&self, name: EventName, user: &str, after: u64) {
        let (at, event) = (self.start.plus(after), openim_event(name, self.start.plus(0)));
        let options = openim::Options { users: vec![user.to_owned()], ..event.options };
        let event = openim::Event { options, ..event };
        self.store.set_time(at.0);
        let callback = event.callback(&player_secrets().openim);
        assert_eq!(self.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }

    /// The server has these profiles.
    fn profiles(&self, profiles: &[(&str, &str, u64)]) {
        let member = |(user, name, created): &(&str, &str, u64)| {
            let profile = json!({
                "nickname": name, "face_url": format!("{name}.png"), "ex": format!("of {name}"),
                "create_time": created
            });
            ((*user).to_owned(), json!({ "profile": profile }))
        };
        let members: serde_json::Map<String, Value> = profiles.iter().map(member).collect();
        self.known.know(json!({ "openim": { "main": members } }));
    }

    /// What asks, some ms after the start.
    async fn asks_after(&self, after: u64) -> (Reconcile, UnixMillis) {
        let at = self.start.plus(after);
        (self.asks_at(Behaviour::default(), at).await, at)
    }

    async fn registered(&self, user: &str) -> Value {
        self.get(&format!("/registrations/openim/main/users/{user}")).await
    }
}

/// Asks, and returns how many profiles had changed and how many were stored.
async fn profiles((asks, at): &(Reconcile, UnixMillis), path: &str, query: &str) -> (u64, u64) {
    let (status, answer) = post_at(asks, path, query, *at).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let number = |name: &str| answer["profiles"][name].as_u64().unwrap();
    (number("changed"), number("stored"))
}

fn asked(provider: &Provider, action: Action) -> u64 {
    let counts = provider.counts();
    counts.iter().find(|(of, _)| *of == action).map_or(0, |(_, count)| count.answered)
}

#[tokio::test]
async fn a_profile_that_changed_is_read_again_and_then_it_is_current() {
    let world = World::new();
    world.openim(EventName::UserRegister, "ada", 0).await;
    world.openim(EventName::UserUpdate, "ada", 100).await;
    world.profiles(&[("ada", "Ada Lovelace", world.start.0)]);
    let user = "openim/main/users/ada";
    let asks = world.asks_after(200).await;
    let before = world.records();
    assert_eq!(profiles(&asks, user, "dry_run=true").await, (1, 0));
    assert_eq!(world.records(), before, "a dry run stores nothing");
    assert_eq!(world.registered("ada").await["profile_changed_at"], world.start.0 + 100);

    assert_eq!(profiles(&asks, user, "").await, (1, 1));
    let ada = world.registered("ada").await;
    let shown = ["name", "avatar_url", "extra", "profile_changed_at"].map(|name| &ada[name]);
    assert_eq!(
        shown,
        [
            &json!("Ada Lovelace"),
            &json!("Ada Lovelace.png"),
            &json!("of Ada Lovelace"),
            &Value::Null
        ]
    );
    assert_eq!(ada["profile_read_at"], world.start.0 + 200);
    // The registration is what it was.
    assert_eq!(
        (&ada["registered_at"], &ada["source"]),
        (&json!(world.start.0), &json!("callback"))
    );
    let list = world.get("/registrations/openim/main?extra=true").await;
    assert_eq!(list["registrations"], json!([ada]));
    // And nothing more has to be done.
    let records = world.records();
    let asks = world.asks_after(300).await;
    assert_eq!(profiles(&asks, user, "").await, (0, 0));
    assert_eq!(world.records(), records);
    // A later change counts again, and an earlier one that comes late does not.
    world.openim(EventName::UserUpdateEx, "ada", 150).await;
    assert_eq!(world.registered("ada").await["profile_changed_at"], Value::Null);
    world.openim(EventName::UserUpdateEx, "ada", 400).await;
    assert_eq!(world.registered("ada").await["profile_changed_at"], world.start.0 + 400);
    // So does one of the millisecond of the question.
    let asks = world.asks_after(400).await;
    assert_eq!(profiles(&asks, user, "").await, (1, 1));
    assert_eq!(world.registered("ada").await["profile_changed_at"], world.start.0 + 400);
}

/// A change that arrives between the question and the answer is not forgotten.
#[tokio::test]
async fn a_change_that_arrives_meanwhile_stays() {
    let world = World::new();
    world.openim(EventName::UserRegister, "ada", 0).await;
    world.openim(EventName::UserUpdate, "ada", 100).await;
    world.openim(EventName::UserUpdate, "ada", 300).await;
    world.profiles(&[("ada", "Ada", world.start.0)]);
    // It was asked for at 200, and is stored now.
    let asks = world.asks_after(200).await;
    assert_eq!(profiles(&asks, "openim/main/users/ada", "").await, (1, 1));
    let ada = world.registered("ada").await;
    assert_eq!(
        (&ada["name"], &ada["profile_read_at"]),
        (&json!("Ada"), &json!(world.start.0 + 200))
    );
    assert_eq!(ada["profile_changed_at"], world.start.0 + 300);
    // An answer to an older question does not replace a newer one.
    let newer = world.asks_after(400).await;
    assert_eq!(profiles(&newer, "openim/main/users/ada", "").await, (1, 1));
    world.openim(EventName::UserUpdate, "ada", 500).await;
    world.profiles(&[("ada", "Old Ada", world.start.0)]);
    assert_eq!(profiles(&asks, "openim/main/users/ada", "").await, (1, 0));
    assert_eq!(world.registered("ada").await["name"], "Ada");
}

#[tokio::test]
async fn a_pass_over_the_app_asks_for_those_that_changed_and_costs_nothing_without() {
    let world = World::new();
    for user in ["ada", "bob", "cyd"] {
        world.openim(EventName::UserRegister, user, 0).await;
    }
    world.profiles(&[("ada", "A", 1), ("bob", "B", 1), ("cyd", "C", 1)]);
    let (asks, provider) = world.asks(Behaviour::default()).await;
    let now = rollcall::runtime::now();
    assert_eq!(profiles(&(asks, now), "openim/main", "").await, (0, 0));
    assert_eq!(asked(&provider, Action::GetUsersInfo), 0, "nobody's profile has changed");

    world.openim(EventName::UserUpdate, "ada", 10).await;
    world.openim(EventName::UserUpdateEx, "cyd", 20).await;
    let (asks, provider) = world.asks(Behaviour::default()).await;
    assert_eq!(profiles(&(asks, rollcall::runtime::now()), "openim/main", "").await, (2, 2));
    assert_eq!(asked(&provider, Action::GetUsersInfo), 2, "one for each part of the list");
    for (user, name) in [("ada", "A"), ("bob", "bob"), ("cyd", "C")] {
        let found = world.registered(user).await;
        assert_eq!((&found["name"], &found["profile_changed_at"]), (&json!(name), &Value::Null));
    }
}

/// Of somebody whose registration was lost, the provider knows when it was.
#[tokio::test]
async fn a_user_of_whom_only_an_update_arrived_is_recorded_as_the_provider_has_them() {
    for path in ["openim/main/users/eve", "openim/main", "openim/main/registrations"] {
        let world = World::new();
        world.openim(EventName::UserUpdate, "eve", 100).await;
        let created = world.start.0 - 86_400_000;
        world.profiles(&[("eve", "Eve", created)]);
        let asks = world.asks_after(200).await;
        post_at(&asks.0, path, "dry_run=true", asks.1).await;
        assert_eq!(
            world.handlers.get("/registrations/openim/main/users/eve", "", asks.1).await.0,
            StatusCode::NOT_FOUND
        );
        let (status, answer) = post_at(&asks.0, path, "", asks.1).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let eve = world.registered("eve").await;
        assert_eq!(
            (&eve["registered_at"], &eve["source"]),
            (&json!(created), &json!("reconciled"))
        );
        assert_eq!((&eve["name"], &eve["profile_changed_at"]), (&json!("Eve"), &Value::Null));
        assert_eq!(eve["profile_read_at"], world.start.0 + 200);
        let list = world.get("/registrations/openim/main?extra=true").await;
        assert_eq!(list["registrations"], json!([eve]), "{path}");
        // Her own callback was only late: the time is its own, and the profile the newer one.
        world.openim(EventName::UserRegister, "eve", 50).await;
        let eve = world.registered("eve").await;
        assert_eq!(
            (&eve["registered_at"], &eve["source"]),
            (&json!(world.start.0 + 50), &json!("callback"))
        );
        assert_eq!(eve["name"], "Eve", "{path}");
    }
}

#[tokio::test]
async fn a_user_whom_the_provider_does_not_know_is_asked_for_once_for_each_change() {
    let world = World::new();
    world.openim(EventName::UserUpdate, "nobody", 100).await;
    world.profiles(&[]);
    for (after, questions) in [(200, 1), (300, 0), (500, 1), (600, 0)] {
        if after == 500 {
            world.openim(EventName::UserUpdate, "nobody", 400).await;
        }
        let (asks, provider) = world.asks(Behaviour::default()).await;
        let at = rollcall::runtime::now();
        assert_eq!(profiles(&(asks, at), "openim/main", "").await, (0, 0));
        assert_eq!(asked(&provider, Action::GetUsersInfo), questions, "{after}");
    }
}

#[tokio::test]
async fn who_was_erased_is_not_recorded_again_because_their_profile_changes() {
    let world = World::new();
    world.openim(EventName::UserRegister, "ada", 0).await;
    let at = world.start.plus(1000);
    let (status, _) = world.handlers.erase("/users/openim/main/ada", "", at).await;
    assert_eq!(status, StatusCode::OK);
    world.openim(EventName::UserUpdate, "ada", 2000).await;
    world.profiles(&[("ada", "Ada", world.start.0)]);
    let asks = world.asks_after(3000).await;
    for path in ["openim/main/users/ada", "openim/main", "openim/main/registrations"] {
        let (status, answer) = post_at(&asks.0, path, "", asks.1).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        let path = "/registrations/openim/main/users/ada";
        assert_eq!(world.handlers.get(path, "", asks.1).await.0, StatusCode::NOT_FOUND);
    }
    let stored = world.handlers.get("/users/openim/main/ada", "", asks.1).await.1;
    assert!(!stored.to_string().contains("Ada"), "{stored}");
}

/// Nothing follows from an error, of whichever question.
#[tokio::test]
async fn an_api_that_fails_changes_no_profile() {
    let world = World::new();
    world.openim(EventName::UserRegister, "ada", 0).await;
    world.openim(EventName::UserUpdate, "ada", 100).await;
    world.profiles(&[("ada", "Ada", world.start.0)]);
    let before = world.records();
    for fault in [Fault::Status, Fault::Code, Fault::Json] {
        let faults = Faults { percent: 100.0, kinds: vec![fault] };
        let (asks, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
        let (status, answer) =
            post_at(&asks, "openim/main/users/ada", "", rollcall::runtime::now()).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{fault:?}: {answer}");
    }
    assert_eq!(world.records(), before);
    let ada = world.registered("ada").await;
    assert_eq!(ada["profile_changed_at"], world.start.0 + 100);
}
