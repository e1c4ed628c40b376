//! The form of answers: those of the model, and Rollcall's when they are read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Everything that is known in the end. Rooms and users by `PROVIDER/APP/ID`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Answers {
    /// The rooms, and who is in them.
    pub rooms: BTreeMap<String, Room>,
    /// The users, and where they are and were.
    pub users: BTreeMap<String, User>,
    /// The users who are registered.
    pub registrations: BTreeMap<String, Registration>,
    /// The lives of the rooms, of the model only: the newest comes last.
    pub lives: BTreeMap<String, Vec<Life>>,
    /// How many users were active in a month, by `PROVIDER/APP/YYYY-MM`.
    pub active_users: BTreeMap<String, usize>,
}

/// A room.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Room {
    /// ZEGO's number of its newest life.
    pub life: Option<String>,
    /// Whether it is open.
    pub open: bool,
    /// Who is in it.
    pub members: BTreeMap<String, Stay>,
}

/// One life of a room, as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// ZEGO's number of it.
    pub id: String,
    /// When it was created, if that arrived.
    pub created: Option<u64>,
    /// How it ended, unless it lasts.
    pub end: Option<End>,
}

/// Where a person is and was.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct User {
    /// The time of their last event, in Unix ms.
    pub last_seen_at: Option<u64>,
    /// Where they are.
    pub open: BTreeSet<Stay>,
    /// Of the model: whether nothing arrived about them, but a provider named them when asked.
    pub is_only_seen: bool,
    /// Of the model all visits that are over; of an answer some of them.
    pub over: BTreeSet<(Stay, End)>,
}

/// When a user was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Unix ms.
    pub at: u64,
    /// How that is known: `create_time`, `receipt` or `first_login`.
    pub from: String,
    /// Their name, of `OpenIM` only.
    pub name: Option<String>,
    /// When the newest change of the profile arrived that was not read, in Unix ms.
    pub profile_changed_at: Option<u64>,
}

/// A visit to a room, or a device's time online.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    /// The room, or the kind of device.
    pub place: String,
    /// The room's life.
    pub life: Option<String>,
    /// The session, or the connection.
    pub session: Option<String>,
    /// The name that they had.
    pub name: Option<String>,
    /// Their role. A device has none.
    pub role: Option<String>,
    /// Unix ms; none if that is not known.
    pub entered_at: Option<u64>,
    /// Whether no event said that it began.
    pub is_entry_assumed: bool,
    /// Of the model: whether its times are those of an arrival, which are only known about.
    pub is_about: bool,
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// Unix ms.
    pub at: u64,
    /// Why.
    pub reason: String,
    /// Whether no event said so.
    pub is_assumed: bool,
    /// Of the model: whether the time is only known about.
    pub is_about: bool,
}

/// A visit to a room, as attendance has it: by whom, and its end unless it lasts.
pub type Visit = (String, Stay, Option<End>);

impl End {
    /// An end that an event reported.
    pub fn reported(at: u64, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into(), is_assumed: false, is_about: false }
    }

    /// An end that follows from other events.
    #[must_use]
    pub fn assumed(at: u64, reason: &str) -> Self {
        Self { at, reason: reason.to_owned(), is_assumed: true, is_about: false }
    }

    /// Whether an answer's end is this end of the model's.
    #[must_use]
    pub fn allows(&self, answer: &Self, entered_at: Option<u64>) -> bool {
        let is_at = self.at == answer.at || self.is_about && Some(answer.at) >= entered_at;
        is_at && self.reason == answer.reason && self.is_assumed == answer.is_assumed
    }
}

impl Answers {
    /// The visits to rooms that the model knows, of those users of an app, `PROVIDER/APP`, in those
    /// rooms.
    #[must_use]
    pub fn visits(&self, app: &str, is_asked: impl Fn(&str, &Stay) -> bool) -> Vec<Visit> {
        let mut visits = Vec::new();
        let first = format!("{app}/");
        let users = self.users.range(first.clone()..);
        for (path, user) in users.take_while(|(path, _)| path.starts_with(&first)) {
            let name = &path[first.len()..];
            let all = user.visits().filter(|(stay, _)| is_asked(name, stay));
            visits.extend(all.map(|(stay, end)| (name.to_owned(), stay, end)));
        }
        visits
    }
}

impl Room {
    /// Reads all pages of an answer, as one.
    ///
    /// # Errors
    ///
    /// If it is no such answer, or contradicts itself.
    pub fn read(answer: &Value) -> Result<Self, String> {
        let members = list(answer, "members")?.iter().map(|member| {
            let place = expected(text(&answer["room"]), answer)?;
            let stay = Stay { place, life: text(&answer["life"]), ..stay(member)? };
            Ok((expected(text(&member["user"]), member)?, stay))
        });
        let room = Self {
            life: text(&answer["life"]),
            open: answer["open"] == true,
            members: members.collect::<Result<_, String>>()?,
        };
        check(answer["online"] == room.members.len(), answer)?;
        Ok(room)
    }
}

impl User {
    /// Reads all pages of an answer, as one.
    ///
    /// # Errors
    ///
    /// If it is no such answer, or contradicts itself.
    pub fn read(answer: &Value) -> Result<Self, String> {
        let mut user = Self { last_seen_at: answer["last_seen_at"].as_u64(), ..Self::default() };
        for session in list(answer, "sessions")? {
            let place = expected(text(&session["room"]).or(text(&session["device"])), session)?;
            let stay = Stay { place, life: text(&session["life"]), ..stay(session)? };
            match end(session)? {
                None => check(user.open.insert(stay), answer)?,
                Some(end) => {
                    user.over.insert((stay, end));
                }
            }
        }
        check(answer["online"] == !user.open.is_empty(), answer)?;
        Ok(user)
    }

    /// What one provider knows, with what another one of the same app knows.
    pub fn join(&mut self, other: Self) {
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
        self.open.extend(other.open);
        self.over.extend(other.over);
    }

    /// Visits to rooms and times online, with their ends.
    fn stays(&self) -> impl Iterator<Item = (&Stay, Option<&End>)> {
        let over = self.over.iter().map(|(stay, end)| (stay, Some(end)));
        self.open.iter().map(|stay| (stay, None)).chain(over)
    }

    /// The visits to rooms.
    pub fn visits(&self) -> impl Iterator<Item = (Stay, Option<End>)> {
        let visits = self.stays().filter(|(stay, _)| stay.role.is_some());
        visits.map(|(stay, end)| (stay.clone(), end.cloned()))
    }

    /// The devices, with when they went offline.
    pub fn devices(&self) -> impl Iterator<Item = (&Stay, Option<&End>)> {
        self.stays().filter(|(stay, _)| stay.role.is_none())
    }

    /// What this answer has that is not so, by what the model knows.
    ///
    /// # Errors
    ///
    /// If there is any.
    pub fn check(&self, model: &Self) -> Result<(), String> {
        compare("open", &self.open, &model.open)?;
        compare("last seen", &self.last_seen_at, &model.last_seen_at)?;
        for (stay, end) in &self.over {
            let is_known =
                |known: &(Stay, End)| known.0 == *stay && known.1.allows(end, stay.entered_at);
            if !model.over.iter().any(is_known) {
                return Err(format!("{stay:?} {end:?}, but the model has {:#?}", model.over));
            }
        }
        let places = |user: &Self| -> BTreeSet<String> {
            user.over.iter().map(|(stay, _)| stay.place.clone()).collect()
        };
        compare("over", &places(self), &places(model))
    }
}

impl Registration {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// If it is no such answer.
    pub fn read(answer: &Value) -> Result<Self, String> {
        Ok(Self {
            at: expected(answer["registered_at"].as_u64(), answer)?,
            from: expected(text(&answer["registered_at_from"]), answer)?,
            name: text(&answer["name"]),
            profile_changed_at: answer["profile_changed_at"].as_u64(),
        })
    }
}

/// The visits of an attendance: all pages of an answer, as one.
///
/// # Errors
///
/// If it is no such answer, or contradicts itself.
pub fn read_visits(answer: &Value) -> Result<Vec<Visit>, String> {
    let visits = list(answer, "sessions")?.iter().map(|session| {
        let place = expected(text(&session["room"]), session)?;
        let stay = Stay { place, life: text(&session["life"]), ..stay(session)? };
        let end = end(session)?;
        let until = end.as_ref().map(|end| end.at).or(answer["as_of"].as_u64());
        let duration =
            stay.entered_at.zip(until).map(|(entered_at, until)| until.saturating_sub(entered_at));
        check(session["duration_ms"].as_u64() == duration, session)?;
        Ok((expected(text(&session["user"]), session)?, stay, end))
    });
    visits.collect()
}

/// Whether an answer's visit is this visit of the model's.
#[must_use]
pub fn is_same_visit(answer: &Visit, model: &Visit) -> bool {
    let is_same_end = match (&answer.2, &model.2) {
        (Some(end), Some(model_end)) => model_end.allows(end, answer.1.entered_at),
        (end, model_end) => end == model_end,
    };
    answer.0 == model.0 && answer.1 == model.1 && is_same_end
}

/// Two stays of one person in one room that overlap, or one that ends before it begins.
#[must_use]
pub fn overlap(visits: &[Visit]) -> Option<String> {
    let mut stays = BTreeMap::<_, Vec<(u64, u64)>>::new();
    for (user, stay, end) in visits {
        let end = end.as_ref().map_or(u64::MAX, |end| end.at);
        let span = (stay.entered_at.unwrap_or(end), end);
        stays.entry((user, &stay.place)).or_default().push(span);
    }
    stays.into_iter().find_map(|((user, place), mut spans)| {
        spans.sort_unstable();
        let is_wrong = spans.iter().any(|(from, to)| from > to)
            || spans.windows(2).any(|two| two[0].1 > two[1].0);
        is_wrong.then(|| format!("the stays of {user} in {place} overlap: {spans:?}"))
    })
}

/// Compares an answer with what it has to be.
///
/// # Errors
///
/// If they differ.
pub fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &T,
    expected: &T,
) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: got {got:#?}\nexpected {expected:#?}"))
}

fn end(session: &Value) -> Result<Option<End>, String> {
    let (reason, is_assumed) = (text(&session["reason"]), session["assumed"] == true);
    let at = session["left_at"].as_u64();
    check(at.is_none() == reason.is_none(), session)?;
    Ok(at.zip(reason).map(|(at, reason)| End { at, reason, is_assumed, is_about: false }))
}

fn stay(value: &Value) -> Result<Stay, String> {
    let is_entry_assumed = expected(value["entered_assumed"].as_bool(), value)?;
    check(!value["entered_at"].is_null() || is_entry_assumed, value)?;
    Ok(Stay {
        session: text(&value["session"]),
        name: text(&value["name"]),
        role: text(&value["role"]),
        entered_at: value["entered_at"].as_u64(),
        is_entry_assumed,
        ..Stay::default()
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn list<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    expected(answer[name].as_array(), answer)
}

fn expected<T>(found: Option<T>, answer: &Value) -> Result<T, String> {
    found.ok_or_else(|| format!("something is missing in {answer}"))
}

fn check(is_right: bool, answer: &Value) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(format!("an answer contradicts itself: {answer}")) }
}
