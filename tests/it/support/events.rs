//! Events with default ids, so that a test only sets what matters to it.

use clap::ValueEnum;
use rollcall::{callback::Secret, domain::UnixMillis, runtime};
use rollcall_players::{
    Callback, openim, tencent,
    zego::{Event, EventName},
    zim,
};
use serde_json::{Value, json};

use super::{SECRET, apps, tencent_secret};

/// The start time of a test: long enough ago that all following events are in the past.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    /// A minute ago.
    pub(crate) fn recent() -> Self {
        Self(runtime::now().0 - 60_000)
    }

    pub(crate) fn plus(self, ms: u64) -> UnixMillis {
        UnixMillis(self.0 + ms)
    }
}

/// An event of Ada in the lobby's life 7, session `s1`, with one time in all fields.
pub(crate) fn zego_event(name: EventName, at: UnixMillis) -> Event {
    Event {
        name,
        app: "1".to_owned(),
        room: "lobby".to_owned(),
        life: 7,
        user: "ada".to_owned(),
        nickname: "Ada".to_owned(),
        session: "100000000000000001".to_owned(),
        login_time: at,
        at,
        sequence: 1,
        role: 2,
        relogin: false,
        reason: 0,
    }
}

/// An event of Ada, on her phone or in the lobby of ZIM's, with one time in all fields.
pub(crate) fn zim_event(name: zim::EventName, at: UnixMillis) -> zim::Event {
    zim::Event {
        name,
        app: "1".to_owned(),
        user: "ada".to_owned(),
        others: Vec::new(),
        room: "lobby".to_owned(),
        label: "Ada".to_owned(),
        os: "ANDROID".to_owned(),
        action: zim::Action::Login,
        session: "940000000000000001".to_owned(),
        login_time: at,
        at,
        is_kicked: false,
        spelling: zim::Spelling::default(),
    }
}

/// An event of Ada, on her iPhone or in the lobby.
pub(crate) fn tencent_event(name: tencent::EventName, at: UnixMillis) -> tencent::Event {
    let options = tencent::Options {
        app: "1400000000".to_owned(),
        time: Some(at.0),
        ..tencent::Options::for_user("ada", "lobby")
    };
    tencent::Event { name, options, now: at }
}

/// An event of Ada's iPhone, or her registration, at an OpenIM server without connection ids.
pub(crate) fn openim_event(name: openim::EventName, now: UnixMillis) -> openim::Event {
    let options = openim::Options::default();
    openim::Event { name, options, now }
}

/// A callback of every kind that is recorded.
pub(crate) fn one_of_each(start: Moment, now: UnixMillis) -> Vec<Callback> {
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    let mut callbacks: Vec<Callback> = EventName::value_variants()
        .iter()
        .map(|name| zego_event(*name, start.plus(0)).callback(&secret(SECRET), now.seconds(), "1"))
        .collect();
    // Its times are whole seconds, and within one an exit comes before an entry.
    callbacks.extend((0..).zip(zim::EventName::value_variants()).map(|(second, name)| {
        let event = zim_event(*name, start.plus(1000 * second));
        event.callback(&secret(SECRET), now.seconds(), "1")
    }));
    let openim = openim::EventName::value_variants().iter();
    callbacks.extend(openim.map(|name| {
        let mut event = openim_event(*name, start.plus(0));
        // Two updates of one profile at one time are one change.
        if *name == openim::EventName::UserUpdateEx {
            event.options.users = vec!["bob".to_owned()];
        }
        event.callback(&credentials)
    }));
    // As the pages show it, without a time: the time of receipt must be sent with it.
    let mut documented = openim_event(openim::EventName::UserOnline, start.plus(0));
    documented.options.documented = true;
    documented.options.platform = openim::Platform::Web;
    callbacks.push(documented.callback(&credentials));
    let tencent = tencent::EventName::value_variants();
    // It is acknowledged, and changes nothing.
    let recorded = tencent.iter().filter(|name| **name != tencent::EventName::RoomUpdate);
    for (index, &name) in (1_u64..).zip(recorded) {
        let mut event = tencent_event(name, start.plus(index));
        event.now = now;
        if name == tencent::EventName::ChatLogin {
            event.options.kick = vec!["Web".to_owned(), "Android".to_owned()];
        }
        callbacks.push(event.callback(&tencent_secret(name)));
    }
    callbacks
}

/// The event that Lambda passes for a request to an HTTP API, in payload format 2.0.
pub(crate) fn gateway_event(method: &str, path: &str, query: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path,
        "rawQueryString": query,
        "headers": { "content-type": "application/json", "host": "x.execute-api.us-east-1.amazonaws.com" },
        "requestContext": {
            "accountId": "1", "apiId": "x", "domainName": "x.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "x", "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "22/Nov/2026:07:32:00 +0000", "timeEpoch": 1_795_332_720_000_u64,
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "1.2.3.4", "userAgent": "Go" }
        },
        "body": body, "isBase64Encoded": false
    })
}

/// The same for a callback, posted to `path`.
pub(crate) fn callback_event(callback: &Callback, path: &str) -> Value {
    let query = callback.query.as_deref().unwrap_or_default();
    let mut event = gateway_event("POST", path, query, Some(&callback.body));
    for (name, value) in &callback.headers {
        event["headers"][*name] = json!(value);
    }
    event
}
