//! ZEGO's ZIM: sessions of devices, and rooms of its own kind.

mod hostile;
mod rooms;
mod routes;
mod sessions;

use rollcall::{
    callback::Secret,
    domain::{UnixMillis, UnixSeconds},
    providers::zego::sign,
    runtime,
};
use rollcall_players::{
    Answer,
    zim::{
        Action, Event,
        EventName::{self, UserAction},
    },
};
use serde_json::{Value, json};

use crate::support::{
    Handlers, Moment, SECRET, Simulated, TestApp, player_secrets, simulated_dump, union, zim_event,
};

const USER_ACTION: &str = "/zego/user-action";
const ROOM_EVENT: &str = "/zego/room-event";
const JSON: &str = "application/json";

/// A store with handlers, and time in seconds.
struct World {
    store: Simulated,
    handlers: Handlers,
    start: Moment,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        let handlers = Handlers::with(store.client());
        Self { store, handlers, start: Moment(1_790_000_000_000) }
    }

    fn at(&self, second: u64) -> UnixMillis {
        self.start.plus(1000 * second)
    }

    /// When everything is received, and asked for.
    fn now(&self) -> UnixMillis {
        self.at(500)
    }

    /// What happens to a session of Ada's that logged in at a second.
    fn action(&self, action: Action, session: &str, login: u64, second: u64) -> Event {
        Event {
            action,
            session: session.to_owned(),
            login_time: self.at(login),
            ..zim_event(UserAction, self.at(second))
        }
    }

    fn login(&self, session: &str, second: u64) -> Event {
        self.action(Action::Login, session, second, second)
    }

    fn in_room(&self, name: EventName, user: &str, second: u64) -> Event {
        Event { user: user.to_owned(), ..zim_event(name, self.at(second)) }
    }

    async fn deliver(&self, event: &Event) -> &'static str {
        let secret = player_secrets().zego.unwrap();
        let callback = event.callback(&secret, self.now().seconds(), "7301444403500000001");
        let reply = self.handlers.deliver(&callback, self.now()).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, r#"{"code":0}"#));
        reply.outcome.unwrap()
    }

    async fn apply(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            assert_eq!(self.deliver(&event).await, "applied", "{event:?}");
        }
    }

    async fn ask(&self, path: &str, query: &str) -> Value {
        let (status, answer) = self.handlers.get(path, query, self.now()).await;
        assert_eq!(status, 200, "{path}?{query}: {answer}");
        answer
    }

    async fn ada(&self) -> Value {
        self.ask("/presence/zego/1/users/ada", "").await
    }

    async fn room(&self, room: &str) -> Value {
        self.ask("/presence/zego/1/rooms", &format!("room={room}")).await
    }

    /// Everything that is stored, wherever its marks are.
    fn stored(&self) -> Vec<(String, Value)> {
        let mut stored: Vec<_> = union(simulated_dump(&self.store)).into_iter().collect();
        stored.sort_by(|a, b| a.0.cmp(&b.0));
        stored
    }
}

/// All orders of some things.
fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else { return vec![Vec::new()] };
    let put = |order: Vec<T>| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, first.clone());
            order
        })
    };
    orders(rest).into_iter().flat_map(put).collect()
}

/// Signs a body of ZEGO's at a time, after all changes to it.
fn signed_at(mut body: Value, at: UnixSeconds) -> Value {
    let nonce = "7301444403500000001";
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    body["appid"] = json!("1");
    body["nonce"] = json!(nonce);
    body["timestamp"] = json!(at.0);
    body["signature"] = json!(sign(&secret, &at.to_string(), nonce));
    body
}

fn signed(body: Value) -> Value {
    signed_at(body, runtime::now().seconds())
}

async fn post(app: &TestApp, route: &str, body: &Value) -> Answer {
    app.post(route, JSON, body.to_string()).await
}

/// Posts a body and returns its outcome.
async fn outcome(app: &TestApp, route: &str, body: &Value) -> String {
    let answer = post(app, route, body).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"code":0}"#), "{body}");
    answer.outcome.unwrap()
}
