//! Sends what the players play, and asks whether it was recorded.

pub mod iam;
pub mod import;
pub mod verify;

/// Where `cargo run` listens, unless another port is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9000";
