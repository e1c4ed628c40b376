//! Asks a Rollcall, on a laptop or in the cloud: one client for `ask`, `export`, `erase`,
//! `reconcile`, `check` and `send --verify`, and the tables that people see.
//!
//! | module | contents |
//! | --- | --- |
//! | [`iam`] | signatures for IAM |
//! | [`query`] | a request and its answer |
//! | [`client`] | sends queries, follows pages, repeats what may pass |
//! | [`error`] | why there is no answer, in words for people |
//! | [`time`] | times and durations, read and shown |
//! | [`table`] | rows of JSON as a table |
//! | [`shown`] | each answer as people see it |
//! | [`erase`] | erases a person |
//! | [`reconcile`] | has the providers asked who is really there |
//! | [`export`] | CSV in files, which can be continued |

pub mod client;
pub mod erase;
pub mod error;
pub mod export;
pub mod iam;
pub mod query;
pub mod reconcile;
pub mod shown;
pub mod table;
pub mod time;

pub use client::Client;
pub use error::AskError;
pub use query::{Answer, Query};

/// Where `cargo run` listens, unless it is given another port.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9000";
