//! The table and its index: the definition that `cargo run` and the tests use, and that a test
//! compares with `template.yaml`; and a connection to the table.

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
        GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::{
    StoreError,
    item::{self, Item},
};

/// The index that queries use.
pub const INDEX: TableIndex = TableIndex::Gsi2;

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
pub(super) const INDEX_PK: &str = "gsi1pk";
pub(super) const INDEX_SK: &str = "gsi1sk";

/// The indexes that a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum TableIndex {
    /// The index of tables from before, which projects all attributes. A registration's `extra` of 32
    /// KiB cost as much in it as in the table.
    Gsi1,
    /// The index of [`TABLE`].
    Gsi2,
}

/// A table by its name, and the index of it that queries use.
#[derive(Debug, Clone)]
pub struct TableName {
    /// Its name.
    pub name: String,
    /// The index.
    pub index: TableIndex,
}

impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), index: INDEX }
    }
}

impl From<&TableName> for TableName {
    fn from(table: &TableName) -> Self {
        table.clone()
    }
}

/// The schema of the table. All keys are strings, and billing is on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDefinition {
    /// Partition and sort key of the table.
    pub key: [&'static str; 2],
    /// Its one index.
    pub index: TableIndex,
    /// Partition and sort key of the index.
    pub index_key: [&'static str; 2],
    /// What the index has beside the keys: all attributes that an item with a row in it may have, except
    /// the long one of a registration. DynamoDB allows a hundred.
    pub index_attributes: &'static [&'static str],
    /// The attribute with the time, in Unix seconds, from which DynamoDB may delete an item.
    pub ttl: &'static str,
}

/// Rollcall's table.
pub const TABLE: TableDefinition = TableDefinition {
    key: [PK, SK],
    index: INDEX,
    index_key: [INDEX_PK, INDEX_SK],
    index_attributes: &item::IN_INDEX,
    ttl: item::EXPIRES_AT,
};

/// A connection to one table, which a [`super::Reader`] and a [`super::Writer`] share. The writes
/// are its methods in `write/`, the queries those in `read/`.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) index: &'static str,
}

impl Table {
    pub(super) fn new(client: Client, table: impl Into<TableName>) -> Self {
        let TableName { name, index } = table.into();
        Self { client, name, index: index.into() }
    }

    /// One item, read consistently. A writer needs this too, at its start and for a seat that
    /// has grown too large.
    pub(super) async fn item(&self, pk: String, sk: String) -> Result<Option<Item>, StoreError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.name)
            .consistent_read(true)
            .key(PK, item::string(pk))
            .key(SK, item::string(sk));
        // The SDK's futures are tens of kilobytes.
        Ok(Box::pin(read.send()).await?.item)
    }
}

impl TableDefinition {
    /// Creates the table if there is none of that name, and the index if the table has another one. For
    /// DynamoDB on a laptop and in tests. In the cloud, `template.yaml` creates it, and adds a stream.
    /// Here nothing would read the stream, and the embedded DynamoDB goes through all of it at every
    /// write.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or refuses.
    pub async fn create(&self, client: &Client, table: &str) -> Result<(), StoreError> {
        let index = GlobalSecondaryIndex::builder()
            .index_name(<&str>::from(self.index))
            .set_key_schema(Some(key_schema(self.index_key)?))
            .projection(self.projection())
            .build();
        let created = client
            .create_table()
            .table_name(table)
            .set_key_schema(Some(key_schema(self.key)?))
            .set_attribute_definitions(Some(self.attributes()?))
            .global_secondary_indexes(index?)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if is_in_use(&error) => return self.create_index(client, table).await,
            Err(error) => return Err(error.into()),
        }
        let ttl = TimeToLiveSpecification::builder().attribute_name(self.ttl).enabled(true).build();
        client
            .update_time_to_live()
            .table_name(table)
            .time_to_live_specification(ttl?)
            .send()
            .await?;
        Ok(())
    }

    /// Gives the index to a table of before. Its old index stays: an older version may still use it.
    async fn create_index(&self, client: &Client, table: &str) -> Result<(), StoreError> {
        let name: &str = self.index.into();
        let known = client.describe_table().table_name(table).send().await?.table;
        let indexes = known.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
        if indexes.iter().any(|index| index.index_name.as_deref() == Some(name)) {
            return Ok(());
        }
        let index = CreateGlobalSecondaryIndexAction::builder()
            .index_name(name)
            .set_key_schema(Some(key_schema(self.index_key)?))
            .projection(self.projection())
            .build();
        client
            .update_table()
            .table_name(table)
            .set_attribute_definitions(Some(self.attributes()?))
            .global_secondary_index_updates(
                GlobalSecondaryIndexUpdate::builder().create(index?).build(),
            )
            .send()
            .await?;
        Ok(())
    }

    fn attributes(&self) -> Result<Vec<AttributeDefinition>, BuildError> {
        let attribute = |name| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
        };
        self.key.into_iter().chain(self.index_key).map(attribute).collect()
    }

    fn projection(&self) -> Projection {
        let attributes = self.index_attributes.iter().map(|name| (*name).to_owned()).collect();
        Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(attributes))
            .build()
    }
}

fn key_schema([pk, sk]: [&str; 2]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name: &str, key_type| {
        KeySchemaElement::builder().attribute_name(name).key_type(key_type).build()
    };
    [element(pk, KeyType::Hash), element(sk, KeyType::Range)].into_iter().collect()
}

fn is_in_use(error: &SdkError<CreateTableError>) -> bool {
    error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception)
}
