//! The erasures of an app, and the note that it has a second track: one partition, which is normally
//! empty.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, TryStreamExt};

use super::{
    super::{
        StoreError,
        erasures::{Erasure, Erasures, HashKey, UserHash},
        item::{self, ERASED_AT, ERASED_ITEMS, Item},
        keys,
        table::{PK, SK},
    },
    Reader, rows,
};
use crate::domain::{App, UnixMillis};

/// Of how many apps the erasures are kept in memory.
const MAX_APPS: usize = 100;

impl Reader {
    /// The same reader, to which what was erased is not there.
    #[must_use]
    pub fn without(&self, erased: Arc<Erasures>) -> Self {
        Self { erased, ..self.clone() }
    }

    /// All erasures of an app, read consistently.
    async fn erasures(&self, app: &App, now: UnixMillis) -> Result<Erasures, StoreError> {
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk"))
            .expression_attribute_values(":pk", item::string(keys::erasures(app)));
        let mut items = pin!(rows::items(query, None, now));
        let (mut key, mut erased_at, mut has_second_track) = (None, HashMap::new(), false);
        while let Some(item) = items.try_next().await? {
            match item::text(&item, SK)? {
                keys::HASH_KEY => key = Some(read_hash_key(&item)?),
                keys::SECOND_TRACK => has_second_track = true,
                _ => {
                    let Erasure { hash, at, .. } = read_erasure(&item)?;
                    erased_at.insert(hash, at);
                }
            }
        }
        let erasures = Erasures::new(app, key, erased_at);
        Ok(if has_second_track { erasures.with_second_track(app) } else { erasures })
    }

    /// The erasures of an app in the order of their hashes, beginning after one of them.
    pub fn list_erasures(
        &self,
        app: &App,
        after: Option<&str>,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Erasure, StoreError>> + Send + use<> {
        // `$` is the character after `#`.
        let end = keys::ERASURE.replace('#', "$");
        let from = format!("{}{}", keys::ERASURE, after.unwrap_or_default());
        let query = self
            .query_table()
            .key_condition_expression(format!("{PK} = :pk AND {SK} BETWEEN :from AND :to"))
            .expression_attribute_values(":pk", item::string(keys::erasures(app)))
            .expression_attribute_values(":from", item::string(from))
            .expression_attribute_values(":to", item::string(end));
        let after = after.map(ToOwned::to_owned);
        let erasures = rows::items(query, None, now).and_then(async |item| read_erasure(&item));
        erasures.try_filter(move |erasure| {
            std::future::ready(after.as_deref() != Some(erasure.hash.to_string().as_str()))
        })
    }
}

pub(in super::super) fn read_hash_key(item: &Item) -> Result<HashKey, StoreError> {
    let key = item::optional_bytes(item, item::HASH_KEY).and_then(|key| key.try_into().ok());
    key.map(HashKey).ok_or(StoreError::Item("the key of the hashes is missing"))
}

pub(in super::super) fn read_erasure(item: &Item) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        hash: UserHash(keys::parse_erasure(item::text(item, SK)?)?),
        at: item::millis(item, ERASED_AT)?.ok_or(StoreError::Item("an erasure has no time"))?,
        items: item::optional_number(item, ERASED_ITEMS).unwrap_or_default(),
    })
}

/// The erasures of an app, and when they were read.
type ReadAt = (UnixMillis, Arc<Erasures>);

/// The erasures of all apps, each read again when it is older than a short time.
#[derive(Debug, Clone)]
pub struct ErasureList {
    reader: Reader,
    fresh_for: Duration,
    read: Arc<Mutex<HashMap<App, ReadAt>>>,
}

impl ErasureList {
    /// For how long a Lambda function uses what it has read: for so long after an erasure it may
    /// still return what could not be deleted yet.
    pub const FRESH_FOR: Duration = Duration::from_secs(5);

    /// The list in a table. What was read is used again for `fresh_for`.
    #[must_use]
    pub fn new(reader: Reader, fresh_for: Duration) -> Self {
        Self { reader, fresh_for, read: Arc::default() }
    }

    /// The erasures of an app.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or an item cannot be read.
    pub async fn of(&self, app: &App, now: UnixMillis) -> Result<Arc<Erasures>, StoreError> {
        let known = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known()
            .get(app)
            .filter(|(read_at, _)| (read_at.0..read_at.after(self.fresh_for).0).contains(&now.0))
            .map(|(_, erasures)| erasures.clone());
        if let Some(erasures) = fresh {
            return Ok(erasures);
        }
        let erasures = Arc::new(self.reader.erasures(app, now).await?);
        let mut known = known();
        // A client may ask for any number of apps.
        if known.len() >= MAX_APPS {
            known.clear();
        }
        known.insert(app.clone(), (now, erasures.clone()));
        Ok(erasures)
    }
}
