//! How many changes of a room's list never arrived: ZEGO counts every login and logout of a room's
//! life in `user_update_seq`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Kind, Mark};

/// The changes of one life of a room that arrived, as the marks of all its seats tell of them.
#[derive(Debug, Default)]
pub struct Changes {
    arrived: BTreeSet<u64>,
    /// Logins and logouts that cannot but have happened: the sequences between which each must be.
    lost: Vec<(u64, u64)>,
}

/// What of the changes of a room's life has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The lowest sequence that arrived.
    pub first: u64,
    /// The highest sequence that arrived.
    pub last: u64,
    /// The least number of callbacks whose loss explains what arrived.
    pub missing: u64,
}

impl Changes {
    /// Takes the marks of one seat, in their order.
    pub fn seat(&mut self, marks: &[Mark]) {
        self.arrived.extend(marks.iter().map(|mark| mark.order.sequence));
    }

    /// Takes the marks of one seat of a life that has ended, in their order: whoever came has left,
    /// and whoever left had come.
    pub fn seat_of_ended_life(&mut self, marks: &[Mark]) {
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

    /// What arrived, and how much did not; `None` if nothing arrived.
    ///
    /// A hole in the sequence is a lost callback, and so is the missing end of a visit. The two may
    /// be the same callback, so as many ends as can be are taken for holes.
    #[must_use]
    pub fn lost(mut self) -> Option<Lost> {
        let (first, last) = (*self.arrived.first()?, *self.arrived.last()?);
        let missing = (last - first).saturating_add(1) - self.arrived.len() as u64;
        let mut holes = BTreeMap::new();
        let mut previous = first;
        for sequence in self.arrived {
            if sequence - previous > 1 {
                holes.insert(previous + 1, sequence - 1);
            }
            previous = sequence;
        }
        // Whoever has the least choice chooses first.
        self.lost.sort_unstable_by_key(|(from, to)| (*to, *from));
        let unexplained = self.lost.iter().filter(|(from, to)| !fill(&mut holes, *from, *to));
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
