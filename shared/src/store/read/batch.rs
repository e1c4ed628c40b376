//! Reading several items by their keys with one request.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{
    super::{StoreError, item::Item},
    Reader,
};

/// In how many parts DynamoDB may read the items of one request.
const MOST_PARTS: usize = 10;

impl Reader {
    /// The items with these keys, of which each is named once, read consistently and in no order.
    pub(super) async fn by_keys(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        // DynamoDB may read a part of them only: of large items, or if there is too much to do.
        for _ in 0..MOST_PARTS {
            let of_table = KeysAndAttributes::builder().consistent_read(true).set_keys(Some(keys));
            let read = self
                .table
                .client
                .batch_get_item()
                .request_items(&self.table.name, of_table.build()?);
            let answer = Box::pin(read.send()).await?;
            let items = answer.responses.and_then(|mut items| items.remove(&self.table.name));
            found.extend(items.unwrap_or_default());
            let left = answer.unprocessed_keys.and_then(|mut left| left.remove(&self.table.name));
            keys = left.map(|left| left.keys).unwrap_or_default();
            if keys.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::OutOfTime)
    }
}
