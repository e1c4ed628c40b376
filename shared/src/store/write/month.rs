//! That a user was active in a month: one small item, which is counted in the index.

use super::{
    super::{
        StoreError, item, keys,
        table::{EXPIRES_AT, INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
    update::written_once,
};
use crate::domain::{App, Month, Outcome, UnixMillis, UserId};

/// How long a month can be counted after a user's first login in it: more than a year.
const KEPT: std::time::Duration = std::time::Duration::from_hours(400 * 24);

impl Writer {
    /// Counts a user for a month, once.
    pub(super) async fn count_for_month(
        &self,
        app: &App,
        user: &UserId,
        month: Month,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let sending = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .item(PK, item::string(keys::user(app, user)))
            .item(SK, item::string(keys::month(month)))
            .item(INDEX_PK, item::string(keys::month_of(app, month, user)))
            .item(INDEX_SK, item::string(keys::month_row(user)))
            .item(EXPIRES_AT, item::number(received_at.after(KEPT).seconds().0))
            .condition_expression(format!("attribute_not_exists({PK})"))
            .send();
        written_once(sending).await
    }
}
