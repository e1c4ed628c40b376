//! Changes of profiles, in any order with the registrations, and passes that read them from a played
//! server at any moment. Whatever arrived, no change is left unread after a pass; and if nothing was
//! lost, every profile is the server's.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{Method, StatusCode};
use rollcall::{
    domain::UnixMillis,
    http::Request,
    providers::ProviderApis,
    routes::RECONCILE,
    server_api::{Clock, Patience, Transport},
};
use rollcall_local::provider::{Behaviour, EXAMPLE_APIS, Faults, Provider, Truth};
use rollcall_players::{
    servers::{Profile, Servers},
    world::Reported,
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    History, Kind, Played, System, hold,
    play::{Asked, encode},
    share, simulated_runtime,
};
use crate::support::{iam, reconcile_on};

static APIS: LazyLock<ProviderApis> =
    LazyLock::new(|| ProviderApis::from_json(EXAMPLE_APIS).unwrap());

/// Asks at a time, and returns whether there was an answer.
async fn pass(
    system: &System,
    reported: &[Reported],
    (path, query): (&str, &str),
    at: u64,
    fail: f64,
    seed: u64,
) -> bool {
    system.store().set_time(at);
    let began = Instant::now();
    let clock: Clock = Arc::new(move || UnixMillis(at).after(began.elapsed()));
    let reported = reported.to_vec();
    let truth = Truth::new(move |at| Arc::new(Servers::at(&reported, at.0)));
    let faults = Faults { percent: fail, ..Faults::default() };
    let behaviour = Behaviour { faults, ..Behaviour::default() };
    let provider = Provider::new(APIS.clone(), truth, behaviour, seed);
    let now = clock.clone();
    let transport = Transport::answered_by(
        move |request| Some(provider.answer(&request, now())?.map(Bytes::from)),
        Patience::default(),
    );
    let reconcile = reconcile_on(system.store().client(), APIS.clone(), clock, transport);
    let request = Request { method: Method::POST, ..Request::get(path, query, UnixMillis(at)) };
    let id = format!("{path}-{at}-{seed}");
    let reply = iam::acting_as(RECONCILE, Box::pin(reconcile.answer(&request, &id))).await;
    assert!([200, 502].contains(&reply.status.as_u16()), "{} {}", reply.status, reply.body);
    let answer: Value = serde_json::from_str(&reply.body).unwrap();
    reply.status == StatusCode::OK && answer["failed"].as_u64().unwrap_or(0) == 0
}

/// The profile of an answer, as the server has it.
fn shown(answer: &Value) -> [Option<String>; 3] {
    ["name", "avatar_url", "extra"].map(|name| answer[name].as_str().map(str::to_owned))
}

fn of_server(profile: &Profile) -> [Option<String>; 3] {
    [&profile.nickname, &profile.face_url, &profile.ex]
        .map(|text| Some(text.clone()).filter(|text| !text.is_empty()))
}

async fn hold_profiles(history: &History, system: &System, loses: bool) -> Result<(), String> {
    let played = Played::new(history);
    let asked = Asked::about(&played.reported, &played.truth);
    let users: Vec<String> = asked
        .users
        .iter()
        .filter_map(|path| Some(path.strip_prefix("openim/main/")?.to_owned()))
        .collect();
    let mut random = fastrand::Rng::with_seed(history.seed);
    let reported = played.reported.clone();
    played
        .deliver_with(history, system, async |_, now| {
            if random.u8(..5) > 0 {
                return;
            }
            let (mut path, mut query) = ("/reconcile/openim/main".to_owned(), String::new());
            match (random.u8(..3), users.get(random.usize(..users.len().max(1)))) {
                (0, Some(user)) => {
                    path.push_str("/users");
                    query = format!("user={}", encode(user));
                }
                (1, _) => path.push_str("/registrations"),
                _ => {}
            }
            pass(system, &reported, (&path, &query), now, 10.0, random.u64(..)).await;
        })
        .await;
    let mut now = played.now;
    // The first one only ends the round of one that failed.
    for seed in 0..2 {
        now += 60_000;
        assert!(pass(system, &reported, ("/reconcile/openim/main", ""), now, 0.0, seed).await);
    }
    now += 60_000;
    let servers = Servers::at(&reported, now);
    let members = servers.openim.get("main");
    for user in &users {
        let profile = members.and_then(|all| all.get(user)).and_then(|of| of.profile.as_ref());
        let query = format!("user={}", encode(user));
        let answer = system.ask("/registrations/openim/main/users", &query, now).await;
        let Some(answer) = answer else {
            // Nothing arrived, or a change of somebody whom the server does not know.
            if profile.is_some() && !loses {
                return Err(format!("{user} is not registered"));
            }
            continue;
        };
        let Some(profile) = profile else {
            return Err(format!("{user} is registered, and not at the server: {answer:#}"));
        };
        if !answer["profile_changed_at"].is_null() {
            return Err(format!("a change is not read: {answer:#}"));
        }
        if !loses && shown(&answer) != of_server(profile) {
            return Err(format!("{profile:#?} is shown as {answer:#}"));
        }
        let Some(read_at) = answer["profile_read_at"].as_u64() else { continue };
        let then = Servers::at(&reported, read_at);
        let then = then.openim["main"][user].profile.as_ref().unwrap();
        if shown(&answer) != of_server(then) {
            return Err(format!("at {read_at} it was {then:#?}: {answer:#}"));
        }
    }
    // Nothing more has to be asked.
    let before = system.stored().await;
    assert!(pass(system, &reported, ("/reconcile/openim/main", ""), now, 0.0, 2).await);
    let profiles = |stored: std::collections::HashMap<String, Value>| {
        let mut stored: Vec<_> =
            stored.into_iter().filter(|(key, _)| key.ends_with(" registration")).collect();
        stored.sort_by(|one, other| one.0.cmp(&other.0));
        stored
    };
    if profiles(before) != profiles(system.stored().await) {
        return Err("a second pass has changed a profile".to_owned());
    }
    Ok(())
}

#[test]
fn promise_3_convergent_after_a_pass_no_change_of_a_profile_is_unread() {
    let system = System::simulated();
    for loses in [false, true] {
        let check = async |history: &History| {
            system.clear();
            hold_profiles(history, &system, loses).await
        };
        hold(share(100), Kind { acts: "openim", loses }, &check, &simulated_runtime());
    }
}
