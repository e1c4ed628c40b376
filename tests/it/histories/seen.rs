//! Observations as inputs: any answers of a provider about anybody in any room, stored in any order
//! among the callbacks, some several times. Whatever follows from them, the answers are the model's.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use rollcall::{
    domain::{Outcome, Role, Says, SeatObservation, Seen, UnixMillis},
    store::Observer,
};
use rollcall_players::{
    Event,
    answers::{Answers, compare},
    model::{Observation, Word, model, model_with},
    zego,
};
use serde_json::{Value, json};

use super::{
    History, Played, System,
    observed::{add, app, hold_zego},
    play::Asked,
    simulated_runtime,
};
use crate::support::{RETENTION, TABLE_NAME};

/// How far two clocks may differ, in ms, and by how much two times of one login.
const EDGES: [u64; 2] = [10_000, 1000];

const MINUTE: Duration = Duration::from_mins(1);

/// How many observations a history has at most.
const OBSERVATIONS: usize = 10;

/// Any answers of the provider: about whom, and what.
struct Inputs<'a> {
    played: &'a Played,
    random: fastrand::Rng,
    /// When what was asked.
    asked_at: BTreeSet<u64>,
}

impl Inputs<'_> {
    /// Somebody in a room: mostly of whom something was reported.
    fn somebody(&mut self) -> (String, String, Vec<zego::Event>) {
        let events = zego_events(self.played);
        let (of_room, of_user) = (self.random.choice(&events), self.random.choice(&events));
        let known = |event: Option<&&zego::Event>, field: fn(&zego::Event) -> &String| {
            event.map(|event| field(event).clone())
        };
        let mut room = known(of_room, |event| &event.room).unwrap_or_else(|| "attic".to_owned());
        // A creation and a close name nobody.
        let user = known(of_user, |event| &event.user).filter(|user| !user.is_empty());
        let mut user = user.unwrap_or_else(|| "mallory".to_owned());
        match self.random.u8(..20) {
            0 => "mallory".clone_into(&mut user),
            1 => "attic".clone_into(&mut room),
            _ => {}
        }
        let own = events.into_iter().filter(|event| event.room == room);
        let own = own.filter(|event| event.user == user || !event.name.is_seat());
        let own = own.cloned().collect();
        (room, user, own)
    }

    /// A time at which something happened, or near it, or about as long after or before it as
    /// matters; or any.
    fn time(&mut self, own: &[zego::Event]) -> u64 {
        let times = own.iter().flat_map(|event| [event.at.0, event.login_time.0]);
        let times: Vec<u64> = times.filter(|at| *at > 0).collect();
        let any = self.played.ended_at - self.random.u64(..100_000);
        let at = self.random.choice(&times).copied().unwrap_or(any);
        let edge = self.random.choice(EDGES).unwrap_or_default();
        let near = self.random.u64(..4);
        match self.random.u8(..8) {
            0 => at + near,
            1 => at - near,
            2 | 3 => at + edge + near - 2,
            4 => at - edge + near - 2,
            5 => at + self.random.u64(..60_000),
            6 => at - self.random.u64(..60_000),
            _ => any,
        }
    }

    fn observation(&mut self) -> SeatObservation {
        let (room, user, own) = self.somebody();
        let mut at = self.time(&own);
        while !self.asked_at.insert(at) {
            at += 1;
        }
        let logins: Vec<zego::Event> =
            own.iter().filter(|event| event.name.is_seat()).cloned().collect();
        let (mut life, mut says) = (None, Says::Out);
        if self.random.bool() {
            let login = match self.random.u8(..10) {
                0..3 => None,
                3 => Some(0),
                4 => Some(at + 3_456_000_000),
                5 => Some(at - self.random.u64(..2000)),
                _ => Some(self.time(&logins)),
            };
            let role = Role([2, 1, 4, 0, 9][self.random.usize(..5)]);
            says = Says::In { login: login.map(UnixMillis), role };
        } else if self.random.u8(..3) > 0 {
            life = self.random.choice(&own).map(|event| event.life.to_string().parse().unwrap());
        }
        SeatObservation {
            app: app(),
            user: user.parse().unwrap(),
            room: room.parse().unwrap(),
            life,
            seen: Seen { at: UnixMillis(at), says },
            ends: None,
        }
    }
}

fn zego_events(played: &Played) -> Vec<&zego::Event> {
    let events = played.reported.iter().filter_map(|reported| match &reported.event {
        Event::Zego(event) => Some(event),
        _ => None,
    });
    events.collect()
}

/// Any observations on a history.
fn observations(history: &History, played: &Played) -> Vec<SeatObservation> {
    let random = fastrand::Rng::with_seed(history.seed);
    let mut inputs = Inputs { played, random, asked_at: BTreeSet::new() };
    let count = inputs.random.usize(1..=OBSERVATIONS);
    let mut all: Vec<SeatObservation> = (0..count).map(|_| inputs.observation()).collect();
    // Who stores an `Out` may know of which `In` it ends the stay.
    for number in 0..all.len() {
        let out = &all[number];
        if out.seen.says == Says::Out && out.life.is_none() && inputs.random.bool() {
            let is_of_it = |seen: &&SeatObservation| {
                seen.user == out.user && seen.room == out.room && seen.seen.says != Says::Out
            };
            let before = all.iter().filter(is_of_it).map(|seen| seen.seen);
            all[number].ends = before.filter(|seen| seen.at < out.seen.at).max();
        }
    }
    all
}

fn to_model(observation: &SeatObservation) -> Observation {
    let SeatObservation { user, room, life, seen, .. } = observation;
    Observation {
        room: format!("zego/1/{room}"),
        user: user.to_string(),
        life: life.as_ref().map(ToString::to_string),
        at: seen.at.0,
        says: match seen.says {
            Says::Out => Word::Out,
            Says::In { login, role } => {
                let role = match role.0 {
                    0 => "unspecified".to_owned(),
                    1 => "anchor".to_owned(),
                    2 => "audience".to_owned(),
                    4 => "admin".to_owned(),
                    code => format!("role_{code}"),
                };
                Word::In { login: login.map(|login| login.0), role }
            }
        },
    }
}

/// Delivers callbacks and observations. An `Out` of a seat that is not known is ignored, and comes
/// again in the end.
async fn deliver(history: &History, played: &Played, all: &[SeatObservation], system: &System) {
    let observer = Observer::new(system.store().client(), TABLE_NAME, RETENTION);
    let mut random = fastrand::Rng::with_seed(history.seed);
    played
        .deliver_with(history, system, async |_, _| {
            for _ in 0..random.usize(..3) {
                add(&observer, &all[random.usize(..all.len())]).await;
            }
        })
        .await;
    let mut all = all.to_vec();
    for _ in 0..3 {
        random.shuffle(&mut all);
        for observation in &all {
            add(&observer, observation).await;
        }
    }
    for observation in &all {
        assert_ne!(add(&observer, observation).await, Outcome::Applied);
    }
}

/// Asks for all that was reported and observed, and compares it with the model.
async fn hold_seen(history: &History, system: &System) -> Result<(), String> {
    let mut history = history.clone();
    let mut played = Played::new(&history);
    // When a life began that replaces another one is only known about if its creation is lost, and
    // with that whether an answer is older: the model allows that no answer.
    if !history.seed.is_multiple_of(4) {
        keep_creations(&mut history, &played);
        played = Played::new(&history);
    }
    let all = observations(&history, &played);
    let newest = all.iter().map(|observation| observation.seen.at.0).max();
    played.now = played.now.max(newest.unwrap_or_default());
    deliver(&history, &played, &all, system).await;
    let seen: Vec<Observation> = all.iter().map(to_model).collect();
    let held = hold_model(&history, &played, &seen, system).await;
    held.map_err(|why| {
        let mut story = why;
        for seen in &seen {
            write!(story, "\n{seen:?}").unwrap();
        }
        story
    })
}

fn keep_creations(history: &mut History, played: &Played) {
    for (number, reported) in played.reported.iter().enumerate() {
        let Event::Zego(event) = &reported.event else { continue };
        if event.name == zego::EventName::RoomCreate
            && let Some(fate) = history.fates.get_mut(number).filter(|fate| fate.is_empty())
        {
            fate.push(0);
        }
    }
}

async fn hold_model(
    history: &History,
    played: &Played,
    seen: &[Observation],
    system: &System,
) -> Result<(), String> {
    let expected = model_with(&played.known, seen, played.now);
    let mut asked = Asked::about(&played.reported, &played.truth);
    for seen in seen {
        asked.rooms.insert(seen.room.clone());
        asked.users.insert(format!("zego/1/{}", seen.user));
    }
    let answers = system.answers(&asked, played.now).await;
    compare("rooms", &answers.rooms, &expected.rooms)?;
    let known: BTreeSet<_> = expected.users.keys().collect();
    compare("known users", &answers.users.keys().collect(), &known)?;
    let about = known_about(&model(&played.known, played.now));
    for (path, answer) in answers.users.iter().filter(|(path, _)| !about.contains(*path)) {
        let user = answer.check(&expected.users[path]);
        user.map_err(|wrong| format!("{path}: {wrong}"))?;
    }
    if !about.is_empty() {
        return Ok(());
    }
    played.check_attendance_at(&asked, &expected, system, played.now).await?;
    if history.seed.is_multiple_of(3) {
        played.check_reports(history, &asked, &expected, system).await?;
    }
    Ok(())
}

/// Of whom it is only known about when they left.
fn known_about(answers: &Answers) -> BTreeSet<String> {
    let users = answers.users.iter();
    let about = users.filter(|(_, user)| user.over.iter().any(|(_, end)| end.is_about));
    about.map(|(path, _)| path.clone()).collect()
}

#[test]
fn promise_3_convergent_whatever_a_provider_answers_answers_are_the_models() {
    for loses in [false, true] {
        hold_zego(100, loses, &async |history, system| Box::pin(hold_seen(history, system)).await);
    }
}

/// Ada was seen with a later login before the callback of her first one came. That ended her first
/// stay: to who asks about her, and to who asks about the room.
#[test]
fn promise_3_convergent_who_was_seen_with_a_later_login_has_left_the_stay_before_it() {
    let text = "at-once 1 seed 3 faults false asks-after 0\nfates 0 200000\n+0 zego-login 0 0 2";
    let (system, history) = (System::simulated(), text.parse::<History>().unwrap());
    simulated_runtime().block_on(async {
        let played = Played::new(&history);
        let login = zego_events(&played)[1].clone();
        assert_eq!(login.name, zego::EventName::RoomLogin);
        let says = Says::In { login: Some(login.at.after(MINUTE)), role: Role(2) };
        let came = SeatObservation {
            app: app(),
            user: login.user.parse().unwrap(),
            room: login.room.parse().unwrap(),
            life: None,
            seen: Seen { at: login.at.after(2 * MINUTE), says },
            ends: None,
        };
        deliver(&history, &played, std::slice::from_ref(&came), &system).await;
        let seen = to_model(&came);
        hold_model(&history, &played, std::slice::from_ref(&seen), &system).await.unwrap();
        let query = format!("room={}", login.room);
        let path = "/attendance/zego/1/rooms";
        let visits = system.pages(path, &query, "sessions", played.now).await.unwrap();
        let left_at: Vec<_> =
            visits["sessions"].as_array().unwrap().iter().map(|visit| &visit["left_at"]).collect();
        assert_eq!(left_at, [&json!(login.at.after(MINUTE).0), &Value::Null]);
    });
}
