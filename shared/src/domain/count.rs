//! How many people are in a room, as far as they were counted.

/// How far people are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Not at all.
    No,
    /// In so many rows of the room. There is one for each person who may be in.
    Rows(usize),
    /// All of them.
    All,
}

/// How many people are in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// So many are in the rows that were counted, and there are more rows.
    AtLeast(usize),
    /// Nobody counted.
    Unknown,
}
