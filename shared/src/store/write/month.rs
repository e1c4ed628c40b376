//! A user's activity in a month: one small item, which is counted in the index.

use super::{
    super::{
        StoreError,
        item::{self, LOGIN_AT},
        keys,
        table::{INDEX_PK, INDEX_SK, PK, SK},
    },
    Writer,
};
use crate::domain::{App, Month, Outcome, UnixMillis, UserId};

impl Writer {
    /// Counts a user for the month of a login, once. The earliest login stays.
    pub(super) async fn count_for_month(
        &self,
        app: &App,
        user: &UserId,
        login_at: UnixMillis,
        received_at: UnixMillis,
    ) -> Result<Outcome, StoreError> {
        let month = Month::from(login_at);
        let attributes = [
            (PK, item::string(keys::user(app, user))),
            (SK, item::string(keys::month(month))),
            (INDEX_PK, item::string(keys::month_of(app, month, user))),
            (INDEX_SK, item::string(keys::month_row(user))),
            (LOGIN_AT, item::number(login_at.0)),
            (item::EXPIRES_AT, item::number(received_at.after(keys::MONTH_KEPT).seconds().0)),
        ];
        self.table.put_lowest(item::of(attributes), LOGIN_AT).await
    }
}
