//! How many rooms and people an app had.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::UnixMillis;

/// What one pass over the live rooms of an app found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When the pass began: no number in it is older.
    pub at: UnixMillis,
    /// How long the pass took.
    pub took: Duration,
    /// In how many rooms somebody was.
    pub rooms: u64,
    /// How many people were in them.
    pub online: u64,
    /// Whether that is everybody.
    pub counted: Counted,
}

/// Whether everything was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Counted {
    /// It was.
    All,
    /// There may be more.
    AtLeast,
}
