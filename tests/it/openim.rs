//! OpenIM: registrations and devices, in the dialect of its pages and in the one its servers use.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::{join, join_all};
use proptest::{prelude::*, sample::Index, test_runner::Config};
use rollcall::{
    aws,
    domain::{App, Change, Detail, ProviderName, Registration, RegistrationSource, UnixMillis},
    providers::openim::AppCredentials,
    store::Reader,
};
use rollcall_players::{
    Answer,
    openim::{Event, EventName, Options, Platform, Server},
};
use serde_json::{Value, json};

use crate::support::{
    BLANK, Database, Handlers, Moment, OPENIM_PASSWORD, OPENIM_SECRET, OTHER_SECRET, TABLE_NAME,
    TestApp, apps, dump, openim_event, store_at, timeless,
};

const REGISTER: &str = "/openim/callbackAfterUserRegisterCommand";
const ONLINE: &str = "/openim/callbackAfterUserOnlineCommand";
const DOCUMENTED: &str = "/openim?command=userRegisterAfterCommand&contenttype=json";
const REAL_SUCCESS: &str = r#"{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0}"#;
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn basic(password: &str) -> (&'static str, String) {
    ("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("openim:{password}"))))
}

async fn post(
    app: &TestApp,
    path: &str,
    headers: &[(&str, String)],
    body: impl Into<reqwest::Body>,
) -> Answer {
    app.post_with(path, headers, body).await
}

async fn registration(app: &TestApp, user: &str) -> Value {
    let asked = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC);
    app.get(&format!("/registrations/openim/main/users?user={asked}")).await.1
}

/// All registrations, page by page.
async fn all_registrations(app: &TestApp, limit: usize, span: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/registrations/openim/main?limit={limit}{span}{next}");
        let (status, page) = app.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let registrations = page["registrations"].as_array().unwrap();
        assert!(registrations.len() <= limit);
        let is_new = registrations.first().is_none_or(|first| !all.contains(first));
        assert!(is_new, "a page comes again");
        all.extend(registrations.iter().cloned());
        match page["next"].as_str() {
            Some(cursor) => next = format!("&next={cursor}"),
            None => return all,
        }
    }
}

/// The example request of the page "Callback After User Registration Request", except for the
/// secret.
fn page_example(command: &str) -> String {
    format!(
        r#"{{
    "secret": "{OPENIM_SECRET}",
    "callbackCommand": "{command}",
    "users": {{
        "userID": "user123",
        "nickname": "John Doe",
        "faceURL": "http://example.com/path/to/face/image.png",
        "ex": "Extra data",
        "createTime": 1673048592000,
        "appMangerLevel": 1,
        "globalRecvMsgOpt": 1
    }}
}}"#
    )
}

#[tokio::test]
async fn the_pages_example_is_applied_and_answered_with_the_pages_answer() {
    let success = r#"{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":"0"}"#;
    for command in ["userRegisterAfterCommand", "callbackAfterUserRegisterCommand"] {
        let app = TestApp::start().await;
        for outcome in ["applied", "duplicate"] {
            let answer = post(&app, DOCUMENTED, &[], page_example(command)).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body, success);
            assert_eq!(answer.outcome.as_deref(), Some(outcome));
        }
        let mut user = registration(&app, "user123").await;
        assert!(user.as_object_mut().unwrap().remove("recorded_at").unwrap().is_u64());
        let expected = json!({
            "provider": "openim", "app": "main", "user": "user123", "name": "John Doe",
            "avatar_url": "http://example.com/path/to/face/image.png", "extra": "Extra data",
            "extra_truncated": false, "manager_level": 1, "receive_option": 1,
            "registered_at": 1_673_048_592_000_u64, "registered_at_from": "create_time",
            "source": "callback", "profile_changed_at": null, "profile_read_at": null
        });
        assert_eq!(user, expected);
    }
}

#[tokio::test]
async fn the_real_form_is_answered_as_no_server_can_misread_it() {
    let app = TestApp::start().await;
    // Exact bytes of a server since 3.8.1, and of one from 3.5 to 3.8.0.
    let users = r#"[{"userID":"u1001","nickname":"Alice","faceURL":"https://cdn.example.com/a.png","ex":"","createTime":0,"appMangerLevel":0,"globalRecvMsgOpt":0},{"userID":"u1002","nickname":"Bob","faceURL":"","ex":"{\"lang\":\"en\"}","createTime":1767225600123,"appMangerLevel":1,"globalRecvMsgOpt":0}]"#;
    let new =
        format!("{{\"callbackCommand\":\"callbackAfterUserRegisterCommand\",\"users\":{users}}}\n");
    let old = format!(
        "{{\"callbackCommand\":\"callbackAfterUserRegisterCommand\",\"secret\":\"{OPENIM_SECRET}\",\"users\":{users}}}"
    );
    let first = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], new).await;
    assert_eq!((first.status.as_u16(), first.body.as_str()), (200, REAL_SUCCESS));
    assert_eq!(first.outcome.as_deref(), Some("applied"));
    let second = post(&app, REGISTER, &[], old).await;
    assert_eq!(second.outcome.as_deref(), Some("duplicate"));

    let alice = registration(&app, "u1001").await;
    assert_eq!(alice["registered_at"], alice["recorded_at"], "createTime is 0");
    assert_eq!(alice["registered_at_from"], "receipt");
    let bob = registration(&app, "u1002").await;
    assert_eq!(bob["registered_at"], 1_767_225_600_123_u64);
    assert_eq!(bob["extra"], r#"{"lang":"en"}"#);
}

/// Another provider may have details of its own.
#[tokio::test]
async fn a_registration_is_read_with_every_detail_that_was_stored() {
    let database = Database::start().await;
    let store = store_at(&aws::at(&database.url), std::time::Duration::from_secs(5));
    let app = App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() };
    let text = |text: &str| Detail::Text(text.to_owned());
    for (user, details) in [
        ("ada", vec![("extra", text("x")), ("extra_truncated", Detail::Flag(true))]),
        ("bob", vec![("city", text("Oslo")), ("pk", text("")), ("details", Detail::Number(-1))]),
        ("cyd", vec![("manager_level", Detail::Number(7)), ("is_new", Detail::Flag(true))]),
        ("dee", vec![]),
    ] {
        let details = details.into_iter().map(|(name, detail)| (name.into(), detail));
        let mut registration = Registration {
            app: app.clone(),
            user: user.parse().unwrap(),
            source: RegistrationSource::Callback,
            create_time: None,
            recorded_at: NOW,
            name: None,
            details: details.collect(),
        };
        store.apply(&Change::Registration(registration.clone()), NOW).await.unwrap();
        let reader = Reader::new(database.client.clone(), TABLE_NAME);
        let read = reader.registration(&app, &registration.user).await.unwrap();
        let not_truncated = || Detail::Flag(false);
        registration.details.entry("extra_truncated".into()).or_insert_with(not_truncated);
        assert_eq!(read.map(|read| read.registration), Some(registration));
    }
}

/// Promise 1, and the answers of all rejections.
#[tokio::test]
async fn promise_1_authentic_a_request_without_credentials_changes_nothing() {
    let app = TestApp::start().await;
    let users = json!([{ "userID": "ada", "nickname": "Ada" }]);
    let with_secret = |secret: Value| {
        json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "secret": secret, "users": users })
            .to_string()
    };
    let without = json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "users": users });
    let header = |value: &str| vec![("authorization", value.to_owned())];
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let requests: Vec<(Vec<(&str, String)>, String)> = vec![
        (vec![], without.to_string()),
        (vec![], with_secret(json!(""))),
        (vec![], with_secret(Value::Null)),
        (vec![], with_secret(json!("wrong"))),
        (vec![], with_secret(json!(&OPENIM_SECRET[..31]))),
        (vec![], with_secret(json!(format!("{OPENIM_SECRET}0")))),
        (vec![], with_secret(json!(OPENIM_PASSWORD))),
        (vec![], with_secret(json!(OTHER_SECRET))),
        (vec![], with_secret(json!([OPENIM_SECRET]))),
        (vec![], with_secret(json!({ "secret": OPENIM_SECRET }))),
        (vec![basic("wrong")], without.to_string()),
        (vec![basic("")], without.to_string()),
        (vec![basic(OPENIM_SECRET)], without.to_string()),
        (header("Basic"), without.to_string()),
        (header("Basic !"), without.to_string()),
        (header(&format!("Basic {}", encoded("openim"))), without.to_string()),
        (header(&format!("Basic {}", encoded("x:"))), without.to_string()),
        (
            header(&format!("Basic {}", encoded(&format!("admin:{OPENIM_PASSWORD}")))),
            without.to_string(),
        ),
        (
            header(&format!("Bearer {}", encoded(&format!("openim:{OPENIM_PASSWORD}")))),
            without.to_string(),
        ),
        // The secret of one app with the password of another.
        (vec![basic(OTHER_SECRET)], with_secret(json!(OPENIM_SECRET))),
        (vec![], with_secret(json!(OPENIM_SECRET)).replacen('{', "{\"secret\":\"x\",", 1)),
        (vec![basic(OPENIM_PASSWORD)], "text".to_owned()),
        (vec![basic(OPENIM_PASSWORD)], "[]".to_owned()),
        (vec![basic(OPENIM_PASSWORD)], String::new()),
    ];
    let of_blank_secrets = BLANK.into_iter().flat_map(|blank| {
        let user_pass = header(&format!("Basic {}", encoded(&format!("x:{blank}"))));
        [(vec![], with_secret(json!(blank))), (user_pass, without.to_string())]
    });
    for (headers, body) in requests.into_iter().chain(of_blank_secrets) {
        for path in [REGISTER, "/openim"] {
            let answer = post(&app, path, &headers, body.clone()).await;
            assert_eq!(answer.status, 401, "{body}: {}", answer.body);
            assert_rejected(&answer, 20002, false);
        }
        let answer = post(&app, DOCUMENTED, &headers, body.clone()).await;
        assert_eq!(answer.status, 401, "{body}");
        assert_rejected(&answer, 20002, true);
    }
    assert!(app.records().await.is_empty());
}

/// Five fields, which stop nothing in the real dialect and refuse in the documented one.
fn assert_rejected(answer: &Answer, code: i32, is_documented: bool) {
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let (action, next) = if is_documented { (json!(1), json!("1")) } else { (json!(0), json!(0)) };
    assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
    assert_eq!((&body["actionCode"], &body["nextCode"]), (&action, &next), "{body}");
    assert_eq!((&body["errCode"], &body["errDlt"]), (&json!(code), &json!("")), "{body}");
    assert!(!body["errMsg"].as_str().unwrap().is_empty());
    assert_eq!(answer.outcome.as_deref(), Some("rejected"));
    for secret in [OPENIM_SECRET, OPENIM_PASSWORD, OTHER_SECRET] {
        assert!(!answer.body.contains(secret));
    }
}

#[tokio::test]
async fn promise_7_isolated_the_credentials_identify_the_app() {
    let app = TestApp::start().await;
    let body = json!({
        "callbackCommand": "callbackAfterUserRegisterCommand",
        "users": [{ "userID": "ada", "nickname": "Ada" }]
    });
    let answer = post(&app, REGISTER, &[basic(OTHER_SECRET)], body.to_string()).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"));
    assert_eq!(app.get("/registrations/openim/other/users/ada").await.0, 200);
    assert_eq!(app.get("/registrations/openim/main/users/ada").await.0, 404);
    let (_, list) = app.get("/registrations/openim/main").await;
    assert_eq!(list, json!({ "registrations": [], "next": null }));
    assert_eq!(app.get("/presence/openim/main/users/ada").await.0, 404);
}

#[tokio::test]
async fn every_way_to_the_same_command_is_understood() {
    let app = TestApp::start().await;
    let paths = [
        REGISTER,
        "/openim",
        "/openim/",
        "/openim//callbackAfterUserRegisterCommand",
        "/openim/callbackAfterUserRegisterCommand/",
        "/openim?command=callbackAfterUserRegisterCommand",
        // The body decides, wherever it arrives.
        ONLINE,
        "/openim/callbackUserOfflineCommand",
        "/openim/whatever",
    ];
    for (index, path) in paths.into_iter().enumerate() {
        let user = format!("user{index}");
        let body = json!({
            "callbackCommand": "callbackAfterUserRegisterCommand",
            "users": [{ "userID": user }]
        });
        let answer = post(&app, path, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
        assert_eq!(answer.body, REAL_SUCCESS, "{path}");
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{path}");
        assert_eq!(registration(&app, &user).await["user"], user);
    }
    // The route decides about a body without a command.
    let body = r#"{"users":[{"userID":"quiet"}]}"#;
    let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"));
    let answer = post(&app, "/openim", &[basic(OPENIM_PASSWORD)], body).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("callbackCommand"));
}

#[tokio::test]
async fn other_commands_are_acknowledged_and_stored_nowhere() {
    let app = TestApp::start().await;
    let commands = [
        "callbackBeforeUserRegisterCommand",
        "userRegisterBeforeCommand",
        "callbackAfterUserKickOffCommand",
        "callbackBeforeUpdateUserInfoExCommand",
        "callbackBeforeUpdateUserInfoCommand",
        "callbackBeforeSendSingleMsgCommand",
        "callbackAfterSendGroupMsgCommand",
        "callbackBeforeAfterMsgCommand",
        "something of 2030",
    ];
    for command in commands {
        let body =
            json!({ "callbackCommand": command, "userID": "ada", "users": [{ "userID": "ada" }] });
        for path in ["/openim", REGISTER, "/openim/callbackAfterSendGroupMsgCommand?key=e30="] {
            let answer = post(&app, path, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, REAL_SUCCESS));
            assert_eq!(answer.outcome.as_deref(), Some("ignored"), "{command}");
        }
    }
    assert!(app.records().await.is_empty());
}

#[tokio::test]
async fn odd_registrations_get_a_clear_answer_and_nothing_is_half_done_in_silence() {
    let app = TestApp::start().await;
    let send = async |users: Value| {
        let mut body = json!({ "callbackCommand": "callbackAfterUserRegisterCommand" });
        if users != json!("none") {
            body["users"] = users;
        }
        post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await
    };
    let bad = [
        (json!("none"), "`users` is missing"),
        (Value::Null, "`users` is missing"),
        (json!("ada"), "`users` is missing"),
        (json!(17), "`users` is missing"),
        (json!(true), "neither a user nor an array"),
        (json!(["ada"]), "neither a user nor an array"),
        (json!([[]]), "neither a user nor an array"),
        (json!([null]), "neither a user nor an array"),
        (json!({}), "`userID` is missing"),
        (json!([{}]), "`userID` is missing"),
        (json!([{ "userID": "" }]), "`userID` is missing"),
        (json!([{ "userID": null }]), "`userID` is missing"),
        (json!([{ "userID": ["ada"] }]), "`userID` is neither a string nor a number"),
        (json!([{ "userID": "x".repeat(256) }]), "`userID` is longer than 255 bytes"),
        (json!([{ "userID": "ada", "nickname": {} }]), "`nickname`"),
    ];
    for (users, says) in bad {
        let answer = send(users.clone()).await;
        assert_eq!(answer.status, 400, "{users}: {}", answer.body);
        assert_rejected(&answer, 20001, false);
        assert!(answer.body.contains(says), "{users}: {}", answer.body);
    }
    assert!(app.records().await.is_empty());

    assert_eq!(send(json!([])).await.outcome.as_deref(), Some("ignored"));
    assert_eq!(send(json!({ "userID": "object" })).await.outcome.as_deref(), Some("applied"));
    for id in ["#", "a/b", "😀", "\u{1}\n", "a%23", "..", "17"] {
        assert_eq!(send(json!([{ "userID": id }])).await.outcome.as_deref(), Some("applied"));
        assert_eq!(registration(&app, id).await["user"], id);
    }
    assert_eq!(send(json!([{ "userID": 17 }])).await.outcome.as_deref(), Some("duplicate"));

    // Nothing is sent again, so one bad user must not affect the others.
    let answer =
        send(json!([{ "userID": "good1" }, { "userID": "" }, { "userID": "good2" }])).await;
    assert_eq!(answer.status, 400);
    assert_rejected(&answer, 20001, false);
    assert!(answer.body.contains("1 of 3 users were not recorded, the others were"));
    assert_eq!(registration(&app, "good1").await["user"], "good1");
    assert_eq!(registration(&app, "good2").await["user"], "good2");

    let plausible =
        [(0, false), (1_673_048_592, false), (1_673_048_592_000, true), (u64::MAX, false)];
    for (time, is_kept) in plausible {
        let user = format!("time{time}");
        send(json!([{ "userID": user, "createTime": time }])).await;
        let from = if is_kept { "create_time" } else { "receipt" };
        assert_eq!(registration(&app, &user).await["registered_at_from"], from, "{time}");
    }
}

#[tokio::test]
async fn extra_data_is_kept_up_to_32_kib_and_flagged_beyond() {
    let app = TestApp::start().await;
    for (length, kept) in [(32 << 10, 32 << 10), ((32 << 10) + 1, 32 << 10), (300_000, 32 << 10)] {
        let user = format!("user{length}");
        let body = json!({
            "callbackCommand": "callbackAfterUserRegisterCommand",
            "users": [{ "userID": user, "ex": "x".repeat(length) }]
        });
        let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
        let found = registration(&app, &user).await;
        assert_eq!(found["extra"].as_str().unwrap().len(), kept);
        assert_eq!(found["extra_truncated"], length > kept);
    }
    // A character is not cut in two.
    let body = json!({
        "callbackCommand": "callbackAfterUserRegisterCommand",
        "users": [{ "userID": "euro", "ex": "€".repeat(20_000) }]
    });
    post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
    assert_eq!(registration(&app, "euro").await["extra"].as_str().unwrap().len(), 32_766);

    let long = json!({ "callbackCommand": "x", "padding": "x".repeat(4 << 20) }).to_string();
    let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], long).await;
    assert_eq!(answer.status, 413);
    assert_rejected(&answer, 20003, false);
}

#[tokio::test]
async fn a_thousand_registrations_of_two_workers_are_neither_lost_nor_doubled() {
    let app = TestApp::start().await;
    let worker = async |first: usize| {
        for number in (first..1000).step_by(2) {
            let body = json!({
                "callbackCommand": "callbackAfterUserRegisterCommand",
                "users": [{ "userID": format!("user{number:04}"), "nickname": "N" }]
            });
            let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
            assert_eq!(answer.outcome.as_deref(), Some("applied"));
        }
    };
    join(worker(0), worker(1)).await;
    let listed = all_registrations(&app, 170, "").await;
    let users: BTreeSet<&str> = listed.iter().map(|user| user["user"].as_str().unwrap()).collect();
    assert_eq!((listed.len(), users.len()), (1000, 1000));
    let times: Vec<u64> =
        listed.iter().map(|user| user["registered_at"].as_u64().unwrap()).collect();
    assert!(times.is_sorted());
}

#[tokio::test]
async fn a_batch_may_be_larger_than_the_documented_thousand() {
    let app = TestApp::start().await;
    let users: Vec<Value> =
        (0..1001).map(|number| json!({ "userID": number.to_string() })).collect();
    let body = json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "users": users });
    let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
    assert_eq!(all_registrations(&app, 1000, "").await.len(), 1001);
    let again = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
    assert_eq!(again.outcome.as_deref(), Some("duplicate"));
}

#[tokio::test]
async fn a_span_of_time_is_listed_with_both_its_ends() {
    let app = TestApp::start().await;
    let start = 1_700_000_000_000_u64;
    let users: Vec<Value> = (0..10_u64)
        .map(|number| json!({ "userID": format!("u{number}"), "createTime": start + number * 10 }))
        .collect();
    let body = json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "users": users });
    post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
    let listed = async |from: u64, to: u64| {
        let span = format!("&from={from}&to={to}");
        let users = all_registrations(&app, 2, &span).await;
        users.iter().map(|user| user["user"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(start + 20, start + 50).await, ["u2", "u3", "u4", "u5"]);
    assert_eq!(listed(start + 21, start + 49).await, ["u3", "u4"]);
    assert_eq!(listed(start + 50, start + 20).await, [""; 0]);
    for bad in ["from=x", "to=-1", "from=99999999999999999", "limit=0", "next=!"] {
        let (status, body) = app.get(&format!("/registrations/openim/main?{bad}")).await;
        assert_eq!(
            (status.as_u16(), &body["error"]["code"]),
            (400, &json!("bad_parameter")),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_batch_that_failed_half_way_is_completed_by_its_repetition() {
    let (database, proxy, handlers) = Handlers::observed().await;
    let credentials = main_credentials();
    let users = (0..20).map(|number| format!("user{number:02}")).collect();
    let event = register(users, NOW);
    proxy.refuse(|request| request.body.contains("user07"));
    let reply = handlers.deliver(&event.callback(&credentials), NOW).await;
    assert_eq!((reply.status.as_u16(), reply.outcome), (503, Some("rejected")));
    assert!(reply.body.contains(r#""actionCode":0,"errCode":20004"#), "{}", reply.body);
    assert_eq!(dump(&database.client).await.len(), 19, "one failure costs one registration");

    proxy.refuse(|_| false);
    let later = UnixMillis(NOW.0 + 1000);
    let reply = handlers.deliver(&event.callback(&credentials), later).await;
    assert_eq!(reply.outcome, Some("applied"));
    assert_eq!(dump(&database.client).await.len(), 20);
    let reply = handlers.deliver(&event.callback(&credentials), later).await;
    assert_eq!(reply.outcome, Some("duplicate"));
    let writes = proxy.take();
    assert!(writes.iter().all(|request| request.operation == "PutItem"));
}

#[tokio::test]
async fn the_earliest_receipt_stays_in_any_order() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let receipts = [(3000, "third"), (1000, "first"), (2000, "second"), (1000, "first")];
    for (user, order) in [("a", [0, 1, 2, 3]), ("b", [1, 2, 0, 3]), ("c", [2, 0, 3, 1])] {
        for index in order {
            let (after, name) = receipts[index];
            let at = UnixMillis(NOW.0 + after);
            let mut event = register(vec![user.to_owned()], at);
            event.options.name = Some(name.to_owned());
            handlers.deliver(&event.callback(&main_credentials()), at).await;
        }
        let path = format!("/registrations/openim/main/users/{user}");
        let (_, found) = handlers.get(&path, "", NOW).await;
        assert_eq!(
            (&found["name"], &found["recorded_at"]),
            (&json!("first"), &json!(NOW.0 + 1000))
        );
    }
}

fn main_credentials() -> AppCredentials {
    apps().openim[&"main".parse().unwrap()].clone()
}

fn register(users: Vec<String>, now: UnixMillis) -> Event {
    let event = openim_event(EventName::UserRegister, now);
    Event { options: Options { users, ..event.options }, ..event }
}

fn device(name: EventName, platform: Platform, conn_id: &str, seq: u64) -> Event {
    let event = openim_event(name, NOW);
    let conn_id = conn_id.to_owned();
    Event { options: Options { platform, conn_id, seq: Some(seq), ..event.options }, ..event }
}

async fn ada(handlers: &Handlers, now: UnixMillis) -> Value {
    handlers.get("/presence/openim/main/users/ada", "", now).await.1
}

#[tokio::test]
async fn a_person_is_online_while_one_of_their_devices_is() {
    use EventName::{UserOffline, UserOnline};

    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let send = async |event: Event| {
        let reply = handlers.deliver(&event.callback(&main_credentials()), NOW).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, REAL_SUCCESS));
        reply.outcome.unwrap()
    };
    let at = NOW.0 - 60_000;
    assert_eq!(send(device(UserOnline, Platform::Ios, "", at)).await, "applied");
    assert_eq!(send(device(UserOnline, Platform::Ios, "", at)).await, "duplicate");
    assert_eq!(send(device(UserOnline, Platform::Web, "", at + 1)).await, "applied");
    assert_eq!(send(device(UserOffline, Platform::Ios, "", at + 2)).await, "applied");
    assert_eq!(send(device(UserOffline, Platform::Ios, "", at - 9)).await, "stale");
    let expected = json!({
        "provider": "openim", "app": "main", "user": "ada", "online": true, "last_seen_at": at + 2,
        "checked_at": null,
        "sessions": [
            { "room": null, "life": null, "session": null, "device": "Web", "name": null,
              "role": null, "entered_at": at + 1, "entered_assumed": true, "left_at": null,
              "reason": null, "assumed": false },
            { "room": null, "life": null, "session": null, "device": "IOS", "name": null,
              "role": null, "entered_at": at, "entered_assumed": true, "left_at": at + 2,
              "reason": "unspecified", "assumed": false },
        ],
        "next": null
    });
    assert_eq!(timeless(ada(&handlers, NOW).await), expected);
    send(device(UserOffline, Platform::Web, "", at + 3)).await;
    assert_eq!(ada(&handlers, NOW).await["online"], false);
}

#[tokio::test]
async fn a_beginning_is_assumed_where_online_is_a_lease_and_unknown_where_it_was_lost() {
    use EventName::{UserOffline, UserOnline};

    let at = NOW.0 - 60_000;
    let mut of_v2 = device(UserOnline, Platform::Ios, "", at);
    of_v2.options.server = Server::V2;
    let cases = [
        (of_v2, json!([at, false])),
        (device(UserOnline, Platform::Ios, "c1", at), json!([at, false])),
        (device(UserOnline, Platform::Ios, "", at), json!([at, true])),
        (device(UserOffline, Platform::Ios, "c1", at), json!([null, true])),
    ];
    for (event, expected) in cases {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        handlers.deliver(&event.callback(&main_credentials()), NOW).await;
        let known = ada(&handlers, NOW).await;
        let session = &known["sessions"][0];
        assert_eq!(json!([session["entered_at"], session["entered_assumed"]]), expected, "{known}");
    }
}

#[tokio::test]
async fn a_lease_runs_out_after_forty_five_minutes_and_repetition_refreshes_it() {
    use EventName::UserOnline;

    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let minute = |minutes: u64| UnixMillis(NOW.0 + minutes * 60_000);
    let send = async |event: Event, at| {
        handlers.deliver(&event.callback(&main_credentials()), at).await;
    };
    send(device(UserOnline, Platform::Ios, "", NOW.0), NOW).await;
    // A server repeats an online after ten or twenty minutes, and one repetition may be lost.
    assert_eq!(ada(&handlers, minute(44)).await["online"], true);
    let over = ada(&handlers, minute(46)).await;
    assert_eq!(over["online"], false);
    let session = &over["sessions"][0];
    assert_eq!((&session["reason"], &session["assumed"]), (&json!("lease_expired"), &json!(true)));
    assert_eq!(session["left_at"], minute(45).0);

    send(device(UserOnline, Platform::Ios, "", minute(10).0), minute(10)).await;
    assert_eq!(ada(&handlers, minute(46)).await["online"], true);
    assert_eq!(ada(&handlers, minute(56)).await["online"], false);
    // A server that sends connection ids does not repeat it: no lease.
    send(device(UserOnline, Platform::Web, "c1", minute(10).0), minute(10)).await;
    let later = ada(&handlers, minute(999)).await;
    assert_eq!(later["online"], true);
    assert_eq!(later["sessions"][0]["session"], "c1");
}

/// 2.x reports once that a device is online, and has no key `connID`.
#[tokio::test]
async fn a_device_that_is_reported_once_stays_online_until_it_goes() {
    use EventName::{UserOffline, UserOnline};

    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let minute = |minutes: u64| UnixMillis(NOW.0 + minutes * 60_000);
    let send = async |name, server, at: UnixMillis| {
        let mut event = device(name, Platform::Ios, "", at.0);
        event.options.server = server;
        let reply = handlers.deliver(&event.callback(&main_credentials()), at).await;
        reply.outcome.unwrap()
    };
    assert_eq!(send(UserOnline, Server::V2, minute(0)).await, "applied");
    assert_eq!(send(UserOnline, Server::V2, minute(0)).await, "duplicate");
    assert_eq!(ada(&handlers, minute(9999)).await["online"], true);
    assert_eq!(send(UserOffline, Server::V2, minute(60)).await, "applied");
    let over = ada(&handlers, minute(61)).await;
    assert_eq!(over["online"], false);
    assert_eq!(over["sessions"][0]["left_at"], minute(60).0);

    // A newer server replaces this one. It is the same device, and the newest event counts.
    assert_eq!(send(UserOnline, Server::V2, minute(70)).await, "applied");
    assert_eq!(send(UserOnline, Server::V3, minute(80)).await, "applied");
    let leased = ada(&handlers, minute(124)).await;
    assert_eq!(
        (&leased["online"], leased["sessions"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    assert_eq!(ada(&handlers, minute(126)).await["online"], false);
    assert_eq!(send(UserOnline, Server::V2, minute(75)).await, "stale");
    assert_eq!(ada(&handlers, minute(126)).await["online"], false);
    assert_eq!(send(UserOnline, Server::V2, minute(130)).await, "applied");
    assert_eq!(ada(&handlers, minute(9999)).await["online"], true);
}

/// The page shows no `seq`, so the time of receipt counts.
#[tokio::test]
async fn the_published_online_and_offline_are_understood() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    let at = |s: u64| UnixMillis(NOW.0 + s * 1000);
    let credentials = main_credentials();
    let send = async |command: &str, more: Value, received_at| {
        let mut body = json!({ "callbackCommand": command, "userID": "ada" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let event = openim_event(EventName::UserOnline, received_at).callback(&credentials);
        let callback = rollcall_players::Callback { body: body.to_string(), ..event };
        let reply = handlers.deliver(&callback, received_at).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, REAL_SUCCESS));
        reply.outcome.unwrap()
    };
    let (online, offline) = ("callbackAfterUserOnlineCommand", "callbackAfterUserOfflineCommand");
    let ios = json!({ "platformID": 1, "platform": "IOS" });
    assert_eq!(send(online, ios.clone(), at(0)).await, "applied");
    let known = ada(&handlers, at(86_400)).await;
    let session = &known["sessions"][0];
    assert_eq!((&known["online"], &session["device"]), (&json!(true), &json!("IOS")));
    assert_eq!(session["entered_at"], at(0).0);
    // A missing value and an empty one mean the same.
    assert_eq!(send(offline, json!({ "platform": "IOS", "seq": null }), at(5)).await, "applied");
    assert_eq!(ada(&handlers, at(5)).await["sessions"][0]["left_at"], at(5).0);
    // The oldest page shows no platform either.
    assert_eq!(send(online, json!({}), at(6)).await, "applied");
    assert_eq!(ada(&handlers, at(6)).await["sessions"][0]["device"], "Unknown");
}

#[tokio::test]
async fn one_unreadable_user_costs_no_other_one() {
    let app = TestApp::start().await;
    let unreadable = [
        ("null", "neither a user nor an array"),
        (r#""ada""#, "neither a user nor an array"),
        ("17", "neither a user nor an array"),
        ("[]", "neither a user nor an array"),
        (r#"[{"userID":"nested"}]"#, "neither a user nor an array"),
        (r#"{"userID":"twice","userID":"twice"}"#, "neither a user nor an array"),
        (r#"{"userID":"half \ud83d"}"#, "`userID` is not valid Unicode"),
        (r#"{"nickname":"nobody"}"#, "`userID` is missing"),
    ];
    for (index, (element, says)) in unreadable.into_iter().enumerate() {
        let body = format!(
            r#"{{"callbackCommand":"callbackAfterUserRegisterCommand",
                "users":[{{"userID":"a{index}"}},{element},{{"userID":"b{index}"}}]}}"#
        );
        let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body).await;
        assert_eq!(answer.status, 400, "{element}");
        assert_rejected(&answer, 20001, false);
        assert!(answer.body.contains("1 of 3 users were not recorded"), "{}", answer.body);
        assert!(answer.body.contains(says), "{element}: {}", answer.body);
        for user in [format!("a{index}"), format!("b{index}")] {
            assert_eq!(registration(&app, &user).await["user"], user.as_str(), "{element}");
        }
    }
    let known = app.records().await.len();
    let elements: Vec<&str> = unreadable.iter().map(|(element, _)| *element).collect();
    let body = format!(
        r#"{{"callbackCommand":"callbackAfterUserRegisterCommand","users":[{}]}}"#,
        elements.join(",")
    );
    let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body).await;
    assert_rejected(&answer, 20001, false);
    assert!(answer.body.contains("none of 8 users was recorded"), "{}", answer.body);
    assert_eq!(app.records().await.len(), known);
    // A damaged name is no reason to leave out a user.
    let body = br#"{"callbackCommand":"callbackAfterUserRegisterCommand","users":[{"userID":"ada","nickname":"Ada \ud83d"},{"userID":"bob","nickname":"Bob "#;
    let body = [&body[..], b"\xf0\x9f\"}]}"].concat();
    let answer = post(&app, REGISTER, &[basic(OPENIM_PASSWORD)], body).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
    assert_eq!(registration(&app, "ada").await["name"], "Ada \u{fffd}");
    assert_eq!(registration(&app, "bob").await["name"], "Bob \u{fffd}");
}

#[tokio::test]
async fn a_registered_person_is_known_before_they_are_ever_online() {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    assert!(ada(&handlers, NOW).await["error"].is_object());
    let event = register(vec!["ada".to_owned()], NOW);
    handlers.deliver(&event.callback(&main_credentials()), NOW).await;
    let known = ada(&handlers, NOW).await;
    assert_eq!((&known["online"], &known["last_seen_at"]), (&json!(false), &Value::Null));
    assert_eq!(known["sessions"], json!([]));
}

#[tokio::test]
async fn the_answer_to_an_odd_device_event_says_what_is_wrong() {
    let app = TestApp::start().await;
    let now = rollcall::runtime::now().0;
    let good = json!({
        "callbackCommand": "callbackAfterUserOnlineCommand", "operationID": "p_1_1",
        "platformID": 1, "platform": "IOS", "userID": "ada", "seq": now,
        "isAppBackground": false, "connID": ""
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let bad = [
        (with("userID", json!("")), "`userID` is missing"),
        (with("seq", json!("soon")), "`seq` is not a whole number"),
        (with("seq", json!(-1)), "`seq` is not a whole number"),
        (with("seq", json!(now + 660_000)), "in the future"),
        (with("connID", json!([])), "`connID`"),
        (with("platform", json!({})), "`platform`"),
    ];
    for (body, says) in bad {
        let answer = post(&app, ONLINE, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert_rejected(&answer, 20001, false);
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
    }
    assert!(app.records().await.is_empty());
    // Without a name, the platform's id decides. A 2.x server's token is not stored.
    let unnamed = [(json!(2), "Android"), (json!(11), "HarmonyOS"), (json!(99), "platform_99")];
    for (id, name) in unnamed {
        let mut body = with("platform", json!(""));
        body["platformID"] = id;
        body["token"] = json!("a-users-token");
        let answer = post(&app, ONLINE, &[basic(OPENIM_PASSWORD)], body.to_string()).await;
        assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
        let (_, ada) = app.get("/presence/openim/main/users/ada").await;
        assert!(ada.to_string().contains(&format!("\"device\":\"{name}\"")), "{ada}");
    }
    let records = format!("{:?}", app.records().await);
    assert!(!records.contains("a-users-token"));
}

/// The events of a device.
fn device_events() -> impl Strategy<Value = Vec<Event>> {
    let name = prop_oneof![Just(EventName::UserOnline), Just(EventName::UserOffline)];
    let platform = prop_oneof![Just(Platform::Ios), Just(Platform::Web)];
    let connection = prop_oneof![
        3 => Just(("", Server::V3)),
        2 => Just(("", Server::V2)),
        1 => Just(("c1", Server::V3)),
        1 => Just(("c2", Server::V3)),
    ];
    let event = (name, platform, connection, 0..8_u64);
    let event = event.prop_map(|(name, platform, (connection, server), ms)| {
        let mut event = device(name, platform, connection, NOW.0 - 1000 + ms);
        event.options.server = server;
        event
    });
    prop::collection::vec(event, 1..12)
}

proptest! {
    #![proptest_config(Config { cases: 40, failure_persistence: None, ..Config::default() })]

    /// Promises 2 and 3 for devices: any order, any duplicates, the answer is what the newest
    /// events say, and online wins a tie.
    #[test]
    fn promise_3_convergent_devices_in_any_order(
        events in device_events(),
        picks in prop::collection::vec(any::<Index>(), 24),
        at_once in 1..4_usize,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let key = |event: &Event| (event.options.platform as u8, event.options.conn_id.clone());
            let newest = |of: &Event, name| {
                let same = events.iter().filter(|event| event.name == name && key(event) == key(of));
                same.filter_map(|event| event.options.seq).max()
            };
            let is_online = events.iter().any(|event| {
                newest(event, EventName::UserOnline) >= newest(event, EventName::UserOffline)
                    && newest(event, EventName::UserOnline).is_some()
            });
            let mut orders = vec![(0..events.len()).collect::<Vec<_>>()];
            let mut mixed: Vec<usize> = picks.iter().map(|pick| pick.index(events.len())).collect();
            mixed.extend(0..events.len());
            orders.push(mixed);
            let mut answers = Vec::new();
            for order in orders {
                let database = Database::start().await;
                let handlers = Handlers::on(&database.url);
                for together in order.chunks(at_once) {
                    let replies = together.iter().map(async |index| {
                        handlers.deliver(&events[*index].callback(&main_credentials()), NOW).await
                    });
                    for reply in join_all(replies).await {
                        prop_assert_eq!(reply.status.as_u16(), 200);
                    }
                }
                let answer = ada(&handlers, NOW).await;
                prop_assert_eq!(&answer["online"], &json!(is_online), "{}", answer);
                answers.push((answer, dump(&database.client).await));
            }
            prop_assert_eq!(&answers[0], &answers[1]);
            Ok(())
        })?;
    }
}

/// The index has no `extra`, which may be longer than all the rest of a registration.
#[tokio::test]
async fn a_list_of_registrations_has_extra_if_it_is_asked_for() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    let now = Moment::recent().plus(0);
    let mut event = openim_event(EventName::UserRegister, now);
    event.options.users = vec!["ada".to_owned(), "bob".to_owned()];
    event.options.ex = "x".repeat(5000);
    let callback = event.callback(&apps().openim[&"main".parse().unwrap()]);
    assert_eq!(handlers.deliver(&callback, now).await.outcome, Some("applied"));
    let list = async |query: &str| {
        proxy.take();
        let (status, list) = handlers.get("/registrations/openim/main", query, now).await;
        let batches = proxy.take();
        let batches = batches.iter().filter(|seen| seen.operation == "BatchGetItem").count();
        (status.as_u16(), list, batches)
    };
    let extras = |list: &Value| -> Vec<Value> {
        let rows = list["registrations"].as_array().unwrap().iter();
        rows.map(|row| row["extra"].clone()).collect()
    };
    let (status, answer, batches) = list("").await;
    assert_eq!((status, extras(&answer), batches), (200, vec![Value::Null; 2], 0));
    let (status, answer, batches) = list("extra=true").await;
    assert_eq!((status, batches), (200, 1));
    let (_, ada) = handlers.get("/registrations/openim/main/users/ada", "", now).await;
    assert!(ada["extra"].is_string(), "{ada}");
    assert_eq!(extras(&answer), vec![ada["extra"].clone(); 2]);
    assert_eq!(answer["registrations"][0], ada);
    assert_eq!(list("extra=yes").await.0, 400);
}
