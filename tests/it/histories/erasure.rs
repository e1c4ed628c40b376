//! Random histories in which a person is erased at a random moment: callbacks come before it, at the
//! same moment, and after it. Some of them find no store, wait in the spill queue and are replayed at
//! random moments. Afterwards no answer names the person, and after the second pass no item does,
//! except by what happened since. Everything that the erasure does not cover is in the answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use rollcall::{
    domain::{MAX_EVENT_TIME_AHEAD, Mark, SessionMark, SessionState, UnixMillis},
    erase::{Repeat, SECOND_PASS_AFTER},
    store::Eraser,
};
use rollcall_players::{
    Event,
    answers::{Answers, User, compare},
    model::{Arrived, Erased, model, without},
    tencent,
    zego::EventName::RoomLogin,
};
use serde_json::Value;

use super::{
    history::{History, Kind, histories},
    play::{Asked, Played, System, encode},
    share, simulated_runtime,
    spilling::{Spilling, Waiting},
    unlogged,
};
use crate::support::Schedule;

/// Who is erased, and when.
#[derive(Debug, Clone)]
struct Erasing {
    /// One of those whom the callbacks are about.
    who: prop::sample::Index,
    /// After how many of the arrivals.
    when: prop::sample::Index,
    /// Whether callbacks arrive at the same moment.
    is_alone: bool,
    /// Whether some callbacks come while the store is down for them, and the seed of which ones do,
    /// and of when they are replayed.
    spills: Option<u64>,
}

fn erasings() -> impl Strategy<Value = Erasing> {
    let index = any::<prop::sample::Index>;
    (index(), index(), any::<bool>(), prop::option::of(any::<u64>()))
        .prop_map(|(who, when, is_alone, spills)| Erasing { who, when, is_alone, spills })
}

#[test]
fn an_erased_person_is_gone_whatever_arrives_and_in_whatever_order() {
    let system = System::simulated();
    let runtime = simulated_runtime();
    let _unlogged = unlogged();
    let kinds = ["zego", "trtc", "room", "trtc room", "chat", "openim", "zim-user", "zim-room", ""];
    for acts in kinds {
        for loses in [false, true] {
            let config = Config {
                cases: share(12),
                failure_persistence: None,
                max_shrink_iters: 5000,
                max_shrink_time: 20_000,
                ..Config::default()
            };
            let strategy = (histories(Kind { acts, loses }), erasings());
            let result = TestRunner::new(config).run(&strategy, |(history, erasing)| {
                system.clear();
                runtime.block_on(hold(&history, &erasing, &system)).map_err(TestCaseError::fail)
            });
            match result {
                Ok(()) => {}
                Err(TestError::Fail(why, (history, erasing))) => {
                    let story = Played::new(&history).story(&history);
                    panic!("{why}\n\n{erasing:?}\n{history}\n{story}")
                }
                Err(abort) => panic!("{abort}"),
            }
        }
    }
}

/// Plays a history with an erasure.
struct Play<'a> {
    played: Played,
    system: &'a System,
    asked: Asked,
    /// Who is erased.
    path: String,
    /// What the handlers have stored by now.
    stored: Vec<Arrived>,
    spilling: Spilling,
}

async fn hold(history: &History, erasing: &Erasing, system: &System) -> Result<(), String> {
    let played = Played::new(history);
    let asked = Asked::about(&played.reported, &played.truth);
    let Some(path) = asked.users.iter().nth(erasing.who.index(asked.users.len().max(1))) else {
        return Ok(());
    };
    let mut arrived = played.arrived.clone();
    arrived.sort_by_key(|arrived| arrived.received_at);
    let spilling = Spilling::new(system, erasing.spills);
    let path = path.clone();
    let mut play = Play { path, asked, system, stored: Vec::new(), spilling, played };
    play.hold(&arrived, history, erasing).await
}

impl Play<'_> {
    async fn hold(
        &mut self,
        arrived: &[Arrived],
        history: &History,
        erasing: &Erasing,
    ) -> Result<(), String> {
        let random = fastrand::Rng::with_seed(history.seed);
        let mut schedule = Schedule { random, has_faults: history.has_faults };
        let (before, after) = arrived.split_at(erasing.when.index(arrived.len() + 1));
        for together in before.chunks(history.at_once) {
            self.deliver(together, &mut schedule).await;
        }
        let at_once = if erasing.is_alone { 0 } else { history.at_once.min(after.len()) };
        let (during, after) = after.split_at(at_once);
        let last = before.iter().chain(during).map(|arrived| arrived.received_at).max();
        let now = last.unwrap_or(self.played.now);
        let replayed = if erasing.is_alone { Vec::new() } else { self.spilling.take_some() };
        let mut erased = self.erase(during, &replayed, now, &mut schedule).await;
        // What was not stored because its handler died arrives again.
        let mut at_same_moment = during.to_vec();
        if !during.is_empty() {
            self.system.deliver(during, &mut schedule).await;
        }
        at_same_moment.extend(self.replay(replayed, now, &mut schedule).await);
        self.stored.extend_from_slice(during);
        if at_same_moment.is_empty() {
            self.expect_gone(now).await?;
        }
        // Callbacks that come at a quarter of an hour later still are no late ones.
        let second = now + u64::try_from(SECOND_PASS_AFTER.as_millis()).unwrap();
        let (soon, later) = after.split_at(
            after.iter().position(|arrived| arrived.received_at > second).unwrap_or(after.len()),
        );
        for together in soon.chunks(history.at_once) {
            self.deliver(together, &mut schedule).await;
        }
        // A login at the same moment may find an old registration that is deleted a moment later.
        let is_late = soon.iter().any(|arrived| self.is_old_login(arrived, erased.at))
            || at_same_moment.iter().any(|arrived| self.is_old_login(arrived, u64::MAX));
        self.check(&erased, second, is_late, Passes::One).await?;
        self.repeat(second, &mut schedule).await;
        self.check(&erased, second, is_late, Passes::Both).await?;
        self.expect_only_newer(&erased, &[]).await?;
        // As long as an end waits for its beginning, there are more passes.
        let mut repeats = self.system.handlers().take_repeats();
        let is_waiting = !repeats.is_empty();
        let hidden = self.expect_nothing_hidden(second).await;
        if let Err(hidden) = hidden
            && !is_waiting
        {
            return Err(format!("an end is left for ever: {hidden}"));
        }
        // What comes when no pass is left may be an end of before, which expires by itself.
        let mut is_behind_all_passes = !is_waiting;
        for together in later.chunks(history.at_once) {
            is_behind_all_passes |= repeats.is_empty();
            self.deliver(together, &mut schedule).await;
            if schedule.random.u8(..) < 64 {
                self.repeat_all(&mut repeats, together[0].received_at, &mut schedule).await;
            }
        }
        let end = self.played.now.max(second);
        let waiting = self.spilling.take_all();
        is_behind_all_passes |= repeats.is_empty() && !waiting.is_empty();
        self.replay(waiting, end, &mut schedule).await;
        self.check(&erased, end, is_late, Passes::Both).await?;
        self.expect_only_newer(&erased, later).await?;
        // A beginning that has not come by now never will, unless it has come without its end.
        let day = u64::try_from((Eraser::BEGINNING_MAY_COME + MAX_EVENT_TIME_AHEAD).as_millis());
        let given_up = end + day.unwrap();
        self.repeat_all(&mut repeats, given_up, &mut schedule).await;
        assert!(repeats.is_empty(), "it is repeated for ever");
        self.check(&erased, end, is_late, Passes::Both).await?;
        if !is_behind_all_passes {
            self.expect_nothing_hidden(end).await?;
        }
        // Once more, when all is over: a person who is erased again is gone.
        erased.at = self.erase(&[], &[], end, &mut schedule).await.at;
        self.expect_gone(end).await?;
        self.repeat(end, &mut schedule).await;
        self.expect_only_newer(&erased, &[]).await?;
        self.expect_nothing_hidden(end).await
    }

    /// Delivers callbacks, some of which find no store, and replays some of those that waited.
    async fn deliver(&mut self, together: &[Arrived], schedule: &mut Schedule) {
        let (spilled, stored): (Vec<Arrived>, Vec<Arrived>) =
            together.iter().cloned().partition(|_| self.spilling.is_next_spilled());
        self.system.deliver(&stored, schedule).await;
        self.stored.extend(stored);
        for arrived in spilled {
            if !self.spilling.spill(&arrived).await {
                self.stored.push(arrived);
            }
        }
        let replayed = self.spilling.take_some();
        let now = together.iter().map(|arrived| arrived.received_at).max().unwrap();
        self.replay(replayed, now, schedule).await;
    }

    /// Replays messages until none of them stays in the queue. Returns what they were about.
    async fn replay(
        &mut self,
        messages: Vec<Waiting>,
        now: u64,
        schedule: &mut Schedule,
    ) -> Vec<Arrived> {
        let mut left: Vec<&Waiting> = messages.iter().collect();
        while !left.is_empty() {
            let replay = self.spilling.replay(&left, now);
            match self.system.beside(&[], schedule, replay).await {
                Some(kept) => {
                    assert!(kept.is_empty() || schedule.has_faults, "{kept:?}");
                    left.retain(|waiting| kept.contains(&waiting.message_id));
                }
                None => assert!(schedule.has_faults),
            }
        }
        let replayed: Vec<Arrived> = messages.into_iter().map(|waiting| waiting.arrived).collect();
        self.stored.extend_from_slice(&replayed);
        replayed
    }

    fn app_and_user(&self) -> (&str, &str) {
        let (app, user) = self.path.split_at(self.path.match_indices('/').nth(1).unwrap().0);
        (app, &user[1..])
    }

    /// Requests the erasure until it is complete, while callbacks arrive and messages are replayed.
    async fn erase(
        &self,
        during: &[Arrived],
        replayed: &[Waiting],
        now: u64,
        schedule: &mut Schedule,
    ) -> Erased {
        let (app, user) = self.app_and_user();
        let (url, query) = (format!("/users/{app}"), format!("user={}", encode(user)));
        let handlers = self.system.handlers();
        let mut during = during;
        let mut replayed: Vec<&Waiting> = replayed.iter().collect();
        loop {
            let erase = handlers.erase(&url, &query, UnixMillis(now));
            let replay = self.spilling.replay(&replayed, now);
            let both = async { futures::join!(erase, replay).0 };
            let answer = self.system.beside(during, schedule, both).await;
            during = &[];
            replayed.clear();
            match answer {
                Some((status, answer)) if status == 200 => {
                    assert_eq!(answer["complete"], true, "{answer}");
                    let at = answer["at"].as_u64().unwrap();
                    return Erased { path: self.path.clone(), at };
                }
                Some((status, answer)) => {
                    assert!(status == 503 && schedule.has_faults, "{status}: {answer}");
                }
                None => assert!(schedule.has_faults),
            }
        }
    }

    /// The second passes that the requests have arranged.
    async fn repeat(&self, now: u64, schedule: &mut Schedule) {
        let repeats = self.system.handlers().take_repeats();
        assert!(!repeats.is_empty(), "nothing repeats the erasure");
        for repeat in &repeats {
            self.repeat_one(repeat, now, schedule).await;
        }
    }

    /// The passes that others have arranged. Those that they arrange take their place.
    async fn repeat_all(&self, repeats: &mut Vec<Repeat>, now: u64, schedule: &mut Schedule) {
        for repeat in std::mem::take(repeats) {
            self.repeat_one(&repeat, now, schedule).await;
        }
        repeats.extend(self.system.handlers().take_repeats());
    }

    async fn repeat_one(&self, repeat: &Repeat, now: u64, schedule: &mut Schedule) {
        loop {
            let handlers = self.system.handlers();
            let pass = handlers.repeat(repeat, UnixMillis(now));
            match self.system.beside(&[], schedule, pass).await {
                Some(Ok(())) => return,
                Some(Err(error)) => assert!(schedule.has_faults, "{error}"),
                None => assert!(schedule.has_faults),
            }
        }
    }

    /// No answer knows the person.
    async fn expect_gone(&self, now: u64) -> Result<(), String> {
        let (app, user) = self.app_and_user();
        let query = format!("user={}", encode(user));
        let mut urls = vec![
            format!("/presence/{app}/users"),
            format!("/attendance/{app}/users"),
            format!("/registrations/{app}/users"),
            format!("/users/{app}"),
        ];
        for url in urls.drain(..) {
            if let Some(answer) = self.system.ask(&url, &query, now).await {
                return Err(format!("{url}?{query} still has {answer}"));
            }
        }
        Ok(())
    }

    /// Whether a login is older than the erasure: it may have kept newer ones from registering
    /// their user, and from counting them for their month.
    fn is_old_login(&self, arrived: &Arrived, erased_at: u64) -> bool {
        self.login_of(arrived).is_some_and(|at| at <= erased_at)
    }

    /// When the person logged in, if the callback says that they did.
    fn login_of(&self, arrived: &Arrived) -> Option<u64> {
        let (path, at) = match &arrived.event {
            Event::Tencent(event) if event.name == tencent::EventName::ChatLogin => {
                let path = format!("tencent/{}/{}", event.options.app, event.options.user);
                (path, event.at())
            }
            Event::Zim(event) if event.is_login() => {
                (format!("zego/{}/{}", event.app, event.user), event.told_at())
            }
            _ => return None,
        };
        (path == self.path).then_some(at)
    }

    /// Everything that is stored about the person is in the answer that says what is stored.
    async fn expect_nothing_hidden(&self, now: u64) -> Result<(), String> {
        let (app, user) = self.app_and_user();
        let query = format!("user={}&limit=1000", encode(user));
        let data = self.system.ask(&format!("/users/{app}"), &query, now).await;
        let answered = data.map_or(0, |data| data["items"].as_array().unwrap().len());
        let of_person = format!("{}#user#{}", app.replace('/', "#"), key_part(user));
        let stored = self.system.stored().await;
        let stored: Vec<&Value> =
            stored.values().filter(|item| item["pk"] == of_person.as_str()).collect();
        compare("number of stored items", &answered, &stored.len())
            .map_err(|wrong| format!("{wrong}\n{stored:#?}"))
    }

    /// What is known of the person and of others. What an OpenIM server of before sends says nothing
    /// of its time, so each of its arrivals is an event of its own.
    fn known(&self) -> Vec<Arrived> {
        let mut stored = self.stored.clone();
        stored.sort_by_key(|arrived| arrived.received_at);
        let mut seen = BTreeSet::new();
        stored.retain(|arrived| {
            let is_openim = matches!(arrived.event, Event::OpenIm(_));
            is_openim || seen.insert(format!("{:?}", arrived.event))
        });
        stored
    }

    /// The answers are the model's, for which what was erased never arrived.
    async fn check(
        &self,
        erased: &Erased,
        now: u64,
        is_late: bool,
        passes: Passes,
    ) -> Result<(), String> {
        let known = without(&self.known(), erased);
        let mut expected = model(&known, now);
        let mut answers = self.system.answers(&self.asked, now).await;
        compare("rooms", &answers.rooms, &expected.rooms)?;
        if is_late {
            self.check_late(&known, &mut answers, &mut expected, passes)?;
        }
        self.forget_repeated_registration(erased, &mut answers, &mut expected);
        compare("registrations", &answers.registrations, &expected.registrations)?;
        if passes == Passes::Both || !is_late {
            compare("active users", &answers.active_users, &expected.active_users)?;
        }
        let known: BTreeSet<_> = expected.users.keys().collect();
        compare("known users", &answers.users.keys().collect(), &known)?;
        for (path, answer) in &answers.users {
            let user = answer.check(&expected.users[path]);
            user.map_err(|wrong| format!("{path}: {wrong}"))?;
        }
        self.played.check_attendance_at(&self.asked, &expected, self.system, now).await
    }

    /// A registration of `OpenIM`'s that does not say when it was made is as old as its receipt. If it
    /// is repeated after the erasure, it may be lost to its own first receipt, which is deleted. So it
    /// may be as old as a later repetition, or lost.
    fn forget_repeated_registration(
        &self,
        erased: &Erased,
        answers: &mut Answers,
        expected: &mut Answers,
    ) {
        let Some(first) = expected.registrations.get(&self.path) else { return };
        if first.from != "receipt" {
            return;
        }
        let Some(found) = answers.registrations.get_mut(&self.path) else {
            expected.registrations.remove(&self.path);
            let is_update = |arrived: &Arrived| {
                arrived.received_at > erased.at
                    && arrived
                        .event
                        .people()
                        .iter()
                        .any(|user| self.path.ends_with(&format!("/{user}")))
                    && matches!(&arrived.event, Event::OpenIm(event) if event.name.is_update())
            };
            let is_known = self.known().iter().any(is_update);
            if !is_known && expected.users.get(&self.path) == Some(&User::default()) {
                expected.users.remove(&self.path);
            }
            return;
        };
        let is_repetition = |arrived: &Arrived| {
            matches!(arrived.event, Event::OpenIm(_)) && arrived.received_at == found.at
        };
        if found.at > first.at && self.known().iter().any(is_repetition) {
            found.at = first.at;
        }
    }

    /// After a late login of before, the person is registered as of one of the logins since, if the
    /// second pass is over, and a month may lack them.
    fn check_late(
        &self,
        known: &[Arrived],
        answers: &mut Answers,
        expected: &mut Answers,
        passes: Passes,
    ) -> Result<(), String> {
        let logins: BTreeSet<u64> =
            known.iter().filter_map(|arrived| self.login_of(arrived)).collect();
        let found = answers.registrations.remove(&self.path);
        let wanted = expected.registrations.remove(&self.path);
        if let Some(found) = &found
            && !logins.contains(&found.at)
        {
            return Err(format!("registered at {found:?}, logins {logins:?}"));
        }
        if passes == Passes::Both {
            compare("is registered", &found.is_some(), &wanted.is_some())?;
        }
        let count = |active: &BTreeMap<String, usize>, month: &str| {
            active.get(month).copied().unwrap_or_default()
        };
        let months: BTreeSet<String> =
            answers.active_users.keys().chain(expected.active_users.keys()).cloned().collect();
        for month in months {
            let (found, wanted) =
                (count(&answers.active_users, &month), count(&expected.active_users, &month));
            let most = wanted + usize::from(passes == Passes::One);
            if !(wanted.saturating_sub(1)..=most).contains(&found) {
                return Err(format!("{month} has {found} active users, not {wanted}"));
            }
        }
        answers.active_users.clear();
        expected.active_users.clear();
        Ok(())
    }

    /// All that is stored about the person began or happened since. That may be the end of a session
    /// that began before, or a return to it, which has the times of its first login: `later` came
    /// after the second pass, and no answer has it.
    async fn expect_only_newer(&self, erased: &Erased, later: &[Arrived]) -> Result<(), String> {
        let (app, user) = self.app_and_user();
        let [provider, app] = app.split('/').collect::<Vec<_>>()[..] else { unreachable!() };
        for (key, item) in self.system.stored().await {
            let of_person = format!("{provider}#{app}#user#{}", key_part(user));
            let in_index = item["gsi1sk"].as_str().unwrap_or_default();
            let names = item["pk"] == of_person.as_str()
                || in_index.split('#').next_back() == Some(&key_part(user))
                    && item["gsi1pk"].as_str().unwrap().starts_with(&format!("{provider}#{app}#"))
                || item["creator"] == user;
            if !names {
                continue;
            }
            let is_return = |mark: &Mark| {
                later.iter().any(|arrived| match &arrived.event {
                    Event::Zego(event) => {
                        event.name == RoomLogin
                            && (event.login_time, event.at, event.sequence)
                                == (mark.order.time, mark.at, mark.order.sequence)
                    }
                    _ => false,
                })
            };
            let marks = item["marks"].as_array().into_iter().flatten().map(|mark| {
                let bytes = hex::decode(mark.as_str().unwrap()).unwrap();
                let mark = Mark::from_bytes(&bytes).unwrap();
                if is_return(&mark) { u64::MAX } else { mark.order.time.max(mark.at).0 }
            });
            // An end since the erasure names the login of before, as an entry's own time is in a leave.
            let is_named_by_end = |mark: &SessionMark| {
                mark.state == SessionState::LoginNamed
                    && later.iter().any(|arrived| match &arrived.event {
                        Event::Zim(event) => event.session == mark.session.as_str(),
                        _ => false,
                    })
            };
            let sessions = item["sessions"].as_array().into_iter().flatten().map(|mark| {
                let bytes = hex::decode(mark.as_str().unwrap()).unwrap();
                let mark = SessionMark::from_bytes(&bytes).unwrap();
                if is_named_by_end(&mark) { u64::MAX } else { mark.at.0 }
            });
            let number = |name: &str| item[name].as_str().and_then(|text| text.parse::<u64>().ok());
            let stamps = ["online_stamp", "offline_stamp", "logout_stamp", "kicked_stamp"]
                .into_iter()
                .filter_map(|name| number(name).map(|stamp| stamp / 32));
            let registered = number("create_time").or(number("recorded_at"));
            let others = ["login_at", "profile_changed_at"].into_iter().filter_map(number);
            let times: Vec<u64> =
                marks.chain(sessions).chain(stamps).chain(registered).chain(others).collect();
            if times.is_empty() || times.iter().any(|time| *time <= erased.at) {
                return Err(format!("{key}, erased at {}: {item:#}", erased.at));
            }
        }
        Ok(())
    }
}

/// Which passes are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passes {
    One,
    Both,
}

/// An id as part of a key.
fn key_part(id: &str) -> String {
    let mut part = String::new();
    for byte in id.bytes() {
        match byte {
            b'#' | b'%' | 0..32 | 127.. => write!(part, "%{byte:02X}").unwrap(),
            _ => part.push(char::from(byte)),
        }
    }
    part
}
