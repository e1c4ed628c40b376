//! One person, two tracks: TRTC and `RoomEngine` report the same room. They are never added, and a
//! setting says which of them decides.

use std::collections::BTreeSet;

use rollcall::{
    domain::{Track, Tracks},
    store::{Lateness, LiveMarker},
};
use rollcall_players::tencent::{
    Event,
    EventName::{
        LiveDestroy, LiveOffline, LiveOnline, RoomCreate, RoomDestroy, RoomEnter, RoomLeave,
        TrtcCreate, TrtcDismiss, TrtcEnter, TrtcExit,
    },
};
use serde_json::{Value, json};

use super::{app, ask, at, counting, event, of, outcome, start};
use crate::support::{Handlers, RETENTION, TABLE_NAME, dump, names};

const TRTC: Tracks = Tracks::Only(Track::Media);
const ENGINE: Tracks = Tracks::Only(Track::RoomEngine);
const ALL: [Tracks; 3] = [Tracks::Both, TRTC, ENGINE];

/// Ada by both, the one after the other; Bob by RoomEngine only, Cyd by TRTC only; Dan is in by TRTC
/// after he left by RoomEngine; Eve is in by both.
fn lesson() -> Vec<Event> {
    vec![
        event(TrtcCreate, 0),
        event(RoomCreate, 1),
        of(&["ada"], event(TrtcEnter, 10)),
        of(&["ada"], event(RoomEnter, 60)),
        of(&["ada"], event(TrtcExit, 110)),
        of(&["ada"], event(RoomLeave, 160)),
        of(&["bob"], event(RoomEnter, 20)),
        of(&["cyd"], event(TrtcEnter, 30)),
        of(&["dan"], event(TrtcEnter, 40)),
        of(&["dan"], event(LiveOnline, 42)),
        of(&["dan"], event(LiveOffline, 70)),
        of(&["eve"], event(RoomEnter, 100)),
        of(&["eve"], event(TrtcEnter, 101)),
    ]
}

async fn play(handlers: &Handlers, events: &[Event]) {
    for event in events {
        assert_eq!(outcome(handlers, event).await, "applied", "{event:?}");
    }
}

/// A number of each setting, in the order of [`ALL`].
type Each<T> = [T; 3];

#[tokio::test]
async fn who_is_in_by_two_tracks_is_one_person_and_the_setting_decides() {
    let (database, handlers) = start().await;
    play(&handlers, &lesson()).await;
    let now = at(200);
    let expected: Each<&[&str]> =
        [&["bob", "cyd", "dan", "eve"], &["cyd", "dan", "eve"], &["bob", "eve"]];
    let marker = LiveMarker::new(database.client.clone(), TABLE_NAME, RETENTION);
    marker.mark(&app(), &"lobby".parse().unwrap(), now, Lateness::InTime).await.unwrap();
    for (tracks, expected) in ALL.into_iter().zip(expected) {
        let handlers = counting(&database.url, &handlers, tracks);
        // On one page, and on pages of one.
        for limit in [100, 2, 1] {
            let (mut found, mut next) = (Vec::new(), String::new());
            loop {
                let query = format!("limit={limit}{next}");
                let page = ask(&handlers, "presence", "/rooms/lobby", &query, now).await;
                assert_eq!(page["online"], expected.len(), "{tracks:?} {limit}: {page}");
                assert_eq!(page["open"], true);
                found.extend(names(&page));
                let Some(cursor) = page["next"].as_str() else { break };
                next = format!("&next={cursor}");
            }
            found.sort();
            assert_eq!(found, expected, "{tracks:?} {limit}");
        }
        for user in ["ada", "bob", "cyd", "dan", "eve"] {
            let (status, known) =
                handlers.get(&format!("/presence/tencent/1400000000/users/{user}"), "", now).await;
            let is_known = status == 200;
            let by_other = (user == "bob" && tracks == TRTC) || (user == "cyd" && tracks == ENGINE);
            assert_eq!(is_known, !by_other, "{tracks:?} {user}: {known}");
            if is_known {
                assert_eq!(known["online"], expected.contains(&user), "{tracks:?}: {known}");
                assert_eq!(known["sessions"].as_array().unwrap().len(), 1, "{tracks:?}: {known}");
            }
        }
        let live = ask(&handlers, "rooms", "", "", now).await;
        let rooms = live["rooms"].as_array().unwrap();
        assert_eq!(rooms.len(), 1, "{live}");
        assert_eq!(rooms[0]["online"], expected.len(), "{tracks:?}: {live}");
        let opened_at = if tracks == ENGINE { at(1) } else { at(0) };
        assert_eq!(rooms[0]["opened_at"], opened_at.0, "{tracks:?}: {live}");
    }
}

/// Of each row of attendance: who, from when, until when, in seconds from the start.
fn stays(sessions: &Value) -> BTreeSet<(String, Option<u64>, Option<u64>)> {
    let seconds = |value: &Value| value.as_u64().map(|ms| (ms - at(0).0) / 1000);
    let rows = sessions.as_array().unwrap().iter();
    rows.map(|row| {
        let user = row["user"].as_str().unwrap().to_owned();
        (user, seconds(&row["entered_at"]), seconds(&row["left_at"]))
    })
    .collect()
}

#[tokio::test]
async fn what_two_tracks_report_of_the_same_time_is_one_stay_of_the_union() {
    let (database, handlers) = start().await;
    play(&handlers, &lesson()).await;
    let now = at(200);
    let row = |user: &str, from: u64, to: Option<u64>| (user.to_owned(), Some(from), to);
    let expected: Each<BTreeSet<_>> = [
        [
            row("ada", 10, Some(160)),
            row("bob", 20, None),
            row("cyd", 30, None),
            row("dan", 40, None),
            row("eve", 100, None),
        ]
        .into(),
        [
            row("ada", 10, Some(110)),
            row("cyd", 30, None),
            row("dan", 40, None),
            row("eve", 101, None),
        ]
        .into(),
        [
            row("ada", 60, Some(160)),
            row("bob", 20, None),
            row("dan", 42, Some(70)),
            row("eve", 100, None),
        ]
        .into(),
    ];
    for (tracks, expected) in ALL.into_iter().zip(expected) {
        let handlers = counting(&database.url, &handlers, tracks);
        for limit in [100, 1] {
            let (mut found, mut rows, mut next) = (BTreeSet::new(), 0, String::new());
            loop {
                let query = format!("limit={limit}{next}");
                let page = ask(&handlers, "attendance", "/rooms/lobby", &query, now).await;
                rows += page["sessions"].as_array().unwrap().len();
                found.extend(stays(&page["sessions"]));
                let Some(cursor) = page["next"].as_str() else { break };
                next = format!("&next={cursor}");
            }
            assert_eq!((&found, rows), (&expected, expected.len()), "{tracks:?} {limit}");
        }
        let mut own = BTreeSet::new();
        for user in ["ada", "bob", "cyd", "dan", "eve"] {
            let path = format!("/attendance/tencent/1400000000/users/{user}");
            let (_, page) = handlers.get(&path, "", now).await;
            if page["sessions"].is_array() {
                own.extend(stays(&page["sessions"]));
            }
        }
        assert_eq!(own, expected, "{tracks:?}");

        let report = ask(&handlers, "reports", "/rooms/lobby", "", now).await;
        let seconds = |from: u64, to: Option<u64>| (to.unwrap_or(200) - from) * 1000;
        let minutes: Vec<_> = expected
            .iter()
            .map(|(user, from, to)| json!([user, 1, seconds(from.unwrap(), *to)]))
            .collect();
        let rows = report["rows"].as_array().unwrap().iter();
        let rows: Vec<_> =
            rows.map(|row| json!([row["user"], row["visits"], row["present_ms"]])).collect();
        assert_eq!(rows, minutes, "{tracks:?}");
        assert_eq!(report["people"], expected.len());
        let sum: u64 = minutes.iter().map(|row| row[2].as_u64().unwrap()).sum();
        assert_eq!(report["person_ms"], sum, "{tracks:?}");
        let of_ada = ask(&handlers, "reports", "/users/ada", "", now).await;
        assert_eq!(of_ada["present_ms"], minutes[0][2], "{tracks:?}");
        // Everyone at once, and nobody twice.
        let peak = match tracks {
            Tracks::Both => 5,
            Tracks::Only(_) => 3 + usize::from(tracks == TRTC),
        };
        assert_eq!(report["peak"]["online"], peak, "{tracks:?}: {report}");
        let together = "room=lobby&a=ada&b=dan";
        let together = ask(&handlers, "reports", "/together", together, now).await;
        let expected = match tracks {
            Tracks::Both => 120,
            Tracks::Only(Track::Media) => 70,
            Tracks::Only(_) => 10,
        };
        assert_eq!(together["together_ms"], expected * 1000, "{tracks:?}: {together}");
    }
}

#[tokio::test]
async fn stays_of_two_tracks_that_share_no_moment_stay_two() {
    let visit = |enter, leave, from, to| [event(enter, from), event(leave, to)];
    for (engine, expected) in [
        // Before, touching the beginning, within, over the end, touching the end, after.
        ((0, 9), vec![(0, 9), (20, 40)]),
        ((0, 20), vec![(0, 40)]),
        ((25, 30), vec![(20, 40)]),
        ((30, 50), vec![(20, 50)]),
        ((40, 50), vec![(20, 50)]),
        ((41, 50), vec![(20, 40), (41, 50)]),
        ((10, 60), vec![(10, 60)]),
        ((20, 40), vec![(20, 40)]),
    ] {
        for is_live in [false, true] {
            let (enter, leave) =
                if is_live { (LiveOnline, LiveOffline) } else { (RoomEnter, RoomLeave) };
            let (_database, handlers) = start().await;
            let mut events = visit(TrtcEnter, TrtcExit, 20, 40).to_vec();
            events.extend(visit(enter, leave, engine.0, engine.1));
            for event in events.iter().rev() {
                outcome(&handlers, event).await;
            }
            let page = ask(&handlers, "attendance", "/rooms/lobby", "", at(100)).await;
            let expected: BTreeSet<_> = expected
                .iter()
                .map(|(from, to)| ("ada".to_owned(), Some(*from), Some(*to)))
                .collect();
            assert_eq!(stays(&page["sessions"]), expected, "{engine:?}");
            let report = ask(&handlers, "reports", "/rooms/lobby", "", at(100)).await;
            let present: u64 =
                expected.iter().map(|(_, from, to)| to.unwrap() - from.unwrap()).sum();
            assert_eq!(report["person_ms"], present * 1000, "{engine:?}: {report}");
            assert_eq!(report["rows"][0]["visits"], expected.len());
            assert_eq!(report["peak"]["online"], 1, "{engine:?}: {report}");
        }
    }
}

#[tokio::test]
async fn a_room_that_one_track_ends_goes_on_by_the_other() {
    let ends = [
        (RoomDestroy, ["cyd", "dan", "eve"].as_slice(), [true, true, false]),
        (LiveDestroy, &["cyd", "dan", "eve"], [true, true, false]),
        (TrtcDismiss, &["bob", "eve"], [true, false, true]),
        // Somebody else's room of the same name began anew.
        (RoomCreate, &["cyd", "dan", "eve"], [true, true, true]),
        (TrtcCreate, &["bob", "eve"], [true, true, true]),
    ];
    for (name, left_in, open) in ends {
        let (database, handlers) = start().await;
        play(&handlers, &lesson()).await;
        assert_eq!(outcome(&handlers, &of(&["zoe"], event(name, 170))).await, "applied");
        let members: Each<Vec<&str>> = match name {
            TrtcDismiss | TrtcCreate => [left_in.to_vec(), vec![], vec!["bob", "eve"]],
            _ => [left_in.to_vec(), vec!["cyd", "dan", "eve"], vec![]],
        };
        for ((tracks, members), open) in ALL.into_iter().zip(members).zip(open) {
            let handlers = counting(&database.url, &handlers, tracks);
            let lobby = ask(&handlers, "presence", "/rooms/lobby", "", at(200)).await;
            assert_eq!(names(&lobby), members, "{name:?} {tracks:?}: {lobby}");
            assert_eq!(lobby["open"], open, "{name:?} {tracks:?}");
            // Eve's stay of both goes on by the one that did not end it.
            let eve = ask(&handlers, "presence", "/users/eve", "", at(200)).await;
            assert_eq!(eve["online"], members.contains(&"eve"), "{name:?} {tracks:?}: {eve}");
        }
        // What ended as its own track says ended by that.
        let gone = if matches!(name, TrtcDismiss | TrtcCreate) { "cyd" } else { "bob" };
        let gone = ask(&handlers, "presence", &format!("/users/{gone}"), "", at(200)).await;
        let session = &gone["sessions"][0];
        let reason = match name {
            RoomCreate | TrtcCreate => "room_replaced",
            _ => "room_closed",
        };
        assert_eq!((&session["left_at"], &session["reason"]), (&json!(at(170).0), &json!(reason)));
    }
}

/// The room 7 of TRTC is a number, and that of RoomEngine is a text.
#[tokio::test]
async fn only_a_string_room_of_trtc_is_the_room_of_room_engine() {
    let (_database, handlers) = start().await;
    let mut by_number = event(TrtcEnter, 0);
    by_number.options.room_number = Some(7);
    let mut by_text = of(&["ada", "bob"], event(RoomEnter, 1));
    "7".clone_into(&mut by_text.options.room);
    play(&handlers, &[by_number, by_text]).await;
    for (room, members) in [("7", vec!["ada"]), ("s:7", vec!["ada", "bob"])] {
        let found = ask(&handlers, "presence", "/rooms", &format!("room={room}"), at(9)).await;
        assert_eq!(names(&found), members, "{room}");
    }
    let ada = ask(&handlers, "presence", "/users/ada", "", at(9)).await;
    assert_eq!(ada["sessions"].as_array().unwrap().len(), 2, "{ada}");
}

#[tokio::test]
async fn promise_3_convergent_the_order_of_two_tracks_changes_nothing() {
    let mut events = lesson();
    let (database, handlers) = start().await;
    play(&handlers, &events).await;
    let expected = dump(&database.client).await;
    for seed in 0..20 {
        fastrand::Rng::with_seed(seed).shuffle(&mut events);
        let (database, handlers) = start().await;
        let all = events.iter().chain(&events[..5]);
        futures::future::join_all(all.map(|event| outcome(&handlers, event))).await;
        assert_eq!(dump(&database.client).await, expected, "{seed}");
    }
}

/// Every mark is explained, by the track that left it, and says what the other one makes of it.
#[tokio::test]
async fn marks_of_both_tracks_are_explained_with_what_became_of_them() {
    let (database, handlers) = start().await;
    play(&handlers, &lesson()).await;
    for (tracks, expected) in ALL.into_iter().zip([
        json!({ "trtc": [["begins", "united"], ["ends", "united"]], "room_engine": [["begins", "united"], ["ends", "united"]] }),
        json!({ "trtc": [["begins"], ["ends"]], "room_engine": [["begins", "not_counted"], ["ends", "not_counted"]] }),
        json!({ "trtc": [["begins", "not_counted"], ["ends", "not_counted"]], "room_engine": [["begins"], ["ends"]] }),
    ]) {
        let handlers = counting(&database.url, &handlers, tracks);
        let explained = ask(&handlers, "explain", "/users/ada", "room=lobby", at(200)).await;
        let rooms = explained["rooms"].as_array().unwrap();
        assert_eq!(rooms.len(), 2, "{explained:#}");
        let mut listed = 0;
        for room in rooms {
            let track = room["track"].as_str().unwrap();
            let rules = room["marks"].as_array().unwrap().iter().map(|mark| mark["rules"].clone());
            assert_eq!(json!(rules.collect::<Vec<_>>()), expected[track], "{tracks:?} {explained:#}");
            let stays = room["stays"].as_array().unwrap();
            listed += stays.len();
            for stay in stays {
                let counts = tracks == Tracks::Both;
                let from = if counts || track == "trtc" { 10 } else { 60 };
                let to = if counts || track == "room_engine" { 160 } else { 110 };
                assert_eq!(
                    (&stay["entered_at"], &stay["left_at"]),
                    (&json!(at(from).0), &json!(at(to).0)),
                    "{tracks:?} {explained:#}"
                );
            }
        }
        // That of two tracks once, and none of a track that does not count.
        assert_eq!(listed, 1, "{tracks:?} {explained:#}");
        let says = explained.to_string();
        assert_eq!(says.contains("it is one stay from"), tracks == Tracks::Both, "{says}");
        assert_eq!(says.contains("`rooms` is set to"), tracks != Tracks::Both, "{says}");
    }
}
