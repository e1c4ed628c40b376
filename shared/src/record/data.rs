//! What is stored about a person, as it is stored; and who was erased.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Record, RecordError};
use crate::{
    domain::{
        Details, Device, LifeId, Mark, Month, Registered, RoomId, SeatSeen, Track, UnixMillis,
        UnixSeconds, UserId,
    },
    store::{self, Erasure},
};

/// One of the items that are stored about a person.
#[derive(Debug, Clone)]
pub struct PersonItem {
    /// Its place among them: a list that begins after it continues there.
    pub place: String,
    /// When it may be deleted, unless something new is stored in it. A registration stays.
    pub expires_at: Option<UnixSeconds>,
    /// What it says.
    pub content: PersonContent,
}

/// What one of the items says.
#[derive(Debug, Clone)]
pub enum PersonContent {
    /// A seat in one life of a room.
    Seat {
        /// Which room.
        room: RoomId,
        /// Which life of it, if the provider distinguishes lives.
        life: Option<LifeId>,
        /// Which of the provider's products reported it.
        track: Track,
        /// The display name, from the newest event.
        name: Option<String>,
        /// What else the newest event says, by the provider's own field names.
        details: Details,
        /// The events that are on the seat.
        marks: Vec<Mark>,
        /// What the provider said when it was asked.
        seen: SeatSeen,
    },
    /// Older events of a seat.
    OlderMarks {
        /// Which room.
        room: RoomId,
        /// Which life of it, if the provider distinguishes lives.
        life: Option<LifeId>,
        /// Which of the provider's products reported them.
        track: Track,
        /// The events.
        marks: Vec<Mark>,
    },
    /// A device, and the month that its newest login is counted for.
    Device(Device, Option<Month>),
    /// Sessions, each as a device, and the newest month that a login of theirs is counted for.
    Sessions(Vec<Device>, Option<Month>),
    /// A month in which they count as active, and the login by which they do.
    Month(Month, Option<UnixMillis>),
    /// Their registration, and what became of the profile.
    Registration(Registered),
    /// When their profile changed. Their registration never arrived.
    ProfileChange(UnixMillis),
}

impl From<store::PersonItem> for PersonItem {
    fn from(item: store::PersonItem) -> Self {
        let store::PersonItem { place, expires_at, content } = item;
        let content = match content {
            store::PersonContent::Seat(seat, details) => {
                let store::Seat { room, life, track, name, marks, seen, .. } = seat;
                PersonContent::Seat { room, life, track, name, details, marks, seen }
            }
            store::PersonContent::OlderMarks(room, life, track, marks) => {
                PersonContent::OlderMarks { room, life, track, marks }
            }
            store::PersonContent::Device(device, month) => PersonContent::Device(device, month),
            store::PersonContent::Sessions(sessions, month) => {
                PersonContent::Sessions(sessions, month)
            }
            store::PersonContent::Month(month, login_at) => PersonContent::Month(month, login_at),
            store::PersonContent::Registration(registered) => {
                PersonContent::Registration(registered)
            }
            store::PersonContent::ProfileChange(at) => PersonContent::ProfileChange(at),
        };
        Self { place, expires_at, content }
    }
}

impl<'a> Record<'a> {
    /// Everything that is stored about a person, beginning after a place. About `at_first` items
    /// are read at once.
    #[must_use]
    pub fn everything_about(
        self,
        user: &'a UserId,
        after: Option<&str>,
        at_first: usize,
    ) -> BoxStream<'a, Result<PersonItem, RecordError>> {
        let items = self.store.person(self.app, user, after, at_first, self.now);
        items.map_ok(PersonItem::from).err_into().boxed()
    }

    /// The people of the app who were erased, in the order of their hashes, beginning after one.
    #[must_use]
    pub fn erasures(self, after: Option<&str>) -> BoxStream<'a, Result<Erasure, RecordError>> {
        self.store.list_erasures(self.app, after, self.now).err_into().boxed()
    }
}
