//! OpenIM's updates of profiles: hints, which say of a registration since when its profile may be
//! another one.

use futures::future::join_all;
use http::StatusCode;
use proptest::prelude::*;
use rollcall::{
    domain::UnixMillis,
    http::{Reply, Request},
    relay::{Event as RelayEvent, events},
    store::StreamRecord,
};
use rollcall_players::openim::{Event, EventName, Options};
use serde_json::{Value, json};

use crate::support::{
    Handlers, OPENIM_PASSWORD, OPENIM_SECRET, Simulated, TestApp, apps, openim_event,
    simulated_dump,
};

const UPDATE: &str = "/openim/callbackAfterUpdateUserInfoCommand";
const UPDATE_EX: &str = "/openim/callbackAfterUpdateUserInfoExCommand";
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// A store with handlers.
struct World {
    store: Simulated,
    handlers: Handlers,
}

impl World {
    fn new() -> Self {
        let store = Simulated::default();
        let handlers = Handlers::with(store.client());
        Self { store, handlers }
    }

    /// Delivers an event of Ada's that arrives so many ms after [`NOW`].
    async fn deliver(&self, name: EventName, after: u64) -> Option<&'static str> {
        let (event, at) = (openim_event(name, NOW), UnixMillis(NOW.0 + after));
        let credentials = &apps().openim[&"main".parse().unwrap()];
        self.handlers.deliver(&event.callback(credentials), at).await.outcome
    }

    /// Posts a body as the app `main` does.
    async fn post(&self, path: &str, body: &str, at: UnixMillis) -> Reply {
        let mut request = Request::post(path, body.to_owned(), at);
        request.headers.insert("authorization", basic(OPENIM_PASSWORD).parse().unwrap());
        self.handlers.receive(path, &request).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.handlers.get(path, query, UnixMillis(NOW.0 + 60_000)).await
    }

    async fn registration(&self) -> Value {
        self.get("/registrations/openim/main/users/ada").await.1
    }

    /// The types of all events of the store's stream, and what names their facts.
    fn events(&self) -> Vec<(&'static str, String)> {
        let records = self.store.stream(0).into_iter();
        let records = records.map(|record| serde_json::from_value::<StreamRecord>(record).unwrap());
        let events: Vec<RelayEvent> = records.flat_map(|record| events(&record).unwrap()).collect();
        let named =
            |event: &RelayEvent| (event.name(), event.id().split_once('-').unwrap().1.to_owned());
        events.iter().map(named).collect()
    }
}

/// Exact bytes of a server since 3.8.1.
fn samples() -> [(&'static str, &'static str); 3] {
    [
        (
            UPDATE,
            r#"{"callbackCommand":"callbackAfterUpdateUserInfoCommand","userID":"u1001","nickName":"Alice2","faceURL":"https://cdn.example.com/b.png","ex":""}"#,
        ),
        (
            UPDATE_EX,
            r#"{"callbackCommand":"callbackAfterUpdateUserInfoExCommand","userID":"u1001","nickName":"Alice3","faceURL":null,"ex":null}"#,
        ),
        // Only `ex` changed, which the body never says.
        (
            UPDATE_EX,
            r#"{"callbackCommand":"callbackAfterUpdateUserInfoExCommand","userID":"u1001","nickName":null,"faceURL":null,"ex":null}"#,
        ),
    ]
}

#[tokio::test]
async fn an_update_says_since_when_the_profile_may_be_another_one_and_nothing_else() {
    let success = r#"{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0}"#;
    let world = World::new();
    let register = json!({
        "callbackCommand": "callbackAfterUserRegisterCommand",
        "users": [{ "userID": "u1001", "nickname": "Alice", "faceURL": "a.png", "ex": "x" }]
    });
    world.post("/openim/callbackAfterUserRegisterCommand", &register.to_string(), NOW).await;
    let path = "/registrations/openim/main/users/u1001";
    let before = world.get(path).await.1;
    let expected = (&Value::Null, &Value::Null);
    assert_eq!((&before["profile_changed_at"], &before["profile_read_at"]), expected);
    let mut at = NOW;
    for (route, body) in samples() {
        // At its own route, at the bare address, and with the slash of an address that ends in one.
        for route in [route.to_owned(), "/openim".to_owned(), format!("{route}/")] {
            at.0 += 1;
            let reply = world.post(&route, body, at).await;
            let answered = (reply.status.as_u16(), reply.body.as_str(), reply.outcome);
            assert_eq!(answered, (200, success, Some("applied")), "{route}");
            let mut after = world.get(path).await.1;
            assert_eq!(after["profile_changed_at"], at.0, "{route}");
            let list = world.get("/registrations/openim/main?extra=true").await.1;
            assert_eq!(list["registrations"], json!([after]));
            after["profile_changed_at"] = Value::Null;
            assert_eq!(after, before, "the body is no profile");
        }
    }
}

#[tokio::test]
async fn a_user_of_whom_only_an_update_arrived_has_no_registration() {
    let world = World::new();
    assert_eq!(world.deliver(EventName::UserUpdate, 5).await, Some("applied"));
    let (status, answer) = world.get("/registrations/openim/main/users/ada").await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let (_, list) = world.get("/registrations/openim/main?extra=true").await;
    assert_eq!(list["registrations"], json!([]));
    // The server knows her.
    let (status, ada) = world.get("/presence/openim/main/users/ada").await;
    assert_eq!(
        (status, &ada["online"], &ada["last_seen_at"]),
        (StatusCode::OK, &json!(false), &Value::Null)
    );
    let (_, stored) = world.get("/users/openim/main/ada").await;
    let item = json!({ "kind": "profile_change", "changed_at": NOW.0 + 5, "expires_at": null });
    assert_eq!(stored["items"], json!([item]));

    // The registration arrives late: it is as old as it says, and the change stays.
    assert_eq!(world.deliver(EventName::UserRegister, 9).await, Some("applied"));
    let ada = world.registration().await;
    assert_eq!((&ada["registered_at"], &ada["name"]), (&json!(NOW.0 + 9), &json!("ada")));
    assert_eq!(ada["profile_changed_at"], NOW.0 + 5);
    let (_, list) = world.get("/registrations/openim/main?extra=true").await;
    assert_eq!(list["registrations"], json!([ada]));
    let (_, stored) = world.get("/users/openim/main/ada").await;
    assert_eq!(stored["items"].as_array().unwrap().len(), 1);
    let item = &stored["items"][0];
    assert_eq!((&item["kind"], &item["changed_at"]), (&json!("registration"), &json!(NOW.0 + 5)));
}

/// Promises 2 and 3: a registration, an earlier receipt of it and two updates, in any order and any
/// of them several times, leave the same record; and each says once that it is new.
#[tokio::test]
async fn promise_3_convergent_updates_and_registrations_in_any_order_leave_the_same() {
    let all = [
        (EventName::UserRegister, 30),
        (EventName::UserRegister, 10),
        (EventName::UserUpdate, 20),
        (EventName::UserUpdateEx, 40),
    ];
    let mut first = None;
    for order in permutations(&[0, 1, 2, 3]) {
        let world = World::new();
        for &index in order.iter().chain(&order[..2]) {
            let (name, after) = all[index];
            world.deliver(name, after).await;
        }
        let records = simulated_dump(&world.store);
        assert_eq!(first.get_or_insert(records.clone()), &records, "{order:?}");
        let ada = world.registration().await;
        assert_eq!(
            (&ada["registered_at"], &ada["profile_changed_at"]),
            (&json!(NOW.0 + 10), &json!(NOW.0 + 40))
        );
        let events = world.events();
        let registered = events.iter().filter(|(name, _)| *name == "user.registered");
        assert_eq!(registered.count(), 1, "{order:?}: {events:?}");
        let changed = events.iter().filter(|(name, _)| *name == "user.changed");
        // An update that is overtaken says nothing new.
        let newest_first =
            order.iter().position(|index| *index == 3) < order.iter().position(|index| *index == 2);
        assert_eq!(changed.count(), if newest_first { 1 } else { 2 }, "{order:?}: {events:?}");
    }
}

#[tokio::test]
async fn an_update_that_is_not_the_newest_changes_nothing() {
    let world = World::new();
    world.deliver(EventName::UserRegister, 0).await;
    for (after, outcome) in [(10, "applied"), (10, "duplicate"), (9, "stale"), (11, "applied")] {
        assert_eq!(world.deliver(EventName::UserUpdate, after).await, Some(outcome), "{after}");
    }
    assert_eq!(world.registration().await["profile_changed_at"], NOW.0 + 11);
}

/// Promise 7.
#[tokio::test]
async fn promise_7_isolated_an_update_is_of_its_own_app() {
    let world = World::new();
    world.deliver(EventName::UserRegister, 0).await;
    let other = &apps().openim[&"other".parse().unwrap()];
    let options = Options { app: "other".to_owned(), ..Options::default() };
    let event = Event { name: EventName::UserUpdate, options, now: NOW };
    let reply = world.handlers.deliver(&event.callback(other), NOW).await;
    assert_eq!(reply.outcome, Some("applied"));
    assert_eq!(world.registration().await["profile_changed_at"], Value::Null);
}

fn basic(password: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};

    format!("Basic {}", BASE64_STANDARD.encode(format!("openim:{password}")))
}

/// More than a hundred bodies that are no update, each with what is wrong with it.
fn malformed() -> Vec<(String, &'static str)> {
    let command = "callbackAfterUpdateUserInfoCommand";
    let mut bodies = Vec::new();
    for user in [
        "null",
        "\"\"",
        "{}",
        "[]",
        "[\"ada\"]",
        "true",
        "false",
        "\"\\ud83d\"",
        "\"ada\\udfff\"",
        "{\"userID\":\"ada\"}",
    ] {
        for name in ["\"Ada\"", "null", "\"\"", "17", "{}"] {
            let body = format!(
                r#"{{"callbackCommand":"{command}","userID":{user},"nickName":{name},"faceURL":"","ex":""}}"#
            );
            bodies.push((body, "`userID`"));
        }
    }
    for length in 256..290 {
        let user = "u".repeat(length);
        let body = json!({ "callbackCommand": command, "userID": user, "nickName": "Ada" });
        bodies.push((body.to_string(), "longer than 255 bytes"));
    }
    for name in ["userid", "user_id", "UserID", "userID ", "users", "user"] {
        for ex in [false, true] {
            let command = if ex { "callbackAfterUpdateUserInfoExCommand" } else { command };
            let body = json!({ "callbackCommand": command, name: "ada", "nickName": "Ada" });
            bodies.push((body.to_string(), "`userID` is missing"));
        }
    }
    for user in ["1.5e3", "-1", "0.1", "1E400"] {
        // A number is a text as good as another one, as everywhere.
        let body = format!(r#"{{"callbackCommand":"{command}","userID":[{user}]}}"#);
        bodies.push((body, "`userID`"));
    }
    for named in ["[]", "{}", "true", "\"\\ud83d\""] {
        bodies.push((
            format!(r#"{{"callbackCommand":{named},"userID":"ada"}}"#),
            "`callbackCommand`",
        ));
    }
    bodies
}

#[tokio::test]
async fn malformed_updates_are_refused_and_change_nothing() {
    let app = TestApp::start().await;
    let bodies = malformed();
    assert!(bodies.len() >= 100, "{}", bodies.len());
    let header = [("authorization", basic(OPENIM_PASSWORD))];
    let answers = bodies
        .iter()
        .flat_map(|(body, wrong)| [UPDATE, UPDATE_EX].map(|route| (route, body.clone(), *wrong)));
    join_all(answers.map(async |(route, body, wrong)| {
        let answer = app.post_with(route, &header, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert_eq!(answer.outcome.as_deref(), Some("rejected"), "{body}");
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        let codes = ["actionCode", "errCode", "nextCode"].map(|name| json[name].as_u64().unwrap());
        assert_eq!(codes, [0, 20_001, 0], "{body}: {}", answer.body);
        assert!(json["errMsg"].as_str().unwrap().contains(wrong), "{body}: {}", answer.body);
    }))
    .await;
    // What is no object is no request of anybody's; and so is what has no credentials.
    let sample = samples()[0].1;
    for (headers, body) in [
        (vec![], sample.to_owned()),
        (vec![("authorization", basic("wrong"))], sample.to_owned()),
        (vec![], sample.replacen('{', &format!("{{\"secret\":\"x{OPENIM_SECRET}\","), 1)),
        (header.to_vec(), format!("[{sample}]")),
        (header.to_vec(), sample[1..].to_owned()),
        (header.to_vec(), sample.replace("nickName", "userID")),
        (header.to_vec(), String::new()),
    ] {
        let answer = app.post_with(UPDATE, &headers, body.clone()).await;
        assert_eq!(answer.status, 401, "{body}: {}", answer.body);
    }
    assert_eq!(app.records().await.len(), 0);
}

#[tokio::test]
async fn an_erasure_takes_the_change_with_the_registration() {
    let world = World::new();
    world.deliver(EventName::UserRegister, 0).await;
    world.deliver(EventName::UserUpdate, 10).await;
    let now = UnixMillis(NOW.0 + 1000);
    let (status, answer) = world.handlers.erase("/users/openim/main/ada", "", now).await;
    assert_eq!((status, &answer["erased"]), (StatusCode::OK, &json!(1)), "{answer}");
    for path in ["/registrations", "/presence"] {
        let (status, _) = world.get(&format!("{path}/openim/main/users/ada")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(world.get("/users/openim/main/ada").await.0, StatusCode::NOT_FOUND);

    // What comes late of before is not there, to a reader, and is gone after the second pass.
    world.deliver(EventName::UserUpdate, 20).await;
    assert_eq!(world.get("/presence/openim/main/users/ada").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/users/openim/main/ada").await.0, StatusCode::NOT_FOUND);
    // Something new happens to her, and then the old registration arrives late.
    world.deliver(EventName::UserUpdate, 2000).await;
    world.deliver(EventName::UserRegister, 5).await;
    assert_eq!(world.get("/presence/openim/main/users/ada").await.0, StatusCode::OK);
    assert_eq!(world.get("/registrations/openim/main/users/ada").await.0, StatusCode::NOT_FOUND);
    let (_, list) = world.get("/registrations/openim/main?extra=true").await;
    assert_eq!(list["registrations"], json!([]));
    let later = UnixMillis(NOW.0 + 3_600_000);
    for repeat in world.handlers.take_repeats() {
        world.handlers.repeat(&repeat, later).await.unwrap();
    }
    let records = simulated_dump(&world.store);
    let ada = &records["openim#main#user#ada registration"];
    let kept: Vec<&String> = ada.as_object().unwrap().keys().collect();
    assert_eq!(kept, ["gsi1pk", "gsi1sk", "pk", "profile_changed_at", "sk"], "{ada:#}");
    let events = world.events();
    let erased = events.iter().filter(|(name, _)| *name == "user.erased").count();
    assert_eq!(erased, 2, "her item, and then her registration: {events:?}");

    // Erased again, all of it goes.
    let (_, answer) = world.handlers.erase("/users/openim/main/ada", "", later).await;
    assert_eq!(answer["erased"], 1, "{answer}");
    assert_eq!(world.get("/presence/openim/main/users/ada").await.0, StatusCode::NOT_FOUND);
}

/// All orders of some things.
fn permutations(things: &[usize]) -> Vec<Vec<usize>> {
    let Some((first, rest)) = things.split_first() else { return vec![vec![]] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for place in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(place, *first);
            all.push(longer);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever else the body says, only the user counts.
    #[test]
    fn only_the_user_of_an_update_counts(
        user in "[a-z#%😀é]{1,20}",
        name in prop_oneof![Just(json!(null)), any::<String>().prop_map(|text| json!(text)), Just(json!({}))],
        more in prop::collection::btree_map("[a-z]{1,8}", any::<u64>(), 0..4),
    ) {
        let mut body = json!(more);
        body["callbackCommand"] = json!("callbackAfterUpdateUserInfoExCommand");
        body["userID"] = json!(user);
        body["nickName"] = name;
        let world = World::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let records = runtime.block_on(async {
            let reply = world.post(UPDATE_EX, &body.to_string(), NOW).await;
            assert_eq!(reply.outcome, Some("applied"), "{}", reply.body);
            simulated_dump(&world.store)
        });
        prop_assert_eq!(records.len(), 1);
        let item = records.values().next().unwrap();
        prop_assert_eq!(&item["profile_changed_at"], &json!(NOW.0.to_string()));
        prop_assert_eq!(item.as_object().unwrap().len(), 5);
    }
}
