//! What a provider answered when it was asked: beside the marks of a seat, and beside the registers
//! of a device.
//!
//! Each kind of observation is a register, which keeps the newest. So two observations lie on a
//! seat at most, and any order of arrival gives the same result. A callback never writes them, and
//! an observation never changes the newest mark of a seat nor its place in the index.
//!
//! That somebody is in lies on a seat without a life. Nothing else writes that one, so an
//! observation also writes its place.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{Client, primitives::Blob, types::AttributeValue};

use super::{
    super::{
        StoreError,
        item::{
            self, CHECKED_AT, EXPIRES_AT, NEWEST, SEEN_AT, SEEN_IN, SEEN_OFFLINE, SEEN_ONLINE,
            SEEN_OUT, SESSIONS,
        },
        keys::{self, Section},
        table::{INDEX_PK, INDEX_SK, PK, Table, TableName},
    },
    Writer,
    room_shards::NewRows,
    update::{Update, Written},
};
use crate::{
    domain::{
        App, CLOCKS_DIFFER, DeviceName, DeviceSays, DeviceSeen, LifeId, Outcome, RoomId, Says,
        SeatObservation, Seen, SessionId, SessionMark, SessionState, Track, UnixMillis, UserId,
    },
    providers::{DeviceItems, device_items},
};

/// The table as it is used by what asks providers: it stores what they answered.
///
/// Its function may update items.
#[derive(Debug, Clone)]
pub struct Observer {
    pub(super) table: Table,
    retention: Duration,
    rows: NewRows,
}

impl Observer {
    /// An observer that writes to the table of that name. What it adds is kept for `retention`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        Self { table: Table::new(client, table), retention, rows: NewRows::default() }
    }

    /// The same observer, which spreads new rows of a room as a writer does.
    #[must_use]
    pub fn spread_as(self, writer: &Writer) -> Self {
        Self { rows: writer.rows.clone(), ..self }
    }

    /// Adds an observation to its seat. `Applied` if it is the newest of its kind there;
    /// `Duplicate` or `Stale` if one as new or a newer one is known; `Ignored` if the seat has
    /// expired.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not known to be stored. It can be added again without harm.
    pub async fn add(&self, observation: &SeatObservation) -> Result<Outcome, StoreError> {
        match observation.seen.says {
            Says::In { .. } => self.add_in(observation).await,
            Says::Out => self.add_out(observation).await,
        }
    }

    /// The person is in: the seat without a life, which comes into the section `in` of the room.
    async fn add_in(&self, observation: &SeatObservation) -> Result<Outcome, StoreError> {
        let SeatObservation { app, user, room, seen, .. } = observation;
        self.note_seen(app, room, seen.at).await?;
        let row = keys::row(Section::In, seen.at, (None, Track::Media), user);
        let shards = self.rows.shards_of(room, seen.at);
        let update = on_seat(observation, SEEN_IN)
            .set(INDEX_PK, item::string(keys::shard_of(app, room, user, shards)))
            .set(INDEX_SK, item::string(row))
            .set(EXPIRES_AT, item::number(seen.at.after(self.retention).seconds().0))
            .only_if(if_newer(SEEN_IN));
        let written = self.table.update(update).await?;
        outcome(&written, SEEN_IN, seen)
    }

    /// Notes, before it is stored, that somebody was seen in a room. So who reads one seat of
    /// somebody need not ask for their other seats, unless somebody was seen there.
    async fn note_seen(&self, app: &App, room: &RoomId, at: UnixMillis) -> Result<(), StoreError> {
        let update = Update::of(keys::room(app, room), keys::checked(None))
            .set(SEEN_AT, item::number(at.0))
            .set(EXPIRES_AT, self.expiry_of_room(at))
            .only_if(if_newer(SEEN_AT));
        self.table.update(update).await.map(drop)
    }

    async fn add_out(&self, observation: &SeatObservation) -> Result<Outcome, StoreError> {
        let SeatObservation { seen, user, life, ends, .. } = observation;
        // Readers of a roster need not look at somebody who has certainly left.
        if let (None, Some(came)) = (life, ends)
            && came.at < seen.at.before(CLOCKS_DIFFER)
        {
            let row = keys::row(Section::Left, came.at, (None, Track::Media), user);
            let is_newer = if_newer(SEEN_OUT);
            let update = on_seat(observation, SEEN_OUT)
                .set(INDEX_SK, item::string(row))
                .given("came", item::bytes(Blob::new(came.to_bytes())))
                .only_if(format!("{SEEN_IN} = :came AND ({is_newer})"));
            if let Written::Yes(_) = self.table.update(update).await? {
                return Ok(Outcome::Applied);
            }
        }
        let of_seat = if life.is_some() { NEWEST } else { SEEN_IN };
        let is_newer = if_newer(SEEN_OUT);
        let update = on_seat(observation, SEEN_OUT)
            .only_if(format!("attribute_exists({of_seat}) AND ({is_newer})"));
        let written = self.table.update(update).await?;
        outcome(&written, SEEN_OUT, seen)
    }

    /// Adds an observation of a device. The outcomes are those of [`Observer::add`].
    ///
    /// # Errors
    ///
    /// As [`Observer::add`].
    pub async fn add_device(
        &self,
        app: &App,
        user: &UserId,
        seen: &DeviceSeen,
    ) -> Result<Outcome, StoreError> {
        let DeviceName { platform, connection } = &seen.device;
        if let (DeviceItems::Sessions, Some(session)) = (device_items(app.provider), connection) {
            return self.add_session(app, user, session, seen).await;
        }
        let register = match seen.online {
            DeviceSays::Online => SEEN_ONLINE,
            DeviceSays::Offline => SEEN_OFFLINE,
        };
        let update = Update::of(keys::user(app, user), keys::device(platform, connection.as_ref()))
            .set(register, item::number(seen.at.0))
            .or_return_item();
        let is_newer = if_newer(register);
        let update = match seen.online {
            // The provider may know a device of which no callback arrived.
            DeviceSays::Online => update
                .set(EXPIRES_AT, item::number(seen.at.after(self.retention).seconds().0))
                .only_if(is_newer),
            DeviceSays::Offline => {
                update.only_if(format!("attribute_exists({PK}) AND ({is_newer})"))
            }
        };
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Outcome::Applied,
            Written::No(known) => match item::millis(&known, register)? {
                None => Outcome::Ignored,
                Some(at) if at == seen.at => Outcome::Duplicate,
                Some(_) => Outcome::Stale,
            },
        })
    }

    /// Adds that a session is offline to the user's sessions. That one is online is never added: no
    /// provider names the session that it means.
    async fn add_session(
        &self,
        app: &App,
        user: &UserId,
        session: &SessionId,
        seen: &DeviceSeen,
    ) -> Result<Outcome, StoreError> {
        if seen.online == DeviceSays::Online {
            return Ok(Outcome::Ignored);
        }
        let mark = SessionMark {
            at: seen.at,
            state: SessionState::SeenOffline,
            session: session.clone(),
            platform: seen.device.platform.clone(),
        };
        let update = Update::of(keys::user(app, user), keys::SESSIONS)
            .add(SESSIONS, item::session_set([&mark]))
            .given("mark", item::session_mark(&mark))
            .only_if(format!("attribute_exists({PK}) AND NOT contains({SESSIONS}, :mark)"))
            .or_return_item();
        Ok(match self.table.update(update).await? {
            Written::Yes(_) => Outcome::Applied,
            Written::No(known) if known.is_empty() => Outcome::Ignored,
            Written::No(_) => Outcome::Duplicate,
        })
    }

    /// Notes that the provider confirmed at a time who is in a room: in its newest life, or in a
    /// room of which no life is known.
    ///
    /// # Errors
    ///
    /// As [`Observer::add`].
    pub async fn set_room_checked(
        &self,
        app: &App,
        room: &RoomId,
        life: Option<&LifeId>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let update = Update::of(keys::room(app, room), keys::checked(life))
            .set(CHECKED_AT, item::number(at.0))
            .set_if_missing(EXPIRES_AT, self.expiry_of_room(at))
            .only_if(if_newer(CHECKED_AT));
        self.table.update(update).await.map(drop)
    }

    /// What is noted of a room outlives the seats that were seen in it.
    fn expiry_of_room(&self, at: UnixMillis) -> AttributeValue {
        item::number(at.after(self.retention).after(self.retention).seconds().0)
    }

    /// Notes that the provider confirmed at a time what is known of some of a user's devices. Of
    /// sessions, it is one note for all of them.
    ///
    /// # Errors
    ///
    /// As [`Observer::add`].
    pub async fn set_devices_checked(
        &self,
        app: &App,
        user: &UserId,
        devices: impl IntoIterator<Item = &DeviceName>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let place = |device: &DeviceName| match device_items(app.provider) {
            DeviceItems::Sessions => keys::SESSIONS.to_owned(),
            DeviceItems::Each => keys::device(&device.platform, device.connection.as_ref()),
        };
        let places: BTreeSet<String> = devices.into_iter().map(place).collect();
        let is_newer = if_newer(CHECKED_AT);
        for place in places {
            let update = Update::of(keys::user(app, user), place)
                .set(CHECKED_AT, item::number(at.0))
                .only_if(format!("attribute_exists({PK}) AND ({is_newer})"));
            self.table.update(update).await?;
        }
        Ok(())
    }
}

/// Makes an observation the newest of its kind on its seat. The caller adds the condition.
fn on_seat(observation: &SeatObservation, name: &str) -> Update {
    let SeatObservation { app, user, room, life, seen, .. } = observation;
    Update::of(keys::user(app, user), keys::seat(room, life.as_ref(), Track::Media))
        .set(name, item::bytes(Blob::new(seen.to_bytes())))
        .or_return_item()
}

/// The condition that a value is greater than the stored one.
pub(super) fn if_newer(name: &str) -> String {
    format!("attribute_not_exists({name}) OR {name} < :{name}")
}

fn outcome(written: &Written, name: &str, seen: &Seen) -> Result<Outcome, StoreError> {
    Ok(match written {
        Written::Yes(_) => Outcome::Applied,
        Written::No(known) => match item::seen(known, name)? {
            None => Outcome::Ignored,
            Some(known) if known == *seen => Outcome::Duplicate,
            Some(_) => Outcome::Stale,
        },
    })
}
