//! Samples of an app's rooms and people.

use std::time::Duration;

use futures::{Stream, TryStreamExt};

use super::{
    super::{
        StoreError,
        item::{self, AT_LEAST, Item, ONLINE, ROOMS, SAMPLED_AT, TOOK_MS},
        keys,
        table::{PK, SK},
    },
    Reader, rows,
};
use crate::domain::{App, Counted, Sample, UnixMillis};

impl Reader {
    /// The samples of an app in a span of time, its ends included, the earliest first. About
    /// `at_first` of them are read with the first request. The span must not end before it begins.
    pub fn samples(
        &self,
        app: &App,
        from: UnixMillis,
        to: UnixMillis,
        at_first: usize,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Sample, StoreError>> + Send + use<> {
        let query = self
            .query_table()
            .consistent_read(false)
            .key_condition_expression(format!("{PK} = :pk AND {SK} BETWEEN :from AND :to"))
            .expression_attribute_values(":pk", item::string(keys::samples(app)))
            .expression_attribute_values(":from", item::string(keys::time(from)))
            .expression_attribute_values(":to", item::string(keys::time(to)));
        rows::items(query, Some(at_first), now).and_then(async |item| read(&item))
    }

    /// The newest sample of an app, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn newest_sample(
        &self,
        app: &App,
        now: UnixMillis,
    ) -> Result<Option<Sample>, StoreError> {
        let query = self
            .query_table()
            .consistent_read(false)
            .scan_index_forward(false)
            .key_condition_expression(format!("{PK} = :pk"))
            .expression_attribute_values(":pk", item::string(keys::samples(app)));
        let mut newest = std::pin::pin!(rows::items(query, Some(1), now));
        newest.try_next().await?.as_ref().map(read).transpose()
    }
}

fn read(item: &Item) -> Result<Sample, StoreError> {
    let number = |name| item::optional_number(item, name);
    let missing = || StoreError::Item("a number of a sample is missing");
    Ok(Sample {
        at: UnixMillis(number(SAMPLED_AT).ok_or_else(missing)?),
        took: Duration::from_millis(number(TOOK_MS).ok_or_else(missing)?),
        rooms: number(ROOMS).ok_or_else(missing)?,
        online: number(ONLINE).ok_or_else(missing)?,
        counted: if item.contains_key(AT_LEAST) { Counted::AtLeast } else { Counted::All },
    })
}
