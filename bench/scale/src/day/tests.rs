//! What is true of each day.

use super::{
    people::{Counts, DAY, Kind, OUTAGE, People, Sender},
    play::{Played, limits, play},
    second::{Phase, Second},
    stack::{Limit, Stack},
};

fn total(counts: &Counts) -> f64 {
    counts.iter().sum()
}

fn lost(stack: &Stack, people: f64) -> f64 {
    total(&limits(stack, People(people)).lost)
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1.0)
}

/// Every callback is stored at once, or drained from the queue, or still there, or lost, or will be sent
/// again; and every attempt is stored, queued or refused.
fn nothing_is_missing(played: &Played) {
    let day = Second::sum(&played.seconds);
    assert_eq!(played.seconds.len(), DAY);
    assert!(is_same(day.callbacks, total(&played.callbacks)));
    let known = day.stored + day.queued + total(&played.lost) + total(&played.after_midnight);
    assert!(is_same(day.callbacks, known), "{day:?} {known}");
    assert!(is_same(day.attempts(), day.stored + day.queued + day.refused), "{day:?}");
    assert!(is_same(day.refused, day.again + total(&played.lost) + total(&played.after_midnight)));
    assert!(day.drained <= day.queued * (1.0 + 1e-6), "{day:?}");
    assert!(is_same(total(&played.lost), day.lost), "{day:?}");
    let mut waiting = 0.0;
    for second in &played.seconds {
        waiting += second.queued - second.drained;
        assert!(waiting > -1e-3 * day.queued.max(1.0), "drained before it was queued: {waiting}");
    }
}

#[test]
fn every_callback_is_stored_drained_waiting_or_lost() {
    for stack in [Stack::by_default(), Stack::prepared()] {
        for people in [10_000.0, 300_000.0, 1_000_000.0, 1_500_000.0] {
            let played = play(&stack, People(people));
            nothing_is_missing(&played);
        }
    }
}

/// What the queue takes in the outage is all that comes, but for those that find no function in its first
/// seconds; and the drain stores all of it.
#[test]
fn an_outage_loses_nothing_that_gets_to_the_queue() {
    for stack in [Stack::by_default(), Stack::prepared()] {
        let played = play(&stack, People(1_000_000.0));
        let outage = played.of(Phase::Outage);
        assert!(outage.stored == 0.0);
        assert!(is_same(outage.attempts(), outage.queued + outage.refused), "{outage:?}");
        let later = Second::sum(&played.seconds[OUTAGE.start + 3..OUTAGE.end]);
        assert!(later.refused == 0.0, "{later:?}");
        let (end, _) = played.drains.ends[0];
        let drained = Second::sum(&played.seconds[OUTAGE.start..end]).drained;
        assert!(is_same(drained, outage.queued), "{drained} of {outage:?}");
    }
}

/// A room in which nobody is too many for anything: each callback is stored at once.
#[test]
fn a_small_day_stores_everything_but_the_outage_at_once() {
    let played = play(&Stack::by_default(), People(10_000.0));
    let day = Second::sum(&played.seconds);
    assert!(day.refused < 1e-6, "{day:?}");
    assert!(is_same(day.queued, played.of(Phase::Outage).callbacks));
    assert!(is_same(day.drained, day.queued));
}

#[test]
fn more_people_never_lose_fewer_callbacks() {
    for stack in [Stack::by_default(), Stack::prepared()] {
        let mut before = 0.0;
        for step in 1..=20 {
            let now = lost(&stack, 200_000.0 * f64::from(step));
            assert!(now >= before * (1.0 - 1e-3) - 1.0, "{step}: {now} after {before}");
            before = now;
        }
    }
}

/// The table and the index are warmed together. A warm index lets through what a table that is not warm
/// then throttles, and that is everybody's: so the index alone may cost a few callbacks of others.
#[test]
fn a_raised_limit_never_loses_more() {
    let (default, prepared) = (Stack::by_default(), Stack::prepared());
    let raises: [fn(Stack, Stack) -> Stack; 5] = [
        |a, b| Stack { gateway_rate: b.gateway_rate, gateway_burst: b.gateway_burst, ..a },
        |a, b| Stack { concurrency: b.concurrency, ..a },
        |a, b| Stack { room_shards: b.room_shards, ..a },
        |a, b| Stack { warm_table: b.warm_table, warm_index: b.warm_index, ..a },
        |_, b| b,
    ];
    for step in 1..=12 {
        let people = 250_000.0 * f64::from(step);
        let before = lost(&default, people);
        for (number, raise) in raises.iter().enumerate() {
            let after = lost(&raise(default, prepared), people);
            assert!(after <= before * (1.0 + 1e-3) + 1.0, "{number} {people}: {after}, {before}");
        }
    }
}

/// The checklist in docs/operations.md is enough for a million people: nothing is throttled by the table,
/// and nothing is lost.
#[test]
fn a_prepared_stack_loses_nothing() {
    let played = play(&Stack::prepared(), People(1_000_000.0));
    assert!(total(&played.lost) < 0.5, "{:?}", played.lost);
    for limit in Limit::ALL.into_iter().filter(|limit| *limit != Limit::Starts) {
        assert_eq!(played.hit[limit as usize], 0, "{limit:?}");
    }
    let outside: f64 = Phase::ALL
        .into_iter()
        .filter(|phase| *phase != Phase::Outage)
        .map(|phase| played.of(phase).queued)
        .sum();
    assert!(outside == 0.0, "{outside}");
}

/// A limit of a route costs what docs/operations.md says: ZEGO's and TRTC's callbacks are sent again,
/// and those of OpenIM and Chat are lost.
#[test]
fn what_a_route_refuses_is_lost_if_it_is_not_sent_again() {
    let stack = Stack { route_rate: 40.0, ..Stack::prepared() };
    let played = play(&stack, People(1_000_000.0));
    nothing_is_missing(&played);
    assert!(played.hit[Limit::Route as usize] > 0);

    // By hand, if a route takes nothing at all: ZEGO sends each callback five more times, TRTC six more
    // times, and all are lost but those that would be sent again after midnight.
    let nothing = Stack { route_rate: 0.0, ..stack };
    let played = limits(&nothing, People(10_000.0));
    nothing_is_missing(&played);
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let sent_again = match kind.sender() {
            Sender::Zego => 5.0,
            Sender::Trtc => 6.0,
            Sender::OpenIm | Sender::Chat => 0.0,
        };
        let callbacks = played.callbacks[number];
        let waiting = played.after_midnight[number];
        assert!(is_same(played.lost[number], callbacks - waiting), "{kind:?}");
        let fewer = callbacks * sent_again - played.again[number];
        assert!((0.0..=waiting * sent_again + 1e-6).contains(&fewer.max(0.0)), "{kind:?}: {fewer}");
        assert!(fewer > -1e-6 * callbacks, "{kind:?}: {fewer}");
    }
}
