//! What a pass finds is reported: as events, and in the report of a life that was settled.

use std::{collections::BTreeSet, time::Duration};

use rollcall::{
    domain::{App, Outcome, ProviderName, Role, Says, SeatObservation, Seen, UnixMillis},
    relay::{events, rooms_to_check},
    settle::{CheckQueue, Checks, Delayed, Settle},
    store::{Settler, StreamRecord},
};
use rollcall::{
    record::Records,
    routes::{RECONCILE, RELAY, SETTLE},
    store::Reader,
};
use rollcall_local::provider::Behaviour;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{EventName, World, post_at};
use crate::support::{RETENTION, TABLE_NAME, iam};

const GRACE: Duration = Duration::from_secs(30);

fn events_since(world: &World, record: usize) -> Vec<Value> {
    let of = |record: Value| {
        let record: StreamRecord = serde_json::from_value(record).unwrap();
        events(&record).unwrap()
    };
    let events = world.store.stream(record).into_iter().flat_map(of);
    events.map(|event| serde_json::to_value(event).unwrap()).collect()
}

#[tokio::test]
async fn who_is_added_or_removed_by_a_pass_is_one_event_each() {
    let mut world = World::new();
    world.logins("lobby", &["ada", "bob"]).await;
    world.lobby(&["ada", "cyd"]);
    let before = world.records();
    let at = world.start.plus(30_000);
    for _ in 0..3 {
        let asks = world.asks_at(Behaviour::default(), at).await;
        post_at(&asks, "zego/1/rooms/lobby", "", at).await;
    }
    let found = events_since(&world, before);
    let mut told: Vec<[Value; 6]> = found
        .iter()
        .map(|event| {
            ["type", "user", "reason", "assumed", "at", "late"].map(|name| event[name].clone())
        })
        .collect();
    told.sort_by_key(|event| event[0].to_string());
    let event = |name: &str, user: &str| {
        [json!(name), json!(user), json!("reconciled"), json!(true), json!(at), json!(false)]
    };
    assert_eq!(told, [event("presence.entered", "cyd"), event("presence.left", "bob")]);
    let ids: BTreeSet<String> = found.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(found, events_since(&world, before), "the same when they are delivered again");
    // A pass later finds the same, and adds nothing.
    let later = at.after(Duration::from_mins(1));
    let asks = world.asks_at(Behaviour::default(), later).await;
    post_at(&asks, "zego/1/rooms/lobby", "", later).await;
    assert_eq!(found, events_since(&world, before));
}

/// The checks of rooms, at times that the test chooses.
struct Checked {
    settle: Settle,
    asked: mpsc::UnboundedReceiver<Delayed>,
    relayed: usize,
}

impl Checked {
    fn on(world: &World) -> Self {
        let (timer, asked) = mpsc::unbounded_channel();
        let client = world.store.client();
        let store = Settler::new(client.clone(), TABLE_NAME, RETENTION);
        let checks = Checks { store, queue: CheckQueue::Timer(timer), grace: GRACE };
        let records = Records::new(Reader::new(client, TABLE_NAME), Duration::ZERO);
        Self { settle: Settle { records, checks }, asked, relayed: 0 }
    }

    /// Asks for checks of the new records, and does them when they are due. Returns what was settled.
    async fn check(&mut self, world: &World, now: UnixMillis) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        world.store.set_time(now.0);
        for (number, record) in world.store.stream(self.relayed).into_iter().enumerate() {
            let record: StreamRecord = serde_json::from_value(record).unwrap();
            for of in rooms_to_check(&record, GRACE, now).unwrap() {
                let by = format!("{}-{number}", self.relayed);
                let asking = self.settle.checks.ask(&of, &by, now, deadline);
                iam::acting_as(RELAY, asking).await.unwrap();
            }
        }
        let before = world.store.stream(0).len();
        let due = now.after(GRACE).after(Duration::from_secs(5));
        while let Ok(Delayed { check, .. }) = self.asked.try_recv() {
            let checking = self.settle.check(&check, due, deadline);
            iam::acting_as(SETTLE, checking).await.unwrap();
        }
        self.relayed = world.store.stream(0).len();
        let settled = events_since(world, before);
        settled.into_iter().filter(|event| event["type"] == "room.settled").collect()
    }
}

/// A pass over a large room stores an answer long after it was asked for: the room is closed and
/// settled meanwhile.
#[tokio::test]
async fn the_report_of_a_settled_room_is_corrected_and_reported_again() {
    let mut world = World::new();
    let at = |world: &World, after: u64| world.start.plus(after).before(Duration::from_mins(5));
    let began = at(&world, 0);
    world.start = crate::support::Moment(began.0);
    world.logins("lobby", &["ada", "bob"]).await;
    world.report(EventName::RoomClose, "lobby", "ada", began.after(Duration::from_mins(1))).await;
    let mut checked = Checked::on(&world);
    let settled = checked.check(&world, began.after(Duration::from_secs(70))).await;
    assert_eq!(settled.len(), 1, "{settled:?}");
    assert_eq!((&settled[0]["revision"], &settled[0]["people"]), (&json!(1), &json!(2)));

    // Asked half a minute after the beginning: Bob had gone, Cyd was in. It is stored much later.
    let asked = world.start.plus(30_000);
    let observer = world.handlers.reconcile.observer.clone();
    let mut now = began.after(Duration::from_mins(3));
    let came = Says::In { login: None, role: Role(2) };
    for (revision, (user, life, says)) in
        (2..).zip([("bob", Some("7"), Says::Out), ("cyd", None, came)])
    {
        world.store.set_time(now.0);
        let observation = SeatObservation {
            app: App { provider: ProviderName::Zego, id: "1".parse().unwrap() },
            user: user.parse().unwrap(),
            room: "lobby".parse().unwrap(),
            life: life.map(|life| life.parse().unwrap()),
            seen: Seen { at: asked, says },
            ends: None,
        };
        let adding = observer.add(&observation);
        assert_eq!(iam::acting_as(RECONCILE, adding).await.unwrap(), Outcome::Applied);
        let settled = checked.check(&world, now).await;
        assert_eq!(settled.len(), 1, "{user}: {settled:?}");
        let again = &settled[0];
        assert_eq!((&again["revision"], &again["late"]), (&json!(revision), &json!(true)));
        let (path, query) = again["href"].as_str().unwrap().split_once('?').unwrap();
        now = now.after(Duration::from_mins(2));
        let (_, report) = world.handlers.get(path, query, now).await;
        for name in ["people", "person_ms", "digest", "began_at", "ended_at"] {
            assert_eq!(report[name], again[name], "{name}: {report}");
        }
        assert_eq!(checked.check(&world, now).await, Vec::<Value>::new(), "nothing is new");
    }
}
