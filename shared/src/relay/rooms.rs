//! The rooms that records are about.

use std::collections::BTreeMap;

use crate::{
    domain::{App, RoomId, UnixMillis},
    store::{Lateness, StreamRecord},
};

/// The rooms that records touch, by app and id.
pub type TouchedRooms = BTreeMap<(App, RoomId), Touched>;

/// How records touch a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// When the newest of the records was written, by DynamoDB's clock.
    pub at: UnixMillis,
    /// Whether one of the facts in them came late.
    pub lateness: Lateness,
    /// The places of the records in their batch.
    pub records: Vec<usize>,
}

/// The rooms that these records touch, each with its place in the batch: those whose seats, lives
/// or boundaries were written. A record that cannot be read touches none; [`super::events`] says
/// why.
pub fn touched_rooms<'a>(
    records: impl IntoIterator<Item = (usize, &'a StreamRecord)>,
) -> TouchedRooms {
    let mut rooms = TouchedRooms::new();
    for (place, record) in records {
        let (Ok(Some(room)), Ok(facts)) = (record.room(), record.facts()) else { continue };
        let is_late = facts.iter().any(|fact| fact.is_late);
        let lateness = if is_late { Lateness::Late } else { Lateness::InTime };
        let at = record.written_at();
        let touched = rooms.entry(room).or_insert(Touched { at, lateness, records: Vec::new() });
        touched.at = touched.at.max(at);
        touched.lateness = touched.lateness.max(lateness);
        touched.records.push(place);
    }
    rooms
}
