//! The rooms in which somebody may be.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Record, RecordError};
use crate::domain::{RoomId, UnixMillis};

/// A room in the list of live rooms. Whether somebody is in, its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRoom {
    /// Its place in the list.
    pub place: String,
    /// The room.
    pub room: RoomId,
    /// When its newest fact was stored, to some minutes.
    pub last_at: UnixMillis,
}

impl<'a> Record<'a> {
    /// All rooms in which somebody may be, and some others, after a place in the list. About
    /// `at_first` of them are read at once. A room moves to a later place only.
    #[must_use]
    pub fn live_rooms(
        self,
        after: Option<&'a str>,
        at_first: usize,
    ) -> BoxStream<'a, Result<LiveRoom, RecordError>> {
        let rooms = self.store.live_rooms(self.app, after, at_first, self.now);
        rooms
            .map_ok(|live| LiveRoom { place: live.row, room: live.room, last_at: live.last_at })
            .err_into()
            .boxed()
    }
}
