//! Derives visits from the marks on a seat in a TRTC room.

use std::{collections::VecDeque, time::Duration};

use super::trtc_event::TrtcRoomEvent;
use crate::{
    domain::{
        Beginning, EndRule, Ending, Kind, LeaveReason, Mark, MarkRule, UnixMillis, Verdicts, Visit,
    },
    providers::rules::{self, Visits as _},
};

/// How long after a connection was replaced its exit may still come. Tencent does not publish the
/// order of the two; old clients of Chat's take as long.
const REPLACED_CONNECTIONS_EXIT: Duration = Duration::from_secs(5);

/// Derives the visits to one seat from its marks, which have to come in their order. There are no
/// sessions: an entry begins a visit, and ends one whose own end never came.
///
/// An exit does not say which connection it ends. One that was kicked within five seconds after
/// somebody who was in entered again is the exit of the connection which that entry replaced.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// The visits that are over, and the connections that were replaced, in the order of time: what
    /// comes behind one whose exit may still come.
    over: VecDeque<Over>,
    open: Option<Visit>,
    /// How many visits have begun.
    begun: usize,
    verdicts: Verdicts,
}

#[derive(Debug)]
struct Over {
    /// The visit that ended; none if it went on over another connection.
    visit: Option<Visit>,
    /// The number of that visit.
    number: usize,
    /// Until when the exit of a replaced connection may still come.
    exit_until: Option<UnixMillis>,
}

impl rules::Visits for Visits {
    fn push(&mut self, mark: Mark) -> Vec<Visit> {
        for over in &mut self.over {
            over.exit_until = over.exit_until.filter(|until| mark.at <= *until);
        }
        match mark.kind {
            Kind::Enter => {
                let mut rule = MarkRule::Begins;
                if let Some(mut visit) = self.open.take() {
                    visit.end(Ending::Superseded { at: mark.at }, EndRule::Superseded, None);
                    self.replaced(Some(visit), &mark);
                    rule = MarkRule::BeginsAnew;
                }
                self.open = Some(self.begin(&mark, Beginning::Known(mark.at)));
                self.judge(&mark, rule);
            }
            Kind::Stay => {
                let is_entry = mark.order.sequence == TrtcRoomEvent::Entered.rank();
                let rule = match (&self.open, is_entry) {
                    (Some(_), true) => MarkRule::ChangesConnection,
                    (Some(_), false) => MarkRule::ChangesRole,
                    // Nobody was in, so the entry was lost.
                    (None, _) => MarkRule::BeginsUnreported,
                };
                if rule == MarkRule::ChangesConnection {
                    self.replaced(None, &mark);
                }
                let open = self.open.take();
                let open = open.unwrap_or_else(|| self.begin(&mark, Beginning::Assumed(mark.at)));
                self.open = Some(Visit { role: mark.role, last_in: mark.at, ..open });
                self.judge(&mark, rule);
            }
            Kind::Leave => self.leave(&mark),
        }
        let mut completed = Vec::new();
        while let Some(over) = self.over.pop_front_if(|over| over.exit_until.is_none()) {
            completed.extend(over.visit);
        }
        completed
    }

    fn finish(&mut self) -> Vec<Visit> {
        let over = std::mem::take(&mut self.over).into_iter().filter_map(|over| over.visit);
        over.chain(self.open.take()).collect()
    }

    fn verdicts(&mut self) -> &mut Verdicts {
        &mut self.verdicts
    }
}

impl Visits {
    fn begin(&mut self, mark: &Mark, beginning: Beginning) -> Visit {
        self.begun += 1;
        Visit::begun(mark, beginning)
    }

    /// The number of the visit that began last.
    fn newest(&self) -> usize {
        self.begun.saturating_sub(1)
    }

    /// A mark of the visit that began last.
    fn judge(&mut self, mark: &Mark, rule: MarkRule) {
        self.verdicts.give(mark, self.newest(), rule);
    }

    fn replaced(&mut self, visit: Option<Visit>, mark: &Mark) {
        let exit_until = Some(mark.at.after(REPLACED_CONNECTIONS_EXIT));
        self.over.push_back(Over { visit, number: self.newest(), exit_until });
    }

    fn leave(&mut self, mark: &Mark) {
        let mut replaced = self.over.iter_mut().filter(|over| over.exit_until.is_some());
        if let Some(over) = replaced.next().filter(|_| !leaves_for_certain(mark)) {
            over.exit_until = None;
            let mut rule = MarkRule::EndsReplacedConnection;
            if let Some(visit) = &mut over.visit {
                let at = visit.ending.map_or(mark.at, Ending::at);
                let ending = Ending::Left { at, reason: mark.reason };
                visit.end(ending, EndRule::LeftConnection, None);
                rule = MarkRule::EndsReplaced;
            }
            self.verdicts.give(mark, over.number, rule);
            return;
        }
        let mut rule = MarkRule::Ends;
        let mut visit = self.open.take().unwrap_or_else(|| {
            rule = MarkRule::EndsUnknown;
            self.begin(mark, Beginning::Unknown)
        });
        let ending = Ending::Left { at: mark.at, reason: mark.reason };
        visit.end(ending, EndRule::Left, None);
        self.over.push_back(Over { visit: Some(visit), number: self.newest(), exit_until: None });
        self.judge(mark, rule);
    }

    /// The visits that the newest marks of a seat show, if any number of older marks is unknown: those
    /// that no older mark can change. The marks come in their order.
    ///
    /// After an entry it is known that the person is in, and after an exit that they are out. What
    /// came before can matter only by a connection that was replaced, and only for five seconds.
    pub(super) fn of_newest(marks: &[Mark]) -> Vec<Visit> {
        let known_from = marks.iter().enumerate().position(|(index, mark)| {
            let until = mark.at.after(REPLACED_CONNECTIONS_EXIT);
            let mut soon = marks[index + 1..].iter().take_while(|later| later.at <= until);
            let is_certain = mark.kind == Kind::Enter || leaves_for_certain(mark);
            is_certain && soon.all(|later| later.kind != Kind::Leave || leaves_for_certain(later))
        });
        let Some(known_from) = known_from else { return Vec::new() };
        let is_exit = marks[known_from].kind == Kind::Leave;
        let mut visits = Self::default();
        let known = &marks[known_from + usize::from(is_exit)..];
        let mut found: Vec<Visit> =
            known.iter().flat_map(|mark| visits.push(mark.clone())).collect();
        found.extend(visits.finish());
        found
    }
}

/// Whether a mark says beyond doubt that the person left. An exit with the reason
/// [`LeaveReason::Kicked`] may belong to a connection that a newer one replaced. Then the person is
/// still in.
pub(super) fn leaves_for_certain(mark: &Mark) -> bool {
    mark.kind == Kind::Leave && mark.reason != LeaveReason::Kicked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{LeaveReason, Order, Role};

    fn mark(kind: Kind, ms: u64) -> Mark {
        let rank = if kind == Kind::Leave { 2 } else { 3 };
        Mark {
            order: Order { time: UnixMillis(ms), session: None, sequence: rank },
            kind,
            at: UnixMillis(ms),
            role: Role(2),
            reason: LeaveReason::Unspecified,
        }
    }

    fn kick(ms: u64) -> Mark {
        Mark { reason: LeaveReason::Kicked, ..mark(Kind::Leave, ms) }
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

    fn stays(marks: &[Mark]) -> Vec<(Option<u64>, Option<u64>)> {
        let stay = |visit: Visit| {
            (visit.beginning.at().map(|at| at.0), visit.ending.map(|ending| ending.at().0))
        };
        visits(marks).into_iter().map(stay).collect()
    }

    #[test]
    fn entries_and_exits_pair_up_in_the_order_of_their_times() {
        use Kind::{Enter, Leave, Stay};

        let visits = [
            (vec![], vec![]),
            (vec![(Enter, 1)], vec![(Some(1), None)]),
            (vec![(Leave, 5), (Enter, 1)], vec![(Some(1), Some(5))]),
            (
                vec![(Enter, 1), (Enter, 3), (Leave, 5)],
                vec![(Some(1), Some(3)), (Some(3), Some(5))],
            ),
            (vec![(Enter, 1), (Stay, 3), (Leave, 5)], vec![(Some(1), Some(5))]),
            (vec![(Leave, 5)], vec![(None, Some(5))]),
            (vec![(Stay, 5)], vec![(Some(5), None)]),
            (vec![(Leave, 5), (Enter, 5)], vec![(None, Some(5)), (Some(5), None)]),
        ];
        for (marks, expected) in visits {
            let marks: Vec<Mark> = marks.into_iter().map(|(kind, ms)| mark(kind, ms)).collect();
            assert_eq!(stays(&marks), expected, "{marks:?}");
        }
    }

    #[test]
    fn a_beginning_that_was_not_told_is_assumed() {
        let is_assumed = |marks: &[Mark]| visits(marks)[0].beginning.is_assumed();
        assert!(!is_assumed(&[mark(Kind::Enter, 5)]));
        assert!(is_assumed(&[mark(Kind::Stay, 5), mark(Kind::Leave, 9)]));
        assert!(is_assumed(&[mark(Kind::Leave, 9)]));
    }

    #[test]
    fn a_kick_soon_after_a_second_entry_ends_the_connection_that_was_replaced() {
        use Kind::{Enter, Leave, Stay};

        let (first, second) = (mark(Enter, 0), mark(Enter, 10_000));
        let open = (Some(10_000), None);
        let ended = (Some(0), Some(10_000));
        let cases = [
            (vec![kick(10_000)], vec![ended, open]),
            (vec![kick(10_001)], vec![ended, open]),
            (vec![kick(15_000)], vec![ended, open]),
            (vec![kick(15_001)], vec![ended, (Some(10_000), Some(15_001))]),
            (vec![mark(Leave, 10_001)], vec![ended, (Some(10_000), Some(10_001))]),
            // One connection was replaced, so one exit is its own.
            (vec![kick(10_001), kick(10_002)], vec![ended, (Some(10_000), Some(10_002))]),
            (vec![mark(Leave, 10_001), kick(10_002)], vec![ended, (Some(10_000), Some(10_001))]),
            (vec![mark(Stay, 10_100), kick(10_200)], vec![ended, open]),
            (
                vec![mark(Enter, 10_001), kick(10_002), kick(10_003)],
                vec![ended, (Some(10_000), Some(10_001)), (Some(10_001), None)],
            ),
        ];
        for (more, expected) in cases {
            let marks: Vec<Mark> =
                [first.clone(), second.clone()].into_iter().chain(more).collect();
            assert_eq!(stays(&marks), expected, "{marks:?}");
        }
        // Nobody was in before, so it is their own.
        assert_eq!(stays(&[first.clone(), kick(1)]), [(Some(0), Some(1))]);
        let gone = [first.clone(), mark(Leave, 9000), second.clone(), kick(10_001)];
        assert_eq!(stays(&gone), [(Some(0), Some(9000)), (Some(10_000), Some(10_001))]);
        // Another network: the stay goes on.
        let network = [first.clone(), mark(Stay, 10_000), kick(10_001)];
        assert_eq!(stays(&network), [(Some(0), None)]);

        let kicked = &visits(&[first, second, kick(10_001)])[0].ending;
        let at = UnixMillis(10_000);
        assert_eq!(*kicked, Some(Ending::Left { at, reason: LeaveReason::Kicked }));
    }

    proptest! {
        #[test]
        fn stays_never_overlap_and_what_is_certain_is_right_whatever_came_before(
            // A mark is there once, however often it comes.
            marks in prop::collection::btree_set(
                (0..4_u8, 0..12_u64, any::<bool>()).prop_map(|(what, seconds, is_later)| {
                    let ms = seconds * 1000 + u64::from(is_later);
                    match what {
                        0 => mark(Kind::Enter, ms),
                        1 => mark(Kind::Stay, ms),
                        2 => mark(Kind::Leave, ms),
                        _ => kick(ms),
                    }
                }),
                0..16,
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
                let began = visit.place();
                prop_assert!(visit.ending.is_none_or(|ending| began <= ending.at()), "{all:?}");
            }
            let newest = newest.split_off(known.index(newest.len() + 1));
            let certain = Visits::of_newest(&newest);
            prop_assert!(all.ends_with(&certain), "{certain:?} of {all:?}");
        }
    }
}
