//! Derives visits from the marks on a seat in a room of ZIM's.

use crate::{
    domain::{Kind, Mark, Verdicts, Visit},
    providers::{
        entries::Entries,
        rules::{self, Visits as _},
    },
};

/// Derives the visits to one seat from its marks, which have to come in their order. There are no
/// sessions: an entry begins a visit, and ends one whose own end never came.
///
/// Times are whole seconds, so an entry and an exit may have one time. Then the one comes first that fits:
/// somebody who is in leaves and enters again, and somebody who is not in enters and leaves.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// The marks of the time of the last one.
    at_once: Vec<Mark>,
    entries: Entries,
}

impl rules::Visits for Visits {
    fn push(&mut self, mark: Mark) -> Vec<Visit> {
        let is_later = self.at_once.first().is_some_and(|first| first.at != mark.at);
        let completed = if is_later { self.take_all() } else { Vec::new() };
        self.at_once.push(mark);
        completed
    }

    fn finish(&mut self) -> Vec<Visit> {
        let mut completed = self.take_all();
        completed.extend(self.entries.finish());
        completed
    }

    fn verdicts(&mut self) -> &mut Verdicts {
        self.entries.verdicts()
    }
}

impl Visits {
    /// Takes the marks of one time in the order that fits. Returns the visits that they complete.
    fn take_all(&mut self) -> Vec<Visit> {
        let marks = std::mem::take(&mut self.at_once);
        let (mut exits, mut entries): (Vec<Mark>, Vec<Mark>) =
            marks.into_iter().partition(|mark| mark.kind == Kind::Leave);
        let mut completed = Vec::new();
        while !(exits.is_empty() && entries.is_empty()) {
            let fitting = if self.entries.is_in() { &mut exits } else { &mut entries };
            let next = fitting.pop().or_else(|| exits.pop()).or_else(|| entries.pop());
            completed.extend(next.into_iter().flat_map(|mark| self.entries.push(mark)));
        }
        completed
    }

    /// The visits that the newest marks of a seat show, if any number of older marks is unknown: those
    /// that no older mark can change. The marks come in their order.
    ///
    /// After a time at which somebody only entered it is known that they are in, and after one at which
    /// they only left, that they are out. Of the first time that is known, exits may be missing.
    pub(super) fn of_newest(marks: &[Mark]) -> Vec<Visit> {
        let times: Vec<&[Mark]> = marks.chunk_by(|a, b| a.at == b.at).collect();
        let is_exit = |marks: &[Mark]| marks.iter().all(|mark| mark.kind == Kind::Leave);
        let is_certain =
            |(number, marks): (usize, &&[Mark])| is_exit(marks) || number > 0 && marks.len() == 1;
        let Some(known_from) = times.iter().enumerate().position(is_certain) else {
            return Vec::new();
        };
        let is_over = is_exit(times[known_from]);
        let known = times[known_from + usize::from(is_over)..].concat();
        rules::completed(Box::<Self>::default(), known).into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::room_event::SeatEvent, *};
    use crate::domain::{Ending, LeaveReason, Order, Role, UnixMillis};

    fn mark(kind: Kind, second: u64) -> Mark {
        let at = UnixMillis(second * 1000);
        let event = match kind {
            Kind::Leave => SeatEvent::Exit(LeaveReason::Normal),
            Kind::Enter | Kind::Stay => SeatEvent::Enter,
        };
        let order = Order { time: at, session: None, sequence: event.rank() };
        Mark { order, kind, at, role: Role(0), reason: LeaveReason::Unspecified }
    }

    fn kick(second: u64) -> Mark {
        Mark { reason: LeaveReason::Kicked, ..mark(Kind::Leave, second) }
    }

    fn visits(marks: &[Mark]) -> Vec<Visit> {
        let mut sorted = marks.to_vec();
        sorted.sort();
        let mut visits = Visits::default();
        let mut found: Vec<Visit> =
            sorted.iter().flat_map(|mark| visits.push(mark.clone())).collect();
        found.extend(visits.finish());
        found
    }

    #[test]
    fn entries_and_exits_pair_up_in_the_order_that_fits() {
        use Kind::{Enter, Leave};

        for (marks, expected) in [
            (vec![], vec![]),
            (vec![(Enter, 1)], vec![(Some(1), None)]),
            (vec![(Leave, 5), (Enter, 1)], vec![(Some(1), Some(5))]),
            (vec![(Leave, 5)], vec![(None, Some(5))]),
            (vec![(Enter, 1), (Enter, 3)], vec![(Some(1), Some(3)), (Some(3), None)]),
            // Within a second.
            (vec![(Enter, 5), (Leave, 5)], vec![(Some(5), Some(5))]),
            (vec![(Enter, 1), (Enter, 5), (Leave, 5)], vec![(Some(1), Some(5)), (Some(5), None)]),
            (
                vec![(Enter, 1), (Leave, 3), (Enter, 5), (Leave, 5)],
                vec![(Some(1), Some(3)), (Some(5), Some(5))],
            ),
            (
                vec![(Enter, 1), (Leave, 5), (Enter, 5), (Leave, 9)],
                vec![(Some(1), Some(5)), (Some(5), Some(9))],
            ),
        ] {
            let marks: Vec<Mark> = marks.into_iter().map(|(kind, at)| mark(kind, at)).collect();
            let stay = |visit: Visit| {
                let ended = visit.ending.map(|ending| ending.at().0 / 1000);
                (visit.beginning.at().map(|at| at.0 / 1000), ended)
            };
            let stays: Vec<_> = visits(&marks).into_iter().map(stay).collect();
            assert_eq!(stays, expected, "{marks:?}");
        }
    }

    proptest! {
        #[test]
        fn stays_never_overlap_and_what_is_certain_is_right_whatever_came_before(
            // A mark is there once, however often it comes.
            marks in prop::collection::btree_set(
                (0..3_u8, 0..8_u64).prop_map(|(what, second)| match what {
                    0 => mark(Kind::Enter, second),
                    1 => mark(Kind::Leave, second),
                    _ => kick(second),
                }),
                0..14,
            ),
            known in any::<prop::sample::Index>(),
        ) {
            let mut newest: Vec<Mark> = marks.into_iter().collect();
            let all = visits(&newest);
            for pair in all.windows(2) {
                let ended_at = pair[0].ending.map(Ending::at);
                prop_assert!(ended_at.is_some_and(|at| at <= pair[1].place()), "{all:?}");
            }
            for visit in &all {
                prop_assert!(visit.ending.is_none_or(|end| visit.place() <= end.at()), "{all:?}");
            }
            let newest = newest.split_off(known.index(newest.len() + 1));
            let certain = Visits::of_newest(&newest);
            prop_assert!(all.ends_with(&certain), "{certain:?} of {all:?}");
        }

        #[test]
        fn every_mark_has_a_verdict_on_a_visit_that_is_completed(
            marks in prop::collection::btree_set(
                (any::<bool>(), 0..6_u64).prop_map(|(is_exit, second)| {
                    mark(if is_exit { Kind::Leave } else { Kind::Enter }, second)
                }),
                0..12,
            ),
        ) {
            let mut walk = Visits::default();
            walk.verdicts().ask();
            let marks: Vec<Mark> = marks.into_iter().collect();
            let mut completed: usize =
                marks.iter().map(|mark| walk.push(mark.clone()).len()).sum();
            completed += walk.finish().len();
            let verdicts = walk.verdicts().take();
            prop_assert_eq!(verdicts.len(), marks.len());
            prop_assert!(verdicts.iter().all(|verdict| verdict.visit < completed));
        }
    }
}
