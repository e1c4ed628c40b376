//! How many changes of a room's list never arrived: ZEGO counts every login and logout of a room's
//! life in `user_update_seq`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{Kind, Mark},
    providers::rules::{Lost, Numbered},
};

/// The changes of one life of a room that arrived, collected from the marks of all its seats.
#[derive(Debug, Default)]
pub(super) struct Changes {
    arrived: BTreeSet<u64>,
    /// Logins and logouts that cannot but have happened: the sequences between which each must be.
    lost: Vec<(u64, u64)>,
}

impl Numbered for Changes {
    fn seat(&mut self, marks: &[Mark]) {
        self.arrived.extend(marks.iter().map(|mark| mark.order.sequence));
    }

    fn seat_of_ended_life(&mut self, marks: &[Mark]) {
        self.seat(marks);
        for session in marks.chunk_by(|a, b| a.order.session == b.order.session) {
            let mut by_sequence: Vec<_> =
                session.iter().map(|mark| (mark.order.sequence, mark.kind)).collect();
            by_sequence.sort_unstable();
            by_sequence.dedup();
            let (mut before, mut is_in) = (0, false);
            for (sequence, kind) in by_sequence {
                if kind == Kind::Leave && !is_in {
                    self.lost.push((before, sequence));
                }
                is_in = kind != Kind::Leave;
                before = sequence;
            }
            if is_in {
                self.lost.push((before, u64::MAX));
            }
        }
    }

    /// A hole in the sequence is a lost callback, and so is the missing end of a visit. The two may
    /// be the same callback, so as many ends as can be are taken for holes.
    fn lost(self: Box<Self>) -> Option<Lost> {
        let Self { arrived, mut lost } = *self;
        let (first, last) = (*arrived.first()?, *arrived.last()?);
        let missing = (last - first).saturating_add(1) - arrived.len() as u64;
        let mut holes = BTreeMap::new();
        let mut previous = first;
        for sequence in arrived {
            if sequence - previous > 1 {
                holes.insert(previous + 1, sequence - 1);
            }
            previous = sequence;
        }
        // The end with the least choice chooses first.
        lost.sort_unstable_by_key(|(from, to)| (*to, *from));
        let unexplained = lost.iter().filter(|(from, to)| !fill(&mut holes, *from, *to));
        Some(Lost { first, last, missing: missing.saturating_add(unexplained.count() as u64) })
    }
}

/// Takes the lowest sequence between two from the holes, each of which is kept as its first and last
/// sequence. Whether there is one.
fn fill(holes: &mut BTreeMap<u64, u64>, from: u64, to: u64) -> bool {
    let around = holes.range(..=from).next_back().filter(|(_, last)| **last > from);
    let hole = around.or_else(|| holes.range(from.saturating_add(1)..).next());
    let Some((&first, &last)) = hole else { return false };
    let taken = first.max(from.saturating_add(1));
    if taken >= to {
        return false;
    }
    holes.remove(&first);
    if first < taken {
        holes.insert(first, taken - 1);
    }
    if taken < last {
        holes.insert(taken + 1, last);
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{LeaveReason, Order, Role, UnixMillis};

    fn mark(kind: Kind, session: u64, sequence: u64) -> Mark {
        let time = UnixMillis(session);
        Mark {
            order: Order { time, session: session.to_string().parse().ok(), sequence },
            kind,
            at: time,
            role: Role(2),
            reason: LeaveReason::Unspecified,
        }
    }

    /// What arrived of a person in an ended life: kind, session and sequence of each mark.
    type Seat<'a> = &'a [(Kind, u64, u64)];

    fn ended(seats: &[Seat<'_>]) -> Lost {
        let mut changes = Box::<Changes>::default();
        for seat in seats {
            let marks: Vec<Mark> = seat.iter().map(|(k, s, q)| mark(*k, *s, *q)).collect();
            changes.seat_of_ended_life(&marks);
        }
        changes.lost().unwrap()
    }

    #[test]
    fn an_end_that_is_missing_is_taken_for_a_hole_where_it_can_be_one() {
        use Kind::{Enter, Leave};

        let cases: [(&[Seat<'_>], u64); 8] = [
            (&[&[(Enter, 1, 1), (Leave, 1, 2)]], 0),
            (&[&[(Enter, 1, 1)]], 1),
            (&[&[(Enter, 1, 1)], &[(Enter, 2, 2), (Leave, 2, 4)]], 1),
            // The hole comes before the login whose logout is missing.
            (&[&[(Enter, 1, 1), (Leave, 1, 3)], &[(Enter, 2, 4)]], 2),
            (&[&[(Leave, 1, 2)]], 1),
            (&[&[(Leave, 1, 2)], &[(Enter, 2, 1), (Leave, 2, 3)]], 1),
            // Both could be the hole at 3, which is but one callback.
            (&[&[(Enter, 1, 1)], &[(Enter, 2, 2), (Leave, 2, 4)], &[(Enter, 3, 5)]], 2),
            (&[&[(Enter, 1, 1), (Enter, 1, 2), (Leave, 1, 3)]], 0),
        ];
        for (seats, missing) in cases {
            assert_eq!(ended(seats).missing, missing, "{seats:?}");
        }
    }

    #[test]
    fn sequences_far_apart_cost_nothing() {
        let lost = ended(&[&[(Kind::Enter, 1, 0), (Kind::Leave, 1, u64::MAX)]]);
        assert_eq!((lost.first, lost.last, lost.missing), (0, u64::MAX, u64::MAX - 2));
    }

    proptest! {
        #[test]
        fn as_much_is_missing_of_an_ended_life_as_was_lost(
            steps in prop::collection::vec(0..4_u64, 1..30),
            lost in prop::collection::vec(any::<bool>(), 60),
        ) {
            let (mut seats, mut inside) = ([const { Vec::new() }; 4], [None; 4]);
            let mut sequence = 0;
            let mut total = 0;
            let mut happens = |user: usize, kind, session| {
                sequence += 1;
                if lost[usize::try_from(sequence).unwrap() % 60] {
                    total += 1;
                } else {
                    seats[user].push(mark(kind, session, sequence));
                }
            };
            for (session, user) in steps.iter().enumerate() {
                let index = usize::try_from(*user).unwrap();
                if let Some(session) = inside[index].take() {
                    happens(index, Kind::Leave, session);
                } else {
                    happens(index, Kind::Enter, session as u64);
                    inside[index] = Some(session as u64);
                }
            }
            for (user, session) in inside.into_iter().enumerate() {
                if let Some(session) = session {
                    happens(user, Kind::Leave, session);
                }
            }
            // The first and the last callback arrive, so every loss leaves a trace.
            let mut first_and_last = vec![mark(Kind::Enter, 99, 0)];
            sequence += 1;
            first_and_last.push(mark(Kind::Leave, 99, sequence));
            let mut changes = Box::<Changes>::default();
            for seat in seats.iter_mut().chain([&mut first_and_last]) {
                seat.sort();
                changes.seat_of_ended_life(seat);
            }
            prop_assert_eq!(changes.lost().unwrap().missing, total);
        }
    }
}
