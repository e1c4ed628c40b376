//! How many users were active in a month.

use aws_sdk_dynamodb::types::Select;
use futures::future::try_join_all;

use super::{
    super::{
        StoreError,
        keys::{self, MONTH_SHARDS},
        table::INDEX_PK,
    },
    Reader,
};
use crate::domain::{App, Month};

impl Reader {
    /// How many users were active in a month. The index may lag behind, usually by less than a
    /// second.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer.
    pub async fn active_users(&self, app: &App, month: Month) -> Result<usize, StoreError> {
        let shards = (0..MONTH_SHARDS).map(async |shard| {
            let mut pages = self
                .query_index(keys::month_shard(app, month, shard))
                .select(Select::Count)
                .key_condition_expression(format!("{INDEX_PK} = :pk"))
                .into_paginator()
                .send();
            let mut count = 0;
            while let Some(page) = pages.try_next().await? {
                count += usize::try_from(page.count).unwrap_or_default();
            }
            Ok::<_, StoreError>(count)
        });
        Ok(try_join_all(shards).await?.into_iter().sum())
    }
}
