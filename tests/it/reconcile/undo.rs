//! The undo: observations of before a time are not there, to whatever asks.

use std::time::Duration;

use rollcall::{
    domain::{App, ProviderName, Settings, UnixMillis},
    record::Records,
    store::Reader,
};
use rollcall_local::provider::Behaviour;
use rollcall_players::tencent;
use serde_json::{Value, json};

use super::{EventName, World, post_at};
use crate::support::{Handlers, TABLE_NAME, player_secrets, tencent_event};

const ROOMS: [&str; 2] = ["lobby", "ghost"];
const PEOPLE: [&str; 6] = ["ada", "bob", "cyd", "eve", "fay", "gus"];
const DEVICES: [&str; 3] = ["hal", "ivy", "jim"];

/// How long after the start passes lie, the undo is set, and passes are honest.
const LIES: u64 = 20_000;
const UNDONE: u64 = 30_000;
const HONEST: u64 = 45_000;

fn settings(before: UnixMillis) -> Settings {
    let app = |provider, id: &str| App { provider, id: id.parse().unwrap() };
    Settings::new()
        .ignoring_seen_before(app(ProviderName::Zego, "1"), before)
        .ignoring_seen_before(app(ProviderName::Tencent, "1400000000"), before)
}

/// Three people log in to the lobby, and two to Chat.
async fn happened(world: &mut World) {
    world.logins("lobby", &["ada", "bob", "cyd"]).await;
    let at = world.start.plus(0);
    for user in ["hal", "jim"] {
        let mut event = tencent_event(tencent::EventName::ChatLogin, at);
        event.options.user = user.to_owned();
        let callback = event.callback(player_secrets().chat.as_ref().unwrap());
        world.store.set_time(at.0);
        assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }
}

/// What the providers know: who is in these rooms, and who is connected.
fn know(world: &World, lobby: &[&str], ghost: &[&str], online: &[&str]) {
    let start = world.start.plus(0);
    let people = |people: &[&str]| -> Value {
        let occupant = json!({ "session": "s", "name": "x", "role": 2, "login_time": start });
        people.iter().map(|name| ((*name).to_owned(), occupant.clone())).collect()
    };
    let rooms = [("lobby", 7, lobby), ("ghost", 9, ghost)];
    let rooms = rooms.into_iter().filter(|(_, _, inside)| !inside.is_empty()).map(
        |(room, life, inside)| (room.to_owned(), json!({ "life": life, "people": people(inside) })),
    );
    let platforms = |user: &&str| {
        let is_online = online.contains(user);
        json!({ "platforms": if is_online { json!({ "iOS": "Online" }) } else { json!({}) } })
    };
    let accounts = DEVICES.iter().map(|user| ((*user).to_owned(), platforms(user)));
    world.known.know(json!({
        "zego": { "1": rooms.collect::<Value>() },
        "chat": { "1400000000": accounts.collect::<Value>() },
    }));
}

/// A pass over everything, by our clock at that time.
async fn pass(world: &World, after: u64, settings: &Settings) {
    let at = world.start.plus(after);
    let mut asks = world.asks_at(Behaviour::default(), at).await;
    asks.reader = asks.reader.clone().with_settings(settings.clone());
    asks.records = Records::new(asks.reader.clone(), Duration::ZERO);
    let rooms = ROOMS.map(|room| format!("zego/1/rooms/{room}"));
    let people = DEVICES.map(|user| format!("tencent/1400000000/users/{user}"));
    for path in rooms.iter().chain(&people) {
        let (status, answer) = post_at(&asks, path, "", at).await;
        assert_eq!((status, &answer["braked"]), (http::StatusCode::OK, &json!(false)), "{answer}");
    }
}

fn blur(answer: &mut Value) {
    if answer["checked_at"].is_number() {
        answer["checked_at"] = json!("a time");
    }
}

/// Every answer about everybody, by these settings.
async fn answers(world: &World, settings: &Settings) -> Vec<(String, Value)> {
    let mut handlers: Handlers = world.handlers.clone();
    let reader = Reader::new(world.store.client(), TABLE_NAME).with_settings(settings.clone());
    handlers.queries.records = Records::new(reader, Duration::ZERO);
    let mut paths = vec!["/rooms/zego/1".to_owned()];
    for room in ROOMS {
        for root in ["presence", "attendance", "reports"] {
            paths.push(format!("/{root}/zego/1/rooms/{room}"));
        }
    }
    let in_rooms = PEOPLE.map(|user| ("zego/1", user));
    let on_devices = DEVICES.map(|user| ("tencent/1400000000", user));
    for (app, user) in in_rooms.into_iter().chain(on_devices) {
        for root in ["presence", "attendance", "reports", "explain"] {
            paths.push(format!("/{root}/{app}/users/{user}"));
        }
    }
    let now = world.start.plus(HONEST + 10_000);
    let mut answers = Vec::new();
    for path in paths {
        let query = match path.split('/').nth(1) {
            Some("reports") => format!("from={}&to={now}", world.start.plus(0)),
            _ => String::new(),
        };
        let (status, mut answer) = handlers.get(&path, &query, now).await;
        // A pass takes some ms.
        for of in answer["rooms"].as_array_mut().into_iter().flatten() {
            blur(of);
        }
        blur(&mut answer);
        answers.push((path, json!([status.as_u16(), answer])));
    }
    answers
}

/// As if nothing of before had ever been stored, whatever it said; and so do the passes after it.
#[tokio::test]
async fn an_undo_makes_every_answer_as_if_nothing_had_been_observed_before() {
    // Both begin at the same time.
    let mut lied = World::new();
    let mut clean = World::new();
    clean.start = lied.start;
    for world in [&mut lied, &mut clean] {
        happened(world).await;
    }
    let none = Settings::new();
    know(&lied, &["cyd", "eve"], &["fay"], &["ivy"]);
    pass(&lied, LIES, &none).await;
    let undone = settings(lied.start.plus(UNDONE));
    let (before, after) = (answers(&lied, &none).await, answers(&lied, &undone).await);
    let expected = answers(&clean, &none).await;
    for (found, expected) in after.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(changed >= 20, "the lies have changed only {changed} of {} answers", after.len());
    // What was asked at that very time counts.
    assert_eq!(answers(&lied, &settings(lied.start.plus(LIES))).await, before);

    for world in [&lied, &clean] {
        know(world, &["ada", "cyd", "gus"], &[], &["hal"]);
        pass(world, HONEST, &undone).await;
    }
    let (found, expected) = (answers(&lied, &undone).await, answers(&clean, &none).await);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let roster = found.iter().find(|(path, _)| path == "/presence/zego/1/rooms/lobby").unwrap();
    let members = roster.1[1]["members"].as_array().unwrap().iter();
    let mut members: Vec<&str> = members.map(|one| one["user"].as_str().unwrap()).collect();
    members.sort_unstable();
    assert_eq!(members, ["ada", "cyd", "gus"]);
}

/// A device whose events are newer than an answer may be: it is asked about again, nothing is stored,
/// and it is counted once a pass has found the same before.
#[tokio::test]
async fn what_no_observation_can_change_is_counted_and_not_stored() {
    let mut world = World::new();
    let asked = world.start.plus(50_000);
    // Their clock is ahead: by it, they come later than now.
    world.report(EventName::RoomLogin, "lobby", "ada", asked.after(Duration::from_mins(2))).await;
    let mut event = tencent_event(tencent::EventName::ChatLogin, asked);
    event.options.user = "hal".to_owned();
    let callback = event.callback(player_secrets().chat.as_ref().unwrap());
    assert_eq!(world.handlers.deliver(&callback, asked).await.outcome, Some("applied"));
    know(&world, &["cyd"], &[], &[]);
    let behaviour = Behaviour::default;
    let asks = world.asks_at(behaviour(), asked).await;
    let app = "tencent/1400000000";
    post_at(&asks, "zego/1/rooms/lobby", "dry_run=true", asked).await;
    let mut stored = Vec::new();
    // One request after the other gets the lease.
    let mut seconds = 0;
    let mut next = || {
        seconds += 1;
        asked.after(Duration::from_secs(seconds))
    };
    for expected in [0, 1, 1] {
        let (_, room) = post_at(&asks, "zego/1/rooms/lobby", "", next()).await;
        assert_eq!((&room["disagreements"], &room["found"]["out"]), (&json!(expected), &json!(1)));
        let (_, people) = post_at(&asks, app, "", next()).await;
        let found = (&people["disagreements"], &people["found"]["out"], &people["stored"]);
        assert_eq!(found, (&json!(expected), &json!(1), &json!(0)), "{people}");
        let of_people = |record: &&Value| {
            record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().contains("#user#")
        };
        stored.push(world.store.stream(0).iter().filter(of_people).count());
    }
    assert_eq!((stored[0], stored[1]), (stored[1], stored[2]), "of a person, nothing is written");
    let (_, user) = post_at(&asks, &format!("{app}/users/hal"), "", next()).await;
    assert_eq!((&user["disagreements"], &user["stored"]), (&json!(1), &json!(0)), "{user}");

    // A run counts both.
    let run = asks.run("run", next(), tokio::time::Instant::now() + Duration::from_secs(20));
    let ran = crate::support::iam::acting_as(super::RECONCILE, run).await.unwrap();
    assert_eq!(ran.all.disagreements, 2, "{ran:?}");
    // Later, an answer is newer, and nothing disagrees.
    let later = asked.after(Duration::from_mins(3));
    let asks = world.asks_at(behaviour(), later).await;
    let run = asks.run("later", later, tokio::time::Instant::now() + Duration::from_secs(20));
    let ran = crate::support::iam::acting_as(super::RECONCILE, run).await.unwrap();
    assert_eq!((ran.all.disagreements, ran.all.observed.out), (0, 2), "{ran:?}");
    let run = asks.run(
        "last",
        later.after(Duration::from_secs(2)),
        tokio::time::Instant::now() + Duration::from_secs(20),
    );
    let ran = crate::support::iam::acting_as(super::RECONCILE, run).await.unwrap();
    assert_eq!((ran.all.disagreements, ran.all.found.out), (0, 0), "{ran:?}");
}
