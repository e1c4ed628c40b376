use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    domain::DeviceSays,
    providers::{
        ProviderApis,
        api::odd::{at, json_of, odd_answers},
    },
};

const KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

fn account() -> ApiAccount {
    let json = format!(
        r#"{{"tencent":{{"1400000000":{{"admin":"administrator","secret_key":"{KEY}",
            "url":"https://adminapisgp.im.qcloud.com/"}}}}}}"#
    );
    let app = "1400000000".parse().unwrap();
    ProviderApis::from_json(&json).unwrap().tencent.remove(&app).unwrap()
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

#[test]
fn the_request_is_as_documented_and_prints_no_credential() {
    let user_sig = Secret::new("eJw*-_".to_owned()).unwrap();
    let asked = [user("user-7"), user("a \"b\"")];
    let request = online_status(&account(), &user_sig, &asked, 7).unwrap();
    assert_eq!(format!("{request:?}"), r#"ApiRequest { action: "query_online_status", .. }"#);
    let request = request.into_http();
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(
        request.uri().to_string(),
        "https://adminapisgp.im.qcloud.com/v4/openim/query_online_status?sdkappid=1400000000\
         &identifier=administrator&usersig=eJw%2A-_&random=7&contenttype=json"
    );
    assert_eq!(request.headers()["content-type"], "application/json");
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body, json!({ "To_Account": ["user-7", "a \"b\""], "IsNeedDetail": 1 }));
}

fn read(rows: &Value) -> HashMap<UserId, AccountDevices> {
    let answer = json!({ "ActionStatus": "OK", "ErrorCode": 0, "QueryResult": rows });
    read_online_status(&[user("a"), user("b")], &Answer::ok(answer.to_string())).unwrap()
}

/// What is said of `Web`, `iOS`, `Windows` and `Linux`: online, offline or nothing.
fn says(row: &Value) -> String {
    let mut row = row.clone();
    row["To_Account"] = json!("a");
    let Some(devices) = read(&json!([row])).remove(&user("a")) else { return "nothing".into() };
    let says = |platform: &str| match devices.says(&platform.parse().unwrap()) {
        Some(DeviceSays::Online) => "on",
        Some(DeviceSays::Offline) => "off",
        None => "?",
    };
    ["Web", "iOS", "Windows", "Linux"].map(says).join(" ")
}

#[test]
fn a_device_is_online_if_its_connection_is() {
    let detail = |details: &[(&str, &str)]| -> Value {
        details.iter().map(|(name, status)| json!({ "Platform": name, "Status": status })).collect()
    };
    for (status, details, expected) in [
        ("Online", detail(&[("iPhone", "PushOnline"), ("Web", "Online")]), "on off off off"),
        ("Online", detail(&[("IPhone", "online")]), "off on off off"),
        ("Online", detail(&[("iOS", "Online"), ("Web", "Offline")]), "off on off off"),
        ("Online", detail(&[("Web", "Offline"), ("Web", "Online")]), "on off off off"),
        // Nobody says whether a PC runs Windows or Linux.
        ("Online", detail(&[("PC", "Online")]), "off off on ?"),
        ("Online", detail(&[("PC", "Online"), ("Linux", "Online")]), "off off on on"),
        ("Online", detail(&[("PC", "PushOnline"), ("Web", "Online")]), "on off off ?"),
        // A platform without a name of ours may be any other.
        ("Online", detail(&[("VisionPro", "Online")]), "? ? ? ?"),
        ("Online", detail(&[("VisionPro", "Online"), ("Web", "Online")]), "on ? ? ?"),
        ("Online", detail(&[("Web", "Online"), ("", "Online")]), "on ? ? ?"),
        ("Online", detail(&[("Web", "Online"), ("iPhone", "Sleeping")]), "on ? ? ?"),
        ("Online", json!([{ "Platform": "Web" }, { "Status": "Online" }, 7]), "? ? ? ?"),
        ("PushOnline", detail(&[("iPhone", "PushOnline")]), "off off off off"),
        ("PushOnline", json!([]), "off off off off"),
        ("Offline", json!([]), "off off off off"),
        ("Offline", Value::Null, "off off off off"),
        // Somebody who is online, but nowhere, or the other way round.
        ("Online", json!([]), "nothing"),
        ("Online", detail(&[("Web", "Offline")]), "nothing"),
        ("Offline", detail(&[("Web", "Online")]), "nothing"),
        ("PushOnline", detail(&[("Web", "Online"), ("iPhone", "PushOnline")]), "nothing"),
        ("Online", json!("Web"), "nothing"),
        ("Busy", json!([]), "nothing"),
    ] {
        for name in ["Status", "State"] {
            let row = json!({ name: status, "Detail": details });
            assert_eq!(says(&row), expected, "{row}");
        }
    }
    assert_eq!(says(&json!({ "Status": "Offline" })), "off off off off");
    assert_eq!(says(&json!({ "Status": "Online" })), "nothing");
    assert_eq!(says(&json!({})), "nothing");
}

#[test]
fn the_published_answer_speaks_of_two_and_its_error_list_of_nobody() {
    let answer = r#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"QueryResult":[
        {"To_Account":"user-7","Status":"Online","Detail":[
            {"Platform":"iPhone","Status":"PushOnline"},{"Platform":"Web","Status":"Online"}]},
        {"To_Account":"user-8","Status":"Offline"},{"To_Account":"user-9","Status":"Offline"}],
        "ErrorList":[{"To_Account":"user-9","ErrorCode":70107}]}"#;
    let asked = ["user-7", "user-8", "user-9"].map(user);
    let said = read_online_status(&asked, &Answer::ok(answer)).unwrap();
    assert_eq!(said.len(), 2);
    assert_eq!(said[&asked[0]].online(), ["Web".parse().unwrap()]);
    assert_eq!(said[&asked[1]], AccountDevices::offline());
}

#[test]
fn nothing_is_known_of_somebody_twice_named_or_not_asked_about() {
    let row = |name: &str, status: &str| json!({ "To_Account": name, "Status": status });
    let twice = [row("a", "Offline"), row("a", "Online"), row("b", "Offline")];
    assert_eq!(read(&json!(twice)).into_keys().collect::<Vec<_>>(), [user("b")]);
    let same = [row("a", "Offline"), row("a", "Offline"), row("c", "Offline")];
    assert_eq!(read(&json!(same)).into_keys().collect::<Vec<_>>(), [user("a")]);
}

#[test]
fn a_code_is_an_error_whatever_else_is_there() {
    let rows = json!([{ "To_Account": "a", "Status": "Offline" }]);
    for (code, cause) in [
        (90_001, Cause::Other),
        (60_010, Cause::Credentials),
        (70_001, Cause::Credentials),
        (70_052, Cause::Credentials),
        (70_107, Cause::Other),
        (91_000, Cause::Other),
    ] {
        for status in ["FAIL", "OK"] {
            let answer = json!({ "ActionStatus": status, "ErrorCode": code, "ErrorInfo": KEY, "QueryResult": rows });
            let error = read_online_status(&[user("a")], &Answer::ok(answer.to_string()));
            let error = error.unwrap_err();
            assert_eq!(error, ApiError::Refused { action: ONLINE_STATUS, code, cause });
            assert!(!format!("{error} {error:?}").contains(KEY));
        }
    }
    let failed = json!({ "ActionStatus": "FAIL", "ErrorCode": 0, "QueryResult": rows });
    assert!(read_online_status(&[user("a")], &Answer::ok(failed.to_string())).is_err());
}

/// Whatever is done to an answer: each word is about somebody who was asked about, and is in it.
fn check(answer: &Answer) {
    let asked = [user("a"), user("b")];
    let json = json_of(answer).map(Value::Object).unwrap_or_default();
    let Ok(said) = read_online_status(&asked, answer) else { return };
    assert_eq!(answer.status, http::StatusCode::OK);
    assert!([json!(0), json!("0")].contains(&json["ErrorCode"]), "{json}");
    assert_eq!(json["ActionStatus"], "OK");
    let rows = at(&json, &["QueryResult"]).and_then(Value::as_array);
    for (user, devices) in said {
        assert!(asked.contains(&user));
        let row = rows.unwrap().iter().find(|row| row["To_Account"] == user.as_str()).unwrap();
        let is = |value: &Value, status: &str| {
            value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(status))
        };
        let has_online = row["Detail"].as_array().into_iter().flatten();
        let has_online = has_online.filter(|row| is(&row["Status"], "Online")).count() > 0;
        assert!(devices.online().is_empty() || has_online, "{json}");
        // Offline everywhere is the word of a status, never of its absence.
        if devices == AccountDevices::offline() {
            assert!(["Offline", "PushOnline"].iter().any(|s| is(&row["Status"], s)), "{json}");
        }
    }
}

#[test]
fn odd_answers_are_errors_or_say_what_they_say() {
    let good = json!({
        "ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0,
        "QueryResult": [
            { "To_Account": "a", "Status": "Online", "Detail": [
                { "Platform": "iPhone", "Status": "PushOnline" },
                { "Platform": "Web", "Status": "Online" }] },
            { "To_Account": "b", "Status": "Offline" }],
        "ErrorList": [{ "To_Account": "c", "ErrorCode": 70_107 }]
    });
    let answers = odd_answers(&good);
    assert!(answers.len() > 400, "{}", answers.len());
    answers.iter().for_each(check);
}

proptest! {
    #[test]
    fn other_bytes_are_errors(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&Answer::ok(body));
    }
}
