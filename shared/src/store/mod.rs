//! DynamoDB: the only place that knows keys, conditions and index attributes.
//!
//! One table, one overloaded index, no scan but the [`Scanner`]'s, which an operator starts. A *seat* is a person's place in one life of a room. It
//! holds the newest mark and the set of all marks. So it is a maximum and a union, and any order of
//! arrival gives the same result. A *life* is one life of a room. Each of its two ends is written
//! once.
//!
//! A [`StreamRecord`] says which facts a write added.
//!
//! Callbacks hold a [`Writer`], queries a [`Reader`]. A writer cannot query and a reader cannot
//! write, as in the IAM policies of their functions.

mod erasures;
mod error;
mod item;
mod keys;
mod meter;
mod read;
mod room_shards;
mod scan;
mod settled;
mod stream;
mod table;
mod write;

use std::time::Duration;

use aws_sdk_dynamodb::{Client, config};

pub use erasures::{ErasedAt, Erasure, Erasures, UserHash};
pub use error::StoreError;
pub use meter::Meter;
pub use read::{
    Account, ErasureList, IsIn, LIVE_PARTS, LiveRoom, Member, NEWEST_BOUNDARIES, NewestLives,
    NewestRows, PeopleSource, PersonContent, PersonItem, PersonRow, Reader, RegistrationRow,
    RegistrationsPage, RoomSeat, Roster, RosterPage, RosterRow, Seat, SeatsFrom, Whereabouts,
};
pub use room_shards::{SHARDS_FRESH_FOR, SHARDS_USED_AFTER};
pub use scan::{ReceivedIn, ScanPage, ScanPlace, Scanner};
pub use settled::{EmptiedRoom, LifeTotals, SettledLife};
pub use stream::{Fact, FactOf, NewFact, StreamRecord};
pub use table::{INDEX, TABLE, TableDefinition, TableIndex, TableName};
pub use write::{
    AppliedAll, Claimed, Eraser, Lateness, Lease, LiveMarker, MARKED_FOR, Marked, Note, Observer,
    Pass, PassEnd, PassStore, Passed, Person, PersonDigest, RoomLife, RoomMemory, Settler,
    SweepStore, Writer,
};

use crate::aws;

/// A client whose calls take at most `limit` each.
#[must_use]
pub fn connect(aws: &aws::SdkConfig, limit: Duration) -> Client {
    Client::from_conf(config_of(aws, limit).build())
}

/// The same, and each call is one request: who calls decides whether and when it is repeated.
#[must_use]
pub fn connect_once(aws: &aws::SdkConfig, limit: Duration) -> Client {
    let once = config::retry::RetryConfig::disabled();
    Client::from_conf(config_of(aws, limit).retry_config(once).build())
}

fn config_of(aws: &aws::SdkConfig, limit: Duration) -> config::Builder {
    config::Builder::from(aws).timeout_config(aws::timeouts(limit))
}

/// Checks arbitrary ids in keys. For `fuzz/`.
#[cfg(any(test, fuzzing))]
pub fn fuzz_keys(data: &[u8]) {
    keys::fuzz(data);
}
