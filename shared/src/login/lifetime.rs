//! How long a ticket is valid.

use std::time::Duration;

/// A lifetime that is too short or too long. The text follows the name of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a whole number of seconds from {min_s} to {max_s}")]
pub struct LifetimeError {
    /// The shortest lifetime, in seconds.
    pub min_s: u64,
    /// The longest one.
    pub max_s: u64,
}

/// How long a ticket is valid, in whole seconds: `MIN_S` to `MAX_S`, and `DEFAULT_S` if nobody says.
///
/// ```
/// use rollcall::login::Lifetime;
///
/// type AnHourAtMost = Lifetime<60, 3600, 600>;
/// assert_eq!(AnHourAtMost::DEFAULT.duration().as_secs(), 600);
/// assert!(AnHourAtMost::from_seconds(3600).is_ok());
/// let error = AnHourAtMost::from_seconds(3601).unwrap_err();
/// assert_eq!(error.to_string(), "is not a whole number of seconds from 60 to 3600");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime<const MIN_S: u64, const MAX_S: u64, const DEFAULT_S: u64>(Duration);

impl<const MIN_S: u64, const MAX_S: u64, const DEFAULT_S: u64> Lifetime<MIN_S, MAX_S, DEFAULT_S> {
    /// The lifetime if nobody says.
    pub const DEFAULT: Self = Self(Duration::from_secs(DEFAULT_S));

    /// What is wrong with a value that is no such lifetime.
    pub const ERROR: LifetimeError = LifetimeError { min_s: MIN_S, max_s: MAX_S };

    /// A lifetime of so many seconds.
    ///
    /// # Errors
    ///
    /// [`LifetimeError`] if that is too short or too long.
    pub fn from_seconds(seconds: u64) -> Result<Self, LifetimeError> {
        let fits = (MIN_S..=MAX_S).contains(&seconds);
        fits.then_some(Self(Duration::from_secs(seconds))).ok_or(Self::ERROR)
    }

    /// The lifetime as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }
}
