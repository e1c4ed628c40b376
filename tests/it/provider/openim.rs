//! OpenIM's REST API.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use http::Request;
use rollcall::domain::UnixMillis;
use rollcall_local::provider::{Behaviour, Lie, OpenImAge, Provider};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};

use super::NOW;
use super::{plays, read, servers, somebody};

fn post(provider: &Provider, path: &str, token: Option<&str>, body: &Value, now: u64) -> Value {
    let request = Request::post(format!("http://h{path}")).header("operationID", "op-1");
    let request = token.iter().fold(request, |request, token| request.header("token", *token));
    let request = request.body(Bytes::from(body.to_string())).unwrap();
    read(provider.answer(&request, UnixMillis(now)))
}

fn token(provider: &Provider, now: u64) -> String {
    let body = json!({ "secret": "openIM123", "userID": "imAdmin" });
    let answer = post(provider, "/auth/get_admin_token", None, &body, now);
    answer["data"]["token"].as_str().unwrap().to_owned()
}

fn ask(provider: &Provider, path: &str, body: &Value) -> Value {
    post(provider, path, Some(&token(provider, NOW)), body, NOW)
}

const DAY: u64 = 86_400_000;

/// 2023-11-14T22:13:20Z.
const REGISTERED: u64 = 1_700_000_000_000;

/// Seven of them within seven hours, from the evening of one day to the next one's morning.
fn seven() -> Servers {
    let users: serde_json::Map<String, Value> = (0..7_u64)
        .map(|number| {
            let at = REGISTERED + number * 3_600_000;
            let profile = json!({ "nickname": format!("Name {number}"), "create_time": at });
            (format!("u{number}"), json!({ "profile": profile, "platforms": [] }))
        })
        .collect();
    servers(json!({ "openim": { "main": users } }))
}

#[test]
fn the_answers_have_the_servers_shapes() {
    let provider = plays(
        servers(json!({ "openim": { "main": {
            "u7": { "profile": { "nickname": "Seven", "create_time": REGISTERED }, "platforms": [2, 5] },
            "u9": { "platforms": [1] }
        } } })),
        Behaviour::default(),
    );
    let body = json!({ "secret": "openIM123", "userID": "imAdmin" });
    let mut got = post(&provider, "/auth/get_admin_token", None, &body, NOW);
    assert!(got["data"]["token"].take().as_str().unwrap().starts_with("eyJ"));
    let data = json!({ "token": null, "expireTimeSeconds": 7_776_000 });
    assert_eq!(got, json!({ "errCode": 0, "errMsg": "", "errDlt": "", "data": data }));

    let body = json!({ "userID": "imAdmin", "userIDs": ["u7", "u8", "u9"] });
    let status = ask(&provider, "/user/get_users_status", &body);
    let published = json!({ "statusList": [
        { "userID": "u7", "status": 1, "platformIDs": [2, 5] },
        { "userID": "u8", "status": 0, "platformIDs": [] },
        { "userID": "u9", "status": 1, "platformIDs": [1] }
    ] });
    assert_eq!(status["data"], published, "users who are not known are offline");

    let body = json!({ "pagination": { "pageNumber": 1, "showNumber": 100 }, "userID": "", "nickName": "" });
    let user = json!({
        "userID": "u7", "nickname": "Seven", "faceURL": "", "ex": "", "createTime": REGISTERED,
        "appMangerLevel": 1, "globalRecvMsgOpt": 0
    });
    let users = ask(&provider, "/user/get_users", &body);
    assert_eq!(users["data"], json!({ "total": 1, "users": [user] }));
    let ids = ask(&provider, "/user/get_all_users_uid", &body);
    assert_eq!(ids["data"], json!({ "total": 2, "userIDs": ["imAdmin", "u7"] }));
    let info = ask(&provider, "/user/get_users_info", &json!({ "userIDs": ["u7", "u8"] }));
    assert_eq!(info["data"], json!({ "usersInfo": [user] }), "the others are left out");
}

#[test]
fn statistics_are_by_days_in_utc() {
    let provider = plays(seven(), Behaviour::default());
    let body = |start: u64, end: u64| json!({ "start": start, "end": end });
    let asked = |start, end| ask(&provider, "/statistics/user/register", &body(start, end));
    let all = asked(REGISTERED, REGISTERED + DAY);
    let count = json!({ "2023-11-14": 2, "2023-11-15": 5 });
    assert_eq!(all["data"], json!({ "total": 7, "before": 0, "count": count }));
    let some = asked(REGISTERED + 1, REGISTERED + 3_600_000 + 1);
    assert_eq!(some["data"], json!({ "total": 7, "before": 1, "count": { "2023-11-14": 1 } }));
    let end = asked(REGISTERED + 1, REGISTERED + 3_600_000);
    assert_eq!(end["data"], json!({ "total": 7, "before": 1 }), "without the end itself");
    for (start, end) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(asked(start, end)["errCode"], 1001);
    }
}

#[test]
fn only_the_admin_with_a_token_is_answered() {
    let behaviour = Behaviour { token_life: Duration::from_mins(1), ..Behaviour::default() };
    let provider = plays(somebody(), behaviour);
    let code = |path: &str, token: Option<&str>, body: Value, now| {
        post(&provider, path, token, &body, now)["errCode"].clone()
    };
    let get = "/auth/get_admin_token";
    for (body, expected) in [
        (json!({ "secret": "openIM124", "userID": "imAdmin" }), 1002),
        (json!({ "secret": "openIM123", "userID": "ada" }), 1001),
        (json!({ "userID": "imAdmin" }), 1001),
        (json!({ "secret": "openIM123" }), 1001),
    ] {
        assert_eq!(code(get, None, body.clone(), NOW), expected, "{body}");
    }
    let without_id = Request::post(format!("http://h{get}"));
    let body = json!({ "secret": "openIM123", "userID": "imAdmin" }).to_string();
    let without_id = without_id.body(Bytes::from(body)).unwrap();
    let answer = read(provider.answer(&without_id, UnixMillis(NOW)));
    assert_eq!(answer["errCode"], 1001, "operationID is mandatory");

    let token = token(&provider, NOW);
    let status = "/user/get_users_status";
    let asked = || json!({ "userIDs": ["ada"] });
    assert_eq!(code(status, Some(&token), asked(), NOW + 59_999), 0);
    assert_eq!(code(status, Some(&token), asked(), NOW + 60_000), 1501);
    assert_eq!(code(status, Some("eyJ.x.y"), asked(), NOW), 1507);
    assert_eq!(code(status, None, asked(), NOW), 1001);
}

#[test]
fn the_pages_have_everybody_once() {
    let provider = plays(seven(), Behaviour::default());
    for (path, list, expected) in
        [("/user/get_users", "users", 7), ("/user/get_all_users_uid", "userIDs", 8)]
    {
        let mut found = BTreeSet::new();
        for page in 1.. {
            let body = json!({ "pagination": { "pageNumber": page, "showNumber": 3 } });
            let answer = ask(&provider, path, &body);
            assert_eq!(answer["data"]["total"], expected);
            let rows = answer["data"][list].as_array().unwrap();
            if rows.is_empty() {
                break;
            }
            for row in rows {
                assert!(found.insert(row.to_string()), "{row} comes twice");
            }
        }
        assert_eq!(found.len(), expected);
    }
    for (page, size) in [(0, 3), (1, 0), (1, 1001)] {
        let body = json!({ "pagination": { "pageNumber": page, "showNumber": size } });
        assert_eq!(ask(&provider, "/user/get_users", &body)["errCode"], 1001, "{body}");
    }
}

#[test]
fn users_are_found_by_parts_of_their_ids_or_names() {
    let provider = plays(seven(), Behaviour::default());
    let found = |user: &str, name: &str| {
        let pagination = json!({ "pageNumber": 1, "showNumber": 100 });
        let body = json!({ "pagination": pagination, "userID": user, "nickName": name });
        ask(&provider, "/user/get_users", &body)["data"]["total"].clone()
    };
    assert_eq!(found("U3", ""), 1);
    assert_eq!(found("u3", "name 4"), 2);
    assert_eq!(found("x", ""), 0);
}

#[test]
fn a_list_has_1_to_1000_ids() {
    let provider = plays(somebody(), Behaviour::default());
    for path in ["/user/get_users_status", "/user/get_users_info"] {
        for (ids, expected) in [(0, 1001), (1, 0), (1000, 0), (1001, 1001)] {
            let body = json!({ "userIDs": vec!["ada"; ids] });
            assert_eq!(ask(&provider, path, &body)["errCode"], expected, "{path} {ids}");
        }
    }
}

#[test]
fn an_old_server_has_another_way_to_a_token() {
    let provider = plays(somebody(), Behaviour { openim: OpenImAge::Old, ..Behaviour::default() });
    let new = Request::post("http://h/auth/get_admin_token").header("operationID", "1");
    let new = new.body(Bytes::from("{}")).unwrap();
    assert_eq!(provider.answer(&new, UnixMillis(NOW)).unwrap().status(), 404);
    let body = json!({ "secret": "openIM123", "userID": "imAdmin", "platformID": 10 });
    let answer = post(&provider, "/auth/user_token", None, &body, NOW);
    let token = answer["data"]["token"].as_str();
    let status =
        post(&provider, "/user/get_users_status", token, &json!({ "userIDs": ["ada"] }), NOW);
    assert_eq!(status["data"]["statusList"][0]["status"], 1);
}

#[test]
fn lies_are_told() {
    for (lie, expected) in [(Lie::EverybodyOut, 0), (Lie::EverybodyIn, 1)] {
        let provider = plays(somebody(), Behaviour { lie: Some(lie), ..Behaviour::default() });
        let answer = ask(&provider, "/user/get_users_status", &json!({ "userIDs": ["ada"] }));
        assert_eq!(answer["data"]["statusList"][0]["status"], expected);
    }
}
