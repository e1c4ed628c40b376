//! The seats of a user.

use super::{
    super::{
        StoreError,
        item::{self, DISPLAY_NAME, Item},
        keys,
        table::SK,
    },
    Reader,
};
use crate::domain::{App, LifeId, Mark, RoomId, UnixMillis, UserId};

/// A person's seat in one life of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which room.
    pub room: RoomId,
    /// Which life of it, if the provider distinguishes lives.
    pub life: Option<LifeId>,
    /// The person's display name, from the newest event.
    pub name: Option<String>,
    /// The marks on the seat. Some of the oldest may have been moved away, but never those that
    /// decide whether the person is in.
    pub marks: Vec<Mark>,
    /// The newest mark that was moved away, if any were. All newer ones are in `marks`.
    pub moved_to: Option<Mark>,
}

impl Seat {
    /// Whether it comes before another seat of the same person, in the order in which they are read.
    #[must_use]
    pub fn is_before(&self, room: &RoomId, life: Option<&LifeId>) -> bool {
        keys::seat(&self.room, self.life.as_ref()) < keys::seat(room, life)
    }
}

impl Reader {
    /// All seats of a user, read consistently; none if nothing is known of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn seats(
        &self,
        app: &App,
        user: &UserId,
        now: UnixMillis,
    ) -> Result<Vec<Seat>, StoreError> {
        let items = self.of_user(app, user, keys::SEAT, now).await?;
        items.iter().map(read_seat).collect()
    }

    /// The seats of a user in all lives of a room, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn seats_in_room(
        &self,
        app: &App,
        user: &UserId,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<Vec<Seat>, StoreError> {
        let items = self.of_user(app, user, &keys::seats_of(room), now).await?;
        items.iter().map(read_seat).collect()
    }
}

pub(super) fn read_seat(item: &Item) -> Result<Seat, StoreError> {
    let (room, life) = keys::parse_seat(item::text(item, SK)?)?;
    let name = item::optional_text(item, DISPLAY_NAME);
    Ok(Seat { room, life, name, marks: item::marks(item)?, moved_to: item::moved_to(item)? })
}
