//! How far the passes over an app have come: what one run leaves to the next.

use serde::{Deserialize, Serialize};

use crate::domain::UnixMillis;

/// How far the passes over an app have come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The rounds over people.
    pub(super) people: Rounds,
    /// The rounds over rooms.
    pub(super) rooms: Rounds,
    /// The part of the list of people that is under way.
    pub(super) part: u8,
    /// The place of the last person in it who was asked about.
    pub(super) after: Option<String>,
}

/// The rounds over all people of an app, or over all its rooms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rounds {
    /// When the newest round began that is done: since then, everything was asked about.
    done: Option<UnixMillis>,
    /// When the round under way began.
    round: Option<UnixMillis>,
}

impl Progress {
    /// What a run has written. If it is of another version, the rounds begin anew.
    pub(super) fn read(json: Option<&str>) -> Self {
        let Some(json) = json else { return Self::default() };
        serde_json::from_str(json).unwrap_or_else(|error| {
            tracing::warn!(%error, "a pass begins anew: its place cannot be read");
            Self::default()
        })
    }

    /// Since when everything was asked about at least once, if that is known; else since when it is
    /// tried.
    pub(super) fn oldest_at(&self) -> Option<UnixMillis> {
        [self.people, self.rooms].iter().filter_map(|rounds| rounds.done.or(rounds.round)).min()
    }
}

impl Rounds {
    /// Begins a round, unless one is under way.
    pub(super) fn begin(&mut self, now: UnixMillis) {
        self.round.get_or_insert(now);
    }

    /// When the round under way began.
    pub(super) fn began_at(&self) -> Option<UnixMillis> {
        self.round
    }

    /// Ends the round under way. If something could not be asked about, the age of the oldest pass goes
    /// on.
    pub(super) fn end(&mut self, failed: u64) {
        let round = self.round.take();
        if failed == 0 {
            self.done = round;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_oldest_pass_goes_on_while_something_fails() {
        let at = UnixMillis;
        let mut progress = Progress::default();
        progress.rooms.begin(at(1));
        progress.rooms.begin(at(2));
        assert_eq!(progress.rooms.began_at(), Some(at(1)), "a run goes on with the round");
        assert_eq!(progress.oldest_at(), Some(at(1)));
        progress.rooms.end(0);
        progress.rooms.begin(at(5));
        assert_eq!((progress.rooms.began_at(), progress.oldest_at()), (Some(at(5)), Some(at(1))));
        progress.rooms.end(3);
        progress.rooms.begin(at(9));
        assert_eq!((progress.rooms.began_at(), progress.oldest_at()), (Some(at(9)), Some(at(1))));
        progress.rooms.end(0);
        assert_eq!(progress.oldest_at(), Some(at(9)));
        // Where people are asked about, too, the older of the two counts.
        progress.people.begin(at(7));
        assert_eq!(progress.oldest_at(), Some(at(7)));
        progress.people.end(0);
        progress.people.begin(at(12));
        progress.people.end(0);
        assert_eq!(progress.oldest_at(), Some(at(9)));
    }

    #[test]
    fn a_place_of_another_version_is_none() {
        let progress = Progress { part: 3, after: Some("x".to_owned()), ..Progress::default() };
        let json = serde_json::to_string(&progress).unwrap();
        assert_eq!(Progress::read(Some(&json)), progress);
        for json in ["", "{}", "[]", r#"{"part":300}"#] {
            assert_eq!(Progress::read(Some(json)), Progress::default(), "{json}");
        }
    }
}
