//! What became of a verified callback.

/// What became of a callback that was verified and well formed. Of a batch, it is the greatest that
/// occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nothing that Rollcall records: acknowledged and not stored.
    Ignored,
    /// It had been stored before.
    Duplicate,
    /// Stored beside newer events of its seat or device: it cannot move anybody.
    Stale,
    /// Stored, and it was the newest event of its seat or device, or the first of its kind.
    Applied,
    /// Not stored yet, but safe in the spill queue, from which it will be.
    Spilled,
}

impl Outcome {
    /// The value of the header `x-rollcall-outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spilled => "spilled",
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
        }
    }
}
