//! Derives visits from the marks on a seat.

use crate::{
    domain::{
        Beginning, By, EndRule, Ending, Kind, Mark, MarkRule, Moved, UnixMillis, Verdicts, Visit,
    },
    providers::rules,
};

/// Derives the visits to one seat from its marks, which have to come in their order.
///
/// The newest session is the one of the newest mark, by `login_time` and `session_id`. Within a
/// session the higher `user_update_seq` decides, so that a relogin may keep its session. The person
/// is in if the newest mark is a login and no logout of that session has its sequence or a higher
/// one. In every older session they are out, whether or not its logout arrived.
///
/// A session ends at the latest when the next one begins, and within a session a stay begins no
/// earlier than the one before it ended: a person who logs in again may keep their `login_time`.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// The marks of the session that the last mark belongs to.
    session: Vec<Mark>,
    /// How many visits the sessions before it had.
    completed: usize,
    verdicts: Verdicts,
}

impl rules::Visits for Visits {
    fn push(&mut self, mark: Mark) -> Vec<Visit> {
        let is_same = |last: &Mark| last.order.session == mark.order.session;
        let mut visits = Vec::new();
        if !self.session.last().is_none_or(is_same) {
            visits = self.complete(Some(&mark));
        }
        self.session.push(mark);
        visits
    }

    fn finish(&mut self) -> Vec<Visit> {
        self.complete(None)
    }

    fn verdicts(&mut self) -> &mut Verdicts {
        &mut self.verdicts
    }
}

impl Visits {
    /// The visits of the session, which is over if there is a mark of the next one.
    fn complete(&mut self, next: Option<&Mark>) -> Vec<Visit> {
        let session = std::mem::take(&mut self.session);
        let mut rules = self.verdicts.are_asked().then(Vec::new);
        let mut visits = walk(&session, &mut rules);
        let newest = session.last().filter(|newest| newest.kind == Kind::Leave);
        if let Some(next) = next {
            supersede(&mut visits, next);
        } else if let (Some(newest), Some(last)) = (newest, visits.last_mut()) {
            // The newest mark is a logout, though a login of an earlier time has a higher sequence.
            // The provider contradicts itself; the newest mark speaks, as it does in the index.
            if last.ending.is_none() {
                last.end(left(newest), EndRule::LeftByNewest, None);
            }
        }
        separate(&mut visits);
        for (mark, number, rule) in rules.into_iter().flatten() {
            self.verdicts.give(mark, self.completed + number, settled(rule, &visits[number]));
        }
        self.completed += visits.len();
        visits
    }
}

/// Ends a session when the next one begins.
fn supersede(visits: &mut [Visit], next: &Mark) {
    let (at, by) = (next.order.time, next.order.session.clone().map(By::Session));
    if let Some(last) = visits.last_mut().filter(|last| last.ending.is_none()) {
        last.end(Ending::Superseded { at }, EndRule::Superseded, by.clone());
    }
    for visit in visits {
        if let Some(ending) = visit.ending {
            visit.move_end(ending.at().min(at), Moved::ToNextSession, by.as_ref());
        }
    }
}

/// Lets no stay of a session begin before the one before it ended, nor end before it began: two
/// servers' clocks may differ.
fn separate(visits: &mut [Visit]) {
    let mut free_from = UnixMillis(0);
    for visit in visits {
        let began = visit.place();
        if began < free_from {
            visit.beginning = Beginning::Assumed(free_from);
        }
        let began = began.max(free_from);
        if let Some(ending) = visit.ending {
            visit.move_end(ending.at().max(began), Moved::ToBeginning, None);
        }
        free_from = visit.ending.map_or(began, Ending::at);
    }
}

/// What became of a mark, now that its visit is known.
fn settled(rule: MarkRule, visit: &Visit) -> MarkRule {
    let end = visit.because.as_ref().map(|because| because.rule);
    match rule {
        MarkRule::Begins if end == Some(EndRule::LeftByNewest) => MarkRule::Contradicted,
        MarkRule::Begins if visit.beginning.is_assumed() => MarkRule::BeginsAfterLast,
        MarkRule::EndsUnreported if visit.beginning.is_assumed() => MarkRule::EndsAfterLast,
        rule => rule,
    }
}

/// The visits of one session, by the provider's sequence. Only the last one can be open. If it is
/// asked for, each mark is noted with the number of its visit and what it does there.
fn walk<'a>(
    session: &'a [Mark],
    rules: &mut Option<Vec<(&'a Mark, usize, MarkRule)>>,
) -> Vec<Visit> {
    let mut marks: Vec<&Mark> = session.iter().collect();
    marks.sort_by_key(|mark| (mark.order.sequence, mark.kind, *mark));
    let mut visits = Vec::<Visit>::new();
    for mark in marks {
        let open = visits.last_mut().filter(|visit| visit.ending.is_none());
        let rule = match (open, mark.kind) {
            (Some(visit), Kind::Enter | Kind::Stay) => {
                visit.role = mark.role;
                visit.last_in = mark.at;
                MarkRule::Repeats
            }
            (Some(visit), Kind::Leave) => {
                visit.end(left(mark), EndRule::Left, None);
                MarkRule::Ends
            }
            (None, kind) => {
                let mut visit = Visit {
                    session: mark.order.session.clone(),
                    // A logout whose login was lost still says when the session began.
                    ..Visit::begun(mark, Beginning::Known(mark.order.time))
                };
                let mut rule = MarkRule::Begins;
                if kind == Kind::Leave {
                    visit.end(left(mark), EndRule::Left, None);
                    rule = MarkRule::EndsUnreported;
                }
                visits.push(visit);
                rule
            }
        };
        if let Some(rules) = rules {
            rules.push((mark, visits.len() - 1, rule));
        }
    }
    visits
}

fn left(mark: &Mark) -> Ending {
    Ending::Left { at: mark.at, reason: mark.reason }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{LeaveReason, Order, Role},
        providers::rules::Visits as _,
    };

    fn mark(kind: Kind, time: u64, session: &str, sequence: u64, at: u64) -> Mark {
        let session = Some(session.parse().unwrap());
        Mark {
            order: Order { time: UnixMillis(time), session, sequence },
            kind,
            at: UnixMillis(at),
            role: Role(2),
            reason: LeaveReason::Unspecified,
        }
    }

    fn enter(time: u64, session: &str, sequence: u64) -> Mark {
        mark(Kind::Enter, time, session, sequence, time)
    }

    fn leave(time: u64, session: &str, sequence: u64, at: u64) -> Mark {
        mark(Kind::Leave, time, session, sequence, at)
    }

    fn visits(marks: &[Mark]) -> Vec<Visit> {
        let mut sorted = marks.to_vec();
        sorted.sort();
        let mut visits = Visits::default();
        let mut found: Vec<Visit> = sorted.into_iter().flat_map(|mark| visits.push(mark)).collect();
        found.extend(visits.finish());
        found
    }

    /// Each visit as (entered, left).
    fn stays(marks: &[Mark]) -> Vec<(u64, Option<u64>)> {
        let stay = |visit: Visit| (visit.place().0, visit.ending.map(|ending| ending.at().0));
        visits(marks).into_iter().map(stay).collect()
    }

    #[test]
    fn nobody_was_on_a_seat_without_marks() {
        assert_eq!(stays(&[]), []);
    }

    #[test]
    fn a_visit_lasts_from_login_to_logout() {
        assert_eq!(stays(&[enter(10, "s1", 1)]), [(10, None)]);
        assert_eq!(stays(&[enter(10, "s1", 1), leave(10, "s1", 2, 15)]), [(10, Some(15))]);
        assert_eq!(stays(&[leave(10, "s1", 2, 15)]), [(10, Some(15))], "the login was lost");
    }

    #[test]
    fn a_newer_session_ends_an_older_one_even_when_it_has_ended_too() {
        let lost = [enter(10, "s1", 1), enter(20, "s2", 3), leave(20, "s2", 4, 25)];
        assert_eq!(stays(&lost), [(10, Some(20)), (20, Some(25))]);
        assert!(visits(&lost)[0].ending.unwrap().is_assumed());
    }

    #[test]
    fn within_a_session_the_higher_sequence_speaks() {
        let relogin = [enter(10, "s1", 1), leave(10, "s1", 2, 15), enter(10, "s1", 3)];
        assert_eq!(stays(&relogin), [(10, Some(15)), (15, None)]);
        let late_logout = [enter(10, "s1", 1), enter(20, "s1", 2), leave(10, "s1", 3, 25)];
        assert_eq!(stays(&late_logout), [(10, Some(25))]);
    }

    #[test]
    fn a_login_that_comes_twice_with_two_times_is_one_visit() {
        assert_eq!(stays(&[enter(10, "s1", 1), enter(20, "s1", 2)]), [(10, None)]);
    }

    #[test]
    fn the_newest_mark_speaks_when_the_provider_contradicts_itself() {
        // A logout of the later time has a lower sequence than a login of the earlier one.
        let marks = [enter(10, "s1", 5), leave(20, "s1", 3, 25)];
        assert!(visits(&marks).iter().all(|visit| visit.ending.is_some()));
    }

    #[test]
    fn sessions_of_the_same_millisecond_are_ordered_by_their_number() {
        let marks = [enter(10, "9", 1), enter(10, "10", 2), leave(10, "9", 3, 12)];
        assert_eq!(stays(&marks), [(10, Some(10)), (10, None)]);
    }

    #[test]
    fn a_stay_begins_no_earlier_than_the_one_before_it_in_its_session_ended() {
        let kept = [
            enter(10, "s1", 1),
            leave(10, "s1", 2, 15),
            enter(10, "s1", 3),
            leave(10, "s1", 4, 20),
            enter(30, "s1", 5),
        ];
        assert_eq!(stays(&kept), [(10, Some(15)), (15, Some(20)), (30, None)]);
        let assumed = visits(&kept).into_iter().map(|visit| visit.beginning.is_assumed());
        assert_eq!(assumed.collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn an_older_session_ends_at_the_latest_when_the_newer_begins_and_keeps_its_reason() {
        let marks = [enter(10, "s1", 1), enter(20, "s2", 2), leave(10, "s1", 3, 25)];
        assert_eq!(stays(&marks), [(10, Some(20)), (20, None)]);
        assert!(!visits(&marks)[0].ending.unwrap().is_assumed());
    }

    #[test]
    fn nobody_leaves_before_they_came() {
        assert_eq!(stays(&[enter(10, "s1", 1), leave(10, "s1", 2, 7)]), [(10, Some(10))]);
    }

    proptest! {
        #[test]
        fn stays_on_a_seat_never_overlap(
            marks in prop::collection::vec(
                (any::<bool>(), 0..6_u64, 0..3_u8, 0..8_u64, 0..9_u64).prop_map(
                    |(is_leave, time, session, sequence, at)| {
                        let kind = if is_leave { Kind::Leave } else { Kind::Enter };
                        mark(kind, time, &session.to_string(), sequence, at)
                    },
                ),
                0..12,
            ),
        ) {
            let stays = stays(&marks);
            for (entered, left) in &stays {
                prop_assert!(left.is_none_or(|left| *entered <= left), "{stays:?}");
            }
            for pair in stays.windows(2) {
                prop_assert!(pair[0].1.is_some_and(|left| left <= pair[1].0), "{stays:?}");
            }
        }
    }
}
