//! Observations among the marks: what a provider answers when it is asked who is there.
//!
//! The provider is the world: it answers late by up to [`LAG`] ms, of each person at another moment, and
//! by a clock that differs from ours by up to [`CLOCK`] ms. Its answers go the way that a pass's answers
//! go: [`Record::observe`](rollcall::record::Record::observe) decides, [`Observer`] stores.

use std::collections::BTreeSet;

use futures::FutureExt;
use rollcall::{
    domain::{
        App, LifeId, Outcome, ProviderName, Role, RoomId, Says, SeatObservation, Seen, Settings,
        UnixMillis, UserId,
    },
    record::Records,
    routes::{QUERY, RECONCILE},
    store::{Observer, Reader},
};
use rollcall_players::{
    Event,
    answers::{overlap, read_visits},
    robots::is_robot,
    world::{Act, Reported, Step, truth_at},
};

use super::{
    history::{History, Kind},
    hold,
    play::{Asked, Played, System, encode},
    share, simulated_runtime,
};
use crate::support::{RETENTION, Schedule, TABLE_NAME, iam};

/// How late the provider's answers may be.
const LAG: u64 = 3000;

/// How far the provider's clock may differ from ours.
const CLOCK: u64 = 5000;

/// A pass so long after the last event is sure to see it: by our clock, which may be [`CLOCK`] ms
/// behind, more than 10 s have passed since any time that an event names, which may itself be 3 s
/// ahead.
const SURELY: u64 = 20_000;

/// What the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// What was true a moment ago.
    Honest,
    /// Anything.
    Lies,
}

/// What asks the provider.
struct Passes<'a> {
    system: &'a System,
    steps: &'a [Step],
    asked: &'a Asked,
    records: Records,
    observer: Observer,
    random: fastrand::Rng,
    /// How far our clock is ahead of the provider's by more than [`CLOCK`] ms behind.
    ahead: u64,
    /// Everything that was stored.
    stored: Vec<SeatObservation>,
}

pub(super) fn app() -> App {
    App { provider: ProviderName::Zego, id: "1".parse().unwrap() }
}

impl<'a> Passes<'a> {
    fn new(system: &'a System, history: &'a History, asked: &'a Asked) -> Self {
        Self::with(system, history, asked, Settings::new())
    }

    fn with(
        system: &'a System,
        history: &'a History,
        asked: &'a Asked,
        settings: Settings,
    ) -> Self {
        let client = system.store().client();
        let reader = Reader::new(client.clone(), TABLE_NAME).with_settings(settings);
        let mut random = fastrand::Rng::with_seed(history.seed);
        let ahead = random.u64(..=2 * CLOCK);
        Self {
            system,
            steps: &history.steps,
            asked,
            records: Records::new(reader, std::time::Duration::ZERO),
            observer: Observer::new(client, TABLE_NAME, RETENTION),
            random,
            ahead,
            stored: Vec::new(),
        }
    }

    /// Our time when the provider's clock shows this.
    fn our(&self, at: u64) -> UnixMillis {
        UnixMillis(at + self.ahead - CLOCK)
    }

    /// Whom a pass asks for.
    fn people(&self) -> Vec<(RoomId, UserId)> {
        let id = |path: &String| path.splitn(3, '/').nth(2).unwrap().to_owned();
        let rooms = self.asked.rooms.iter().filter(|path| path.starts_with("zego"));
        let users: Vec<String> =
            self.asked.users.iter().filter(|path| path.starts_with("zego")).map(id).collect();
        let all = rooms.flat_map(|room| {
            let room = id(room);
            users.iter().map(move |user| (room.parse().unwrap(), user.parse().unwrap()))
        });
        all.collect()
    }

    /// The provider's answer about one person.
    fn answer(&mut self, room: &RoomId, user: &UserId, at: u64, answers: Answers) -> Says {
        if answers == Answers::Lies {
            let login = match self.random.u8(..4) {
                0 => None,
                1 => Some(UnixMillis(0)),
                2 => Some(self.our(at + 3_456_000_000)),
                _ => {
                    let ago = self.random.u64(..3_000_000);
                    Some(self.our(at - ago))
                }
            };
            // What asks knows whom the patterns name.
            let role = if is_robot(user.as_str()) { Role::ADMIN } else { Role(1) };
            return if self.random.bool() { Says::Out } else { Says::In { login, role } };
        }
        let truth = truth_at(self.steps, at - self.random.u64(..=LAG));
        let session = truth.sessions.get(&(format!("zego/1/{room}"), user.to_string()));
        let is_named = self.random.u8(..) < 230;
        session.map_or(Says::Out, |(login, role)| Says::In {
            login: is_named.then_some(UnixMillis(*login)),
            role: Role(*role),
        })
    }

    /// Asks for one person, and stores what follows. Returns how much was stored.
    async fn ask(&mut self, room: &RoomId, user: &UserId, at: u64, answers: Answers) -> usize {
        let says = self.answer(room, user, at, answers);
        let seen = Seen { at: self.our(at), says };
        let found = observe(&self.records, &self.observer, room, user, seen).await;
        self.stored.extend(found.iter().cloned());
        found.len()
    }

    /// A whole pass. Returns how much was stored.
    async fn pass(&mut self, at: u64, answers: Answers) -> usize {
        let mut stored = 0;
        for (number, (room, user)) in (0..).zip(self.people()) {
            // It takes some time.
            let at = at + number * 7;
            self.system.store().set_time(at);
            stored += self.ask(&room, &user, at, answers).await;
        }
        stored
    }
}

/// One answer of the provider: what follows is stored.
async fn observe(
    records: &Records,
    observer: &Observer,
    room: &RoomId,
    user: &UserId,
    seen: Seen,
) -> Vec<SeatObservation> {
    let app = app();
    let reading = async {
        let view = records.at(&app, seen.at).await.unwrap();
        view.record().observe(room, user, seen).await.unwrap()
    };
    let found = iam::acting_as(QUERY, reading).await;
    for observation in &found {
        add(observer, observation).await;
    }
    found
}

pub(super) async fn add(observer: &Observer, observation: &SeatObservation) -> Outcome {
    iam::acting_as(RECONCILE, observer.add(observation)).await.unwrap()
}

/// Passes at any moment between the callbacks.
async fn deliver(history: &History, played: &Played, passes: &mut Passes<'_>, lies: bool) {
    let system = passes.system;
    played
        .deliver_with(history, system, async |schedule, now| {
            if schedule.random.u8(..) < 40 {
                let lies = lies && schedule.random.bool();
                passes.pass(now, if lies { Answers::Lies } else { Answers::Honest }).await;
            }
        })
        .await;
}

/// Who is in the rooms is the truth, and so is who is online; and no stays of a person overlap.
async fn check(system: &System, played: &Played, asked: &Asked, now: u64) -> Result<(), String> {
    let answers = system.answers(asked, now).await;
    for (room, truth) in &played.truth.rooms {
        if !room.starts_with("zego") || !asked.rooms.contains(room) {
            continue;
        }
        let members = answers.rooms.get(room).map(|room| room.members.keys().cloned().collect());
        let mut members: BTreeSet<String> = members.unwrap_or_default();
        let mut truth = truth.clone();
        // Whether they are online is checked below.
        for user in recorders(played, room) {
            members.remove(&user);
            truth.remove(&user);
        }
        if members != truth {
            return Err(format!("{room}: in are {truth:?}, and the roster has {members:?}"));
        }
    }
    for user in asked.users.iter().filter(|user| user.starts_with("zego")) {
        let is_online = answers.users.get(user).is_some_and(|user| !user.open.is_empty());
        if is_online != played.truth.online.contains(user) {
            return Err(format!("{user} is online by the answers: {is_online}"));
        }
    }
    check_stays(system, asked, now).await
}

/// Who was in a room as a recorder once. No observation changes the role of a visit.
pub(super) fn recorders(played: &Played, room: &str) -> BTreeSet<String> {
    let recorder = |reported: &Reported| match &reported.event {
        Event::Zego(event) if event.role == 4 && room == format!("zego/1/{}", event.room) => {
            Some(event.user.clone())
        }
        _ => None,
    };
    played.reported.iter().filter_map(recorder).collect()
}

/// No stays of a person overlap, for who asks about a room or about a person.
async fn check_stays(system: &System, asked: &Asked, now: u64) -> Result<(), String> {
    let rooms = asked.rooms.iter().map(|path| (path, "room"));
    let users = asked.users.iter().map(|path| (path, "user"));
    for (path, what) in rooms.chain(users).filter(|(path, _)| path.starts_with("zego")) {
        let id = path.splitn(3, '/').nth(2).unwrap();
        let query = format!("{what}={}&limit=3", encode(id));
        let found =
            system.pages(&format!("/attendance/zego/1/{what}s"), &query, "sessions", now).await;
        let Some(found) = found else { continue };
        let visits = read_visits(&found).unwrap();
        if let Some(overlap) = overlap(&visits) {
            return Err(format!("attendance of {path}: {overlap}"));
        }
        for (user, stay, end) in visits {
            if end.is_some_and(|end| stay.entered_at.is_some_and(|entered| end.at < entered)) {
                return Err(format!("{user} left {path} before they came: {stay:?}"));
            }
        }
    }
    Ok(())
}

/// A time at which everything has happened for long enough.
fn settled(played: &Played) -> u64 {
    let last = played.arrived.iter().map(|arrived| arrived.received_at).max();
    last.unwrap_or_default().max(played.ended_at) + SURELY
}

pub(super) fn hold_zego(
    thousandths: u32,
    loses: bool,
    check: &impl AsyncFn(&History, &System) -> Result<(), String>,
) {
    let system = System::simulated();
    let check = async |history: &History| {
        system.clear();
        check(history, &system).boxed_local().await
    };
    hold(share(thousandths), Kind { acts: "zego", loses }, &check, &simulated_runtime());
}

/// Passes at any moment change no answer.
async fn hold_harmless(history: &History, system: &System) -> Result<(), String> {
    let played = Played::new(history);
    let asked = Asked::about(&played.reported, &played.truth);
    let mut passes = Passes::new(system, history, &asked);
    Box::pin(deliver(history, &played, &mut passes, false)).await;
    let held = played.check(history, system).await;
    held.map_err(|why| format!("{why}\n{:#?}\nby {history}", passes.stored))
}

/// If nothing is lost, passes at any moment change no answer.
#[test]
fn promise_3_convergent_asking_the_provider_changes_nothing_if_nothing_is_lost() {
    hold_zego(200, false, &async |history, system| {
        Box::pin(hold_harmless(&with_logins_at_their_times(history), system)).await
    });
}

/// The same, in which no login names the time of one before it. ZEGO's `login_time` is when a login
/// happened; of a login that named another time nobody could know whether it came after an `Out`.
fn with_logins_at_their_times(history: &History) -> History {
    let mut history = history.clone();
    for step in history.steps.iter_mut().filter(|step| step.act == Act::ZegoLogin) {
        // Keeps the session: a new login time.
        if step.is_even(0) && step.is_even(1) {
            step.how |= 2;
        }
    }
    history
}

/// Ada logs in, logs out after ten minutes, and logs in again with her old session and login time.
const OLD_LOGIN: &str = "at-once 1 seed 5 faults false asks-after 0\nfates 0\n\
    +0 zego-login 0 0 2\n+600000 zego-logout 0 0 0\n+8000 zego-login 0 0 0";

/// The lobby, Ada, and the life in which she is.
fn ada(played: &Played) -> (RoomId, UserId, LifeId) {
    let Event::Zego(event) = &played.reported[0].event else { panic!("no event of ZEGO") };
    let life = event.life.to_string().parse().unwrap();
    (event.room.parse().unwrap(), event.user.parse().unwrap(), life)
}

#[test]
fn promise_3_convergent_an_answer_from_before_a_relogin_with_its_old_login_time_does_no_harm() {
    let (system, history) = (System::simulated(), OLD_LOGIN.parse::<History>().unwrap());
    simulated_runtime().block_on(async {
        let played = Played::new(&history);
        let asked = Asked::about(&played.reported, &played.truth);
        let passes = Passes::new(&system, &history, &asked);
        played.deliver(&history, &system).await;
        let (room, user, _) = ada(&played);
        let seen = Seen { at: UnixMillis(played.ended_at + 1000), says: Says::Out };
        system.store().set_time(seen.at.0);
        let stored = observe(&passes.records, &passes.observer, &room, &user, seen).await;
        assert_eq!(stored, []);
        played.check(&history, &system).await.unwrap();
    });
}

/// An `Out` between the logout and such a relogin, stored because the logout was late, ends the new
/// stay, too: nothing that is known says which came first. The next pass takes that back.
#[test]
fn promise_3_convergent_the_next_pass_brings_back_who_relogs_in_with_their_old_login_time() {
    let text = OLD_LOGIN.replace("+8000", "+300000");
    let (system, history) = (System::simulated(), text.parse::<History>().unwrap());
    simulated_runtime().block_on(async {
        let played = Played::new(&history);
        let asked = Asked::about(&played.reported, &played.truth);
        let mut passes = Passes::new(&system, &history, &asked);
        played.deliver(&history, &system).await;
        let (room, user, life) = ada(&played);
        let seen = Seen { at: UnixMillis(played.ended_at - 100_000), says: Says::Out };
        let life = Some(life);
        let out = SeatObservation { app: app(), user, room, life, seen, ends: None };
        assert_eq!(add(&passes.observer, &out).await, Outcome::Applied);
        check(&system, &played, &asked, settled(&played)).await.unwrap_err();
        passes.pass(settled(&played), Answers::Honest).await;
        check(&system, &played, &asked, settled(&played) + 5000).await.unwrap();
    });
}

/// Bob logs in to the library and is out 114 ms later by its close; Cy opens it again at once. An
/// answer from between, that Bob is in, was stored before any of that arrived.
#[test]
fn promise_3_convergent_who_was_in_for_a_moment_is_not_in_the_next_life_of_the_room() {
    let text = "at-once 3 seed 10728730103046417316 faults true asks-after 0\n\
                fates 0,0,0 0 115 115 0 0 0 0 0 0 1 1\n\
                +0 zego-login 0 1 2\n+2 zego-login 1 0 2\n+0 zego-login 0 0 2\n\
                +0 zego-login 0 1 1\n+0 zego-login 1 1 10\n+114 zego-close 0 1 16\n\
                +0 zego-login 0 0 2\n+0 zego-login 2 0 2\n+0 zego-login 2 1 2";
    let (system, history) = (System::simulated(), text.parse::<History>().unwrap());
    simulated_runtime().block_on(hold_harmless(&history, &system)).unwrap();
}

/// After the first pass without an error that begins after the last late event, all is right.
#[test]
fn promise_3_convergent_one_pass_repairs_what_was_lost() {
    hold_zego(200, true, &async |history, system| {
        let played = Played::new(history);
        let asked = Asked::about(&played.reported, &played.truth);
        let mut passes = Passes::new(system, history, &asked);
        deliver(history, &played, &mut passes, false).await;
        let at = settled(&played);
        passes.pass(at, Answers::Honest).await;
        check(system, &played, &asked, at + 5000).await?;
        // It is known now: nothing more is stored.
        for later in [30_000, 3_000_000] {
            let stored = passes.pass(at + later, Answers::Honest).await;
            if stored > 0 {
                return Err(format!("{stored} more observations, {:#?}", passes.stored));
            }
            check(system, &played, &asked, at + later + 5000).await?;
        }
        Ok(())
    });
}

/// Lies are gone after two honest passes; without them nothing was ever wrong.
#[test]
fn promise_3_convergent_lies_of_the_provider_are_repaired_and_can_be_ignored() {
    for loses in [false, true] {
        hold_zego(100, loses, &async |history, system| {
            let played = Played::new(history);
            let asked = Asked::about(&played.reported, &played.truth);
            let mut passes = Passes::new(system, history, &asked);
            deliver(history, &played, &mut passes, true).await;
            let at = settled(&played);
            passes.pass(at, Answers::Lies).await;
            for later in [30_000, 60_000] {
                passes.pass(at + later, Answers::Honest).await;
            }
            check(system, &played, &asked, at + 65_000).await
        });
    }
}

/// Observations are stored in any order and any number of times. Two passes at once do what one does.
#[test]
fn promise_2_idempotent_observations_may_come_again_and_from_two_passes_at_once() {
    hold_zego(200, true, &async |history, system| {
        let played = Played::new(history);
        let asked = Asked::about(&played.reported, &played.truth);
        let mut passes = Passes::new(system, history, &asked);
        deliver(history, &played, &mut passes, false).await;
        let at = settled(&played);
        let mut schedule =
            Schedule { random: fastrand::Rng::with_seed(history.seed), has_faults: false };
        for (room, user) in passes.people() {
            let two = [0, 40].map(|later| {
                let says = passes.answer(&room, &user, at + later, Answers::Honest);
                Seen { at: passes.our(at + later), says }
            });
            let (records, observer) = (&passes.records, &passes.observer);
            let both = two.map(|seen| observe(records, observer, &room, &user, seen));
            let both = both.map(FutureExt::boxed_local);
            system.store().interleave(&mut schedule, both).await;
        }
        check(system, &played, &asked, at + 5000).await?;
        let before = system.records().await;
        for _ in 0..2 {
            passes.random.shuffle(&mut passes.stored);
            for observation in &passes.stored {
                let outcome = add(&passes.observer, observation).await;
                if outcome == Outcome::Applied {
                    return Err(format!("{observation:?} was stored before"));
                }
            }
        }
        super::same_records(&system.records().await, &before)
    });
}

/// However often the provider is asked, and whatever it says, two observations are on a seat at most.
#[test]
fn two_observations_are_on_a_seat_after_a_thousand_passes() {
    let system = System::simulated();
    let text = "at-once 1 seed 5 faults false asks-after 0\nfates x 0 x 0 x x\n\
                +0 zego-login 0 0 1\n+9000 zego-logout 0 0 0\n+9000 zego-login 0 0 1";
    let history: History = text.parse().unwrap();
    simulated_runtime().block_on(async {
        let played = Played::new(&history);
        let mut asked = Asked::about(&played.reported, &played.truth);
        asked.rooms.retain(|room| room.ends_with("lobby"));
        let mut passes = Passes::new(&system, &history, &asked);
        deliver(&history, &played, &mut passes, false).await;
        for pass in 0..1000 {
            let answers = if pass % 3 == 1 { Answers::Lies } else { Answers::Honest };
            passes.pass(settled(&played) + pass * 30_000, answers).await;
        }
        check(&system, &played, &asked, settled(&played) + 1000 * 30_000).await.unwrap();
        assert!(passes.stored.len() > 100, "{}", passes.stored.len());
        for item in system.store().items() {
            let seen = item.keys().filter(|name| name.starts_with("seen")).count();
            assert!(seen <= 2, "{item:?}");
        }
    });
}
