//! Where somebody is, or was last.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{DeviceStay, Record, RecordError, RoomStay, Stay, ends::RoomEnds, stay};
use crate::{
    domain::{Platform, RoomId, Stamp, UnixMillis, UserId, Visit},
    providers::Rules,
    store::{Seat, StoreError},
};

/// How many rooms of a person are read at the same time.
const CONCURRENT_ROOMS: usize = 32;

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// When they were last seen; `None` if they are only registered.
    pub last_seen_at: Option<UnixMillis>,
    /// Of each room and kind of device the stays that last, and the last one that ended; in no
    /// order.
    pub stays: Vec<Stay>,
}

impl Person {
    /// Whether one of their stays lasts.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.stays.iter().any(|stay| stay.ending().is_none())
    }

    /// What is known from two sources, of which either may know nothing.
    fn both(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(mut a), Some(b)) => {
                a.stays.extend(b.stays);
                Some(Self { last_seen_at: a.last_seen_at.max(b.last_seen_at), ..a })
            }
            (a, b) => a.or(b),
        }
    }
}

/// A seat with the visits that its marks show.
struct Occupied {
    seat: Seat,
    visits: Vec<Visit>,
}

impl Record<'_> {
    /// What is known of a person; `None` if they are not known.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn person(self, user: &UserId) -> Result<Option<Person>, RecordError> {
        let Rules { rooms, devices, .. } = self.rules();
        let in_rooms = async || if rooms.is_some() { self.in_rooms(user).await } else { Ok(None) };
        let on_devices =
            async || if devices.is_some() { self.on_devices(user).await } else { Ok(None) };
        let (rooms, devices) = tokio::try_join!(in_rooms(), on_devices())?;
        Ok(Person::both(rooms, devices))
    }

    /// Whether somebody is known who was never seen in a room: by their devices, or as registered.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn is_known_outside_rooms(self, user: &UserId) -> Result<bool, RecordError> {
        Ok(self.on_devices(user).await?.is_some())
    }

    async fn in_rooms(self, user: &UserId) -> Result<Option<Person>, StoreError> {
        let seats = self.store.seats(self.app, user, self.now).await?;
        let last_seen_at = seats.iter().flat_map(|seat| &seat.marks).map(|mark| mark.at).max();
        let mut rooms = BTreeMap::<RoomId, Vec<Occupied>>::new();
        for seat in seats {
            let visits = self.current_visits(user, &seat).await?;
            rooms.entry(seat.room.clone()).or_default().push(Occupied { seat, visits });
        }
        let rooms = rooms.into_iter().map(|(room, seats)| self.in_room(user, room, seats));
        let rooms: Vec<Vec<Stay>> =
            stream::iter(rooms).buffered(CONCURRENT_ROOMS).try_collect().await?;
        let stays = rooms.into_iter().flatten().collect();
        Ok(last_seen_at.map(|_| Person { last_seen_at, stays }))
    }

    /// The stays in one room, whose seats were all read.
    async fn in_room(
        self,
        user: &UserId,
        room: RoomId,
        seats: Vec<Occupied>,
    ) -> Result<Vec<Stay>, StoreError> {
        let all = seats.iter().map(|occupied| occupied.seat.clone()).collect();
        let mut ends = RoomEnds::of_person(self, user, room, all);
        let mut stays = Vec::new();
        for Occupied { seat, visits } in seats {
            for visit in visits {
                let visit = ends.decide(user, seat.life.as_ref(), visit).await?;
                stays.push(Stay::Room(RoomStay::new(self.rules(), &seat, visit)));
            }
        }
        Ok(stay::current(stays))
    }

    /// A registered user is known, even if none of their devices was ever online.
    async fn on_devices(self, user: &UserId) -> Result<Option<Person>, StoreError> {
        let devices = self.store.devices(self.app, user, self.now).await?;
        if devices.is_empty() {
            let registered = self.store.registration(self.app, user).await?;
            return Ok(registered.map(|_| Person { last_seen_at: None, stays: Vec::new() }));
        }
        let seen =
            devices.iter().flat_map(|device| [device.online, device.offline, device.logged_out]);
        let last_seen_at = seen.flatten().map(Stamp::at).max();
        let mut platforms = BTreeMap::<Platform, Vec<Stay>>::new();
        for device in devices {
            let Some(rules) = self.rules().devices else { break };
            let ending = (rules.decide)(&device, self.now).ending;
            let stay = DeviceStay::new(device, rules, ending);
            platforms.entry(stay.platform.clone()).or_default().push(Stay::Device(stay));
        }
        let stays = platforms.into_values().flat_map(stay::current).collect();
        Ok(Some(Person { last_seen_at, stays }))
    }
}
