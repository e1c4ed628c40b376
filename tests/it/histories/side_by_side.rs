//! The same traffic of ZEGO's, late, repeated, out of order and with losses, through Rollcall and
//! through two other ways to keep rosters: how many rosters end up wrong.
//!
//! ```text
//! ROLLCALL_HISTORIES=2000 ROLLCALL_TABLE=table.md cargo test -p rollcall-tests --test it side_by_side
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRng, TestRunner},
};
use rollcall_players::{
    Event,
    robots::is_robot,
    zego::{
        Event as ZegoEvent,
        EventName::{RoomClose, RoomCreate, RoomLogin, RoomLogout},
    },
};

use super::{
    history::{Kind, histories},
    observed::recorders,
    play::{Played, Rosters, System},
    repaired::{Oddly, repaired},
    simulated_runtime, unlogged,
};

/// Who holds it is no person: all three leave them out.
const ADMIN: u16 = 4;

/// The last event that arrives about a person in a room decides, as in most public receivers.
#[derive(Default)]
struct LastEventWins(BTreeMap<(String, String), bool>);

impl LastEventWins {
    #[expect(clippy::match_wildcard_for_single_variants, reason = "it takes no other event")]
    fn receive(&mut self, event: &ZegoEvent) {
        match event.name {
            RoomLogin | RoomLogout => {
                let is_in = event.name == RoomLogin && event.role != ADMIN;
                self.0.insert((event.room.clone(), event.user.clone()), is_in);
            }
            RoomClose => self.0.retain(|(room, _), _| *room != event.room),
            _ => {}
        }
    }

    fn rosters(self) -> Rosters {
        let mut rosters = Rosters::new();
        for ((room, user), _) in self.0.into_iter().filter(|(_, is_in)| *is_in) {
            rosters.entry(format!("zego/1/{room}")).or_default().insert(user);
        }
        rosters
    }
}

/// ZEGO's published recipe ("Maintain the room user list", "Maintain the room list"): what fits no
/// room or session that is known waits, and is looked at again whenever something has changed.
#[derive(Default)]
struct PublishedRecipe {
    rooms: BTreeMap<String, RecipeRoom>,
    parked: Vec<ZegoEvent>,
}

struct RecipeRoom {
    life: u64,
    created: u64,
    users: BTreeMap<String, ZegoEvent>,
}

enum Taken {
    Done,
    Dropped,
    Parked,
}

impl PublishedRecipe {
    fn receive(&mut self, event: &ZegoEvent) {
        match self.take(event) {
            Taken::Dropped => {}
            Taken::Parked => self.parked.push(event.clone()),
            Taken::Done => {
                let mut changed = true;
                while changed {
                    changed = false;
                    for event in std::mem::take(&mut self.parked) {
                        match self.take(&event) {
                            Taken::Dropped => {}
                            Taken::Parked => self.parked.push(event),
                            Taken::Done => changed = true,
                        }
                    }
                }
            }
        }
    }

    #[expect(clippy::match_wildcard_for_single_variants, reason = "it drops every other event")]
    fn take(&mut self, event: &ZegoEvent) -> Taken {
        let Some(room) = self.rooms.get_mut(&event.room) else {
            if event.name != RoomCreate {
                return Taken::Parked;
            }
            self.create(event);
            return Taken::Done;
        };
        let is_its_life = room.life == event.life;
        match event.name {
            RoomCreate if is_its_life => {
                room.created = room.created.max(event.at.0);
                Taken::Done
            }
            RoomCreate if event.at.0 > room.created => {
                self.create(event);
                Taken::Done
            }
            RoomClose if is_its_life => {
                self.rooms.remove(&event.room);
                Taken::Done
            }
            RoomClose if event.at.0 <= room.created => Taken::Dropped,
            RoomClose => Taken::Parked,
            RoomLogin if !is_its_life && event.login_time.0 >= room.created => Taken::Parked,
            RoomLogout if !is_its_life && event.at.0 > room.created => Taken::Parked,
            RoomLogin | RoomLogout if !is_its_life => Taken::Dropped,
            RoomLogin => {
                let known = room.users.get(&event.user);
                if known.is_none_or(|known| event.login_time > known.login_time) {
                    room.users.insert(event.user.clone(), event.clone());
                }
                Taken::Done
            }
            RoomLogout => match room.users.get(&event.user) {
                Some(known) if known.session == event.session => {
                    room.users.remove(&event.user);
                    Taken::Done
                }
                Some(known) if event.at <= known.login_time => Taken::Dropped,
                _ => Taken::Parked,
            },
            _ => Taken::Dropped,
        }
    }

    fn create(&mut self, event: &ZegoEvent) {
        let room = RecipeRoom { life: event.life, created: event.at.0, users: BTreeMap::new() };
        self.rooms.insert(event.room.clone(), room);
    }

    fn rosters(self) -> Rosters {
        let people = |room: RecipeRoom| -> BTreeSet<String> {
            let people = room.users.into_iter().filter(|(_, login)| login.role != ADMIN);
            people.map(|(user, _)| user).collect()
        };
        let rooms = self.rooms.into_iter();
        rooms.map(|(name, room)| (format!("zego/1/{name}"), people(room))).collect()
    }
}

/// How many of all rosters are wrong at one rate of loss.
#[derive(Debug, Default)]
struct Wrong {
    rosters: u32,
    ours: u32,
    ours_by_the_model: u32,
    after_a_pass: u32,
    after_the_brake: u32,
    last_event_wins: u32,
    published_recipe: u32,
}

fn measure(cases: u32, loss: f64) -> Wrong {
    let _unlogged = unlogged();
    let config = Config::default();
    let random = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, random);
    let mut luck = fastrand::Rng::with_seed(1);
    let (mut wrong, system) = (Wrong::default(), System::simulated());
    for _ in 0..cases {
        let kind = Kind { acts: "zego", loses: false };
        let mut history = histories(kind).new_tree(&mut runner).unwrap().current();
        history.has_faults = false;
        let reported = Played::new(&history).reported();
        history.fates = (0..reported)
            .map(|event| if luck.f64() < loss { vec![] } else { history.fate(event).to_vec() })
            .collect();
        let mut played = Played::new(&history);
        system.clear();
        let (ours, model, truth, repaired) = simulated_runtime().block_on(async {
            played.deliver(&history, &system).await;
            let (ours, model, truth) = played.rosters(&system).await;
            (ours, model, truth, repaired(&system, &mut played, Oddly::default()).await)
        });
        let [after_a_pass, after_the_brake] = repaired;
        let (mut last_event_wins, mut published_recipe) =
            (LastEventWins::default(), PublishedRecipe::default());
        for event in played.arrivals() {
            let Event::Zego(event) = event else { continue };
            last_event_wins.receive(event);
            published_recipe.receive(event);
        }
        let (last_event_wins, published_recipe) =
            (last_event_wins.rosters(), published_recipe.rosters());
        for room in truth.keys() {
            // Of who was a recorder for a while nobody repairs that they are a person again; and the
            // others do not know robots.
            let recorders = recorders(&played, room);
            let of = |rosters: &Rosters| -> BTreeSet<String> {
                let people = rosters.get(room).into_iter().flatten();
                let is_left_out = |user: &String| recorders.contains(user) || is_robot(user);
                people.filter(|user| !is_left_out(user)).cloned().collect()
            };
            let people = &of(&truth);
            wrong.rosters += 1;
            wrong.ours += u32::from(of(&ours) != *people);
            wrong.ours_by_the_model += u32::from(of(&ours) != of(&model));
            wrong.after_a_pass += u32::from(of(&after_a_pass) != *people);
            wrong.after_the_brake += u32::from(of(&after_the_brake) != *people);
            wrong.last_event_wins += u32::from(of(&last_event_wins) != *people);
            wrong.published_recipe += u32::from(of(&published_recipe) != *people);
        }
    }
    wrong
}

#[test]
fn promise_3_convergent_side_by_side_ours_are_never_wrong_once_all_has_arrived() {
    let columns = [
        "lost",
        "rosters",
        "last event wins",
        "ZEGO's recipe",
        "Rollcall",
        "Rollcall, by the model",
        "Rollcall after one pass",
        "after two",
    ];
    let rule = vec!["---"; columns.len()].join(" | ");
    let mut table = format!("| {} |\n| {rule} |\n", columns.join(" | "));
    for percent in [0_u8, 1, 10, 30] {
        let wrong = measure(super::share(20), f64::from(percent) / 100.0);
        assert_eq!(wrong.ours_by_the_model, 0, "{percent}% lost: {wrong:?}");
        assert_eq!(wrong.after_the_brake, 0, "{percent}% lost: {wrong:?}");
        if percent == 0 {
            assert_eq!(wrong.ours, 0, "{wrong:?}");
            assert!(wrong.last_event_wins > 0, "the traffic is too easy: {wrong:?}");
        }
        let share = |wrong_ones: u32| {
            format!("{:.1}%", 100.0 * f64::from(wrong_ones) / f64::from(wrong.rosters))
        };
        writeln!(
            table,
            "| {percent}% | {} | {} | {} | {} | {} | {} | {} |",
            wrong.rosters,
            share(wrong.last_event_wins),
            share(wrong.published_recipe),
            share(wrong.ours),
            share(wrong.ours_by_the_model),
            share(wrong.after_a_pass),
            share(wrong.after_the_brake),
        )
        .unwrap();
    }
    println!("Wrong rosters:\n\n{table}");
    if let Ok(file) = std::env::var("ROLLCALL_TABLE") {
        std::fs::write(file, table).unwrap();
    }
}
