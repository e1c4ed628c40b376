//! Function `reconcile` in this process.

use std::{sync::Arc, time::Duration};

use rollcall::{
    apps::SecretSource,
    aws,
    config::{DEFAULT_PEOPLE_PER_SECOND, ProviderApis},
    domain::Settings,
    reconcile::{REQUEST_LIMIT, Reconcile},
    record::Records,
    runtime,
    server_api::{Patience, ServerApis, Transport, TransportError},
    store::{self, Observer, PassStore, Reader, TableName, Writer},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// As in the cloud by default.
const EVERY: Duration = Duration::from_mins(5);

/// How long a run takes at most, as in the cloud.
const LIMIT: Duration = Duration::from_mins(13);

/// What asks the providers about the records in a table of a DynamoDB. A request to it takes at most
/// `limit`.
///
/// # Errors
///
/// [`TransportError`] if TLS cannot be set up.
pub fn reconcile_of(
    dynamodb: &aws::SdkConfig,
    limit: Duration,
    table: &TableName,
    retention: Duration,
    apis: SecretSource<ProviderApis>,
    settings: Settings,
) -> Result<Reconcile, TransportError> {
    let client = store::connect(dynamodb, limit);
    let reader = Reader::new(client.clone(), table).with_settings(settings);
    let transport = Transport::system(Patience::default())?;
    let apis = ServerApis::new(apis, transport, Arc::new(runtime::now));
    Ok(Reconcile {
        records: Records::new(reader.clone(), Duration::ZERO),
        reader,
        observer: Observer::new(client.clone(), table, retention),
        writer: Writer::new(client.clone(), table, retention),
        passes: PassStore::new(client, table),
        apis: Arc::new(apis),
        people_per_second: DEFAULT_PEOPLE_PER_SECOND,
        request_limit: REQUEST_LIMIT,
    })
}

/// Asks about all apps every five minutes.
pub async fn reconcile_in_time(reconcile: Reconcile) {
    let mut times = interval_at(Instant::now() + EVERY, EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let now = runtime::now();
        let run_id = format!("{}-{now}", std::process::id());
        if let Err(error) = reconcile.run(&run_id, now, Instant::now() + LIMIT).await {
            tracing::error!(%error, "a run of passes ended early");
        }
    }
}
