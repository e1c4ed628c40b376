//! A minted ticket.

use std::fmt;

/// A minted ticket. Anyone who has it can log in, so it prints redacted.
#[derive(Clone)]
pub struct Ticket(String);

impl Ticket {
    /// A ticket with this text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The ticket itself, for its owner. Never for a log or a record.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How a character that belongs in no ticket may have got into one, if that is known.
pub(crate) fn common_hint(character: char) -> Option<&'static str> {
    match character {
        '%' => Some("the text may be URL-encoded"),
        _ if character.is_whitespace() => Some("it may have been copied along"),
        _ => None,
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(redacted)")
    }
}
