//! Where somebody is, or was last.

use std::collections::{BTreeMap, HashMap};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    DeviceStay, Record, RecordError, RoomStay, Stay, ends::RoomEnds, observed, stay, united,
};
use crate::{
    domain::{Device, Platform, RoomId, Stamp, UnixMillis, UserId, observed_device},
    providers::{DeviceRules, Rules},
    store::{Account, Seat, StoreError},
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
    /// When the provider last confirmed all of that: where they are in a room, or each device.
    pub checked_at: Option<UnixMillis>,
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
                let checked_at = oldest([a.checked_at, b.checked_at]);
                Some(Self { last_seen_at: a.last_seen_at.max(b.last_seen_at), checked_at, ..a })
            }
            (a, b) => a.or(b),
        }
    }
}

impl Record<'_> {
    /// What is known of a person; `None` if they are not known.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn person(self, user: &UserId) -> Result<Option<Person>, RecordError> {
        let Rules { rooms, devices, .. } = self.rules();
        // Its future is large.
        let known = Box::pin(self.store.whereabouts(self.app, user, self.now)).await?;
        let on_devices =
            devices.and_then(|rules| self.on_devices(rules, known.devices, known.account.as_ref()));
        let in_rooms = match rooms {
            Some(_) => self.in_rooms(user, known.seats).await?,
            None => None,
        };
        Ok(Person::both(in_rooms, on_devices))
    }

    /// Whether somebody is known who was never seen in a room: by their devices, or as registered.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn is_known_outside_rooms(self, user: &UserId) -> Result<bool, RecordError> {
        let known = Box::pin(self.store.whereabouts(self.app, user, self.now)).await?;
        Ok(!known.devices.is_empty() || known.account.is_some())
    }

    async fn in_rooms(self, user: &UserId, seats: Vec<Seat>) -> Result<Option<Person>, StoreError> {
        let marks = seats.iter().flat_map(|seat| &seat.marks).map(|mark| mark.at);
        let came = seats.iter().filter_map(|seat| seat.seen.came).map(|seen| seen.at);
        let last_seen_at = marks.max().or(came.max());
        let mut rooms = BTreeMap::<RoomId, Vec<Seat>>::new();
        for seat in seats {
            rooms.entry(seat.room.clone()).or_default().push(seat);
        }
        let rooms = rooms.into_iter().map(|(room, seats)| self.in_room(user, room, seats));
        let rooms: Vec<(Vec<Stay>, Option<Option<UnixMillis>>)> =
            stream::iter(rooms).buffered(CONCURRENT_ROOMS).try_collect().await?;
        let checked_at = oldest(rooms.iter().filter_map(|(_, checked)| *checked));
        let stays = rooms.into_iter().flat_map(|(stays, _)| stays).collect();
        Ok(last_seen_at.map(|_| Person { last_seen_at, stays, checked_at }))
    }

    /// The stays in one room, whose seats were all read; and when the room was checked, if they are
    /// in it.
    async fn in_room(
        self,
        user: &UserId,
        room: RoomId,
        seats: Vec<Seat>,
    ) -> Result<(Vec<Stay>, Option<Option<UnixMillis>>), StoreError> {
        let mut ends = RoomEnds::of_person(self, user, room, seats.clone());
        let mut stays = Vec::new();
        if observed::is_observed(&seats) {
            for stay in ends.observed(user, &seats).await?.into_stays() {
                let seat = seats.iter().find(|seat| seat.life == stay.life);
                let seat = seat.map(|seat| RoomStay::new(self.rules(), seat, stay.visit));
                stays.extend(seat.map(Stay::Room));
            }
        } else if let Some(counted) = united::of_two_tracks(self.tracks(), &seats) {
            for visit in ends.united(user, &counted).await?.into_visits() {
                stays.push(Stay::Room(RoomStay::new(self.rules(), counted[0], visit)));
            }
        } else {
            for seat in &seats {
                for visit in self.current_visits(user, seat).await? {
                    let visit = ends.decide(user, seat, visit).await?;
                    stays.push(Stay::Room(RoomStay::new(self.rules(), seat, visit)));
                }
            }
        }
        let stays = stay::current(stays);
        let lasts = |stay: &&Stay| stay.ending().is_none();
        let is_in = stays.iter().any(|stay| lasts(&stay));
        let is_only_seen = |stay: &Stay| matches!(stay, Stay::Room(stay) if stay.life.is_none());
        let is_observed = observed::is_observed(&seats);
        let checked = if is_observed && stays.iter().filter(lasts).any(is_only_seen) {
            let came = seats.iter().filter_map(|seat| seat.seen.came).map(|seen| seen.at).max();
            self.room_checked(&seats).await?.max(came)
        } else {
            ends.checked()
        };
        Ok((stays, is_in.then_some(checked)))
    }

    /// When the provider last confirmed who is in the room of some seats, whatever its life is.
    async fn room_checked(self, seats: &[Seat]) -> Result<Option<UnixMillis>, StoreError> {
        let Self { store, app, now } = self;
        let Some(Seat { room, .. }) = seats.first() else { return Ok(None) };
        match store.newest_life(app, room, [], &HashMap::new(), now).await? {
            Some(life) => Ok(life.checked),
            None => store.checked_without_life(app, room, now).await,
        }
    }

    /// A registered user is known, even if none of their devices was ever online; and so is one whose
    /// profile changed, although the registration never arrived.
    fn on_devices(
        self,
        rules: DeviceRules,
        devices: Vec<Device>,
        account: Option<&Account>,
    ) -> Option<Person> {
        if devices.is_empty() {
            let (last_seen_at, checked_at) = (None, None);
            return account.map(|_| Person { last_seen_at, stays: Vec::new(), checked_at });
        }
        let seen =
            devices.iter().flat_map(|device| [device.online, device.offline, device.logged_out]);
        let seen = seen.flatten().map(Stamp::at);
        let seen = seen.chain(devices.iter().filter_map(|device| device.seen_online));
        let last_seen_at = seen.max();
        let checked_at = oldest(devices.iter().map(|device| device.checked_at));
        let mut platforms = BTreeMap::<Platform, Vec<Stay>>::new();
        for device in devices {
            let verdict = (rules.decide)(&device, self.now);
            let verdict = observed_device(verdict, &device, self.now);
            let stay = DeviceStay::new(device, rules, &verdict);
            platforms.entry(stay.platform.clone()).or_default().push(Stay::Device(stay));
        }
        let stays = platforms.into_values().flat_map(stay::current).collect();
        Some(Person { last_seen_at, stays, checked_at })
    }
}

/// The oldest of some checks; `None` if there are none, or if one is missing.
fn oldest(checks: impl IntoIterator<Item = Option<UnixMillis>>) -> Option<UnixMillis> {
    let mut checks = checks.into_iter();
    let first = checks.next()??;
    checks.try_fold(first, |oldest, check| Some(oldest.min(check?)))
}
