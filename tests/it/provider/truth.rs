//! What the played servers know is what the worlds know, and what `send` writes.

use std::{collections::BTreeSet, time::Duration};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRng, TestRunner},
};
use rollcall::domain::UnixMillis;
use rollcall_local::provider::{Truth, TruthFile};
use rollcall_players::{
    Event, crowd,
    model::Rooms,
    robots::is_robot,
    servers::{Link, Servers},
    world::{ACTS, Reported, Step, live},
    zego, zim,
};

use super::NOW;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..4_u64, 0..ACTS.len(), 0..4_usize, 0..3_usize, 0..64_u8).prop_map(
        |(wait, act, user, place, how)| Step {
            wait: wait * wait * wait * 100,
            act: ACTS[act].0,
            user,
            place,
            how,
        },
    );
    proptest::collection::vec(step, 1..60)
}

#[test]
fn the_servers_know_what_the_worlds_know() {
    let config = Config::default();
    let random = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, random);
    for _ in 0..500 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let (reported, truth, _) = live(&steps, Rooms::Both);
        let servers = Servers::at(&reported, u64::MAX);
        // No server is asked about ZIM's rooms.
        let is_asked = |path: &str| path.starts_with("zego/1/") && !path.starts_with("zego/1/z:");
        for (path, expected) in truth.rooms.iter().filter(|(path, _)| is_asked(path)) {
            let room = servers.zego.get("1").and_then(|rooms| rooms.get(&path["zego/1/".len()..]));
            let people = room.into_iter().flat_map(|room| &room.people);
            let people = people.filter(|(user, one)| one.role != 4 && !is_robot(user));
            let people: BTreeSet<String> = people.map(|(user, _)| user.clone()).collect();
            assert_eq!(people, *expected, "{path} after {steps:?}");
        }
        let mut online = BTreeSet::new();
        for room in servers.zego.values().flatten().map(|(_, room)| room) {
            online.extend(room.people.keys().map(|user| format!("zego/1/{user}")));
        }
        for (user, account) in servers.chat.values().flatten() {
            if account.platforms.values().any(|link| *link == Link::Online) {
                online.insert(format!("tencent/1400000000/{user}"));
            }
        }
        for (user, member) in servers.openim.values().flatten() {
            if !member.platforms.is_empty() {
                online.insert(format!("openim/main/{user}"));
            }
        }
        for (user, known) in servers.zim.values().flatten() {
            if !known.online.is_empty() {
                online.insert(format!("zego/1/{user}"));
            }
        }
        // A person in a room of TRTC's or ZIM's is online, and no server is asked about those rooms.
        let of_zims_rooms = reported.iter().filter_map(|reported| match &reported.event {
            Event::Zim(event) if event.name != zim::EventName::UserAction => Some(event.users()),
            _ => None,
        });
        let of_zims_rooms: BTreeSet<String> =
            of_zims_rooms.flatten().map(|user| format!("zego/1/{user}")).collect();
        let may_be_unknown =
            |path: &String| path.starts_with("tencent/") || of_zims_rooms.contains(path);
        let mut expected = truth.online.clone();
        expected.retain(|path| !may_be_unknown(path) || online.contains(path));
        assert_eq!(online, expected, "after {steps:?}");
    }
}

fn login(user: &str, at: u64) -> Event {
    let options = zego::Options::for_user("1", user, "lobby");
    let event = zego::Rooms::default().happen(
        zego::EventName::RoomLogin,
        &zego::Options { life: Some(7), ..options },
        UnixMillis(at),
    );
    Event::Zego(event)
}

#[test]
fn the_truth_is_that_of_the_moment() {
    let reported =
        [("ada", 10), ("bob", 20)].map(|(user, at)| Reported { at, event: login(user, at) });
    let people = |at| {
        let servers = Servers::at(&reported, at);
        servers
            .zego
            .get("1")
            .and_then(|rooms| rooms.get("lobby"))
            .map_or(0, |room| room.people.len())
    };
    assert_eq!([9, 10, 19, 20].map(people), [0, 1, 1, 2]);
}

#[test]
fn a_file_has_what_happened_whoever_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = TruthFile::at(folder.path().join("deep/truth.json"));
    assert_eq!(file.read().unwrap(), Servers::default());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = file.clone();
            scope.spawn(move || {
                for user in 0..5 {
                    file.add([&login(&format!("u{writer}-{user}"), NOW)]).unwrap();
                }
            });
        }
    });
    assert_eq!(file.read().unwrap().zego["1"]["lobby"].people.len(), 40);
    std::fs::write(file.path(), "{").unwrap();
    assert!(file.add([&login("ada", NOW)]).is_err(), "what is not ours is not overwritten");
}

#[test]
fn a_file_is_read_again_and_a_change_of_it_has_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = TruthFile::at(folder.path().join("truth.json"));
    file.add([&login("ada", NOW)]).unwrap();
    let truth = Truth::of_file(file.clone());
    let people = |at| truth.at(UnixMillis(at)).zego["1"]["lobby"].people.len();
    let now = || rollcall::runtime::now().0;
    assert_eq!(people(now()), 1);
    std::thread::sleep(Duration::from_millis(50));
    let before = now();
    std::thread::sleep(Duration::from_millis(50));
    file.add([&login("bob", NOW)]).unwrap();
    assert_eq!((people(now() + 1), people(before)), (2, 1));
    assert_eq!(people(0), 1, "before the first state that was seen it was the same");
}

/// A history's truth, from all of it.
#[test]
fn a_crowd_is_where_it_went() {
    let script = crowd::Script { count: 600, seed: 3, until: UnixMillis(NOW) };
    let events = script.play(&[crowd::Provider::Zego(None, zego::Options::default())]);
    let mut servers = Servers::default();
    for event in &events {
        servers.happen(event);
    }
    let mut inside = std::collections::BTreeMap::new();
    for event in &events {
        let Event::Zego(event) = event else { continue };
        match event.name {
            zego::EventName::RoomLogin => _ = inside.insert(&event.user, &event.room),
            zego::EventName::RoomLogout => _ = inside.remove(&event.user),
            zego::EventName::RoomCreate | zego::EventName::RoomClose => {}
        }
    }
    let known: usize = servers.zego["1"].values().map(|room| room.people.len()).sum();
    assert_eq!(known, inside.len());
    assert!(known > 20, "somebody is in at the end");
    for (user, room) in inside {
        assert!(servers.zego["1"][room].people.contains_key(user));
    }
}
