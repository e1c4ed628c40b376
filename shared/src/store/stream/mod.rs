//! The table's stream: which facts a write added.
//!
//! A record has an item's image before and after a write. What is new in the second one is a fact
//! that a provider reported: a mark on a seat, an end of a life, a boundary, a device's register, a
//! registration, a change of a profile. Marks that are only missing from it were moved to another
//! item, and are no fact.

mod facts;
mod image;

use serde::Deserialize;

pub use facts::{Fact, FactOf, NewFact};

use super::{
    StoreError,
    item::Item,
    table::{PK, SK},
};
use crate::domain::{App, RoomId, UnixMillis};

/// Who deletes an item whose time has come.
const TTL: &str = "dynamodb.amazonaws.com";

/// A record of the table's stream, with both images, as Lambda passes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StreamRecord {
    #[serde(rename = "eventID")]
    event_id: String,
    dynamodb: Images,
    #[serde(rename = "userIdentity")]
    by: Option<Identity>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Images {
    /// In seconds, with or without a fraction.
    approximate_creation_date_time: f64,
    #[serde(deserialize_with = "image::read")]
    keys: Item,
    #[serde(default, deserialize_with = "image::read_optional")]
    new_image: Option<Item>,
    #[serde(default, deserialize_with = "image::read_optional")]
    old_image: Option<Item>,
    #[serde(rename = "SequenceNumber")]
    number: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    principal_id: Option<String>,
}

/// All facts of an item, as if it had been written at once.
pub(super) fn facts_of(item: Item) -> Result<Vec<NewFact>, StoreError> {
    let key = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
    let keys = [PK, SK].into_iter().filter_map(key).collect();
    let dynamodb = Images {
        approximate_creation_date_time: 0.0,
        keys,
        new_image: Some(item),
        old_image: None,
        number: String::new(),
    };
    facts::of(&StreamRecord { event_id: String::new(), dynamodb, by: None })
}

impl StreamRecord {
    /// The id of the record: the same when it is delivered again, and no other record's.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.event_id
    }

    /// Its place among the records of the same item: a number of 21 to 40 digits.
    #[must_use]
    pub fn sequence_number(&self) -> &str {
        &self.dynamodb.number
    }

    /// When the item was written, by DynamoDB's clock, in whole seconds at least.
    #[must_use]
    pub fn written_at(&self) -> UnixMillis {
        // A float is cut at the ends of the integers.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut")]
        UnixMillis((self.dynamodb.approximate_creation_date_time * 1000.0) as u64)
    }

    /// Whether DynamoDB deleted the item because its time had come.
    fn is_expiry(&self) -> bool {
        self.by.as_ref().and_then(|by| by.principal_id.as_deref()) == Some(TTL)
    }

    /// The room that a write is about: of a seat, a life or a boundary, unless it was deleted.
    ///
    /// # Errors
    ///
    /// As [`Self::facts`].
    pub fn room(&self) -> Result<Option<(App, RoomId)>, StoreError> {
        facts::room(self)
    }

    /// The facts that the write added, in an order that is the same when the record is delivered
    /// again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Item`] if the item is not one that [`super::Writer`] writes.
    pub fn facts(&self) -> Result<Vec<NewFact>, StoreError> {
        facts::of(self)
    }
}
