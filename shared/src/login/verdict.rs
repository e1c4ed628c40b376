//! What is said about a ticket.

use std::fmt;

use crate::domain::UnixSeconds;

/// The times of a valid ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid {
    /// When it was minted.
    pub issued_at: UnixSeconds,
    /// The last second in which it is valid.
    pub expires_at: UnixSeconds,
}

/// Why a ticket is refused. Its text says what is wrong, in English, and shows nothing of the ticket
/// that somebody could log in with.
pub trait Refusal: fmt::Display {
    /// The provider's code for it.
    fn code(&self) -> u32;

    /// Whether the reason might be that a key of the ticket's app is not known here yet.
    fn might_be_by_a_new_key(&self) -> bool;
}
