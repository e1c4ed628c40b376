//! What can be known: what a model says, and what Rollcall's answers are read into.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Everything that is known in the end. Rooms and users by `PROVIDER/APP/ID`.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Answers {
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) users: BTreeMap<String, User>,
    /// When users were registered, and how that is known.
    pub(super) registrations: BTreeMap<String, (u64, String)>,
    /// How many users were active in a month.
    pub(super) active_users: BTreeMap<String, usize>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Room {
    pub(super) life: Option<String>,
    pub(super) open: bool,
    pub(super) members: BTreeMap<String, Stay>,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct User {
    pub(super) last_seen_at: Option<u64>,
    pub(super) open: BTreeSet<Stay>,
    /// Of a model all visits that are over; of an answer some of them.
    pub(super) over: BTreeSet<(Stay, End)>,
}

/// A visit to a room, or a device's time online.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stay {
    /// The room, or the kind of device.
    pub(super) place: String,
    pub(super) life: Option<String>,
    pub(super) session: Option<String>,
    pub(super) name: Option<String>,
    pub(super) role: Option<String>,
    pub(super) entered_at: Option<u64>,
    /// Whether the beginning was not told.
    pub(super) is_entry_assumed: bool,
}

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) at: u64,
    pub(super) reason: String,
    pub(super) is_assumed: bool,
    /// Of a model: whether the time is only known about.
    pub(super) is_about: bool,
}

/// A visit to a room, as attendance has it: by whom, and its end unless it lasts.
pub(super) type Visit = (String, Stay, Option<End>);

impl End {
    pub(super) fn told(at: u64, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into(), is_assumed: false, is_about: false }
    }

    pub(super) fn assumed(at: u64, reason: &str) -> Self {
        Self { at, reason: reason.to_owned(), is_assumed: true, is_about: false }
    }

    /// Whether an answer's end is this end of the model's.
    pub(super) fn allows(&self, answer: &Self, entered_at: Option<u64>) -> bool {
        let is_at = self.at == answer.at || self.is_about && Some(answer.at) >= entered_at;
        is_at && self.reason == answer.reason && self.is_assumed == answer.is_assumed
    }
}

impl Room {
    pub(super) fn read(answer: &Value) -> Self {
        let members = answer["members"].as_array().unwrap().iter().map(|member| {
            let stay = Stay {
                place: text(&answer["room"]).unwrap(),
                life: text(&answer["life"]),
                ..stay(member)
            };
            (text(&member["user"]).unwrap(), stay)
        });
        let room = Self {
            life: text(&answer["life"]),
            open: answer["open"] == true,
            members: members.collect(),
        };
        assert_eq!(answer["online"], room.members.len(), "{answer}");
        room
    }
}

impl User {
    pub(super) fn read(answer: &Value) -> Self {
        let mut user = Self { last_seen_at: answer["last_seen_at"].as_u64(), ..Self::default() };
        for session in answer["sessions"].as_array().unwrap() {
            let place = text(&session["room"]).or(text(&session["device"])).unwrap();
            let stay = Stay { place, life: text(&session["life"]), ..stay(session) };
            match end(session) {
                None => assert!(user.open.insert(stay), "{answer}"),
                Some(end) => {
                    user.over.insert((stay, end));
                }
            }
        }
        assert_eq!(answer["online"], !user.open.is_empty(), "{answer}");
        user
    }

    /// What one provider knows, with what another one of the same app knows.
    pub(super) fn join(&mut self, other: Self) {
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
        self.open.extend(other.open);
        self.over.extend(other.over);
    }
}

/// The visits of an attendance.
pub(super) fn read_visits(answer: &Value) -> Vec<Visit> {
    let sessions = answer["sessions"].as_array().unwrap().iter();
    let visits = sessions.map(|session| {
        let stay = Stay {
            place: text(&session["room"]).unwrap(),
            life: text(&session["life"]),
            ..stay(session)
        };
        let end = end(session);
        let until = end.as_ref().map_or(answer["as_of"].as_u64().unwrap(), |end| end.at);
        let duration = stay.entered_at.map(|entered_at| until.saturating_sub(entered_at));
        assert_eq!(session["duration_ms"].as_u64(), duration, "{answer}");
        (text(&session["user"]).unwrap(), stay, end)
    });
    visits.collect()
}

/// Two stays of one person in one room that overlap, or one that ends before it begins.
pub(super) fn overlap(visits: &[Visit]) -> Option<String> {
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

fn end(session: &Value) -> Option<End> {
    let (reason, is_assumed) = (text(&session["reason"]), session["assumed"] == true);
    let at = session["left_at"].as_u64();
    assert_eq!(at.is_none(), reason.is_none(), "{session}");
    Some(End { at: at?, reason: reason?, is_assumed, is_about: false })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn stay(value: &Value) -> Stay {
    assert!(!value["entered_at"].is_null() || value["entered_assumed"] == true, "{value}");
    Stay {
        session: text(&value["session"]),
        name: text(&value["name"]),
        role: text(&value["role"]),
        entered_at: value["entered_at"].as_u64(),
        is_entry_assumed: value["entered_assumed"].as_bool().unwrap(),
        ..Stay::default()
    }
}
