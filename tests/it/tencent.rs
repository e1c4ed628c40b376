//! Tencent: Chat's devices, the registrations and active users that follow from its logins, and
//! TRTC's rooms.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, future::join_all, stream};
use proptest::{prelude::*, sample::Index, test_runner::Config};
use rollcall::{
    callback::Secret,
    domain::UnixMillis,
    http::Reply,
    providers::tencent::{sign_chat, sign_trtc},
    runtime,
};
use rollcall_players::{
    Answer,
    tencent::{
        Event,
        EventName::{
            self, ChatDisconnect, ChatLogin, ChatLogout, TrtcCreate, TrtcDismiss, TrtcEnter,
            TrtcExit, TrtcRole,
        },
        Options,
    },
};
use serde_json::{Value, json};

use crate::support::{
    CHAT_TOKEN, Database, Handlers, OTHER_SECRET, TRTC_KEY, TestApp, dump, names, tencent_event,
    tencent_secret, timeless,
};

/// 2026-09-21T12:26:40Z
const START: u64 = 1_790_000_000_000;
const NOW: UnixMillis = UnixMillis(START + 3_600_000);
const OK: &str = r#"{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":""}"#;

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

/// Delivers an event, signed as if sent just now.
async fn deliver(handlers: &Handlers, event: &Event) -> Reply {
    let secret = tencent_secret(event.name);
    let now = event.now.max(NOW);
    let event = Event { now, ..event.clone() };
    handlers.deliver(&event.callback(&secret), now).await
}

async fn outcome(handlers: &Handlers, event: &Event) -> &'static str {
    let reply = deliver(handlers, event).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let expected = if event.name.is_chat() { OK } else { r#"{"code":0}"# };
    assert_eq!(reply.body, expected);
    reply.outcome.unwrap()
}

async fn ada(handlers: &Handlers) -> Value {
    handlers.get("/presence/tencent/1400000000/users/ada", "", NOW).await.1
}

async fn room(handlers: &Handlers, room: &str) -> Value {
    handlers.get("/presence/tencent/1400000000/rooms", &format!("room={room}"), NOW).await.1
}

async fn active(handlers: &Handlers, month: &str) -> u64 {
    let query = format!("month={month}");
    let (status, body) = handlers.get("/usage/tencent/1400000000", &query, NOW).await;
    assert_eq!((status.as_u16(), &body["month"]), (200, &json!(month)));
    body["active_users"].as_u64().unwrap()
}

fn chat(name: EventName, platform: &str, ms: u64) -> Event {
    let event = tencent_event(name, at(ms));
    Event { options: Options { platform: platform.to_owned(), ..event.options }, ..event }
}

fn login(platform: &str, ms: u64, kicked: &[&str]) -> Event {
    let event = chat(ChatLogin, platform, ms);
    let kick = kicked.iter().map(|platform| (*platform).to_owned()).collect();
    Event { options: Options { kick, ..event.options }, ..event }
}

fn of_user(event: Event, user: &str) -> Event {
    Event { options: Options { user: user.to_owned(), ..event.options }, ..event }
}

async fn start() -> (Database, Handlers) {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    (database, handlers)
}

#[tokio::test]
async fn a_person_is_online_while_one_of_their_devices_is() {
    let (_database, handlers) = start().await;
    assert_eq!(outcome(&handlers, &login("iOS", 0, &[])).await, "applied");
    assert_eq!(outcome(&handlers, &login("iOS", 0, &[])).await, "duplicate");
    // A connection that was replaced never ends, so login after login is normal.
    assert_eq!(outcome(&handlers, &login("IOS", 1000, &[])).await, "applied");
    assert_eq!(outcome(&handlers, &login("Web", 2000, &[])).await, "applied");
    assert_eq!(outcome(&handlers, &chat(ChatDisconnect, "iPhone", 3000)).await, "applied");
    assert_eq!(outcome(&handlers, &chat(ChatDisconnect, "iOS", 500)).await, "stale");
    let known = ada(&handlers).await;
    assert_eq!((&known["online"], &known["last_seen_at"]), (&json!(true), &json!(START + 3000)));
    let sessions = known["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["device"], &sessions[0]["left_at"]), (&json!("Web"), &Value::Null));
    assert_eq!(
        (&sessions[1]["device"], &sessions[1]["reason"]),
        (&json!("iOS"), &json!("disconnected"))
    );
    outcome(&handlers, &chat(ChatLogout, "Web", 4000)).await;
    assert_eq!(ada(&handlers).await["online"], false);
}

#[tokio::test]
async fn a_login_pushes_other_devices_offline() {
    let (_database, handlers) = start().await;
    for platform in ["Windows", "Android", "iPad"] {
        outcome(&handlers, &login(platform, 0, &[])).await;
    }
    outcome(&handlers, &login("Android", 1000, &["Windows", "Android"])).await;
    let known = ada(&handlers).await;
    let open: BTreeSet<&str> = known["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|session| session["left_at"].is_null())
        .map(|session| session["device"].as_str().unwrap())
        .collect();
    assert_eq!(open, BTreeSet::from(["Android", "iPad"]), "{known}");
    assert!(known.to_string().contains(r#""reason":"kicked""#));
}

#[tokio::test]
async fn an_old_clients_logout_after_its_own_platform_kicked_it_does_not_count() {
    for (ms, is_online) in [(1000, true), (5999, true), (6000, true), (6001, false)] {
        let (_database, handlers) = start().await;
        outcome(&handlers, &login("Android", 0, &[])).await;
        let kicking = login("Android", 1000, &["Android"]);
        let logout = chat(ChatLogout, "Android", ms);
        for event in [&logout, &kicking] {
            outcome(&handlers, event).await;
        }
        assert_eq!(ada(&handlers).await["online"], is_online, "{ms} ms");
    }
    // But the new device's broken connection does count.
    let (_database, handlers) = start().await;
    outcome(&handlers, &login("Android", 1000, &["Android"])).await;
    outcome(&handlers, &chat(ChatDisconnect, "Android", 1500)).await;
    outcome(&handlers, &chat(ChatLogout, "Android", 2000)).await;
    assert_eq!(ada(&handlers).await["online"], false);
}

#[tokio::test]
async fn at_one_millisecond_leaving_comes_before_coming_and_being_kicked_after() {
    let cases: [(Vec<Event>, bool); 4] = [
        (vec![login("iOS", 0, &[]), chat(ChatDisconnect, "iOS", 0)], true),
        (vec![login("iOS", 0, &[]), chat(ChatLogout, "iOS", 0)], true),
        (vec![login("iOS", 0, &["iOS"])], true),
        (vec![login("iOS", 0, &[]), login("Web", 0, &["iOS"]), chat(ChatLogout, "Web", 1)], false),
    ];
    for (events, is_online) in cases {
        let (_database, handlers) = start().await;
        for event in events.iter().rev() {
            outcome(&handlers, event).await;
        }
        assert_eq!(ada(&handlers).await["online"], is_online, "{events:?}");
    }
}

/// Bodies as they were and as they are, byte for byte; what they change.
#[tokio::test]
async fn old_and_odd_state_changes_are_understood_or_acknowledged() {
    let now = runtime::now();
    let state = |info: Value, extra: Value| {
        let mut body = json!({ "CallbackCommand": "State.StateChange", "Info": info });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body.to_string()
    };
    let info = |action: &str, reason: &str| json!({ "Action": action, "To_Account": "testuser316", "Reason": reason });
    let time = json!({ "EventTime": now.0 });
    let cases = [
        // The example of the newest page, except for its time.
        (
            state(
                info("Login", "Register"),
                json!({ "EventTime": now.0, "KickedDevice": [{ "Platform": "Windows" }, { "Platform": "Android" }] }),
            ),
            "applied",
            true,
        ),
        // Before 2021: no time.
        (state(info("Login", "Register"), json!({})), "applied", true),
        (state(info("Logout", "Unregister"), json!({})), "applied", false),
        // Before 2020: reasons that mean a disconnect today, and another spelling.
        (state(info("Logout", "LinkClose"), time.clone()), "applied", false),
        (state(info("Logout", "Timeout"), time.clone()), "applied", false),
        (state(info("Disconnect", "TimeOut"), time.clone()), "applied", false),
        (state(info("Disconnect", "SomethingNew"), time.clone()), "applied", false),
        (
            state(info("Login", "Register"), json!({ "EventTime": now.0.to_string() })),
            "applied",
            true,
        ),
        (
            state(
                json!({ "Action": "CustomStatusChange", "To_Account": "testuser316", "Reason": "SetCustomStatus", "CustomStatus": "x" }),
                time.clone(),
            ),
            "ignored",
            false,
        ),
        (state(info("Teleport", "Beam"), time.clone()), "ignored", false),
        (
            json!({ "CallbackCommand": "C2C.CallbackAfterSendMsg", "From_Account": "a" })
                .to_string(),
            "ignored",
            false,
        ),
    ];
    for (body, expected, is_online) in cases {
        let app = TestApp::start().await;
        let answer = post_chat(&app, &body, CHAT_TOKEN, now).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, OK), "{body}");
        assert_eq!(answer.outcome.as_deref(), Some(expected), "{body}");
        let (status, known) = app.get("/presence/tencent/1400000000/users/testuser316").await;
        if expected == "ignored" {
            assert!(app.records().await.is_empty());
        } else {
            assert_eq!((status.as_u16(), &known["online"]), (200, &json!(is_online)), "{body}");
        }
    }
    let bad = [
        ("text".to_owned(), "CallbackCommand"),
        ("[]".to_owned(), "CallbackCommand"),
        ("{}".to_owned(), "CallbackCommand"),
        (json!({ "CallbackCommand": "State.StateChange" }).to_string(), "`Info` is missing"),
        (state(json!([]), json!({})), "`Info` is not an object"),
        (state(json!({ "Action": "Login" }), json!({})), "`To_Account` is missing"),
        (state(json!({ "To_Account": "a" }), json!({})), "`Action` is missing"),
        (state(info("Login", ""), json!({ "EventTime": "soon" })), "`EventTime`"),
        (state(info("Login", ""), json!({ "EventTime": now.0 + 660_000 })), "in the future"),
        (state(info("Login", ""), json!({ "KickedDevice": ["Web"] })), "`KickedDevice`"),
    ];
    let app = TestApp::start().await;
    for (body, says) in bad {
        let answer = post_chat(&app, &body, CHAT_TOKEN, now).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert_failed(&answer, says);
    }
    assert!(app.records().await.is_empty());
}

fn assert_failed(answer: &Answer, says: &str) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["ActionStatus"], &body["ErrorCode"]), (&json!("FAIL"), &json!(1)));
    assert!(body["ErrorInfo"].as_str().unwrap().contains(says), "{body}");
    assert_eq!(answer.outcome.as_deref(), Some("rejected"));
}

async fn post_chat(app: &TestApp, body: &str, token: &str, now: UnixMillis) -> Answer {
    let time = now.seconds().to_string();
    let sign = sign_chat(&secret(token), &time);
    let query = format!(
        "SdkAppid=1400000000&CallbackCommand=State.StateChange&contenttype=json&ClientIP=1.2.3.4&OptPlatform=iOS&Sign={sign}&RequestTime={time}"
    );
    app.post(&format!("/tencent/chat?{query}"), "application/json", body.to_owned()).await
}

#[tokio::test]
async fn promise_1_authentic_an_unsigned_callback_changes_nothing() {
    let app = TestApp::start().await;
    let now = runtime::now().seconds().0;
    let chat_body = json!({ "CallbackCommand": "State.StateChange", "Info": { "Action": "Login", "To_Account": "ada", "Reason": "Register" } }).to_string();
    let chat_sign = |token: &str, time: &str| sign_chat(&secret(token), time);
    let good = now.to_string();
    let query = |id: &str, sign: &str, time: &str| {
        format!("SdkAppid={id}&OptPlatform=iOS&Sign={sign}&RequestTime={time}")
    };
    let right = chat_sign(CHAT_TOKEN, &good);
    let (old, early) = ((now - 63).to_string(), (now + 63).to_string());
    let queries = [
        String::new(),
        format!("OptPlatform=iOS&Sign={right}&RequestTime={good}"),
        format!("SdkAppid=1400000000&RequestTime={good}"),
        format!("SdkAppid=1400000000&Sign={right}"),
        query("1400000000", "", &good),
        query("1400000000", &"0".repeat(64), &good),
        query("1400000000", &right[..63], &good),
        query("1400000000", &right, &(now - 1).to_string()),
        query("1400000000", &chat_sign(OTHER_SECRET, &good), &good),
        query("1400000000", &chat_sign(TRTC_KEY, &good), &good),
        query("1400000001", &right, &good),
        query("1400000002", &right, &good),
        query("9", &right, &good),
        query("1400000000", &chat_sign(CHAT_TOKEN, &old), &old),
        query("1400000000", &chat_sign(CHAT_TOKEN, &early), &early),
        query("1400000000", &chat_sign(CHAT_TOKEN, ""), ""),
        query("1400000000", &chat_sign(CHAT_TOKEN, "now"), "now"),
        query("1400000000", &chat_sign(CHAT_TOKEN, &format!("{good}x")), &format!("{good}x")),
        query("1400000000", &chat_sign(CHAT_TOKEN, &format!("-{good}")), &format!("-{good}")),
    ];
    for query in queries {
        let answer = app
            .post(&format!("/tencent/chat?{query}"), "application/json", chat_body.clone())
            .await;
        assert_eq!(answer.status, 401, "{query}: {}", answer.body);
        let has_no_secret = query.contains("1400000002");
        assert_failed(&answer, if has_no_secret { "no callback secret" } else { "" });
    }

    let body = |sent_at: u64| {
        json!({
            "EventGroupId": 1, "EventType": 103, "CallbackTs": sent_at,
            "EventInfo": { "RoomId": 1, "EventMsTs": now * 1000, "UserId": "ada", "Role": 21 }
        })
        .to_string()
    };
    let trtc_sign = |key: &str, body: &str| sign_trtc(&secret(key), body.as_bytes());
    let good = body(now * 1000);
    let right = trtc_sign(TRTC_KEY, &good);
    let (old, early) = (body((now - 660) * 1000), body((now + 660) * 1000));
    let reformatted = good.replace(':', ": ");
    let requests = [
        ("1400000000", String::new(), good.clone()),
        ("", right.clone(), good.clone()),
        ("1400000000", "AAAA".to_owned(), good.clone()),
        ("1400000000", right.to_lowercase(), good.clone()),
        ("1400000000", right[..43].to_owned(), good.clone()),
        ("1400000000", trtc_sign(CHAT_TOKEN, &good), good.clone()),
        ("1400000000", trtc_sign(OTHER_SECRET, &good), good.clone()),
        ("1400000000", right.clone(), reformatted),
        ("1400000000", right.clone(), good.replace("ada", "bob")),
        ("1400000001", right.clone(), good.clone()),
        ("1400000002", right.clone(), good.clone()),
        ("9", right.clone(), good.clone()),
        ("1400000000", trtc_sign(TRTC_KEY, &old), old),
        ("1400000000", trtc_sign(TRTC_KEY, &early), early),
        ("1400000000", trtc_sign(TRTC_KEY, "[]"), "[]".to_owned()),
        ("1400000000", trtc_sign(TRTC_KEY, "{}"), "{}".to_owned()),
        ("1400000000", trtc_sign(TRTC_KEY, ""), String::new()),
    ];
    for (id, sign, body) in requests {
        let answer = post_trtc(&app, id, &sign, &body).await;
        assert_eq!(answer.status, 401, "{id} {sign} {body}: {}", answer.body);
        let has_no_secret = answer.body.contains("no callback secret");
        assert_eq!(has_no_secret, id == "1400000002", "{}", answer.body);
        assert_eq!(answer.outcome.as_deref(), Some("rejected"));
    }
    assert!(app.records().await.is_empty());
    let answer = post_trtc(&app, "1400000000", &right, &good).await;
    assert_eq!(
        (answer.outcome.as_deref(), answer.body.as_str()),
        (Some("applied"), r#"{"code":0}"#)
    );
}

async fn post_trtc(app: &TestApp, id: &str, sign: &str, body: &str) -> Answer {
    let headers = [("SdkAppId", id), ("Sign", sign)];
    app.post_with("/tencent/trtc", &headers, body.to_owned()).await
}

#[tokio::test]
async fn promise_7_isolated_apps_never_see_each_other() {
    let (_database, handlers) = start().await;
    outcome(&handlers, &login("iOS", 0, &[])).await;
    outcome(&handlers, &tencent_event(TrtcEnter, at(0))).await;
    for path in [
        "presence/tencent/1400000001/users/ada",
        "presence/tencent/1400000001/rooms/lobby",
        "registrations/tencent/1400000001/users/ada",
        "presence/zego/1400000000/users/ada",
    ] {
        assert_eq!(handlers.get(&format!("/{path}"), "", NOW).await.0, 404, "{path}");
    }
    let (_, usage) = handlers.get("/usage/tencent/1400000001", "month=2026-09", NOW).await;
    assert_eq!(usage["active_users"], 0);
    // ZIM counts, too, and nobody of Tencent's; OpenIM does not.
    let (_, usage) = handlers.get("/usage/zego/1400000000", "month=2026-09", NOW).await;
    assert_eq!(usage["active_users"], 0);
    assert_eq!(handlers.get("/usage/openim/main", "", NOW).await.0, 404);
    assert_eq!(handlers.get("/usage/tencent/1400000000", "month=9", NOW).await.0, 400);
}

#[tokio::test]
async fn the_earliest_login_is_the_registration_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let (_database, handlers) = start().await;
        let logins = [login("iOS", 0, &[]), login("Web", 1000, &[]), login("iOS", 2000, &[])];
        for index in order {
            outcome(&handlers, &logins[index]).await;
        }
        let (_, found) = handlers.get("/registrations/tencent/1400000000/users/ada", "", NOW).await;
        assert_eq!(found["registered_at"], START, "{order:?}");
        assert_eq!(found["source"], "first_login");
        let (_, list) = handlers.get("/registrations/tencent/1400000000", "", NOW).await;
        assert_eq!(list["registrations"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn active_users_are_counted_once_a_month_in_utc() {
    let (_database, handlers) = start().await;
    // Milliseconds from the start to 2026-10-01T00:00:00Z.
    let october = 1_790_812_800_000 - START;
    let later = UnixMillis(START + october + 3_600_000);
    let send = async |event: Event| {
        let event = Event { now: later, ..event };
        let reply = handlers.deliver(&event.callback(&secret(CHAT_TOKEN)), later).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    let logins = (0..30_u64).flat_map(|user| {
        let user = format!("user{user}");
        [0, 1000, october - 1, october, october + 1].map(|ms| of_user(login("iOS", ms, &[]), &user))
    });
    // Half of them at the same time, and twice; ten users have no login in October.
    let logins: Vec<Event> = logins
        .filter(|login| login.options.user.len() > 5 || login.options.time < Some(START + october))
        .collect();
    // At most as many at once as the embedded DynamoDB answers in time on a busy machine.
    let twice: Vec<_> =
        logins.iter().rev().chain(&logins).map(|login| send(login.clone())).collect();
    stream::iter(twice).buffer_unordered(20).collect::<Vec<()>>().await;
    assert_eq!(active(&handlers, "2026-09").await, 30);
    assert_eq!(active(&handlers, "2026-10").await, 20);
    assert_eq!(active(&handlers, "2026-11").await, 0);
    // On a device that was counted for September, the first login of October is counted again.
    for (ms, active_users) in [(october - 60_000, 20), (october + 60_000, 21)] {
        send(of_user(login("Web", ms, &[]), "zoe")).await;
        assert_eq!(active(&handlers, "2026-10").await, active_users);
    }
    assert_eq!(active(&handlers, "2026-09").await, 31);
    // Logging out counts for nothing.
    send(of_user(chat(ChatLogout, "iOS", october + 5), "user99")).await;
    assert_eq!(active(&handlers, "2026-10").await, 21);
}

/// The months of a year can be queried.
#[tokio::test]
async fn a_month_is_kept_for_more_than_a_year() {
    let (database, handlers) = start().await;
    outcome(&handlers, &login("iOS", 0, &[])).await;
    let items = dump(&database.client).await;
    let month = items.iter().find(|(key, _)| key.contains(" month#")).unwrap().1;
    let expires_at: u64 = month["expires_at"].as_str().unwrap().parse().unwrap();
    let days = (expires_at - START / 1000) / 86_400;
    assert!((370..=400).contains(&days), "{days}");
}

#[tokio::test]
async fn later_logins_of_the_month_are_one_request() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let requests = async |event: Event, expected: &str| {
        assert_eq!(outcome(&handlers, &event).await, expected);
        proxy.take().len()
    };
    assert_eq!(requests(login("iOS", 1000, &[]), "applied").await, 4, "the first of the month");
    assert_eq!(requests(login("iOS", 2000, &[]), "applied").await, 1);
    assert_eq!(requests(login("iOS", 2000, &[]), "duplicate").await, 1);
    assert_eq!(requests(chat(ChatDisconnect, "iOS", 3000), "applied").await, 1);
    assert_eq!(requests(login("iOS", 4000, &["Web"]), "applied").await, 2, "one for each device");
    assert_eq!(requests(tencent_event(TrtcCreate, at(0)), "applied").await, 1);
    assert_eq!(requests(tencent_event(TrtcEnter, at(1)), "applied").await, 1);
    assert_eq!(requests(tencent_event(TrtcExit, at(2)), "applied").await, 1);
    assert_eq!(requests(tencent_event(TrtcRole, at(1)), "stale").await, 2);
}

#[tokio::test]
async fn a_death_between_the_writes_of_a_first_login_heals_at_the_next_one() {
    /// What only the last write's condition has.
    const FLAG: &str = "attribute_not_exists(online_stamp)";

    for dies_at in ["registration", "month#", FLAG] {
        let (_database, proxy, handlers) = Handlers::observed().await;
        proxy.refuse(move |request| {
            let is_put = request.operation == "PutItem";
            request.body.contains(dies_at) && (is_put || dies_at == FLAG)
        });
        let reply = deliver(&handlers, &login("iOS", 0, &[])).await;
        assert_eq!(reply.status, 503, "{dies_at}");
        proxy.refuse(|_| false);
        assert_eq!(outcome(&handlers, &login("iOS", 1000, &[])).await, "applied");
        assert_eq!(active(&handlers, "2026-09").await, 1, "{dies_at}");
        let path = "/registrations/tencent/1400000000/users/ada";
        assert_eq!(handlers.get(path, "", NOW).await.0, 200, "{dies_at}");
    }
}

#[tokio::test]
async fn switching_accounts_on_one_device_shows_both_users_rightly() {
    let (_database, handlers) = start().await;
    outcome(&handlers, &login("iOS", 0, &[])).await;
    outcome(&handlers, &chat(ChatLogout, "iOS", 1000)).await;
    outcome(&handlers, &of_user(login("iOS", 1001, &[]), "bob")).await;
    assert_eq!(ada(&handlers).await["online"], false);
    let (_, bob) = handlers.get("/presence/tencent/1400000000/users/bob", "", NOW).await;
    assert_eq!(bob["online"], true);
}

#[tokio::test]
async fn somebody_enters_and_leaves_a_trtc_room() {
    let (_database, handlers) = start().await;
    for (event, ms) in [(TrtcCreate, 0), (TrtcEnter, 5), (TrtcRole, 10)] {
        let mut event = tencent_event(event, at(ms));
        event.options.role = if ms == 10 { 20 } else { 21 };
        assert_eq!(outcome(&handlers, &event).await, "applied");
        assert_eq!(outcome(&handlers, &event).await, "duplicate");
    }
    let expected = json!({
        "provider": "tencent", "app": "1400000000", "room": "lobby", "life": null, "open": true,
        "online": 1,
        "members": [{
            "user": "ada", "name": null, "role": "anchor", "session": null,
            "entered_at": START + 5, "entered_assumed": false
        }],
        "next": null, "checked_at": null
    });
    assert_eq!(timeless(room(&handlers, "lobby").await), expected);
    let exit = tencent_event(TrtcExit, at(100));
    outcome(&handlers, &Event { options: Options { exit_reason: 2, ..exit.options }, ..exit })
        .await;
    assert_eq!(room(&handlers, "lobby").await["online"], 0);
    let known = ada(&handlers).await;
    let session = &known["sessions"][0];
    assert_eq!((&session["room"], &session["life"]), (&json!("lobby"), &Value::Null));
    assert_eq!(
        (&session["left_at"], &session["reason"]),
        (&json!(START + 100), &json!("heartbeat_timeout"))
    );

    outcome(&handlers, &tencent_event(TrtcDismiss, at(200))).await;
    assert_eq!(room(&handlers, "lobby").await["open"], false);
}

#[tokio::test]
async fn the_room_of_a_number_and_the_room_of_its_digits_are_two_rooms() {
    let (_database, handlers) = start().await;
    let enter = |user: &str, name: &str, number: Option<u32>| {
        let event = tencent_event(TrtcEnter, at(0));
        let options = Options {
            user: user.to_owned(),
            room: name.to_owned(),
            room_number: number,
            ..event.options
        };
        Event { options, ..event }
    };
    for event in [
        enter("a", "", Some(123)),
        enter("b", "123", None),
        enter("c", "s:123", None),
        enter("d", "12a", None),
    ] {
        outcome(&handlers, &event).await;
    }
    for (asked, user) in [("123", "a"), ("s:123", "b"), ("s:s:123", "c"), ("12a", "d")] {
        assert_eq!(names(&room(&handlers, asked).await), [user], "{asked}");
    }
    let nobody_came = "/presence/tencent/1400000000/rooms/s:12a";
    assert_eq!(handlers.get(nobody_came, "", at(1000)).await.0, 404);
}

#[tokio::test]
async fn a_boundary_ends_everybodys_stay_but_a_creation_not_its_creators() {
    let (_database, handlers) = start().await;
    let enter = |user: &str, ms| of_user(tencent_event(TrtcEnter, at(ms)), user);
    // Ada creates the room. Her entry was reported a moment before.
    for event in
        [enter("ghost", 0), enter("ada", 99), tencent_event(TrtcCreate, at(100)), enter("bob", 100)]
    {
        outcome(&handlers, &event).await;
    }
    assert_eq!(names(&room(&handlers, "lobby").await), ["ada", "bob"]);
    let (_, ghost) = handlers.get("/presence/tencent/1400000000/users/ghost", "", NOW).await;
    assert_eq!(
        (&ghost["online"], &ghost["sessions"][0]["reason"]),
        (&json!(false), &json!("room_replaced"))
    );
    // A dismissal comes after all other events of its millisecond, and ends its creator's stay,
    // too.
    outcome(&handlers, &enter("cy", 200)).await;
    outcome(&handlers, &tencent_event(TrtcDismiss, at(200))).await;
    let closed = room(&handlers, "lobby").await;
    assert_eq!((&closed["open"], &closed["online"]), (&json!(false), &json!(0)));
    assert_eq!(ada(&handlers).await["sessions"][0]["reason"], "room_closed");
    // A person is in again, so the room was created again.
    outcome(&handlers, &enter("bob", 300)).await;
    let again = room(&handlers, "lobby").await;
    assert_eq!((&again["open"], &again["online"]), (&json!(true), &json!(1)));
}

fn exit(reason: u8, ms: u64) -> Event {
    let event = tencent_event(TrtcExit, at(ms));
    Event { options: Options { exit_reason: reason, ..event.options }, ..event }
}

async fn attendance(handlers: &Handlers, of: &str) -> Value {
    let path = format!("/attendance/tencent/1400000000/{of}");
    handlers.get(&path, "", NOW).await.1["sessions"].clone()
}

#[tokio::test]
async fn an_inferred_beginning_is_marked_and_an_unknown_one_is_null() {
    let cases = [
        (vec![tencent_event(TrtcEnter, at(0)), exit(1, 900)], json!([START, false, 900])),
        (vec![tencent_event(TrtcRole, at(500)), exit(1, 900)], json!([START + 500, true, 400])),
        (vec![exit(1, 900)], json!([null, true, null])),
    ];
    for (events, expected) in cases {
        let (_database, handlers) = start().await;
        for event in &events {
            outcome(&handlers, event).await;
        }
        for of in ["users/ada", "rooms/lobby"] {
            let sessions = attendance(&handlers, of).await;
            assert_eq!(sessions.as_array().unwrap().len(), 1, "{sessions}");
            let session = &sessions[0];
            let got = ["entered_at", "entered_assumed", "duration_ms"].map(|name| &session[name]);
            assert_eq!(json!(got), expected, "{of}");
            assert_eq!(session["left_at"], START + 900);
            assert_eq!(session["assumed"], false);
        }
        let session = &ada(&handlers).await["sessions"][0];
        assert_eq!(
            json!([session["entered_at"], session["entered_assumed"]]),
            json!([expected[0], expected[1]])
        );
    }
}

/// 4 is the role of ZEGO's services, which are not counted.
#[tokio::test]
async fn a_role_means_what_tencent_says_and_everyone_counts() {
    for (role, name) in [
        (20, "anchor"),
        (21, "audience"),
        (0, "unspecified"),
        (4, "role_4"),
        (65_535, "role_65535"),
    ] {
        let (_database, handlers) = start().await;
        let event = tencent_event(TrtcEnter, at(0));
        let event = Event { options: Options { role, ..event.options }, ..event };
        assert_eq!(outcome(&handlers, &event).await, "applied");
        let lobby = room(&handlers, "lobby").await;
        assert_eq!(lobby["online"], 1, "{lobby}");
        assert_eq!(lobby["members"][0]["role"], name);
        assert_eq!(ada(&handlers).await["sessions"][0]["role"], name);
        for of in ["users/ada", "rooms/lobby"] {
            assert_eq!(attendance(&handlers, of).await[0]["role"], name);
        }
    }
}

#[tokio::test]
async fn a_member_whose_entry_was_lost_is_marked() {
    let (_database, handlers) = start().await;
    outcome(&handlers, &tencent_event(TrtcRole, at(500))).await;
    let member = &room(&handlers, "lobby").await["members"][0];
    assert_eq!(
        json!([member["entered_at"], member["entered_assumed"]]),
        json!([START + 500, true])
    );
}

/// A stay with an unknown beginning is sorted and found by its end.
#[tokio::test]
async fn a_stay_without_a_beginning_has_its_place_by_its_end() {
    let (_database, handlers) = start().await;
    let in_room = |mut event: Event, room: &str| {
        room.clone_into(&mut event.options.room);
        event
    };
    for (event, room) in [
        (exit(1, 900), "b"),
        (tencent_event(TrtcEnter, at(100)), "a"),
        (exit(1, 200), "a"),
        (tencent_event(TrtcEnter, at(1000)), "c"),
    ] {
        outcome(&handlers, &in_room(event, room)).await;
    }
    for limit in 1..4 {
        let (mut rooms, mut next) = (Vec::new(), String::new());
        loop {
            let path = "/attendance/tencent/1400000000/users/ada";
            let query = format!("limit={limit}{next}");
            let answer = handlers.get(path, &query, NOW).await.1;
            let page = answer["sessions"].as_array().unwrap();
            rooms.extend(page.iter().map(|session| session["room"].clone()));
            let Some(cursor) = answer["next"].as_str() else { break };
            next = format!("&next={cursor}");
        }
        assert_eq!(json!(rooms), json!(["a", "b", "c"]), "limit {limit}");
    }
    for (from, to, is_found) in
        [(0, 899, false), (0, 900, true), (900, 950, true), (901, 950, false)]
    {
        let query = format!("from={}&to={}", START + from, START + to);
        let path = "/attendance/tencent/1400000000/rooms/b";
        let answer = handlers.get(path, &query, NOW).await.1;
        assert_eq!(answer["sessions"].as_array().unwrap().len(), usize::from(is_found), "{query}");
    }
}

#[tokio::test]
async fn a_kick_soon_after_a_second_entry_ends_the_connection_that_it_replaced() {
    let enter = |ms| tencent_event(TrtcEnter, at(ms));
    let cases = [
        (vec![enter(0), enter(5000), exit(3, 5200)], true),
        (vec![enter(0), enter(5000), exit(3, 10_000)], true),
        (vec![enter(0), enter(5000), exit(3, 10_001)], false),
        (vec![enter(0), enter(5000), exit(1, 5200)], false),
        (vec![enter(0), enter(5000), exit(3, 5200), exit(3, 5300)], false),
        (vec![enter(5000), exit(3, 5200)], false),
        (vec![enter(0), exit(1, 4000), enter(5000), exit(3, 5200)], false),
    ];
    for (events, is_in) in cases {
        for is_reversed in [false, true] {
            let (_database, handlers) = start().await;
            let mut events: Vec<&Event> = events.iter().collect();
            if is_reversed {
                events.reverse();
            }
            for event in &events {
                outcome(&handlers, event).await;
            }
            let known = room(&handlers, "lobby").await;
            assert_eq!(names(&known).len(), usize::from(is_in), "{events:?}");
            assert_eq!(known["online"], usize::from(is_in), "{events:?}");
            assert_eq!(ada(&handlers).await["online"], is_in, "{events:?}");
        }
    }
    let (_database, handlers) = start().await;
    for event in [enter(0), enter(5000), exit(3, 5200)] {
        outcome(&handlers, &event).await;
    }
    for of in ["users/ada", "rooms/lobby"] {
        let sessions = attendance(&handlers, of).await;
        let stays = sessions.as_array().unwrap().iter().map(|session| {
            json!([
                session["entered_at"],
                session["left_at"],
                session["reason"],
                session["assumed"]
            ])
        });
        let expected =
            json!([[START, START + 5000, "kicked", false], [START + 5000, null, null, false]]);
        assert_eq!(json!(stays.collect::<Vec<_>>()), expected);
    }
}

/// Whether a person is in such a room depends on marks that may have been moved from the seat.
#[tokio::test]
async fn a_kick_of_a_replaced_connection_is_understood_on_a_seat_with_many_marks() {
    for kicks in 1..5_u64 {
        let (_database, handlers) = start().await;
        // A person enters again and again, and only then the old connections are reported as
        // kicked.
        for entry in 0..60 {
            outcome(&handlers, &tencent_event(TrtcEnter, at(entry * 10))).await;
        }
        outcome(&handlers, &exit(1, 1000)).await;
        for entry in 0..4 {
            outcome(&handlers, &tencent_event(TrtcEnter, at(20_000 + entry))).await;
        }
        for kick in 0..kicks {
            outcome(&handlers, &exit(3, 20_100 + kick)).await;
        }
        for change in 0..40 {
            let mut role = tencent_event(TrtcRole, at(20_050 + change));
            role.options.role = if change % 2 == 0 { 20 } else { 21 };
            outcome(&handlers, &role).await;
        }
        let is_in = kicks < 4;
        assert_eq!(room(&handlers, "lobby").await["online"], usize::from(is_in), "{kicks}");
        assert_eq!(names(&room(&handlers, "lobby").await).len(), usize::from(is_in), "{kicks}");
        assert_eq!(ada(&handlers).await["online"], is_in, "{kicks}");
    }
}

#[tokio::test]
async fn a_role_that_changed_after_the_room_was_created_again_says_who_is_in() {
    let (_database, handlers) = start().await;
    let bob = |name, ms| of_user(tencent_event(name, at(ms)), "bob");
    outcome(&handlers, &bob(TrtcEnter, 0)).await;
    outcome(&handlers, &tencent_event(TrtcCreate, at(100))).await;
    assert_eq!(names(&room(&handlers, "lobby").await), [""; 0]);
    // His entry into the new room was lost.
    outcome(&handlers, &bob(TrtcRole, 200)).await;
    assert_eq!(names(&room(&handlers, "lobby").await), ["bob"]);
}

#[tokio::test]
async fn documented_room_events_are_applied_and_others_acknowledged() {
    let app = TestApp::start().await;
    let now = runtime::now().0;
    // The page's examples, at a fresh time; `EventTs` and even `EventMsTs` may be text.
    let events = [
        (
            json!({ "RoomId": 12345, "EventTs": now / 1000, "EventMsTs": now - 9, "UserId": "test" }),
            1,
            101,
            "applied",
        ),
        (
            json!({ "RoomId": 12345, "EventTs": (now / 1000).to_string(), "EventMsTs": (now - 8).to_string(), "UserId": "test", "Role": 21, "TerminalType": 2, "UserType": 3, "Reason": 1 }),
            1,
            103,
            "applied",
        ),
        (
            json!({ "RoomId": 12345, "EventTs": now / 1000, "EventMsTs": now - 7, "UserId": "test", "Role": 21 }),
            1,
            105,
            "applied",
        ),
        (
            json!({ "RoomId": 12345, "EventTs": now / 1000, "EventMsTs": now - 6, "UserId": "test", "Role": 20, "Reason": 1 }),
            1,
            104,
            "applied",
        ),
        (
            json!({ "RoomId": "12345", "EventTs": now / 1000, "EventMsTs": now - 5 }),
            1,
            102,
            "applied",
        ),
        (
            json!({ "RoomId": 12345, "EventTs": now / 1000, "EventMsTs": now, "UserId": "test" }),
            2,
            201,
            "ignored",
        ),
        (json!({ "RoomId": 12345, "EventMsTs": now }), 1, 199, "ignored"),
        (json!({ "anything": [] }), 3, 301, "ignored"),
    ];
    let send = async |info: &Value, group: u32, event: u32| {
        let body = json!({ "EventGroupId": group, "EventType": event, "CallbackTs": now, "EventInfo": info });
        let body = serde_json::to_string_pretty(&body).unwrap().replace("  ", "\t");
        post_trtc(&app, "1400000000", &sign_trtc(&secret(TRTC_KEY), body.as_bytes()), &body).await
    };
    for (info, group, event, outcome) in events {
        let answer = send(&info, group, event).await;
        assert_eq!(answer.outcome.as_deref(), Some(outcome), "{event}: {}", answer.body);
    }
    let good = json!({ "RoomId": 1, "EventMsTs": now, "UserId": "ada" });
    for (field, value, says) in [
        ("RoomId", Value::Null, "`RoomId` is missing"),
        ("RoomId", json!(1.5), "`RoomId` is not a whole number"),
        ("RoomId", json!(4_294_967_296_u64), "`RoomId` is not a whole number"),
        ("RoomId", json!([]), "`RoomId`"),
        ("EventMsTs", Value::Null, "`EventMsTs` is missing"),
        ("EventMsTs", json!(now + 660_000), "in the future"),
        ("UserId", json!(""), "`UserId` is missing"),
    ] {
        let mut info = good.clone();
        info[field] = value;
        let answer = send(&info, 1, 103).await;
        assert_eq!(answer.status, 400, "{info}");
        assert!(answer.body.contains(says), "{info}: {}", answer.body);
    }
}

#[tokio::test]
async fn at_one_millisecond_a_role_comes_before_an_exit_and_an_exit_before_an_entry() {
    let cases = [
        (vec![TrtcEnter, TrtcExit], true),
        (vec![TrtcExit, TrtcEnter], true),
        (vec![TrtcRole, TrtcExit], false),
        (vec![TrtcExit, TrtcRole], false),
        (vec![TrtcExit, TrtcRole, TrtcEnter], true),
    ];
    for (names, is_in) in cases {
        let (_database, handlers) = start().await;
        outcome(&handlers, &tencent_event(TrtcEnter, at(0))).await;
        for name in &names {
            outcome(&handlers, &tencent_event(*name, at(5))).await;
        }
        assert_eq!(room(&handlers, "lobby").await["online"], u64::from(is_in), "{names:?}");
        assert_eq!(ada(&handlers).await["online"], is_in, "{names:?}");
    }
}

/// A Chat callback, of two people with three kinds of device.
fn chat_event() -> impl Strategy<Value = Event> {
    let name = prop_oneof![3 => Just(ChatLogin), 1 => Just(ChatLogout), 2 => Just(ChatDisconnect)];
    let platform = || prop_oneof![Just("iOS"), Just("Android"), Just("Web")];
    let kicked = prop::collection::vec(platform(), 0..3);
    // Often at the same millisecond, and on both sides of the five seconds.
    let ms = prop_oneof![0..4_u64, 4998..5003_u64, 9000..9003_u64];
    (name, platform(), kicked, ms, any::<bool>()).prop_map(
        |(name, platform, kicked, ms, is_bob)| {
            let event = if name == ChatLogin {
                login(platform, ms, &kicked)
            } else {
                chat(name, platform, ms)
            };
            if is_bob { of_user(event, "bob") } else { event }
        },
    )
}

/// Which platforms of a user are online: their events one after another, as they happened.
fn model(events: &[Event], user: &str) -> BTreeSet<String> {
    // (time, rank, platform, what): leaving, then coming, then being kicked by another platform.
    let mut history = Vec::new();
    for event in events.iter().filter(|event| event.options.user == user) {
        let (time, platform) = (event.options.time.unwrap(), event.options.platform.clone());
        match event.name {
            ChatLogin => {
                for kicked in &event.options.kick {
                    let is_own = *kicked == platform;
                    let (rank, what) = if is_own { (0, "kicked by itself") } else { (2, "kicked") };
                    history.push((time, rank, kicked.clone(), what));
                }
                history.push((time, 1, platform, "in"));
            }
            ChatLogout => history.push((time, 0, platform, "logout")),
            _ => history.push((time, 0, platform, "out")),
        }
    }
    // A kick by the same platform comes before a logout of the same millisecond.
    history.sort_by_key(|(time, rank, _, what)| (*time, *rank, *what == "logout"));
    let (mut online, mut kicks) = (BTreeSet::new(), BTreeMap::new());
    for (time, _, platform, what) in history {
        match what {
            "in" => {
                online.insert(platform);
            }
            "logout" => {
                let is_old_clients = kicks.get(&platform).is_some_and(|kick| time <= kick + 5000);
                if !is_old_clients {
                    online.remove(&platform);
                }
            }
            "kicked by itself" => {
                kicks.insert(platform.clone(), time);
                online.remove(&platform);
            }
            _ => {
                online.remove(&platform);
            }
        }
    }
    online
}

fn any_order(events: usize, picks: &[Index]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..events).collect();
    for (place, pick) in picks.iter().enumerate().take(events) {
        order.swap(place, pick.index(events));
    }
    // And some of them again.
    order.extend(picks.iter().take(5).map(|pick| pick.index(events)));
    order
}

proptest! {
    #![proptest_config(Config { cases: 40, failure_persistence: None, ..Config::default() })]

    /// Promises 2 and 3 for Chat: the end state is the model's, in any order, with duplicates and
    /// concurrent handlers.
    #[test]
    fn promise_3_convergent_chat_states_equal_the_models(
        events in prop::collection::vec(chat_event(), 1..14),
        picks in prop::collection::vec(any::<Index>(), 20),
        at_once in 1..4_usize,
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut stored = Vec::new();
            for order in [(0..events.len()).collect(), any_order(events.len(), &picks)] {
                let (database, handlers) = start().await;
                for together in order.chunks(at_once) {
                    for reply in join_all(together.iter().map(|index| deliver(&handlers, &events[*index]))).await {
                        prop_assert_eq!(reply.status.as_u16(), 200, "{}", reply.body);
                    }
                }
                for user in ["ada", "bob"] {
                    let path = format!("/presence/tencent/1400000000/users/{user}");
                    let (_, known) = handlers.get(&path, "", NOW).await;
                    let none = Vec::new();
                    let sessions = known["sessions"].as_array().unwrap_or(&none);
                    let online: BTreeSet<String> = sessions
                        .iter()
                        .filter(|session| session["left_at"].is_null())
                        .map(|session| session["device"].as_str().unwrap().to_owned())
                        .collect();
                    prop_assert_eq!(online, model(&events, user), "{}: {:#?}", user, events);
                }
                let logged_in: BTreeSet<_> = events
                    .iter()
                    .filter(|event| event.name == ChatLogin)
                    .map(|event| event.options.user.clone())
                    .collect();
                prop_assert_eq!(active(&handlers, "2026-09").await, logged_in.len() as u64);
                stored.push(dump(&database.client).await);
            }
            prop_assert_eq!(&stored[0], &stored[1]);
            Ok(())
        })?;
    }
}
