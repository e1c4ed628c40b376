//! Registrations: one of a user, or all of an app in the order of time.

use std::collections::HashMap;

use futures::{Stream, TryStreamExt, stream};

use super::{
    super::{
        StoreError,
        item::{
            self, CREATE_TIME, DETAILS, DISPLAY_NAME, EXTRA, FIRST_LOGIN, Item, OLD_DETAILS,
            PROFILE_CHANGED_AT, PROFILE_READ_AT, RECONCILED, RECORDED_AT, SOURCE,
        },
        keys::{self, REGISTRATION_SHARDS},
        table::{PK, SK},
    },
    Reader,
    rows::{Direction, Merged, rows_per_shard},
};
use crate::domain::{
    App, Profile, Registered, Registration, RegistrationSource, UnixMillis, UserId,
};

/// A part of the list of an app's registrations.
#[derive(Debug, Clone)]
pub struct RegistrationsPage<'a> {
    /// The first time that is listed.
    pub from: UnixMillis,
    /// The last time that is listed.
    pub to: UnixMillis,
    /// The end of the previous page; `None` for the first page.
    pub after: Option<&'a str>,
    /// About how many registrations are read with the first requests.
    pub at_first: usize,
}

/// A registration in the list of an app.
#[derive(Debug, Clone)]
pub struct RegistrationRow {
    /// Its place in the list: where a page after it begins.
    pub row: String,
    /// The registration.
    pub registered: Registered,
}

/// What a provider has reported of a user's account, without what was erased.
#[derive(Debug, Clone)]
pub enum Account {
    /// The user is registered.
    Registered(Registered),
    /// The registration never arrived, or was erased. The profile changed then.
    Changed(UnixMillis),
}

impl Reader {
    /// The registration of a user, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn registration(
        &self,
        app: &App,
        user: &UserId,
    ) -> Result<Option<Registered>, StoreError> {
        Ok(match self.account(app, user).await? {
            Some(Account::Registered(registered)) => Some(registered),
            Some(Account::Changed(_)) | None => None,
        })
    }

    /// What the provider has reported of a user's account, read consistently.
    ///
    /// # Errors
    ///
    /// As [`Reader::registration`].
    pub async fn account(&self, app: &App, user: &UserId) -> Result<Option<Account>, StoreError> {
        let read = self.table.item(keys::user(app, user), keys::REGISTRATION.to_owned()).await?;
        read.map_or(Ok(None), |item| self.read_account(app, user, &item))
    }

    /// Reads the item of a registration; `None` if all of it was erased.
    pub(super) fn read_account(
        &self,
        app: &App,
        user: &UserId,
        item: &Item,
    ) -> Result<Option<Account>, StoreError> {
        let erased = self.erased.of(app, user);
        let mut profile = read_profile(item)?;
        profile.changed_at =
            profile.changed_at.filter(|at| !erased.is_some_and(|erased| erased.covers(*at)));
        if item::is_registered(item) {
            let registration = read_registration(app, item)?;
            if !self.is_erased(&registration) {
                return Ok(Some(Account::Registered(Registered { registration, profile })));
            }
        }
        Ok(profile.changed_at.map(Account::Changed))
    }

    /// An app's registrations without `extra`, by the time they are from, the earliest first.
    pub fn registrations<'a>(
        &'a self,
        app: &'a App,
        page: &RegistrationsPage<'a>,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<RegistrationRow, StoreError>> + Send + 'a {
        // A client may send any cursor: it must not lead to before the time span.
        let start = keys::time(page.from);
        let from = page.after.filter(|after| **after > *start).map_or(start, ToOwned::to_owned);
        let to = keys::time_end(page.to);
        let shards = (0..REGISTRATION_SHARDS).map(|shard| {
            let (partition, range) = (keys::registrations(app, shard), (from.clone(), to.clone()));
            let page_size = rows_per_shard(page.at_first, REGISTRATION_SHARDS);
            self.rows(partition, range, Direction::OldestFirst, page_size, now)
        });
        let after = page.after;
        let merged = Merged::new(shards.collect(), Direction::OldestFirst);
        let rows = stream::once(merged).map_ok(|merged| {
            stream::try_unfold(merged, async |mut merged| {
                Ok::<_, StoreError>(merged.next().await?.map(|row| (row, merged)))
            })
        });
        rows.try_flatten()
            .try_filter(move |(row, _)| std::future::ready(Some(row.as_str()) != after))
            .try_filter_map(move |(row, item)| {
                let read = keys::parse_user(item::text(&item, PK).unwrap_or_default())
                    .and_then(|user| self.read_account(app, &user, &item));
                std::future::ready(read.map(|account| match account {
                    Some(Account::Registered(registered)) => {
                        Some(RegistrationRow { row, registered })
                    }
                    // The index may lag behind an erasure.
                    Some(Account::Changed(_)) | None => None,
                }))
            })
    }

    /// `extra` of some users, at most 100, each named once. The list of an app's
    /// registrations does not have it: it may be longer than all the rest.
    ///
    /// # Errors
    ///
    /// As [`Reader::registration`].
    pub async fn extras(
        &self,
        app: &App,
        users: impl IntoIterator<Item = &UserId>,
    ) -> Result<HashMap<UserId, String>, StoreError> {
        let key = |user| {
            let key = [(PK, keys::user(app, user)), (SK, keys::REGISTRATION.to_owned())];
            item::of(key.map(|(name, value)| (name, item::string(value))))
        };
        let mut extras = HashMap::new();
        for item in self.by_keys(users.into_iter().map(key).collect()).await? {
            if let Some(extra) = item::optional_text(&item, EXTRA) {
                extras.insert(keys::parse_user(item::text(&item, PK)?)?, extra.clone());
            }
        }
        Ok(extras)
    }

    /// Whether a registration is one of somebody who was erased since.
    #[must_use]
    pub fn is_erased(&self, registration: &Registration) -> bool {
        let erased = self.erased.of(&registration.app, &registration.user);
        erased.is_some_and(|erased| erased.covers_registration(registration))
    }
}

/// What is known of the profile of a registration's item.
pub(super) fn read_profile(item: &Item) -> Result<Profile, StoreError> {
    let at = |name| item::millis(item, name);
    Ok(Profile { changed_at: at(PROFILE_CHANGED_AT)?, read_at: at(PROFILE_READ_AT)? })
}

fn read_registration(app: &App, item: &Item) -> Result<Registration, StoreError> {
    let old = OLD_DETAILS.into_iter().filter_map(|name| Some((name.into(), item.get(name)?)));
    let others = item.get(DETAILS).and_then(|details| details.as_m().ok()).into_iter().flatten();
    let details = old.chain(others.map(|(name, value)| (name.clone().into(), value)));
    Ok(Registration {
        app: app.clone(),
        user: keys::parse_user(item::text(item, PK)?)?,
        source: match item::text(item, SOURCE)? {
            FIRST_LOGIN => RegistrationSource::FirstLogin,
            RECONCILED => RegistrationSource::Reconciled,
            _ => RegistrationSource::Callback,
        },
        create_time: item::millis(item, CREATE_TIME)?,
        recorded_at: item::millis(item, RECORDED_AT)?
            .ok_or(StoreError::Item("a registration has no time"))?,
        name: item::optional_text(item, DISPLAY_NAME),
        details: details.map(|(name, value)| (name, item::read_detail(value))).collect(),
    })
}
