//! What a report says of one person.

use super::span::{Span, total_ms, united};
use crate::domain::{Ending, Mark, Role, UnixMillis, UserId, Visit};

/// The span of time that a report is about, its ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: UnixMillis,
    /// Its end.
    pub to: UnixMillis,
    /// A visit that lasts has lasted until then.
    pub as_of: UnixMillis,
}

/// Somebody who was in the room, by the visits that lasted at any time of the span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonReport {
    /// Who.
    pub user: UserId,
    /// Their display name, by the newest event.
    pub name: Option<String>,
    /// Their roles, each once, in the order in which they had them.
    pub roles: Vec<Role>,
    /// When they came and went, and for how long they were present.
    pub figures: Figures,
    /// How their last visit ended; `None` while it lasts.
    pub ending: Option<Ending>,
    /// Whether the beginning or the end of a visit was inferred.
    pub is_assumed: bool,
}

/// When somebody came and went, and for how long they were present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// When their first visit began; `None` if that is not known.
    pub first_entered_at: Option<UnixMillis>,
    /// When their last visit ended; `None` while it lasts.
    pub last_left_at: Option<UnixMillis>,
    /// How many visits they made.
    pub visits: usize,
    /// When they were present, within the span and the life of the room: spans that do not overlap.
    pub present: Vec<Span>,
}

impl Figures {
    /// For how long they were present, in milliseconds.
    #[must_use]
    pub fn present_ms(&self) -> u64 {
        total_ms(&self.present)
    }
}

impl Window {
    /// Whether a visit lasted at any time of the span.
    pub(super) fn holds(&self, visit: &Visit) -> bool {
        visit.place() <= self.to && visit.ending.is_none_or(|ending| ending.at() >= self.from)
    }

    /// The part of a visit in the span, until `as_of` at most: a fast clock may put an end later. A
    /// visit without a known beginning is the moment of its end.
    pub(super) fn part(&self, visit: &Visit) -> Span {
        let from = visit.place();
        let to = visit.ending.map_or(self.as_of, Ending::at).min(self.as_of).max(from);
        Span { from, to }.within(Span { from: self.from, to: self.to })
    }
}

impl PersonReport {
    /// Reports some visits of one person, oldest first; `None` if there are none. `part` is the
    /// part of each that counts as present. The marks are all those of the seat, in their order.
    pub(super) fn new(
        user: UserId,
        name: Option<String>,
        marks: &[Mark],
        visits: &[Visit],
        part: impl Fn(&Visit) -> Span,
    ) -> Option<Self> {
        let first = visits.first()?;
        let ending = visits.iter().max_by_key(|visit| visit.place())?.ending;
        let figures = Figures {
            first_entered_at: first.beginning.at(),
            last_left_at: ending.map(Ending::at),
            visits: visits.len(),
            present: united(visits.iter().map(part).collect()),
        };
        let mut roles = Vec::new();
        for role in visits.iter().flat_map(|visit| roles_in(visit, marks)) {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        let is_assumed = visits.iter().any(is_assumed);
        Some(Self { user, name, roles, figures, ending, is_assumed })
    }
}

/// Whether the beginning or the end of a visit was inferred.
pub(super) fn is_assumed(visit: &Visit) -> bool {
    visit.beginning.is_assumed() || visit.ending.is_some_and(Ending::is_assumed)
}

/// The roles that somebody had during a visit, the last one at its end.
fn roles_in(visit: &Visit, marks: &[Mark]) -> impl Iterator<Item = Role> {
    let (from, to) = (visit.place(), visit.ending.map(Ending::at));
    let is_within = move |mark: &&Mark| {
        mark.departure().is_none()
            && mark.order.session == visit.session
            && mark.at >= from
            && to.is_none_or(|to| mark.at < to)
    };
    let roles = marks.iter().filter(is_within).map(|mark| mark.role);
    roles.chain([visit.role])
}
