//! That a user was active in a month: one small item, which is counted in the index.

use super::{
    super::{
        StoreError, item, keys,
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
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
        let attributes = [
            (PK, item::string(keys::user(app, user))),
            (SK, item::string(keys::month(month))),
            (INDEX_PK, item::string(keys::month_of(app, month, user))),
            (INDEX_SK, item::string(keys::month_row(user))),
            (item::EXPIRES_AT, item::number(received_at.after(KEPT).seconds().0)),
        ];
        self.table.put_first(item::of(attributes)).await
    }
}
