//! The seats of a user.

use super::{
    super::{
        StoreError,
        erasures::Complete,
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
        self.seats_in(app, user, &items)
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
        self.seats_in(app, user, &items)
    }

    fn seats_in(&self, app: &App, user: &UserId, items: &[Item]) -> Result<Vec<Seat>, StoreError> {
        items.iter().filter_map(|item| self.read_seat(app, user, item).transpose()).collect()
    }

    /// A seat, or what is left of it after an erasure; `None` if nothing is.
    pub(super) fn read_seat(
        &self,
        app: &App,
        user: &UserId,
        item: &Item,
    ) -> Result<Option<Seat>, StoreError> {
        let mut seat = read_seat(item)?;
        if let Some(erased) = self.erased.of(app, user) {
            seat.moved_to = seat.moved_to.filter(|moved_to| !erased.covers_mark(moved_to));
            let are_all_here = match seat.moved_to {
                None => Complete::Yes,
                Some(_) => Complete::No,
            };
            seat.marks = erased.left_of(seat.marks, are_all_here);
        }
        Ok(Some(seat).filter(|seat| !seat.marks.is_empty()))
    }
}

fn read_seat(item: &Item) -> Result<Seat, StoreError> {
    let (room, life) = keys::parse_seat(item::text(item, SK)?)?;
    let name = item::optional_text(item, DISPLAY_NAME);
    Ok(Seat { room, life, name, marks: item::marks(item)?, moved_to: item::moved_to(item)? })
}
