//! Registrations: one item for each user, of which the earliest receipt stays.

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::AttributeValue::{self, B, Bool, N},
};
use futures::{Stream, TryStreamExt, stream};
use sha1::{Digest, Sha1};

use super::{
    Store, StoreError,
    item::{
        self, AVATAR_URL, CREATE_TIME, DISPLAY_NAME, EXTRA, EXTRA_TRUNCATED, Item, MANAGER_LEVEL,
        RECEIVE_OPTION, RECORDED_AT, SOURCE,
    },
    keys::{self, SHARDS},
    rows::{Direction, Merged, rows_per_shard},
    table::{INDEX_PK, INDEX_SK, PK, SK},
    write::written_once,
};
use crate::domain::{App, Outcome, Registration, RegistrationSource, UnixMillis, UserId};

/// What decides between two registrations of one user: the time, then the content.
const EARLIEST: &str = "k";

/// A part of the list of an app's registrations.
#[derive(Debug, Clone)]
pub struct RegistrationsPage<'a> {
    /// The first time that is listed.
    pub from: UnixMillis,
    /// The last time that is listed.
    pub to: UnixMillis,
    /// Where the page before this one ended; `None` for the first page.
    pub after: Option<&'a str>,
    /// About how many registrations are read with the first requests.
    pub at_first: usize,
}

/// A registration in the list of an app's.
#[derive(Debug, Clone)]
pub struct RegistrationRow {
    /// Its place in the list: where a page after it begins.
    pub row: String,
    /// The registration.
    pub registration: Registration,
}

impl Store {
    pub(super) async fn register(
        &self,
        registration: &Registration,
    ) -> Result<Outcome, StoreError> {
        let written = write(registration);
        let order = written[EARLIEST].clone();
        let sending = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(written))
            .condition_expression(format!("attribute_not_exists({EARLIEST}) OR {EARLIEST} > :k"))
            .expression_attribute_values(":k", order)
            .send();
        written_once(sending).await
    }

    /// The registration of a user, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or the item cannot be read.
    pub async fn registration(
        &self,
        app: &App,
        user: &UserId,
    ) -> Result<Option<Registration>, StoreError> {
        let read = self.item(keys::user(app, user), keys::REGISTRATION.to_owned()).await?;
        read.map(|item| read_registration(app, &item)).transpose()
    }

    /// An app's registrations, by the time they are from, the earliest first.
    pub fn registrations<'a>(
        &'a self,
        app: &'a App,
        page: &RegistrationsPage<'a>,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<RegistrationRow, StoreError>> + Send + 'a {
        // A cursor is whatever a client sends: it must not lead to before the time span.
        let start = keys::time(page.from);
        let from = page.after.filter(|after| **after > *start).map_or(start, ToOwned::to_owned);
        let to = keys::time_end(page.to);
        let shards = (0..SHARDS).map(|shard| {
            let (partition, range) = (keys::registrations(app, shard), (from.clone(), to.clone()));
            let page_size = rows_per_shard(page.at_first);
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
            .and_then(move |(row, item)| {
                let read = read_registration(app, &item);
                std::future::ready(read.map(|registration| RegistrationRow { row, registration }))
            })
    }
}

const FIRST_LOGIN: &str = "first_login";

fn source_name(source: RegistrationSource) -> &'static str {
    match source {
        RegistrationSource::Callback => "callback",
        RegistrationSource::FirstLogin => FIRST_LOGIN,
    }
}

fn write(registration: &Registration) -> Item {
    let Registration { app, user, name, avatar_url, extra, .. } = registration;
    let row = keys::registration_row(registration.registered_at(), user);
    let integer = |number: i32| N(number.to_string());
    let optional = [
        (CREATE_TIME, registration.create_time.map(|time| item::number(time.0))),
        (DISPLAY_NAME, name.as_deref().map(item::string)),
        (AVATAR_URL, avatar_url.as_deref().map(item::string)),
        (EXTRA, extra.as_deref().map(item::string)),
        (MANAGER_LEVEL, registration.manager_level.map(integer)),
        (RECEIVE_OPTION, registration.receive_option.map(integer)),
    ];
    let required = [
        (PK, item::string(keys::user(app, user))),
        (SK, item::string(keys::REGISTRATION)),
        (INDEX_PK, item::string(keys::registrations_of(app, user))),
        (INDEX_SK, item::string(row)),
        (RECORDED_AT, item::number(registration.recorded_at.0)),
        (SOURCE, item::string(source_name(registration.source))),
        (EXTRA_TRUNCATED, Bool(registration.extra_truncated)),
        (EARLIEST, order(registration)),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    required.into_iter().chain(optional).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The time of which the earliest stays, then something of the content, so that two receipts at the same millisecond
/// have the same winner in any order.
fn order(registration: &Registration) -> AttributeValue {
    let mut content = Sha1::new();
    for text in [&registration.name, &registration.avatar_url, &registration.extra] {
        // The length tells two texts from one, and none from an empty one.
        content.update(text.as_ref().map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        content.update(text.as_deref().unwrap_or_default());
    }
    let create_time = registration.create_time.map_or(u64::MAX, |time| time.0);
    content.update(create_time.to_be_bytes());
    for number in [registration.manager_level, registration.receive_option] {
        content.update(number.map_or(i64::MIN, i64::from).to_be_bytes());
    }
    content.update([u8::from(registration.extra_truncated)]);
    let mut order = registration.order().0.to_be_bytes().to_vec();
    order.extend(&content.finalize()[..8]);
    B(Blob::new(order))
}

fn read_registration(app: &App, item: &Item) -> Result<Registration, StoreError> {
    let integer = |name: &str| item.get(name).and_then(|value| value.as_n().ok()?.parse().ok());
    Ok(Registration {
        app: app.clone(),
        user: keys::parse_user(item::text(item, PK)?)?,
        source: match item::text(item, SOURCE)? {
            FIRST_LOGIN => RegistrationSource::FirstLogin,
            _ => RegistrationSource::Callback,
        },
        create_time: item::millis(item, CREATE_TIME)?,
        recorded_at: item::millis(item, RECORDED_AT)?
            .ok_or(StoreError::Item("a registration has no time"))?,
        name: item::optional_text(item, DISPLAY_NAME),
        avatar_url: item::optional_text(item, AVATAR_URL),
        extra: item::optional_text(item, EXTRA),
        extra_truncated: item.get(EXTRA_TRUNCATED) == Some(&Bool(true)),
        manager_level: integer(MANAGER_LEVEL),
        receive_option: integer(RECEIVE_OPTION),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::ProviderName;

    /// Promise 3: of two receipts at one millisecond that differ the same one wins in any order.
    #[test]
    fn promise_3_convergent_no_two_registrations_have_one_order() {
        let text = |text: &str| Some(text.to_owned());
        let none = Registration {
            app: App { provider: ProviderName::OpenIm, id: "main".parse().unwrap() },
            user: "ada".parse().unwrap(),
            source: RegistrationSource::Callback,
            create_time: None,
            recorded_at: UnixMillis(1_700_000_000_000),
            name: None,
            avatar_url: None,
            extra: None,
            extra_truncated: false,
            manager_level: None,
            receive_option: None,
        };
        let truncated = Registration { extra_truncated: true, ..none.clone() };
        let mut registrations = vec![none.clone(), truncated];
        for content in ["", "x"] {
            registrations.push(Registration { name: text(content), ..none.clone() });
            registrations.push(Registration { avatar_url: text(content), ..none.clone() });
            registrations.push(Registration { extra: text(content), ..none.clone() });
        }
        for time in [0, 1] {
            registrations
                .push(Registration { create_time: Some(UnixMillis(time)), ..none.clone() });
        }
        for number in [-1, 0, 1] {
            registrations.push(Registration { manager_level: Some(number), ..none.clone() });
            registrations.push(Registration { receive_option: Some(number), ..none.clone() });
        }
        let orders =
            registrations.iter().map(|one| order(one).as_b().unwrap().clone().into_inner());
        assert_eq!(orders.collect::<HashSet<_>>().len(), registrations.len());
    }
}
