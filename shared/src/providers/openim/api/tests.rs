use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{DeviceSays, ProviderName},
    providers::{
        ProviderApis,
        api::odd::{at, json_of, odd_answers},
    },
};

const SECRET: &str = "openIM123-of-the-tests";
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const NONCE: Nonce = Nonce([7; 8]);

fn account() -> ApiAccount {
    let json =
        format!(r#"{{"openim":{{"main":{{"secret":"{SECRET}","url":"http://10.0.0.7:10002"}}}}}}"#);
    ProviderApis::from_json(&json).unwrap().openim.remove(&"main".parse().unwrap()).unwrap()
}

fn app() -> App {
    App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() }
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// The path, the header `token`, and the body of a request.
fn sent(request: Result<ApiRequest, ApiError>) -> (String, Option<String>, Value) {
    let request = request.unwrap();
    let printed = format!("{request:?}");
    assert!(!printed.contains("the-token") && !printed.contains(SECRET));
    let request = request.into_http();
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["operationid"], "0707070707070707");
    let token = request.headers().get("token");
    assert!(token.is_none_or(http::HeaderValue::is_sensitive));
    let token = token.map(|token| token.to_str().unwrap().to_owned());
    (request.uri().to_string(), token, serde_json::from_slice(request.body()).unwrap())
}

#[test]
fn requests_are_as_the_server_reads_them() {
    let account = account();
    let token = Secret::new("the-token".to_owned()).unwrap();
    let asked = [user("u7"), user("u8")];
    let page = Page { number: 1, size: 100 };
    let span = (UnixMillis(1_699_920_000_000), UnixMillis(1_700_092_800_000));
    for (request, path, body) in [
        (
            users_status(&account, &token, &asked, NONCE),
            "/user/get_users_status",
            json!({ "userID": "imAdmin", "userIDs": ["u7", "u8"] }),
        ),
        (
            users(&account, &token, page, NONCE),
            "/user/get_users",
            json!({ "pagination": { "pageNumber": 1, "showNumber": 100 }, "userID": "", "nickName": "" }),
        ),
        (
            all_users_uid(&account, &token, page, NONCE),
            "/user/get_all_users_uid",
            json!({ "pagination": { "pageNumber": 1, "showNumber": 100 } }),
        ),
        (
            users_info(&account, &token, &asked, NONCE),
            "/user/get_users_info",
            json!({ "userIDs": ["u7", "u8"] }),
        ),
        (
            register_statistics(&account, &token, span, NONCE),
            "/statistics/user/register",
            json!({ "start": 1_699_920_000_000_u64, "end": 1_700_092_800_000_u64 }),
        ),
    ] {
        let expected = format!("http://10.0.0.7:10002{path}");
        assert_eq!(sent(request), (expected, Some("the-token".to_owned()), body));
    }
    let minted = sent(super::token(&account, TokenDialect::AdminToken, NONCE));
    let body = json!({ "secret": SECRET, "userID": "imAdmin" });
    assert_eq!(minted, ("http://10.0.0.7:10002/auth/get_admin_token".to_owned(), None, body));
    let minted = sent(super::token(&account, TokenDialect::UserToken, NONCE));
    let body = json!({ "secret": SECRET, "platformID": 10, "userID": "imAdmin" });
    assert_eq!(minted, ("http://10.0.0.7:10002/auth/user_token".to_owned(), None, body));
    let broken = Secret::new("a\nb".to_owned()).unwrap();
    let error = users_status(&account, &broken, &asked, NONCE).unwrap_err();
    assert!(matches!(error, ApiError::NotAsked { .. }), "{error}");
}

fn answer(data: &Value) -> Answer {
    Answer::ok(json!({ "errCode": 0, "errMsg": "", "errDlt": "", "data": data }).to_string())
}

#[test]
fn a_token_has_a_lifetime_and_prints_redacted() {
    for dialect in [TokenDialect::AdminToken, TokenDialect::UserToken] {
        let good = answer(&json!({ "token": "eyJ.x.y", "expireTimeSeconds": 7_776_000 }));
        let token = read_token(dialect, &good).unwrap();
        assert_eq!(token.secret.expose(), "eyJ.x.y");
        assert_eq!(token.valid_for, Duration::from_hours(90 * 24));
        assert!(!format!("{token:?} {good:?}").contains("eyJ"));
        let unknown = read_token(dialect, &answer(&json!({ "token": "t" }))).unwrap();
        assert_eq!(unknown.valid_for, Duration::ZERO);
        for odd in [json!({ "token": "" }), json!({ "token": ["t"] }), json!({}), json!(null)] {
            assert!(read_token(dialect, &answer(&odd)).is_err(), "{odd}");
        }
        let old = Answer { status: StatusCode::NOT_FOUND, body: "404 page not found".into() };
        let error = read_token(dialect, &old).unwrap_err();
        assert!(matches!(error, ApiError::Status { status: StatusCode::NOT_FOUND, .. }));
    }
}

fn statuses(rows: &Value) -> HashMap<UserId, AccountDevices> {
    let asked = [user("a"), user("b")];
    read_users_status(&asked, &answer(&json!({ "statusList": rows }))).unwrap()
}

#[test]
fn a_status_is_a_number_with_the_platforms_that_fit_it() {
    let online = |names: &[&str]| {
        Some(AccountDevices::online_on(names.iter().map(|name| name.parse().unwrap())))
    };
    for (row, devices) in [
        (json!({ "status": 1, "platformIDs": [2, 5] }), online(&["Android", "Web"])),
        (json!({ "status": 1, "platformIDs": [5, 5] }), online(&["Web"])),
        (json!({ "status": "1", "platformIDs": [9] }), online(&["IPad"])),
        (json!({ "status": 1, "platformIDs": [99] }), online(&["platform_99"])),
        (json!({ "status": 0, "platformIDs": [] }), online(&[])),
        (json!({ "status": 0, "platformIDs": null }), online(&[])),
        (json!({ "status": 0 }), online(&[])),
        (json!({ "status": 1, "platformIDs": [] }), None),
        (json!({ "status": 1, "platformIDs": null }), None),
        (json!({ "status": 1 }), None),
        (json!({ "status": 0, "platformIDs": [1] }), None),
        (json!({ "status": 1, "platformIDs": ["5"] }), None),
        (json!({ "status": 1, "platformIDs": [5, -1] }), None),
        (json!({ "status": 1, "platformIDs": [5, 4_294_967_296_u64] }), None),
        (json!({ "status": 1, "platformIDs": [5, 1.5] }), None),
        (json!({ "status": 1, "platformIDs": "5" }), None),
        (json!({ "status": 1, "platformIDs": {} }), None),
        (json!({ "status": 2, "platformIDs": [] }), None),
        (json!({ "status": "offline", "platformIDs": [] }), None),
        (json!({ "status": null }), None),
        (json!({}), None),
    ] {
        let mut named = row.clone();
        named["userID"] = json!("a");
        assert_eq!(statuses(&json!([named])).remove(&user("a")), devices, "{row}");
    }
    let devices = online(&["Web"]).unwrap();
    assert_eq!(devices.says(&"Web".parse().unwrap()), Some(DeviceSays::Online));
    assert_eq!(devices.says(&"IOS".parse().unwrap()), Some(DeviceSays::Offline));
    let row = |name: &str, status: u8| json!({ "userID": name, "status": status });
    let rows = json!([row("a", 0), row("a", 1), row("b", 0), row("c", 0)]);
    assert_eq!(statuses(&rows).into_keys().collect::<Vec<_>>(), [user("b")]);
    assert!(statuses(&json!(null)).is_empty());
}

#[test]
fn a_list_is_read_row_by_row() {
    let rows = json!(["imAdmin", "u7", "", 7, null, {}, "x".repeat(300)]);
    let page = read_all_users_uid(&answer(&json!({ "total": 9, "userIDs": rows }))).unwrap();
    assert_eq!(page.users, ["imAdmin", "u7", "7"].map(user));
    assert_eq!((page.total, page.unreadable), (9, 4));
    let damaged = r#"{"errCode":0,"data":{"total":1,"userIDs":["a\ud83d"]}}"#;
    let page = read_all_users_uid(&Answer::ok(damaged)).unwrap();
    assert_eq!((page.users, page.unreadable), (vec![], 1), "no part of an id is replaced");
    let empty = read_all_users_uid(&answer(&json!({ "total": 0, "userIDs": null }))).unwrap();
    assert_eq!((empty.users, empty.unreadable), (vec![], 0));
    assert!(read_all_users_uid(&answer(&json!({ "userIDs": [] }))).is_err());
    assert!(read_all_users_uid(&answer(&json!({ "total": 1, "userIDs": {} }))).is_err());
}

#[test]
fn a_profile_is_a_registration_as_the_callback_has_it() {
    let profile = json!({
        "userID": "u7", "nickname": "Seven", "faceURL": "https://a/b.png", "ex": "{}",
        "createTime": 1_700_000_000_000_u64, "appMangerLevel": 1, "globalRecvMsgOpt": 0
    });
    let source = RegistrationSource::Callback;
    let data = json!({ "total": 2, "users": [profile, { "nickname": "nobody" }] });
    let page = read_users(&app(), source, NOW, &answer(&data)).unwrap();
    assert_eq!((page.total, page.users.len(), page.unreadable), (2, 1, 1));
    let registration = &page.users[0];
    assert_eq!(registration.user, user("u7"));
    assert_eq!(registration.name.as_deref(), Some("Seven"));
    assert_eq!(registration.create_time, Some(UnixMillis(1_700_000_000_000)));
    assert_eq!(registration.recorded_at, NOW);
    let data = json!({ "usersInfo": [profile] });
    assert_eq!(read_users_info(&app(), source, NOW, &answer(&data)).unwrap(), page.users);
    let nobody = Answer::ok(r#"{"errCode":0,"errMsg":"","errDlt":""}"#);
    assert_eq!(read_users_info(&app(), source, NOW, &nobody).unwrap(), []);
}

#[test]
fn statistics_are_numbers_by_day() {
    let read = |data: Value| read_register_statistics(&answer(&data));
    let day = ("2023-11-14".to_owned(), 2);
    let expected = RegisterStatistics { total: 12, before: 10, by_day: [day].into() };
    let count = json!({ "2023-11-14": 2 });
    assert_eq!(read(json!({ "total": 12, "before": 10, "count": count })), Ok(expected.clone()));
    let none = RegisterStatistics { by_day: BTreeMap::new(), ..expected };
    assert_eq!(read(json!({ "total": 12, "before": 10 })), Ok(none));
    for odd in [json!([]), json!(7), json!({ "2023-11-14": "2" }), json!({ "2023-11-14": -1 })] {
        assert!(read(json!({ "total": 12, "before": 10, "count": odd })).is_err());
    }
    assert!(read(json!({ "total": 12 })).is_err());
}

#[test]
fn a_code_is_an_error_with_status_200() {
    for (code, cause) in [
        (1001, Cause::Other),
        (1002, Cause::Credentials),
        (1501, Cause::Token),
        (1507, Cause::Token),
        (1508, Cause::Other),
        (90_004, Cause::Other),
    ] {
        let data = json!({ "statusList": [{ "userID": "a", "status": 0 }] });
        let body = json!({ "errCode": code, "errMsg": SECRET, "errDlt": SECRET, "data": data });
        let error = read_users_status(&[user("a")], &Answer::ok(body.to_string())).unwrap_err();
        assert_eq!(error, ApiError::Refused { action: USERS_STATUS, code, cause });
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

/// Whatever is done to an answer: each word is about somebody who was asked about, and is in it.
fn check(answer: &Answer) {
    let asked = [user("a"), user("b")];
    let json = json_of(answer).map(Value::Object).unwrap_or_default();
    let is_good =
        answer.status == StatusCode::OK && [json!(0), json!("0")].contains(&json["errCode"]);
    if let Ok(said) = read_users_status(&asked, answer) {
        assert!(is_good, "{json}");
        let rows = at(&json, &["data", "statusList"]).and_then(Value::as_array);
        for (user, devices) in said {
            assert!(asked.contains(&user));
            let of_user = |row: &&Value| row["userID"] == user.as_str();
            for row in rows.unwrap().iter().filter(of_user) {
                let status = u8::from(!devices.online().is_empty());
                let is = [json!(status), json!(status.to_string())].contains(&row["status"]);
                assert!(is, "{json}");
            }
        }
    }
    let source = RegistrationSource::Callback;
    let is_read = [
        read_users(&app(), source, NOW, answer).is_ok(),
        read_users_info(&app(), source, NOW, answer).is_ok(),
        read_all_users_uid(answer).is_ok(),
        read_register_statistics(answer).is_ok(),
        read_token(TokenDialect::AdminToken, answer).is_ok(),
    ];
    assert!(is_good || is_read.iter().all(|read| !read), "{json}");
}

#[test]
fn odd_answers_are_errors_or_say_what_they_say() {
    let goods = [
        json!({ "statusList": [{ "userID": "a", "status": 1, "platformIDs": [2, 5] },
                               { "userID": "b", "status": 0, "platformIDs": [] }] }),
        json!({ "total": 1, "users": [{ "userID": "u7", "nickname": "Seven", "createTime": 0 }] }),
        json!({ "usersInfo": [{ "userID": "u7", "nickname": "Seven" }] }),
        json!({ "total": 2, "userIDs": ["imAdmin", "u7"] }),
        json!({ "total": 12, "before": 10, "count": { "2023-11-14": 2 } }),
        json!({ "token": "t", "expireTimeSeconds": 7_776_000 }),
    ];
    for data in goods {
        let good = json!({ "errCode": 0, "errMsg": "", "errDlt": "", "data": data });
        let answers = odd_answers(&good);
        assert!(answers.len() > 200, "{}", answers.len());
        answers.iter().for_each(check);
    }
}

proptest! {
    #[test]
    fn other_bytes_are_errors(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&Answer::ok(body));
    }
}
