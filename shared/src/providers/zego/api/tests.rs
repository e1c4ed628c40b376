use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::providers::{
    ProviderApis,
    api::odd::{at, json_of, odd_answers},
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const NONCE: Nonce = Nonce([0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18]);
const SECRET: &str = "00112233445566778899aabbccddeeff";

fn account() -> ApiAccount {
    let json = format!(r#"{{"zego":{{"123456789":{{"server_secret":"{SECRET}"}}}}}}"#);
    ProviderApis::from_json(&json).unwrap().zego.remove(&"123456789".parse().unwrap()).unwrap()
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn uri(request: ApiRequest) -> String {
    let request = request.into_http();
    assert_eq!(request.method(), http::Method::GET);
    assert!(request.body().is_empty());
    request.uri().to_string()
}

#[test]
fn signatures_equal_the_vectors() {
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    // The page's own, and one more.
    let published = Nonce([0x4f, 0xd2, 0x46, 0x87, 0x29, 0x6d, 0xd9, 0xf3]);
    let key = secret("9193cc662a4c0ec135ec71fb57194b38");
    assert_eq!(
        sign(12345, published, &key, UnixSeconds(1_615_186_943)),
        "43e5cfcca828314675f91b001390566a"
    );
    assert_eq!(sign(123_456_789, NONCE, &secret(SECRET), NOW), "f3b63431aad1ea08be6c1ea9de810c7b");
}

#[test]
fn a_room_is_asked_about_by_its_own_name_and_a_room_of_zims_not_at_all() {
    let account = account();
    let rooms: Vec<RoomId> =
        ["lobby", "r:z:lobby"].iter().map(|room| room.parse().unwrap()).collect();
    let asked = uri(user_num(&account, &rooms, NOW, NONCE).unwrap());
    assert!(asked.ends_with("&RoomId%5B%5D=lobby&RoomId%5B%5D=z%3Alobby"), "{asked}");
    assert!(uri(user_list(&account, &rooms[1], None, NOW, NONCE).unwrap()).contains("z%3Alobby"));
    assert!(uri(users(&account, &rooms[1], &[user("ada")], NOW, NONCE).unwrap()).contains("=z%3A"));
    let answer = json!({"Code": 0, "Data": {"UserCountList": [
        {"RoomId": "z:lobby", "UserCount": 2, "AdminUserCount": 0}
    ]}});
    let counts = read_user_num(&rooms, &Answer::ok(answer.to_string())).unwrap();
    assert_eq!((counts.len(), &counts[0].room), (1, &rooms[1]));
    let of_zim: RoomId = "z:lobby".parse().unwrap();
    let refused = [
        user_list(&account, &of_zim, None, NOW, NONCE).err(),
        users(&account, &of_zim, &[user("ada")], NOW, NONCE).err(),
        user_num(&account, &[of_zim], NOW, NONCE).err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, Some(ApiError::NotAsked { .. }))));
}

#[test]
fn requests_have_everything_in_the_query() {
    let account = account();
    let signed = |action: &str| {
        format!(
            "https://rtc-api.zego.im/?Action={action}&AppId=123456789\
             &SignatureNonce=a1b2c3d4e5f60718&Timestamp=1700000000\
             &Signature=f3b63431aad1ea08be6c1ea9de810c7b&SignatureVersion=2.0"
        )
    };
    let room: RoomId = "a b&c=d/é+".parse().unwrap();
    let encoded = "a%20b%26c%3Dd%2F%C3%A9%2B";
    let list = user_list(&account, &room, None, NOW, NONCE).unwrap();
    let page = format!("{}&RoomId={encoded}&Mode=0&Limit=200", signed("DescribeUserList"));
    assert_eq!(uri(list), page);
    let from = Marker::noted("1635940599950-user2".to_owned());
    let list = user_list(&account, &room, from.as_ref(), NOW, NONCE).unwrap();
    assert_eq!(uri(list), format!("{page}&Marker=1635940599950-user2"));
    let asked = users(&account, &room, &[user("a"), user("b[]")], NOW, NONCE).unwrap();
    let query = format!("&RoomId={encoded}&UserId%5B%5D=a&UserId%5B%5D=b%5B%5D");
    assert_eq!(uri(asked), format!("{}{query}", signed("DescribeUsers")));
    let count = user_num(&account, &["1".parse().unwrap(), room], NOW, NONCE).unwrap();
    let query = format!("&RoomId%5B%5D=1&RoomId%5B%5D={encoded}");
    assert_eq!(uri(count), format!("{}{query}", signed("DescribeUserNum")));
}

#[test]
fn a_request_prints_no_credential() {
    let request = users(&account(), &"r".parse().unwrap(), &[user("a")], NOW, NONCE).unwrap();
    assert_eq!(format!("{request:?}"), r#"ApiRequest { action: "DescribeUsers", .. }"#);
    assert!(!format!("{:?}", account()).contains(SECRET));
}

fn listed(answer: &Value, from: Option<&Marker>) -> Result<UserListPage, ApiError> {
    read_user_list(from, &Answer::ok(answer.to_string()))
}

/// The page's own sample, whose marker leads nowhere.
#[test]
fn a_page_with_few_people_is_the_last_one() {
    let answer = json!({
        "Code": 0, "Message": "success", "RequestId": "TestRequestId1635940600561291000",
        "Data": {
            "Marker": "1635940599950-user2",
            "UserList": [{ "UserId": "user1", "UserName": "user1", "UserRole": 1 },
                         { "UserId": "user2", "UserName": "user2", "UserRole": 2 }]
        }
    });
    let page = listed(&answer, None).unwrap();
    assert_eq!(page.people, [user("user1"), user("user2")]);
    assert_eq!((page.unreadable, page.next), (0, None));
}

fn full_page(marker: &str) -> Value {
    let rows: Vec<Value> = (0..PAGE).map(|n| json!({ "UserId": format!("u{n}") })).collect();
    json!({ "Code": 0, "Data": { "Marker": marker, "UserList": rows } })
}

#[test]
fn a_list_ends_when_its_marker_is_empty_or_leads_back() {
    let a = listed(&full_page("a"), None).unwrap().next.unwrap();
    assert_eq!(a.as_str(), "a");
    let b = listed(&full_page("b"), Some(&a)).unwrap().next.unwrap();
    let c = listed(&full_page("c"), Some(&b)).unwrap().next.unwrap();
    for back in ["a", "b", "c", ""] {
        assert_eq!(listed(&full_page(back), Some(&c)).unwrap().next, None, "{back}");
    }
    assert_eq!(Marker::noted(String::new()), None);
}

#[test]
fn an_unknown_room_has_an_empty_list_and_a_row_that_cannot_be_read_is_counted() {
    for code in [104, 5024, 50_001] {
        assert_eq!(listed(&json!({ "Code": code }), None), Ok(UserListPage::default()));
    }
    let rows = json!([{ "UserId": "a" }, {}, { "UserId": "a" }, { "UserId": 7 }, 5, null]);
    let page = listed(&json!({ "Code": 0, "Data": { "UserList": rows } }), None).unwrap();
    assert_eq!((page.people, page.unreadable), (vec![user("a"), user("7")], 3));
    let none = listed(&json!({ "Code": 0, "Data": { "UserList": null } }), None);
    assert_eq!(none, Ok(UserListPage::default()));
    assert!(listed(&json!({ "Code": 0, "Data": { "Marker": "" } }), None).is_err());
}

fn asked(answer: &Value, users: &[&str]) -> Result<UsersAnswer, ApiError> {
    let users: Vec<UserId> = users.iter().map(|name| user(name)).collect();
    read_users(&users, &Answer::ok(answer.to_string()))
}

fn of<const N: usize>(said: [(&str, Says); N]) -> UsersAnswer {
    UsersAnswer::Of(said.map(|(name, says)| (user(name), says)).into())
}

fn is_in(login: u64, role: u16) -> Says {
    Says::In { login: (login > 0).then_some(UnixMillis(login)), role: Role(role) }
}

#[test]
fn a_person_is_in_or_out_by_the_word_about_them() {
    let row =
        json!({ "UserId": "a", "Status": 1, "LoginTime": 1_675_674_019_365_u64, "UserRole": 1 });
    let published = json!({
        "Code": 0, "Data": { "UserStatusList": [row] }, "Message": "success", "RequestId": "x"
    });
    assert_eq!(asked(&published, &["a"]), Ok(of([("a", is_in(1_675_674_019_365, 1))])));
    for (row, says) in [
        (json!({ "UserId": "a", "Status": 0 }), Some(Says::Out)),
        (json!({ "UserId": "a", "Status": "0" }), Some(Says::Out)),
        (json!({ "UserId": "a", "Status": 0, "LoginTime": 5, "UserRole": 4 }), Some(Says::Out)),
        (json!({ "UserId": "a", "Status": 1 }), Some(is_in(0, 0))),
        (json!({ "UserId": "a", "Status": 1, "LoginTime": 0, "UserRole": 2 }), Some(is_in(0, 2))),
        (json!({ "UserId": "a", "Status": 1, "LoginTime": "17" }), Some(is_in(17, 0))),
        (json!({ "UserId": "a", "Status": 1, "LoginTime": -5 }), Some(is_in(0, 0))),
        (json!({ "UserId": "a", "Status": 1, "LoginTime": 1.5 }), Some(is_in(0, 0))),
        (json!({ "UserId": "a", "Status": 1, "UserRole": 70_000 }), Some(is_in(0, 0))),
        (json!({ "UserId": "a", "Status": 1, "LoginTime": {} }), Some(is_in(0, 0))),
        (json!({ "UserId": "a" }), None),
        (json!({ "UserId": "a", "Status": null }), None),
        (json!({ "UserId": "a", "Status": 2 }), None),
        (json!({ "UserId": "a", "Status": -1 }), None),
        (json!({ "UserId": "a", "Status": 256 }), None),
        (json!({ "UserId": "a", "Status": "in" }), None),
        (json!({ "UserId": "a", "Status": false }), None),
        (json!({ "UserId": "A", "Status": 0 }), None),
        (json!({ "UserId": "b", "Status": 0 }), None),
        (json!({ "userid": "a", "Status": 0 }), None),
        (json!([]), None),
    ] {
        let answer = json!({ "Code": 0, "Data": { "UserStatusList": [row] } });
        let expected = says.map(|says| (user("a"), says)).into_iter().collect();
        assert_eq!(asked(&answer, &["a"]), Ok(UsersAnswer::Of(expected)), "{answer}");
    }
}

#[test]
fn of_somebody_who_is_in_and_out_nothing_is_known() {
    let row =
        |status: u8, login: u64| json!({ "UserId": "a", "Status": status, "LoginTime": login });
    for (rows, says) in [
        (vec![row(0, 0), row(0, 0)], Some(Says::Out)),
        (vec![row(1, 5), row(1, 5)], Some(is_in(5, 0))),
        (vec![row(1, 5), row(0, 0)], None),
        (vec![row(0, 0), row(1, 5)], None),
        (vec![row(0, 0), row(1, 5), row(0, 0)], None),
        (vec![row(1, 5), row(1, 6)], None),
        (vec![row(0, 0), json!({ "UserId": "a" })], None),
        (vec![json!({ "UserId": "a" }), row(0, 0)], None),
    ] {
        let answer = json!({ "Code": 0, "Data": { "UserStatusList": rows } });
        let expected = says.map(|says| (user("a"), says)).into_iter().collect();
        assert_eq!(asked(&answer, &["a"]), Ok(UsersAnswer::Of(expected)), "{answer}");
    }
}

#[test]
fn an_error_says_nothing_of_anybody_unless_it_is_about_the_room_or_the_one_person() {
    for code in [104, 5024, 50_001] {
        let answer = json!({ "Code": code, "Message": "room not exist" });
        assert_eq!(asked(&answer, &["a", "b"]), Ok(UsersAnswer::NoSuchRoom));
    }
    for code in [105, 50_003] {
        assert_eq!(asked(&json!({ "Code": code }), &["a", "b"]), Ok(UsersAnswer::AskOneByOne));
        assert_eq!(asked(&json!({ "Code": code }), &["a"]), Ok(of([("a", Says::Out)])));
    }
    for (code, cause) in [
        (1, Cause::Other),
        (2, Cause::Other),
        (3, Cause::TooLong),
        (9, Cause::Credentials),
        (206, Cause::Throttled),
        (207, Cause::Throttled),
        (50_011, Cause::Other),
        (100_000_004, Cause::Clock),
        (100_000_005, Cause::Credentials),
        (100_000_015, Cause::Other),
        (u64::MAX, Cause::Other),
    ] {
        // Even if people are named.
        let rows = json!([{ "UserId": "a", "Status": 0 }]);
        let answer = json!({ "Code": code, "Message": SECRET, "Data": { "UserStatusList": rows } });
        let error = asked(&answer, &["a"]).unwrap_err();
        assert_eq!(error, ApiError::Refused { action: USERS, code, cause });
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.is_throttled(), cause == Cause::Throttled);
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

#[test]
fn rooms_are_counted_with_their_admins() {
    let rooms: Vec<RoomId> = ["room1", "room2"].map(|room| room.parse().unwrap()).into();
    let read = |rows: Value| {
        let answer = json!({ "Code": 0, "Data": { "UserCountList": rows } });
        read_user_num(&rooms, &Answer::ok(answer.to_string())).unwrap()
    };
    let count = |people, admins| RoomCount { room: rooms[0].clone(), people, admins };
    let row = json!({ "RoomId": "room1", "UserCount": 2, "AdminUserCount": 1 });
    assert_eq!(read(json!([row, row])), [count(2, 1)]);
    assert_eq!(read(json!([{ "RoomId": "room1", "UserCount": 0 }])), [count(0, 0)]);
    assert_eq!(read(json!([{ "RoomId": "room1" }, { "RoomId": "room3", "UserCount": 1 }])), []);
    let none = read_user_num(&rooms, &Answer::ok(json!({ "Code": 50_001 }).to_string()));
    assert_eq!(none, Ok(Vec::new()));
}

/// Whatever is done to an answer: each word is about somebody who was asked about, and the answer
/// has it, as `serde_json` reads it.
fn check(answer: &Answer) {
    let asked = [user("a"), user("b"), user("c")];
    let json = json_of(answer).map(Value::Object).unwrap_or_default();
    let is_ok = answer.status == http::StatusCode::OK;
    let number = |value: Option<&Value>| match value? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    let code = number(at(&json, &["Code"])).filter(|_| is_ok);
    match read_users(&asked, answer) {
        Ok(UsersAnswer::Of(said)) => {
            assert_eq!(code, Some(0), "{json}");
            let rows = at(&json, &["Data", "UserStatusList"]).and_then(Value::as_array);
            for (user, says) in said {
                assert!(asked.contains(&user));
                let rows = rows.unwrap().iter().filter(|row| match &row["UserId"] {
                    Value::Number(id) => id.to_string() == user.as_str(),
                    id => id.as_str() == Some(user.as_str()),
                });
                let statuses: Vec<_> = rows.map(|row| number(row.get("Status"))).collect();
                let status = u64::from(says != Says::Out);
                assert!(!statuses.is_empty(), "{json}");
                assert!(statuses.iter().all(|said| *said == Some(status)), "{json}");
            }
        }
        Ok(UsersAnswer::NoSuchRoom) => assert!([104, 5024, 50_001].contains(&code.unwrap())),
        Ok(UsersAnswer::AskOneByOne) => assert!([105, 50_003].contains(&code.unwrap())),
        Err(_) => {}
    }
    if let Ok(page) = read_user_list(None, answer) {
        assert!([0, 104, 5024, 50_001].contains(&code.unwrap()));
        let people = at(&json, &["Data", "UserList"]).and_then(Value::as_array);
        assert!(page.people.len() <= people.map_or(0, Vec::len));
    }
    if let Ok(counts) = read_user_num(&["r".parse().unwrap()], answer) {
        assert!(counts.len() <= 1);
    }
}

#[test]
fn odd_answers_are_errors_or_say_what_they_say() {
    let row = |user: &str, status: u8| json!({ "UserId": user, "Status": status, "LoginTime": 1_675_674_019_365_u64, "UserRole": 2 });
    let good = json!({
        "Code": 0, "Message": "success", "RequestId": "1",
        "Data": { "UserStatusList": [row("a", 0), row("b", 1)] }
    });
    let answers = odd_answers(&good);
    assert!(answers.len() > 400, "{}", answers.len());
    answers.iter().for_each(check);
    let page = json!({
        "Code": 0, "Data": { "Marker": "1-a", "UserList": [{ "UserId": "a", "UserName": "a" }] }
    });
    odd_answers(&page).iter().for_each(check);
    // Without status 200, and in each part of an answer, nothing is said.
    for answer in &answers[..16] {
        assert!(matches!(read_users(&[user("a")], answer), Err(ApiError::Status { .. })));
    }
}

proptest! {
    #[test]
    fn other_bytes_are_errors(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&Answer::ok(body));
    }
}
