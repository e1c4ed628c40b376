//! What the login tickets of all providers have in common: how long they are valid, what is said
//! about them, and the two routes of each kind. A ticket's own text, content and codes are those of
//! its kind: [`user_sig`](crate::user_sig), [`zego_token`](crate::zego_token).

mod content;
mod http;
mod lifetime;
mod ticket;
mod verdict;

pub use content::Defect;
pub(crate) use content::{number, text};
#[cfg(test)]
pub(crate) use http::verdict_schema;
pub(crate) use http::{
    Body, Error, Kind, Words, answer, parameter, required_number, required_text, valid_for,
};
pub use lifetime::{Lifetime, LifetimeError};
pub use ticket::Ticket;
pub(crate) use ticket::common_hint;
pub use verdict::{Refusal, Valid};
