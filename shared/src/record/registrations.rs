//! Who is registered, and how many were active.

use std::ops::RangeInclusive;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{Record, RecordError};
use crate::{
    domain::{Detail, Month, Registered, Registration, UnixMillis, UserId},
    providers::Months,
    store::{Account, PeopleSource, PersonRow, RegistrationRow, RegistrationsPage},
};

impl<'a> Record<'a> {
    /// A user's registration, if they are registered.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn registration(self, user: &UserId) -> Result<Option<Registered>, RecordError> {
        Ok(self.store.registration(self.app, user).await?)
    }

    /// What the provider has reported of a user's account.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn account(self, user: &UserId) -> Result<Option<Account>, RecordError> {
        Ok(self.store.account(self.app, user).await?)
    }

    /// The registrations of a span of time without `extra`, the earliest first, each with its place in the list.
    /// They begin after the place `after`; about `at_first` of them are read at once.
    #[must_use]
    pub fn registrations(
        self,
        span: RangeInclusive<UnixMillis>,
        after: Option<&'a str>,
        at_first: usize,
    ) -> BoxStream<'a, Result<(String, Registered), RecordError>> {
        let (from, to) = span.into_inner();
        let page = RegistrationsPage { from, to, after, at_first };
        let rows = self.store.registrations(self.app, &page, self.now);
        rows.map_ok(|RegistrationRow { row, registered }| (row, registered)).err_into().boxed()
    }

    /// Adds what the list leaves out, because it may be longer than all the rest: `extra`.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the records cannot be read.
    pub async fn add_extras(self, listed: &mut [Registered]) -> Result<(), RecordError> {
        let users = listed.iter().map(|registered| &registered.registration.user);
        let mut extras = self.store.extras(self.app, users).await?;
        for Registered { registration, .. } in listed {
            if let Some(extra) = extras.remove(&registration.user) {
                registration.details.insert("extra".into(), Detail::Text(extra));
            }
        }
        Ok(())
    }

    /// Whether a registration is one of somebody who was erased since.
    #[must_use]
    pub fn is_erased(self, registration: &Registration) -> bool {
        self.store.is_erased(registration)
    }

    /// In how many parts the list of people who may be online on a device is read.
    #[must_use]
    pub fn parts_of_people(self) -> u8 {
        self.source_of_people().parts()
    }

    /// One part of the list of people who may be online on a device, after a place: where accounts are
    /// counted by month those who logged in in this month or the one before, otherwise those who are
    /// registered, and those whose profiles changed although their registrations never arrived.
    #[must_use]
    pub fn people(
        self,
        part: u8,
        after: Option<&'a str>,
    ) -> BoxStream<'a, Result<PersonRow, RecordError>> {
        let source = self.source_of_people();
        self.store.people(self.app, source, part, after, self.now).err_into().boxed()
    }

    fn source_of_people(self) -> PeopleSource {
        match self.rules().months {
            Months::Counted => PeopleSource::Active(self.now.into()),
            Months::NotCounted => PeopleSource::Registered,
        }
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
