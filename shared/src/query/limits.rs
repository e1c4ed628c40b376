//! How much one query may take.

use std::time::Duration;

/// How much one query may take before it is refused. The number of people in a report is limited by
/// [`MAX_PEOPLE`](crate::record::MAX_PEOPLE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// How long a report, and a page of a room, may take.
    pub time: Duration,
    /// How many spans the minutes together of two sides may have.
    pub spans: usize,
}

impl QueryLimits {
    /// The limits of the function: `template.yaml` gives it two seconds more, and twice as many
    /// spans would be too long for Lambda.
    pub const DEFAULT: Self = Self { time: Duration::from_secs(8), spans: 50_000 };
}
