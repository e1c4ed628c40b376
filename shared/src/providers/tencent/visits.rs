//! From the marks on a seat in a TRTC room to the visits they tell of.

use crate::domain::{Boundary, Ending, Kind, Mark, UserId, Visit};

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
/// own creator, who may have entered a moment before it was told of. At the same millisecond a
/// creation comes before all else, and a dismissal after it.
#[must_use]
pub fn ends(boundary: &Boundary, user: &UserId, newest: &Mark) -> Option<Ending> {
    match boundary {
        Boundary::Created { creator: Some(creator), .. } if creator == user => None,
        Boundary::Created { at, .. } if *at > newest.order.time => {
            Some(Ending::RoomReplaced { at: *at })
        }
        Boundary::Closed { at, .. } if *at >= newest.order.time => {
            Some(Ending::RoomClosed { at: *at })
        }
        Boundary::Created { .. } | Boundary::Closed { .. } => None,
    }
}
