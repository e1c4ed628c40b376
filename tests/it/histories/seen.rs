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

/// Ada in a history, and observations of her.
struct Case {
    system: System,
    history: History,
    played: Played,
    /// Her newest event.
    newest: zego::Event,
    /// When she was seen, and what was said, with the life on whose seat that lies.
    seen: Vec<SeatObservation>,
}

impl Case {
    fn new(text: &str) -> Self {
        let (system, history) = (System::simulated(), text.parse::<History>().unwrap());
        let played = Played::new(&history);
        let newest = (*zego_events(&played).last().unwrap()).clone();
        Self { system, history, played, newest, seen: Vec::new() }
    }

    fn sees(&mut self, at: UnixMillis, says: Says, life: Option<u64>, ends: Option<Seen>) -> Seen {
        let seen = Seen { at, says };
        self.seen.push(SeatObservation {
            app: app(),
            user: self.newest.user.parse().unwrap(),
            room: self.newest.room.parse().unwrap(),
            life: life.map(|life| life.to_string().parse().unwrap()),
            seen,
            ends,
        });
        self.played.now = self.played.now.max(at.0);
        seen
    }

    /// Her visits in the room, as (entered, left), if all answers are the model's.
    async fn visits(&self) -> BTreeSet<(Option<u64>, Option<u64>)> {
        let Self { system, history, played, newest, seen } = self;
        deliver(history, played, seen, system).await;
        let of_model: Vec<Observation> = seen.iter().map(to_model).collect();
        hold_model(history, played, &of_model, system).await.unwrap();
        let (path, query) = ("/attendance/zego/1/rooms", format!("room={}", newest.room));
        let found = system.pages(path, &query, "sessions", played.now).await.unwrap();
        let visits = found["sessions"].as_array().unwrap().iter();
        visits.map(|visit| (visit["entered_at"].as_u64(), visit["left_at"].as_u64())).collect()
    }
}

/// Ada was seen with a later login before the callback of her first one came. That ended her first
/// stay: to who asks about her, and to who asks about the room.
#[test]
fn promise_3_convergent_who_was_seen_with_a_later_login_has_left_the_stay_before_it() {
    let mut ada = Case::new(
        "at-once 1 seed 3 faults false asks-after 0\nfates 0 200000\n+0 zego-login 0 0 2",
    );
    let login = ada.newest.at;
    let next = login.after(MINUTE);
    let says = Says::In { login: Some(next), role: Role(2) };
    ada.sees(login.after(2 * MINUTE), says, None, None);
    let visits = simulated_runtime().block_on(ada.visits());
    assert_eq!(visits, BTreeSet::from([(Some(login.0), Some(next.0)), (Some(next.0), None)]));
}

/// Ada logged in and out at one millisecond, and in again: that callback is lost, an answer shows it.
/// Half a minute later she logged in once more. Until then she was in.
#[test]
fn promise_3_convergent_who_was_seen_after_a_stay_of_no_length_was_in_until_the_next() {
    let mut ada = Case::new(
        "at-once 1 seed 3 faults false asks-after 0\nfates\n\
         +0 zego-login 0 0 2\n+0 zego-logout 0 0 0\n+28532 zego-login 0 0 2",
    );
    let out = ada.newest.at.before(Duration::from_millis(28_532));
    let says = Says::In { login: Some(out.before(MINUTE / 2)), role: Role(1) };
    ada.sees(out.after(Duration::from_millis(10_001)), says, None, None);
    let (out, back) = (Some(out.0), Some(ada.newest.at.0));
    let visits = simulated_runtime().block_on(ada.visits());
    assert_eq!(visits, BTreeSet::from([(out, out), (out, back), (back, None)]));
}

/// Ada was seen in, then out of her stay by an answer that is nearly as old, and then certainly out
/// of the room. A roster no longer reads that she was in; who reads all of her seats agrees with it.
#[test]
fn promise_3_convergent_who_certainly_left_since_they_were_seen_in_is_out_for_all() {
    let mut ada =
        Case::new("at-once 1 seed 3 faults false asks-after 0\nfates\n+0 zego-login 0 0 2");
    let (login, life) = (ada.newest.at, ada.newest.life);
    let came = login.after(MINUTE);
    let came = ada.sees(came, Says::In { login: None, role: Role(1) }, None, None);
    let gone = came.at.after(Duration::from_secs(9));
    ada.sees(gone, Says::Out, Some(life), None);
    ada.sees(came.at.after(Duration::from_secs(15)), Says::Out, None, Some(came));
    let visits = simulated_runtime().block_on(ada.visits());
    assert_eq!(visits, BTreeSet::from([(Some(login.0), Some(gone.0))]));
}
