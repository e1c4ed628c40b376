//! Function `reconcile`: what the providers' server APIs say is asked for, and stored where it differs.
//! The providers are those of `rollcall provider`, over HTTP.

mod brakes;
mod erased;
mod large;
mod leases;
mod lies;
mod people;
mod profiles;
mod reported;
mod requests;
mod undo;
mod zim;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{Method, StatusCode};
use rollcall::{
    config::ProviderApis,
    domain::UnixMillis,
    http::Request,
    reconcile::Reconcile,
    relay::touched_rooms,
    routes::{RECONCILE, RELAY},
    runtime,
};
use rollcall_local::provider::{Behaviour, Provider};
use rollcall_players::zego::{Event, EventName};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    histories::relay::live_rooms,
    support::{
        Handlers, Known, Moment, ServersOnAPort, Simulated, iam, player_secrets, reconcile_on,
        transport, zego_event,
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
        // No time passes by this clock: on a busy machine answers may take long.
        reconcile_on(self.store.client(), apis, clock, transport(10 * PATIENCE))
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
        assert_eq!(self.deliver(&event).await, Some("applied"));
    }

    /// A visit before the one that is known, of which only the logout arrived.
    async fn report_earlier_visit(&mut self, room: &str, user: &str, until: UnixMillis) {
        let event = Event {
            room: room.to_owned(),
            user: user.to_owned(),
            session: "earlier".to_owned(),
            sequence: 2,
            login_time: until.before(Duration::from_secs(1)),
            ..zego_event(EventName::RoomLogout, until)
        };
        assert_eq!(self.deliver(&event).await, Some("stale"));
        self.relay().await;
    }

    /// Returns the outcome.
    async fn deliver(&self, event: &Event) -> Option<&'static str> {
        let at = event.at;
        self.store.set_time(at.0);
        let secret = player_secrets().zego.unwrap();
        self.handlers.deliver(&event.callback(&secret, at.seconds(), "1"), at).await.outcome
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
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (status, answer) = self.handlers.get(path, query, runtime::now()).await;
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
    let answering = Box::pin(reconcile.answer(&request, &id));
    let reply = iam::acting_as(RECONCILE, answering).await;
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
