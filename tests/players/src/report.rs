//! What reports have to say, from the visits themselves: by looking at every moment at which anything
//! changes. The plainest code that says it, and none of Rollcall's.

use std::collections::{BTreeMap, BTreeSet};

use crate::answers::Visit;

/// Which part of which room is reported.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Unix ms, included.
    pub from: u64,
    /// Unix ms, included.
    pub to: u64,
    /// When it is asked, in Unix ms: a visit that lasts has lasted until then.
    pub as_of: u64,
    /// When the room's life began and ended, if anyone can be present only in between.
    pub life: (Option<u64>, Option<u64>),
}

/// What is said of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When the first visit began.
    pub first_entered_at: Option<u64>,
    /// When the last visit ended.
    pub last_left_at: Option<u64>,
    /// How many visits there were.
    pub visits: u64,
    /// For how long the person was present.
    pub present_ms: u64,
    /// How the last visit ended.
    pub reason: Option<String>,
    /// Whether any beginning or end was inferred.
    pub is_assumed: bool,
}

/// What is said of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The people, by the bytes of their ids.
    pub rows: BTreeMap<String, Row>,
    /// How many were only there as admins.
    pub admins: usize,
    /// The time that all of them were present.
    pub person_ms: u64,
    /// How many were present at one moment, at most, and when first.
    pub peak: (usize, Option<u64>),
}

impl Asked {
    /// The visits that lasted at any time of the span, by person, in their order.
    fn visits<'v>(&self, visits: &'v [Visit]) -> BTreeMap<&'v str, Vec<&'v Visit>> {
        let mut people = BTreeMap::<&str, Vec<&Visit>>::new();
        for visit in visits {
            let (user, stay, end) = visit;
            let end = end.as_ref().map(|end| end.at);
            let began = stay.entered_at.or(end);
            if began.is_some_and(|began| began <= self.to) && end.is_none_or(|end| self.from <= end)
            {
                people.entry(user).or_default().push(visit);
            }
        }
        for visits in people.values_mut() {
            // Those that are over at the moment at which another one begins came before it. Others
            // of one moment are in their order already.
            visits.sort_by_key(|(_, stay, end)| {
                let end = end.as_ref().map(|end| end.at);
                (stay.entered_at.or(end), end.unwrap_or(u64::MAX))
            });
        }
        people
    }

    /// Whether someone counts as present at a moment, by one visit.
    fn is_present(&self, (_, stay, end): &Visit, at: u64) -> bool {
        let Some(entered_at) = stay.entered_at else { return false };
        let until = end.as_ref().map_or(self.as_of, |end| end.at.min(self.as_of));
        (entered_at..until).contains(&at)
            && (self.from..self.to).contains(&at)
            && self.life.0.is_none_or(|began| began <= at)
            && self.life.1.is_none_or(|ended| at < ended)
    }

    /// The spans in which nothing changes, one after another, without gaps.
    fn moments(&self, visits: &[Visit], others: &[u64]) -> Vec<(u64, u64)> {
        let mut moments: BTreeSet<u64> = others.iter().copied().collect();
        moments.extend([self.from, self.to, self.as_of]);
        moments.extend(self.life.0.into_iter().chain(self.life.1));
        for (_, stay, end) in visits {
            moments.extend(stay.entered_at.into_iter().chain(end.as_ref().map(|end| end.at)));
        }
        let moments: Vec<u64> = moments.into_iter().collect();
        moments.windows(2).map(|two| (two[0], two[1])).collect()
    }

    /// The report of a room with these visits.
    #[must_use]
    pub fn room(&self, visits: &[Visit]) -> Report {
        let is_person = |visit: &&Visit| visit.1.role.as_deref() != Some("admin");
        let everyone = self.visits(visits);
        let mut report = Report {
            rows: BTreeMap::new(),
            admins: everyone.values().filter(|own| !own.iter().any(is_person)).count(),
            person_ms: 0,
            peak: (0, None),
        };
        let people: BTreeMap<&str, Vec<&Visit>> = everyone
            .into_iter()
            .map(|(user, own)| (user, own.into_iter().filter(is_person).collect::<Vec<_>>()))
            .filter(|(_, own)| !own.is_empty())
            .collect();
        for (user, own) in &people {
            let (first, last) = (own[0], own[own.len() - 1]);
            let is_assumed = |visit: &&&Visit| {
                visit.1.is_entry_assumed || visit.2.as_ref().is_some_and(|end| end.is_assumed)
            };
            let row = Row {
                first_entered_at: first.1.entered_at,
                last_left_at: last.2.as_ref().map(|end| end.at),
                visits: own.len() as u64,
                present_ms: 0,
                reason: last.2.as_ref().map(|end| end.reason.clone()),
                is_assumed: own.iter().any(|visit| is_assumed(&visit)),
            };
            report.rows.insert((*user).to_owned(), row);
        }
        for (at, until) in self.moments(visits, &[]) {
            let mut online = 0;
            for (user, own) in &people {
                if own.iter().any(|visit| self.is_present(visit, at)) {
                    online += 1;
                    if let Some(row) = report.rows.get_mut(*user) {
                        row.present_ms += until - at;
                    }
                    report.person_ms += until - at;
                }
            }
            if online > report.peak.0 {
                report.peak = (online, Some(at));
            }
        }
        report
    }

    /// The spans in which someone of one side and someone else of the other side were present.
    #[must_use]
    pub fn together(
        &self,
        visits: &[Visit],
        a: impl Fn(&Visit) -> bool,
        b: impl Fn(&Visit) -> bool,
    ) -> Vec<(u64, u64)> {
        let mut spans = Vec::<(u64, u64)>::new();
        for (at, until) in self.moments(visits, &[]) {
            let present: Vec<&Visit> =
                visits.iter().filter(|visit| self.is_present(visit, at)).collect();
            let are_together =
                present.iter().any(|p| present.iter().any(|q| p.0 != q.0 && a(p) && b(q)));
            if !are_together {
                continue;
            }
            match spans.last_mut().filter(|last| last.1 == at) {
                Some(last) => last.1 = until,
                None => spans.push((at, until)),
            }
        }
        spans
    }

    /// The report of a person with these visits, where clocks are ahead of UTC by so many ms: by day
    /// (counted from 1970) and room, how many visits there were, and for how long.
    #[must_use]
    pub fn days(&self, visits: &[Visit], ahead: i64) -> BTreeMap<(i64, String), (u64, u64)> {
        const DAY: i64 = 86_400_000;
        let day = |at: u64| (at.cast_signed() + ahead).div_euclid(DAY);
        let mut days = BTreeMap::<(i64, String), (u64, u64)>::new();
        let all = self.visits(visits);
        let all: Vec<&Visit> = all.values().flatten().copied().collect();
        for (_, stay, end) in &all {
            let end = end.as_ref().map_or(self.as_of, |end| end.at);
            let first = stay.entered_at.unwrap_or(end).clamp(self.from, self.to);
            let end = end.clamp(first, self.to);
            // Nobody is present at the very end, unless that is all that is known.
            let last = end.saturating_sub(1).max(first);
            for day in day(first)..=day(last) {
                days.entry((day, stay.place.clone())).or_default().0 += 1;
            }
        }
        let midnights = |(_, stay, end): &&Visit| {
            let end = end.as_ref().map_or(self.as_of, |end| end.at);
            let first = stay.entered_at.unwrap_or(end);
            (day(first)..=day(end)).map(|day| (day * DAY - ahead).cast_unsigned())
        };
        let midnights: Vec<u64> = all.iter().flat_map(midnights).collect();
        for (at, until) in self.moments(visits, &midnights) {
            let rooms: BTreeSet<&String> = all
                .iter()
                .filter(|visit| self.is_present(visit, at))
                .map(|visit| &visit.1.place)
                .collect();
            for room in rooms {
                days.entry((day(at), room.clone())).or_default().1 += until - at;
            }
        }
        days
    }
}
