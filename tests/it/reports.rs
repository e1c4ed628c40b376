//! Reports: their digests, when they are final, days, roles, and what cannot be asked.

use std::time::Duration;

use rollcall::{callback::Secret, domain::UnixMillis};
use rollcall_players::{
    tencent::EventName::{self, TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit, TrtcRole},
    zego::{
        Event,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};
use serde_json::{Value, json};

use crate::support::{Database, Fault, Handlers, SECRET, TRTC_KEY, tencent_event, zego_event};

/// 2026-11-26T07:00:00Z
const START: u64 = 1_795_676_400_000;
const LIFE: u64 = 6_085_791_336_856_668_982;
const ROOM: &str = "/reports/zego/1/rooms/lesson-7";

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(START + seconds * 1000)
}

async fn start() -> (Database, Handlers) {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    (database, handlers)
}

fn event(name: rollcall_players::zego::EventName, user: &str, seconds: u64) -> Event {
    let room = "lesson-7".to_owned();
    Event { room, life: LIFE, user: user.to_owned(), ..zego_event(name, at(seconds)) }
}

/// A login, and a logout if the visit ends.
fn visit(user: &str, session: u64, from: u64, to: Option<u64>) -> Vec<Event> {
    let session = (100_000_000 + session).to_string();
    let login = Event { session, sequence: from + 1, ..event(RoomLogin, user, from) };
    let logout =
        to.map(|to| Event { name: RoomLogout, at: at(to), sequence: to + 1, ..login.clone() });
    [login].into_iter().chain(logout).collect()
}

async fn deliver(handlers: &Handlers, events: impl IntoIterator<Item = Event>) {
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for event in events {
        let now = UnixMillis(event.at.0.max(event.login_time.0));
        let reply = handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// The lesson of the example in `openapi.yaml`.
fn lesson() -> Vec<Event> {
    let bob = visit("bob", 2, 60, Some(2760)).into_iter().map(|event| Event {
        role: 1,
        nickname: "Bob".to_owned(),
        ..event
    });
    [event(RoomCreate, "ada", 0)]
        .into_iter()
        .chain(visit("ada", 1, 0, Some(1000)))
        .chain(bob)
        .chain(visit("ada", 3, 1100, Some(2800)))
        .chain([event(RoomClose, "ada", 2800)])
        .collect()
}

async fn ask(handlers: &Handlers, path: &str, query: &str, seconds: u64) -> Value {
    let (status, answer) = handlers.get(path, query, at(seconds)).await;
    assert_eq!(status, 200, "{path}?{query}: {answer}");
    answer
}

/// The status and the code of an error.
async fn refused(handlers: &Handlers, path: &str, query: &str) -> (u16, String) {
    let (status, answer) = handlers.get(path, query, at(3600)).await;
    (status.as_u16(), answer["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// The digest was computed by the Python in `docs/design.md`.
#[tokio::test]
async fn the_digest_is_the_one_that_anyone_can_compute() {
    let (_database, handlers) = start().await;
    deliver(&handlers, lesson()).await;
    let report = ask(&handlers, ROOM, "", 3600).await;
    let digest = "sha256:30bf50fd854751815f745d2d830860b465eb5a59b09f64378ab056ba40695caa";
    let ada = json!({
        "user": "ada", "name": "Ada", "roles": ["audience"],
        "first_entered_at": START, "last_left_at": START + 2_800_000,
        "visits": 2, "present_ms": 2_700_000, "share": 0.9642, "reason": "normal", "assumed": false
    });
    let bob = json!({
        "user": "bob", "name": "Bob", "roles": ["anchor"],
        "first_entered_at": START + 60_000, "last_left_at": START + 2_760_000,
        "visits": 1, "present_ms": 2_700_000, "share": 0.9642, "reason": "normal", "assumed": false
    });
    let missing = report["missing"].clone();
    assert!(missing.as_u64() > Some(0), "the sequence has holes: {missing}");
    assert_eq!(
        report,
        json!({
            "provider": "zego", "app": "1", "room": "lesson-7", "life": LIFE.to_string(),
            "as_of": START + 3_600_000, "began_at": START, "began_assumed": false,
            "ended_at": START + 2_800_000, "ended_assumed": false, "final": true, "digest": digest,
            "people": 2, "admins": 0, "person_ms": 5_400_000,
            "peak": { "online": 2, "at": START + 60_000 }, "missing": missing,
            "rows": [ada, bob], "next": null
        })
    );
    let together = ask(&handlers, &format!("{ROOM}/together"), "a=ada&b=role:anchor", 3600).await;
    assert_eq!(
        together["spans"],
        json!([{ "from": START + 60_000, "to": START + 1_000_000 },
               { "from": START + 1_100_000, "to": START + 2_760_000 }])
    );
    assert_eq!(together["together_ms"], 2_600_000);
}

#[tokio::test]
async fn the_digest_changes_with_a_late_callback_and_with_nothing_else() {
    let (_database, handlers) = start().await;
    let late = visit("cyd", 9, 500, Some(600));
    deliver(&handlers, lesson()).await;
    let first = ask(&handlers, ROOM, "", 3600).await;
    // Nothing new happened, however it is asked and whatever arrives again.
    deliver(&handlers, lesson()).await;
    let life = format!("life={LIFE}&settle=0");
    for (query, seconds) in [("", 3601), (life.as_str(), 90_000), ("limit=1", 3600)] {
        assert_eq!(ask(&handlers, ROOM, query, seconds).await["digest"], first["digest"]);
    }
    deliver(&handlers, late).await;
    let later = ask(&handlers, ROOM, "", 3600).await;
    assert!(later["digest"] != first["digest"]);
    assert_eq!((&later["people"], &later["final"]), (&json!(3), &json!(true)));
}

#[tokio::test]
async fn a_report_is_final_once_the_life_has_ended_and_the_settle_time_has_passed() {
    let (_database, handlers) = start().await;
    let mut events = lesson();
    let close = events.pop().unwrap();
    deliver(&handlers, events).await;
    let is_final = async |query: &str, seconds| {
        let path = format!("{ROOM}/together");
        let report = ask(&handlers, ROOM, query, seconds).await["final"].clone();
        let together = ask(&handlers, &path, &format!("a=ada&b=bob&{query}"), seconds).await;
        assert_eq!(report, together["final"]);
        report == true
    };
    assert!(!is_final("", 100_000).await, "it was never closed");
    deliver(&handlers, [close]).await;
    assert!(!is_final("", 3399).await);
    assert!(is_final("", 3400).await);
    assert!(is_final("settle=0", 2800).await);
    assert!(!is_final("settle=601", 3400).await);
    assert_eq!(refused(&handlers, ROOM, "settle=-1").await, (400, "bad_parameter".to_owned()));
    assert_eq!(refused(&handlers, ROOM, "settle=2592001").await.0, 400);
}

#[tokio::test]
async fn a_report_is_of_the_newest_life_or_of_the_one_that_is_named() {
    let (_database, handlers) = start().await;
    deliver(&handlers, lesson()).await;
    let next = |event: Event| Event { life: 8, ..event };
    deliver(&handlers, [next(event(RoomCreate, "ada", 5000))]).await;
    deliver(&handlers, visit("eve", 20, 5001, None).into_iter().map(next)).await;
    let of = async |query: &str| {
        let report = ask(&handlers, ROOM, query, 6000).await;
        (report["life"].as_str().unwrap().to_owned(), report["people"].as_u64().unwrap())
    };
    assert_eq!(of("").await, ("8".to_owned(), 1));
    assert_eq!(of("life=8").await, ("8".to_owned(), 1));
    assert_eq!(of(&format!("life={LIFE}")).await, (LIFE.to_string(), 2));
    assert_eq!(refused(&handlers, ROOM, "life=9").await, (404, "not_found".to_owned()));
    assert_eq!(refused(&handlers, ROOM, "life=").await.0, 400);
    assert_eq!(refused(&handlers, "/reports/zego/1/rooms/nowhere", "").await.0, 404);
    // The pages of one report stay with its life, whatever begins meanwhile.
    let first = ask(&handlers, ROOM, &format!("life={LIFE}&limit=1"), 6000).await;
    let next = format!("limit=1&next={}", first["next"].as_str().unwrap());
    let second = ask(&handlers, ROOM, &next, 6000).await;
    assert_eq!((&second["life"], &second["rows"][0]["user"]), (&first["life"], &json!("bob")));
    for other in ["life=8", "from=1", "to=1"] {
        assert_eq!(refused(&handlers, ROOM, &format!("{next}&{other}")).await.0, 400, "{other}");
    }
}

#[tokio::test]
async fn a_cursor_that_somebody_made_up_is_refused_or_harmless() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    let (_database, handlers) = start().await;
    deliver(&handlers, lesson()).await;
    let first = ask(&handlers, ROOM, "limit=1", 3600).await;
    let cursor = BASE64_URL_SAFE_NO_PAD.decode(first["next"].as_str().unwrap()).unwrap();
    let cursor: Value = serde_json::from_slice(&cursor).unwrap();
    let with = async |path: &str, value: Value| {
        let mut forged = cursor.clone();
        *forged.pointer_mut(path).unwrap() = value;
        let forged = BASE64_URL_SAFE_NO_PAD.encode(forged.to_string());
        handlers.get(ROOM, &format!("limit=1&next={forged}"), at(3600)).await
    };
    for digest in ["", "sha256:", "sha256:zz", "<script>"] {
        assert_eq!(with("/totals/digest", json!(digest)).await.0, 400, "{digest}");
    }
    for (path, value) in [
        ("/as_of", json!(u64::MAX)),
        ("/as_of", json!(0)),
        ("/totals/began_at", json!(u64::MAX)),
        ("/totals/ended_at", json!(0)),
        ("/totals/began_at", json!(null)),
        ("/after", json!("")),
    ] {
        let (status, page) = with(path, value.clone()).await;
        assert_eq!(status, 200, "{path} {value}");
        assert!(page["rows"][0]["share"].as_f64().is_none_or(|share| share <= 1.0), "{page}");
        assert!(page["as_of"].as_u64() <= Some(at(3600).0), "{page}");
    }
    assert_eq!(with("/life", json!("none")).await.0, 404);
    assert_eq!(with("/to", json!(5)).await.0, 400);
}

/// The clocks of two servers may differ.
#[tokio::test]
async fn nobody_is_present_for_longer_than_the_room() {
    let (_database, handlers) = start().await;
    deliver(&handlers, [event(RoomCreate, "ada", 100), event(RoomClose, "ada", 200)]).await;
    deliver(&handlers, visit("ada", 1, 95, Some(205))).await;
    deliver(&handlers, visit("bob", 2, 150, Some(201))).await;
    deliver(&handlers, visit("cyd", 3, 90, Some(99))).await;
    let report = ask(&handlers, ROOM, "", 3600).await;
    let rows = report["rows"].as_array().unwrap();
    let present: Vec<_> = rows.iter().map(|row| (&row["present_ms"], &row["share"])).collect();
    let expected =
        [(&json!(100_000), &json!(1.0)), (&json!(50_000), &json!(0.5)), (&json!(0), &json!(0.0))];
    assert_eq!(present, expected);
    assert_eq!(
        (&rows[0]["first_entered_at"], &rows[0]["last_left_at"]),
        (&json!(at(95).0), &json!(at(205).0))
    );
    assert_eq!(report["peak"], json!({ "online": 2, "at": at(150).0 }));
    let together = ask(&handlers, &format!("{ROOM}/together"), "a=ada&b=bob", 3600).await;
    assert_eq!(together["spans"], json!([{ "from": at(150).0, "to": at(200).0 }]));
}

#[tokio::test]
async fn recorders_are_counted_but_are_no_people() {
    let (_database, handlers) = start().await;
    let recorder = visit("recorder", 5, 10, Some(2000)).into_iter();
    deliver(&handlers, lesson()).await;
    let before = ask(&handlers, ROOM, "", 3600).await;
    deliver(&handlers, recorder.map(|event| Event { role: 4, ..event })).await;
    let report = ask(&handlers, ROOM, "", 3600).await;
    assert_eq!((&report["people"], &report["admins"]), (&json!(2), &json!(1)));
    assert_eq!((&report["digest"], &report["peak"]), (&before["digest"], &before["peak"]));
    let path = format!("{ROOM}/together");
    let together = ask(&handlers, &path, "a=role:admin&b=bob", 3600).await;
    assert_eq!(together["together_ms"], 1_940_000);
}

#[tokio::test]
async fn an_open_visit_lasts_until_now_and_no_longer_than_the_span() {
    let (_database, handlers) = start().await;
    deliver(&handlers, [event(RoomCreate, "ada", 0)]).await;
    deliver(&handlers, visit("ada", 1, 100, None)).await;
    let present = async |query: &str, seconds| {
        let report = ask(&handlers, ROOM, query, seconds).await;
        let row = &report["rows"][0];
        assert_eq!((&row["reason"], &row["last_left_at"]), (&Value::Null, &Value::Null));
        (row["present_ms"].as_u64().unwrap(), row["share"].as_f64())
    };
    assert_eq!(present("", 1000).await, (900_000, Some(0.9)));
    assert_eq!(present("", 2000).await.0, 1_900_000);
    let span = format!("from={}&to={}", at(200).0, at(300).0);
    assert_eq!(present(&span, 1000).await, (100_000, Some(1.0)));
    assert_eq!(present(&format!("from={}", at(900).0), 1000).await, (100_000, Some(1.0)));
    let before = format!("to={}", at(99).0);
    let report = ask(&handlers, ROOM, &before, 1000).await;
    assert_eq!((&report["people"], &report["rows"]), (&json!(0), &json!([])));
    assert_eq!(report["peak"], json!({ "online": 0, "at": null }));
}

async fn trtc(handlers: &Handlers, name: EventName, user: &str, seconds: u64, role: u16) {
    let mut event = tencent_event(name, at(seconds));
    event.options.user = user.to_owned();
    event.options.role = role;
    let key = Secret::new(TRTC_KEY.to_owned()).unwrap();
    let reply = handlers.deliver(&event.callback(&key), at(seconds)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn a_room_without_lives_is_reported_by_its_span() {
    let (_database, handlers) = start().await;
    let room = "/reports/tencent/1400000000/rooms/lobby";
    trtc(&handlers, TrtcExit, "zoe", 0, 21).await;
    trtc(&handlers, TrtcCreate, "ada", 10, 20).await;
    trtc(&handlers, TrtcEnter, "ada", 10, 21).await;
    trtc(&handlers, TrtcRole, "ada", 50, 20).await;
    trtc(&handlers, TrtcRole, "ada", 60, 21).await;
    trtc(&handlers, TrtcDismiss, "ada", 110, 20).await;
    let report = ask(&handlers, room, "", 1000).await;
    assert_eq!((&report["life"], &report["missing"]), (&Value::Null, &Value::Null));
    assert_eq!((&report["began_at"], &report["ended_at"]), (&json!(at(10).0), &json!(at(110).0)));
    let ada = &report["rows"][0];
    assert_eq!(ada["roles"], json!(["audience", "anchor"]));
    assert_eq!((&ada["present_ms"], &ada["share"]), (&json!(100_000), &json!(1.0)));
    assert_eq!((&ada["reason"], &ada["assumed"]), (&json!("room_closed"), &json!(true)));
    // Only the end is known: a visit without minutes.
    let zoe = &report["rows"][1];
    assert_eq!((&zoe["visits"], &zoe["present_ms"]), (&json!(1), &json!(0)));
    assert_eq!((&zoe["first_entered_at"], &zoe["assumed"]), (&Value::Null, &json!(true)));

    let is_final =
        async |query: String, seconds| ask(&handlers, room, &query, seconds).await["final"] == true;
    let to = format!("to={}", at(200).0);
    assert!(!is_final(String::new(), 100_000).await, "the span never ends");
    assert!(!is_final(to.clone(), 799).await);
    assert!(is_final(to.clone(), 800).await);
    trtc(&handlers, TrtcEnter, "bob", 150, 20).await;
    assert!(!is_final(to, 800).await, "Bob is in");
    assert_eq!(ask(&handlers, room, "", 1000).await["ended_at"], at(110).0);
    trtc(&handlers, TrtcCreate, "bob", 160, 20).await;
    assert_eq!(ask(&handlers, room, "", 1000).await["ended_at"], Value::Null);
    assert_eq!(refused(&handlers, room, "life=7").await, (400, "bad_parameter".to_owned()));
    let openim = "/reports/openim/main/rooms/lobby";
    assert_eq!(refused(&handlers, openim, "").await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_user_whose_id_begins_like_a_role_can_be_asked_for() {
    let (_database, handlers) = start().await;
    deliver(&handlers, [event(RoomCreate, "ada", 0)]).await;
    for (number, user) in ["role:anchor", "user:ada", "ada"].into_iter().enumerate() {
        let session = number as u64;
        deliver(&handlers, visit(user, session, 10 + session, Some(110 + session))).await;
    }
    let path = format!("{ROOM}/together");
    let together = async |a: &str, b: &str| {
        let answer = ask(&handlers, &path, &format!("a={a}&b={b}"), 1000).await;
        assert_eq!((&answer["a"], &answer["b"]), (&json!(a), &json!(b)));
        answer["together_ms"].as_u64().unwrap() / 1000
    };
    assert_eq!(together("user:role:anchor", "user:user:ada").await, 99);
    assert_eq!(together("user:ada", "user:role:anchor").await, 98);
    assert_eq!(together("ada", "user:user:ada").await, 99);
    assert_eq!(together("ada", "role:audience").await, 100 - 1);
    assert_eq!(together("role:audience", "role:audience").await, 100);
    assert_eq!(together("ada", "role:anchor").await, 0, "nobody has that role");
    assert_eq!(together("ada", "stranger").await, 0);
    for bad in ["a=ada", "a=ada&b=ada", "a=ada&b=user:ada", "a=role:king&b=ada", "a=&b=ada"] {
        assert_eq!(
            refused(&handlers, &path, bad).await,
            (400, "bad_parameter".to_owned()),
            "{bad}"
        );
    }
    assert_eq!(refused(&handlers, "/reports/zego/1/together", "a=ada&b=bob").await.0, 400);
    let nowhere = "room=nowhere&a=ada&b=bob";
    assert_eq!(refused(&handlers, "/reports/zego/1/together", nowhere).await.0, 404);
}

/// The store hangs, so the limit decides when the answer comes.
#[tokio::test]
async fn a_report_that_takes_too_long_is_refused_and_the_answer_says_what_to_ask() {
    let (_database, proxy, handlers) = Handlers::observed().await;
    deliver(&handlers, lesson()).await;
    let mut hasty = handlers.clone();
    hasty.queries.limits.time = Duration::from_millis(50);
    // The erasures are read before the report begins.
    let is_report = |request: &str| !request.contains("#erasures");
    proxy.faults(move |request| is_report(&request.body).then_some(Fault::Hang));
    for (path, query, instead) in [
        (ROOM, "", "/attendance"),
        ("/reports/zego/1/users/ada", "", ""),
        (&format!("{ROOM}/together"), "a=ada&b=bob", "by their ids"),
        (&format!("{ROOM}/together"), "a=ada&b=role:anchor", "by their ids"),
    ] {
        let (status, answer) = hasty.get(path, query, at(3600)).await;
        assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &json!("too_large")));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("`from`") && message.contains(instead), "{message}");
    }
    proxy.break_with(None);
    hasty.queries.limits.time = handlers.queries.limits.time;
    assert_eq!(hasty.get(ROOM, "", at(3600)).await.0, 200);
}

#[tokio::test]
async fn more_spans_than_an_answer_can_have_are_refused() {
    let (_database, handlers) = start().await;
    deliver(&handlers, lesson()).await;
    let spans = async |limit: usize, query: &str| {
        let mut limited = handlers.clone();
        limited.queries.limits.spans = limit;
        let query = format!("a=ada&b=bob&{query}");
        limited.get(&format!("{ROOM}/together"), &query, at(3600)).await
    };
    let (status, answer) = spans(2, "").await;
    assert_eq!((status.as_u16(), answer["spans"].as_array().unwrap().len()), (200, 2));
    let (status, answer) = spans(1, "").await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &json!("too_large")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("more than 1 spans"), "{answer}");
    // As the message says, a shorter span is answered.
    assert_eq!(spans(1, &format!("to={}", at(1050).0)).await.0, 200);
}

/// How long these days are was computed by Python's `zoneinfo`.
#[tokio::test]
async fn days_begin_at_midnight_in_the_time_zone() {
    let (_database, handlers) = start().await;
    let days = [
        ("Europe/Berlin", "2026-03-29", 1_774_738_800_000, 82_800_000),
        ("Europe/Berlin", "2026-10-25", 1_792_879_200_000, 90_000_000),
        ("America/New_York", "2026-11-01", 1_793_505_600_000, 90_000_000),
        ("Australia/Lord_Howe", "2026-04-05", 1_775_307_600_000, 88_200_000),
        ("UTC", "2026-03-29", 1_774_742_400_000, 86_400_000),
        // Midnight was left out: the day began at one o'clock.
        ("America/Sao_Paulo", "2018-11-04", 1_541_300_400_000, 82_800_000),
    ];
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    for (number, (zone, day, begins, length)) in days.into_iter().enumerate() {
        // From an hour before the day until two hours after it.
        let user = format!("user{number}");
        let (from, to) = (begins - 3_600_000, begins + length + 7_200_000);
        let login = Event { user: user.clone(), ..zego_event(RoomLogin, UnixMillis(from)) };
        let at = UnixMillis(to);
        let logout = Event { name: RoomLogout, at, sequence: 2, ..login.clone() };
        for event in [login, logout] {
            handlers.deliver(&event.callback(&secret, at.seconds(), "1"), at).await;
        }
        let path = format!("/reports/zego/1/users/{user}");
        let (_, report) = handlers.get(&path, &format!("timezone={zone}"), at).await;
        let rows = report["rows"].as_array().unwrap();
        let of = |row: &Value| (row["visits"].as_u64(), row["present_ms"].as_u64());
        assert_eq!(rows.len(), 3, "{zone} {report}");
        assert_eq!(of(&rows[0]), (Some(1), Some(3_600_000)), "{zone}");
        assert_eq!((rows[1]["day"].as_str(), of(&rows[1])), (Some(day), (Some(1), Some(length))));
        assert_eq!(of(&rows[2]), (Some(1), Some(7_200_000)), "{zone}");
        assert_eq!((&report["visits"], &report["timezone"]), (&json!(1), &json!(zone)));
        assert_eq!(report["present_ms"].as_u64(), Some(to - from));
    }
    for zone in ["Mars/Olympus", "", "+01:00"] {
        let (status, _) =
            handlers.get("/reports/zego/1/users/user0", &format!("timezone={zone}"), at(0)).await;
        assert_eq!(status, 400, "{zone}");
    }
    assert_eq!(refused(&handlers, "/reports/zego/1/users/nobody", "").await.0, 404);
}

/// The island of Upolu had no 30 December 2011.
#[tokio::test]
async fn a_day_that_a_time_zone_left_out_has_no_row() {
    let (_database, handlers) = start().await;
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let noon = 1_325_239_200_000 - 43_200_000;
    let now = UnixMillis(noon + 86_400_000);
    let login = zego_event(RoomLogin, UnixMillis(noon));
    handlers.deliver(&login.callback(&secret, now.seconds(), "1"), now).await;
    let (_, report) = handlers.get("/reports/zego/1/users/ada", "timezone=Pacific/Apia", now).await;
    let days: Vec<_> = report["rows"].as_array().unwrap().iter().map(|row| &row["day"]).collect();
    assert_eq!(days, ["2011-12-29", "2011-12-31"]);
    assert_eq!(Duration::from_millis(report["present_ms"].as_u64().unwrap()).as_secs(), 86_400);
}
