//! The seats of a user.

use std::collections::HashMap;

use super::{
    super::{
        StoreError,
        erasures::{Complete, ErasedAt},
        item::{self, DISPLAY_NAME, Item},
        keys::{self, Section},
        table::{PK, SK},
    },
    Reader,
};
use crate::domain::{App, LifeId, Mark, RoomId, SeatSeen, Seen, Track, UnixMillis, UserId};

/// How many items one request reads by their keys at most.
pub(super) const SEATS_PER_REQUEST: usize = 100;

/// A person's seat in one life of a room, as one track reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which room.
    pub room: RoomId,
    /// Which life of it, if the provider distinguishes lives.
    pub life: Option<LifeId>,
    /// Which of the provider's products reported it.
    pub track: Track,
    /// The person's display name, from the newest event.
    pub name: Option<String>,
    /// The marks on the seat. Some of the oldest may have been moved away, but never those that
    /// decide whether the person is in.
    pub marks: Vec<Mark>,
    /// The newest mark that was moved away, if any were. All newer ones are in `marks`.
    pub moved_to: Option<Mark>,
    /// What the provider said of the person when it was asked.
    pub seen: SeatSeen,
}

impl Seat {
    /// Whether nothing but observations is on it.
    #[must_use]
    pub fn is_only_seen(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether it comes before another seat of the same person, in the order in which they are read.
    #[must_use]
    pub fn is_before(&self, room: &RoomId, life: Option<&LifeId>, track: Track) -> bool {
        keys::seat(&self.room, self.life.as_ref(), self.track) < keys::seat(room, life, track)
    }

    /// Its place in the index among the seats of its room, if it has marks.
    pub(super) fn place(&self, user: &UserId) -> Option<String> {
        let newest = self.marks.iter().max()?;
        let of = (self.life.as_ref(), self.track);
        // The place is the same in both sections.
        let row = keys::row(Section::In, newest.order.time, of, user);
        Some(keys::place(&row).to_owned())
    }
}

impl Reader {
    /// The seats of a user in all lives of a room by the tracks that count, read consistently.
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

    /// The seats of some people in one life of a room, read consistently, up to
    /// [`SEATS_PER_REQUEST`] with one request. Who has none is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub(super) async fn seats_in_life(
        &self,
        app: &App,
        room: &RoomId,
        life: &LifeId,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<HashMap<UserId, Seat>, StoreError> {
        let mut seats = HashMap::new();
        for users in users.chunks(SEATS_PER_REQUEST) {
            let key = |user| {
                let partition = item::string(keys::user(app, user));
                let seat = item::string(keys::seat(room, Some(life), Track::Media));
                HashMap::from([(PK.to_owned(), partition), (SK.to_owned(), seat)])
            };
            for item in self.by_keys(users.iter().map(key).collect()).await? {
                if item::is_expired(&item, now) {
                    continue;
                }
                let user = keys::parse_user(item::text(&item, PK)?)?;
                if let Some(seat) = self.read_seat(app, &user, &item)? {
                    seats.insert(user, seat);
                }
            }
        }
        Ok(seats)
    }

    /// Whether an observation of somebody counts: it is neither ignored nor erased.
    #[must_use]
    pub fn counts(&self, app: &App, user: &UserId, seen: &Seen) -> bool {
        let is_erased = |erased: ErasedAt| erased.covers(seen.age());
        self.settings.counts(app, seen) && !self.erased.of(app, user).is_some_and(is_erased)
    }

    /// The seats that some items are, by the tracks that count.
    pub(super) fn seats_in(
        &self,
        app: &App,
        user: &UserId,
        items: &[Item],
    ) -> Result<Vec<Seat>, StoreError> {
        let tracks = self.tracks(app);
        let read = items.iter().filter_map(|item| self.read_seat(app, user, item).transpose());
        read.filter(|seat| seat.as_ref().map_or(true, |seat| tracks.has(seat.track))).collect()
    }

    /// A seat, or what is left of it after an erasure; `None` if nothing is.
    pub(super) fn read_seat(
        &self,
        app: &App,
        user: &UserId,
        item: &Item,
    ) -> Result<Option<Seat>, StoreError> {
        let mut seat = read_seat(item)?;
        let erased = self.erased.of(app, user);
        seat.seen = seat.seen.filtered(|seen| self.counts(app, user, seen));
        if let Some(erased) = erased {
            seat.moved_to = seat.moved_to.filter(|moved_to| !erased.covers_mark(moved_to));
            let are_all_here = match seat.moved_to {
                None => Complete::Yes,
                Some(_) => Complete::No,
            };
            seat.marks = erased.left_of(seat.marks, are_all_here);
        }
        // That somebody is not in says nothing without anything that shows that they were.
        Ok(Some(seat).filter(|seat| !seat.marks.is_empty() || seat.seen.came.is_some()))
    }
}

fn read_seat(item: &Item) -> Result<Seat, StoreError> {
    let (room, life, track) = keys::parse_seat(item::text(item, SK)?)?;
    let name = item::optional_text(item, DISPLAY_NAME);
    let (marks, moved_to) = (item::marks(item)?, item::moved_to(item)?);
    Ok(Seat { room, life, track, name, marks, moved_to, seen: item::seat_seen(item)? })
}
