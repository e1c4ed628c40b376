//! Reading rows in order: of one partition page by page, and of several as if they were one.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::{
    super::{
        StoreError,
        item::{self, Item},
        table::{INDEX_PK, INDEX_SK},
    },
    Reader,
};
use crate::domain::UnixMillis;

/// The end from which rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    OldestFirst,
    NewestFirst,
}

/// A row of the index: its place among the others, and the item.
pub(super) type Row = (String, Item);

/// A query that was not sent yet, and how many items its first request asks for.
type Rest = (QueryFluentBuilder, Option<usize>);

/// The most items that a further request asks for, unless it asks for as many as fit into a megabyte.
const MAX_PAGE: usize = 1000;

/// How many requests of one query are in progress at the same time: the first answer of a function
/// has to open a connection for each of them.
const CONCURRENT_REQUESTS: usize = 16;

/// How many rows to read from each shard for a page of so many: they are spread almost evenly.
pub(super) fn rows_per_shard(limit: usize, shards: u8) -> usize {
    let evenly = limit / usize::from(shards);
    evenly + evenly / 4 + 8
}

/// Reads all of these, some of them at the same time.
pub(super) async fn read_all<T, F>(reads: impl Iterator<Item = F>) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let reads: Vec<F> = reads.collect();
    stream::iter(reads).buffered(CONCURRENT_REQUESTS).try_collect().await
}

impl Reader {
    /// A query of one partition of the index, newest first.
    pub(super) fn query_index(&self, partition: String) -> QueryFluentBuilder {
        self.table
            .client
            .query()
            .table_name(&self.table.name)
            .index_name(self.table.index)
            .scan_index_forward(false)
            .expression_attribute_values(":pk", item::string(partition))
    }

    /// A query of the rows of one partition of the index from one sort key to another, both
    /// included, newest first.
    pub(super) fn query_rows(
        &self,
        partition: String,
        [from, to]: [String; 2],
    ) -> QueryFluentBuilder {
        self.query_index(partition)
            .key_condition_expression(format!(
                "{INDEX_PK} = :pk AND {INDEX_SK} BETWEEN :from AND :to"
            ))
            .expression_attribute_values(":from", item::string(from))
            .expression_attribute_values(":to", item::string(to))
    }

    /// The rows of one partition of the index from one sort key to another, both included;
    /// `first_page` of them with the first request.
    pub(super) fn rows(
        &self,
        partition: String,
        (from, to): (String, String),
        direction: Direction,
        first_page: usize,
        now: UnixMillis,
    ) -> BoxStream<'_, Result<Row, StoreError>> {
        // DynamoDB refuses a range that ends before it begins.
        if to < from {
            return stream::empty().boxed();
        }
        let query = self
            .query_rows(partition, [from, to])
            .scan_index_forward(direction == Direction::OldestFirst);
        Front::unread(query, first_page).into_rows(now)
    }
}

/// What was read of a query, and what follows.
#[derive(Debug, Clone)]
pub(super) struct Front {
    /// The items that were read, also expired ones.
    pub(super) items: Vec<Item>,
    /// The query of the others, if there may be any, and how many its first request asks for.
    pub(super) more: Option<Rest>,
}

impl Front {
    /// Nothing was read yet.
    pub(super) fn unread(query: QueryFluentBuilder, first_page: usize) -> Self {
        Self { items: Vec::new(), more: Some((query, Some(first_page))) }
    }

    pub(super) fn is_unread(&self) -> bool {
        self.items.is_empty() && self.more.is_some()
    }

    /// Reads what is missing to so many items with one request; none if they are here, or if there
    /// are no more.
    pub(super) async fn extend_to(&mut self, items: usize) -> Result<(), StoreError> {
        let missing = items.saturating_sub(self.items.len());
        if missing == 0 {
            return Ok(());
        }
        self.more = self.more.take().map(|(query, _)| (query, Some(missing)));
        self.begin().await
    }

    /// Sends the first request.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        if let Some((query, size)) = self.more.take() {
            let (found, more) = page(query, size).await?;
            self.items.extend(found);
            self.more = more;
        }
        Ok(())
    }

    /// Leaves out the rows before a place. They have to be read newest first.
    pub(super) fn since(mut self, from: &str) -> Result<Self, StoreError> {
        for (number, item) in self.items.iter().enumerate() {
            if item::text(item, INDEX_SK)? < from {
                self.items.truncate(number);
                return Ok(Self { items: self.items, more: None });
            }
        }
        let since = |query: QueryFluentBuilder| {
            query.expression_attribute_values(":from", item::string(from))
        };
        self.more = self.more.map(|(query, size)| (since(query), size));
        Ok(self)
    }

    /// All items that are not expired. The first request asks for as many as was said, each further
    /// one for twice as many as the one before.
    pub(super) fn into_items(
        self,
        now: UnixMillis,
    ) -> impl Stream<Item = Result<Item, StoreError>> + Send {
        stream::iter(self.items.into_iter().map(Ok))
            // A query's future is large.
            .chain(further(self.more).map_ok(each).try_flatten().boxed())
            .try_filter(move |item| std::future::ready(!item::is_expired(item, now)))
    }

    /// The same as rows.
    pub(super) fn into_rows<'a>(self, now: UnixMillis) -> BoxStream<'a, Result<Row, StoreError>> {
        let row = async |item: Item| Ok((item::text(&item, INDEX_SK)?.to_owned(), item));
        self.into_items(now).and_then(row).boxed()
    }
}

fn each(items: Vec<Item>) -> impl Stream<Item = Result<Item, StoreError>> + Send {
    stream::iter(items.into_iter().map(Ok))
}

/// The results of a query, without expired items. A caller that needs few items passes the size of
/// the first request. Each further request asks for twice as many as the one before.
pub(super) fn items(
    query: QueryFluentBuilder,
    first_page: Option<usize>,
    now: UnixMillis,
) -> impl Stream<Item = Result<Item, StoreError>> + Send {
    Front { items: Vec::new(), more: Some((query, first_page)) }.into_items(now)
}

/// The results of a query page by page, with expired items.
pub(super) fn pages(
    query: QueryFluentBuilder,
    first_page: Option<usize>,
) -> impl Stream<Item = Result<Vec<Item>, StoreError>> + Send {
    further(Some((query, first_page)))
}

fn further(rest: Option<Rest>) -> impl Stream<Item = Result<Vec<Item>, StoreError>> + Send {
    stream::try_unfold(rest, async |rest| {
        let Some((query, size)) = rest else { return Ok::<_, StoreError>(None) };
        page(query, size).await.map(Some)
    })
}

/// The items that one request finds, and the query of those after them, if there may be any.
async fn page(
    query: QueryFluentBuilder,
    size: Option<usize>,
) -> Result<(Vec<Item>, Option<Rest>), StoreError> {
    let limit = size.map(|size| i32::try_from(size).unwrap_or(i32::MAX));
    let page = Box::pin(query.clone().set_limit(limit).send()).await?;
    let rest = page.last_evaluated_key.map(|last| {
        let larger = size.map(|size| (2 * size).min(MAX_PAGE));
        (query.set_exclusive_start_key(Some(last)), larger)
    });
    Ok((page.items.unwrap_or_default(), rest))
}

/// The rows of a partition: those that were read, and those that follow.
struct Partition<'a> {
    known: std::vec::IntoIter<Row>,
    further: BoxStream<'a, Result<Row, StoreError>>,
}

impl Partition<'_> {
    async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        match self.known.next() {
            Some(row) => Ok(Some(row)),
            None => self.further.try_next().await,
        }
    }
}

/// Rows of several partitions, each in its order, as if they were one.
pub(super) struct Merged<'a> {
    partitions: Vec<Partition<'a>>,
    heads: Vec<Option<Row>>,
    direction: Direction,
}

impl<'a> Merged<'a> {
    /// Reads the first row of each partition.
    pub(super) async fn new(
        partitions: Vec<BoxStream<'a, Result<Row, StoreError>>>,
        direction: Direction,
    ) -> Result<Self, StoreError> {
        let unread = |further| Partition { known: Vec::new().into_iter(), further };
        Self::of(partitions.into_iter().map(unread).collect(), direction).await
    }

    /// The same, when something was read of each.
    pub(super) async fn begun(
        fronts: Vec<Front>,
        direction: Direction,
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        let partitions = fronts.into_iter().map(|Front { items, more }| {
            let fresh = items.into_iter().filter(|item| !item::is_expired(item, now));
            let row = |item: Item| Ok((item::text(&item, INDEX_SK)?.to_owned(), item));
            let known: Vec<Row> = fresh.map(row).collect::<Result<_, StoreError>>()?;
            let further = Front { items: Vec::new(), more }.into_rows(now);
            Ok::<_, StoreError>(Partition { known: known.into_iter(), further })
        });
        Self::of(partitions.collect::<Result<_, _>>()?, direction).await
    }

    async fn of(
        mut partitions: Vec<Partition<'a>>,
        direction: Direction,
    ) -> Result<Self, StoreError> {
        let heads = read_all(partitions.iter_mut().map(Partition::next)).await?;
        Ok(Self { partitions, heads, direction })
    }

    /// The next row. Of rows with the same place, the one of the earliest partition comes first.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let heads = self.heads.iter().enumerate();
        let by_place = |(_, a): &(usize, &Row), (_, b): &(usize, &Row)| match self.direction {
            Direction::OldestFirst => a.0.cmp(&b.0),
            Direction::NewestFirst => b.0.cmp(&a.0),
        };
        let first =
            heads.filter_map(|(number, head)| Some((number, head.as_ref()?))).min_by(by_place);
        let Some((number, _)) = first else { return Ok(None) };
        let next = self.partitions[number].next().await?;
        Ok(std::mem::replace(&mut self.heads[number], next))
    }

    /// All remaining rows, in no order: first those that were read, and then the others from several
    /// partitions at the same time.
    pub(super) fn rest(self) -> impl Stream<Item = Result<Row, StoreError>> + Send + 'a {
        let (known, further): (Vec<_>, Vec<_>) =
            self.partitions.into_iter().map(|rows| (rows.known, rows.further)).unzip();
        let known = self.heads.into_iter().flatten().chain(known.into_iter().flatten());
        let further = stream::iter(further).flatten_unordered(CONCURRENT_REQUESTS);
        stream::iter(known.map(Ok)).chain(further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Shards;

    #[test]
    fn a_page_is_one_read_of_each_shard_and_little_more_than_it_returns() {
        for shards in [Shards::FEWEST, Shards::MOST] {
            for limit in [1, 10, 100, 1000] {
                let rows = rows_per_shard(limit, shards.number()) * usize::from(shards.number());
                // Also if a shard holds a quarter more than its share.
                let expected = limit * 5 / 4;
                let spare = 10 * usize::from(shards.number());
                let evenly = limit - limit % usize::from(shards.number());
                assert!((evenly * 5 / 4..=expected + spare).contains(&rows), "{limit}: {rows}");
                assert!(rows >= expected, "{limit}: {rows}");
            }
        }
    }
}
