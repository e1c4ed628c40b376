//! Who is registered, and how many were active.

use std::ops::RangeInclusive;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Record, RecordError};
use crate::{
    domain::{Month, Registration, UnixMillis, UserId},
    store::{RegistrationRow, RegistrationsPage},
};

impl<'a> Record<'a> {
    /// A user's registration, if they are registered.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn registration(self, user: &UserId) -> Result<Option<Registration>, RecordError> {
        Ok(self.store.registration(self.app, user).await?)
    }

    /// The registrations of a span of time, the earliest first, each with its place in the list.
    /// They begin after the place `after`; about `at_first` of them are read at once.
    #[must_use]
    pub fn registrations(
        self,
        span: RangeInclusive<UnixMillis>,
        after: Option<&'a str>,
        at_first: usize,
    ) -> BoxStream<'a, Result<(String, Registration), RecordError>> {
        let (from, to) = span.into_inner();
        let page = RegistrationsPage { from, to, after, at_first };
        let rows = self.store.registrations(self.app, &page, self.now);
        rows.map_ok(|RegistrationRow { row, registration }| (row, registration)).err_into().boxed()
    }

    /// How many users were active in a month.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn active_users(self, month: Month) -> Result<usize, RecordError> {
        Ok(self.store.active_users(self.app, month).await?)
    }
}
