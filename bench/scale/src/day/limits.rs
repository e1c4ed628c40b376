//! How many people it takes until a limit is hit for the first time, by search.

use super::{
    people::People,
    play,
    stack::{Limit, Stack},
};

/// The search begins with so few people, and ends with so many.
const FEW: f64 = 1_000.0;
const MANY: f64 = 1e8;

/// How far the number that is found may be from the right one.
const PRECISION: f64 = 1.002;

/// With how many people a limit is hit on a day, if there is no other; `None` if with none that are
/// worth a search.
pub(crate) fn people(stack: &Stack, limit: Limit) -> Option<People> {
    let only = stack.only(limit);
    let is_hit = |people: f64| play::hits(&only, People(people))[limit as usize] > 0;
    let (mut without, mut with) = (FEW, 2.0 * FEW);
    while !is_hit(with) {
        (without, with) = (with, 2.0 * with);
        if with > MANY {
            return None;
        }
    }
    while with / without > PRECISION {
        let middle = (without * with).sqrt();
        if is_hit(middle) {
            with = middle;
        } else {
            without = middle;
        }
    }
    Some(People(with))
}

/// All limits, in the order in which they are hit.
pub(crate) fn in_order(stack: &Stack) -> Vec<(Limit, Option<People>)> {
    let mut all: Vec<_> =
        Limit::ALL.into_iter().map(|limit| (limit, people(stack, limit))).collect();
    all.sort_by(|(_, a), (_, b)| {
        let of = |people: &Option<People>| people.map_or(f64::INFINITY, |people| people.0);
        of(a).total_cmp(&of(b))
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(stack: &Stack, limit: Limit) -> f64 {
        people(stack, limit).unwrap().0
    }

    /// By hand: four shards take 2,000 leaves a second, which is a room of 120,000, and half of all people
    /// are in it.
    #[test]
    fn four_shards_are_enough_for_240_000_people() {
        let stack = Stack::by_default();
        assert!((found(&stack, Limit::RoomShards) / 240_000.0 - 1.0).abs() < 0.003);
        let more = Stack { room_shards: 64.0, ..stack };
        assert!((found(&more, Limit::RoomShards) / 3_840_000.0 - 1.0).abs() < 0.003);
    }

    /// By hand: a callback that finds no instance starts one, for 0.164 s. A thousand of them may start at
    /// once, so 6,098 people a second, or a room of 366,000.
    #[test]
    fn a_thousand_instances_are_enough_for_732_000_people() {
        let people = found(&Stack::by_default(), Limit::Starts);
        assert!((people / 732_000.0 - 1.0).abs() < 0.02, "{people}");
    }

    #[test]
    fn what_is_not_limited_is_never_hit() {
        assert!(people(&Stack::by_default(), Limit::Route).is_none());
    }
}
