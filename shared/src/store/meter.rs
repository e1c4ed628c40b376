//! How many read units a client consumes, as DynamoDB counts them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        query::{QueryInput, QueryOutput},
    },
    types::ReturnConsumedCapacity,
};

/// Half a unit is the least that a request consumes.
const PARTS: f64 = 2.0;

/// Counts the read units of a client's requests: an eventually consistent read of 4 KB is half a
/// unit, a consistent one is one.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// The same client, whose reads are counted.
    #[must_use]
    pub fn watch(&self, client: &Client) -> Client {
        Client::from_conf(client.config().to_builder().interceptor(self.clone()).build())
    }

    /// The units that were consumed since the last call.
    #[must_use]
    pub fn take(&self) -> f64 {
        // It counts as exactly as a float does, far beyond what a table can be asked for.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let parts = self.0.swap(0, Ordering::Relaxed) as f64;
        parts / PARTS
    }

    fn add(&self, units: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut")]
        self.0.fetch_add((units * PARTS).ceil() as u64, Ordering::Relaxed);
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        if let Some(query) = input.downcast_mut::<QueryInput>() {
            query.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        } else if let Some(get) = input.downcast_mut::<GetItemInput>() {
            get.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        } else if let Some(get) = input.downcast_mut::<BatchGetItemInput>() {
            get.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let query = output.downcast_ref::<QueryOutput>().map(QueryOutput::consumed_capacity);
        let get = || output.downcast_ref::<GetItemOutput>().map(GetItemOutput::consumed_capacity);
        let consumed = query.or_else(get).flatten();
        if let Some(units) = consumed.and_then(|consumed| consumed.capacity_units) {
            self.add(units);
        }
        let batch = output.downcast_ref::<BatchGetItemOutput>();
        for consumed in batch.into_iter().flat_map(BatchGetItemOutput::consumed_capacity) {
            self.add(consumed.capacity_units.unwrap_or_default());
        }
        Ok(())
    }
}
