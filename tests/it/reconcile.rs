//! Function `reconcile`: what the providers' server APIs say is asked for, and stored where it differs.
//! The providers are those of `rollcall provider`, over HTTP.

mod erased;
mod leases;
mod lies;
mod reported;
mod undo;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{Method, StatusCode};
use rollcall::{
    config::ProviderApis,
    domain::{App, ProviderName, UnixMillis},
    http::Request,
    reconcile::{LEASE, Reconcile},
    relay::touched_rooms,
    routes::{RECONCILE, RELAY},
    runtime,
};
use rollcall_local::provider::{Absent, Action, Behaviour, Fault, Faults, Lie, Provider};
use rollcall_players::{
    openim, tencent,
    zego::{Event, EventName},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    histories::relay::live_rooms,
    support::{
        Handlers, Known, Moment, ServersOnAPort, Simulated, iam, openim_event, player_secrets,
        reconcile_on, tencent_event, transport, zego_event,
    },
};

/// How long a provider may take to answer here.
const PATIENCE: Duration = Duration::from_secs(2);

/// A store with handlers, and what the providers know.
struct World {
    store: Simulated,
    handlers: Handlers,
    known: Known,
    relayed: usize,
    /// A minute ago.
    start: Moment,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        let handlers = Handlers::with(store.client());
        Self { store, handlers, known: Known::default(), relayed: 0, start: Moment::recent() }
    }

    /// These people are in the lobby, and in no other room.
    fn lobby(&self, people: &[&str]) {
        let start = self.start.plus(0);
        let occupant = |name: &&str| {
            let occupant = json!({ "session": "s", "name": name, "role": 2, "login_time": start });
            ((*name).to_owned(), occupant)
        };
        let people: BTreeMap<String, Value> = people.iter().map(occupant).collect();
        let room = json!({ "life": 7, "people": people });
        self.known.know(json!({ "zego": { "1": { "lobby": room, "hall": { "life": 1, "people": {
            "zoe": { "session": "s", "name": "Zoe", "role": 2, "login_time": start }
        } } } } }));
    }

    /// What asks providers that behave like that.
    async fn asks(&self, behaviour: Behaviour) -> (Reconcile, Arc<Provider>) {
        let servers = ServersOnAPort::of(self.known.clone(), behaviour).await;
        let apis = ProviderApis::from_json(&servers.apis).unwrap();
        let clock = Arc::new(runtime::now);
        let asks = reconcile_on(self.store.client(), apis, clock, transport(PATIENCE));
        (asks, servers.provider)
    }

    /// The same, whose questions are sent at that time by our clock.
    async fn asks_at(&self, behaviour: Behaviour, at: UnixMillis) -> Reconcile {
        let clock_ms = i64::try_from(at.0).unwrap() - i64::try_from(runtime::now().0).unwrap();
        let behaviour = Behaviour { clock_ms, ..behaviour };
        let servers = ServersOnAPort::of(self.known.clone(), behaviour).await;
        let apis = ProviderApis::from_json(&servers.apis).unwrap();
        self.store.set_time(at.0);
        let clock = Arc::new(move || at);
        reconcile_on(self.store.client(), apis, clock, transport(PATIENCE))
    }

    /// The same, of providers each of whose answers takes so long.
    async fn asks_slowly(&self, slow: Duration) -> Reconcile {
        let servers = ServersOnAPort::slow(self.known.clone(), Behaviour::default(), slow).await;
        let apis = ProviderApis::from_json(&servers.apis).unwrap();
        reconcile_on(self.store.client(), apis, Arc::new(runtime::now), transport(PATIENCE))
    }

    /// Somebody enters or leaves a room, and that is relayed.
    async fn report(&mut self, name: EventName, room: &str, user: &str, at: UnixMillis) {
        self.store(name, room, user, at).await;
        self.relay().await;
    }

    /// The same, and it is not relayed: the room is not on the list of live rooms.
    async fn store(&mut self, name: EventName, room: &str, user: &str, at: UnixMillis) {
        let is_login = name == EventName::RoomLogin;
        let (sequence, login_time) = if is_login { (1, at) } else { (2, self.start.plus(0)) };
        let event = Event {
            room: room.to_owned(),
            user: user.to_owned(),
            sequence,
            login_time,
            ..zego_event(name, at)
        };
        self.store.set_time(at.0);
        let secret = player_secrets().zego.unwrap();
        let reply = self.handlers.deliver(&event.callback(&secret, at.seconds(), "1"), at).await;
        assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
    }

    async fn logins(&mut self, room: &str, users: &[&str]) {
        for user in users {
            self.report(EventName::RoomLogin, room, user, self.start.plus(0)).await;
        }
    }

    async fn relay(&mut self) {
        let records: Vec<rollcall::store::StreamRecord> = self
            .store
            .stream(self.relayed)
            .into_iter()
            .map(|record| serde_json::from_value(record).unwrap())
            .collect();
        let listing = live_rooms(&self.store);
        let rooms = touched_rooms(records.iter().enumerate());
        let listing = listing.list(rooms, Instant::now() + Duration::from_secs(10));
        assert!(iam::acting_as(RELAY, listing).await.is_empty());
        self.relayed = self.store.stream(0).len();
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.handlers.get(path, "", runtime::now()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn members(&self, room: &str) -> Vec<String> {
        let answer = self.get(&format!("/presence/zego/1/rooms/{room}")).await;
        let members = answer["members"].as_array().unwrap();
        let mut names: Vec<String> =
            members.iter().map(|member| member["user"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Everything that is stored, but for leases.
    fn records(&self) -> usize {
        self.store.stream(0).len()
    }
}

async fn post_at(
    reconcile: &Reconcile,
    path: &str,
    query: &str,
    now: UnixMillis,
) -> (StatusCode, Value) {
    let path = format!("/reconcile/{path}");
    let request = Request { method: Method::POST, ..Request::get(&path, query, now) };
    let id = format!("request at {now}");
    let reply = iam::acting_as(RECONCILE, reconcile.answer(&request, &id)).await;
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

async fn post(reconcile: &Reconcile, path: &str) -> Value {
    let (status, answer) = post_at(reconcile, path, "", runtime::now()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

fn found(answer: &Value) -> (u64, u64, u64, bool) {
    let number = |value: &Value| value.as_u64().unwrap();
    let found = &answer["found"];
    let braked = answer["braked"].as_bool().unwrap();
    (number(&found["in"]), number(&found["out"]), number(&answer["stored"]), braked)
}

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
        ("zego/1/users/ada", StatusCode::NOT_FOUND, "not_found"),
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

/// An API whose answers are about other people, or that says of nobody when they came.
#[tokio::test]
async fn an_api_that_lies_about_times_and_ids_does_no_harm() {
    let mut world = World::new();
    world.logins("lobby", &["ada", "bob"]).await;
    world.lobby(&["ada", "bob", "cyd"]);
    for lie in [Lie::LoginAtZero, Lie::LoginInFuture] {
        let (asks, _) = world.asks(Behaviour { lie: Some(lie), ..Behaviour::default() }).await;
        post(&asks, "zego/1/rooms/lobby").await;
        assert_eq!(world.members("lobby").await, ["ada", "bob", "cyd"], "{lie:?}");
    }
    let lie = Some(Lie::OtherUsers);
    let (asks, _) = world.asks(Behaviour { lie, ..Behaviour::default() }).await;
    post(&asks, "zego/1/rooms/lobby").await;
    let members = world.members("lobby").await;
    assert!(["ada", "bob", "cyd"].iter().all(|name| members.contains(&(*name).to_owned())));
}

#[tokio::test]
async fn a_pass_that_would_empty_a_room_is_carried_out_when_a_later_one_says_the_same() {
    let mut world = World::new();
    let people: Vec<String> = (0..20).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&str> = people.iter().map(String::as_str).collect();
    world.logins("lobby", &names).await;
    world.lobby(&[]);
    let (asks, _) =
        world.asks(Behaviour { lie: Some(Lie::EverybodyOut), ..Behaviour::default() }).await;
    let path = "zego/1/rooms/lobby";
    let began = runtime::now();
    let (_, answer) = post_at(&asks, path, "", began).await;
    assert_eq!(found(&answer), (0, 20, 0, true), "{answer}");
    assert_eq!(world.members("lobby").await.len(), 20);
    // A dry run is no second pass, and neither is one that comes too early.
    let late = began.after(Duration::from_secs(40));
    let (_, answer) = post_at(&asks, path, "", began.after(Duration::from_secs(20))).await;
    assert_eq!(found(&answer), (0, 20, 0, true), "{answer}");
    let (_, answer) = post_at(&asks, path, "dry_run=true", late).await;
    assert_eq!(found(&answer), (0, 20, 0, false), "it would be carried out: {answer}");
    assert_eq!(world.members("lobby").await.len(), 20);

    // Somebody comes: the room lives, and the API is wrong.
    world.logins("lobby", &["zoe"]).await;
    let (_, answer) = post_at(&asks, path, "", late).await;
    assert_eq!(found(&answer), (0, 21, 0, true), "{answer}");
    // An honest pass makes the memory forget.
    let all: Vec<&str> = names.iter().copied().chain(["zoe"]).collect();
    world.lobby(&all);
    let (honest, _) = world.asks(Behaviour::default()).await;
    let (_, answer) = post_at(&honest, path, "", late).await;
    assert_eq!(found(&answer), (0, 0, 0, false), "{answer}");
    let later = late.after(Duration::from_mins(5));
    let (_, answer) = post_at(&asks, path, "", later).await;
    assert_eq!(found(&answer), (0, 21, 0, true), "{answer}");
    assert_eq!(world.members("lobby").await.len(), 21);

    // The same answer, half a minute later.
    let (_, answer) = post_at(&asks, path, "", later.after(Duration::from_secs(31))).await;
    assert_eq!(found(&answer), (0, 21, 21, false), "{answer}");
    assert!(world.members("lobby").await.is_empty());
}

#[tokio::test]
async fn a_room_that_the_provider_does_not_know_is_emptied_by_the_second_pass() {
    let mut world = World::new();
    world.logins("lobby", &["ada"]).await;
    world.known.know(json!({}));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let began = runtime::now();
    let path = "zego/1/rooms/lobby";
    let (_, answer) = post_at(&asks, path, "", began).await;
    assert_eq!(found(&answer), (0, 1, 0, true), "{answer}");
    let (_, answer) = post_at(&asks, path, "", began.after(Duration::from_secs(31))).await;
    assert_eq!(found(&answer), (0, 1, 1, false), "{answer}");
    assert!(world.members("lobby").await.is_empty());
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

#[tokio::test]
async fn a_run_passes_over_all_live_rooms_and_goes_on_where_it_was_stopped() {
    let mut world = World::new();
    for room in ["lobby", "hall", "attic"] {
        world.logins(room, &["ada", "bob"]).await;
    }
    world.lobby(&["ada"]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    // There is no time.
    let now = runtime::now();
    let run = iam::acting_as(RECONCILE, asks.run("none", now, Instant::now()));
    let ran = run.await.unwrap();
    // Of the people of two other providers there are none.
    assert_eq!((ran.passes, ran.all.rooms), (2, 0), "{ran:?}");

    let deadline = Instant::now() + Duration::from_secs(20);
    let run = iam::acting_as(RECONCILE, asks.run("run", runtime::now(), deadline));
    let ran = run.await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms), (3, 3), "{ran:?}");
    assert_eq!(ran.all.braked, 1, "nobody knows the attic");
    assert_eq!(world.members("lobby").await, ["ada"]);
    assert_eq!(world.members("hall").await, ["zoe"]);
    assert_eq!(world.members("attic").await, ["ada", "bob"]);

    // Another round: the rooms are still live, and nothing differs but the attic.
    let run = asks.run("again", runtime::now(), Instant::now() + Duration::from_secs(20));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms, ran.all.stored), (3, 3, 0), "{ran:?}");
}

/// One run at a time asks about an app. A request that gets no turn is done by the next run.
#[tokio::test]
async fn a_request_that_gets_no_turn_is_the_first_of_the_next_run() {
    let mut world = World::new();
    for user in ["ada", "bob"] {
        world.store(EventName::RoomLogin, "lobby", user, world.start.plus(0)).await;
    }
    world.lobby(&["ada"]);
    let (mut asks, _) = world.asks(Behaviour::default()).await;
    asks.request_limit = Duration::from_secs(3);
    let app = App { provider: ProviderName::Zego, id: "1".parse().unwrap() };
    let now = runtime::now();
    let taking = asks.passes.take(&app, "another", now, now.after(LEASE));
    let mut lease = iam::acting_as(RECONCILE, taking).await.unwrap().unwrap();

    let (status, answer) = post_at(&asks, "zego/1/rooms/lobby", "dry_run=true", now).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let (status, answer) = post_at(&asks, "zego/1/rooms/lobby", "", now).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "queued": true })));
    let run = asks.run("run", now, Instant::now() + Duration::from_secs(20));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!(ran.all.rooms, 0, "another run has the lease: {ran:?}");

    let giving_back = asks.passes.keep(&mut lease, None, now);
    assert!(iam::acting_as(RECONCILE, giving_back).await.unwrap());
    let run = asks.run("run", now, Instant::now() + Duration::from_secs(20));
    iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!(world.members("lobby").await, ["ada"]);
    let asked = asks.reader.asked_rooms(&app, now);
    assert!(iam::acting_as(RECONCILE, asked).await.unwrap().is_empty());
}

/// While a run asks about a slow app, a request gets its turn.
#[tokio::test]
async fn an_api_that_hangs_ends_a_run_and_holds_no_lease() {
    let mut world = World::new();
    for room in 0..30 {
        world.logins(&format!("r{room}"), &["ada"]).await;
    }
    let faults = Faults { percent: 100.0, kinds: vec![Fault::Hang] };
    let (hangs, _) = world.asks(Behaviour { faults, ..Behaviour::default() }).await;
    let began = Instant::now();
    let run = hangs.run("run", runtime::now(), Instant::now() + Duration::from_mins(5));
    let ran = iam::acting_as(RECONCILE, run).await.unwrap();
    assert_eq!((ran.passes, ran.all.rooms), (2, 0), "{ran:?}");
    assert!(ran.all.failed >= 10, "{ran:?}");
    assert!(began.elapsed() < 4 * PATIENCE, "{:?}", began.elapsed());
    world.lobby(&[]);
    let (asks, _) = world.asks(Behaviour::default()).await;
    post(&asks, "zego/1/rooms/r0").await;
}

#[tokio::test]
async fn devices_are_online_and_offline_as_the_providers_say() {
    let world = World::new();
    let secrets = player_secrets();
    let at = world.start.plus(0);
    // Ada's logout is lost, Bob's login is lost.
    for user in ["ada", "cyd"] {
        let mut event = tencent_event(tencent::EventName::ChatLogin, at);
        event.options.user = user.to_owned();
        let callback = event.callback(secrets.chat.as_ref().unwrap());
        assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }
    let platforms = |platforms: Value| json!({ "platforms": platforms });
    world.known.know(json!({ "chat": { "1400000000": {
        "ada": platforms(json!({})), "bob": platforms(json!({ "Web": "Online" })),
        "cyd": platforms(json!({ "iOS": "Online" })),
    } } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let path = |user: &str| format!("tencent/1400000000/users/{user}");
    assert_eq!(found(&post(&asks, &path("ada")).await), (0, 1, 1, false));
    assert_eq!(found(&post(&asks, &path("bob")).await), (1, 0, 1, false));
    assert_eq!(found(&post(&asks, &path("cyd")).await), (0, 0, 0, false));
    for (user, is_online) in [("ada", false), ("bob", true), ("cyd", true)] {
        let answer = world.get(&format!("/presence/tencent/1400000000/users/{user}")).await;
        assert_eq!(answer["online"], is_online, "{answer}");
        assert_ne!(answer["checked_at"], Value::Null, "{answer}");
    }
}

/// A pass over an app's people ends fifty stays at once, and the others when a later one says the same.
#[tokio::test]
async fn a_pass_over_people_is_braked_too() {
    let world = World::new();
    let at = world.start.plus(0);
    for number in 0..60 {
        let mut event = tencent_event(tencent::EventName::ChatLogin, at);
        event.options.user = format!("p{number:02}");
        let callback = event.callback(player_secrets().chat.as_ref().unwrap());
        assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    }
    let people: BTreeMap<String, Value> =
        (0..60).map(|number| (format!("p{number:02}"), json!({ "platforms": {} }))).collect();
    world.known.know(json!({ "chat": { "1400000000": people } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let began = runtime::now();
    let (_, first) = post_at(&asks, "tencent/1400000000", "", began).await;
    assert_eq!((&first["people"], &first["complete"]), (&json!(60), &json!(true)), "{first}");
    let (_, found_out, stored, braked) = found(&first);
    assert!(found_out == 60 && stored <= 50 && braked, "{first}");
    let (_, second) =
        post_at(&asks, "tencent/1400000000", "", began.after(Duration::from_secs(40))).await;
    assert_eq!(found(&second), (0, 60 - stored, 60 - stored, false), "{second}");
}

#[tokio::test]
async fn registrations_that_were_lost_are_recorded_and_who_was_erased_stays_erased() {
    let world = World::new();
    let at = world.start.plus(0);
    let event = openim_event(openim::EventName::UserRegister, at);
    let callback = event.callback(&player_secrets().openim);
    assert_eq!(world.handlers.deliver(&callback, at).await.outcome, Some("applied"));
    let (status, _) = world.handlers.erase("/users/openim/main/eve", "", runtime::now()).await;
    assert_eq!(status, StatusCode::OK);
    let user = |name: &str, created: u64| {
        (name.to_owned(), json!({ "profile": { "nickname": name, "create_time": created } }))
    };
    let old = at.before(Duration::from_hours(10 * 24)).0;
    let users: BTreeMap<String, Value> =
        [user("ada", at.0), user("bob", at.0), user("cyd", old), user("eve", old)].into();
    world.known.know(json!({ "openim": { "main": users } }));
    let (asks, _) = world.asks(Behaviour::default()).await;
    let path = "openim/main/registrations";
    let from = format!("from={}", at.before(Duration::from_hours(1)));
    let (_, answer) = post_at(&asks, path, &format!("{from}&dry_run=true"), runtime::now()).await;
    // And the administrator.
    let numbers = |answer: &Value| {
        ["users", "missing", "recorded"].map(|name| answer[name].as_u64().unwrap())
    };
    assert_eq!((numbers(&answer), &answer["next"]), ([5, 1, 0], &Value::Null), "{answer}");
    let (_, answer) = post_at(&asks, path, &from, runtime::now()).await;
    assert_eq!(numbers(&answer), [5, 1, 1], "{answer}");
    let bob = world.get("/registrations/openim/main/users/bob").await;
    assert_eq!((&bob["source"], &bob["registered_at"]), (&json!("reconciled"), &json!(at)));
    let (_, answer) = post_at(&asks, path, "", runtime::now()).await;
    assert_eq!(numbers(&answer), [5, 1, 1], "Cyd, and never Eve: {answer}");
    let eve = world.handlers.get("/registrations/openim/main/users/eve", "", runtime::now()).await;
    assert_eq!(eve.0, StatusCode::NOT_FOUND);
}
