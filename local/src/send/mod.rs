//! Sends what the players play, and asks whether it was recorded.

pub mod import;
pub mod verify;
