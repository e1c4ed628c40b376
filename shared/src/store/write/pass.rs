//! What passes over rooms and people write for themselves: the lease by which one asks at a time, and
//! what the next pass has to know.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_dynamodb::{Client, primitives::Blob};

use super::{
    super::{
        StoreError,
        item::{self, BRAKED, BRAKED_AT, DIFFERED, EXPIRES_AT, LAST_AT, PASSED_AT},
        keys::{self, LIVE, PASS},
        table::{Table, TableName},
    },
    lease::Lease,
    update::{Deletion, Update},
};
use crate::domain::{App, RoomId, UnixMillis};

/// How long a memory is kept: far longer than a pass over all rooms takes.
const KEPT: Duration = Duration::from_hours(24);

/// How many digests a memory has at most: an item of DynamoDB has 400 KB.
const MAX_DIGESTS: usize = 10_000;

/// The items of passes.
#[derive(Debug, Clone)]
pub struct PassStore {
    table: Table,
}

/// A digest that stands for a person and what was known of them.
pub type PersonDigest = [u8; 16];

/// What a pass leaves to the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomMemory {
    /// When the brake held up an answer first, and a digest of that answer.
    pub braked: Option<(UnixMillis, [u8; 32])>,
    /// Whose stays could not be made to agree with the provider, or which devices the brake held up.
    /// At most 10,000 are kept.
    pub differed: BTreeSet<PersonDigest>,
}

impl RoomMemory {
    fn is_empty(&self) -> bool {
        self.braked.is_none() && self.differed.is_empty()
    }
}

impl PassStore {
    /// The items in the table of that name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Takes the lease of an app's passes until a time; `None` if another owner has it. An owner is
    /// one run, not a process.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the lease is not known to be taken. Then it ends by itself.
    pub async fn take(
        &self,
        app: &App,
        owner: &str,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<Option<Lease>, StoreError> {
        self.table.take_lease(keys::pass_of(app), owner, now, until).await
    }

    /// Keeps the lease until a time, and notes how far the work has come if that is given. Returns
    /// false if another owner has taken it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the lease is not known to be kept.
    pub async fn keep(
        &self,
        lease: &mut Lease,
        progress: Option<String>,
        until: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.table.keep_lease(lease, progress, until).await
    }

    /// Notes when a pass began that asked who is in a room, if the room is on the list of live rooms.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not known to be noted. The room is then asked about early.
    pub async fn passed(
        &self,
        app: &App,
        room: &RoomId,
        began_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let update = Update::of(keys::room(app, room), LIVE)
            .set(PASSED_AT, item::number(began_at.0))
            .only_if(format!("attribute_exists({LAST_AT})"));
        self.table.update(update).await.map(drop)
    }

    /// Notes that a room has to be asked about first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not known to be noted.
    pub async fn ask(&self, app: &App, room: &RoomId, now: UnixMillis) -> Result<(), StoreError> {
        let update = Update::of(keys::APPS.to_owned(), keys::asked(app, room))
            .set(EXPIRES_AT, item::number(now.after(KEPT).seconds().0));
        self.table.update(update).await.map(drop)
    }

    /// Notes that a room was asked about.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not known to be noted. It is then asked about again.
    pub async fn answered(&self, app: &App, room: &RoomId) -> Result<(), StoreError> {
        self.delete(keys::APPS.to_owned(), keys::asked(app, room)).await
    }

    /// What the last pass over a room has left.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn memory(
        &self,
        app: &App,
        room: &RoomId,
        now: UnixMillis,
    ) -> Result<RoomMemory, StoreError> {
        self.read(keys::room(app, room), PASS.to_owned(), now).await
    }

    /// Leaves something to the next pass over a room, in the place of `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not known to be written.
    pub async fn remember(
        &self,
        app: &App,
        room: &RoomId,
        before: &RoomMemory,
        memory: &RoomMemory,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(keys::room(app, room), PASS.to_owned(), before, memory, now).await
    }

    /// What the last pass over an app's people has left.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn memory_of_people(
        &self,
        app: &App,
        now: UnixMillis,
    ) -> Result<RoomMemory, StoreError> {
        self.read(keys::APPS.to_owned(), keys::people_of(app), now).await
    }

    /// Leaves something to the next pass over an app's people, in the place of `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not known to be written.
    pub async fn remember_people(
        &self,
        app: &App,
        before: &RoomMemory,
        memory: &RoomMemory,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(keys::APPS.to_owned(), keys::people_of(app), before, memory, now).await
    }

    async fn read(
        &self,
        pk: String,
        sk: String,
        now: UnixMillis,
    ) -> Result<RoomMemory, StoreError> {
        let stored = self.table.item(pk, sk).await?;
        let Some(stored) = stored.filter(|stored| !item::is_expired(stored, now)) else {
            return Ok(RoomMemory::default());
        };
        let digest = item::optional_bytes(&stored, BRAKED).and_then(|bytes| bytes.try_into().ok());
        let digests = stored.get(DIFFERED).and_then(|value| value.as_bs().ok());
        let digests = digests.into_iter().flatten();
        Ok(RoomMemory {
            braked: item::millis(&stored, BRAKED_AT)?.zip(digest),
            differed: digests.filter_map(|digest| digest.as_ref().try_into().ok()).collect(),
        })
    }

    async fn write(
        &self,
        pk: String,
        sk: String,
        before: &RoomMemory,
        memory: &RoomMemory,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        if memory.is_empty() {
            // Most rooms have nothing to remember, and had nothing.
            return if before.is_empty() { Ok(()) } else { self.delete(pk, sk).await };
        }
        let (at, digest) = memory.braked.unzip();
        let digests = memory.differed.iter().take(MAX_DIGESTS);
        let digests: Vec<Blob> = digests.map(|digest| Blob::new(digest.to_vec())).collect();
        let digests = (!digests.is_empty()).then(|| item::mark_set(digests));
        let update = Update::of(pk, sk)
            .set(EXPIRES_AT, item::number(now.after(KEPT).seconds().0))
            .set_or_remove(BRAKED_AT, at.map(|at| item::number(at.0)))
            .set_or_remove(BRAKED, digest.map(|digest| item::bytes(Blob::new(digest.to_vec()))))
            .set_or_remove(DIFFERED, digests);
        self.table.update(update).await.map(drop)
    }

    async fn delete(&self, pk: String, sk: String) -> Result<(), StoreError> {
        self.table.delete(Deletion::of_any(pk, sk)).await.map(drop)
    }
}
