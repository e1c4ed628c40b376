//! What the record has to be after some events, and whether it is.
//!
//! What is expected is worked out here from what was sent, event by event in the order in which they
//! happened, and not with the rules of Rollcall.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use futures::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, StatusCode};
use rollcall::{endpoint::Endpoint, runtime};
use serde_json::Value;
use tokio::time::Instant;

use super::{Event, iam::Signer, openim, tencent, zego};

/// How many questions are asked at the same time.
const CONCURRENT_QUESTIONS: usize = 8;

/// Rooms come from an index, which may lag.
const LAG: Duration = Duration::from_secs(10);

/// An OpenIM server without connection ids says after ten or twenty minutes that a device still is
/// online: one that was not heard of for longer than two of these times is not.
const LEASE_MS: u64 = 45 * 60 * 1000;

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(250);

/// What has to be escaped in a query string that is signed.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What all questions about somebody or some room begin with: provider and app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct App {
    provider: &'static str,
    id: String,
}

/// What the events say of people and rooms.
#[derive(Debug, Default)]
pub struct Record {
    people: BTreeMap<(App, String), Person>,
    rooms: BTreeMap<(App, String), Room>,
    /// From the first event to the last one, in Unix ms.
    span: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Person {
    visits: Vec<Visit>,
    devices: BTreeMap<String, Device>,
    registration: Option<Registration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Visit {
    room: String,
    life: Option<String>,
    session: Option<String>,
    entered_at: Option<u64>,
    /// Whether the record says that nobody told when it began.
    is_entry_assumed: bool,
    left_at: Option<u64>,
    /// Its end was not sent, but the same person entered again, or the room began anew: so it has
    /// one. Some histories of one kind of event are like that.
    is_replaced: bool,
}

#[derive(Debug, Default)]
struct Device {
    online_at: Option<u64>,
    offline_at: Option<u64>,
    /// It is online only as long as that is repeated.
    is_leased: bool,
    /// No time was sent: what is recorded is when it arrived.
    is_timeless: bool,
}

#[derive(Debug)]
struct Registration {
    name: Option<String>,
    at: Option<u64>,
}

#[derive(Debug, Default)]
struct Room {
    /// ZEGO's, by number.
    lives: BTreeMap<u64, Life>,
    is_open: Option<bool>,
    is_in: BTreeSet<String>,
    is_out: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Life {
    created_at: Option<u64>,
    first_login_at: Option<u64>,
    closed_at: Option<u64>,
}

impl Life {
    fn began_at(&self) -> Option<u64> {
        self.created_at.or(self.first_login_at).or(self.closed_at)
    }
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

impl Record {
    /// What these events come to, given in the order in which they happened.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut record = Self::default();
        for event in events {
            match event {
                Event::Zego(sealed) => record.zego(&sealed.event),
                Event::OpenIm(sealed) => record.openim(&sealed.event),
                Event::Tencent(sealed) => record.tencent(&sealed.event),
            }
        }
        record.see_who_is_in();
        record
    }

    fn saw(&mut self, at: u64) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn person(&mut self, app: &App, user: &str) -> &mut Person {
        self.people.entry((app.clone(), user.to_owned())).or_default()
    }

    fn room(&mut self, app: &App, room: &str) -> &mut Room {
        self.rooms.entry((app.clone(), room.to_owned())).or_default()
    }

    fn zego(&mut self, event: &zego::Event) {
        let app = App { provider: "zego", id: event.app.clone() };
        let (entered, at) = (event.login_time.0, event.at.0);
        let life = self.room(&app, &event.room).lives.entry(event.life).or_default();
        match event.name {
            zego::EventName::RoomCreate => life.created_at = Some(at),
            zego::EventName::RoomClose => life.closed_at = Some(at),
            zego::EventName::RoomLogin | zego::EventName::RoomLogout => {
                let first = life.first_login_at.map_or(entered, |first| first.min(entered));
                life.first_login_at = Some(first);
                // Recorders and moderation are not counted as people.
                if event.role == 4 {
                    return;
                }
                self.saw(entered);
                let person = self.person(&app, &event.user);
                let same =
                    |visit: &&mut Visit| visit.session.as_deref() == Some(event.session.as_str());
                let left_at = (event.name == zego::EventName::RoomLogout).then_some(at);
                if let Some(visit) = person.visits.iter_mut().find(same) {
                    visit.left_at = left_at.or(visit.left_at);
                } else {
                    person.visits.push(Visit {
                        room: event.room.clone(),
                        life: Some(event.life.to_string()),
                        session: Some(event.session.clone()),
                        entered_at: Some(entered),
                        is_entry_assumed: false,
                        left_at,
                        is_replaced: false,
                    });
                }
            }
        }
        self.saw(at);
    }

    fn openim(&mut self, event: &openim::Event) {
        let app = App { provider: "openim", id: event.options.app.clone() };
        let (at, platform) = (event.at(), event.options.platform.name());
        for user in &event.options.users {
            let person = self.person(&app, user);
            match event.name {
                openim::EventName::UserRegister => {
                    let name = event.options.name.as_ref().unwrap_or(user);
                    let created_at = event.options.create_time;
                    let at = (created_at > 0).then_some(created_at);
                    let first = Registration { name: Some(name.clone()), at };
                    person.registration.get_or_insert(first);
                }
                openim::EventName::UserOnline | openim::EventName::UserOffline => {
                    let device = person.device(platform);
                    device.is_timeless |= !event.has_time();
                    if event.name == openim::EventName::UserOnline {
                        device.is_leased = event.options.is_leased();
                        device.came(at);
                    } else {
                        device.went(at);
                    }
                }
            }
            // Only registrations come in batches.
            if event.name != openim::EventName::UserRegister {
                break;
            }
        }
        self.saw(at);
    }

    fn tencent(&mut self, event: &tencent::Event) {
        let options = &event.options;
        let app = App { provider: "tencent", id: options.app.clone() };
        let at = event.at();
        self.saw(at);
        let room = match options.room_number {
            Some(number) => number.to_string(),
            None if options.room.bytes().all(|byte| byte.is_ascii_digit())
                || options.room.starts_with("s:") =>
            {
                format!("s:{}", options.room)
            }
            None => options.room.clone(),
        };
        match event.name {
            tencent::EventName::ChatLogin => {
                let person = self.person(&app, &options.user);
                let first = person.registration.as_ref().and_then(|registration| registration.at);
                let at_first = first.map_or(at, |first| first.min(at));
                person.registration = Some(Registration { name: None, at: Some(at_first) });
                person.device(&options.platform).came(at);
                for platform in &options.kick {
                    person.device(platform).went(at);
                }
            }
            tencent::EventName::ChatLogout | tencent::EventName::ChatDisconnect => {
                self.person(&app, &options.user).device(&options.platform).went(at);
            }
            tencent::EventName::TrtcCreate => {
                self.room(&app, &room).is_open = Some(true);
            }
            tencent::EventName::TrtcDismiss => {
                self.room(&app, &room).is_open = Some(false);
            }
            tencent::EventName::TrtcEnter | tencent::EventName::TrtcRole => {
                self.room(&app, &room).is_open = Some(true);
                let visits = &mut self.person(&app, &options.user).visits;
                let is_in =
                    visits.iter().any(|visit| visit.room == room && visit.left_at.is_none());
                // Who only changes their role came at another time.
                let entered = event.name == tencent::EventName::TrtcEnter;
                if entered || !is_in {
                    visits.push(Visit {
                        room,
                        life: None,
                        session: None,
                        entered_at: entered.then_some(at),
                        is_entry_assumed: !entered,
                        left_at: None,
                        is_replaced: false,
                    });
                }
            }
            tencent::EventName::TrtcExit => {
                let visits = &mut self.person(&app, &options.user).visits;
                let open =
                    visits.iter_mut().rfind(|visit| visit.room == room && visit.left_at.is_none());
                if let Some(visit) = open {
                    visit.left_at = Some(at);
                } else {
                    // Nothing was told of when they came.
                    visits.push(Visit {
                        room,
                        life: None,
                        session: None,
                        entered_at: None,
                        is_entry_assumed: true,
                        left_at: Some(at),
                        is_replaced: false,
                    });
                }
            }
        }
    }

    /// Of every room: who is in it now, and who was.
    fn see_who_is_in(&mut self) {
        for ((app, user), person) in &mut self.people {
            let visits = person.visits.iter();
            let entered: Vec<_> =
                visits.map(|visit| (visit.room.clone(), visit.entered_at)).collect();
            for visit in &mut person.visits {
                let room = self.rooms.entry((app.clone(), visit.room.clone())).or_default();
                let newest = room.newest_life().map(|(number, _)| number.to_string());
                let later =
                    |(room, at): &(String, _)| *room == visit.room && *at > visit.entered_at;
                visit.is_replaced =
                    visit.left_at.is_none() && (visit.life != newest || entered.iter().any(later));
                if visit.left_at.is_none() && !visit.is_replaced {
                    room.is_in.insert(user.clone());
                } else {
                    room.is_out.insert(user.clone());
                }
            }
        }
        for room in self.rooms.values_mut() {
            room.is_out = room.is_out.difference(&room.is_in).cloned().collect();
        }
    }

    /// Asks for all of it, and compares.
    pub async fn verify(&self, client: &Client, url: &str) -> Verdict {
        let (url, span) = (gateway(url), self.span.unwrap_or_default());
        let asker = Asker { client, url, signer: Signer::from_env(url), span };
        let visits = self.people.values().flat_map(|person| &person.visits);
        let mut verdict = Verdict {
            people: self.people.len(),
            visits: visits.filter(|visit| visit.entered_at.is_some()).count(),
            devices: self.people.values().map(|person| person.devices.len()).sum(),
            registrations: self.people.values().filter(|p| p.registration.is_some()).count(),
            rooms: self.rooms.len(),
            wrong: Vec::new(),
        };
        let asker = &asker;
        let end = Instant::now() + LAG;
        let people = stream::iter(&self.people).map(async |((app, user), person)| {
            settle(end, async || asker.person(app, user, person).await).await
        });
        let wrong: Vec<Vec<String>> = people.buffer_unordered(CONCURRENT_QUESTIONS).collect().await;
        verdict.wrong.extend(wrong.into_iter().flatten());
        let rooms = stream::iter(&self.rooms).map(async |((app, id), room)| {
            settle(end, async || asker.room(app, id, room).await).await
        });
        let wrong: Vec<Vec<String>> = rooms.buffer_unordered(CONCURRENT_QUESTIONS).collect().await;
        verdict.wrong.extend(wrong.into_iter().flatten());
        verdict
    }
}

impl Person {
    fn device(&mut self, platform: &str) -> &mut Device {
        self.devices.entry(platform.to_owned()).or_default()
    }
}

impl Device {
    fn came(&mut self, at: u64) {
        self.online_at = self.online_at.max(Some(at));
    }

    fn went(&mut self, at: u64) {
        self.offline_at = self.offline_at.max(Some(at));
    }
}

impl Room {
    fn newest_life(&self) -> Option<(u64, &Life)> {
        let newest = self.lives.iter().max_by_key(|(_, life)| life.began_at());
        newest.map(|(number, life)| (*number, life))
    }
}

/// Where the gateway is, if `url` is the whole URL of a callback.
fn gateway(url: &str) -> &str {
    let mut routes = Endpoint::ALL.into_iter().flat_map(|endpoint| endpoint.routes);
    routes.find_map(|route| url.strip_suffix(route)).unwrap_or(url).trim_end_matches('/')
}

/// Asks until nothing is wrong, or it is no lag.
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
    client: &'a Client,
    url: &'a str,
    signer: Option<Signer>,
    span: (u64, u64),
}

impl Asker<'_> {
    /// An answer; `None` if what was asked for is not known.
    async fn get(&self, path: &str) -> Result<Option<Value>, String> {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.get(&url);
        if let Some(signer) = &self.signer {
            for (name, value) in signer.headers(&url, runtime::now())? {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.map_err(|error| format!("GET {path}: {error}"))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| format!("GET {path}: {error}"))?;
        match status {
            StatusCode::OK => {
                serde_json::from_str(&text).map_err(|error| format!("GET {path}: {error}"))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(format!("GET {path}: {status} {text}")),
        }
    }

    /// All pages of a list.
    async fn list(&self, path: &str, field: &str) -> Result<Option<(Value, Vec<Value>)>, String> {
        let mut next = String::new();
        let (mut first, mut all) = (None, Vec::new());
        loop {
            let Some(mut page) = self.get(&format!("{path}&limit=1000{next}")).await? else {
                return Ok(None);
            };
            if let Value::Array(entries) = page[field].take() {
                all.extend(entries);
            }
            match page["next"].as_str() {
                Some(cursor) => next = format!("&next={}", encoded(cursor)),
                None => return Ok(Some((first.unwrap_or(page), all))),
            }
            first.get_or_insert(page);
        }
    }

    async fn person(&self, app: &App, user: &str, person: &Person) -> Vec<String> {
        let who = format!("{} {user}", app.provider);
        let found = async {
            let mut wrong = self.visits(app, user, person).await?;
            wrong.extend(self.devices(app, user, person).await?);
            wrong.extend(self.registration(app, user, person).await?);
            Ok(wrong)
        };
        let found: Result<Vec<String>, String> = found.await;
        let wrong = found.unwrap_or_else(|error| vec![error]);
        wrong.into_iter().map(|wrong| format!("{who}: {wrong}")).collect()
    }

    async fn visits(
        &self,
        App { provider, id }: &App,
        user: &str,
        person: &Person,
    ) -> Result<Vec<String>, String> {
        let told = || person.visits.iter().filter(|visit| visit.entered_at.is_some());
        if told().next().is_none() {
            return Ok(Vec::new());
        }
        let (from, to) = self.span;
        let user = encoded(user);
        let path = format!("/attendance/{provider}/{id}/users?user={user}&from={from}&to={to}");
        let Some((_, recorded)) = self.list(&path, "sessions").await? else {
            return Ok(vec!["no attendance".to_owned()]);
        };
        // What had begun before is not ours.
        let recorded: Vec<Visit> = recorded
            .iter()
            .map(Visit::recorded)
            .filter(|visit| visit.entered_at >= Some(from))
            .collect();
        let mut wrong = Vec::new();
        let is_recorded = |visit: &&Visit| recorded.iter().any(|found| visit.is_recorded_as(found));
        for visit in told().filter(|visit| !is_recorded(visit)) {
            wrong.push(format!("{visit} is not recorded"));
        }
        let is_sent = |found: &&Visit| {
            let of_room = |visit: &&Visit| visit.room == found.room;
            person
                .visits
                .iter()
                .filter(of_room)
                .any(|visit| visit.entered_at.is_none() || visit.is_recorded_as(found))
        };
        for visit in recorded.iter().filter(|visit| !is_sent(visit)) {
            wrong.push(format!("{visit} is recorded and was not sent"));
        }
        Ok(wrong)
    }

    async fn devices(
        &self,
        App { provider, id }: &App,
        user: &str,
        person: &Person,
    ) -> Result<Vec<String>, String> {
        if person.devices.is_empty() {
            return Ok(Vec::new());
        }
        let path = format!("/presence/{provider}/{id}/users?user={}", encoded(user));
        let (presence, sessions) = self.list(&path, "sessions").await?.unwrap_or_default();
        let mut wrong = Vec::new();
        for (name, device) in &person.devices {
            let of_device = |session: &&Value| session["device"] == name.as_str();
            let recorded = sessions.iter().find(of_device).cloned().unwrap_or_default();
            let is_online = device.online_at.is_some() && device.online_at >= device.offline_at;
            // A history that ended long ago.
            let lease_end = device
                .online_at
                .map(|at| at + LEASE_MS)
                .filter(|end| device.is_leased && presence["as_of"].as_u64() >= Some(*end));
            let left_at = if is_online { lease_end } else { device.offline_at };
            let is_right = recorded["device"] == name.as_str()
                && recorded["left_at"].as_u64() == left_at
                && device.online_at.is_none_or(|at| recorded["entered_at"].as_u64() == Some(at));
            let is_right_but_for_times = device.is_timeless
                && recorded["device"] == name.as_str()
                && recorded["left_at"].is_null() == is_online;
            if !is_right && !is_right_but_for_times {
                let state = if is_online { "online" } else { "offline" };
                wrong.push(format!("{name} should be {state} ({device}), but is {recorded}"));
            }
        }
        Ok(wrong)
    }

    async fn registration(
        &self,
        App { provider, id }: &App,
        user: &str,
        person: &Person,
    ) -> Result<Vec<String>, String> {
        let Some(expected) = &person.registration else { return Ok(Vec::new()) };
        let path = format!("/registrations/{provider}/{id}/users?user={}", encoded(user));
        let Some(found) = self.get(&path).await? else {
            return Ok(vec!["is not registered".to_owned()]);
        };
        // The earliest one stays, so an earlier one may be there already.
        let is_earlier = |at| {
            found["registered_at"].as_u64().is_some_and(|found| found < at)
                && found["registered_at"].as_u64() < Some(self.span.0)
        };
        let is_at = |at: u64| found["registered_at"].as_u64() == Some(at) || is_earlier(at);
        let is_named = |name: &String| found["name"] == name.as_str();
        let is_right = expected.at.is_none_or(is_at) && expected.name.as_ref().is_none_or(is_named);
        Ok(if is_right { Vec::new() } else { vec![format!("is registered otherwise: {found}")] })
    }

    async fn room(&self, app: &App, id: &str, room: &Room) -> Vec<String> {
        let wrong = self.members(app, id, room).await.unwrap_or_else(|error| vec![error]);
        let name = format!("{} room {id}", app.provider);
        wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect()
    }

    async fn members(
        &self,
        App { provider, id: app }: &App,
        id: &str,
        room: &Room,
    ) -> Result<Vec<String>, String> {
        let path = format!("/presence/{provider}/{app}/rooms?room={}", encoded(id));
        let Some((presence, members)) = self.list(&path, "members").await? else {
            return Ok(vec!["is not known".to_owned()]);
        };
        let recorded: BTreeSet<&str> =
            members.iter().filter_map(|member| member["user"].as_str()).collect();
        let mut wrong = Vec::new();
        for user in room.is_in.iter().filter(|user| !recorded.contains(user.as_str())) {
            wrong.push(format!("{user} is in, and is not listed"));
        }
        for user in room.is_out.iter().filter(|user| recorded.contains(user.as_str())) {
            wrong.push(format!("{user} has left, and is listed"));
        }
        let newest = room.newest_life();
        let life = newest.map(|(number, _)| number.to_string());
        if let Some(life) = life.filter(|life| presence["life"] != life.as_str()) {
            wrong.push(format!("its life is {life}, and {} is recorded", presence["life"]));
        }
        let is_open = newest.map(|(_, life)| life.closed_at.is_none()).or(room.is_open);
        if let Some(is_open) = is_open
            && presence["open"] != is_open
        {
            wrong.push(format!("open is {is_open}, and {} is recorded", presence["open"]));
        }
        Ok(wrong)
    }
}

impl Visit {
    fn recorded(session: &Value) -> Self {
        let text = |name: &str| session[name].as_str().map(str::to_owned);
        Self {
            room: text("room").unwrap_or_default(),
            life: text("life"),
            session: text("session"),
            entered_at: session["entered_at"].as_u64(),
            is_entry_assumed: session["entered_assumed"] == true,
            left_at: session["left_at"].as_u64(),
            is_replaced: false,
        }
    }

    fn is_recorded_as(&self, found: &Self) -> bool {
        let left_at = if self.is_replaced { found.left_at } else { self.left_at };
        *found == Self { left_at, is_replaced: false, ..self.clone() }
    }
}

impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let (entered_at, left_at) = (at(self.entered_at), at(self.left_at));
        write!(f, "the visit to {} from {entered_at} to {left_at}", self.room)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        write!(f, "online {}, offline {}", at(self.online_at), at(self.offline_at))
    }
}

fn encoded(id: &str) -> String {
    utf8_percent_encode(id, ID).to_string()
}
