//! Lists as CSV: the same rows as in JSON, page by page, for any reader of CSV and in a spreadsheet.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Response, StatusCode};
use rollcall_players::zego::{
    Event,
    EventName::{RoomLogin, RoomLogout},
};
use serde_json::{Value, json};

use crate::support::{Moment, OPENIM_PASSWORD, TestApp, zego_event};

/// Texts that CSV, a spreadsheet or a reader could take for something else.
const NASTY: [&str; 16] = [
    "a, b",
    "say \"hi\"",
    "two\nlines",
    "two\r\nlines\r",
    "\rreturn",
    "\ttab",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'quoted'",
    "''",
    "😀, \"é\"",
    " spaces ",
    "=cmd|' /C calc'!A0, \"x\"\r\n",
    "1e5",
];

fn encoded(id: &str) -> String {
    utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()
}

/// How a client asks for CSV.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Parameter,
    Accept,
}

async fn get(app: &TestApp, path: &str, ask: Ask) -> Response {
    let accept = match ask {
        Ask::Parameter => "application/json",
        Ask::Accept => "text/csv",
    };
    app.http.get(format!("{}{path}", app.url)).header("accept", accept).send().await.unwrap()
}

/// The rows of all pages of a list in CSV, following `link`; each cell as its reader has it, by its
/// name. And the number of pages.
async fn rows_in_csv(app: &TestApp, path: &str, ask: Ask) -> (Vec<Value>, usize) {
    let (mut rows, mut pages, mut path) = (Vec::new(), 0, path.to_owned());
    loop {
        let response = get(app, &path, ask).await;
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let content_type = "text/csv; charset=utf-8; header=present";
        assert_eq!(header("content-type").as_deref(), Some(content_type));
        let link = header("link");
        let text = response.text().await.unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        for record in reader.records() {
            let record = record.unwrap();
            for cell in &record {
                assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{cell:?} is a formula");
                let is_number = cell.parse::<i64>().is_ok();
                assert!(!cell.starts_with('-') || is_number, "{cell:?} is a formula");
            }
            let cell = |cell: &str| json!(cell.strip_prefix('\'').unwrap_or(cell));
            let row = names.iter().zip(&record).map(|(name, of)| (name.to_owned(), cell(of)));
            rows.push(Value::Object(row.collect()));
        }
        pages += 1;
        let Some(link) = link else { return (rows, pages) };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        next.unwrap_or_else(|| panic!("{link}")).clone_into(&mut path);
        assert!(path.starts_with('/'), "{path}");
    }
}

/// The rows of a list in JSON, each value as a cell has it.
async fn rows_in_json(app: &TestApp, path: &str, list: &str) -> Vec<Value> {
    let (status, mut answer) = app.get(path).await;
    assert_eq!((status.as_u16(), &answer["next"]), (200, &Value::Null), "{answer}");
    let Value::Array(mut rows) = answer[list].take() else { panic!("no {list}") };
    for value in rows.iter_mut().flat_map(|row| row.as_object_mut().unwrap().values_mut()) {
        let cell = match &*value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Array(texts) => {
                texts.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        *value = json!(cell);
    }
    rows
}

/// The same rows in both formats, whichever way a client asks and whatever the size of a page.
async fn assert_same_rows(app: &TestApp, path: &str, list: &str, count: usize) {
    let expected = rows_in_json(app, &format!("{path}limit=1000"), list).await;
    assert_eq!(expected.len(), count, "{path}");
    for limit in [1000, 5] {
        let path = format!("{path}limit={limit}");
        let parameter = rows_in_csv(app, &format!("{path}&format=csv"), Ask::Parameter).await;
        let accept = rows_in_csv(app, &path, Ask::Accept).await;
        for (found, pages) in [parameter, accept] {
            assert_eq!(found, expected, "{path}");
            assert_eq!(pages, count.div_ceil(limit), "{path}");
        }
    }
}

#[tokio::test]
async fn registrations_in_csv_are_those_in_json() {
    let app = TestApp::start().await;
    let user = |(number, text): (usize, &&str)| {
        json!({
            "userID": format!("{text}{number}"), "nickname": text, "faceURL": text, "ex": text,
            "appMangerLevel": -1, "globalRecvMsgOpt": number,
        })
    };
    let mut users: Vec<Value> = NASTY.iter().enumerate().map(user).collect();
    users.push(json!({ "userID": "only-an-id" }));
    let body = json!({ "callbackCommand": "callbackAfterUserRegisterCommand", "users": users });
    let basic = BASE64_STANDARD.encode(format!("openim:{OPENIM_PASSWORD}"));
    let headers = [("authorization", format!("Basic {basic}"))];
    let path = "/openim/callbackAfterUserRegisterCommand";
    let answer = app.post_with(path, &headers, body.to_string()).await;
    assert_eq!(answer.outcome.as_deref(), Some("applied"), "{}", answer.body);
    let path = "/registrations/openim/main?from=1&";
    assert_same_rows(&app, path, "registrations", users.len()).await;
}

#[tokio::test]
async fn attendance_and_reports_in_csv_are_those_in_json() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    let (user, room) = ("=ada, \"l\"/\r\n", "+lobby & co/\t1?");
    let mut visits = Vec::new();
    for (number, text) in NASTY.iter().enumerate() {
        let at = start.plus(number as u64 * 10);
        let session = (100_000 + number).to_string();
        let login = Event { nickname: (*text).to_owned(), session, ..zego_event(RoomLogin, at) };
        visits.push(Event { user: user.to_owned(), room: format!("{text}r"), ..login.clone() });
        visits.push(Event { user: format!("{text}u"), room: room.to_owned(), ..login });
    }
    for login in visits {
        // The duration of an open visit grows.
        let at = login.at.after(Duration::from_secs(2));
        let logout = Event { name: RoomLogout, at, sequence: 9, ..login.clone() };
        for event in [login, logout] {
            assert_eq!(app.outcome(&event).await, "applied");
        }
    }
    let of_user = format!("/attendance/zego/1/users?user={}&", encoded(user));
    assert_same_rows(&app, &of_user, "sessions", NASTY.len()).await;
    let of_room = format!("/attendance/zego/1/rooms?to=9000000000000&room={}&", encoded(room));
    assert_same_rows(&app, &of_room, "sessions", NASTY.len()).await;
    // Of a life that lasts, shares change with time.
    let until = start.plus(3000).0;
    let report = format!("/reports/zego/1/rooms?to={until}&room={}&", encoded(room));
    assert_same_rows(&app, &report, "rows", NASTY.len()).await;
    // In the path, where a server decodes it.
    let of_user = format!("/attendance/zego/1/users/{}?", encoded("a, bu"));
    assert_same_rows(&app, &of_user, "sessions", 1).await;
}

/// The address of the next page has the same path and parameters, but for the cursor.
#[tokio::test]
async fn the_link_is_the_same_request_for_the_next_page() {
    let app = TestApp::start().await;
    let start = Moment::recent();
    for number in 0..3 {
        let session = (100_000 + number).to_string();
        let user = format!("u{number}");
        let event = Event {
            room: "a b".to_owned(),
            user,
            session,
            ..zego_event(RoomLogin, start.plus(number))
        };
        assert_eq!(app.outcome(&event).await, "applied");
    }
    let next = async |path: &str| -> String {
        let response = get(&app, path, Ask::Accept).await;
        assert_eq!(response.status(), 200);
        response.headers()["link"].to_str().unwrap().to_owned()
    };
    let link = next("/attendance/zego/1/rooms/a%20b?limit=1&from=5&x=%C3%A9%3E%0D%0A").await;
    let (before, cursor) = link.split_once("&next=").unwrap();
    assert_eq!(before, "</attendance/zego/1/rooms/a%20b?limit=1&from=5&x=%C3%A9%3E%0D%0A");
    let (cursor, _) = cursor.split_once('>').unwrap();
    let second = next(&format!("/attendance/zego/1/rooms?next={cursor}&room=a+b&limit=1")).await;
    assert!(second.starts_with("</attendance/zego/1/rooms?room=a+b&limit=1&next="), "{second}");
    assert_eq!(second.matches("next=").count(), 1, "{second}");
    assert!(!second.contains(cursor), "{second}");
}

#[tokio::test]
async fn errors_are_json_and_the_parameter_has_priority() {
    let app = TestApp::start().await;
    assert_eq!(app.outcome(&zego_event(RoomLogin, Moment::recent().plus(0))).await, "applied");
    let answer = async |path: &str, ask: Ask| {
        let response = get(&app, path, ask).await;
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let (status, text) = (response.status(), response.text().await.unwrap());
        (status, content_type, serde_json::from_str::<Value>(&text).ok())
    };
    for (path, status, code) in [
        ("/attendance/zego/1/rooms/lobby?format=xml", StatusCode::BAD_REQUEST, "bad_parameter"),
        ("/attendance/zego/1/rooms/lobby?format=CSV", StatusCode::BAD_REQUEST, "bad_parameter"),
        ("/registrations/zego/1?format=", StatusCode::BAD_REQUEST, "bad_parameter"),
        ("/registrations/zego/1?format=csv&limit=0", StatusCode::BAD_REQUEST, "bad_parameter"),
        ("/attendance/zego/1/users/nobody?format=csv", StatusCode::NOT_FOUND, "not_found"),
    ] {
        let (found, content_type, body) = answer(path, Ask::Accept).await;
        assert_eq!((found, content_type.as_str()), (status, "application/json"), "{path}");
        assert_eq!(body.unwrap()["error"]["code"], code, "{path}");
    }
    // Of an answer that is no list, there is only JSON.
    for path in [
        "/attendance/zego/1/rooms/lobby?format=json",
        "/presence/zego/1/rooms/lobby?format=csv",
        "/presence/zego/1/users/ada?format=xml",
    ] {
        let (status, content_type, body) = answer(path, Ask::Accept).await;
        assert_eq!((status.as_u16(), content_type.as_str()), (200, "application/json"), "{path}");
        assert!(body.is_some());
    }
    let response = get(&app, "/registrations/zego/1?format=csv", Ask::Parameter).await;
    assert!(!response.headers().contains_key("link"));
    let header = "provider,app,user,name,avatar_url,extra,extra_truncated,manager_level,\
                  receive_option,registered_at,registered_at_from,recorded_at,source,\
                  profile_changed_at,profile_read_at\r\n";
    assert_eq!(response.text().await.unwrap(), header, "a header without rows");
}
