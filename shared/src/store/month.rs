//! Who was active in a month: one small item for each user and month, counted in the index.

use aws_sdk_dynamodb::types::Select;
use futures::future::try_join_all;

use super::{
    Store, StoreError, item,
    keys::{self, MONTH_SHARDS},
    table::{EXPIRES_AT, INDEX_PK, INDEX_SK, PK, SK},
    write::written_once,
};
use crate::domain::{App, Month, Outcome, UnixMillis, UserId};

/// How long a month can be counted after a user's first login in it: more than a year.
const KEPT: std::time::Duration = std::time::Duration::from_hours(400 * 24);

impl Store {
    /// Counts a user for a month, once.
    pub(super) async fn count_for_month(
        &self,
        app: &App,
        user: &UserId,
        month: Month,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let sending = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(PK, item::string(keys::user(app, user)))
            .item(SK, item::string(keys::month(month)))
            .item(INDEX_PK, item::string(keys::month_of(app, month, user)))
            .item(INDEX_SK, item::string(keys::month_row(user)))
            .item(EXPIRES_AT, item::number(received_at.after(KEPT).seconds().0))
            .condition_expression(format!("attribute_not_exists({PK})"))
            .send();
        written_once(sending).await
    }

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
