//! From the marks on a seat in a TRTC room to the visits they tell of.

use crate::domain::{Boundary, Ending, Kind, MAX_EVENT_TIME_AHEAD, Mark, UserId, Visit};

/// The visits to one seat, oldest first. There are no sessions: an entry begins a visit, and ends
/// one whose own end never came.
#[must_use]
pub fn visits(marks: &[Mark]) -> Vec<Visit> {
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort();
    let mut visits = Vec::<Visit>::new();
    for mark in sorted {
        let begins = Visit { session: None, role: mark.role, entered_at: mark.at, ending: None };
        let left = Ending::Left { at: mark.at, reason: mark.reason };
        let open = visits.last_mut().filter(|visit| visit.ending.is_none());
        match (open, mark.kind) {
            (Some(visit), Kind::Stay) => visit.role = mark.role,
            (Some(visit), Kind::Leave) => visit.ending = Some(left),
            (Some(visit), Kind::Enter) => {
                visit.ending = Some(Ending::Superseded { at: mark.at });
                visits.push(begins);
            }
            (None, Kind::Enter | Kind::Stay) => visits.push(begins),
            // Their entry was lost: they were there for a moment at least.
            (None, Kind::Leave) => visits.push(Visit { ending: Some(left), ..begins }),
        }
    }
    visits
}

/// How a boundary of the room ends the stay of somebody whose newest mark is `newest`; `None` if it
/// does not.
///
/// Whoever was in before the room was created or dismissed is out. But a creation does not end its
/// own creator's stay, who may have entered a moment before, as far as clocks may differ. At the same millisecond a
/// creation comes before all else, and a dismissal after it.
#[must_use]
pub fn ends(boundary: &Boundary, user: &UserId, newest: &Mark) -> Option<Ending> {
    match boundary {
        Boundary::Created { at, creator: Some(creator) }
            if creator == user && newest.order.time >= at.before(MAX_EVENT_TIME_AHEAD) =>
        {
            None
        }
        Boundary::Created { at, .. } if *at > newest.order.time => {
            Some(Ending::RoomReplaced { at: *at })
        }
        Boundary::Closed { at, .. } if *at >= newest.order.time => {
            Some(Ending::RoomClosed { at: *at })
        }
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
        visits(marks).into_iter().map(stay).collect()
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
        let ends = |user: &UserId, ms: u64| ends(&created, user, &mark(Kind::Enter, ms)).is_some();
        assert!(!ends(&ada, 10_000_000 - 600_000));
        assert!(ends(&ada, 10_000_000 - 600_001));
        assert!(ends(&bob, 9_999_999));
        assert!(!ends(&bob, 10_000_000));
    }
}
