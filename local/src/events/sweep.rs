//! Function `sweep` in this process.

use std::{num::NonZeroU32, time::Duration};

use rollcall::{
    aws,
    domain::Settings,
    record::Records,
    runtime,
    store::{self, LiveMarker, Meter, Reader, SweepStore, TableName},
    sweep::{Budget, Sweep},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// One part in twenty of its time: 5% of a CPU at most.
pub const SWEEP_BUDGET: Budget = Budget::OneIn(NonZeroU32::new(20).unwrap());

const MINUTE: Duration = Duration::from_mins(1);

/// How long a run takes at most, as in the cloud.
const LIMIT: Duration = Duration::from_secs(50);

/// The sweep of a table of the DynamoDB at that address. A request takes at most `limit`.
#[must_use]
pub fn sweep_of(
    dynamodb: &str,
    limit: Duration,
    table: &TableName,
    retention: Duration,
    settings: Settings,
) -> Sweep {
    let client = store::connect(&aws::at(dynamodb), limit);
    let meter = Meter::default();
    let reader = Reader::new(meter.watch(&client), table).with_settings(settings);
    Sweep {
        records: Records::new(reader.clone(), Duration::ZERO),
        reader,
        live: LiveMarker::new(client.clone(), table, retention),
        store: SweepStore::new(client, table, retention),
        meter,
        budget: SWEEP_BUDGET,
    }
}

/// Sweeps the lists of live rooms each minute.
pub async fn sweep_each_minute(sweep: Sweep) {
    let mut minutes = interval_at(Instant::now() + MINUTE, MINUTE);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        let now = runtime::now();
        let run_id = format!("{}-{now}", std::process::id());
        if let Err(error) = sweep.run(&run_id, now, Instant::now() + LIMIT).await {
            tracing::error!(%error, "a run of the sweep ended early");
        }
    }
}
