//! The table and its index: the definition that `cargo run` and the tests use, and that a test
//! compares with `template.yaml`; and a connection to the table.

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::{
    StoreError,
    item::{self, Item},
};

/// The name of the index.
pub const INDEX: &str = "gsi1";

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
pub(super) const INDEX_PK: &str = "gsi1pk";
pub(super) const INDEX_SK: &str = "gsi1sk";

/// The schema of the table. All keys are strings, billing is on demand, and the index projects all
/// attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDefinition {
    /// Partition and sort key of the table.
    pub key: [&'static str; 2],
    /// The name of its one index.
    pub index: &'static str,
    /// Partition and sort key of the index.
    pub index_key: [&'static str; 2],
    /// The attribute with the time, in Unix seconds, from which DynamoDB may delete an item.
    pub ttl: &'static str,
}

/// Rollcall's table.
pub const TABLE: TableDefinition = TableDefinition {
    key: [PK, SK],
    index: INDEX,
    index_key: [INDEX_PK, INDEX_SK],
    ttl: item::EXPIRES_AT,
};

/// A connection to one table, which a [`super::Reader`] and a [`super::Writer`] share. The writes
/// are its methods in `write/`, the queries those in `read/`.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
}

impl Table {
    pub(super) fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
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
    /// Creates the table if there is none of that name. For DynamoDB on a laptop and in tests. In
    /// the cloud, `template.yaml` creates it, and adds a stream. Here nothing would read the
    /// stream, and the embedded DynamoDB goes through all of it at every write.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if DynamoDB does not answer or refuses.
    pub async fn create(&self, client: &Client, table: &str) -> Result<(), StoreError> {
        let attributes = self.key.into_iter().chain(self.index_key).map(|name| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
        });
        let index = GlobalSecondaryIndex::builder()
            .index_name(self.index)
            .set_key_schema(Some(key_schema(self.index_key)?))
            .projection(Projection::builder().projection_type(ProjectionType::All).build())
            .build();
        let created = client
            .create_table()
            .table_name(table)
            .set_key_schema(Some(key_schema(self.key)?))
            .set_attribute_definitions(Some(attributes.collect::<Result<_, _>>()?))
            .global_secondary_indexes(index?)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if is_in_use(&error) => return Ok(()),
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
