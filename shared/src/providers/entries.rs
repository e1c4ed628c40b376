//! Derives visits from entries and leaves that name no session: those of RoomEngine and of ZIM.

use crate::{
    domain::{Beginning, EndRule, Ending, Kind, Mark, MarkRule, Verdicts, Visit},
    providers::rules::{self, Visits as _},
};

/// Derives the visits to one seat from its marks, which have to come in their order: an entry begins
/// a visit, and ends one whose own end never came; a leave ends it.
#[derive(Debug, Default)]
pub(super) struct Entries {
    open: Option<Visit>,
    /// How many visits have begun.
    begun: usize,
    verdicts: Verdicts,
}

impl rules::Visits for Entries {
    fn push(&mut self, mark: Mark) -> Vec<Visit> {
        let before = self.open.take();
        let (completed, rule) = if mark.kind == Kind::Leave {
            let rule = if before.is_some() { MarkRule::Ends } else { MarkRule::EndsUnknown };
            let mut visit = before.unwrap_or_else(|| self.begin(&mark, Beginning::Unknown));
            let ending = Ending::Left { at: mark.at, reason: mark.reason };
            visit.end(ending, EndRule::Left, None);
            (Some(visit), rule)
        } else {
            let rule = if before.is_some() { MarkRule::BeginsAnew } else { MarkRule::Begins };
            let superseded = before.map(|mut visit| {
                visit.end(Ending::Superseded { at: mark.at }, EndRule::Superseded, None);
                visit
            });
            self.open = Some(self.begin(&mark, Beginning::Known(mark.at)));
            (superseded, rule)
        };
        self.verdicts.give(&mark, self.begun.saturating_sub(1), rule);
        completed.into_iter().collect()
    }

    fn finish(&mut self) -> Vec<Visit> {
        self.open.take().into_iter().collect()
    }

    fn verdicts(&mut self) -> &mut Verdicts {
        &mut self.verdicts
    }
}

impl Entries {
    /// Whether the person is in after the marks so far.
    pub(super) fn is_in(&self) -> bool {
        self.open.is_some()
    }

    fn begin(&mut self, mark: &Mark, beginning: Beginning) -> Visit {
        self.begun += 1;
        Visit::begun(mark, beginning)
    }

    /// The visits that the newest marks of a seat show, if any number of older marks is unknown. Of
    /// a visit that the first of them ends, the beginning may be among those.
    pub(super) fn of_newest(marks: &[Mark]) -> Vec<Visit> {
        let is_end = marks.first().is_some_and(|first| first.kind == Kind::Leave);
        let mut visits = Self::default();
        let known = &marks[usize::from(is_end)..];
        let mut found: Vec<Visit> =
            known.iter().flat_map(|mark| visits.push(mark.clone())).collect();
        found.extend(visits.finish());
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{LeaveReason, Order, Role, UnixMillis};

    fn mark(kind: Kind, ms: u64) -> Mark {
        let rank = if kind == Kind::Leave { 1 } else { 3 };
        Mark {
            order: Order { time: UnixMillis(ms), session: None, sequence: rank },
            kind,
            at: UnixMillis(ms),
            role: Role::default(),
            reason: LeaveReason::Kicked,
        }
    }

    fn visits(marks: &[Mark]) -> Vec<Visit> {
        let mut visits = Entries::default();
        let mut found: Vec<Visit> =
            marks.iter().flat_map(|mark| visits.push(mark.clone())).collect();
        found.extend(visits.finish());
        found
    }

    #[test]
    fn entries_and_leaves_pair_up_in_the_order_of_their_times() {
        use Kind::{Enter, Leave};

        for (marks, expected) in [
            (vec![], vec![]),
            (vec![(Enter, 1)], vec![(Some(1), None)]),
            (vec![(Enter, 1), (Leave, 5)], vec![(Some(1), Some(5))]),
            (vec![(Enter, 1), (Enter, 3)], vec![(Some(1), Some(3)), (Some(3), None)]),
            (vec![(Leave, 5)], vec![(None, Some(5))]),
            (vec![(Leave, 5), (Enter, 5)], vec![(None, Some(5)), (Some(5), None)]),
            // A leave soon after a second entry is the person's own.
            (
                vec![(Enter, 1), (Enter, 3), (Leave, 4)],
                vec![(Some(1), Some(3)), (Some(3), Some(4))],
            ),
        ] {
            let marks: Vec<Mark> = marks.into_iter().map(|(kind, ms)| mark(kind, ms)).collect();
            let stays: Vec<_> = visits(&marks)
                .into_iter()
                .map(|visit| {
                    let ended = visit.ending.map(|ending| ending.at().0);
                    (visit.beginning.at().map(|at| at.0), ended)
                })
                .collect();
            assert_eq!(stays, expected, "{marks:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_certain_is_right_whatever_came_before(
            marks in prop::collection::btree_set(
                (any::<bool>(), 0..9_u64).prop_map(|(enters, ms)| {
                    mark(if enters { Kind::Enter } else { Kind::Leave }, ms)
                }),
                0..12,
            ),
            known in any::<prop::sample::Index>(),
        ) {
            let mut newest: Vec<Mark> = marks.into_iter().collect();
            let all = visits(&newest);
            for two in all.windows(2) {
                let ended_at = two[0].ending.map(Ending::at);
                prop_assert!(ended_at.is_some_and(|at| at <= two[1].place()), "{all:?}");
            }
            let newest = newest.split_off(known.index(newest.len() + 1));
            let certain = Entries::of_newest(&newest);
            prop_assert!(all.ends_with(&certain), "{certain:?} of {all:?}");
        }
    }
}
