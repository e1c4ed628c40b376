//! Chat's REST API.

use bytes::Bytes;
use http::Request;
use rollcall::{
    callback::Secret,
    domain::{UnixMillis, UnixSeconds},
    user_sig::{Claims, Lifetime},
};
use rollcall_local::provider::{Behaviour, Lie, Provider};
use serde_json::{Value, json};

use super::NOW;
use super::{plays, read, servers, somebody};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

fn user_sig(user: &str, app: &str, key: &str, now: u64) -> String {
    let claims = Claims {
        app: app.parse().unwrap(),
        user: user.parse().unwrap(),
        issued_at: UnixSeconds(now / 1000),
        lifetime: Lifetime::from_seconds(60).unwrap(),
    };
    claims.user_sig(&Secret::new(key.to_owned()).unwrap()).unwrap().expose().to_owned()
}

fn query(app: &str, identifier: &str, user_sig: &str) -> String {
    format!("sdkappid={app}&identifier={identifier}&usersig={user_sig}&random=7&contenttype=json")
}

fn post(query: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let url = format!("http://h/v4/openim/query_online_status?{query}");
    Request::post(url).body(body.into()).unwrap()
}

pub(super) fn request(body: &Value, now: u64) -> Request<Bytes> {
    let user_sig = user_sig("administrator", "1400000000", KEY, now);
    post(&query("1400000000", "administrator", &user_sig), body.to_string())
}

fn ask(provider: &Provider, body: &Value) -> Value {
    read(provider.answer(&request(body, NOW), UnixMillis(NOW)))
}

#[test]
fn the_answer_has_the_published_shape() {
    let provider = plays(
        servers(json!({ "chat": { "1400000000": {
            "user-7": { "platforms": { "Web": "Online", "iOS": "Push" } },
            "user-8": {},
            "user-6": { "platforms": { "Android": "Push" } },
            "user-5": { "platforms": { "Windows": "Online" } }
        } } })),
        Behaviour::default(),
    );
    let asked = json!({ "To_Account": ["user-7", "user-8", "user-9"], "IsNeedDetail": 1 });
    let published = json!({
        "ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0,
        "QueryResult": [
            { "To_Account": "user-7", "Status": "Online", "Detail": [
                { "Platform": "Web", "Status": "Online" },
                { "Platform": "iPhone", "Status": "PushOnline" }
            ] },
            { "To_Account": "user-8", "Status": "Offline" }
        ],
        "ErrorList": [{ "To_Account": "user-9", "ErrorCode": 70107 }]
    });
    assert_eq!(ask(&provider, &asked), published);
    let answer = ask(&provider, &json!({ "To_Account": ["user-6", "user-5"] }));
    let published = json!([
        { "To_Account": "user-6", "Status": "PushOnline" },
        { "To_Account": "user-5", "Status": "Online" }
    ]);
    assert_eq!(answer["QueryResult"], published, "no details where none are asked for");
    assert!(answer.get("ErrorList").is_none(), "it is absent when it is empty");
    let answer = ask(&provider, &json!({ "To_Account": ["user-5"], "IsNeedDetail": 1 }));
    assert_eq!(answer["QueryResult"][0]["Detail"][0]["Platform"], "PC");
}

#[test]
fn only_an_admin_with_a_user_sig_of_their_own_is_answered() {
    let provider = plays(somebody(), Behaviour::default());
    let (app, admin) = ("1400000000", "administrator");
    let sig = |user: &str, app: &str, key: &str| user_sig(user, app, key, NOW);
    let own = sig(admin, app, KEY);
    let code = |query: &str| {
        let request = post(query, json!({ "To_Account": ["ada"] }).to_string());
        read(provider.answer(&request, UnixMillis(NOW)))["ErrorCode"].clone()
    };
    assert_eq!(code(&query(app, admin, &own)), 0);
    for (query, expected) in [
        (query(app, admin, ""), 70_002),
        (query(app, admin, "x"), 70_003),
        (query(app, admin, &sig(admin, app, "another key")), 70_009),
        (query(app, admin, &sig("ada", app, KEY)), 70_013),
        (query(app, admin, &sig(admin, "1400000001", KEY)), 70_014),
        (query(app, admin, &user_sig(admin, app, KEY, NOW - 61_000)), 70_001),
        (query(app, "ada", &sig("ada", app, KEY)), 60_010),
        (query(app, "", &own), 60_010),
        (query("", admin, &own), 60_012),
        (query("1400000001", admin, &own), 70_020),
        (query(app, admin, &own).replace("random=7", "random=x"), 60_003),
        (query(app, admin, &own).replace("contenttype=json", ""), 60_003),
    ] {
        assert_eq!(code(&query), expected, "{query}");
    }
}

#[test]
fn wrong_bodies_have_codes_and_a_second_has_a_limit() {
    let provider = plays(somebody(), Behaviour::default());
    let many = |count: usize| json!({ "To_Account": vec!["ada"; count] });
    for (body, expected) in [
        (json!({}), 90_003),
        (json!({ "To_Account": [] }), 90_003),
        (json!({ "To_Account": [1] }), 90_003),
        (many(500), 0),
        (many(501), 90_011),
    ] {
        assert_eq!(ask(&provider, &body)["ErrorCode"], expected);
    }
    let user_sig = user_sig("administrator", "1400000000", KEY, NOW);
    let query = query("1400000000", "administrator", &user_sig);
    let broken = read(provider.answer(&post(&query, "{"), UnixMillis(NOW)));
    assert_eq!((&broken["ErrorCode"], &broken["ActionStatus"]), (&json!(90_001), &json!("FAIL")));
    for _ in 6..200 {
        assert_eq!(ask(&provider, &many(1))["ErrorCode"], 0);
    }
    assert_eq!(ask(&provider, &many(1))["ErrorCode"], 60_007);
}

#[test]
fn lies_are_told() {
    for (lie, expected) in [(Lie::EverybodyOut, "Offline"), (Lie::EverybodyIn, "Online")] {
        let provider = plays(somebody(), Behaviour { lie: Some(lie), ..Behaviour::default() });
        let answer = ask(&provider, &json!({ "To_Account": ["ada"] }));
        assert_eq!(answer["QueryResult"][0]["Status"], expected);
    }
}
