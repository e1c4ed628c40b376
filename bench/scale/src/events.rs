//! What happens in virtual time, in its order.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// Things that will happen. What is due at the same time happens in the order in which it was added.
#[derive(Debug)]
pub(crate) struct Events<E> {
    due: BinaryHeap<Reverse<(Duration, u64, E)>>,
    added: u64,
}

impl<E: Ord> Events<E> {
    pub(crate) fn new() -> Self {
        Self { due: BinaryHeap::new(), added: 0 }
    }

    pub(crate) fn add(&mut self, at: Duration, event: E) {
        self.added += 1;
        self.due.push(Reverse((at, self.added, event)));
    }

    pub(crate) fn next(&mut self) -> Option<(Duration, E)> {
        self.due.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
