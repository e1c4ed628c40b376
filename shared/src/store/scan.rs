//! The only scan: for an operator who repairs what the reader of the stream has missed.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::ReturnConsumedCapacity};
use serde::{Deserialize, Serialize};

use super::{
    NewFact, StoreError,
    item::{self, ERASED_AT, EXPIRES_AT, Item, PROFILE_CHANGED_AT, PROFILE_READ_AT, RECORDED_AT},
    keys, stream,
    table::{PK, SK, Table, TableName},
};
use crate::domain::{App, UnixMillis};

/// Reads the whole table, and finds the items about which callbacks came in a span of time.
///
/// An item has the time of its newest callback in `expires_at`; a registration has it in
/// `recorded_at`, and in the times of its profile. A late callback that changes nothing newest leaves
/// that time as it is, so the span has to begin earlier by as much as callbacks came late.
#[derive(Debug, Clone)]
pub struct Scanner {
    table: Table,
    retention: Duration,
}

/// When callbacks were received: both ends count, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedIn {
    /// The first moment.
    pub from: UnixMillis,
    /// The last moment.
    pub to: UnixMillis,
}

/// The last item that a page has read. The next page begins after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPlace {
    pk: String,
    sk: String,
}

/// What one request found.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanPage {
    /// The facts of the items that were found, also older ones of the same items.
    pub facts: Vec<NewFact>,
    /// How many people were erased in the span. It is not known who.
    pub erased: u64,
    /// How many items were found that cannot be read.
    pub unreadable: u64,
    /// How many items were read.
    pub items: u64,
    /// How many read units that took.
    pub read_units: f64,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<ScanPlace>,
}

impl Scanner {
    /// A scanner of the table of that name, whose seats are kept for `retention`.
    #[must_use]
    pub fn new(client: Client, table: impl Into<TableName>, retention: Duration) -> Self {
        Self { table: Table::new(client, table), retention }
    }

    /// About how many items the table has. DynamoDB counts them every six hours.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or refuses.
    pub async fn about_items(&self) -> Result<u64, StoreError> {
        let described = self.table.client.describe_table().table_name(&self.table.name).send();
        let count = Box::pin(described).await?.table.and_then(|table| table.item_count);
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or_default())
    }

    /// Reads the items after a place, of one app or of all, up to a megabyte.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or refuses.
    pub async fn page(
        &self,
        app: Option<&App>,
        span: ReceivedIn,
        after: Option<&ScanPlace>,
    ) -> Result<ScanPage, StoreError> {
        let ReceivedIn { from, to } = span;
        // Lives are kept for twice the time of seats and devices.
        let seats = [from, to].map(|at| at.after(self.retention).seconds().0);
        let lives = [from, to].map(|at| at.after(self.retention).after(self.retention).seconds().0);
        let filter = format!(
            "({EXPIRES_AT} BETWEEN :seats_from AND :seats_to \
             OR {EXPIRES_AT} BETWEEN :lives_from AND :lives_to \
             OR {RECORDED_AT} BETWEEN :from AND :to OR {ERASED_AT} BETWEEN :from AND :to \
             OR {PROFILE_CHANGED_AT} BETWEEN :from AND :to \
             OR {PROFILE_READ_AT} BETWEEN :from AND :to)"
        );
        let filter = match app {
            Some(_) => format!("begins_with({PK}, :app) AND {filter}"),
            None => filter,
        };
        let app = app.map(|app| item::string(keys::of_app(app)));
        let values = [
            (":seats_from", Some(item::number(seats[0]))),
            (":seats_to", Some(item::number(seats[1]))),
            (":lives_from", Some(item::number(lives[0]))),
            (":lives_to", Some(item::number(lives[1]))),
            (":from", Some(item::number(from.0))),
            (":to", Some(item::number(to.0))),
            (":app", app),
        ];
        let values = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let place = after.map(|ScanPlace { pk, sk }| {
            [(PK, pk), (SK, sk)].map(|(name, text)| (name.to_owned(), item::string(text))).into()
        });
        #[expect(clippy::disallowed_methods, reason = "this is the only scan")]
        let whole = self.table.client.scan();
        let request = whole
            .table_name(&self.table.name)
            .filter_expression(filter)
            .set_expression_attribute_values(Some(values.collect()))
            .set_exclusive_start_key(place)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = Box::pin(request.send()).await?;
        let units = answer.consumed_capacity.and_then(|consumed| consumed.capacity_units);
        let mut page = ScanPage {
            facts: Vec::new(),
            erased: 0,
            unreadable: 0,
            items: answer.scanned_count.try_into().unwrap_or_default(),
            read_units: units.unwrap_or_default(),
            next: answer.last_evaluated_key.map(|key| place_of(&key)).transpose()?,
        };
        for item in answer.items.unwrap_or_default() {
            if item.contains_key(ERASED_AT) {
                page.erased += 1;
                continue;
            }
            match stream::facts_of(item) {
                Ok(facts) => page.facts.extend(facts),
                Err(error) => {
                    tracing::warn!(%error, "an item cannot be read");
                    page.unreadable += 1;
                }
            }
        }
        Ok(page)
    }
}

fn place_of(key: &Item) -> Result<ScanPlace, StoreError> {
    let [pk, sk] = [item::text(key, PK)?, item::text(key, SK)?].map(str::to_owned);
    Ok(ScanPlace { pk, sk })
}
