//! Whether what was sent is recorded: Rollcall's answers, and those of the players' model.

use std::{collections::BTreeMap, fmt, time::Duration};

use futures::{StreamExt, stream};
use rollcall::{
    callback::Provider,
    domain::{App, Settings, Track, Tracks},
    providers::tencent::Chat,
    runtime,
};
use rollcall_players::{
    Event,
    answers::{
        Answers, End, Registration, Room, Stay, User, Visit, compare, is_same_visit, read_visits,
    },
    gateway,
    model::{Arrived, Rooms, model_of},
    tencent::EventName::{LiveDestroy, LiveOffline, RoomDestroy, RoomLeave, TrtcDismiss, TrtcExit},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::ask::{AskError, Client, Query};

/// How many queries are sent at the same time.
const CONCURRENT_QUERIES: usize = 8;

/// Rooms come from an index, which may lag.
const LAG: Duration = Duration::from_secs(10);

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(250);

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub enum Sent<'a> {
    /// A history. No other event has its names, so the answers have to be exactly the model's.
    History(&'a [Event]),
    /// One event. Others may have happened to the same people before, so the answers have to hold
    /// what this one reports.
    Alone(&'a Event),
}

/// What was compared, and what was not as it was sent.
#[derive(Debug, Default)]
pub struct Verdict {
    people: usize,
    visits: usize,
    devices: usize,
    registrations: usize,
    rooms: usize,
    /// One line for each difference.
    pub wrong: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, visits, devices, registrations, rooms, .. } = self;
        write!(
            f,
            "{people} people, {registrations} registrations, {visits} visits, {devices} devices, \
             {rooms} rooms"
        )
    }
}

/// Queries every user and every room that the events name, and compares with the model.
pub async fn verify(
    sent: Sent<'_>,
    client: &reqwest::Client,
    url: &str,
    settings: &Settings,
) -> Verdict {
    let events = match sent {
        Sent::History(events) => events,
        Sent::Alone(event) => std::slice::from_ref(event),
    };
    // When each arrived is not known. The model says what depends on it.
    let now = runtime::now().0;
    let arrived: Vec<Arrived> =
        events.iter().map(|event| Arrived { event: event.clone(), received_at: now }).collect();
    let counted = rooms_of(events, settings);
    let model = model_of(counted, &arrived, now);
    let times = || events.iter().flat_map(Event::times);
    let span = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
    let mut openim = BTreeMap::<String, Vec<Arrived>>::new();
    for arrived in arrived {
        if let Event::OpenIm(event) = &arrived.event {
            for user in &event.options.users {
                let path = format!("openim/{}/{user}", event.options.app);
                openim.entry(path).or_default().push(arrived.clone());
            }
        }
    }
    let users = || model.users.values();
    let mut verdict = Verdict {
        people: model.users.len(),
        visits: users()
            .flat_map(User::visits)
            .filter(|(stay, _)| stay.entered_at.is_some())
            .count(),
        devices: users().map(|user| user.devices().count()).sum(),
        registrations: model.registrations.len(),
        rooms: model.rooms.len(),
        wrong: Vec::new(),
    };
    let client = Client::new(client.clone(), gateway(url));
    let asker = &Asker { client, sent, counted, span, model: &model, openim };
    let end = Instant::now() + LAG;
    let users = stream::iter(model.users.keys().map(|path| (path, false)));
    let rooms = stream::iter(model.rooms.keys().map(|path| (path, true)));
    let queries = users.chain(rooms).map(async |(path, is_room)| {
        let ask = async || if is_room { asker.room(path).await } else { asker.user(path).await };
        let wrong = settle(end, ask).await.into_iter();
        let line = |wrong: String| wrong.split_whitespace().collect::<Vec<_>>().join(" ");
        wrong.map(|wrong| format!("{path}: {}", line(wrong))).collect::<Vec<_>>()
    });
    let wrong: Vec<Vec<String>> = queries.buffer_unordered(CONCURRENT_QUERIES).collect().await;
    verdict.wrong = wrong.concat();
    verdict
}

/// Which of Tencent's products decide who is in a room. A history has one app of Tencent's.
fn rooms_of(events: &[Event], settings: &Settings) -> Rooms {
    let app = events.iter().find_map(|event| match event {
        Event::Tencent(event) => {
            let id = event.options.app.parse().ok()?;
            Some(App { provider: Chat::NAME, id })
        }
        _ => None,
    });
    match app.map_or(Tracks::Both, |app| settings.rooms(&app)) {
        Tracks::Both => Rooms::Both,
        Tracks::Only(Track::Media) => Rooms::Trtc,
        Tracks::Only(Track::RoomEngine) => Rooms::RoomEngine,
    }
}

/// Repeats a query until nothing is wrong, or until it takes too long for a lag.
async fn settle(end: Instant, mut ask: impl AsyncFnMut() -> Vec<String>) -> Vec<String> {
    loop {
        let wrong = ask().await;
        if wrong.is_empty() || Instant::now() >= end {
            return wrong;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Asker<'a> {
    client: Client,
    sent: Sent<'a>,
    counted: Rooms,
    /// From the first event to the last one, in Unix ms.
    span: (u64, u64),
    model: &'a Answers,
    /// What was sent of each user of `OpenIM`: whether a device still is online depends on when that
    /// is asked.
    openim: BTreeMap<String, Vec<Arrived>>,
}

impl Asker<'_> {
    /// An answer; `None` if what was asked for is not known.
    async fn get(&self, query: &Query) -> Result<Option<Value>, String> {
        known(self.client.json(query).await)
    }

    /// All pages of a list as one; `None` if what was asked for is not known.
    async fn list(&self, query: &Query, field: &str) -> Result<Option<Value>, String> {
        known(self.client.list(query, &[field], usize::MAX).await)
    }

    async fn user(&self, path: &str) -> Vec<String> {
        let found = async {
            let mut wrong = self.visits(path).await?;
            wrong.extend(self.presence(path).await?);
            wrong.extend(self.registration(path).await?);
            Ok(wrong)
        };
        let found: Result<Vec<String>, String> = found.await;
        found.unwrap_or_else(|error| vec![error])
    }

    async fn visits(&self, path: &str) -> Result<Vec<String>, String> {
        let (app, user) = split(path);
        let visits = self.model.users.get(path).into_iter().flat_map(User::visits);
        let model: Vec<Visit> = visits.map(|(stay, end)| (user.to_owned(), stay, end)).collect();
        let reported = |visit: &&Visit| !visit.1.is_entry_assumed || !self.is_alone();
        if !model.iter().any(|visit| reported(&visit)) {
            return Ok(Vec::new());
        }
        let (from, to) = self.span;
        let asked = Query::get(format!("/attendance/{app}/users")).with("user", user);
        let asked = asked.with("from", from).with("to", to);
        let recorded = self.list(&asked, "sessions").await?;
        let mut recorded = recorded.as_ref().map_or(Ok(Vec::new()), read_visits)?;
        // Visits that began before belong to other events.
        recorded.retain(|(_, stay, _)| stay.entered_at.is_none_or(|at| at >= from));
        let mut wrong = Vec::new();
        for visit in model.iter().filter(reported) {
            if !recorded.iter().any(|found| self.is_recorded_as(visit, found)) {
                wrong.push(format!("{} is not recorded", shown(visit)));
            }
        }
        for found in &recorded {
            if !model.iter().any(|visit| self.is_recorded_as(visit, found)) {
                wrong.push(format!("{} is recorded and was not sent", shown(found)));
            }
        }
        Ok(wrong)
    }

    fn is_recorded_as(&self, model: &Visit, found: &Visit) -> bool {
        let (user, stay, end) = model;
        if !self.is_alone() {
            return is_same_visit(found, model);
        }
        // Their name and their role may be those of other events.
        let Stay { name, role, .. } = found.1.clone();
        let expected = (user.clone(), Stay { name, role, ..stay.clone() }, end.clone());
        stay.is_entry_assumed && stay.place == found.1.place || is_same_visit(found, &expected)
    }

    async fn presence(&self, path: &str) -> Result<Vec<String>, String> {
        let (app, id) = split(path);
        let Some(model) = self.model.users.get(path) else { return Ok(Vec::new()) };
        if self.is_alone() && model.devices().next().is_none() {
            return Ok(Vec::new());
        }
        let asked = Query::get(format!("/presence/{app}/users")).with("user", id);
        let Some(answer) = self.list(&asked, "sessions").await? else {
            return Ok(vec!["is not known".to_owned()]);
        };
        let user = User::read(&answer)?;
        let at_answer = self.openim.get(path).map(|sent| {
            rollcall_players::model::model(sent, answer["as_of"].as_u64().unwrap_or_default())
        });
        let model = at_answer.as_ref().and_then(|answers| answers.users.get(path)).unwrap_or(model);
        if !self.is_alone() {
            return Ok(user.check(model).err().into_iter().collect());
        }
        let mut wrong = Vec::new();
        for device in model.devices() {
            if !user.devices().any(|found| is_told(device, found)) {
                wrong.push(format!("{device:?} is not recorded in {answer}"));
            }
        }
        Ok(wrong)
    }

    async fn registration(&self, path: &str) -> Result<Vec<String>, String> {
        let Some(model) = self.model.registrations.get(path) else { return Ok(Vec::new()) };
        let (app, user) = split(path);
        let asked = Query::get(format!("/registrations/{app}/users")).with("user", user);
        let Some(answer) = self.get(&asked).await? else {
            return Ok(vec!["is not registered".to_owned()]);
        };
        let found = Registration::read(&answer)?;
        // The earliest one stays, so an earlier one may be there already.
        let is_earlier = self.is_alone() && found.at < model.at;
        let is_right = found.name == model.name
            && (is_earlier
                || found.from == model.from && (found.at == model.at || model.from == "receipt"));
        Ok(if is_right { Vec::new() } else { vec![format!("is registered otherwise: {answer}")] })
    }

    async fn room(&self, path: &str) -> Vec<String> {
        self.members(path).await.unwrap_or_else(|error| vec![error])
    }

    async fn members(&self, path: &str) -> Result<Vec<String>, String> {
        let (app, id) = split(path);
        let Some(model) = self.model.rooms.get(path) else { return Ok(Vec::new()) };
        let asked = Query::get(format!("/presence/{app}/rooms")).with("room", id);
        let asked = asked.with("count", "exact");
        let Some(answer) = self.list(&asked, "members").await? else {
            return Ok(vec!["is not known".to_owned()]);
        };
        let room = Room::read(&answer)?;
        let Sent::Alone(event) = self.sent else {
            return Ok(compare("room", &room, model).err().into_iter().collect());
        };
        let mut wrong = Vec::new();
        let everybody = self.model.visits(app, |_, stay| stay.place == id);
        for (user, ..) in everybody {
            match (model.members.contains_key(&user), room.members.contains_key(&user)) {
                (true, false) => wrong.push(format!("{user} is in, and is not listed")),
                (false, true) => wrong.push(format!("{user} has left, and is listed")),
                _ => {}
            }
        }
        if model.life.is_some() && model.life != room.life {
            wrong.push(format!("its life is {:?}, and {:?} is recorded", model.life, room.life));
        }
        // A leave says nothing of the room. An end does, but by the other product it may be open.
        let says_nothing = match event {
            Event::Tencent(event) => match event.name {
                TrtcExit | RoomLeave | LiveOffline => true,
                TrtcDismiss | RoomDestroy | LiveDestroy => self.counted == Rooms::Both,
                _ => false,
            },
            _ => false,
        };
        if model.open != room.open && !says_nothing {
            wrong.push(format!("open is {}, and {} is recorded", model.open, room.open));
        }
        Ok(wrong)
    }

    fn is_alone(&self) -> bool {
        matches!(self.sent, Sent::Alone(_))
    }
}

/// Whether the record says of a device what one event reports.
fn is_told((model, end): (&Stay, Option<&End>), (found, found_end): (&Stay, Option<&End>)) -> bool {
    let is_end = match (end, found_end) {
        (Some(end), Some(found_end)) => end.allows(found_end, None),
        (end, found_end) => end.is_none() && found_end.is_none(),
    };
    let is_time =
        model.is_about || model.entered_at.is_none() || model.entered_at == found.entered_at;
    model.place == found.place && model.session == found.session && is_end && is_time
}

fn shown((_, stay, end): &Visit) -> String {
    let at = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let (entered_at, left_at) = (at(stay.entered_at), at(end.as_ref().map(|end| end.at)));
    format!("the visit to {} from {entered_at} to {left_at}", stay.place)
}

/// `PROVIDER/APP` and the id, of a path `PROVIDER/APP/ID`.
fn split(path: &str) -> (&str, &str) {
    let second = path.match_indices('/').nth(1);
    second.map_or((path, ""), |(at, _)| (&path[..at], &path[at + 1..]))
}

/// An answer; `None` if what was asked for is not known.
fn known(answer: Result<Value, AskError>) -> Result<Option<Value>, String> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(AskError::NotKnown { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
