//! What AWS and the stack's parameters allow.

use crate::{
    drain::{DEFAULT, MEDIUM, Replay},
    quotas::{
        CONCURRENCY, EVENTS_A_SECOND, GATEWAY_BURST, GATEWAY_RATE, INSTANCES_IN_TEN_SECONDS,
        NEW_TABLE_UNITS, TABLE_UNITS,
    },
};

/// What may be hit first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Gateway,
    Route,
    Concurrency,
    Starts,
    RoomShards,
    WarmIndex,
    IndexQuota,
    WarmTable,
    TableQuota,
    Events,
}

pub(crate) const LIMITS: usize = Limit::ALL.len();

impl Limit {
    pub(crate) const ALL: [Self; 10] = [
        Self::Gateway,
        Self::Route,
        Self::Concurrency,
        Self::Starts,
        Self::RoomShards,
        Self::WarmIndex,
        Self::IndexQuota,
        Self::WarmTable,
        Self::TableQuota,
        Self::Events,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "API Gateway's requests",
            Self::Route => "a route's requests",
            Self::Concurrency => "Lambda's concurrency",
            Self::Starts => "Lambda's new instances",
            Self::RoomShards => "the room's shards",
            Self::WarmIndex => "the index is not warm",
            Self::IndexQuota => "the index's quota",
            Self::WarmTable => "the table is not warm",
            Self::TableQuota => "the table's quota",
            Self::Events => "EventBridge's `PutEvents`",
        }
    }
}

/// The quotas of an account and the parameters of a stack. What is infinite is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack {
    pub(crate) gateway_rate: f64,
    pub(crate) gateway_burst: f64,
    /// Of each route of callbacks: `ZegoRequestsPerSecond` and so on.
    pub(crate) route_rate: f64,
    pub(crate) concurrency: f64,
    /// New instances of a function in ten seconds.
    pub(crate) starts: f64,
    pub(crate) room_shards: f64,
    /// `TableWarmThroughput` and `IndexWarmThroughput`: the write units that they take at once.
    pub(crate) warm_table: f64,
    pub(crate) warm_index: f64,
    pub(crate) table_quota: f64,
    pub(crate) index_quota: f64,
    pub(crate) replay: Replay,
    pub(crate) events: f64,
}

impl Stack {
    /// All defaults.
    pub(crate) fn by_default() -> Self {
        Self {
            gateway_rate: GATEWAY_RATE,
            gateway_burst: GATEWAY_BURST,
            route_rate: f64::INFINITY,
            concurrency: CONCURRENCY as f64,
            starts: INSTANCES_IN_TEN_SECONDS,
            room_shards: 4.0,
            warm_table: f64::from(NEW_TABLE_UNITS),
            warm_index: f64::from(NEW_TABLE_UNITS),
            table_quota: f64::from(TABLE_UNITS),
            index_quota: f64::from(TABLE_UNITS),
            replay: DEFAULT,
            events: EVENTS_A_SECOND,
        }
    }

    /// As the checklist in docs/operations.md advises for the room of 500,000: 8,333 people leave in a
    /// second, and quotas are for twice that.
    pub(crate) fn prepared() -> Self {
        Self {
            gateway_rate: 20_000.0,
            gateway_burst: 10_000.0,
            concurrency: 3_000.0,
            room_shards: 32.0,
            warm_table: 20_000.0,
            warm_index: 36_000.0,
            replay: MEDIUM,
            events: 20_000.0,
            ..Self::by_default()
        }
    }

    /// Without any other limit than this one.
    pub(crate) fn only(self, limit: Limit) -> Self {
        let none = Self {
            gateway_rate: f64::INFINITY,
            gateway_burst: f64::INFINITY,
            route_rate: f64::INFINITY,
            concurrency: f64::INFINITY,
            starts: f64::INFINITY,
            room_shards: f64::INFINITY,
            warm_table: f64::INFINITY,
            warm_index: f64::INFINITY,
            table_quota: f64::INFINITY,
            index_quota: f64::INFINITY,
            events: f64::INFINITY,
            ..self
        };
        match limit {
            Limit::Gateway => {
                Self { gateway_rate: self.gateway_rate, gateway_burst: self.gateway_burst, ..none }
            }
            Limit::Route => Self { route_rate: self.route_rate, ..none },
            Limit::Concurrency => Self { concurrency: self.concurrency, ..none },
            Limit::Starts => Self { starts: self.starts, ..none },
            Limit::RoomShards => Self { room_shards: self.room_shards, ..none },
            Limit::WarmIndex => Self { warm_index: self.warm_index, ..none },
            Limit::IndexQuota => Self { index_quota: self.index_quota, ..none },
            Limit::WarmTable => Self { warm_table: self.warm_table, ..none },
            Limit::TableQuota => Self { table_quota: self.table_quota, ..none },
            Limit::Events => Self { events: self.events, ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_template_s() {
        let template = include_str!("../../../../template.yaml");
        let default = |parameter: &str| {
            let (_, rest) = template.split_once(&format!("\n  {parameter}:\n")).unwrap();
            let (_, value) = rest.split_once("Default: ").unwrap();
            value.lines().next().unwrap().to_owned()
        };
        let stack = Stack::by_default();
        assert_eq!(default("RoomShards"), stack.room_shards.to_string());
        assert_eq!(default("LambdaConcurrency"), stack.concurrency.to_string());
        for provider in ["Zego", "OpenIm", "Tencent"] {
            assert_eq!(default(&format!("{provider}RequestsPerSecond")), "0", "no limit");
        }
        for of in ["Table", "Index"] {
            assert_eq!(default(&format!("{of}WarmThroughput")), "\"\"");
        }
    }
}
