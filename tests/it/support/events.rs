//! Events with sensible ids, so that a test only names what matters to it.

use rollcall::{domain::UnixMillis, runtime};
use rollcall_local::send::{
    openim, tencent,
    zego::{Event, EventName},
};

/// A time that the test counts from: long enough ago for all that follows to be in the past.
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

/// An event of Ada's in the lobby's life 7, session `s1`, all at one time.
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

/// An event of Ada's, on her iPhone or in the lobby.
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
