//! What follows from observations: what a provider said of a person in a room when it was asked.
//! The rules are those of `docs/design.md` ("Observations"), in its order and in the plainest code.

use std::collections::BTreeMap;

use crate::answers::{End, Stay};

/// How far two clocks may differ, in ms: `s`.
const CLOCKS: u64 = 10_000;

/// How far two times of one login may differ, in ms: `d`.
const LOGINS: u64 = 1000;

/// How old a login may be, in ms.
const LONGEST: u64 = 7 * 86_400_000;

/// What was said of one person in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The room, as in a path: `zego/APP/ROOM`.
    pub room: String,
    /// The person.
    pub user: String,
    /// On the seat of which life it lies; `None` for the seat without one.
    pub life: Option<String>,
    /// When it was asked, in Unix ms. Each one is asked at a time of its own.
    pub at: u64,
    /// What was said.
    pub says: Word,
}

/// Whether a person is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// They are.
    In {
        /// When they logged in, in Unix ms, if that was said.
        login: Option<u64>,
        /// Their role, as answers name it.
        role: String,
    },
    /// They are not.
    Out,
}

/// A stay that callbacks show.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) stay: Stay,
    pub(super) end: Option<End>,
    /// The newest login in it.
    pub(super) last_login: u64,
}

impl Observation {
    /// Whether somebody is known by it alone.
    pub(super) fn shows_somebody(&self) -> bool {
        matches!(self.says, Word::In { .. })
    }
}

impl Known {
    pub(super) fn place(&self) -> u64 {
        self.stay.entered_at.or(self.end.as_ref().map(|end| end.at)).unwrap_or_default()
    }

    /// Whether an answer that they are not in is newer than all that shows them in it.
    pub(super) fn is_gone(&self, out: u64) -> bool {
        self.last_login.max(self.place()) + CLOCKS < out
    }

    fn has_own_end(&self) -> bool {
        self.end.as_ref().is_some_and(|end| !end.is_assumed)
    }

    fn cut(&mut self, at: u64, reason: &str) {
        self.end = Some(End::assumed(at.max(self.place()), reason));
    }
}

/// The stays of one person in one room, given those that callbacks show, what was observed, and when
/// the room was created (true) and closed (false).
pub(super) fn observed(
    mut known: Vec<Known>,
    seen: &[&Observation],
    room: &[(u64, bool)],
) -> Vec<(Stay, Option<End>)> {
    known.sort_by_key(|known| (known.place(), known.stay.life.clone()));
    let mut signs: Vec<u64> = known.iter().map(|stay| stay.last_login.max(stay.place())).collect();
    let mut assumed = None;
    let came = seen.iter().filter(|seen| seen.shows_somebody()).max_by_key(|seen| seen.at);
    if let Some(came) = came {
        assumed = comes(&mut known, &mut signs, came, room);
    }
    let mut gone = BTreeMap::<Option<&str>, u64>::new();
    for out in seen.iter().filter(|seen| seen.says == Word::Out) {
        let newest = gone.entry(out.life.as_deref()).or_default();
        *newest = (*newest).max(out.at);
    }
    for (life, at) in gone {
        let of_seat =
            known.iter_mut().zip(&signs).filter(|(stay, _)| stay.stay.life.as_deref() == life);
        let asked_at = came.map_or(0, |came| came.at);
        let of_assumed =
            assumed.iter_mut().filter(|_| life.is_none()).map(|stay| (stay, &asked_at));
        for (stay, sign) in of_seat.chain(of_assumed) {
            let lasted = stay.end.as_ref().is_none_or(|end| end.is_assumed && end.at > at);
            if lasted && sign + CLOCKS < at {
                stay.cut(at, "reconciled");
            }
        }
    }
    // No two of them overlap.
    if let Some(assumed) = &mut assumed {
        for stay in &mut known {
            let (earlier, later): (&mut Known, u64) = if stay.place() < assumed.place() {
                let begin = assumed.place();
                (stay, begin)
            } else {
                let begin = stay.place();
                (&mut *assumed, begin)
            };
            if let Some(end) = &mut earlier.end {
                end.at = end.at.min(later);
            }
        }
    }
    known.into_iter().chain(assumed).map(|stay| (stay.stay, stay.end)).collect()
}

/// The stay that only an `In` shows, if there is one.
fn comes(
    known: &mut [Known],
    signs: &mut [u64],
    came: &Observation,
    room: &[(u64, bool)],
) -> Option<Known> {
    let Word::In { login, role } = &came.says else { return None };
    let (t, early, late) = (came.at, came.at - CLOCKS, came.at + CLOCKS);
    let login = login.filter(|login| (t - LONGEST..=late).contains(login));
    let after_login = |at: u64| login.is_none_or(|login| at > login + LOGINS);
    let mut begin = login.unwrap_or(t);
    let last = known.iter().rposition(|stay| stay.place() <= late);
    if let Some(last) = last {
        let stay = &known[last];
        let names_it = login.is_none_or(|login| login <= signs[last] + LOGINS);
        let is_over = stay.end.as_ref().filter(|end| !end.is_assumed || end.at <= late);
        match is_over {
            None if names_it => {
                signs[last] = signs[last].max(t);
                return None;
            }
            Some(end)
                if end.at >= early && (names_it || !end.is_assumed && after_login(end.at)) =>
            {
                return None;
            }
            Some(end) => begin = begin.max(end.at),
            None => {}
        }
    }
    let changes = || room.iter().filter(|(at, _)| after_login(*at));
    begin = changes().map(|(at, _)| *at).filter(|at| *at <= early).fold(begin, u64::max);
    let next = known.iter().map(Known::place).find(|place| *place > late);
    let is_of_later_life = |at: u64, is_created: bool| {
        login.is_none_or(|login| if is_created { at > login } else { at >= login })
    };
    let cuts = |at: u64, is_created| at > late || at > early && is_of_later_life(at, is_created);
    let cut = room.iter().filter(|(at, is_created)| cuts(*at, *is_created)).min();
    let end = match (next, cut) {
        (Some(next), cut) if cut.is_none_or(|(at, _)| next <= *at) => Some((next, "superseded")),
        (_, Some((at, true))) => Some((*at, "room_replaced")),
        (_, Some((at, false))) => Some((*at, "room_closed")),
        (_, None) => None,
    };
    if end.is_some_and(|(at, _)| at <= begin) {
        return None;
    }
    if let Some(last) = last
        && !known[last].has_own_end()
        && known[last].end.as_ref().is_none_or(|end| end.at > begin)
    {
        known[last].cut(begin, "superseded");
    }
    let place = came.room.splitn(3, '/').nth(2).unwrap_or_default().to_owned();
    let stay = Stay {
        place,
        role: Some(role.clone()),
        entered_at: Some(begin),
        is_entry_assumed: true,
        ..Stay::default()
    };
    let end = end.map(|(at, reason)| End::assumed(at, reason));
    Some(Known { stay, end, last_login: t })
}
