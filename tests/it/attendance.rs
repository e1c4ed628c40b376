//! Who was where, from when to when, and how this is inferred when callbacks were lost.

use std::{collections::BTreeSet, time::Duration};

use rollcall::{callback::Secret, domain::UnixMillis};
use rollcall_players::{
    openim, tencent,
    zego::{
        Event,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};
use serde_json::{Value, json};

use crate::support::{
    Database, Handlers, RETENTION, SECRET, TRTC_KEY, apps, dump, iam, openim_event, tencent_event,
    zego_event,
};

const START: u64 = 1_790_000_000_000;
const DAY: u64 = 86_400_000;
const TRTC: &str = "/attendance/tencent/1400000000";

fn at(ms: u64) -> UnixMillis {
    UnixMillis(START + ms)
}

async fn start() -> (Database, Handlers) {
    let database = Database::start().await;
    let handlers = Handlers::on(&database.url);
    (database, handlers)
}

/// Delivers a ZEGO event a minute after it happened.
async fn zego(handlers: &Handlers, event: &Event) {
    let secret = Secret::new(SECRET.to_owned()).unwrap();
    let now = UnixMillis(event.at.0.max(event.login_time.0) + 60_000);
    let reply = handlers.deliver(&event.callback(&secret, now.seconds(), "1"), now).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

fn login(user: &str, life: u64, session: u64, sequence: u64, ms: u64) -> Event {
    let (user, session) = (user.to_owned(), session.to_string());
    Event { user, life, session, sequence, ..zego_event(RoomLogin, at(ms)) }
}

fn logout(login: &Event, sequence: u64, ms: u64) -> Event {
    Event { name: RoomLogout, sequence, at: at(ms), ..login.clone() }
}

fn boundary(name: rollcall_players::zego::EventName, life: u64, ms: u64) -> Event {
    Event { life, ..zego_event(name, at(ms)) }
}

/// Delivers a TRTC event when it happens.
async fn trtc(handlers: &Handlers, name: tencent::EventName, user: &str, ms: u64) {
    let mut event = tencent_event(name, at(ms));
    event.options.user = user.to_owned();
    let key = Secret::new(TRTC_KEY.to_owned()).unwrap();
    let reply = handlers.deliver(&event.callback(&key), at(ms)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

async fn ask(handlers: &Handlers, path: &str, query: &str, now: UnixMillis) -> Value {
    let (status, answer) = handlers.get(path, query, now).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["as_of"], now.0);
    answer
}

/// Each session as (user, entered, left, reason, assumed), times since the start.
type Stay = (String, u64, Option<u64>, String, bool);

fn stays(answer: &Value) -> Vec<Stay> {
    let stay = |session: &Value| {
        (
            session["user"].as_str().unwrap().to_owned(),
            session["entered_at"].as_u64().unwrap() - START,
            session["left_at"].as_u64().map(|left| left - START),
            session["reason"].as_str().unwrap_or("-").to_owned(),
            session["assumed"].as_bool().unwrap(),
        )
    };
    answer["sessions"].as_array().unwrap().iter().map(stay).collect()
}

fn stay(user: &str, entered: u64, left: Option<u64>, reason: &str, assumed: bool) -> Stay {
    (user.to_owned(), entered, left, reason.to_owned(), assumed)
}

/// All pages, one after the other.
async fn pages(
    handlers: &Handlers,
    path: &str,
    query: &str,
    limit: usize,
    now: UnixMillis,
) -> Vec<Value> {
    let (mut sessions, mut next) = (Vec::new(), String::new());
    loop {
        let answer = ask(handlers, path, &format!("{query}&limit={limit}{next}"), now).await;
        let page = answer["sessions"].as_array().unwrap();
        assert!(page.len() <= limit);
        sessions.extend(page.iter().cloned());
        match answer["next"].as_str() {
            Some(cursor) => next = format!("&next={cursor}"),
            None => return sessions,
        }
    }
}

#[tokio::test]
async fn every_visit_has_its_times_its_duration_and_the_reason_of_its_end() {
    let (_database, handlers) = start().await;
    let ada = login("ada", 7, 101, 1, 1000);
    let bob = Event { role: 1, ..login("bob", 7, 102, 2, 2000) };
    for event in [&ada, &bob, &Event { reason: 1, ..logout(&ada, 3, 61_000) }] {
        zego(&handlers, event).await;
    }
    let now = at(100_000);
    let room = ask(&handlers, "/attendance/zego/1/rooms/lobby", "", now).await;
    let expected = json!([
        {"user":"ada","name":"Ada","room":"lobby","life":"7","session":"101","role":"audience",
         "entered_at":START + 1000,"entered_assumed":false,"left_at":START + 61_000,"duration_ms":60_000,
         "reason":"heartbeat_timeout","assumed":false},
        {"user":"bob","name":"Ada","room":"lobby","life":"7","session":"102","role":"anchor",
         "entered_at":START + 2000,"entered_assumed":false,"left_at":null,"duration_ms":98_000,
         "reason":null,"assumed":false},
    ]);
    assert_eq!(room["sessions"], expected);
    assert_eq!(room["next"], Value::Null);
    let user = ask(&handlers, "/attendance/zego/1/users/bob", "", now).await;
    assert_eq!(user["sessions"], json!([expected[1]]));
    let parameter = ask(&handlers, "/attendance/zego/1/users", "user=bob", now).await;
    assert_eq!(parameter, user);
    let parameter = ask(&handlers, "/attendance/zego/1/rooms", "room=lobby", now).await;
    assert_eq!(parameter, room);
}

#[tokio::test]
async fn a_span_holds_what_lasted_at_any_time_of_it() {
    let (_database, handlers) = start().await;
    let ada = login("ada", 7, 101, 1, 1000);
    zego(&handlers, &ada).await;
    zego(&handlers, &logout(&ada, 2, 2000)).await;
    zego(&handlers, &login("bob", 7, 102, 3, 3000)).await;
    let spans = [
        ((0, 999), vec![]),
        ((0, 1000), vec!["ada"]),
        ((1500, 1600), vec!["ada"]),
        ((2000, 2999), vec!["ada"]),
        ((2001, 2999), vec![]),
        ((2000, 3000), vec!["ada", "bob"]),
        ((9_000, 9_001), vec!["bob"]),
        ((3000, 0), vec![]),
    ];
    for ((from, to), expected) in spans {
        let query = format!("from={}&to={}", START + from, START + to);
        for path in ["/rooms/lobby", "/users/ada", "/users/bob"] {
            let path = format!("/attendance/zego/1{path}");
            let answer = ask(&handlers, &path, &query, at(10_000)).await;
            let mut expected = expected.clone();
            expected.retain(|user| path.contains("rooms") || path.ends_with(user));
            let users: Vec<_> = stays(&answer).into_iter().map(|stay| stay.0).collect();
            assert_eq!(users, expected, "{path} from {from} to {to}");
        }
    }
}

/// A person comes to one room every day for a year, without sessions. The marks of a year are far
/// more than a seat can hold.
#[tokio::test]
async fn every_day_of_a_year_is_a_visit_of_its_own_in_items_that_stay_small() {
    let (database, mut handlers) = start().await;
    let year = RETENTION * 13;
    let client = rollcall::store::connect(&iam::config(&database.url), Duration::from_secs(20));
    let writer = rollcall::store::Writer::new(client, crate::support::TABLE_NAME, year);
    handlers.receiver.store = writer;
    let mut expected = Vec::new();
    for day in 0..365 {
        let (entered, left) = (day * DAY, day * DAY + 3_600_000 + day);
        trtc(&handlers, tencent::EventName::TrtcEnter, "ada", entered).await;
        trtc(&handlers, tencent::EventName::TrtcExit, "ada", left).await;
        expected.push(stay("ada", entered, Some(left), "normal", false));
    }
    // Another person, so that she is not alone in the room.
    trtc(&handlers, tencent::EventName::TrtcEnter, "bob", 400 * DAY).await;
    let now = at(401 * DAY);
    for path in ["/users/ada", "/rooms/lobby"] {
        let mut sessions = pages(&handlers, &format!("{TRTC}{path}"), "", 50, now).await;
        sessions.retain(|session| session["user"] == "ada");
        assert_eq!(stays(&json!({ "sessions": sessions })), expected, "{path}");
    }
    let (from, to) = (at(100 * DAY).0, at(101 * DAY).0);
    let query = format!("from={from}&to={to}");
    let some = ask(&handlers, &format!("{TRTC}/rooms/lobby"), &query, now).await;
    assert_eq!(stays(&some), expected[100..=101]);
    for (key, item) in dump(&database.client).await {
        let size = item.to_string().len();
        assert!(size < 3500, "{key} has {size} bytes of JSON, its marks in hex");
    }
}

#[tokio::test]
async fn marks_that_come_late_and_were_moved_are_in_their_place() {
    let (_database, handlers) = start().await;
    let mut events = Vec::new();
    for visit in 0..60_u64 {
        events.push((tencent::EventName::TrtcEnter, visit * 100));
        events.push((tencent::EventName::TrtcExit, visit * 100 + 50));
    }
    // The newest first, then every third of them again.
    let again: Vec<_> = events.iter().copied().step_by(3).collect();
    for (name, ms) in events.iter().rev().copied().chain(again) {
        let mut event = tencent_event(name, at(ms));
        event.now = at(10_000);
        let key = Secret::new(TRTC_KEY.to_owned()).unwrap();
        handlers.deliver(&event.callback(&key), at(10_000)).await;
    }
    let answer = ask(&handlers, &format!("{TRTC}/rooms/lobby"), "", at(10_000)).await;
    let expected: Vec<_> = (0..60)
        .map(|visit| stay("ada", visit * 100, Some(visit * 100 + 50), "normal", false))
        .collect();
    assert_eq!(stays(&answer), expected);
}

#[tokio::test]
async fn a_lost_logout_ends_with_the_next_session_its_rooms_life_or_the_next_life() {
    let (_database, handlers) = start().await;
    // Superseded, also when the newer session has ended.
    let (first, second) = (login("ada", 7, 101, 1, 0), login("ada", 7, 102, 3, 1000));
    // The room closes with Bob in it; the close is known of life 7 only.
    let bob = login("bob", 7, 103, 5, 1500);
    let closed = boundary(RoomClose, 7, 2000);
    // The end of life 8 is never reported. Life 9 replaces it, and life 10 does not change that.
    let (created, cyd) = (boundary(RoomCreate, 8, 3000), login("cyd", 8, 104, 1, 3500));
    let next = boundary(RoomCreate, 9, 9000);
    let newest = [boundary(RoomCreate, 10, 50_000), login("dee", 10, 105, 1, 50_100)];
    let events = [&first, &second, &logout(&second, 4, 1800), &bob, &closed, &created, &cyd, &next];
    for event in events.into_iter().chain(&newest) {
        zego(&handlers, event).await;
    }
    let now = at(60_000);
    let room = ask(&handlers, "/attendance/zego/1/rooms/lobby", "", now).await;
    let expected = [
        stay("ada", 0, Some(1000), "superseded", true),
        stay("ada", 1000, Some(1800), "normal", false),
        stay("bob", 1500, Some(2000), "room_closed", true),
        stay("cyd", 3500, Some(9000), "room_replaced", true),
        stay("dee", 50_100, None, "-", false),
    ];
    assert_eq!(stays(&room), expected);
    for user in ["ada", "bob", "cyd", "dee"] {
        let path = format!("/attendance/zego/1/users/{user}");
        let own: Vec<_> = expected.iter().filter(|stay| stay.0 == user).cloned().collect();
        assert_eq!(stays(&ask(&handlers, &path, "", now).await), own);
        // Presence says the same of the last one.
        let (_, presence) = handlers.get(&format!("/presence/zego/1/users/{user}"), "", now).await;
        let last = presence["sessions"][0]["left_at"].as_u64().map(|left| left - START);
        assert_eq!(last, own.last().unwrap().2, "{presence}");
        assert_eq!(presence["sessions"][0]["assumed"], own.last().unwrap().4);
    }
}

/// A room's attendance and each person's, in pages of every size: the stays of one person.
async fn in_every_page(handlers: &Handlers, user: &str, expected: &[Stay]) {
    let now = at(100_000);
    for path in
        ["/attendance/zego/1/rooms/lobby".to_owned(), format!("/attendance/zego/1/users/{user}")]
    {
        for limit in [1, 2, 100] {
            let mut sessions = pages(handlers, &path, "", limit, now).await;
            sessions.retain(|session| session["user"] == user);
            sessions.sort_by_key(|session| session["entered_at"].as_u64());
            assert_eq!(stays(&json!({ "sessions": sessions })), expected, "{path} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_relogin_that_keeps_its_session_counts_no_minute_twice() {
    let (_database, handlers) = start().await;
    let ada = login("ada", 7, 101, 1, 0);
    let again = Event { relogin: true, sequence: 3, ..ada.clone() };
    for event in [&ada, &logout(&ada, 2, 50_000), &again, &logout(&ada, 4, 90_000)] {
        zego(&handlers, event).await;
    }
    let expected = [
        stay("ada", 0, Some(50_000), "normal", false),
        stay("ada", 50_000, Some(90_000), "normal", false),
    ];
    in_every_page(&handlers, "ada", &expected).await;
    let answer = ask(&handlers, "/attendance/zego/1/users/ada", "", at(100_000)).await;
    let assumed = |number: usize| answer["sessions"][number]["entered_assumed"].clone();
    assert_eq!([assumed(0), assumed(1)], [false, true], "{answer}");
}

#[tokio::test]
async fn an_older_session_ends_when_the_newer_begins_and_keeps_its_reason() {
    let (_database, handlers) = start().await;
    let (old, new) = (login("ada", 7, 101, 1, 0), login("ada", 7, 102, 2, 10_000));
    for event in [&old, &new, &Event { reason: 3, ..logout(&old, 3, 12_000) }] {
        zego(&handlers, event).await;
    }
    let expected =
        [stay("ada", 0, Some(10_000), "kicked", false), stay("ada", 10_000, None, "-", false)];
    in_every_page(&handlers, "ada", &expected).await;
}

#[tokio::test]
async fn nobody_leaves_before_they_came() {
    let (_database, handlers) = start().await;
    let ada = login("ada", 7, 101, 1, 10_000);
    for event in [&ada, &logout(&ada, 2, 9990)] {
        zego(&handlers, event).await;
    }
    in_every_page(&handlers, "ada", &[stay("ada", 10_000, Some(10_000), "normal", false)]).await;
}

/// With or without the older stay's own end, and whatever is known of the lives.
#[tokio::test]
async fn nobody_is_in_two_lives_of_a_room_at_the_same_time() {
    let (old, new) = (login("ada", 7, 101, 1, 1000), login("ada", 8, 102, 1, 20_000));
    let left = Event { reason: 1, ..logout(&old, 2, 22_000) };
    let created = [boundary(RoomCreate, 7, 900), boundary(RoomCreate, 8, 20_005)];
    let cases = [
        // Two servers' clocks differ: they left after they had come again.
        (vec![left], stay("ada", 1000, Some(20_000), "heartbeat_timeout", false)),
        (
            vec![boundary(RoomClose, 7, 23_000)],
            stay("ada", 1000, Some(20_000), "room_closed", true),
        ),
        (
            vec![boundary(RoomCreate, 9, 60_000)],
            stay("ada", 1000, Some(20_000), "room_replaced", true),
        ),
    ];
    for (mut events, expected) in cases {
        let is_replaced = expected.3 == "room_replaced";
        // For a stay without its own end, it does not matter that nothing is known of the next
        // life.
        if !is_replaced {
            events.extend(created.clone());
        }
        let (_database, handlers) = start().await;
        for event in events.iter().chain([&old, &new, &logout(&new, 2, 25_000)]) {
            zego(&handlers, event).await;
        }
        let expected = [expected, stay("ada", 20_000, Some(25_000), "normal", false)];
        in_every_page(&handlers, "ada", &expected).await;
        let (_, presence) = handlers.get("/presence/zego/1/users/ada", "", at(100_000)).await;
        assert_eq!(presence["sessions"][0]["left_at"], START + 25_000, "{presence}");
    }
}

/// Both the creation and the logins of the next life may be lost.
#[tokio::test]
async fn a_life_of_which_only_the_close_is_known_replaces_the_one_before() {
    let (_database, handlers) = start().await;
    let ada = login("ada", 7, 101, 1, 0);
    let closed = boundary(RoomClose, 8, 5000);
    let newest = boundary(RoomCreate, 9, 50_000);
    for event in [&ada, &closed, &newest] {
        zego(&handlers, event).await;
    }
    let room = ask(&handlers, "/attendance/zego/1/rooms/lobby", "", at(60_000)).await;
    assert_eq!(stays(&room), [stay("ada", 0, Some(5000), "room_replaced", true)]);
}

#[tokio::test]
async fn a_lost_exit_ends_with_the_first_boundary_or_the_next_entry() {
    use tencent::EventName::{TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit};

    let (_database, handlers) = start().await;
    let events = [
        (TrtcEnter, "ada", 0),
        (TrtcDismiss, "", 1000),
        (TrtcCreate, "bob", 2000),
        (TrtcEnter, "ada", 3000),
        (TrtcEnter, "ada", 4000),
        (TrtcExit, "ada", 4500),
        (TrtcEnter, "cyd", 5000),
        // He had entered a moment before he created the room.
        (TrtcEnter, "dee", 5500),
        (TrtcCreate, "dee", 6000),
        (TrtcDismiss, "", 90_000),
    ];
    for (name, user, ms) in events {
        trtc(&handlers, name, user, ms).await;
    }
    // Many more boundaries than a reader keeps in memory.
    for ms in 0..20 {
        trtc(&handlers, TrtcCreate, "bob", 100_000 + 2 * ms).await;
        trtc(&handlers, TrtcDismiss, "", 100_001 + 2 * ms).await;
    }
    let expected = [
        stay("ada", 0, Some(1000), "room_closed", true),
        stay("ada", 3000, Some(4000), "superseded", true),
        stay("ada", 4000, Some(4500), "normal", false),
        stay("cyd", 5000, Some(6000), "room_replaced", true),
        stay("dee", 5500, Some(90_000), "room_closed", true),
    ];
    let room = ask(&handlers, &format!("{TRTC}/rooms/lobby"), "", at(200_000)).await;
    assert_eq!(stays(&room), expected);
}

/// Sixty people, some of whom came several times.
async fn a_busy_room(handlers: &Handlers) -> BTreeSet<(String, u64)> {
    let mut visits = BTreeSet::new();
    let mut sequence = 0;
    for user in 0..60_u64 {
        for visit in 0..=user % 4 {
            let ms = user * 10 + visit * 1000;
            let name = format!("user{user}");
            sequence += 2;
            let event = login(&name, 7, 1000 + sequence, sequence, ms);
            zego(handlers, &event).await;
            if (user + visit) % 3 != 0 {
                zego(handlers, &logout(&event, sequence + 1, ms + 500)).await;
            }
            visits.insert((name, ms));
        }
    }
    visits
}

fn key(session: &Value) -> (String, u64) {
    let user = session["user"].as_str().unwrap().to_owned();
    (user, session["entered_at"].as_u64().unwrap() - START)
}

#[tokio::test]
async fn pages_of_any_size_hold_every_visit_once() {
    let (_database, handlers) = start().await;
    let visits = a_busy_room(&handlers).await;
    let now = at(60_000);
    let room = "/attendance/zego/1/rooms/lobby";
    let whole = pages(&handlers, room, "", 1000, now).await;
    assert_eq!(whole.iter().map(key).collect::<BTreeSet<_>>(), visits);
    for limit in [1, 7, 100] {
        assert_eq!(pages(&handlers, room, "", limit, now).await, whole, "limit {limit}");
    }
    let user = "/attendance/zego/1/users/user59";
    let own = pages(&handlers, user, "", 1000, now).await;
    let times: Vec<u64> = own.iter().map(|session| key(session).1).collect();
    assert_eq!(times, [590, 1590, 2590, 3590]);
    for limit in [1, 3, 4] {
        assert_eq!(pages(&handlers, user, "", limit, now).await, own, "limit {limit}");
    }
}

#[tokio::test]
async fn a_person_who_moves_while_a_room_is_paged_is_not_missed() {
    let (_database, handlers) = start().await;
    let visits = a_busy_room(&handlers).await;
    let room = "/attendance/zego/1/rooms/lobby";
    let (mut seen, mut next, mut sequence) = (BTreeSet::new(), String::new(), 900);
    let now = at(100_000);
    loop {
        let answer = ask(&handlers, room, &format!("limit=5{next}"), now).await;
        seen.extend(answer["sessions"].as_array().unwrap().iter().map(key));
        let Some(cursor) = answer["next"].as_str() else { break };
        next = format!("&next={cursor}");
        // Meanwhile somebody comes again, for as long as that takes.
        if sequence < 1400 {
            let user = format!("user{}", sequence % 60);
            zego(&handlers, &login(&user, 7, sequence, sequence, 50_000 + sequence)).await;
            sequence += 7;
        }
    }
    assert!(visits.is_subset(&seen), "{:?}", visits.difference(&seen).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_persons_visits_to_many_rooms_come_in_the_order_of_time() {
    let (_database, handlers) = start().await;
    for visit in 0..30_u64 {
        let room = format!("room{}", visit * 7 % 10);
        let event = Event { room, ..login("ada", 7 + visit, 100 + visit, 1, visit * 1000) };
        zego(&handlers, &event).await;
        zego(&handlers, &logout(&event, 2, visit * 1000 + 500)).await;
    }
    for limit in [4, 30, 100] {
        let path = "/attendance/zego/1/users/ada";
        let sessions = pages(&handlers, path, "", limit, at(60_000)).await;
        let times: Vec<u64> = sessions.iter().map(|session| key(session).1).collect();
        assert_eq!(times, (0..30).map(|visit| visit * 1000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn unknown_users_and_rooms_are_404_and_wrong_parameters_are_400() {
    let (_database, handlers) = start().await;
    zego(&handlers, &boundary(RoomCreate, 7, 0)).await;
    zego(&handlers, &Event { room: "bar".to_owned(), ..login("ada", 7, 1, 1, 0) }).await;
    let online = openim_event(openim::EventName::UserRegister, at(0));
    let credentials = apps().openim[&"main".parse().unwrap()].clone();
    handlers.deliver(&online.callback(&credentials), at(0)).await;
    let now = at(1000);
    for path in
        ["/zego/1/rooms/foo", "/zego/1/users/bob", "/openim/main/rooms/lobby", "/x/1/rooms/a"]
    {
        let (status, answer) = handlers.get(&format!("/attendance{path}"), "", now).await;
        assert_eq!(
            (status.as_u16(), &answer["error"]["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
    // Nobody has come yet, and OpenIM has no rooms.
    for path in ["/zego/1/rooms/lobby", "/openim/main/users/ada"] {
        let answer = ask(&handlers, &format!("/attendance{path}"), "", now).await;
        assert_eq!(answer["sessions"], json!([]), "{path}");
    }
    let long = "eyJzZWF0Ijoi".to_owned() + &"YWFh".repeat(400) + "IiwidmlzaXRzIjowfQ";
    for next in ["x", "e30", "bnVsbA", &long] {
        for path in ["/zego/1/rooms/bar", "/zego/1/users/ada"] {
            let path = format!("/attendance{path}");
            let (status, answer) = handlers.get(&path, &format!("next={next}"), now).await;
            assert_eq!(status, 400, "{path} {next} {answer}");
        }
    }
    for query in ["from=-1", "from=x", "to=99999999999999999", "limit=0", "limit=1001"] {
        let (status, _) = handlers.get("/attendance/zego/1/rooms/bar", query, now).await;
        assert_eq!(status, 400, "{query}");
    }
    let other = handlers.get("/attendance/zego/2/users/ada", "", now).await;
    assert_eq!(other.0, 404, "promise 7: another app's");
}

async fn changes(handlers: &Handlers) -> Value {
    let path = "/presence/zego/1/rooms/lobby";
    let (status, answer) = handlers.get(path, "changes=true", at(100_000)).await;
    assert_eq!(status, 200, "{answer}");
    answer["changes"].clone()
}

#[tokio::test]
async fn a_hole_in_the_sequence_is_a_lost_callback() {
    let (_database, handlers) = start().await;
    zego(&handlers, &boundary(RoomCreate, 7, 0)).await;
    assert_eq!(changes(&handlers).await, json!({"first":null,"last":null,"missing":0}));
    let (ada, bob) = (login("ada", 7, 101, 1, 10), login("bob", 7, 102, 2, 20));
    zego(&handlers, &bob).await;
    zego(&handlers, &ada).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":2,"missing":0}));
    // The login and logout of one person, 3 and 4, are lost.
    zego(&handlers, &logout(&ada, 5, 50)).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":5,"missing":2}));
    // Once the room has closed, Bob's missing logout is noticed. It may be one of the two.
    zego(&handlers, &boundary(RoomClose, 7, 90)).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":5,"missing":2}));

    // The next life counts from the start. Only its own seats are read.
    zego(&handlers, &boundary(RoomCreate, 8, 100)).await;
    let cyd = login("cyd", 8, 103, 1, 110);
    zego(&handlers, &cyd).await;
    zego(&handlers, &logout(&cyd, 2, 120)).await;
    let dee = login("dee", 8, 104, 3, 130);
    zego(&handlers, &dee).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":3,"missing":0}));
    zego(&handlers, &boundary(RoomClose, 8, 190)).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":3,"missing":1}));
    zego(&handlers, &logout(&dee, 4, 180)).await;
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":4,"missing":0}));

    let without = handlers.get("/presence/zego/1/rooms/lobby", "", at(100_000)).await.1;
    assert!(without.get("changes").is_none());
    let (status, _) = handlers.get("/presence/zego/1/rooms/lobby", "changes=1", at(100_000)).await;
    assert_eq!(status, 400);
}

/// Marks that were moved away from a seat count too.
#[tokio::test]
async fn changes_of_somebody_who_came_a_hundred_times_are_counted() {
    let (_database, handlers) = start().await;
    for visit in 0..100_u64 {
        let event = login("ada", 7, 1000 + visit, 2 * visit + 1, visit * 10);
        zego(&handlers, &event).await;
        if visit != 40 {
            zego(&handlers, &logout(&event, 2 * visit + 2, visit * 10 + 5)).await;
        }
    }
    assert_eq!(changes(&handlers).await, json!({"first":1,"last":200,"missing":1}));
}
