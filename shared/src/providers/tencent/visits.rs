//! From the marks on a seat in a TRTC room to the visits they tell of.

use crate::domain::{
    Boundary, Ending, Kind, MAX_EVENT_TIME_AHEAD, Mark, UnixMillis, UserId, Visit,
};

/// Derives the visits to one seat from its marks, which have to come in their order. There are no
/// sessions: an entry begins a visit, and ends one whose own end never came.
#[derive(Debug, Default)]
pub struct Visits {
    open: Option<Visit>,
}

impl Visits {
    /// Takes the next mark; gives the visit that it completes, if it completes one.
    pub fn push(&mut self, mark: &Mark) -> Option<Visit> {
        let begins = Visit {
            session: None,
            role: mark.role,
            entered_at: mark.at,
            last_in: mark.at,
            ending: None,
        };
        match (self.open.take(), mark.kind) {
            (Some(visit), Kind::Stay) => {
                self.open = Some(Visit { role: mark.role, last_in: mark.at, ..visit });
                None
            }
            (Some(visit), Kind::Enter) => {
                self.open = Some(begins);
                Some(Visit { ending: Some(Ending::Superseded { at: mark.at }), ..visit })
            }
            (None, Kind::Enter | Kind::Stay) => {
                self.open = Some(begins);
                None
            }
            // Without an entry, which was lost, they were there for a moment at least.
            (visit, Kind::Leave) => {
                let left = Ending::Left { at: mark.at, reason: mark.reason };
                Some(Visit { ending: Some(left), ..visit.unwrap_or(begins) })
            }
        }
    }

    /// The visit that no mark has ended, if there is one.
    #[must_use]
    pub fn finish(self) -> Option<Visit> {
        self.open
    }
}

/// How a boundary of the room ends the stay of somebody who was last told to be in at `last_in`;
/// `None` if it does not.
///
/// Whoever was in before the room was created or dismissed is out. But a creation does not end its
/// own creator's stay, who may have entered a moment before, as far as clocks may differ. At the same millisecond a
/// creation comes before all else, and a dismissal after it.
#[must_use]
pub fn ends(boundary: &Boundary, user: &UserId, last_in: UnixMillis) -> Option<Ending> {
    match boundary {
        Boundary::Created { at, creator: Some(creator) }
            if creator == user && last_in >= at.before(MAX_EVENT_TIME_AHEAD) =>
        {
            None
        }
        Boundary::Created { at, .. } if *at > last_in => Some(Ending::RoomReplaced { at: *at }),
        Boundary::Closed { at, .. } if *at >= last_in => Some(Ending::RoomClosed { at: *at }),
        Boundary::Created { .. } | Boundary::Closed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{LeaveReason, Order, Role, UnixMillis};

    fn mark(kind: Kind, ms: u64) -> Mark {
        let rank = if kind == Kind::Leave { 2 } else { 3 };
        Mark {
            order: Order { time: UnixMillis(ms), session: None, sequence: rank },
            kind,
            at: UnixMillis(ms),
            role: Role::Audience,
            reason: LeaveReason::Unspecified,
        }
    }

    fn stays(marks: &[Mark]) -> Vec<(u64, Option<u64>)> {
        let stay = |visit: Visit| (visit.entered_at.0, visit.ending.map(|ending| ending.at().0));
        let mut sorted = marks.to_vec();
        sorted.sort();
        let mut visits = Visits::default();
        let mut found: Vec<Visit> = sorted.iter().filter_map(|mark| visits.push(mark)).collect();
        found.extend(visits.finish());
        found.into_iter().map(stay).collect()
    }

    #[test]
    fn entries_and_exits_pair_up_in_the_order_of_their_times() {
        use Kind::{Enter, Leave, Stay};

        let visits = [
            (vec![], vec![]),
            (vec![(Enter, 1)], vec![(1, None)]),
            (vec![(Leave, 5), (Enter, 1)], vec![(1, Some(5))]),
            (vec![(Enter, 1), (Enter, 3), (Leave, 5)], vec![(1, Some(3)), (3, Some(5))]),
            (vec![(Enter, 1), (Stay, 3), (Leave, 5)], vec![(1, Some(5))]),
            (vec![(Leave, 5)], vec![(5, Some(5))]),
            (vec![(Stay, 5)], vec![(5, None)]),
            (vec![(Leave, 5), (Enter, 5)], vec![(5, Some(5)), (5, None)]),
        ];
        for (marks, expected) in visits {
            let marks: Vec<Mark> = marks.into_iter().map(|(kind, ms)| mark(kind, ms)).collect();
            assert_eq!(stays(&marks), expected, "{marks:?}");
        }
    }

    #[test]
    fn a_creation_spares_its_creator_only_around_its_own_time() {
        let at = UnixMillis(10_000_000);
        let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let created = Boundary::Created { at, creator: Some(ada) };
        let ada = "ada".parse().unwrap();
        let ends = |user: &UserId, ms: u64| ends(&created, user, UnixMillis(ms)).is_some();
        assert!(!ends(&ada, 10_000_000 - 600_000));
        assert!(ends(&ada, 10_000_000 - 600_001));
        assert!(ends(&bob, 9_999_999));
        assert!(!ends(&bob, 10_000_000));
    }
}
