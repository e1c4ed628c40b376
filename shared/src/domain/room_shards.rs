//! Over how many partitions of the index the rows of a room are spread.

use std::{fmt, str::FromStr};

use glob::Pattern;

use super::RoomId;

/// How long a pattern may be, in bytes.
const MAX_BYTES: usize = 100;

/// A number of partitions of the index, from 4 to 64. Each takes about 1,000 entries or 500 leaves a
/// second, and each is one more query for a reader of the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shards(u8);

impl Shards {
    /// What every room has.
    pub const FEWEST: Self = Self(4);

    /// The most that a room may have.
    pub const MOST: Self = Self(64);

    /// That many; `None` if it is not 4 to 64.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (Self::FEWEST..=Self::MOST).contains(&Self(number)).then_some(Self(number))
    }

    /// How many they are.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Their numbers, from 0 on.
    pub fn each(self) -> impl Iterator<Item = u8> + Clone {
        0..self.0
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pattern of whole room ids, as queries write them: `*` is any text, `?` any character, `[a-c]`
/// one of these characters, `[!a-c]` any other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPattern(Pattern);

/// Why a text is no pattern of rooms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomPatternError {
    /// It is too long.
    #[error("is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("is no pattern of room ids: {why} at character {at}")]
    NoPattern {
        /// Where.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
}

impl RoomPattern {
    /// The pattern that every room matches.
    #[must_use]
    pub fn all() -> Self {
        let Ok(all) = Pattern::new("*") else { unreachable!("`*` is a pattern") };
        Self(all)
    }

    /// Whether a room matches.
    ///
    /// ```
    /// use rollcall::domain::RoomPattern;
    ///
    /// let finals: RoomPattern = "final-*".parse()?;
    /// assert!(finals.matches(&"final-7".parse()?));
    /// assert!(!finals.matches(&"semifinal-7".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn matches(&self, room: &RoomId) -> bool {
        self.0.matches(room.as_str())
    }

    /// Whether it is the same pattern, or one that the text of the other one matches, as `*` and
    /// `f*` are to `final-*`. Then what matches the other one should match it, too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || self.0.matches(other.as_str())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for RoomPattern {
    type Err = RoomPatternError;

    fn from_str(text: &str) -> Result<Self, RoomPatternError> {
        if text.len() > MAX_BYTES {
            return Err(RoomPatternError::TooLong);
        }
        let no_pattern = |error: glob::PatternError| RoomPatternError::NoPattern {
            at: error.pos + 1,
            why: error.msg,
        };
        Pattern::new(text).map(Self).map_err(no_pattern)
    }
}

/// Over how many partitions the rows of which rooms are spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomShards {
    /// The rooms.
    pub rooms: RoomPattern,
    /// How many partitions.
    pub shards: Shards,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_4_to_64_shards() {
        let numbers =
            [0, 3, 4, 5, 64, 65, 255].map(|number| Shards::new(number).map(Shards::number));
        assert_eq!(numbers, [None, None, Some(4), Some(5), Some(64), None, None]);
    }

    #[test]
    fn a_pattern_is_of_whole_ids_and_of_bounded_length() {
        let pattern = |text: &str| text.parse::<RoomPattern>();
        let matches = |text, room: &str| pattern(text).unwrap().matches(&room.parse().unwrap());
        assert!(matches("z:*", "z:hall") && !matches("z:*", "hall") && matches("*", "a/b#\0"));
        assert!(!matches("hall", "hall2") && !matches("Hall", "hall"));
        assert!(RoomPattern::all().matches(&"r".parse().unwrap()));
        assert_eq!(pattern(&"x".repeat(101)), Err(RoomPatternError::TooLong));
        pattern(&"x".repeat(100)).unwrap();
        let error = pattern("a[b").unwrap_err().to_string();
        assert!(error.starts_with("is no pattern of room ids: "), "{error}");
    }

    #[test]
    fn a_pattern_covers_itself_and_narrower_ones() {
        let covers = |wide: &str, narrow: &str| {
            let (wide, narrow): (RoomPattern, RoomPattern) =
                (wide.parse().unwrap(), narrow.parse().unwrap());
            wide.covers(&narrow)
        };
        assert!(covers("*", "*") && covers("*", "big-*") && covers("b*", "big-*"));
        assert!(covers("[ab]", "[ab]") && !covers("big-*", "*") && !covers("a*", "b*"));
    }
}
