//! The policies allow exactly what the functions do. All tests, which cover the rare paths, check
//! that no function does more (`support/iam.rs`). This file checks that no policy allows more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use http::Method;
use rollcall::{
    callback::Secret,
    endpoint::Endpoint,
    routes::{
        self, ERASE, MINT_USER_SIG, MINT_ZEGO_TOKEN, QUERY, RECONCILE, RELAY, Route, SETTLE,
        SPILL_REPLAY, SWEEP, USER_SIG, ZEGO_TOKEN,
    },
};
use rollcall_players::zego::{Event, EventName};
use serde_json::{Value, json};

use crate::{
    relay,
    seats::comings_and_goings,
    support::{
        BUS, EventBridge, Fleet, Moment, Outage, Proxy, SECRET, SecretsManager, ServersOnAPort,
        TABLE_NAME, TestQueue, apps_json, callback_event, gateway_event, iam, one_of_each, secrets,
        zego_event,
    },
    template::{functions, template},
};

const LIMIT: Duration = Duration::from_secs(20);

/// The template's names of resources and parameters, and their values here.
type Names = HashMap<String, String>;

/// The environment that the template gives to a function.
fn environment(template: &Value, function: &Value, names: &Names) -> Vec<(&'static str, String)> {
    let common = &template["Globals"]["Function"]["Environment"]["Variables"];
    let own = &function["Environment"]["Variables"];
    let all = common.as_object().into_iter().chain(own.as_object()).flatten();
    let mut environment = Vec::new();
    for (name, value) in all {
        // The table is the one that the stack creates.
        let value = value.get("!If").map_or(value, |branches| &branches[1]);
        // A switch.
        if let Some(text) = value.as_str() {
            environment.push((name.clone().leak() as &'static str, text.to_owned()));
        }
        // The others are derived from the stack's name.
        let name_of = value["!GetAtt"].as_str().and_then(|of| of.strip_suffix(".Name"));
        if let Some(resource) = value["!Ref"].as_str().or(name_of) {
            environment.push((name.clone().leak() as &'static str, names[resource].clone()));
        }
    }
    environment
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the binaries of the functions: .ci/tools/faults builds them"]
async fn every_policy_is_what_is_done_by_the_real_binaries() {
    let mut outage = Outage::start(LIMIT).await;
    let manager = SecretsManager::start().await;
    let secrets_manager = Proxy::before(&manager.url).await;
    let bus = EventBridge::start().await;
    let event_bridge = Proxy::before(&bus.url).await;
    let servers = ServersOnAPort::start().await;
    let template = template();

    let mut names = Names::from([
        ("Table".to_owned(), TABLE_NAME.to_owned()),
        ("EventBus".to_owned(), BUS.to_owned()),
        ("SpillQueue".to_owned(), outage.queue.url.clone()),
        ("SpillDeadLetters".to_owned(), outage.dead_letters.url.clone()),
        ("EraseQueue".to_owned(), outage.erase_queue.url.clone()),
        ("SettleQueue".to_owned(), outage.settle_queue.url.clone()),
    ]);
    for (name, resource) in template["Resources"].as_object().unwrap() {
        if let Some(written) = resource["Properties"]["SecretString"].as_str() {
            // Each secret has the apps of one provider, as in the template.
            let mut apps: Value = serde_json::from_str(written).unwrap();
            let all = if name == "ProviderApis" { &servers.apis } else { &apps_json() };
            let all: Value = serde_json::from_str(all).unwrap();
            for (provider, apps) in apps.as_object_mut().unwrap() {
                *apps = all[provider].clone();
            }
            names.insert(name.clone(), manager.create(name, &apps.to_string()).await);
        }
    }
    for (name, parameter) in template["Parameters"].as_object().unwrap() {
        let default = &parameter["Default"];
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        names.insert(name.clone(), default);
    }
    names.insert("SettleSeconds".to_owned(), "1".to_owned());

    let templates: HashMap<String, Value> = functions(&template).into_iter().collect();
    let mut fleets = HashMap::new();
    for function in routes::functions() {
        let mut environment = environment(&template, &templates[function], &names);
        environment.extend([
            ("ROLLCALL_BUDGET_MS", LIMIT.as_millis().to_string()),
            ("AWS_ENDPOINT_URL_DYNAMODB", outage.store.url.clone()),
            ("AWS_ENDPOINT_URL_SQS", outage.sqs.url.clone()),
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", event_bridge.url.clone()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets_manager.url.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secrets::AWS_SECRET.to_owned()),
        ]);
        fleets.insert(function, Fleet::start(&[function], 1, environment).await);
    }
    let invoke = async |function: &'static str, event: Value| {
        fleets[function].invoke(function, event, LIMIT).await.unwrap().0
    };

    // Everything that a callback type writes, once into the table and once into the queue. For
    // OpenIM the body decides, not the route.
    for outcome in ["applied", "spilled"] {
        outage.store.refuse(move |_| outcome == "spilled");
        let start = Moment::recent();
        for callback in one_of_each(start, rollcall::runtime::now()) {
            let is_openim = callback.route.starts_with("/openim");
            for endpoint in Endpoint::ALL {
                let own = endpoint.routes.contains(&callback.route);
                let any = is_openim && endpoint.function.starts_with("openim-");
                if own || any {
                    let path = if own { callback.path() } else { endpoint.routes[0].to_owned() };
                    let event = callback_event(&callback, &path);
                    let answer = invoke(endpoint.function, event).await;
                    assert_eq!(answer["statusCode"], 200, "{}: {answer}", endpoint.function);
                    let reported = &answer["headers"]["x-rollcall-outcome"];
                    assert_eq!(reported == "spilled", outcome == "spilled", "{answer}");
                }
            }
        }
    }

    // A seat that has grown too large when all of these are stored.
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for login in comings_and_goings(Moment::recent(), 30).iter().step_by(2) {
        let callback = login.callback(&secret, rollcall::runtime::now().seconds(), "1");
        let answer = invoke("zego-room-login", callback_event(&callback, callback.route)).await;
        assert_eq!(answer["headers"]["x-rollcall-outcome"], "spilled");
    }

    // In an outage all messages stay. Then they are stored, and an unreadable one goes to the dead
    // letters.
    let replay = async |queue: &mut TestQueue| {
        queue.poll(async |event| Some(invoke(SPILL_REPLAY, event).await)).await
    };
    let (messages, stayed) = replay(&mut outage.queue).await;
    assert!(messages > 0 && stayed == messages, "{stayed} of {messages}");
    outage.queue.send("nonsense").await;
    outage.store.refuse(|_| false);
    outage.queue.let_time_pass().await;
    while replay(&mut outage.queue).await.0 > 0 {}
    assert_eq!(outage.dead_letters.receive().await.len(), 1);

    for app in ["zego/1", "openim/main", "tencent/1400000000"] {
        for Route { method, path, function, .. } in routes::all() {
            if function != QUERY {
                continue;
            }
            let path = path.replace("{provider}/{app}", app);
            let path = path.replace("{user}", "ada").replace("{room}", "lobby");
            let query = "user=ada&room=lobby&a=ada&b=bob";
            let body = json!({ "users": ["ada"] }).to_string();
            let body = (method == Method::POST).then_some(body.as_str());
            let answer = invoke(QUERY, gateway_event(method.as_str(), &path, query, body)).await;
            // Not every provider has all of it.
            assert!([200, 404].contains(&answer["statusCode"].as_u64().unwrap()), "{answer}");
        }
    }
    // The first erasure makes the key of the hashes. The second pass does no more than the first.
    for app in ["zego/1", "openim/main", "tencent/1400000000"] {
        let erase = gateway_event("DELETE", &format!("/users/{app}/ada"), "", None);
        assert_eq!(invoke(ERASE, erase).await["statusCode"], 200);
    }
    let again = async |event| Some(invoke(ERASE, event).await);
    assert_eq!(outage.erase_queue.poll(again).await, (3, 0));
    let mint = json!({ "sdk_app_id": 1_400_000_000, "user_id": "ada" }).to_string();
    let mint = gateway_event("POST", MINT_USER_SIG, "", Some(&mint));
    assert_eq!(invoke(USER_SIG, mint).await["statusCode"], 200);
    let mint = json!({ "app_id": 1, "user_id": "ada" }).to_string();
    let mint = gateway_event("POST", MINT_ZEGO_TOKEN, "", Some(&mint));
    assert_eq!(invoke(ZEGO_TOKEN, mint).await["statusCode"], 200);

    // A message that comes too early is sent again. When nothing has changed for a second, the room
    // is checked.
    let records = relay::records().await.1;
    let of_close = |record: &&Value| {
        record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().starts_with("life#")
            && record["dynamodb"]["NewImage"]["closed_at"].is_object()
    };
    let close = records.iter().find(of_close).unwrap();
    let life = close["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().split_once('#').unwrap().1;
    for records in [std::slice::from_ref(close), &records] {
        let answer = invoke(RELAY, json!({ "Records": records })).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    let check = json!({
        "version": 1, "app": { "provider": "zego", "id": "1" }, "room": "lobby", "life": life,
        "by": close["eventID"], "turn": 0
    });
    let message = json!({
        "messageId": "1", "receiptHandle": "1", "body": check.to_string(), "attributes": {}
    });
    for pause in [0, 3] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let answer = invoke(SETTLE, json!({ "Records": [message] })).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }

    // What a server API knows: who is in, whose logout was lost, and who is registered. Of a room that it
    // does not know yet, the answer is remembered, and then forgotten.
    let ask = async |path: &str| {
        let event = gateway_event("POST", &format!("/reconcile/{path}"), "", None);
        let answer = invoke(RECONCILE, event).await;
        assert_eq!(answer["statusCode"], 200, "{path}: {answer}");
        serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()
    };
    // Ada was erased: what happened before is nothing.
    let start = Moment::recent();
    for (room, user) in [("attic", "dan"), ("den", "dan"), ("den", "bob")] {
        let event = Event {
            room: room.to_owned(),
            user: user.to_owned(),
            ..zego_event(EventName::RoomLogin, start.plus(0))
        };
        let callback = event.callback(&secret, rollcall::runtime::now().seconds(), "1");
        let answer = invoke("zego-room-login", callback_event(&callback, callback.route)).await;
        assert_eq!(answer["headers"]["x-rollcall-outcome"], "applied", "{answer}");
    }
    let occupant = json!({ "session": "s", "name": "n", "role": 2, "login_time": start.plus(0) });
    let of = |people: &[&str]| {
        let people = people.iter().map(|name| ((*name).to_owned(), occupant.clone()));
        json!({ "life": 7, "people": people.collect::<serde_json::Map<_, _>>() })
    };
    let profile = json!({ "profile": { "nickname": "Cyd", "create_time": start.plus(0) } });
    servers.know(json!({ "zego": { "1": { "den": of(&["dan", "cyd"]) } },
        "openim": { "main": { "cyd": profile } } }));
    assert_eq!(ask("zego/1/rooms/attic").await["braked"], true);
    for stored in [2, 0] {
        assert_eq!(ask("zego/1/rooms/den").await["stored"], stored);
    }
    // Of somebody whom only an answer has in, the seat in the newest life is read, too.
    let den = invoke(QUERY, gateway_event("GET", "/presence/zego/1/rooms/den", "", None)).await;
    let den: Value = serde_json::from_str(den["body"].as_str().unwrap()).unwrap();
    assert_eq!(den["online"], 2, "{den}");
    // When nobody else is in, the check of that room reads it, too, and so does the sweep. It takes
    // a room of which nothing is stored off the list.
    let logout = Event {
        room: "den".to_owned(),
        user: "dan".to_owned(),
        ..zego_event(EventName::RoomLogout, start.plus(1000))
    };
    let logout = logout.callback(&secret, rollcall::runtime::now().seconds(), "1");
    invoke("zego-room-logout", callback_event(&logout, logout.route)).await;
    for room in ["den", "hall"] {
        let listed = json!(records).to_string().replace("lobby", room);
        let mut listed: Value = serde_json::from_str(&listed).unwrap();
        for record in listed.as_array_mut().unwrap() {
            let at = rollcall::runtime::now().before(Duration::from_mins(20)).seconds().0;
            record["dynamodb"]["ApproximateCreationDateTime"] = json!(at);
        }
        let answer = invoke(RELAY, json!({ "Records": listed })).await;
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let check = json!(message).to_string().replace("lobby", "den");
    let check: Value = serde_json::from_str(&check).unwrap();
    let answer = invoke(SETTLE, json!({ "Records": [check] })).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(invoke(SWEEP, json!({ "detail-type": "Scheduled Event" })).await, Value::Null);

    servers.know(json!({ "zego": { "1": { "attic": of(&["dan"]) } },
        "openim": { "main": { "cyd": profile } } }));
    assert_eq!(ask("zego/1/rooms/attic").await["braked"], false);
    assert_eq!(ask("openim/main/registrations").await["recorded"], 1);
    let event = json!({ "detail-type": "Scheduled Event" });
    assert_eq!(invoke(RECONCILE, event).await, Value::Null);

    let mut done = BTreeMap::<String, BTreeSet<iam::Permission>>::new();
    for proxy in [&outage.store, &outage.sqs, &secrets_manager, &event_bridge] {
        for request in proxy.take() {
            done.entry(request.signed_by.clone()).or_default().insert(request.permission());
        }
    }
    // `resync` has its own test.
    let of_functions = iam::POLICIES.iter().filter(|(function, _)| *function != iam::RESYNC);
    let mut unused = BTreeMap::new();
    for (function, allowed) in of_functions {
        let done = done.remove(function).unwrap_or_default();
        unused.insert(function, allowed.difference(&done).cloned().collect::<Vec<_>>());
        assert!(done.is_subset(allowed), "{function} does {done:?}");
    }
    unused.retain(|_, unused| !unused.is_empty());
    assert!(unused.is_empty(), "allowed and never done: {unused:?}");
    assert!(done.is_empty(), "{done:?}");
}
