//! List prices of us-east-1 in US dollars, before any free tier. A test finds them in
//! docs/performance.md.

/// A million requests to an HTTP API that it does not throttle.
pub(crate) const GATEWAY_PER_MILLION: f64 = 1.0;
/// A million calls of a function.
pub(crate) const LAMBDA_PER_MILLION: f64 = 0.2;
/// On x86-64.
pub(crate) const LAMBDA_PER_GB_SECOND: f64 = 0.000_016_666_7;
/// A million write units on demand. Writes that are throttled cost nothing.
pub(crate) const WRITE_UNITS_PER_MILLION: f64 = 0.625;
pub(crate) const LOGS_PER_GB: f64 = 0.5;
/// A million requests to a standard queue, each of up to 64 KB.
/// ([SQS](https://aws.amazon.com/sqs/pricing/))
pub(crate) const QUEUE_PER_MILLION: f64 = 0.4;
/// What a table or index holds, for a month, and the table's point-in-time recovery.
/// ([DynamoDB](https://aws.amazon.com/dynamodb/pricing/on-demand/))
pub(crate) const STORAGE_PER_GB_MONTH: f64 = 0.25;
pub(crate) const RECOVERY_PER_GB_MONTH: f64 = 0.2;
/// What DynamoDB counts for each item, and again in each index, beside its bytes.
/// ([Sizes](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html))
pub(crate) const ITEM_OVERHEAD_BYTES: f64 = 100.0;
/// Secrets, and the metrics of alarms, in a month.
pub(crate) const IDLE_PER_MONTH: f64 = 9.0;
pub(crate) const DAYS_PER_MONTH: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_the_same_prices() {
        let page = include_str!("../../../docs/performance.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for price in [
            format!("HTTP API: {GATEWAY_PER_MILLION:.2} $ per million requests"),
            format!("Lambda: {LAMBDA_PER_MILLION:.2} $ per million requests"),
            format!("{LAMBDA_PER_GB_SECOND:.10} $ per GB-second"),
            format!("{WRITE_UNITS_PER_MILLION:.3} $ per million write units"),
            format!("CloudWatch Logs: {LOGS_PER_GB:.2} $ per GB"),
            format!("SQS: {QUEUE_PER_MILLION:.2} $ per million requests"),
            format!("{STORAGE_PER_GB_MONTH:.2} $ per GB and month"),
            format!("{RECOVERY_PER_GB_MONTH:.2} $ for point-in-time recovery"),
        ] {
            assert!(page.contains(&price), "{price}");
        }
    }
}
