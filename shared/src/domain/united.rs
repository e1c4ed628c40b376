//! The stays of one person in one room whom two tracks report: what they report of the same time is
//! one stay.

use std::cmp::Reverse;

use super::{Beginning, Ending, Role, Track, UnixMillis, Visit};

/// A stay, by all tracks that reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitedStay {
    /// From when to when.
    pub visit: Visit,
    /// The visits that it is made of, in the order of their beginnings.
    pub parts: Vec<Part>,
}

/// A visit by one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Which track reported it.
    pub track: Track,
    /// Its number among the visits of that track, from 0.
    pub number: usize,
}

/// Visits that belong together.
struct Group {
    parts: Vec<Part>,
    visits: Vec<Visit>,
}

impl UnitedStay {
    /// Whether both tracks reported it.
    #[must_use]
    pub fn is_of_both(&self) -> bool {
        Track::ALL.iter().all(|track| self.parts.iter().any(|part| part.track == *track))
    }
}

/// The stays of one person in one room, the oldest first. Visits of different tracks that overlap or
/// touch are one stay. It begins with the earliest of them, and ends as the one that ends last.
///
/// `visits` are the visits that each track shows, whose ends are decided. Those of one track do not
/// overlap, and come oldest first.
#[must_use]
pub fn united(visits: impl IntoIterator<Item = (Track, Visit)>) -> Vec<UnitedStay> {
    let mut numbers = Track::ALL.map(|track| (track, 0..));
    let mut visits: Vec<(Part, Visit)> = visits
        .into_iter()
        .filter_map(|(track, visit)| {
            let (_, numbers) = numbers.iter_mut().find(|(of, _)| *of == track)?;
            Some((Part { track, number: numbers.next()? }, visit))
        })
        .collect();
    visits.sort_by_key(|(part, visit)| (visit.place(), *part));
    let mut groups = Vec::<Group>::new();
    for (part, visit) in visits {
        let is_touched = |group: &Group| {
            let mut members = group.parts.iter().zip(&group.visits);
            members.any(|(other, before)| other.track != part.track && end(before) >= visit.place())
        };
        // What ended before cannot be touched by anything that comes later.
        let first = groups.iter().rposition(|group| !is_touched(group)).map_or(0, |last| last + 1);
        let mut group = Group { parts: Vec::new(), visits: Vec::new() };
        for before in groups.drain(first..) {
            group.parts.extend(before.parts);
            group.visits.extend(before.visits);
        }
        group.parts.push(part);
        group.visits.push(visit);
        groups.push(group);
    }
    groups.into_iter().filter_map(Group::stay).collect()
}

/// When a visit ended; the end of time while it lasts.
fn end(visit: &Visit) -> UnixMillis {
    visit.ending.map_or(UnixMillis(u64::MAX), Ending::at)
}

impl Group {
    fn stay(self) -> Option<UnitedStay> {
        let Self { parts, visits } = self;
        let known = visits.iter().filter(|visit| visit.beginning.at().is_some());
        // At one moment a beginning that was reported comes first.
        let first = known.min_by_key(|visit| (visit.place(), visit.beginning.is_assumed()));
        // An end that was reported comes before one that was inferred, and the media track's before
        // the other's.
        let order = |(part, visit): &(&Part, &Visit)| {
            let is_reported = visit.ending.is_some_and(|ending| !ending.is_assumed());
            (end(visit), is_reported, Reverse(part.track), visit.place())
        };
        let (_, last) = parts.iter().zip(&visits).max_by_key(order)?;
        let role = visits
            .iter()
            .filter(|visit| visit.role != Role::default())
            .max_by_key(|visit| (end(visit), visit.place()))
            .map_or(Role::default(), |visit| visit.role);
        let visit = Visit {
            beginning: first.map_or(Beginning::Unknown, |first| first.beginning),
            role,
            last_in: visits.iter().map(|visit| visit.last_in).max().unwrap_or(last.last_in),
            ..last.clone()
        };
        Some(UnitedStay { visit, parts })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::LeaveReason;

    fn visit(from: Option<u64>, to: Option<u64>) -> Visit {
        let beginning = from.map_or(Beginning::Unknown, |from| Beginning::Known(UnixMillis(from)));
        let ending = to.map(|to| Ending::Left { at: UnixMillis(to), reason: LeaveReason::Normal });
        Visit {
            session: None,
            role: Role::default(),
            beginning,
            last_in: UnixMillis(from.or(to).unwrap()),
            ending,
            because: None,
            spared_at: None,
        }
    }

    fn stays(media: &[Visit], engine: &[Visit]) -> Vec<(Option<u64>, Option<u64>)> {
        let of = |track, visits: &[Visit]| {
            visits.iter().map(move |visit| (track, visit.clone())).collect::<Vec<_>>()
        };
        let all = of(Track::Media, media).into_iter().chain(of(Track::RoomEngine, engine));
        let stay = |stay: UnitedStay| {
            let visit = stay.visit;
            (visit.beginning.at().map(|at| at.0), visit.ending.map(|end| end.at().0))
        };
        united(all).into_iter().map(stay).collect()
    }

    #[test]
    fn what_overlaps_or_touches_is_one_stay_and_what_one_track_says_twice_stays_two() {
        let v = |from, to| visit(Some(from), Some(to));
        let open = |from| visit(Some(from), None);
        for (media, engine, expected) in [
            (vec![], vec![], vec![]),
            (vec![v(0, 5), v(5, 9)], vec![], vec![(Some(0), Some(5)), (Some(5), Some(9))]),
            (vec![v(1, 9)], vec![v(0, 10)], vec![(Some(0), Some(10))]),
            (vec![v(0, 5)], vec![v(5, 9)], vec![(Some(0), Some(9))]),
            (vec![v(0, 5)], vec![v(6, 9)], vec![(Some(0), Some(5)), (Some(6), Some(9))]),
            (vec![v(0, 5), v(7, 9)], vec![v(4, 8)], vec![(Some(0), Some(9))]),
            (vec![v(0, 5), open(7)], vec![v(1, 2)], vec![(Some(0), Some(5)), (Some(7), None)]),
            (vec![open(7)], vec![v(1, 8)], vec![(Some(1), None)]),
            (vec![v(0, 5), v(5, 9)], vec![v(6, 7)], vec![(Some(0), Some(5)), (Some(5), Some(9))]),
            (vec![v(0, 5), v(5, 9)], vec![v(5, 7)], vec![(Some(0), Some(9))]),
            // Of one of them only the end is known.
            (vec![visit(None, Some(5))], vec![v(0, 9)], vec![(Some(0), Some(9))]),
            (vec![visit(None, Some(5))], vec![v(5, 9)], vec![(Some(5), Some(9))]),
            (vec![visit(None, Some(5))], vec![v(6, 9)], vec![(None, Some(5)), (Some(6), Some(9))]),
            (vec![visit(None, Some(5))], vec![visit(None, Some(5))], vec![(None, Some(5))]),
        ] {
            assert_eq!(stays(&media, &engine), expected, "{media:?} {engine:?}");
        }
    }

    #[test]
    fn the_end_that_comes_last_says_why_and_the_role_is_the_one_that_was_named() {
        let left = |at, reason| Some(Ending::Left { at: UnixMillis(at), reason });
        let media = Visit { role: Role(2), ..visit(Some(1), Some(8)) };
        let engine = Visit { ending: left(9, LeaveReason::Kicked), ..visit(Some(0), None) };
        let both = |media: &Visit, engine: &Visit| {
            let all = [(Track::RoomEngine, engine.clone()), (Track::Media, media.clone())];
            let [stay] = &united(all)[..] else { panic!("one stay") };
            assert!(stay.is_of_both());
            stay.visit.clone()
        };
        let stay = both(&media, &engine);
        assert_eq!((stay.role, stay.ending), (Role(2), left(9, LeaveReason::Kicked)));
        // An end that was inferred says nothing if another one was reported at that moment.
        let replaced = Ending::RoomReplaced { at: UnixMillis(9) };
        let media = Visit { ending: Some(replaced), ..media };
        assert_eq!(both(&media, &engine).ending, left(9, LeaveReason::Kicked));
        let closed = Ending::RoomClosed { at: UnixMillis(9) };
        let engine = Visit { ending: Some(closed), ..engine };
        assert_eq!(both(&media, &engine).ending, Some(replaced));
        let assumed = Visit { beginning: Beginning::Assumed(UnixMillis(0)), ..media };
        assert_eq!(both(&assumed, &engine).beginning, Beginning::Known(UnixMillis(0)));
    }

    /// Visits of one track: they do not overlap.
    fn of_one_track() -> impl Strategy<Value = Vec<Visit>> {
        let gaps = prop::collection::vec((0..4_u64, 0..4_u64, 0..8_u8), 0..6);
        (gaps, any::<bool>()).prop_map(|(gaps, is_open)| {
            let (mut at, mut visits) = (0, Vec::new());
            for (pause, length, how) in gaps {
                let from = at + pause;
                at = from + length;
                visits.push(visit((how > 0).then_some(from), Some(at)));
            }
            if let Some(last) = visits.last_mut().filter(|_| is_open) {
                *last = visit(Some(last.place().0), None);
            }
            visits
        })
    }

    fn covered(visits: &[Visit]) -> BTreeSet<u64> {
        let is_in = |ms: &u64| {
            let at = UnixMillis(*ms);
            visits.iter().any(|visit| visit.place() <= at && at < end(visit))
        };
        (0..60).filter(is_in).collect()
    }

    proptest! {
        #[test]
        fn united_stays_cover_the_same_time_once(media in of_one_track(), engine in of_one_track()) {
            let all: Vec<(Track, Visit)> = [(Track::Media, &media), (Track::RoomEngine, &engine)]
                .into_iter()
                .flat_map(|(track, visits)| visits.iter().map(move |visit| (track, visit.clone())))
                .collect();
            let stays = united(all.clone());
            let visits: Vec<Visit> = stays.iter().map(|stay| stay.visit.clone()).collect();
            let sent: Vec<Visit> = all.iter().map(|(_, visit)| visit.clone()).collect();
            prop_assert_eq!(covered(&visits), covered(&sent));
            for two in visits.windows(2) {
                prop_assert!(end(&two[0]) <= two[1].place(), "{two:?}");
            }
            // Each visit is a part of one stay.
            let mut parts: Vec<Part> = stays.iter().flat_map(|stay| stay.parts.clone()).collect();
            parts.sort();
            let mut expected: Vec<Part> =
                (0..media.len()).map(|number| Part { track: Track::Media, number }).collect();
            expected.extend(
                (0..engine.len()).map(|number| Part { track: Track::RoomEngine, number }),
            );
            prop_assert_eq!(parts, expected);
            // What only one track says is as it says it.
            for stay in stays.iter().filter(|stay| stay.parts.len() == 1) {
                let part = stay.parts[0];
                let own = if part.track.is_media() { &media } else { &engine };
                prop_assert_eq!(&stay.visit, &own[part.number]);
            }
            // Visits of two tracks that overlap or touch are in one.
            for (number, one) in media.iter().enumerate() {
                for (other_number, other) in engine.iter().enumerate() {
                    let do_touch = one.place() <= end(other) && other.place() <= end(one);
                    let pair = [
                        Part { track: Track::Media, number },
                        Part { track: Track::RoomEngine, number: other_number },
                    ];
                    let holds = |stay: &UnitedStay| pair.iter().all(|part| stay.parts.contains(part));
                    prop_assert!(!do_touch || stays.iter().any(holds), "{pair:?} {stays:?}");
                }
            }
        }
    }
}
