//! What AWS allows, and how its services scale. Each number has its page.

use std::time::Duration;

/// How many messages of a standard queue may be in flight: received, and neither deleted nor visible
/// again. ([SQS quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html))
pub(crate) const MESSAGES_IN_FLIGHT: u64 = 120_000;

/// How many batches of a queue Lambda processes concurrently when messages appear, and how many more
/// after each minute. ([Scaling](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html))
pub(crate) const FIRST_BATCHES: u32 = 5;
pub(crate) const MORE_BATCHES_A_MINUTE: u32 = 300;

/// How many bytes a poller reads in a second, and for how many concurrent invocations. AWS says so of
/// pollers in provisioned mode, and says nothing of the default mode, which is taken to be no faster.
/// ([Parameters](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html))
pub(crate) const POLLER_BYTES_A_SECOND: u32 = 1_000_000;
pub(crate) const POLLER_INVOCATIONS: u32 = 10;

/// How many functions of an account run at once, unless AWS allows more; and what a stack for 10,000
/// callbacks a second asks for (docs/operations.md).
/// ([Quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html))
pub(crate) const CONCURRENCY: usize = 1_000;
pub(crate) const RAISED_CONCURRENCY: usize = 12_000;

/// How many instances of one function Lambda makes in ten seconds.
/// ([Scaling](https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html#scaling-rate))
pub(crate) const INSTANCES_IN_TEN_SECONDS: f64 = 1_000.0;

/// How much memory gives a function one CPU, in MB.
/// ([Memory](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html))
pub(crate) const MB_OF_ONE_CPU: u32 = 1769;

/// The write units a second that a new on-demand table, or index, takes at once. Later it is twice
/// the highest load so far, and more than that within half an hour may be throttled.
/// ([On-demand capacity](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html))
pub(crate) const NEW_TABLE_UNITS: u32 = 4_000;
pub(crate) const GROWS_IN: Duration = Duration::from_mins(30);

/// The most write units a second of a table, or index, without asking AWS for more.
/// ([Quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html))
pub(crate) const TABLE_UNITS: u32 = 40_000;

/// The write units a second that one partition takes.
/// ([Partitions](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html))
pub(crate) const PARTITION_UNITS: f64 = 1_000.0;

/// How many requests a second all HTTP APIs of an account take in a large region, and how many at once:
/// a bucket of tokens. ([Quotas](https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html))
pub(crate) const GATEWAY_RATE: f64 = 10_000.0;
pub(crate) const GATEWAY_BURST: f64 = 5_000.0;

/// How many events a second `PutEvents` takes in a large region.
/// ([Quotas](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html))
pub(crate) const EVENTS_A_SECOND: f64 = 10_000.0;

/// How many functions a new account runs at once.
/// ([Quotas](https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html))
pub(crate) const NEW_ACCOUNT_CONCURRENCY: f64 = 10.0;

/// For how long Lambda keeps an instance that has nothing to do. AWS does not say; others saw minutes.
pub(crate) const INSTANCES_STAY: Duration = Duration::from_mins(5);
