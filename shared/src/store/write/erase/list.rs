//! The list of an app's erasures, as it is written.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;

use super::{
    super::{
        super::{
            StoreError,
            erasures::{Erasure, HashKey, UserHash},
            item::{self, ERASED_AT, ERASED_ITEMS, EXPIRES_AT, HASH_KEY},
            keys,
            read::{read_erasure, read_hash_key},
            table::{PK, SK},
        },
        update::{Update, Written},
    },
    Eraser, Person,
};
use crate::domain::{App, Outcome, UnixMillis};

/// How long an erasure is remembered, in addition to what is stored about people.
const REMEMBERED: Duration = Duration::from_hours(15 * 24);

impl Eraser {
    /// The hash of a person's id. The app's random key is made if there is none yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or there is no randomness.
    pub async fn hash(&self, person: &Person) -> Result<UserHash, StoreError> {
        let app = &person.app;
        for _ in 0..2 {
            let known = self.writer.table.item(keys::erasures(app), keys::HASH_KEY.to_owned());
            if let Some(item) = known.await? {
                return Ok(read_hash_key(&item)?.hash(&person.user));
            }
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|_| {
                StoreError::Item("there is no randomness for the key of the hashes")
            })?;
            let attributes = [
                (PK, item::string(keys::erasures(app))),
                (SK, item::string(keys::HASH_KEY)),
                (HASH_KEY, item::bytes(Blob::new(key))),
            ];
            if self.writer.table.put_first(item::of(attributes)).await? == Outcome::Applied {
                return Ok(HashKey(key).hash(&person.user));
            }
            // Somebody else made it first.
        }
        Err(StoreError::Item("the key of the hashes came and went"))
    }

    /// Notes that a person was erased: what is not newer than `at` is not there any more, to
    /// whatever reads the table. Returns the time that counts, which is later if the person was
    /// erased later.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not known to be noted.
    pub async fn note(
        &self,
        app: &App,
        hash: UserHash,
        at: UnixMillis,
    ) -> Result<UnixMillis, StoreError> {
        let expires_at = at.after(self.writer.retention).after(REMEMBERED).seconds();
        let update = Update::of(keys::erasures(app), keys::erasure(&hash.0))
            .set(ERASED_AT, item::number(at.0))
            .set(EXPIRES_AT, item::number(expires_at.0))
            .only_if(format!("attribute_not_exists({ERASED_AT}) OR {ERASED_AT} < :{ERASED_AT}"))
            .or_return_item();
        match self.writer.table.update(update).await? {
            Written::Yes(_) => Ok(at),
            Written::No(noted) => Ok(item::millis(&noted, ERASED_AT)?.unwrap_or(at)),
        }
    }

    /// What is noted of a person's erasure; `None` if it was forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer.
    pub async fn noted(&self, app: &App, hash: UserHash) -> Result<Option<Erasure>, StoreError> {
        let noted = self.writer.table.item(keys::erasures(app), keys::erasure(&hash.0));
        noted.await?.map(|item| read_erasure(&item)).transpose()
    }

    /// Adds to the number of a person's erased items.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not known to be added.
    pub async fn count(&self, app: &App, hash: UserHash, items: u64) -> Result<(), StoreError> {
        let update = Update::of(keys::erasures(app), keys::erasure(&hash.0))
            .add(ERASED_ITEMS, item::number(items))
            .only_if(format!("attribute_exists({ERASED_AT})"));
        self.writer.table.update(update).await?;
        Ok(())
    }
}
