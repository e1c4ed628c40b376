//! ZEGO's Server API.

use std::{collections::BTreeSet, time::Duration};

use md5::{Digest, Md5};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall::domain::UnixMillis;
use rollcall_local::provider::{Absent, Action, Behaviour, Lie, Provider, Truth};
use rollcall_players::servers::Servers;
use serde_json::{Value, json};

use super::NOW;
use super::{get, plays, read, servers, somebody};

const SECRET: &str = "9193cc662a4c0ec135ec71fb57194b38";

fn signature(app: &str, nonce: &str, secret: &str, time: &str) -> String {
    hex::encode(Md5::digest(format!("{app}{nonce}{secret}{time}")))
}

/// A signed request of app 1, at this time.
pub(super) fn url(action: &str, parameters: &str, now: u64) -> String {
    let (nonce, time) = ("4fd24687296dd9f3", (now / 1000).to_string());
    let signature = signature("1", nonce, SECRET, &time);
    let parameters = parameters.replace("[]", "%5B%5D");
    format!(
        "http://h/?Action={action}&AppId=1&SignatureNonce={nonce}&Timestamp={time}\
         &SignatureVersion=2.0&Signature={signature}&{parameters}"
    )
}

fn ask(provider: &Provider, action: &str, parameters: &str, now: u64) -> Value {
    read(provider.answer(&get(&url(action, parameters, now)), UnixMillis(now)))
}

fn room(people: &[(&str, u16, u64)]) -> Servers {
    let person = |(user, role, login_time): &(&str, u16, u64)| {
        let one = json!({ "session": "s", "name": user, "role": role, "login_time": login_time });
        ((*user).to_owned(), one)
    };
    let people: serde_json::Map<String, Value> = people.iter().map(person).collect();
    servers(json!({ "zego": { "1": { "lobby": { "life": 7, "people": people } } } }))
}

#[test]
fn the_answers_have_the_published_shapes() {
    let provider = plays(
        room(&[("user1", 1, 1_635_940_599_000), ("user2", 2, 1_635_940_599_950)]),
        Behaviour::default(),
    );
    let mut list = ask(&provider, "DescribeUserList", "RoomId=lobby", NOW);
    assert!(list["RequestId"].take().is_string());
    let published = json!({
        "Code": 0, "Message": "success", "RequestId": null,
        "Data": { "Marker": "1635940599950-user2", "UserList": [
            { "UserId": "user1", "UserName": "user1", "UserRole": 1 },
            { "UserId": "user2", "UserName": "user2", "UserRole": 2 }
        ] }
    });
    assert_eq!(list, published);
    let count = ask(&provider, "DescribeUserNum", "RoomId[]=lobby&RoomId[]=other", NOW);
    let counts = json!([
        { "RoomId": "lobby", "UserCount": 2, "AdminUserCount": 0 },
        { "RoomId": "other", "UserCount": 0, "AdminUserCount": 0 }
    ]);
    assert_eq!(count["Data"]["UserCountList"], counts);
    let users = ask(&provider, "DescribeUsers", "RoomId=lobby&UserId[]=user1&UserId[]=bob", NOW);
    let statuses = json!([
        { "UserId": "user1", "Status": 1, "LoginTime": 1_635_940_599_000_u64, "UserRole": 1 },
        { "UserId": "bob", "Status": 0, "LoginTime": 0, "UserRole": 0 }
    ]);
    assert_eq!(users["Data"]["UserStatusList"], statuses);
}

#[test]
fn the_published_signature_is_right() {
    let expected = "43e5cfcca828314675f91b001390566a";
    assert_eq!(signature("12345", "4fd24687296dd9f3", SECRET, "1615186943"), expected);
}

#[test]
fn a_request_that_is_signed_wrongly_is_refused_with_the_gateways_code() {
    let provider = plays(somebody(), Behaviour::default());
    let right = url("DescribeUserNum", "RoomId[]=lobby", NOW);
    let code = |url: &str| {
        let answer = read(provider.answer(&get(url), UnixMillis(NOW)));
        answer["Code"].as_u64().unwrap()
    };
    assert_eq!(code(&right), 0);
    let time = (NOW / 1000).to_string();
    let other = signature("1", "4fd24687296dd9f3", "secret", &time);
    let own = signature("1", "4fd24687296dd9f3", SECRET, &time);
    for (from, to, expected) in [
        ("AppId=1", "AppId=", 100_000_001),
        ("AppId=1", "AppId=one", 100_000_001),
        (&*format!("Timestamp={time}"), "Timestamp=", 100_000_002),
        (&*format!("Timestamp={time}"), "Timestamp=now", 100_000_003),
        (&*own, &*other, 100_000_005),
        (&*own, &*own.to_uppercase(), 100_000_005),
        ("4fd24687296dd9f3", "4fd24687296dd9f4", 100_000_005),
        ("Action=DescribeUserNum&", "", 100_000_006),
        ("DescribeUserNum", "DescribeRooms", 100_000_007),
        ("SignatureNonce=4fd24687296dd9f3&", "", 100_000_008),
        (&*own, "", 100_000_009),
        ("AppId=1", "AppId=2", 100_000_011),
        ("SignatureVersion=2.0&", "", 100_000_013),
        ("SignatureVersion=2.0", "SignatureVersion=1.0", 100_000_014),
    ] {
        assert!(right.contains(from), "{from}");
        assert_eq!(code(&right.replace(from, to)), expected, "{from} is {to}");
    }
    for (age, expected) in [(600, 0), (601, 100_000_004)] {
        for at in [NOW - age * 1000, NOW + age * 1000] {
            assert_eq!(code(&url("DescribeUserNum", "RoomId[]=lobby", at)), expected, "{age} s");
        }
    }
}

#[test]
fn wrong_parameters_have_codes() {
    let provider = plays(somebody(), Behaviour::default());
    let many = |name: &str, count: usize| vec![format!("{name}[]=x"); count].join("&");
    let long = "r".repeat(129);
    for (at, (action, parameters, expected)) in [
        ("DescribeUserList", "", 2),
        ("DescribeUserList", "RoomId=lobby&Limit=201", 2),
        ("DescribeUserList", "RoomId=lobby&Limit=x", 2),
        ("DescribeUserList", "RoomId=lobby&Mode=2", 2),
        ("DescribeUserList", "RoomId=lobby&Marker=x", 2),
        ("DescribeUserList", &format!("RoomId={long}"), 3),
        ("DescribeUserList", "RoomId=nowhere", 0),
        ("DescribeUsers", "RoomId=lobby", 2),
        ("DescribeUsers", "UserId[]=ada", 2),
        ("DescribeUsers", "RoomId=nowhere&UserId[]=ada", 50_001),
        ("DescribeUsers", &format!("RoomId=lobby&{}", many("UserId", 10)), 0),
        ("DescribeUsers", &format!("RoomId=lobby&{}", many("UserId", 11)), 50_011),
        ("DescribeUsers", "RoomId=lobby&UserId=ada", 0),
        ("DescribeUserNum", "", 2),
        ("DescribeUserNum", &many("RoomId", 10), 0),
        ("DescribeUserNum", &many("RoomId", 11), 50_011),
    ]
    .into_iter()
    .enumerate()
    {
        let now = NOW + at as u64 * 1000;
        let answer = ask(&provider, action, parameters, now);
        assert_eq!(answer["Code"], expected, "{action} {parameters}: {answer}");
    }
}

/// Several people log in at one millisecond, and ids have any characters.
#[test]
fn the_pages_of_a_list_have_everybody_once() {
    let names: Vec<String> = (0..450).map(|number| format!("u-{number}/é&")).collect();
    let people: Vec<(&str, u16, u64)> =
        names.iter().zip(0_u64..).map(|(name, at)| (name.as_str(), 2, NOW + at / 7)).collect();
    let expected: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    for (mode, limit, pages) in [("", "", 4), ("&Mode=1", "&Limit=200", 4), ("", "&Limit=50", 10)] {
        let provider = plays(room(&people), Behaviour::default());
        let (mut found, mut marker, mut asked) = (Vec::new(), String::new(), 0);
        loop {
            let now = NOW + asked * 1000;
            let marker_encoded = utf8_percent_encode(&marker, NON_ALPHANUMERIC);
            let parameters = format!("RoomId=lobby{mode}{limit}&Marker={marker_encoded}");
            let answer = ask(&provider, "DescribeUserList", &parameters, now);
            asked += 1;
            let page = answer["Data"]["UserList"].as_array().unwrap();
            found.extend(page.iter().map(|user| user["UserId"].as_str().unwrap().to_owned()));
            let next = answer["Data"]["Marker"].as_str().unwrap();
            assert_eq!(next.is_empty(), page.is_empty(), "also the last page has a marker");
            if next.is_empty() {
                break;
            }
            next.clone_into(&mut marker);
        }
        assert_eq!(asked, pages);
        assert_eq!(found.len(), expected.len(), "nobody comes twice");
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn requests_above_a_limit_are_refused_and_do_not_count() {
    let provider = plays(somebody(), Behaviour::default());
    let list = |room: &str, now| {
        ask(&provider, "DescribeUserList", &format!("RoomId={room}"), now)["Code"].clone()
    };
    assert_eq!(list("lobby", NOW), 0);
    assert_eq!(list("lobby", NOW + 999), 207, "one page of a room in a second");
    assert_eq!(list("library", NOW + 999), 0, "another room");
    assert_eq!(list("lobby", NOW + 1000), 0, "what was refused does not count");
    let users =
        |now| ask(&provider, "DescribeUsers", "RoomId=lobby&UserId[]=a", now)["Code"].clone();
    for at in 0..10 {
        assert_eq!(users(NOW + at), 0);
    }
    assert_eq!(users(NOW + 999), 206);
    assert_eq!(users(NOW + 1000), 0);
    assert_eq!(users(NOW + 1000), 206, "the second one of ten is still within a second");
    for room in 0..200 {
        assert_eq!(list(&format!("r{room}"), NOW + 5000), 0);
    }
    assert_eq!(list("r200", NOW + 5000), 206);
    let counts = provider.counts();
    let (_, count) = counts.iter().find(|(action, _)| *action == Action::DescribeUsers).unwrap();
    assert_eq!((count.answered, count.refused, count.failed, count.most), (11, 2, 0, 10));
}

#[test]
fn somebody_absent_is_a_status_or_the_code_of_the_whole_request() {
    for (absent, code) in
        [(Absent::Status, 0), (Absent::NotOnline, 50_003), (Absent::NoSuchUser, 105)]
    {
        let provider = plays(somebody(), Behaviour { absent, ..Behaviour::default() });
        let asked =
            |users: &str| ask(&provider, "DescribeUsers", &format!("RoomId=lobby{users}"), NOW);
        assert_eq!(asked("&UserId[]=ada")["Code"], 0);
        assert_eq!(asked("&UserId[]=ada&UserId[]=bob")["Code"], code);
        assert_eq!(asked("&UserId[]=bob")["Code"], code);
    }
}

#[test]
fn a_change_shows_after_the_lag_and_signatures_are_checked_by_the_providers_clock() {
    let accounts =
        rollcall::providers::ProviderApis::from_json(rollcall_local::provider::EXAMPLE_APIS);
    let truth = Truth::new(|at| {
        let servers = if at.0 < NOW { Servers::default() } else { somebody() };
        std::sync::Arc::new(servers)
    });
    let behaviour =
        Behaviour { lag: Duration::from_secs(3), clock_ms: -5000, ..Behaviour::default() };
    let provider = Provider::new(accounts.unwrap(), truth, behaviour, 1);
    let count = |now| {
        let answer = ask(&provider, "DescribeUserNum", "RoomId[]=lobby", now);
        answer["Data"]["UserCountList"][0]["UserCount"].clone()
    };
    assert_eq!((count(NOW + 2999), count(NOW + 3000)), (json!(0), json!(1)));
    let users = ask(&provider, "DescribeUsers", "RoomId=lobby&UserId[]=ada", NOW + 3000);
    let login_time = &users["Data"]["UserStatusList"][0]["LoginTime"];
    assert_eq!(*login_time, NOW - 5000, "it is that of the callback");
    // Signed 596 s ago by the client's clock, which is 601 s from the provider's.
    let old = get(&url("DescribeUserNum", "RoomId[]=lobby", NOW + 596_000));
    assert_eq!(read(provider.answer(&old, UnixMillis(NOW)))["Code"], 100_000_004);
}

#[test]
fn lies_are_told() {
    let lied = |lie| plays(somebody(), Behaviour { lie: Some(lie), ..Behaviour::default() });
    let users = |lie| ask(&lied(lie), "DescribeUsers", "RoomId=lobby&UserId[]=ada", NOW);
    let status = |lie| users(lie)["Data"]["UserStatusList"][0].clone();
    assert_eq!(status(Lie::EverybodyOut)["Status"], 0);
    let list = ask(&lied(Lie::EverybodyOut), "DescribeUserList", "RoomId=lobby", NOW);
    assert_eq!(list["Data"]["UserList"], json!([]));
    assert_eq!(users(Lie::UnknownRoom)["Code"], 50_001);
    assert_eq!(status(Lie::LoginAtZero)["LoginTime"], 0);
    assert!(status(Lie::LoginInFuture)["LoginTime"].as_u64().unwrap() > NOW);
    assert_ne!(status(Lie::OtherUsers)["UserId"], "ada");
    let stranger = ask(&lied(Lie::EverybodyIn), "DescribeUsers", "RoomId=lobby&UserId[]=bob", NOW);
    assert_eq!(stranger["Data"]["UserStatusList"][0]["Status"], 1);
}
