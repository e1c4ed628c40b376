//! Spans of time: united, cut, counted.

use crate::domain::UnixMillis;

/// A time during which somebody was present: from its beginning on, until before its end. An empty
/// one begins and ends at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When it began.
    pub from: UnixMillis,
    /// When it ended.
    pub to: UnixMillis,
}

/// How many people were present at one moment, and when that was first so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// How many.
    pub online: usize,
    /// When first.
    pub at: UnixMillis,
}

impl Span {
    /// The part of it that lies in another one, which may be empty.
    #[must_use]
    pub(super) fn within(self, other: Self) -> Self {
        let from = self.from.clamp(other.from, other.to.max(other.from));
        Self { from, to: self.to.min(other.to).max(from) }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.to.0.saturating_sub(self.from.0)
    }

    fn is_empty(self) -> bool {
        self.ms() == 0
    }
}

/// The length of spans that do not overlap, in milliseconds.
pub(super) fn total_ms(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.ms()).sum()
}

/// The time that some spans cover, as spans that neither overlap nor touch nor are empty.
pub(super) fn united(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| !span.is_empty());
    spans.sort_unstable();
    let mut united = Vec::<Span>::with_capacity(spans.len());
    for span in spans {
        match united.last_mut().filter(|last| span.from <= last.to) {
            Some(last) => last.to = last.to.max(span.to),
            None => united.push(span),
        }
    }
    united
}

/// How many people were present at one moment, at most. Each is given by their united spans; `None`
/// if nobody was present for any time.
pub(super) fn peak<'a>(people: impl Iterator<Item = &'a [Span]>) -> Option<Peak> {
    let mut steps: Vec<(UnixMillis, bool)> =
        people.flatten().flat_map(|span| [(span.from, true), (span.to, false)]).collect();
    // At one moment those who leave come first: nobody is present at the end of a span.
    steps.sort_unstable();
    let (mut online, mut peak) = (0, None::<Peak>);
    for (at, comes) in steps {
        if !comes {
            online -= 1;
            continue;
        }
        online += 1;
        if peak.is_none_or(|peak| peak.online < online) {
            peak = Some(Peak { online, at });
        }
    }
    peak
}

/// When somebody of one side and somebody else of the other side were present. Each person is given
/// by the united spans in which they were present on either side.
pub(super) fn together(people: impl IntoIterator<Item = [Vec<Span>; 2]>) -> Vec<Span> {
    // What begins (1) or ends (-1) at a moment: a person on side a, on side b, and on both.
    let mut steps = Vec::<(UnixMillis, [i64; 3])>::new();
    for [a, b] in people {
        let both = common(&a, &b);
        for (side, spans) in [a, b, both].into_iter().enumerate() {
            for Span { from, to } in spans {
                for (at, step) in [(from, 1), (to, -1)] {
                    let mut change = [0; 3];
                    change[side] = step;
                    steps.push((at, change));
                }
            }
        }
    }
    steps.sort_unstable();
    let (mut present, mut spans, mut since) = ([0_i64; 3], Vec::new(), None);
    for moment in steps.chunk_by(|one, other| one.0 == other.0) {
        for (_, change) in moment {
            for (side, step) in change.iter().enumerate() {
                present[side] += step;
            }
        }
        // Nobody is together with themselves.
        let are_together = present[0] > 0 && present[1] > 0 && present != [1, 1, 1];
        let at = moment[0].0;
        match since {
            None if are_together => since = Some(at),
            Some(from) if !are_together => {
                spans.push(Span { from, to: at });
                since = None;
            }
            _ => {}
        }
    }
    spans
}

/// The time that is in both of two lists of united spans.
fn common(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut common, mut rest) = (Vec::new(), b);
    for span in a {
        rest = &rest[rest.iter().take_while(|other| other.to <= span.from).count()..];
        let overlapping = rest.iter().take_while(|other| other.from < span.to);
        common.extend(overlapping.map(|other| span.within(*other)));
    }
    common
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0..30_u64, 0..12_u64), 0..6).prop_map(|spans| {
            let span = |(from, ms)| Span { from: UnixMillis(from), to: UnixMillis(from + ms) };
            spans.into_iter().map(span).collect()
        })
    }

    fn is_in(spans: &[Span], ms: u64) -> bool {
        spans.iter().any(|span| span.from.0 <= ms && ms < span.to.0)
    }

    /// The milliseconds in which something is so.
    fn times(is_so: impl Fn(u64) -> bool) -> BTreeSet<u64> {
        (0..50).filter(|ms| is_so(*ms)).collect()
    }

    proptest! {
        #[test]
        fn united_spans_cover_the_same_time_once(spans in spans()) {
            let united = united(spans.clone());
            prop_assert_eq!(times(|ms| is_in(&united, ms)), times(|ms| is_in(&spans, ms)));
            prop_assert_eq!(total_ms(&united), times(|ms| is_in(&spans, ms)).len() as u64);
            prop_assert!(united.windows(2).all(|two| two[0].to < two[1].from), "{united:?}");
        }

        #[test]
        fn what_is_within_another_span_is_in_both(a in spans(), b in spans()) {
            for (a, b) in a.iter().zip(&b) {
                let within = [a.within(*b)];
                let expected = times(|ms| is_in(&[*a], ms) && is_in(&[*b], ms));
                prop_assert_eq!(times(|ms| is_in(&within, ms)), expected);
            }
        }

        #[test]
        fn the_peak_is_the_most_people_at_one_moment(people in prop::collection::vec(spans(), 0..5)) {
            let people: Vec<_> = people.into_iter().map(united).collect();
            let online = |ms| people.iter().filter(|spans| is_in(spans, ms)).count();
            let most = (0..50).map(online).max().filter(|most| *most > 0);
            let expected = most.map(|most| {
                let at = (0..50).find(|ms| online(*ms) == most).unwrap();
                Peak { online: most, at: UnixMillis(at) }
            });
            prop_assert_eq!(peak(people.iter().map(Vec::as_slice)), expected);
        }

        #[test]
        fn two_sides_are_together_when_two_people_of_them_are_present(
            people in prop::collection::vec((spans(), spans()), 0..4),
        ) {
            let people: Vec<_> =
                people.into_iter().map(|(a, b)| [united(a), united(b)]).collect();
            let are_together = |ms| {
                let numbers = || 0..people.len();
                numbers().any(|p| numbers().any(|q| {
                    p != q && is_in(&people[p][0], ms) && is_in(&people[q][1], ms)
                }))
            };
            let found = together(people.clone());
            prop_assert_eq!(times(|ms| is_in(&found, ms)), times(are_together));
            prop_assert!(found.windows(2).all(|two| two[0].to < two[1].from), "{found:?}");
        }
    }
}
