//! DynamoDB: the only place that knows keys, conditions and index attributes.
//!
//! One table, one overloaded index, no scan. A *seat* is a person's place in one life of a room: it
//! holds the newest mark and the set of all marks, so that maximum and union decide, which any
//! order of arrival leaves the same. A *life* is one life of a room: its two ends are each written
//! once.
//!
//! Callbacks hold a [`Writer`], queries a [`Reader`]. Neither can do what the other does, as in the
//! IAM policies of their functions.

mod error;
mod item;
mod keys;
mod read;
mod table;
mod write;

use std::time::Duration;

use aws_sdk_dynamodb::{Client, config};

pub use error::StoreError;
pub use read::{
    Member, NEWEST_BOUNDARIES, Reader, RegistrationRow, RegistrationsPage, RoomSeat, Roster,
    RosterPage, RosterRow, Seat, SeatsFrom,
};
pub use table::{INDEX, TABLE, TableDefinition};
pub use write::{AppliedAll, Claimed, Writer};

use crate::aws;

/// A client of which no call takes longer than `limit`.
#[must_use]
pub fn connect(aws: &aws::SdkConfig, limit: Duration) -> Client {
    let timeouts = aws::timeouts(limit);
    Client::from_conf(config::Builder::from(aws).timeout_config(timeouts).build())
}

/// Ids that somebody else chose, in keys. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub fn fuzz_keys(data: &[u8]) {
    keys::fuzz(data);
}
