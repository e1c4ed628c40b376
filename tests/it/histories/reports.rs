//! Reports of random histories, page by page, compared with what follows from the visits.
//!
//! The visits are those of attendance, which [`play`](super::play) has just compared with the model's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use rollcall_players::{
    answers::{Answers, Life, Visit, compare, read_visits},
    report::{Asked, Report, Row},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::play::{System, encode};

/// How many rows a page has.
const ROWS: &str = "limit=2";

/// Zones whose clocks are ahead of UTC by so many hours, at any time.
const ZONES: [(&str, i64); 4] = [("", 0), ("UTC", 0), ("Etc/GMT-2", 2), ("Etc/GMT%2B7", -7)];

const HOUR: i64 = 3_600_000;

/// What is random about the questions of one history.
pub(super) struct Questions<'a> {
    pub(super) system: &'a System,
    pub(super) model: &'a Answers,
    pub(super) random: fastrand::Rng,
    pub(super) now: u64,
}

impl Questions<'_> {
    /// Reports of a room, `PROVIDER/APP/ROOM`: of one of its lives, in one span.
    pub(super) async fn of_room(&mut self, app: &str, room: &str) -> Result<(), String> {
        let path = format!("/reports/{app}/rooms");
        let visits = self.visits(app, "room", room).await;
        let lives = self.model.lives.get(&format!("{app}/{room}"));
        if lives.is_some_and(Vec::is_empty) {
            // Somebody was seen in it, and no callback named a life.
            let query = format!("room={}", encode(room));
            let answer = self.system.ask(&path, &query, self.now).await;
            return compare(&format!("{app}/{room} has a report"), &answer.is_some(), &false);
        }
        let newest = lives.and_then(|lives| lives.last());
        let life = lives.map(|lives| &lives[self.random.usize(..lives.len())]);
        let mut question = format!("room={}", encode(room));
        let is_newest = life == newest;
        if let Some(life) = life.filter(|_| !is_newest || self.random.bool()) {
            write!(question, "&life={}", life.id).unwrap();
        }
        // Whom only an observation shows was in the life in whose time they came. If a creation is
        // lost, of this life or of the one that replaced it, that time is only known about.
        let is_seen = |visit: &Visit| life.is_some() && visit.1.life.is_none();
        let is_about = |life: &Life| {
            life.created.is_none() || life.end.as_ref().is_some_and(|end| end.is_about)
        };
        if life.is_some_and(is_about) && visits.iter().any(is_seen) {
            return Ok(());
        }
        let of_life = |visit: &&Visit| match life {
            Some(life) if is_seen(visit) => {
                let place = visit.1.entered_at.unwrap_or_default();
                life.created.is_some_and(|created| created <= place)
                    && life.end.as_ref().is_none_or(|end| place < end.at)
            }
            life => visit.1.life.as_ref() == life.map(|life| &life.id),
        };
        let visits: Vec<Visit> = visits.iter().filter(of_life).cloned().collect();
        let settle = [0, 600][self.random.usize(..2)];
        let (from, to) = self.span(&visits, &mut question);
        write!(question, "&settle={settle}").unwrap();

        let Some(answer) =
            self.system.pages_alike(&path, &format!("{question}&{ROWS}"), self.now).await?
        else {
            return compare(&format!("{app}/{room} has no report"), &true, &visits.is_empty());
        };
        let wrong = |why: String| format!("report of {app}/{room}, {question}: {why}");
        let ended_at = answer["ended_at"].as_u64();
        if let Some(life) = life {
            check_life(life, &visits, &answer).map_err(wrong)?;
        }
        let ended = life.and(ended_at);
        let asked =
            Asked { from, to, as_of: self.now, life: (life.and_then(|life| life.created), ended) };
        let expected = asked.room(&visits);
        let is_open =
            visits.iter().any(|visit| visit.2.is_none() && visit.1.entered_at <= Some(to));
        let is_final = match life {
            Some(_) => ended.is_some_and(|ended| ended + settle * 1000 <= self.now),
            None => to.saturating_add(settle * 1000) <= self.now && !is_open,
        };
        compare("final", &answer["final"], &json!(is_final)).map_err(wrong)?;
        check_report(&asked, &expected, &answer).map_err(wrong)?;
        if life.is_some() && is_newest {
            let room = format!("room={}&changes=true", encode(room));
            let presence =
                self.system.ask(&format!("/presence/{app}/rooms"), &room, self.now).await;
            let missing = presence.map(|presence| presence["changes"]["missing"].clone());
            compare("missing", &Some(answer["missing"].clone()), &missing).map_err(wrong)?;
        }
        self.together(app, room, &question, &asked, &visits).await
    }

    /// The minutes together of two people or roles, in the same span.
    async fn together(
        &mut self,
        app: &str,
        room: &str,
        question: &str,
        asked: &Asked,
        visits: &[Visit],
    ) -> Result<(), String> {
        let mut sides: BTreeSet<String> = visits
            .iter()
            .flat_map(|(user, stay, _)| {
                [format!("user:{user}"), format!("role:{}", stay.role.clone().unwrap_or_default())]
            })
            .collect();
        sides.insert("nobody".to_owned());
        let sides: Vec<String> = sides.into_iter().collect();
        let [a, b] = [(); 2].map(|()| &sides[self.random.usize(..sides.len())]);
        if a == b && !a.starts_with("role:") {
            return Ok(());
        }
        let is_of = |side: &String, visit: &Visit| match side.split_once(':') {
            Some(("role", role)) => visit.1.role.as_deref() == Some(role),
            Some((_, user)) => visit.0 == user,
            None => false,
        };
        let expected = asked.together(visits, |visit| is_of(a, visit), |visit| is_of(b, visit));
        let path = format!("/reports/{app}/together");
        let query = format!("{question}&a={}&b={}", encode(a), encode(b));
        let answer = self.system.ask(&path, &query, self.now).await;
        let answer = answer.ok_or_else(|| format!("{path}?{query} is not known"))?;
        let spans: Vec<(u64, u64)> = list(&answer["spans"])
            .iter()
            .map(|span| (span["from"].as_u64().unwrap(), span["to"].as_u64().unwrap()))
            .collect();
        let what = format!("{a} and {b} together in {app}/{room}, {question}");
        compare(&what, &spans, &expected)?;
        let total: u64 = expected.iter().map(|(from, to)| to - from).sum();
        compare(&what, &answer["together_ms"], &json!(total))
    }

    /// The report of a person, in one span and one time zone.
    pub(super) async fn of_user(&mut self, app: &str, user: &str) -> Result<(), String> {
        let path = format!("/reports/{app}/users");
        let visits = self.visits(app, "user", user).await;
        let mut question = format!("user={}", encode(user));
        let (from, to) = self.span(&visits, &mut question);
        let (zone, ahead) = ZONES[self.random.usize(..ZONES.len())];
        if !zone.is_empty() {
            write!(question, "&timezone={zone}").unwrap();
        }
        let is_known = self.model.users.contains_key(&format!("{app}/{user}"));
        let answer =
            self.system.pages_alike(&path, &format!("{question}&{ROWS}"), self.now).await?;
        compare(&format!("{app}/{user} has a report"), &answer.is_some(), &is_known)?;
        let Some(answer) = answer else { return Ok(()) };
        let asked = Asked { from, to, as_of: self.now, life: (None, None) };
        let expected = asked.days(&visits, ahead * HOUR);
        let mut rows = BTreeMap::new();
        for row in list(&answer["rows"]) {
            let (year, rest) = row["day"].as_str().unwrap().split_once('-').unwrap();
            let (month, day) = rest.split_once('-').unwrap();
            let days = days_since_1970(
                year.parse().unwrap(),
                month.parse().unwrap(),
                day.parse().unwrap(),
            );
            let place = (days, row["room"].as_str().unwrap().to_owned());
            let figures = (row["visits"].as_u64().unwrap(), row["present_ms"].as_u64().unwrap());
            rows.insert(place, figures);
        }
        let what = format!("report of {app}/{user}, {question}");
        compare(&what, &rows, &expected)?;
        compare(&what, &list(&answer["rows"]).len(), &expected.len())?;
        let total: u64 = expected.values().map(|(_, present)| present).sum();
        compare(&what, &answer["present_ms"], &json!(total))
    }

    /// All visits of a room or of a person.
    async fn visits(&self, app: &str, what: &str, id: &str) -> Vec<Visit> {
        let query = format!("{what}={}&limit=1000", encode(id));
        let path = format!("/attendance/{app}/{what}s");
        let answer = self.system.ask(&path, &query, self.now).await;
        answer.map(|answer| read_visits(&answer).unwrap()).unwrap_or_default()
    }

    /// A span that begins and ends where something happened, or near it, or nowhere.
    fn span(&mut self, visits: &[Visit], question: &mut String) -> (u64, u64) {
        let mut times: Vec<u64> = visits
            .iter()
            .flat_map(|(_, stay, end)| {
                stay.entered_at.into_iter().chain(end.as_ref().map(|end| end.at))
            })
            .flat_map(|at| [at - 1, at, at + 1])
            .collect();
        times.push(self.now);
        let [a, b] = [(); 2].map(|()| times[self.random.usize(..times.len())]);
        let (mut from, mut to) = (0, 9_999_999_999_999_998);
        if self.random.u8(..3) == 0 {
            from = a.min(b);
            write!(question, "&from={from}").unwrap();
        }
        if self.random.u8(..3) == 0 {
            to = a.max(b);
            write!(question, "&to={to}").unwrap();
        }
        (from, to)
    }
}

impl System {
    /// All pages of a report as one. Each says the same of the whole, and the rows are sorted.
    async fn pages_alike(
        &self,
        path: &str,
        query: &str,
        now: u64,
    ) -> Result<Option<Value>, String> {
        let Some(mut answer) = self.ask(path, query, now).await else { return Ok(None) };
        while let Some(next) = answer["next"].as_str() {
            // The clock goes on between two pages, and changes nothing.
            let query = format!("{query}&next={}", encode(next));
            let mut page = self.ask(path, &query, now + 5).await.unwrap();
            let mut rows = answer["rows"].take();
            let more = page["rows"].take();
            answer["next"] = page["next"].take();
            page["next"] = answer["next"].clone();
            compare("a later page", &page, &answer)?;
            rows.as_array_mut().unwrap().extend_from_slice(list(&more));
            answer["rows"] = rows;
        }
        let place = |row: &Value| {
            ["day", "user", "room"]
                .map(|name| row[name].as_str().map(|text| text.as_bytes().to_vec()))
        };
        let is_sorted = list(&answer["rows"]).windows(2).all(|two| place(&two[0]) < place(&two[1]));
        compare("the rows are sorted", &is_sorted, &true)?;
        Ok(Some(answer))
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// When the life began and ended.
fn check_life(life: &Life, visits: &[Visit], answer: &Value) -> Result<(), String> {
    compare("life", &answer["life"], &json!(life.id))?;
    let places = visits
        .iter()
        .filter_map(|(_, stay, end)| stay.entered_at.or(end.as_ref().map(|end| end.at)));
    let end = life.end.as_ref();
    let began = life.created.or(places.min()).or(end.map(|end| end.at));
    compare("began_at", &answer["began_at"].as_u64(), &began)?;
    compare("began_assumed", &answer["began_assumed"], &json!(life.created.is_none()))?;
    let ended_at = answer["ended_at"].as_u64();
    match end {
        Some(end) if end.is_about => compare("it has ended", &(ended_at >= began), &true)?,
        end => compare("ended_at", &ended_at, &end.map(|end| end.at).max(end.and(began)))?,
    }
    let is_assumed = end.is_some_and(|end| end.reason == "room_replaced");
    compare("ended_assumed", &answer["ended_assumed"], &json!(is_assumed))
}

fn check_report(asked: &Asked, expected: &Report, answer: &Value) -> Result<(), String> {
    let began = answer["began_at"].as_u64();
    let life = began.map(|began| (began, answer["ended_at"].as_u64().unwrap_or(asked.as_of)));
    let part = life.map(|(began, ended)| ended.min(asked.to).saturating_sub(began.max(asked.from)));
    let mut rows = BTreeMap::new();
    let mut lines =
        vec![json!(["rollcall report 1", answer["life"], answer["began_at"], answer["ended_at"]])];
    for row in list(&answer["rows"]) {
        let present_ms = row["present_ms"].as_u64().unwrap();
        let read = Row {
            first_entered_at: row["first_entered_at"].as_u64(),
            last_left_at: row["last_left_at"].as_u64(),
            visits: row["visits"].as_u64().unwrap(),
            present_ms,
            reason: row["reason"].as_str().map(str::to_owned),
            is_assumed: row["assumed"] == true,
        };
        if !answer["life"].is_null() {
            let length = life.map_or(0, |(began, ended)| ended.saturating_sub(began));
            compare("nobody was in for longer than the room", &(present_ms <= length), &true)?;
            let share = part.filter(|part| *part > 0);
            let share = share.map(|part| {
                f64::from(u32::try_from(present_ms * 10_000 / part).unwrap()) / 10_000.0
            });
            compare("share", &row["share"].as_f64(), &share)?;
        }
        lines.push(json!([
            row["user"],
            row["first_entered_at"],
            row["last_left_at"],
            row["visits"],
            row["present_ms"]
        ]));
        rows.insert(row["user"].as_str().unwrap().to_owned(), read);
    }
    compare("rows", &rows, &expected.rows)?;
    compare("people", &answer["people"], &json!(expected.rows.len()))?;
    compare("admins", &answer["admins"], &json!(expected.admins))?;
    compare("person_ms", &answer["person_ms"], &json!(expected.person_ms))?;
    let (online, at) = expected.peak;
    compare("peak", &answer["peak"], &json!({ "online": online, "at": at }))?;
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(format!("{line}\n"));
    }
    let digest = format!("sha256:{}", hex::encode(hash.finalize()));
    compare("digest", &answer["digest"], &json!(digest))
}

/// By the civil calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 12) } else { (year, month) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719_469
}
