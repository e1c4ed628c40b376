//! Plays a history through the whole system: callbacks, handlers, store, queries.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::LazyLock,
    time::Duration,
};

use futures::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall::{
    domain::{App, ProviderName, Settings, Track, Tracks, UnixMillis},
    record::Records,
    store::Reader,
};
use rollcall_players::{
    Event, Secrets,
    answers::{Answers, Registration, Room, User, compare, is_same_visit, overlap, read_visits},
    model::{Arrived, Rooms, model, model_of},
    robots,
    world::{Reported, START, Step, Truth, live},
    zim,
};
use serde_json::Value;

use super::{explained, history::History, reports::Questions};
use crate::support::{
    Database, Handlers, Schedule, Simulated, TABLE_NAME, dump, player_secrets, simulated_dump,
    union,
};

/// How many members a page of a room has: few, so that there are several pages.
const MEMBERS: &str = "limit=2";

/// How many visits a page has.
const VISITS: &str = "limit=3";

/// How long after the end a repeated device is certainly online: its last repetition was at most
/// twenty minutes before the end.
const LEASE_HOLDS: u64 = 1_500_000;

/// The handlers and the store below them.
pub(super) enum System {
    Simulated(Simulated, RefCell<Handlers>),
    Real(Database, RefCell<Handlers>),
}

impl System {
    pub(super) fn simulated() -> Self {
        let simulated = Simulated::default();
        let handlers = Handlers::with(simulated.client());
        Self::Simulated(simulated, handlers.into())
    }

    pub(super) async fn real() -> Self {
        let database = Database::start().await;
        let handlers = Handlers::on(&database.url);
        Self::Real(database, handlers.into())
    }

    /// Deletes everything, and whatever the handlers remember.
    pub(super) fn clear(&self) {
        match self {
            Self::Simulated(simulated, handlers) => {
                simulated.clear();
                *handlers.borrow_mut() = Handlers::with(simulated.client());
            }
            Self::Real(..) => panic!("a real store is made anew"),
        }
    }

    /// From now on, the queries have these settings.
    pub(super) fn set(&self, settings: Settings) {
        match self {
            Self::Simulated(simulated, handlers) => {
                let reader = Reader::new(simulated.client(), TABLE_NAME).with_settings(settings);
                handlers.borrow_mut().queries.records = Records::new(reader, Duration::ZERO);
            }
            Self::Real(..) => panic!("a real store has the defaults"),
        }
    }

    /// The simulated store.
    pub(super) fn store(&self) -> &Simulated {
        match self {
            Self::Simulated(simulated, _) => simulated,
            Self::Real(..) => panic!("a real store has no stream here"),
        }
    }

    pub(super) fn handlers(&self) -> Handlers {
        match self {
            Self::Simulated(_, handlers) | Self::Real(_, handlers) => handlers.borrow().clone(),
        }
    }

    /// Everything that is stored, as it is, by its key.
    pub(super) async fn stored(&self) -> HashMap<String, Value> {
        match self {
            Self::Simulated(simulated, _) => simulated_dump(simulated),
            Self::Real(database, _) => dump(&database.client).await,
        }
    }

    /// Everything that is stored, by its key: seats with all their marks, wherever those are. What is
    /// left out counts from the arrival of the callback that decided: when an item expires, and when a
    /// first login was reported.
    pub(super) async fn records(&self) -> HashMap<String, Value> {
        let mut items = union(self.stored().await);
        // It is about the table, and stays.
        items.retain(|_, item| item["sk"] != "room_shards");
        for item in items.values_mut() {
            let expiry = item.as_object_mut().unwrap().remove("expires_at");
            assert!(expiry.is_some() || item["sk"] == "registration", "it never expires: {item}");
            if item["source"] == "first_login" {
                item.as_object_mut().unwrap().remove("recorded_at").unwrap();
            }
        }
        items
    }

    /// Delivers callbacks, some at the same time, until each is answered with success.
    pub(super) async fn deliver(&self, together: &[Arrived], schedule: &mut Schedule) {
        let mut left: Vec<&Arrived> = together.iter().collect();
        while !left.is_empty() {
            let handlers = left.iter().map(async |arrived| {
                let at = UnixMillis(arrived.received_at);
                let callback = arrived.event.callback(secrets(), at).unwrap();
                self.handlers().deliver(&callback, at).await
            });
            let replies = match self {
                Self::Simulated(simulated, _) => simulated.interleave(schedule, handlers).await,
                Self::Real(..) => join_all(handlers).await.into_iter().map(Some).collect(),
            };
            // The provider repeats a callback without an answer, or with a bad one.
            let failed = left.into_iter().zip(replies).filter(|(arrived, reply)| match reply {
                Some(reply) if reply.status == 200 => false,
                Some(reply) if reply.status != 503 || !schedule.has_faults => {
                    panic!("{}: {}: {arrived:?}", reply.status, reply.body)
                }
                _ => true,
            });
            left = failed.map(|(arrived, _)| arrived).collect();
        }
    }

    /// Runs something while callbacks are delivered once; `None` if it died.
    pub(super) async fn beside<T>(
        &self,
        together: &[Arrived],
        schedule: &mut Schedule,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let done = RefCell::new(None);
        let deliveries = together.iter().map(|arrived| {
            let at = UnixMillis(arrived.received_at);
            let callback = arrived.event.callback(secrets(), at).unwrap();
            Box::pin(async move {
                self.handlers().deliver(&callback, at).await;
            }) as Pin<Box<dyn Future<Output = ()> + '_>>
        });
        let work = Box::pin(async { *done.borrow_mut() = Some(work.await) });
        let all = std::iter::once(work as Pin<Box<dyn Future<Output = ()> + '_>>).chain(deliveries);
        match self {
            Self::Simulated(simulated, _) => _ = simulated.interleave(schedule, all).await,
            Self::Real(..) => _ = join_all(all).await,
        }
        done.into_inner()
    }

    pub(super) async fn ask(&self, path: &str, query: &str, now: u64) -> Option<Value> {
        let (status, answer) = self.handlers().get(path, query, UnixMillis(now)).await;
        assert!(status == 200 || status == 404, "{path}?{query}: {status}: {answer}");
        (status == 200).then_some(answer)
    }

    /// All that the answers say of these rooms and users.
    pub(super) async fn answers(&self, asked: &Asked, now: u64) -> Answers {
        let mut answers = Answers::default();
        for path in &asked.rooms {
            let (app, room) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
            let room = format!("room={}&{MEMBERS}", encode(&room[1..]));
            if let Some(answer) =
                self.pages(&format!("/presence/{app}/rooms"), &room, "members", now).await
            {
                answers.rooms.insert(path.clone(), Room::read(&answer).unwrap());
            }
        }
        for path in &asked.users {
            let (app, user) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
            let user = format!("user={}", encode(&user[1..]));
            if let Some(answer) = self.ask(&format!("/presence/{app}/users"), &user, now).await {
                answers.users.insert(path.clone(), User::read(&answer).unwrap());
            }
        }
        for app in &asked.registering_apps {
            let path = format!("/registrations/{app}");
            let list = self.pages(&path, "limit=3", "registrations", now).await.unwrap();
            for one in list["registrations"].as_array().unwrap() {
                let user = format!("{app}/{}", one["user"].as_str().unwrap());
                let registration = Registration::read(one).unwrap();
                assert_eq!(answers.registrations.insert(user, registration), None, "{list}");
            }
            if !app.starts_with("openim") {
                for month in ["2026-08", "2026-09"] {
                    let month_query = format!("month={month}");
                    let usage =
                        self.ask(&format!("/usage/{app}"), &month_query, now).await.unwrap();
                    let count = usize::try_from(usage["active_users"].as_u64().unwrap()).unwrap();
                    if count > 0 {
                        answers.active_users.insert(format!("{app}/{month}"), count);
                    }
                }
            }
        }
        answers
    }

    /// All pages of an answer as one.
    pub(super) async fn pages(
        &self,
        path: &str,
        query: &str,
        list: &str,
        now: u64,
    ) -> Option<Value> {
        let mut answer = self.ask(path, query, now).await?;
        while let Some(next) = answer["next"].as_str() {
            let next = format!("{query}&next={}", encode(next));
            let mut page = self.ask(path, &next, now).await.unwrap();
            let more = page[list].take();
            answer[list].as_array_mut().unwrap().extend_from_slice(more.as_array().unwrap());
            answer["next"] = page["next"].take();
        }
        Some(answer)
    }
}

pub(super) fn secrets() -> &'static Secrets {
    static SECRETS: LazyLock<Secrets> = LazyLock::new(player_secrets);
    &SECRETS
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What to ask for: all that the providers reported, whether or not that arrived.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) rooms: BTreeSet<String>,
    pub(super) users: BTreeSet<String>,
    pub(super) registering_apps: BTreeSet<&'static str>,
}

impl Asked {
    pub(super) fn about(reported: &[Reported], truth: &Truth) -> Self {
        let mut asked = Self::default();
        for reported in reported {
            let app = match &reported.event {
                Event::Zego(_) | Event::Zim(_) => "zego/1",
                Event::Tencent(_) => "tencent/1400000000",
                Event::OpenIm(_) => "openim/main",
            };
            let users = reported.event.people();
            asked.users.extend(users.iter().map(|user| format!("{app}/{user}")));
            if !matches!(&reported.event, Event::Zego(_)) {
                asked.registering_apps.insert(app);
            }
            let has_rooms = match &reported.event {
                Event::Zego(_) => true,
                Event::Zim(event) => event.name != zim::EventName::UserAction,
                Event::Tencent(event) => !event.name.is_chat(),
                Event::OpenIm(_) => false,
            };
            let rooms = truth.rooms.keys().filter(|room| has_rooms && room.starts_with(app));
            asked.rooms.extend(rooms.cloned());
        }
        asked
    }
}

/// Whether the callback has no time of its own, and not even the first arrival's counts.
fn is_known_by_each_arrival(event: &Event) -> bool {
    matches!(event, Event::OpenIm(event) if event.name.is_update())
}

/// The people in the rooms, by the path of the query.
pub(super) type Rosters = BTreeMap<String, BTreeSet<String>>;

/// A history that was played.
pub(super) struct Played {
    pub(super) reported: Vec<Reported>,
    pub(super) truth: Truth,
    pub(super) ended_at: u64,
    /// Every arrival.
    pub(super) arrived: Vec<Arrived>,
    /// The events that arrived at all: each once, unless each arrival says something new.
    pub(super) known: Vec<Arrived>,
    /// When the queries are sent.
    pub(super) now: u64,
    /// Which of Tencent's products decide who is in a room.
    pub(super) rooms: Rooms,
}

impl Played {
    /// Plays the providers, and decides how each callback arrives.
    pub(super) fn new(history: &History) -> Self {
        Self::counting(history, Rooms::Both)
    }

    /// The same with one of the settings, chosen by the history, if it matters there.
    pub(super) fn with_a_setting(history: &History) -> Self {
        let is_asked = history.steps.iter().any(Step::is_room_engine);
        let rooms = match history.seed / 5 % 5 {
            0 if is_asked => Rooms::Trtc,
            1 if is_asked => Rooms::RoomEngine,
            _ => Rooms::Both,
        };
        Self::counting(history, rooms)
    }

    fn counting(history: &History, rooms: Rooms) -> Self {
        let (reported, truth, ended_at) = live(&history.steps, rooms);
        let (mut arrived, mut known) = (Vec::new(), Vec::new());
        for (index, Reported { at, event }) in reported.iter().enumerate() {
            let arrivals = history.fate(index).iter();
            let people = event.people().into_iter();
            let robots: BTreeSet<String> =
                people.filter(|user| robots::is_robot(user)).cloned().collect();
            let arrived_at = |received_at| {
                let (event, robots) = (event.clone(), robots.clone());
                Arrived { event, received_at, robots }
            };
            let arrivals = arrivals.map(|delay| arrived_at(at + delay));
            if is_known_by_each_arrival(event) {
                known.extend(arrivals.clone());
            } else {
                known.extend(arrivals.clone().min_by_key(|arrived| arrived.received_at));
            }
            arrived.extend(arrivals);
        }
        let last = arrived.iter().map(|arrived| arrived.received_at).max().unwrap_or(ended_at);
        let now = last.max(ended_at) + history.asks_after;
        Self { reported, truth, ended_at, arrived, known, now, rooms }
    }

    /// The settings by which the history is asked about.
    pub(super) fn settings(&self) -> Settings {
        let app = App { provider: ProviderName::Tencent, id: "1400000000".parse().unwrap() };
        let tracks = match self.rooms {
            // It is the default.
            Rooms::Both => return Settings::new(),
            Rooms::Trtc => Tracks::Only(Track::Media),
            Rooms::RoomEngine => Tracks::Only(Track::RoomEngine),
        };
        Settings::new().with_rooms(app, tracks)
    }

    /// How late the latest arrival is.
    pub(super) fn latest(&self, history: &History) -> Duration {
        let delays = (0..self.reported.len()).flat_map(|reported| history.fate(reported));
        Duration::from_millis(delays.copied().max().unwrap_or_default())
    }

    fn has_losses(&self, history: &History) -> bool {
        (0..self.reported.len()).any(|reported| history.fate(reported).is_empty())
    }

    /// Delivers as the history has it: by the time of arrival, several at the same time.
    pub(super) async fn deliver(&self, history: &History, system: &System) {
        self.deliver_with(history, system, async |_, _| {}).await;
    }

    /// The same, with something that is done after each time, with the time of arrival.
    pub(super) async fn deliver_with(
        &self,
        history: &History,
        system: &System,
        mut after: impl AsyncFnMut(&mut Schedule, u64),
    ) {
        let mut arrived = self.arrived.clone();
        arrived.sort_by_key(|arrived| arrived.received_at);
        let random = fastrand::Rng::with_seed(history.seed);
        let mut schedule = Schedule { random, has_faults: history.has_faults };
        for together in arrived.chunks(history.at_once) {
            let now = together.iter().map(|arrived| arrived.received_at).max().unwrap();
            if let System::Simulated(simulated, _) = system {
                simulated.set_time(now);
            }
            system.deliver(together, &mut schedule).await;
            after(&mut schedule, now).await;
        }
    }

    /// Delivers what arrives one after another, as it happened.
    pub(super) async fn deliver_in_order(&self, system: &System) {
        let random = fastrand::Rng::with_seed(0);
        let mut schedule = Schedule { random, has_faults: false };
        for one in self.arrived.chunks(1) {
            system.deliver(one, &mut schedule).await;
        }
    }

    /// Checks the answers against the model and, if nothing was lost, against the truth.
    pub(super) async fn check(&self, history: &History, system: &System) -> Result<(), String> {
        let asked = Asked::about(&self.reported, &self.truth);
        let answers = system.answers(&asked, self.now).await;
        let expected = model_of(self.rooms, &self.known, self.now);
        compare("rooms", &answers.rooms, &expected.rooms)?;
        compare("registrations", &answers.registrations, &expected.registrations)?;
        compare("active users", &answers.active_users, &expected.active_users)?;
        let known: BTreeSet<_> = expected.users.keys().collect();
        compare("known users", &answers.users.keys().collect(), &known)?;
        for (path, answer) in &answers.users {
            let user = answer.check(&expected.users[path]);
            user.map_err(|wrong| format!("{path}: {wrong}"))?;
        }
        self.check_attendance_at(&asked, &expected, system, self.now).await?;
        // Each of these takes about as long as all the rest.
        match history.seed % 5 {
            0 => self.check_reports(history, &asked, &expected, system).await?,
            1 => explained::check(system, &asked.users, self.now).await?,
            _ => {}
        }
        if !self.has_losses(history) {
            self.check_truth(&asked, &answers)?;
        }
        Ok(())
    }

    /// Every visit, by room and by person.
    pub(super) async fn check_attendance_at(
        &self,
        asked: &Asked,
        model: &Answers,
        system: &System,
        now: u64,
    ) -> Result<(), String> {
        let rooms = asked.rooms.iter().map(|path| (path, "room"));
        let users = asked.users.iter().map(|path| (path, "user"));
        for (path, what) in rooms.chain(users).filter(|(path, _)| !path.starts_with("openim")) {
            let (app, id) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
            let id = &id[1..];
            let query = format!("{what}={}&{VISITS}", encode(id));
            let answer =
                system.pages(&format!("/attendance/{app}/{what}s"), &query, "sessions", now).await;
            let is_known = match what {
                "room" => model.rooms.contains_key(path),
                _ => model.users.contains_key(path),
            };
            compare(&format!("{path} is known"), &answer.is_some(), &is_known)?;
            let mut got = answer.map(|answer| read_visits(&answer).unwrap()).unwrap_or_default();
            let mut expected =
                model.visits(
                    app,
                    |user, stay| if what == "room" { stay.place == id } else { user == id },
                );
            for (whose, visits) in [("answers", &got), ("model", &expected)] {
                if let Some(overlap) = overlap(visits) {
                    return Err(format!("attendance of {path}, by the {whose}: {overlap}"));
                }
            }
            got.sort();
            // The model has a set. Of a stay of any length a second one would overlap.
            got.dedup();
            expected.sort();
            let is_same = got.len() == expected.len()
                && got.iter().zip(&expected).all(|(got, expected)| is_same_visit(got, expected));
            if !is_same {
                return Err(format!("attendance of {path}: got {got:#?}\nexpected {expected:#?}"));
            }
        }
        Ok(())
    }

    /// One report of each room and person.
    pub(super) async fn check_reports(
        &self,
        history: &History,
        asked: &Asked,
        model: &Answers,
        system: &System,
    ) -> Result<(), String> {
        let random = fastrand::Rng::with_seed(history.seed);
        let mut questions = Questions { system, model, random, now: self.now };
        for path in asked.rooms.iter().filter(|path| !path.starts_with("openim")) {
            let (app, room) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
            questions.of_room(app, &room[1..]).await?;
        }
        for path in asked.users.iter().filter(|path| !path.starts_with("openim")) {
            let (app, user) = path.split_at(path.match_indices('/').nth(1).unwrap().0);
            questions.of_user(app, &user[1..]).await?;
        }
        Ok(())
    }

    fn check_truth(&self, asked: &Asked, answers: &Answers) -> Result<(), String> {
        for room in &asked.rooms {
            let members =
                answers.rooms.get(room).map(|room| room.members.keys().cloned().collect());
            compare(
                &format!("{room} and the truth"),
                &members.unwrap_or_default(),
                &self.truth.rooms[room],
            )?;
        }
        for user in &asked.users {
            if user.starts_with("openim") && self.now > self.ended_at + LEASE_HOLDS {
                continue;
            }
            let is_online = answers.users.get(user).is_some_and(|user| !user.open.is_empty());
            let truth = self.truth.online.contains(user);
            compare(&format!("{user} and the truth"), &is_online, &truth)?;
        }
        Ok(())
    }

    /// How many callbacks the providers have reported.
    pub(super) fn reported(&self) -> usize {
        self.reported.len()
    }

    /// The callbacks in the order of their arrival.
    pub(super) fn arrivals(&self) -> impl Iterator<Item = &Event> {
        let mut arrivals: Vec<&Arrived> = self.arrived.iter().collect();
        arrivals.sort_by_key(|arrived| arrived.received_at);
        arrivals.into_iter().map(|arrived| &arrived.event)
    }

    /// Who is in the rooms: by the answers, by the model and by the truth.
    pub(super) async fn rosters(&self, system: &System) -> (Rosters, Rosters, Rosters) {
        let asked = Asked::about(&self.reported, &self.truth);
        let rosters = |answers: Answers| -> Rosters {
            let rooms = answers.rooms.into_iter();
            rooms.map(|(path, room)| (path, room.members.into_keys().collect())).collect()
        };
        let answers = system.answers(&asked, self.now).await;
        let mut truth = self.truth.rooms.clone();
        truth.retain(|room, _| self.is_told_of(room));
        (rosters(answers), rosters(model(&self.known, self.now)), truth)
    }

    fn is_told_of(&self, path: &str) -> bool {
        self.reported.iter().any(|reported| match &reported.event {
            Event::Zego(event) => path == format!("zego/1/{}", event.room),
            _ => false,
        })
    }

    /// The events, for people who read a history.
    pub(super) fn story(&self, history: &History) -> String {
        let line = |(index, reported): (usize, &Reported)| {
            let fate = history.fate(index);
            let Reported { at, event } = reported;
            let delays =
                if fate.is_empty() { "lost".to_owned() } else { format!("after {fate:?}") };
            format!("# {index} at +{} arrives {delays}: {event:?}\n", at - START)
        };
        self.reported.iter().enumerate().map(line).collect()
    }
}
