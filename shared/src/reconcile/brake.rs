//! The brake: a pass that would end many stays is only remembered, and the same answer in a later
//! pass carries it out.
//!
//! A provider's API may be wrong as a whole: it answers for another region, or for an app that was
//! set up anew. Then it says of everybody that they are out. A wrong answer seldom comes twice, and
//! with the brake it ends few stays at most.

use std::time::Duration;

use crate::domain::UnixMillis;

/// How many stays of one room a pass may end at once, however few the room has.
const OF_A_ROOM: usize = 10;

/// One in so many stays of a room may end at once.
const PART_OF_A_ROOM: usize = 5;

/// How many stays a pass over an app may end, however few it has looked at.
const OF_AN_APP: usize = 50;

/// One in so many of the stays that a pass over an app has looked at may end.
const PART_OF_AN_APP: usize = 20;

/// How much later the same answer has to come, at least.
pub const CONFIRMED_AFTER: Duration = Duration::from_secs(30);

/// What a provider's answer about a room would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// How many stays the record has in the room.
    pub stays: usize,
    /// How many of them would end.
    pub ends: usize,
    /// Whether the provider knows the room.
    pub room: RoomIs,
    /// Who would be in and out, and what the record knew of the room.
    pub fingerprint: Fingerprint,
}

/// Whether a provider knows a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomIs {
    /// It does.
    Known,
    /// It says that there is no such room. A mistyped app would get the same answer.
    Unknown,
}

/// A digest of an answer and of what the record knew of the room. If an event of the room comes
/// between two passes, the record knows something else, and so the digests differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// What a pass over an app has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many stays it has looked at.
    pub looked_at: usize,
    /// How many of them it has ended without having been confirmed.
    pub ended: usize,
}

/// An answer that the brake has held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// When it came first.
    pub at: UnixMillis,
    /// What it was.
    pub fingerprint: Fingerprint,
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It changes little: store it.
    Store,
    /// It changes much, and a pass before found the same: store it.
    Confirmed,
    /// It changes much: remember it, and store nothing.
    Remember,
    /// It is remembered, and not for long enough: store nothing.
    Wait,
}

impl Decision {
    /// Whether the brake holds the answer up.
    #[must_use]
    pub fn is_braked(self) -> bool {
        matches!(self, Self::Remember | Self::Wait)
    }
}

impl Tally {
    /// Whether a pass over an app may end so many more stays.
    #[must_use]
    pub fn may_end(self, more: usize) -> bool {
        self.ended + more <= OF_AN_APP.max(self.looked_at / PART_OF_AN_APP)
    }
}

/// Decides what to do with an answer about a room. `tally` is of the pass over the app, this room's
/// stays among those that it has looked at; `None` if only this room is asked about.
#[must_use]
pub fn decide(
    answer: &Answer,
    tally: Option<Tally>,
    remembered: Option<Remembered>,
    now: UnixMillis,
) -> Decision {
    let is_much = answer.ends > OF_A_ROOM.max(answer.stays / PART_OF_A_ROOM)
        || answer.room == RoomIs::Unknown
        || tally.is_some_and(|tally| !tally.may_end(answer.ends));
    if answer.ends == 0 || !is_much {
        return Decision::Store;
    }
    match remembered.filter(|remembered| remembered.fingerprint == answer.fingerprint) {
        Some(same) if same.at.after(CONFIRMED_AFTER) <= now => Decision::Confirmed,
        Some(_) => Decision::Wait,
        None => Decision::Remember,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn answer(stays: usize, ends: usize) -> Answer {
        Answer { stays, ends, room: RoomIs::Known, fingerprint: Fingerprint([7; 32]) }
    }

    fn remembered(ago: Duration) -> Remembered {
        Remembered { at: NOW.before(ago), fingerprint: Fingerprint([7; 32]) }
    }

    #[test]
    fn ten_stays_of_a_room_or_a_fifth_of_them_end_at_once() {
        for (stays, ends, decision) in [
            (3, 3, Decision::Store),
            (10, 10, Decision::Store),
            (11, 11, Decision::Remember),
            (50, 10, Decision::Store),
            (50, 11, Decision::Remember),
            (1000, 200, Decision::Store),
            (1000, 201, Decision::Remember),
        ] {
            assert_eq!(
                decide(&answer(stays, ends), None, None, NOW),
                decision,
                "{ends} of {stays}"
            );
        }
    }

    #[test]
    fn fifty_stays_of_an_app_or_a_twentieth_of_them_end_in_one_pass() {
        for (looked_at, ended, ends, decision) in [
            (60, 49, 1, Decision::Store),
            (60, 49, 2, Decision::Remember),
            (60, 50, 0, Decision::Store),
            (10_000, 495, 5, Decision::Store),
            (10_000, 495, 6, Decision::Remember),
        ] {
            let tally = Some(Tally { looked_at, ended });
            let decided = decide(&answer(20, ends), tally, None, NOW);
            assert_eq!(decided, decision, "{ended} and {ends} of {looked_at}");
        }
    }

    #[test]
    fn an_answer_about_an_unknown_room_ends_nothing_at_first() {
        let unknown = |ends| Answer { room: RoomIs::Unknown, ..answer(3, ends) };
        assert_eq!(decide(&unknown(1), None, None, NOW), Decision::Remember);
        assert_eq!(decide(&unknown(0), None, None, NOW), Decision::Store, "it ends nothing");
    }

    #[test]
    fn the_same_answer_is_carried_out_half_a_minute_later() {
        let decided = |ago| decide(&answer(20, 20), None, Some(remembered(ago)), NOW);
        assert_eq!(decided(CONFIRMED_AFTER), Decision::Confirmed);
        assert_eq!(
            decided(CONFIRMED_AFTER.saturating_sub(Duration::from_millis(1))),
            Decision::Wait
        );
        let other = Answer { fingerprint: Fingerprint([8; 32]), ..answer(20, 20) };
        let decided = decide(&other, None, Some(remembered(CONFIRMED_AFTER)), NOW);
        assert_eq!(decided, Decision::Remember, "an event came, or the answer is another one");
    }

    proptest! {
        /// However many rooms an API says to be empty, one pass ends fifty stays or a twentieth.
        #[test]
        fn one_pass_of_lies_ends_little_of_an_app(
            rooms in prop::collection::vec((0_usize..400, any::<bool>()), 1..200),
        ) {
            let mut tally = Tally::default();
            for (stays, knows) in rooms {
                let room = if knows { RoomIs::Known } else { RoomIs::Unknown };
                let answer = Answer { room, ..answer(stays, stays) };
                tally.looked_at += stays;
                match decide(&answer, Some(tally), None, NOW) {
                    Decision::Store => tally.ended += answer.ends,
                    decision => prop_assert_eq!(decision, Decision::Remember),
                }
                prop_assert!(tally.ended <= OF_AN_APP.max(tally.looked_at / PART_OF_AN_APP));
            }
        }
    }
}
